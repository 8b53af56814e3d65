#!/bin/bash
# 1,000 looks at destinations that behave in twelve ways, 32 at a time: mxseal's probe of a list against posttls-finger (Postfix)
# under xargs, both in the lab on this machine. Needs a lab that is up (MXSEAL_LAB); only its own looks take time, no mail is sent.
set -euo pipefail
if [ -z "${MXSEAL_LAB:-}" ]; then
	echo "skipped: no lab is up (MXSEAL_LAB); it needs root and network namespaces"
	exit 77
fi
program=${MXSEAL_PROGRAM:?the program to look with}
n=${MXSEAL_PROBES:-1000} at_once=32
lab=$MXSEAL_LAB
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -m 700 "$work/store"
for i in $(seq 0 $((n - 1))); do printf 'd%03d.q.test\n' $((i % 200)); done > "$work/list"

seconds() { # FROM TO, in nanoseconds
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b - a) / 1e9 }'
}
ours() {
	"$lab" ctl "$program" --store "$work/store/s.db" --json probe --list "$work/list" --at-once "$at_once" > "$work/ours" 2> "$work/ours.err"
}
theirs() {
	# shellcheck disable=SC2016 # expanded in the host
	"$lab" exec mx1 sh -c 'xargs -P "$1" -n 1 sh -c '\''timeout 20 posttls-finger -c -l may -T 10 "$0" 2>&1 | tail -n 1 | sed "s/^/$0 /"'\' - "$at_once" \
		< "$work/list" > "$work/theirs"
}
"$lab" exec mx1 sh -c 'command -v posttls-finger' > /dev/null || { echo "skipped: no posttls-finger in the lab"; exit 77; }
# both once before, so that names are in the resolver's cache for both
head -n 200 "$work/list" > "$work/first"
"$lab" ctl "$program" --store "$work/store/s.db" --json probe --list "$work/first" > /dev/null 2>&1 || true
a=$(date +%s%N)
ours
b=$(date +%s%N)
theirs
c=$(date +%s%N)
mine=$(seconds "$a" "$b") finger=$(seconds "$b" "$c")
echo "$n looks, $at_once at a time"
echo "mxseal:          $mine s, $(grep -c '^{' "$work/ours") answers, $(grep -c '"protocol":"TLS' "$work/ours") with TLS; also TLSA, MTA-STS, and versions that would work"
echo "posttls-finger:  $finger s, $(wc -l < "$work/theirs") answers, $(grep -c 'TLS connection established' "$work/theirs") with TLS"
awk -v a="$mine" -v b="$finger" 'BEGIN { printf "ratio: mxseal takes %.2f of the time of posttls-finger under xargs\n", a / b }'
[ "$(grep -c '^{' "$work/ours")" = "$n" ]
