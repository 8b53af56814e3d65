#!/bin/bash
# The work-around on a real host: what is stuck leaves at once, in the clear and nothing else; the destination heals, the exception
# retires by itself and the next mail is TLS by the destination's own record; one that falls back comes back, and one that
# alternates changes at most once a day. Days pass by MXSEAL_NOW, the tests' clock.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
start=$(date +%s)
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
state() { json ".workarounds[] | select(.domain == \"$1\") | .state" workaround | head -1; }
# retire HOURS: what a timer does; its findings are no failure
retire() {
	at "$1" watch --once --retire --no-shadow > "$work/round" 2>&1
	[ $? -le 1 ] || { sed 's/^/  | /' "$work/round"; fail "the round at $1 h failed"; }
}
healthy_rounds() { # FROM HOURS...: rounds until it may be trusted
	local hour
	for hour; do retire "$hour"; done
}
changes() { json '[.activity[] | select(.verb == "workaround")] | length' history --limit 1000; }

known_host mx1
turned good.test notls
quiet vs set mx1 outbound.tls=encrypt --yes
quiet push mx1 --yes --no-shadow

chapter "Stuck mail leaves"
for i in 1 2 3; do mail_from user@mx1.lab.test "$who$i@good.test"; done
mail_from user@mx1.lab.test "$who@notls.test"
prove "mail waits" until_true 30 reason_known good.test
prove "a work-around that would not help is refused" status_is 2 workaround mx1 tempfail.test
seconds=$SECONDS
show workaround mx1 good.test --reason "their relay was replaced" --yes --no-shadow
echo "  from the command to the last message: $((SECONDS - seconds)) s"
for i in 1 2 3; do prove "message $i left, in the clear" until_true 5 in_clear good.test "$who$i@good.test"; done
prove "nothing else did" nowhere "$who@notls.test"
prove "its evidence is kept" [ "$(json '.workarounds[0] | [.state, .level, .reason, (.evidence | length > 20)] | join(" ")' workaround)" = "open encrypt their relay was replaced true" ]

chapter "It retires by itself"
healthy_rounds 1 26
prove "as long as they cannot, nothing changes" [ "$(state good.test)" = open ]
turned good.test good
healthy_rounds 30 38 46
prove "nor after a few good looks" [ "$(state good.test)" = open ]
at 55 check --no-dns > "$work/check" 2>&1
prove "a check without consent only offers it" grep -q 'good.test does TLS again' "$work/check"
prove "and changes nothing" [ "$(state good.test)" = open ]
retire 56
prove "with consent it is ended" [ "$(state good.test)" = proving ]
mail_from user@mx1.lab.test "$who-after@good.test"
prove "the next mail is TLS by the destination's own record" until_true 20 with_tls good.test "$who-after@good.test"
retire 57
prove "and then it is over" [ "$(state good.test)" = ended ]
prove "nothing of it is left on the host" [ -z "$("$lab" exec mx1 grep notls-out /etc/postfix/master.cf)" ]

chapter "One that falls back"
turned good.test notls
mail_from user@mx1.lab.test "$who-back@good.test"
prove "mail waits again" until_true 30 reason_known good.test
quiet workaround mx1 good.test --yes --no-shadow
prove "and leaves" until_true 20 in_clear good.test "$who-back@good.test"
MXSEAL_NOW=$((start + 60 * 3600)) quiet workaround end good.test --yes --no-shadow
mail_from user@mx1.lab.test "$who-fall@good.test"
prove "ended by hand too early, mail waits" until_true 30 reason_known good.test
retire 61
prove "it comes back by itself" [ "$(state good.test)" = open ]
prove "and the mail leaves" until_true 20 in_clear good.test "$who-fall@good.test"

chapter "One that alternates"
before=$(changes)
for day in 0 1 2 3; do
	turned good.test good
	healthy_rounds $((day * 24 + 70)) $((day * 24 + 76))
	turned good.test notls
	healthy_rounds $((day * 24 + 82)) $((day * 24 + 88))
done
echo "  changes in four days: $(($(changes) - before))"
prove "it changes at most once a day" [ $(($(changes) - before)) -le 4 ]
prove "mail goes on" [ "$(state good.test)" = open ]
at $((40 * 24)) check --no-dns > "$work/check" 2>&1
prove "a day of review that has passed is an alarm, and mail goes on" grep -q 'was to be reviewed on' "$work/check"
"$lab" exec dest rm -r /etc/destd/turned
