#!/bin/bash
# chroot.sh ROOT LOWER UPPER WORK COMMAND...
# Runs COMMAND in ROOT: an overlay of UPPER over LOWER, or LOWER itself where UPPER is empty. For building layers; the network
# stays the machine's, because packages are fetched. The caller gives it private mount and pid namespaces.
#   BINDS="FROM:TO ..."  more mounts      RESOLV=FILE  becomes /etc/resolv.conf
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$(readlink -f "$0")")/mounts.sh"
root=$1 lower=$2 upper=$3 work=$4
shift 4

mount --make-rprivate /
if [ -n "$upper" ]; then
	mount_overlay "$root" "$lower" "$upper" "$work"
else
	mount --bind "$lower" "$root"
fi
mount_proc "$root" rw
mount_dev "$root"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/lock"
for bind in ${BINDS:-}; do
	mkdir -p "$root${bind#*:}"
	mount --bind "${bind%%:*}" "$root${bind#*:}"
done
if [ -n "${RESOLV:-}" ]; then
	cp "$RESOLV" "$root/run/resolv.conf"
	[ -e "$root/etc/resolv.conf" ] || : > "$root/etc/resolv.conf"
	mount --bind "$root/run/resolv.conf" "$root/etc/resolv.conf"
fi
exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
	DEBIAN_FRONTEND=noninteractive LAB_NET="${LAB_NET:-}" \
	${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} "$@"
