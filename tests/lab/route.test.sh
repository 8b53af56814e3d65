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
recipients_of() { jq -r 'if .recipients | length > 0 then [.recipients[] | select(.reason != "goes on to the members of the alias")][] | .recipient else empty end' "$work/forecast"; }
all_told() {
	local one
	outcomes
	for one in $(recipients_of); do grep -qF "to=<$one>" "$work/log" || { echo "nothing of $one"; return 1; }; done
}
until_true 60 all_told || { all_told; fail "not all mail met its fate"; }
# what the destinations took, and how: subject and TLS
# shellcheck disable=SC2016 # there
"$lab" exec dest sh -c 'cd /var/spool/destd && for f in */*.eml; do printf "%s " "$(head -n 1 "$f")"; grep -m 1 "^Subject:" "$f"; done' > "$work/taken"

# happened SUBJECT-ADDRESS RECIPIENT: transport and fate, from the log of the host and the record of the destination
happened() {
	local line transport relay status
	line=$(grep -F "to=<$2>" "$work/log" | grep -E "to=<$2>, (orig_to=<$1>, )?relay" | tail -n 1)
	[ -n "$line" ] || line=$(grep -F "to=<$2>" "$work/log" | tail -n 1)
	transport=$(sed -E 's|^postfix/([a-z]+).*|\1|' <<< "$line")
	relay=$(sed -E 's|.*relay=([^[,]*).*|\1|' <<< "$line")
	status=$(sed -E 's|.*status=([a-z]+).*|\1|' <<< "$line")
	case $status$transport in
	sentlocal) status=local relay=- ;;
	sentdiscard) status=discarded relay=- ;;
	sent*) if grep -F "route $1" "$work/taken" | grep -q 'TLS: null'; then status=clear; else status=tls; fi ;;
	deferred*) status=waits relay=- ;;
	bounced*) status=bounces relay=- ;;
	esac
	echo "$transport $status $relay"
}
forecast() { # of one recipient: transport, fate, and the host that takes it
	jq -r --arg a "$1" --arg s "$2" --arg r "$3" 'select(.address == $a and (.sender // "") == $s) | .recipients[] | select(.recipient == $r)
		| "\(if .transport == "retry" then "error" else .transport end) \(.fate) \(if .fate == "tls" or .fate == "clear"
		then (.reason | capture("is delivered to (?<host>[^ ]*)").host) else "-" end)"' "$work/forecast"
}
right=0 all=0
printf '  %-24s %-26s %-34s %s\n' address 'ends as' 'forecast' 'one real delivery'
while read -r to from; do
	[ "$from" = "<>" ] && from=
	said='' did='' ends=''
	for end in $(jq -r --arg a "$to" --arg s "$from" 'select(.address == $a and (.sender // "") == $s) | .recipients[]
		| select(.reason != "goes on to the members of the alias") | .recipient' "$work/forecast"); do
		ends="$ends $end" said="$said, $(forecast "$to" "$from" "$end")" did="$did, $(happened "$to" "$end")"
	done
	all=$((all + 1))
	if [ -n "$said" ] && [ "$said" = "$did" ]; then right=$((right + 1)) mark=; else mark=' <<<'; fi
	printf '  %-24s %-26s %-34s %s%s\n' "$to" "${ends# }" "${said#, }" "${did#, }" "$mark" | tee -a "$work/table"
done <<< "$(grep . <<< "$recipients")"
prove "the forecast is what happened: $right of $all" is "$right" 45

chapter "a policy row under the wrong key"
show route mx1 a26@bank.test
dead() { json '.unreachable_rows[] | "\(.source | sub(".*/"; "")) \(.key)"' route mx1 --no-look | sort; }
prove "the dead rows are found, and no other is called dead" is "$(dead | tr '\n' ';')" \
	"policy bank.test;policy gate.test;policy tls454.test;policy.text good.test;transport tls454.test;"
prove "before its repair mail for it left in clear text" grep -qE ' a26@bank.test +a26@bank.test +smtp clear mx.notls.test' "$work/table"

chapter "the repair, through the program"
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
