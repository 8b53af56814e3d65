# shellcheck shell=bash
# Network and hosts: starting them, stopping them, knowing what runs. Every namespace and process here carries the lab's name
# or stands in a record that names its start time; nothing else is ever touched.

netns() { echo "$LAB_ID-$1"; }
netns_exists() { [ -e "/run/netns/$(netns "$1")" ]; }
in_ctl_net() { nsenter --net="/run/netns/$(netns ctl)" "$@"; }

# A bridge that stands in a namespace of its own, so that nothing touches the machine's network.
network_up() {
	mountpoint -q /run/netns || touch "$RUN/made-netns-mount"
	if ! netns_exists bridge; then
		ip netns add "$(netns bridge)"
		ip -n "$(netns bridge)" link add br0 type bridge forward_delay 0
		ip -n "$(netns bridge)" link set br0 up
	fi
	plug ctl "$LAB_NET.2"
}

# plug NAME ADDRESS: a network namespace with an eth0 on the bridge
plug() {
	local name=$1 address=$2 last=${2##*.} ns
	ns=$(netns "$name")
	! netns_exists "$name" || return 0
	ip netns add "$ns"
	# a fixed hardware address: with a new one at each start the neighbours would talk to the old one for 30 s
	ip -n "$(netns bridge)" link add "port-$name" type veth peer name eth0 netns "$ns" \
		address "$(printf '02:1a:b0:00:00:%02x' "$last")"
	ip -n "$(netns bridge)" link set "port-$name" master br0 up
	ip -n "$ns" addr add "$address/24" dev eth0
	ip -n "$ns" -6 addr add "fd77::$last/64" dev eth0 nodad 2> /dev/null || true # where the kernel has IPv6
	ip -n "$ns" link set eth0 up
	ip -n "$ns" link set lo up
}

# unplug NAME: ends what is still in the namespace, then the namespace (and with it the veth pair)
unplug() {
	local name=$1
	netns_exists "$name" || return 0
	signal_net "$name" TERM
	wait_until 20 net_empty "$name" || signal_net "$name" KILL
	ip netns del "$(netns "$name")"
	ip -n "$(netns bridge)" link del "port-$name" 2> /dev/null || true
}

net_pids() { ip netns pids "$(netns "$1")" 2> /dev/null | grep -vx "$$"; }
net_empty() { [ -z "$(net_pids "$1")" ]; }
signal_net() { # NAME SIGNAL
	local pid
	for pid in $(net_pids "$1"); do
		kill "-$2" "$pid" 2> /dev/null || true
	done
}

# host_pid NAME: the number of the host's process 1, when it is the one that was recorded
host_pid() {
	local pid started stat
	read -r pid started 2> /dev/null < "$RUN/hosts/$1/pid" || return 1
	read -r stat 2> /dev/null < "/proc/$pid/stat" || return 1
	read -ra stat <<< "${stat##*) }" # what follows "pid (name) ": state is field 3, the start time field 22
	[ "${stat[19]}" = "$started" ] && [ "${stat[0]}" != Z ] && echo "$pid"
}
host_gone() { ! host_pid "$1" > /dev/null; }
need_pid() { host_pid "$1" || die "$1 is not up"; }

# in_host NAME COMMAND...: as root, by nsenter, without ssh
in_host() {
	local pid
	pid=$(need_pid "$1") || exit 1
	shift
	nsenter -t "$pid" -m -u -i -n -p -C --root env -i -C / HOME=/root USER=root LOGNAME=root LANG=C.UTF-8 \
		TERM="${TERM:-dumb}" PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# systemd in a host wants a cgroup2 tree that we may write to
cgroup_dir() {
	local mount
	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$mount" ] && [ -w "$mount/cgroup.procs" ] && echo "$mount/$LAB_ID-lab"
}
cgroup_remove() { # DIR: empties only after the last process is gone, which takes the kernel a moment
	[ ! -d "$1" ] || wait_until 20 find "$1" -depth -type d -exec rmdir {} + 2> /dev/null ||
		say "control group $1 is left: something in it still runs"
}

start_host() { # NAME
	local name=$1 init dir=$RUN/hosts/$1 lower cgroup
	! host_pid "$name" > /dev/null || return 0
	lower=$(host_lower "$name")
	[ -n "$lower" ] || die "$name is not built: lab up $name"
	init=$(host_init "$name")
	plug "$name" "$(host_field "$name" address)"
	mkdir -p "$dir/root" "$dir/upper" "$dir/work"
	rm -f "$dir/pid"
	(
		if [ "$init" = systemd ]; then
			cgroup=$(cgroup_dir)/$name
			mkdir -p "$cgroup"
			echo "$BASHPID" > "$cgroup/cgroup.procs"
		fi
		exec {LAB_LOCK}>&-
		export H_NAME=$name H_INIT=$init H_DIR=$dir H_LOWER=$lower
		exec setsid nsenter --net="/run/netns/$(netns "$name")" \
			unshare -m -u -i -p -C -f --kill-child "$HERE/lib/hostinit.sh"
	) > "$dir/console" 2>&1 < /dev/null &
	disown
	wait_until 100 test -s "$dir/pid" || die "$name did not start: $(tail -n 3 "$dir/console")"
}

stop_host() { # NAME
	local pid cgroup
	if pid=$(host_pid "$1"); then
		kill -KILL "$pid" 2> /dev/null || true # process 1 of a pid namespace: the kernel ends everything in it
		wait_until 100 host_gone "$1"
	fi
	rm -f "$RUN/hosts/$1/pid"
	unplug "$1"
	if cgroup=$(cgroup_dir); then
		cgroup_remove "$cgroup/$1"
	fi
}

# wait_until TENTHS COMMAND...: until COMMAND succeeds
wait_until() {
	local left=$1
	shift
	until "$@"; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		sleep 0.1
	done
}
port_answers() { # NAME ADDRESS PORT; a dead host ends the waiting
	host_pid "$1" > /dev/null || die "$1 died: $(tail -n 3 "$RUN/hosts/$1/console")"
	in_ctl_net timeout 2 bash -c "exec 3<> /dev/tcp/$2/$3" 2> /dev/null
}
wait_host() { # NAME: until its ports answer and systemd is content
	local name=$1 address port ports state
	address=$(host_field "$name" address)
	IFS=, read -ra ports <<< "$(host_field "$name" ports)"
	for port in "${ports[@]}"; do
		wait_until 300 port_answers "$name" "$address" "$port" || die "$name does not answer on port $port"
	done
	[ "$(host_init "$name")" = systemd ] || return 0
	state=$(in_host "$name" timeout 30 systemctl is-system-running --wait 2>&1) || say "$name: systemd says $state"
}
