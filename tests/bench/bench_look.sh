#!/bin/bash
# What a look at a queue costs its host, against the mail system's own listing (`postqueue -j`) and against qshape, in the same run on
# the same spool: processor time of all that runs on the host (its cgroup), bytes over the wire, and our own time and memory.
#   bench_look.sh [MESSAGES]
# With the lab of MXSEAL_LAB, else with one of its own; skipped where none can be. The spool lies in memory when there is enough: a
# million messages are filled in within a minute, and no disk blurs the figures.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
lab=${MXSEAL_LAB:-} n=${1:-${MXSEAL_MESSAGES:-1000000}}
program=$(readlink -f "${MXSEAL_PROGRAM:?the program to look with}")
tests=$(dirname "$program")/tests
here=$(mktemp -d)
if [ -z "$lab" ]; then
	lab=$PWD/tests/lab/lab
	why=$("$lab" can) || { echo "bench_look: skipped: $why"; exit 77; }
	export LAB_ID=bench-look
	trap 'rm -rf "$here"; "$lab" down 2> /dev/null' EXIT
else
	trap 'rm -rf "$here"; "$lab" reset mx1 2> /dev/null' EXIT
fi
"$lab" up mx1 2> /dev/null
"$lab" reset mx1 2> /dev/null
here_env=(env MXSEAL_STORE="$here/store.db" XDG_STATE_HOME="$here" XDG_DATA_HOME="$here" MXSEAL_SSH_CONFIG="$here/ssh_config")
mx() { "$lab" ctl "${here_env[@]}" "$program" "$@" > /dev/null; }
cgroups=$(echo /sys/fs/cgroup/{*/,}"${LAB_ID:-mxseal}-lab/mx1")
cgroup=$(for d in $cgroups; do [ ! -r "$d/cpu.stat" ] || echo "$d"; done | head -n 1)
[ -n "$cgroup" ] || { echo "bench_look: skipped: no cgroup2 here, which tells the processor time of a host"; exit 77; }
used() { awk '$1 == "usage_usec" { print $2 }' "$cgroup/cpu.stat"; }
wire() { "$lab" exec mx1 cat /proc/net/dev | awk '$1 == "eth0:" { print $10 }'; }
on() { "$lab" exec mx1 sh -c "$1" > "$here/said" 2>&1 || { cat "$here/said"; exit 1; }; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a / b }'; }

# --- the host and its queue
sed "s|UserKnownHostsFile .*|UserKnownHostsFile $here/known_hosts|" "$("$lab" dir)/ssh_config.ctl" > "$here/ssh_config"
touch "$here/known_hosts"
mx server add mx1 mx1
mx server trust mx1 --fingerprint "$(ssh-keygen -lf "$("$lab" dir)/known_hosts" | awk '$3 ~ "^mx1," && $NF == "(ED25519)" { print $2 }')"
mx server read mx1
on 'postfix stop || true'
where="on its disk"
if [ "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)" -gt $((n * 12 + 1000000)) ]; then
	where="in memory"
	on "mount -t tmpfs -o mode=755,nr_inodes=0,size=$((n * 9 + 100000))k spool /mnt
		cp -a /var/spool/postfix/. /mnt && mount --bind /mnt /var/spool/postfix && umount /mnt"
fi
# shellcheck disable=SC2016 # expanded in the host
on 'postconf -e smtp_tls_security_level=encrypt
	for relay in notls pix; do
		postconf -e "relayhost=[mx.$relay.test]"
		postfix start
		for k in $(seq 16); do printf "Subject: x\n\nHello.\n" | sendmail -f "s$((k % 5))@sender.test" "u$k@d00000.test"; done
		sleep 1
		for k in $(seq 60); do [ "$(find /var/spool/postfix/active /var/spool/postfix/incoming /var/spool/postfix/maildrop -type f | wc -l)" = 0 ] && break; sleep 0.5; done
		postfix stop
	done'
