#!/bin/bash
# Forty recipients over every kind of table: what `route` forecasts is what one real delivery did, by the mail log and by the
# destinations' own record; a policy row under the wrong key is found dead, and its repair turns clear text into refusal.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

known_host mx1

# address, and who sends it where that matters; the same lines are asked of `route` and handed to sendmail
recipients='
a01@good.test
a02@notls.test
a03@expired.test
a04@wrongname.test
a05@selfsigned.test
a06@tls454.test
a07@tlsclose.test
a08@tlsgarbage.test
a09@reqtls.test
a10@pix.test
a11@refused.test
a12@busy.test
a13@mx.good.test
a14@mx.notls.test
a15@gate.test
special@gate.test
special+a17@gate.test
list-a18@good.test
a19@strict.test
a20@two.test
a21@gone.test
a22@later.test
a23@hole.test
a24@relay.test
a25@box.test
a26@bank.test
user+a27@mx1.lab.test
no-a28@mx1.lab.test
root+a29@localhost
team@alias.test
chain@alias.test
no-a32@alias.test
old@good.test
a34@unrouted.test
a35@unrouted.test someone@sales.lab.test
a36@unrouted.test boss@lab.test
a37@unrouted.test vip@lab.test
a38@unrouted.test <>
a39@nosuch.invalid
a40@nullmx.test
a41@dane.test
a42@danebad.test
a43@danenotls.test
a44@danesf.test
a45@mx.mtasts.test
'

fingerprint=$("$lab" exec dest openssl x509 -in /etc/destd/pki/selfsigned.selfsigned.test.pem -noout -fingerprint -sha256 | sed 's/.*=//')
"$lab" exec mx1 sh -s - "$fingerprint" < "$(dirname "$(readlink -f "$0")")/route_tables.sh" > "$work/setup" 2>&1 ||
	{ cat "$work/setup"; fail "Postfix does not take the tables"; }
quiet server read mx1
quiet connector add ours --domain tls454.test --via mx1/smtp --tls may
quiet push mx1 --yes --no-shadow

chapter "forty recipients, forecast"
grep . <<< "$recipients" | "$lab" ctl "$program" --json --no-input route mx1 - > "$work/forecast" 2> "$work/errors" ||
	{ cat "$work/errors"; fail "route says nothing"; }
prove "forty answers and five" is "$(wc -l < "$work/forecast")" 45
prove "the connector of ours is named where its row decides" \
	is "$(jq -r 'select(.connector != null) | "\(.address) \(.connector)"' "$work/forecast")" "a06@tls454.test ours"

chapter "and delivered, once"
# shellcheck disable=SC2016 # in the host
grep . <<< "$recipients" | "$lab" exec mx1 sh -c '
while read -r to from; do
	case $from in "") from=anna@lab.test ;; "<>") from= ;; esac
	printf "Subject: route %s %s\n\nHello.\n" "$to" "$from" | sendmail -f "$from" "$to"
done' || fail "sendmail takes no mail"
log() { "$lab" exec mx1 cat /var/log/mail.log; }
outcomes() { log | grep -oE 'postfix/[a-z/]*\[[0-9]+\]: [0-9A-Za-z]+: to=<.*status=(sent|deferred|bounced).*' > "$work/log"; }
recipients_of=$(jq -r 'if .recipients | length > 0 then [.recipients[] | select(.reason != "goes on to the members of the alias")][] | .recipient else empty end' "$work/forecast")
all_told() {
	local one
	outcomes
	grep -oE 'to=<[^>]*>' "$work/log" > "$work/told"
	for one in $recipients_of; do grep -qxF "to=<$one>" "$work/told" || { echo "nothing of $one"; return 1; }; done
}
until_true 60 all_told || { all_told; fail "not all mail met its fate"; }
# what the destinations took, and how: subject and TLS
# shellcheck disable=SC2016 # there
"$lab" exec dest sh -c 'cd /var/spool/destd && for f in */*.eml; do printf "%s " "$(head -n 1 "$f")"; grep -m 1 "^Subject:" "$f"; done' > "$work/taken"

