#!/bin/bash
# What a look at a queue costs its host when 1 % has changed, against a full listing in the same run: processor time of all that runs
# on the host (its cgroup), and bytes that come over the wire. The queue is on the lab's overlay file system, where looking at a
# directory costs more than on a plain one.
#   bench_look.sh [MESSAGES]; MXSEAL_LAB: a lab with mx1 (else skipped), MXSEAL_BUILD: where the programs are
set -euo pipefail
if [ -z "${MXSEAL_LAB:-}" ]; then
	echo "bench_look: skipped: no lab is up (MXSEAL_LAB)"
	exit 77
fi
lab=$MXSEAL_LAB n=${1:-1000000} build=${MXSEAL_BUILD:-build/run}
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
sed "s|UserKnownHostsFile .*|UserKnownHostsFile $here/known_hosts|" "$("$lab" dir)/ssh_config.ctl" > "$here/ssh_config"
touch "$here/known_hosts"
here_env=(env MXSEAL_STORE="$here/store.db" XDG_STATE_HOME="$here" XDG_DATA_HOME="$here" MXSEAL_SSH_CONFIG="$here/ssh_config")
mx() { "$lab" ctl "${here_env[@]}" "$build/mxseal" "$@" > /dev/null; }
cpu=$(echo /sys/fs/cgroup/*/"${LAB_ID:-mxseal}"-lab/mx1/cpu.stat /sys/fs/cgroup/"${LAB_ID:-mxseal}"-lab/mx1/cpu.stat)
used() { for f in $cpu; do [ ! -r "$f" ] || awk '$1 == "usage_usec" { print $2 }' "$f"; done | head -n 1; }
wire() { "$lab" exec mx1 cat /proc/net/dev | awk '$1 == "eth0:" { print $10 }'; }

"$lab" up mx1 > /dev/null 2>&1 || true
"$lab" reset mx1 > /dev/null 2>&1
spool=$("$lab" root mx1)/var/spool/postfix
mx server add mx1 mx1
mx server trust mx1 --fingerprint "$(ssh-keygen -lf "$("$lab" dir)/known_hosts" | awk '$3 ~ "^mx1," && $NF == "(ED25519)" { print $2 }')"
mx server read mx1
# shellcheck disable=SC2016 # expanded in the host
"$lab" exec mx1 sh -c 'postconf -e smtp_tls_security_level=encrypt; postfix reload
	for k in $(seq 32); do printf "Subject: x\n\nHello.\n" | sendmail -f "s$((k % 5))@sender.test" "user@pix.test" "u$k@notls.test"; done
	sleep 2; for k in $(seq 60); do [ "$(find /var/spool/postfix/active /var/spool/postfix/incoming -type f | wc -l)" = 0 ] && break; sleep 0.5; done
	postfix stop' > /dev/null 2>&1
"$build/tests/bench_look" fill "$spool" "$n"

coproc LOOK { "$lab" ctl "${here_env[@]}" "$build/tests/bench_look" mx1; }
look() { # WHAT
	local before_cpu before_wire line ms mine
	before_cpu=$(used)
	before_wire=$(wire)
	echo look >&"${LOOK[1]}"
	read -r -u "${LOOK[0]}" line
	read -r -u "${LOOK[0]}" ms mine peak
	spent=$(($(used) - before_cpu)) came=$(($(wire) - before_wire))
	printf '%-28s %6d ms of the host, %10d bytes, %d ms, %d ms of processor here: %s\n' "$1" $((spent / 1000)) "$came" "$ms" "$mine" "$line"
}
look "in full"
full_cpu=$spent full_bytes=$came
look "nothing changed"
"$build/tests/bench_look" stir "$spool" $((n / 100)) > "$here/log"
"$lab" exec mx1 sh -c 'cat >> /var/log/mail.log' < "$here/log"
look "1 % changed"
echo "a look at what changed costs the host $((spent * 1000 / full_cpu)) per mille of the processor time of a full listing, and $((came * 1000 / full_bytes)) per mille of the bytes"
echo "peak memory of the program with its mirror: $peak KiB, $((peak * 1024 / n)) bytes a message"
echo equal >&"${LOOK[1]}"
while read -r -u "${LOOK[0]}" line; do echo "  $line"; case $line in equal | differs | failed*) echo "against a full listing: $line"; break ;; esac; done
