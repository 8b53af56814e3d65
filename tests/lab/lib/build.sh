# shellcheck shell=bash
# Layers: root file systems that are built once. A layer is a folder $LAYERS/NAME-HASH; the hash is over all that went into it,
# and the folder gets its name when it is complete, so that one that is there is good. Labs on one machine share them.
SUITE=bookworm
LAYERS=$STATE/layers
LOGS=$STATE/logs

# digest TEXT...: of the words given; digest < FILE for files
digest() { { [ $# -eq 0 ] && cat || printf '%s\n' "$@"; } | sha256sum | cut -c1-12; }
files_digest() { cat "$@" | digest; }

base_layer() { echo "$LAYERS/base-$(digest "$SUITE" "$(role_packages base)" "$(files_digest "$HERE/inside/base.sh")")"; }
role_layer() {
	echo "$LAYERS/$1-$(digest "$(base_layer)" "$(role_packages "$1")" "$(files_digest "$HERE/inside/packages.sh")")"
}
pki_layer() { echo "$LAYERS/pki-$(digest "$(base_layer)" "$(files_digest "$HERE/inside/pki.sh" "$HERE/dest.tsv")")"; }
# what a host of this lab stands on, the uppermost first
host_lower() { awk -F'\t' -v name="$1" '$1 == name { print $2 }' "$RUN/layers" 2> /dev/null; }
host_layer() {
	echo "$LAYERS/host-$1-$(digest "$LAB_NET" "$(role_layer "$(host_field "$1" role)")" "$(pki_layer)" "$(host_init "$1")" \
		"$(files_digest "$HERE"/inside/* "$RUN"/*.tsv "$KEYS"/*.pub)")"
}

# build_layer NAME DIR FUNCTION ARG...: runs FUNCTION ARG..., which fills $new, unless DIR is there; gives DIR its name at the end
build_layer() {
	local name=$1 dir=$2 started=$SECONDS new=$2.new
	shift 2
	if [ -d "$dir" ]; then
		touch "$dir" # used today: see drop_old_layers
		return 0
	fi
	say "building $name"
	rm -rf "$new" "$new.work" "$new.root"
	mkdir -p "$new" "$new.root" "$LOGS"
	if ! "$@" > "$LOGS/$name.log" 2>&1 < /dev/null; then
		tail -n 5 "$LOGS/$name.log" >&2
		die "building $name failed: see $LOGS/$name.log"
	fi
	rm -rf "${new:?}"/mnt/* "$new.work" "$new.root"
	mv "$new" "$dir"
	say "$name built in $((SECONDS - started)) s"
}

# in_chroot LOWER UPPER COMMAND...: lib/chroot.sh in namespaces of its own, ended with us. Empty UPPER: writes into LOWER.
in_chroot() {
	local lower=$1 upper=$2
	shift 2
	unshare -m -u -p -f --kill-child "$HERE/lib/chroot.sh" "$new.root" "$lower" "$upper" "${upper:+$new.work}" "$@"
}

# The package sources of this machine, as they are: what apt takes from Debian, and how (proxies and such).
copy_apt_settings() {
	# shellcheck disable=SC2016 # apt fills these in
	local format='deb $(REPO_URI) $(RELEASE) $(COMPONENT)'
	mkdir -p "$1"
	apt-get indextargets --format "$format" 'Identifier: Packages' 'Origin: Debian' | grep " $SUITE" | sort -u > "$1/lab.list" || true
	apt-config dump | grep -E '^Acquire::(Check-|http|https|ftp)' > "$1/80machine" || true
}

# The fill functions run where `set -e` is off, hence their chains.
fill_base() {
	local mirror
	copy_apt_settings "$STATE/apt" || return 1
	mirror=$(awk -v suite="$SUITE" '$3 == suite && $4 == "main" { print $2; exit }' "$STATE/apt/lab.list")
	[ -n "$mirror" ] || echo "this machine takes no $SUITE from Debian: using the mirror that debootstrap knows"
	debootstrap --variant=minbase --include="$(role_packages base | tr ' ' ,)" "$SUITE" "$new" ${mirror:+"$mirror"} || return 1
	[ -s "$STATE/apt/lab.list" ] || cp "$new/etc/apt/sources.list" "$STATE/apt/lab.list"
	BINDS="$HERE:/mnt/lab $STATE/apt:/mnt/apt" RESOLV=/etc/resolv.conf in_chroot "$new" "" bash /mnt/lab/inside/base.sh ||
		return 1
	# debootstrap copied these two from this machine
	echo base > "$new/etc/hostname"
	: > "$new/etc/resolv.conf"
	# the package lists stay, the layers above need them
	rm -rf "$new"/var/cache/apt/archives/*.deb
}
fill_role() { # ROLE
	# shellcheck disable=SC2046 # one word per package
	BINDS="$HERE:/mnt/lab" RESOLV=/etc/resolv.conf \
		in_chroot "$(base_layer)" "$new" bash /mnt/lab/inside/packages.sh "$1" $(role_packages "$1")
}
fill_pki() {
	rm -rf "$new.pki"
	mkdir "$new.pki"
	BINDS="$HERE:/mnt/lab $RUN:/mnt/tables $new.pki:/mnt/pki" in_chroot "$(base_layer)" "$new" bash /mnt/lab/inside/pki.sh &&
		rm -rf "$new" && mv "$new.pki" "$new"
}
fill_host() { # NAME
	local role
	role=$(host_field "$1" role)
	BINDS="$HERE:/mnt/lab $RUN:/mnt/tables $(pki_layer):/mnt/pki $KEYS:/mnt/keys" \
		in_chroot "$(role_layer "$role"):$(base_layer)" "$new" bash /mnt/lab/inside/host.sh "$1" "$role" "$(host_init "$1")"
}
build_role() { build_layer "$1" "$(role_layer "$1")" fill_role "$1"; }
build_host() { build_layer "host-$1" "$(host_layer "$1")" fill_host "$1"; }

# Keys of the people who log in: id_enc has the passphrase labpass.
make_keys() {
	[ ! -f "$KEYS/id_rsa.pub" ] || return 0
	mkdir -p "$KEYS"
	rm -f "$KEYS"/id_*
	ssh-keygen -q -t ed25519 -N '' -C lab -f "$KEYS/id_ed25519"
	ssh-keygen -q -t ed25519 -N labpass -C lab-encrypted -f "$KEYS/id_enc"
	ssh-keygen -q -t rsa -b 2048 -N '' -C lab-rsa -f "$KEYS/id_rsa"
}

# each FUNCTION ARG...: FUNCTION for every ARG, two at a time; fails when one failed
each() {
	local function=$1 arg pids=() pid failed=0
	shift
	for arg in "$@"; do
		"$function" "$arg" &
		pids+=($!)
		if [ "${#pids[@]}" -ge 2 ]; then
			wait "${pids[0]}" || failed=1
			pids=("${pids[@]:1}")
		fi
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=1
	done
	return $failed
}

# What nobody used for two weeks, unless a lab stands on it.
drop_old_layers() {
	local dir
	while read -r dir; do
		grep -qsF "$dir" "$STATE"/run/*/layers || rm -rf "$dir"
	done < <(find "$LAYERS" -mindepth 1 -maxdepth 1 -type d -mtime +14)
}

build() { # HOST...
	local name roles
	mapfile -t roles < <(for name in "$@"; do host_field "$name" role; done | sort -u)
	mkdir -p "$LAYERS"
	# one build at a time on a machine; the descriptor is closed in what outlives us (start_host)
	exec {BUILD_LOCK}> "$STATE/build.lock"
	flock "$BUILD_LOCK"
	make_keys
	build_layer base "$(base_layer)" fill_base
	each build_role "${roles[@]}"
	build_layer pki "$(pki_layer)" fill_pki
	each build_host "$@"
	{
		for name in "$@"; do
			printf '%s\t%s:%s:%s\n' "$name" "$(host_layer "$name")" "$(role_layer "$(host_field "$name" role)")" \
				"$(base_layer)"
		done
		[ ! -f "$RUN/layers" ] || cat "$RUN/layers" # hosts that were not asked for now keep what they stand on
	} | awk -F'\t' '!seen[$1]++' > "$RUN/layers.new"
	mv "$RUN/layers.new" "$RUN/layers"
	drop_old_layers
	exec {BUILD_LOCK}>&-
}