# what the log tells of each recipient, and whether a destination took a mail in clear text
declare -A did clear said ends
while read -r line; do
	[[ $line =~ ^postfix/([a-z]+).*\ to=\<([^\>]*)\>.*\ relay=([^[,]*).*\ status=([a-z]+) ]] || continue
	case ${BASH_REMATCH[4]}${BASH_REMATCH[1]} in
	sentlocal) did[${BASH_REMATCH[2]}]="local local -" ;;
	sentdiscard) did[${BASH_REMATCH[2]}]="discard discarded -" ;;
	sent*) did[${BASH_REMATCH[2]}]="${BASH_REMATCH[1]} sent ${BASH_REMATCH[3]}" ;;
	deferred*) did[${BASH_REMATCH[2]}]="${BASH_REMATCH[1]} waits -" ;;
	bounced*) did[${BASH_REMATCH[2]}]="${BASH_REMATCH[1]} bounces -" ;;
	esac
done < "$work/log"
while read -r line; do
	[[ $line =~ TLS:\ null.*route\ ([^ ]+) ]] && clear[${BASH_REMATCH[1]}]=yes
done < "$work/taken"
right=0 all=0
while IFS='|' read -r address sender recipient forecast; do
	one=${did[$recipient]:-nothing}
	if [ -n "${clear[$address]:-}" ]; then one=${one/ sent / clear }; else one=${one/ sent / tls }; fi
	key="$address $sender"
	said[$key]="${said[$key]:-}, $forecast" ends[$key]="${ends[$key]:-} $recipient"
	did["of $key"]="${did["of $key"]:-}, $one"
done < <(jq -r '. as $way | .recipients[] | select(.reason != "goes on to the members of the alias")
	| "\($way.address)|\($way.sender // "")|\(.recipient)|\(if .transport == "retry" then "error" else .transport end) \(.fate) \(
	if .fate == "tls" or .fate == "clear" then (.reason | capture("is delivered to (?<host>[^ ]*)").host) else "-" end)"' "$work/forecast")
printf '  %-24s %-26s %-34s %s\n' address 'ends as' 'forecast' 'one real delivery'
while read -r address sender; do
	[ "$sender" = "<>" ] && sender=
	key="$address $sender" all=$((all + 1)) mark=' <<<'
	[ -n "${said[$key]:-}" ] && [ "${said[$key]}" = "${did["of $key"]}" ] && right=$((right + 1)) mark=
	printf '  %-24s %-26s %-34s %s%s\n' "$address" "${ends[$key]# }" "${said[$key]#, }" "${did["of $key"]#, }" "$mark"
done < <(grep . <<< "$recipients") > "$work/table"
cat "$work/table"
prove "the forecast is what happened: $right of $all" is "$right" 45

chapter "a policy row under the wrong key"
show route mx1 a26@bank.test
dead() { json '.unreachable_rows[] | "\(.source | sub(".*/"; "")) \(.key)"' route mx1 --no-look | sort; }
prove "the dead rows are found, and no other is called dead" is "$(dead | tr '\n' ';')" \
	"policy bank.test;policy gate.test;policy tls454.test;policy.text good.test;transport tls454.test;"
prove "before its repair mail for it left in clear text" grep -qE ' a26@bank.test +a26@bank.test +smtp clear mx.notls.test' "$work/table"

chapter "the repair, through the program"
prove "as JSON each row has its command" is "$(json '[.unreachable_rows[] | select((.command // "") | startswith("mxseal connector add bank.test "))] | length' route mx1 --no-look --repair)" 1
prove "and what is promised of an address is there, empty" is "$(json '[(has("fate"), has("level"), has("next_hop"), has("policy"), has("reason"), has("transport"))] | all' route mx1 --no-look)" true
repair=$(mx route mx1 --no-look --repair | grep '^mxseal connector add bank.test ')
prove "the command is told" [ -n "$repair" ]
echo "  $repair"
eval "quiet ${repair#mxseal }"
quiet push mx1 --yes --no-shadow
prove "now it would wait, and the connector is named" is "$(json '"\(.fate) \(.connector) \(.policy.key)"' route mx1 again@bank.test)" \
	"waits bank.test [mx.notls.test]:25"
send_mail again@bank.test
refused_for_lack_of_tls() { log | grep -F 'to=<again@bank.test>' | grep -q 'status=deferred (TLS is required, but was not offered'; }
prove "mail for it is refused instead of leaving in clear text" until_true 20 refused_for_lack_of_tls
