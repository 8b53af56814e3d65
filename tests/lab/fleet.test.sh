#!/bin/bash
# A push over eight hosts: the canary alone and first, then at most so many at a time; hosts that cannot be reached or hang
# count for themselves only; one that fails its proof stops what has not begun; the rest stays for --retry; groups; the
# summary, and the status of the worst. It raises a lab of its own.
if [ -z "${MXSEAL_LAB:-}" ]; then
	echo "skipped: no lab is up (MXSEAL_LAB); it needs root and network namespaces"
	exit 77
fi
LAB_HOSTS=$(dirname "$(readlink -f "$0")")/fleet.tsv
export LAB_HOSTS LAB_ID=${LAB_ID:-mxseal}f LAB_NET=198.51.101
"$MXSEAL_LAB" up > /dev/null 2>&1 || { echo "the lab of the fleet cannot be raised"; exit 1; }
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
trap '"$MXSEAL_LAB" down > /dev/null 2>&1; rm -rf "$work" "$here"' EXIT

hosts=(mx1 mx2 mx3 mx4 mx5 mx6 mx7 mx8)
lines() { jq -r "$1" "$work/lines"; }
# push WORD...: as JSON lines into $work/lines, its status into $status
push() {
	mx --json push "$@" > "$work/lines" 2> "$work/err"
	status=$?
	lines 'select(.result) | "  \(.server) \(.result)"'
}
result_of() { lines "select(.result and .server == \"$1\") | .result"; }
results() { # HOST=RESULT...
	local pair
	for pair; do is "$(result_of "${pair%=*}")" "${pair#*=}" || { echo "of ${pair%=*}"; return 1; }; done
}
# the moment a host's first step was told, by the number of the line
first_line() { lines "select(.step or .result) | .server" | grep -nx "$1" | head -1 | cut -d: -f1; }
last_line() { lines "select(.step or .result) | .server" | grep -nx "$1" | tail -1 | cut -d: -f1; }
# how many hosts were between their first and their last line at the same time
at_once() {
	lines 'select(.step or (.result and .result != "not-started" and .result != "unreachable")) | [.server, .result // ""] | @tsv' |
		awk -F'\t' '!($1 in seen) { seen[$1] = 1; n++; if (n > most) most = n } $2 != "" { n-- } END { print most + 0 }'
}
greeting() { # WORD: something to push, on all
	local host
	for host in "${hosts[@]}"; do quiet vs set "$host" "outbound.tls=$1" --yes; done
}

chapter "eight hosts become known"
for host in "${hosts[@]}"; do
	quiet server add "$host" "$host" --group "$([[ $host < mx5 ]] && echo west || echo east)"
	quiet server trust "$host" --fingerprint "$(fingerprint_of "$host")"
done
quiet server read "${hosts[@]}"
prove "all are read" is "$(json '[.servers[] | select(.read_at)] | length' server list)" 8
greeting may
prove "@GROUP stands for its servers" is "$(mx --json plan @west | jq -r .server | paste -sd' ')" "mx1 mx2 mx3 mx4"
prove "a group that nobody is in is refused" status_is 2 plan @north
prove "read-only holds for a fleet" status_is 4 --read-only push --yes
prove "nothing was begun there" is "$(json '.activity | map(select(.verb == "push")) | length' history)" 0

chapter "all goes well"
push --yes --at-once 3 --canary mx3
prove "all are kept" results mx{1..8}=kept
prove "the status is 0" is "$status" 0
prove "the canary was over before another began" [ "$(last_line mx3)" -lt "$(for h in mx1 mx2 mx4 mx5 mx6 mx7 mx8; do first_line $h; done | sort -n | head -1)" ]
prove "never more than three at a time, and three at some time" is "$(at_once)" 3
prove "the last line is the summary" is "$(tail -1 "$work/lines" | jq -c '[.summary.servers, .summary.kept, .status]')" '[8,8,0]'
prove "nothing is left to retry" is "$(mx push --retry --yes)" "nothing is left of the last push"

chapter "one is down, one hangs, two fail their proof"
greeting encrypt
frozen=$("$lab" exec mx3 pgrep -o sshd)
"$lab" stop mx2 > /dev/null 2>&1
"$lab" exec mx3 kill -STOP "$frozen"
for host in mx6 mx7; do
	"$lab" exec "$host" sh -c 'cd /usr/lib/postfix/sbin && mv smtpd smtpd.real && cat > smtpd && chmod 755 smtpd' << 'END'
#!/bin/sh
if grep -q 'smtp_tls_security_level = encrypt' /etc/postfix/main.cf; then exit 1; fi
exec /usr/lib/postfix/sbin/smtpd.real "$@"
END
done
before=$(configuration mx6)
began=$SECONDS
push mx2 mx3 mx1 mx4 mx5 mx6 mx7 mx8 --yes --at-once 2
took=$((SECONDS - began))
prove "the status is that of the worst: undone" is "$status" 5
prove "who is down and who hangs count for themselves" results mx2=unreachable mx3=unreachable
prove "the first that could be reached was the canary, and those before the failure are kept" results mx1=kept mx4=kept mx5=kept
prove "the two without a greeting are undone: what ran was finished" results mx6=undone mx7=undone
prove "its old files are back" is "$(configuration mx6)" "$before"
prove "what had not begun was not begun" results mx8=not-started
prove "a host that was not begun is as it was" is "$("$lab" exec mx8 postconf -h smtp_tls_security_level)" may
prove "never more than two at a time" is "$(at_once)" 2
prove "the summary counts all of them" is "$(tail -1 "$work/lines" | jq -c '[.summary.servers, .summary.undone, .summary.unreachable, .status]')" '[8,2,2,5]'
prove "the hung host cost only its own deadline ($took s)" [ "$took" -lt 150 ]

chapter "retry"
"$lab" exec mx3 kill -CONT "$frozen"
"$lab" start mx2 > /dev/null 2>&1
# shellcheck disable=SC2016 # expanded by the shell inside
greets() { "$lab" ctl timeout 5 bash -c 'exec 3<> "/dev/tcp/$1.lab.test/25"; head -1 <&3' - "$1" | grep -q '^220 '; }
for host in mx6 mx7; do
	"$lab" exec "$host" sh -c 'cd /usr/lib/postfix/sbin && mv smtpd.real smtpd'
	"$lab" exec "$host" postfix reload > /dev/null 2>&1
	prove "$host is mended" until_true 90 greets "$host"
done
push --retry --yes
prove "those that were not done, and only those, are" is "$(lines 'select(.result) | .server' | sort | paste -sd' ')" \
	"mx2 mx3 mx6 mx7 mx8"
prove "all are kept" results mx2=kept mx3=kept mx6=kept mx7=kept mx8=kept
prove "the status is 0" is "$status" 0
for host in "${hosts[@]}"; do
	prove "$host has it" is "$("$lab" exec "$host" postconf -h smtp_tls_security_level)" encrypt
done