began=$SECONDS
"$tests/large_queue" fill "$("$lab" root mx1)/var/spool/postfix" "$n"
echo "$n messages, the spool $where, filled in $((SECONDS - began)) s"

# --- the mail system's own programs, whose output stays there
there() { # NAME COMMAND: processor time into spent, peak memory of NAME into high
	local before kib pid init
	init=$("$lab" root mx1 | cut -d/ -f3)
	before=$(used)
	high=0
	"$lab" ssh mx1 "$2" 2> /dev/null < /dev/null > "$here/answer" &
	while kill -0 $! 2> /dev/null; do
		sleep 0.2
		pid=$(pgrep -n -x "$1" --ns "$init" --nslist pid) || continue
		kib=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$pid/status" 2> /dev/null) || continue
		[ "${kib:-0}" -le "$high" ] || high=$kib
	done
	wait $!
	spent=$(($(used) - before))
}
tell() { printf '%-34s %7d ms of the host' "$1" $((spent / 1000)); }
there true true
tell "a login, taken off what follows"
echo
login=$spent
there postqueue "postqueue -j | wc -lc"
listing=$((spent - login)) spent=$((spent - login))
tell "postqueue -j"
awk '{ printf ", %d lines, %d bytes that stay there\n", $1, $2 }' "$here/answer"

# --- ours
coproc LOOK { "$lab" ctl "${here_env[@]}" "$tests/look_at_queue" mx1; }
look() { # WHAT
	local before_wire before line ms
	before_wire=$(wire)
	before=$(used)
	echo look >&"${LOOK[1]}"
	read -r -u "${LOOK[0]}" line
	read -r -u "${LOOK[0]}" ms mine peak
	spent=$(($(used) - before)) came=$(($(wire) - before_wire))
	tell "mxseal: $1"
	printf ', %d bytes over the wire, %d ms, %d ms of processor here: %s\n' "$came" "$ms" "$mine" "${line#look: }"
}
look "first look, in full"
full=$((spent / 1000 + mine)) full_here=$mine full_peak=$peak
look "nothing changed"
nothing=$spent
"$tests/large_queue" stir "$("$lab" root mx1)/var/spool/postfix" $((n / 100)) > "$here/log"
"$lab" exec mx1 sh -c 'cat >> /var/log/mail.log' < "$here/log"
look "1 % changed"
changed=$spent
next=$((spent / 1000 + mine))
there postqueue "postqueue -j | wc -lc"
spent=$((spent - login))
tell "postqueue -j, once more"
echo
[ "$spent" -gt "$listing" ] || listing=$spent
echo "against postqueue -j, the cheaper of both: nothing changed $((nothing * 1000 / listing)) per mille, 1 % changed $((changed * 1000 / listing)) per mille of the host's processor time"
echo "peak memory of mxseal with its mirror: $peak KiB, $((peak * 1024 / n)) bytes a message"
echo equal >&"${LOOK[1]}"
equal=
while [ -z "$equal" ] && read -r -u "${LOOK[0]}" line; do
	echo "  $line"
	case $line in equal | differs | failed*) equal=$line ;; esac
done
echo "against a full listing: $equal"

# --- a table by destination and age
if "$lab" exec mx1 sh -c 'command -v qshape' > /dev/null; then
	there qshape "qshape deferred"
	spent=$((spent - login))
	tell "qshape"
	echo ", peak $high KiB there, $(awk '$1 == "TOTAL" { print $2 }' "$here/answer") messages of $(($(wc -l < "$here/answer") - 2)) domains"
	qshape=$((spent / 1000))
	echo "a table by destination and age: mxseal takes 1/$(ratio $qshape $full) of the processor time of qshape at its first look (host and here; $full_here ms here, peak $full_peak KiB here), 1/$(ratio $qshape $next) when 1 % changed"
else
	echo "qshape: not there, skipped"
fi
[ "$equal" = equal ] && [ $((changed * 1000 / listing)) -le 50 ]
