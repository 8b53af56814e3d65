# shellcheck shell=bash
# Mounts of a root file system. Sourced; only ever used inside a private mount namespace, which ends them all.

# mount_overlay ROOT LOWER[:LOWER...] UPPER WORK
mount_overlay() {
	mkdir -p "$1" "$3" "$4"
	mount -t overlay overlay -o "lowerdir=$2,upperdir=$3,workdir=$4" "$1"
}

# mount_dev ROOT: a /dev with the harmless devices only, and its own pseudo-terminals
mount_dev() {
	local root=$1 name
	mount -t tmpfs -o mode=755,size=4m tmpfs "$root/dev"
	for name in null zero full random urandom tty; do
		: > "$root/dev/$name"
		mount --bind "/dev/$name" "$root/dev/$name"
	done
	mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	ln -s fd/0 "$root/dev/stdin"
	ln -s fd/1 "$root/dev/stdout"
	ln -s fd/2 "$root/dev/stderr"
}

# mount_proc ROOT OPTIONS: /proc of the new pid namespace. /proc/sys and sysrq are not namespaced, so they are read-only:
# otherwise systemd-sysctl or a package script in a host would set the kernel of the machine.
mount_proc() {
	local root=$1 path
	mount -t proc -o "$2" proc "$root/proc"
	for path in "$root/proc/sys" "$root/proc/sysrq-trigger"; do
		[ -e "$path" ] || continue
		mount --bind "$path" "$path"
		mount -o remount,bind,ro "$path"
	done
}
