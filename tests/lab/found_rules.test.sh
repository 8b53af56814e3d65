#!/bin/bash
# The administrator's own rules of an existing host are shown with where they stand, from maps with and without a source; one is
# taken over only when asked: after the push ours stands in front and does the same, and his files keep every byte.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

known_host mx1
# shellcheck disable=SC2016 # expanded in the host
"$lab" exec mx1 sh -c 'cd /etc/postfix && printf "bank.test  smtp:[mx.good.test]\n# a comment\nshop.test  smtp:[mx.relay.test]:587\nold.test  error:gone\n" > transport &&
	postmap transport && printf "[mx.good.test]  encrypt\n" > policy && postmap policy && rm policy && printf "/^lists\\./  smtp:[mx.relay.test]\n" > lists &&
	postconf -e "transport_maps = hash:/etc/postfix/transport, regexp:/etc/postfix/lists" "smtp_tls_policy_maps = hash:/etc/postfix/policy" \
	"sender_dependent_relayhost_maps = inline:{ { @sales.test = [mx.relay.test] } }" && postfix reload' 2> /dev/null
files() { "$lab" exec mx1 sh -c 'cd /etc/postfix && sha256sum transport transport.db policy.db lists'; }
found() { json ".found[] | select(.kind == \"$1\" and .key == \"$2\") | .value" connector list --found; }
quiet server read mx1
his=$(files)

chapter "found"
show connector list --found
prove "a transport row" is "$(found transport bank.test)" "smtp:[mx.good.test]"
prove "a policy row of which only the compiled map is there" is "$(found policy '[mx.good.test]')" encrypt
prove "a pattern" is "$(found transport '/^lists\\./')" "smtp:[mx.relay.test]"
prove "a sender's relay" is "$(found sender-relay @sales.test)" "[mx.relay.test]"
prove "nothing is taken over unasked" [ "$(json '.connectors | length' connector list)" = 0 ]

chapter "taken over"
prove "what no connector can say is refused" status_is 2 connector take mx1 old.test
show connector take mx1 bank.test --name bank
quiet push mx1 --yes --no-shadow
prove "his files keep every byte" is "$(files)" "$his"
mail_from user@mx1.lab.test "$who@bank.test"
prove "ours stands in front and does the same" until_true 30 with_tls good.test "$who@bank.test"
prove "by our own rows" grep -q 'texthash:/etc/mxseal/.*hash:/etc/postfix/transport' <("$lab" exec mx1 postconf -h transport_maps)
quiet undo mx1 --to 0
prove "undone, his rules are alone again" [ "$("$lab" exec mx1 postconf -h smtp_tls_policy_maps)" = hash:/etc/postfix/policy ]
