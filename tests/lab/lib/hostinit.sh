#!/bin/bash
# Becomes process 1 of a host. Runs in its new mount, uts, ipc, pid and cgroup namespaces, with its network entered.
# Environment: H_NAME, H_INIT, H_LOWER (layers), H_DIR (its writable part and the record of its process 1).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$(readlink -f "$0")")/mounts.sh"
root=$H_DIR/root

# /proc is still the machine's here: the number under which the machine knows this process, and the time it started, so
# that nobody ever ends a stranger who got the number later
read -ra stat < /proc/self/stat
echo "${stat[0]} ${stat[21]}" > "$H_DIR/pid.new"
mv "$H_DIR/pid.new" "$H_DIR/pid"

mount --make-rprivate /
mount_overlay "$root" "$H_LOWER" "$H_DIR/upper" "$H_DIR/work"
hostname "$H_NAME" # short, as Debian does; the full name comes from /etc/hosts
ip link set lo up
# for inside/rc-dest; this setting belongs to the network namespace, and mount_proc makes all of /proc/sys read-only
[ "$H_INIT" != service ] || echo 1 > /proc/sys/net/ipv4/ip_forward
mount_proc "$root" nosuid,nodev,noexec
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount_dev "$root"
mount -t tmpfs -o mode=755,nosuid,nodev,size=64m tmpfs "$root/run"
mkdir -p "$root/run/lock"
[ "$H_INIT" != systemd ] || mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"

cd "$root"
pivot_root . mnt
cd /
umount -l /mnt

# keep what a mail host needs, drop what could reach the machine itself
drop=-sys_module,-sys_rawio,-sys_time,-sys_boot,-mac_admin,-mac_override,-syslog,-sys_pacct,-perfmon,-bpf
confined=(setpriv --bounding-set "$drop" --inh-caps "$drop" env -i LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin)
case $H_INIT in
systemd) exec "${confined[@]}" container=lab /lib/systemd/systemd --system --log-target=journal --show-status=0 ;;
*) exec "${confined[@]}" HOME=/root /usr/bin/tini -g -- /usr/local/lib/lab/rc ;;
esac
