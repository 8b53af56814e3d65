#!/bin/bash
# The two recipes on a real host, by what the destinations themselves saw: TLS to selected domains, mail leaves with TLS or
# waits; TLS everywhere but a few, everything with TLS and the few in the clear. A second push changes nothing; each is one
# edit that is undone as a whole; the host's undo gives the bytes back.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
push() { quiet push mx1 --yes --no-shadow; }
in_clear() { [ "$(took "$1" "$2" .tls.version)" = null ] && arrived "$1" "$2"; }
to() { for at in "$@"; do mail_from user@mx1.lab.test "$who@$at"; done; }

known_host mx1
before=$(configuration mx1)

chapter "TLS to selected domains"
prove "a level below TLS is none of its levels" status_is 2 recipe tls-to partner --domain good.test --tls may --via mx1
prove "every domain is not what it is for" status_is 2 recipe tls-to partner --domain '*' --via mx1
show recipe tls-to partner --domain good.test --domain notls.test --tls encrypt --via mx1 --reason "contract"
push
to good.test notls.test wrongname.test
prove "mail to a selected domain leaves with TLS" until_true 30 with_tls good.test "$who@good.test"
prove "or waits" until_true 30 reason_known notls.test
prove "nobody took it" nowhere "$who@notls.test"
prove "all other mail goes on as before" until_true 30 in_clear wrongname.test "$who@wrongname.test"
prove "a second push changes nothing" [ "$(json 'select(.result) | .result' push mx1 --yes --no-shadow)" = unchanged ]
show edits undo
prove "undone here, the connector is not there any more" status_is 2 connector show partner
show edits redo
show edits undo
push

chapter "TLS everywhere but a few"
who=second$$
prove "it is asked before" status_is 2 recipe tls-except mx1 --domain notls.test
prove "with figures" grep -q 'no figures yet.*mxseal traffic mx1' "$work/err"
show recipe tls-except mx1 --domain notls.test --reason "old box" --yes
prove "it is one edit" [ "$(json '[.edits[] | select(.undone | not)] | length' edits)" = 1 ]
mx plan mx1 > "$work/plan" 2>&1
prove "one plan has all three" grep -q 'clear-out:' "$work/plan"
push
to good.test notls.test wrongname.test tlsclose.test
prove "mail leaves with TLS" until_true 30 with_tls good.test "$who@good.test"
prove "everywhere" until_true 30 with_tls wrongname.test "$who@wrongname.test"
prove "the few get theirs in the clear" until_true 30 in_clear notls.test "$who@notls.test"
prove "who cannot do TLS and is none of them does not" until_true 30 reason_known tlsclose.test
prove "nobody took that" nowhere "$who@tlsclose.test"
prove "a second push changes nothing" [ "$(json 'select(.result) | .result' push mx1 --yes --no-shadow)" = unchanged ]
quiet undo mx1 --to 0
prove "the host's undo gives the bytes back" is "$(configuration mx1)" "$before"
show edits undo
prove "undone here, nothing of it is wanted" [ "$(json '.virtual_servers | map(select(.name == "clear" and .ours != "removed")) | length' vs list mx1)" = 0 ]
