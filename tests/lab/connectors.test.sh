#!/bin/bash
# Connectors on a real host, by what the destinations themselves saw: smart hosts in order, ports, the level that bites at the
# smart host, and another one by another virtual server, logging in, fingerprints, wildcards, every domain, senders, ETRN. The
# password is in one file and nowhere else. A second push changes nothing, undo gives the bytes back.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

marker='Marker-7f3a Kennwort'       # lab-user's, as tests/lab/inside/destd.py knows it
{ echo "$marker"; cat "$work/passphrase"; } > "$work/two"

fingerprint() { # DESTINATION: of the certificate that it shows
	"$lab" ctl timeout 10 openssl s_client -starttls smtp -connect "mx.$1:25" < /dev/null 2> /dev/null |
		openssl x509 -outform DER | sha256sum | cut -d' ' -f1
}
add() { quiet connector add "$@" --via mx1; }

known_host mx1
before=$(configuration mx1)

chapter "what is wanted"
add order --domain order.test --smart-host '[mx.refused.test]:587' --smart-host '[mx.relay.test]:587' --tls encrypt
add plain --domain plain.test --smart-host '[mx.notls.test]' --tls encrypt
add print --domain print.test --smart-host '[mx.selfsigned.test]' --tls secure --match "sha256:$(fingerprint selfsigned.test)"
add misprint --domain misprint.test --smart-host '[mx.wrongname.test]' --tls secure --match "sha256:$(printf '%064d' 0)"
add wild --domain '*.wild.test' --smart-host 'relay.test:587' --tls verify
add exact --domain exact.wild.test,90 --smart-host '[mx.good.test]' --tls secure --match mx.good.test
add all --domain '*' --smart-host '[mx.reqtls.test]' --tls encrypt
add sales --domain '*' --sender @sales.test --smart-host '[mx.relay.test]' --tls encrypt
add direct --domain good.test --tls encrypt
add branch --domain branch.test --smart-host '[mx.relay.test]:25' --tls encrypt --delivery etrn
add loser --domain order.test,7 --tls none
quiet vs add mx1 second --listen none
quiet connector add open --domain open.test --smart-host '[mx.notls.test]' --tls none --via mx1/second
"$lab" ctl "$program" --no-input --passphrase-fd 9 connector add login --domain login-only.test --via mx1 --tls verify \
	--smart-host '[mx.login.test]:587' --auth-user lab-user 9< "$work/two" > "$work/added" 2>&1 || { cat "$work/added"; fail "no login"; }
prove "the password has to be asked for: there is no option for it" status_is 2 connector set login --password x
prove "a level at which the password could travel in clear is refused" status_is 2 connector set login --tls may
prove "who loses an address space is told" [ "$(json '.troubles | length' connector show loser)" = 1 ]
prove "a plan without the passphrase asks for it" bash -c "! '$lab' ctl '$program' --no-input plan mx1 > '$work/asked' 2>&1 && grep -q passphrase '$work/asked'"
mx plan mx1 > "$work/plan" 2>&1
prove "the plan says what stands in the file that is not shown" grep -q 'not shown: the password of lab-user at \[mx.login.test\]:587' "$work/plan"
prove "it says that no mail can reach the loser" grep -q 'connector loser: no mail can reach it' "$work/plan"

chapter "one push"
echo "${marker% *}" > "$work/marks"
prove "the watch sees what it looks for" watch_sees "$work/marks"
watch_processes "$work/marks"
mx push mx1 --yes > "$work/push" 2>&1 || { cat "$work/push"; fail "the push ended with a failure"; }
end_watch
prove "a second push changes nothing" [ "$(json 'select(.result) | .result' push mx1 --yes)" = unchanged ]

chapter "what the destinations saw"
mails="order.test plain.test print.test misprint.test a.wild.test exact.wild.test else.test good.test branch.test login-only.test open.test"
for domain in $mails; do mail_from user@mx1.lab.test "$who@$domain"; done
mail_from anna@sales.test "$who@elsewhere.test"
prove "the second smart host took what the first refused to talk about" until_true 30 arrived relay.test "$who@order.test"
prove "at the port that was said, inside TLS" is "$(took relay.test "$who@order.test" '"\(.port) \(.tls.version)"')" "587 TLSv1.3"
prove "mail waits when the smart host has no TLS" until_true 30 reason_known plain.test
prove "and says so" grep -q 'TLS is required' <<< "$(reason plain.test)"
prove "nobody took it" nowhere "$who@plain.test"
prove "by another virtual server the same smart host takes mail in clear" until_true 30 arrived notls.test "$who@open.test"
prove "which left by its own client" "$lab" exec mx1 grep -q "postfix/second-out/smtp.*to=<$who@open.test>.*status=sent" /var/log/mail.log
prove "a fingerprint that fits" until_true 30 with_tls selfsigned.test "$who@print.test"
prove "mail waits where it does not" until_true 30 reason_known misprint.test
prove "nobody took that" nowhere "$who@misprint.test"
prove "a wildcard" until_true 30 with_tls relay.test "$who@a.wild.test"
prove "the exact domain goes its own way, whatever it costs" until_true 30 with_tls good.test "$who@exact.wild.test"
prove "every other domain goes to the smart host of *" until_true 30 with_tls reqtls.test "$who@else.test"
prove "the domain by DNS does not" until_true 30 with_tls good.test "$who@good.test"
prove "a sender's smart host" until_true 30 with_tls relay.test "$who@elsewhere.test"
prove "logged in as lab-user" until_true 30 arrived login.test "$who@login-only.test"
prove "inside TLS" is "$(took login.test "$who@login-only.test" '"\(.user) \(.port) \(.tls.version)"')" "lab-user 587 TLSv1.3"

chapter "ETRN"
prove "mail for the branch waits" until_true 20 reason_known branch.test
prove "because nobody asked" grep -q 'deferred transport' <<< "$(reason branch.test)"
prove "nobody took it" nowhere "$who@branch.test"
# shellcheck disable=SC2016 # expanded by the shell inside
"$lab" ctl timeout 10 bash -c 'exec 3<> /dev/tcp/mx1.lab.test/25; printf "EHLO branch.test\r\nETRN branch.test\r\nQUIT\r\n" >&3; cat <&3' > "$work/etrn"
prove "ETRN is taken" grep -q '^250 Queuing started' "$work/etrn"
prove "and brings the mail, inside TLS" until_true 30 with_tls relay.test "$who@branch.test"

chapter "the password"
prove "it was in no argument and no environment while pushed" is "$(cat "$work/seen")" ""
prove "it is in no text of ours, and not in the store" bash -c "! grep -rqF 'Marker-7f3a' '$here' '$work/plan' '$work/push' '$work/added'"
prove "on the host one file has it" is "$("$lab" exec mx1 grep -rlF Marker-7f3a /etc /var /root /tmp /home /usr/local 2> /dev/null)" \
	"$("$lab" exec mx1 postconf -h smtp_sasl_password_maps | sed 's/texthash://')"
prove "which only root can read" is "$("$lab" exec mx1 sh -c 'stat -c "%a %U" /etc/mxseal/*/sasl_passwd')" "600 root"

chapter "undo"
quiet undo mx1
prove "main.cf and master.cf are as they were" is "$(configuration mx1)" "$before"
