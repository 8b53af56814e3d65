#!/bin/bash
# Two certificates on one virtual server, one with an EC key and one with an RSA key: each peer gets the one it understands. The
# second is requested, assigned, renewed, removed by itself; two of the same kind are refused; all of it is undone byte for byte.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

who_takes() { # OPTION...: the certificate that a client with these limits gets
	"$lab" ctl timeout 10 openssl s_client -starttls smtp -connect mx1.lab.test:25 -servername mx1.lab.test "$@" < /dev/null 2>&1 |
		openssl x509 2> /dev/null
}
rsa_only() { who_takes -tls1_2 -cipher aRSA; }
rsa_only13() { who_takes -tls1_3 -sigalgs rsa_pss_rsae_sha256; }
ec_only() { who_takes -tls1_2 -cipher aECDSA; }
ec_only13() { who_takes -tls1_3 -sigalgs ecdsa_secp256r1_sha256; }
sha() { openssl x509 -outform DER | sha256sum | cut -d' ' -f1; }
wanted() { json "[.certificates[] | select(.id == $1)][0].sha256" cert list; }

known_host mx1
before=$(configuration mx1)
chapter "the second beside the first"
quiet authority add own ca --cn "Test CA" --days 3650
prove "no second without a first" bash -c "! '$lab' ctl '$program' --no-input cert request mx1 --cn mx1.lab.test --second --out '$work/none.pem' 2> '$work/said' && grep -q 'no certificate of ours yet' '$work/said'"
quiet cert request mx1 --cn mx1.lab.test --authority ca
quiet vs set mx1 inbound.tls=offer
prove "the same kind of key is refused before a key is made" bash -c "! '$lab' ctl '$program' --no-input cert request mx1 --cn mx1.lab.test --second --key ec-p384 --out '$work/none.pem' 2> '$work/said' && grep -q 'has an EC key as well' '$work/said' && grep -q -- '--key rsa-2048' '$work/said'"
quiet push mx1 --yes
quiet cert request mx1 --cn mx1.lab.test --second --authority ca
prove "the plan proves each for who takes only that" bash -c "MXSEAL_STORE='$MXSEAL_STORE' '$lab' ctl '$program' --no-input plan mx1 > '$work/plan'; grep -q 'to who takes only RSA keys' '$work/plan' && grep -q 'to who takes only EC keys' '$work/plan'"
quiet push mx1 --yes
ec=$(json '.virtual_servers[0].wanted_certificate // .wanted_certificate' vs show mx1)
rsa=$(json '.virtual_servers[0].wanted_second // .wanted_second' vs show mx1)
prove "who takes RSA only gets the RSA one" is "$(rsa_only | sha)" "$(wanted "$rsa")"
prove "with TLS 1.3 too" is "$(rsa_only13 | sha)" "$(wanted "$rsa")"
prove "who takes EC only gets the EC one" is "$(ec_only | sha)" "$(wanted "$ec")"
prove "with TLS 1.3 too" is "$(ec_only13 | sha)" "$(wanted "$ec")"
prove "both are found and in use" is "$(json '[.certificates[] | select(.state == "in use")] | length' cert list)" 2
prove "a second push changes nothing" is "$("$lab" ctl "$program" --json --no-input push mx1 --yes | jq -r 'select(.result) | .result')" unchanged
prove "nothing has drifted" mx drift mx1

chapter "renewed, by hand and when it is due"
quiet cert renew mx1 --second --new-key --authority ca --use
again=$(json '.virtual_servers[0].wanted_second // .wanted_second' vs show mx1)
prove "another one now" [ "$again" != "$rsa" ]
prove "served" is "$(rsa_only | sha)" "$(wanted "$again")"
prove "the first stays" is "$(ec_only | sha)" "$(wanted "$ec")"

# as if it had lasted since 1970: less than a third of its life is left
sqlite3 "$MXSEAL_STORE" "UPDATE certificate SET not_before = 0 WHERE id = $again"
prove "check --renew renews the second alone, at the own authority" is "$(json 'select(.renewed) | [.renewed[] | select(.ok)] | length' check --renew --no-dns)" 1
due=$again
again=$(json '.virtual_servers[0].wanted_second // .wanted_second' vs show mx1)
prove "another one now" [ "$again" != "$due" ]
prove "served" is "$(rsa_only | sha)" "$(wanted "$again")"
prove "the first stays" is "$(ec_only | sha)" "$(wanted "$ec")"

chapter "changed by hand, put back"
# shellcheck disable=SC2016 # expanded in the host
"$lab" exec mx1 sh -c 'postconf -e "smtpd_tls_chain_files=$(postconf -h smtpd_tls_chain_files | cut -d, -f1)" && postfix reload' > /dev/null 2>&1
quiet server read mx1
prove "drift names the second" bash -c "'$lab' ctl '$program' --no-input drift mx1 | grep -q 'second certificate'"
quiet push mx1 --yes
prove "served again" is "$(rsa_only | sha)" "$(wanted "$again")"

chapter "removed, and all undone"
quiet cert remove mx1 --second
quiet push mx1 --yes
prove "who takes RSA only gets nothing" [ -z "$(rsa_only)" ]
prove "the EC one is served" is "$(ec_only | sha)" "$(wanted "$ec")"
quiet edits undo
quiet push mx1 --yes
prove "undone, it is back" is "$(rsa_only | sha)" "$(wanted "$again")"
quiet undo mx1 --to 0
prove "everything undone: byte for byte" is "$(configuration mx1)" "$before"
