# shellcheck shell=bash disable=SC2034
# The Debian packages mxseal needs, in one place, and how they get here. Sourced by ./run and ./check.

# to build and use the program
packages_build="gcc libc6-dev cmake ninja-build pkg-config libssl-dev libncurses-dev libsqlite3-dev libssh2-1-dev libjansson-dev
	libcurl4-openssl-dev libunbound-dev libevent-dev nettle-dev dns-root-data libidn2-dev openssh-client ca-certificates"
# to test it; of openssh-server only the program is wanted, the tests start it themselves
packages_check="clang lld libclang-rt-dev libcmocka-dev libvterm-dev shellcheck busybox dash jq sqlite3 openssl procps git strace perl acl attr
	openssh-server"
# what the benchmarks of ./check --long are held against
packages_bench="ansible-core pssh pflogsumm"
# to raise the lab
packages_lab="debootstrap iproute2 util-linux openssh-client ca-certificates"

# need_packages NAME...: installs what is missing when we are root; otherwise says what is missing and fails.
need_packages() {
	local missing
	if ! command -v dpkg-query > /dev/null; then
		echo "This is no Debian: make sure that it has what Debian calls $*" >&2
		return 0
	fi
	missing=$(printf '%s\n' "$@" | sort -u | comm -23 - \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2> /dev/null | sed -n 's/^installed //p' | sort -u))
	[ -n "$missing" ] || return 0
	missing=${missing//$'\n'/ }
	if [ "$(id -u)" != 0 ]; then
		printf 'These packages are missing: %s\nAs root: apt-get install %s\n' "$missing" "$missing" >&2
		return 1
	fi
	echo "installing $missing" >&2
	apt_get update || true # an archive that is away may not be the one that is needed
	# shellcheck disable=SC2086 # one word per package
	without_services apt_get install --no-install-recommends $missing || return
	case " $missing " in
	*' openssh-server '*) ! command -v systemctl > /dev/null || systemctl -q disable ssh.service ssh.socket 2> /dev/null || true ;;
	esac
}
# without_services COMMAND...: packages that it installs start no service
without_services() {
	local policy=/usr/sbin/policy-rc.d status=0
	if [ -e "$policy" ]; then
		"$@"
		return
	fi
	printf '#!/bin/sh\nexit 101\n' > "$policy"
	chmod 755 "$policy"
	"$@" || status=$?
	rm -f "$policy"
	return "$status"
}
apt_get() {
	local log
	log=$(mktemp)
	if ! DEBIAN_FRONTEND=noninteractive apt-get -y "$@" > "$log" 2>&1 < /dev/null; then
		tail -n 15 "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}
