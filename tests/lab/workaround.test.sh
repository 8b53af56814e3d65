#!/bin/bash
# The work-around on two real hosts: what is stuck leaves at once, in the clear and nothing else. When the destination heals, and all
# senders see it, it goes on trial, falls back there without any change, holds, and is over after its first mail was TLS by the host's
# log and by the destination's own record. One that was ended too early comes back. Days pass by MXSEAL_NOW, the tests' clock.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
start=$(date +%s)
faults=$(dirname "$(readlink -f "$0")")/lib/faults.py
net=${LAB_NET:-198.51.100}
strip=
trap '[ -z "$strip" ] || kill "$strip"; end_watch; rm -rf "$work" "$here"' EXIT
at() { # HOURS WORD...: a command so many hours from now
	local hours=$1
	shift
	MXSEAL_NOW=$((start + hours * 3600)) mx "$@"
}
turned() { # DOMAIN BEHAVIOUR: from now on it behaves so
	# shellcheck disable=SC2016 # expanded in the host
	"$lab" exec dest sh -c 'mkdir -p /etc/destd/turned; echo "$2" > /etc/destd/turned/$1' - "$1" "$2"
}
in_clear() { [ "$(took "$1" "$2" .tls.version)" = null ] && arrived "$1" "$2"; }
of_it() { json ".workarounds[] | select(.domain == \"$1\") | $2" workaround | head -1; }
state() { of_it "$1" .state; }
# round HOURS: what a timer does; its findings are no failure
round() {
	at "$1" watch --once --retire --no-shadow > "$work/round" 2>&1
	[ $? -le 1 ] || { sed 's/^/  | /' "$work/round"; fail "the round at $1 h failed"; }
}
rounds() { # HOURS...
	local hour
	for hour; do round "$hour"; done
}
tries() { "$lab" exec mx1 grep -c "to=<$who-all@$1>.* status=deferred" /var/log/mail.log; }
changes() { json '[.activity[] | select(.verb == "push" and .result == "ok")] | length' history --limit 1000; }

known_host mx1
known_host mx2
turned good.test notls
quiet vs set mx1 outbound.tls=encrypt log.tls=summary --yes
quiet vs set mx2 outbound.tls=encrypt --yes
# a proxy for mx2's way to good.test is to listen beside its smtpd
"$lab" exec mx2 sh -c 'postconf -e inet_interfaces=loopback-only && postfix abort; postfix start' > "$work/mx2" 2>&1
quiet server read mx2
quiet connector add strict --domain pix.test --tls encrypt --via mx1
quiet push mx1 mx2 --yes --no-shadow

chapter "A lower level for all mail, kept later"
for domain in notls.test pix.test tempfail.test; do mail_from user@mx1.lab.test "$who-all@$domain"; done
for domain in notls.test pix.test tempfail.test; do until_true 30 reason_known "$domain"; done
quiet vs set mx1 outbound.tls=may --yes
quiet push mx1 --yes --no-shadow --no-keep
prove "nothing is set going before it is kept" nowhere "$who-all@notls.test"
mx keep mx1 > "$work/keep" 2>&1
sed 's/^/  /' "$work/keep"
prove "what TLS held up is tried again, and told" grep -q '^mx1: 1 of 1 message for all that TLS holds up has left' "$work/keep"
prove "it left in the clear" until_true 5 in_clear notls.test "$who-all@notls.test"
prove "what has a connector of its own was not tried" is "$(tries pix.test)" 1
prove "nor what waits for other reasons" is "$(tries tempfail.test)" 1
quiet vs set mx1 outbound.tls=encrypt --yes
quiet push mx1 --yes --no-shadow

chapter "Stuck mail leaves"
for i in 1 2 3; do mail_from user@mx1.lab.test "$who$i@good.test"; done
mail_from user@mx1.lab.test "$who@notls.test"
prove "mail waits" until_true 30 reason_known good.test
prove "a work-around that would not help is refused" status_is 2 workaround mx1 tempfail.test
quiet connector add before --domain good.test --tls verify --via mx1
seconds=$SECONDS
show workaround mx1 good.test --reason "their relay was replaced" --yes --no-shadow
echo "  from the command to the last message: $((SECONDS - seconds)) s"
for i in 1 2 3; do prove "message $i left, in the clear" until_true 5 in_clear good.test "$who$i@good.test"; done
prove "nothing else did" nowhere "$who@notls.test"
prove "its evidence is kept" is "$(of_it good.test '[.state, .level, .reason, (.evidence | length > 20)] | join(" ")')" \
	"open encrypt their relay was replaced true"
quiet connector remove before
quiet workaround mx2 good.test --no-push
prove "the second sender has joined it" is "$(of_it good.test '.servers | join(" ")')" "mx1 mx2"
prove "there is one already" status_is 2 workaround mx2 good.test
prove "its host is not forgotten meanwhile" status_is 4 server remove mx2 --yes
quiet workaround mx1 idle.test --anyway --no-push          # that nobody uses
quiet push mx1 mx2 --yes --no-shadow

