#!/bin/bash
# The whole job on the command line, from a mail host nobody has seen to mail that waits and the reason why, each step proved
# from outside of mxseal. Status 0 only when all were. `./run demo --headless` prepares what it needs:
#   MXSEAL_LAB the lab's script (up, mx1 as built), MXSEAL_PROGRAM, MXSEAL_STORE (a file not there yet), MXSEAL_SSH_CONFIG
set -uo pipefail
# shellcheck source=tests/lab/prove.sh
. "$(dirname "$(readlink -f "$0")")/../lab/prove.sh"

chapter "A mail host that mxseal has never seen"
prove "mx1 offers no STARTTLS now" no_starttls mx1
show server add mx1 mx1 --become none
fingerprint=$(fingerprint_of mx1)
refused 4 server trust mx1 --fingerprint SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
show server trust mx1 --fingerprint "$fingerprint"
before=$(configuration mx1)
show server read mx1
show server show mx1
prove "it was found to run Postfix" is "$(json .system server show mx1)" postfix
prove "reading changed nothing there" is "$(configuration mx1)" "$before"

chapter "A certificate from an own authority; its key is made on the mail host"
show authority add own demo-ca --cn "Demonstration CA"
mx authority certificate demo-ca > "$work/ca.pem" || fail "no certificate of the authority"
show cert request mx1 --cn mx1.lab.test --o "Example Ltd" --country GB --authority demo-ca
show cert show mx1
wanted=$(json .sha256 cert show mx1)
prove "the certificate is for mx1.lab.test" is "$(json '.san | join(" ")' cert show mx1)" mx1.lab.test
no_key_here() { ! grep -aq 'BEGIN.*PRIVATE KEY' "$MXSEAL_STORE"*; }
prove "no private key stands in the store" no_key_here

chapter "What the host shall do"
show vs set mx1 inbound.tls=offer outbound.tls=encrypt --yes
show plan mx1
prove "the plan touched nothing" is "$(configuration mx1)" "$before"

chapter "The push"
show push mx1 --yes
prove "mx1 offers STARTTLS now" offers_starttls mx1
foreign_client mx1 > "$work/client" || true
openssl x509 -in "$work/client" -outform DER -out "$work/served.der" 2> /dev/null || fail "the foreign client got no certificate"
served=$(sha256sum < "$work/served.der" | cut -d' ' -f1)
prove "the certificate a foreign client gets is the one that was made" is "$served" "$wanted"
prove "its chain and its name are good to that client" grep -q 'Verify return code: 0 (ok)' "$work/client"
generation=$(configuration mx1)
show push mx1 --yes
prove "a second push changed nothing" is "$(configuration mx1)" "$generation"

chapter "Mail that can be secured leaves, mail that cannot waits"
send_mail someone@good.test
send_mail someone@notls.test
good_taken() { "$lab" exec dest grep -qs '"version": "TLSv1' /var/spool/destd/good.test/000001.eml; }
prove "good.test got its message over TLS" until_true 20 good_taken
prove "the message for notls.test waits" until_true 20 reason_known notls.test
echo "  Postfix says: $(reason notls.test)"
show queue mx1
group='.groups[] | select(.key == "notls.test")'
prove "the queue view counts it" is "$(json "$group | .messages" queue mx1)" 1
prove "and says that the other side offers no TLS" is "$(json "$group | .class" queue mx1)" tls-not-offered
reason notls.test > "$work/reason"
prove "classify says so too, from the text alone" is "$(json '[.class, .side] | join(" ")' classify "$work/reason")" \
	"tls-not-offered theirs"
show diagnose mx1 notls.test
prove "the diagnosis names class and side" is "$(json '[.class, .side] | join(" ")' diagnose mx1 notls.test)" \
	"tls-not-offered theirs"

chapter "What was done"
show history

cat <<END

All proved. What an independent client, openssl s_client -starttls smtp, got from mx1.lab.test:25 at the end:

$(openssl x509 -inform DER -in "$work/served.der" -noout -subject -issuer -dates | sed 's/^/  /')
  sha256 served $served
  sha256 pushed $wanted
END
[ "$served" = "$wanted" ]