chapter "Good from all senders, or it stays"
"$lab" exec mx2 ip addr add "$net.100/32" dev lo
"$lab" ctl python3 "$faults" strip "${LAB_ID:-mxseal}-mx2" "$net.100" > /dev/null 2>&1 &
strip=$!
turned good.test good
rounds 30 38 46 54
prove "good from mx1 for a day, and open: something strips TLS from the way of mx2" is "$(of_it good.test \
	'[.state, (.looks[] | .server + ":" + (if .bad then "bad" else (.good | tostring) end))] | join(" ")')" "open mx1:4 mx2:bad"
kill "$strip"
strip=
"$lab" exec mx2 ip addr del "$net.100/32" dev lo
rounds 55 63 71
{ printf 'Host mx2\n\tPort 9\n'; cat "$MXSEAL_SSH_CONFIG"; } > "$work/no_mx2"
MXSEAL_SSH_CONFIG=$work/no_mx2 at 79 watch --once --retire --no-shadow > "$work/unreached" 2>&1
prove "who cannot be reached in the hour of it is named" grep -q 'good.test: not looked at from mx2: ' "$work/unreached"
prove "and nothing is changed" is "$(state good.test)" open
at 80 check --no-dns > "$work/check" 2>&1
prove "a check without consent only offers it" grep -q 'good.test does TLS again' "$work/check"
prove "and changes nothing" is "$(state good.test)" open

chapter "On trial"
round 80
cat "$work/round"
prove "with consent it is on trial" is "$(state good.test)" trial
before=$(changes)
turned good.test notls
mail_from user@mx1.lab.test "$who-clear@good.test"
prove "it falls back, and mail goes on" until_true 20 in_clear good.test "$who-clear@good.test"
round 86
prove "without any change" is "$(state good.test) $(changes)" "trial $before"
turned good.test good
mail_from user@mx1.lab.test "$who-tls@good.test"
prove "it heals, and the next mail is TLS" until_true 20 with_tls good.test "$who-tls@good.test"
rounds 90 106 122
prove "after a fall a day is too short" is "$(state good.test)" trial
round 139
prove "two days do: the level of before holds again" is "$(state good.test)" proving
mail_from user@mx1.lab.test "$who-after@good.test"
prove "the next mail is TLS by the destination's own record" until_true 20 with_tls good.test "$who-after@good.test"
round 140
proof=$(of_it good.test .proof)
echo "  the host's log: $proof"
prove "and by the log of the host: the same version and cipher" grep -qF "left mx1 with TLS: " <<< "$proof"
prove "that is not made up" grep -qF "$(took good.test "$who-after@good.test" '.tls.version + " with cipher " + .tls.cipher')" <<< "$proof"
prove "it is watched for a day more" is "$(state good.test)" proving
round 163
prove "and then it is over" is "$(of_it good.test .state)" ended
prove "nothing of it is left on the hosts" [ -z "$("$lab" exec mx2 grep notls-out /etc/postfix/master.cf)" ]
json '.activity[] | select(.verb == "workaround") | .at + " " + .who + " " + (.text | split("\n") | .[0])' history --limit 1000 | sed 's/^/  /'
prove "who, when, why and the evidence stand in the activities" [ "$(json '[.activity[] | select(.verb == "workaround" and
	(.text | startswith("good.test")) and (.text | test("\nmx1: .*\nmx2: ")))] | length' history --limit 1000)" = 3 ]

chapter "One that falls back"
turned good.test notls
mail_from user@mx1.lab.test "$who-back@good.test"
prove "mail waits again" until_true 30 reason_known good.test
MXSEAL_NOW=$((start + 164 * 3600)) quiet workaround mx1 good.test --yes --no-shadow
prove "and leaves" until_true 20 in_clear good.test "$who-back@good.test"
MXSEAL_NOW=$((start + 165 * 3600)) quiet workaround end good.test --yes --no-shadow
mail_from user@mx1.lab.test "$who-fall@good.test"
prove "ended by hand too early, mail waits" until_true 30 reason_known good.test
round 166
prove "it comes back by itself" is "$(state good.test)" open
prove "and the mail leaves" until_true 20 in_clear good.test "$who-fall@good.test"

chapter "Those that are forgotten"
at $((40 * 24)) check --no-dns > "$work/check" 2>&1
cat "$work/check"
prove "a day of review that has passed is an alarm" grep -q '^! good.test: the work-around was to be reviewed on' "$work/check"
mail_from user@mx1.lab.test "$who-late@good.test"
prove "and mail goes on" until_true 20 in_clear good.test "$who-late@good.test"
prove "one that no mail took is shown" grep -q '^? idle.test: no mail took its work-around for 30 days' "$work/check"
prove "and one that mail took is not" [ "$(grep -c 'no mail took' "$work/check")" = 1 ]

if [ "${MXSEAL_LONG:-no}" = yes ]; then
	chapter "One that alternates"
	before=$(changes)
	for day in 0 1 2 3; do
		turned good.test good
		rounds $((day * 24 + 1000)) $((day * 24 + 1006))
		turned good.test notls
		rounds $((day * 24 + 1012)) $((day * 24 + 1018))
	done
	echo "  changes in four days: $(($(changes) - before))"
	prove "it changes at most once a day" [ $(($(changes) - before)) -le 4 ]
	prove "mail goes on" is "$(state good.test)" open
fi
"$lab" exec dest rm -r /etc/destd/turned
