#!/bin/bash
# The certificate's two ways onto a host: at once by an own authority, and later by a file that is carried to an authority and
# back. Each is proved by a foreign client; the private key never leaves the host.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

chapter "at once"
known_host mx1
own_ca_certificate mx1
quiet vs set mx1 inbound.tls=offer
show push mx1 --yes
prove "a foreign client gets the certificate" is "$(served_sha256 mx1)" "$(json .sha256 cert show mx1)"
foreign_client mx1 > "$work/client" || true
prove "it trusts chain and name" grep -q 'Verify return code: 0 (ok)' "$work/client"

chapter "later: a request, carried to an authority outside"
quiet cert request mx1 --cn mx1.lab.test --o "Exämple, \"Ltd\"" --country GB --out "$work/req.pem"
openssl req -in "$work/req.pem" -noout -verify -text > "$work/req.txt" 2>&1
prove "openssl reads the request" grep -q 'Certificate request self-signature verify OK' "$work/req.txt"
prove "it holds the organisation as typed" grep -q 'Ex\\C3\\A4mple, \\"Ltd\\"\|Exämple' "$work/req.txt"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/other.key" -out "$work/other.pem" -days 365 -subj "/CN=Outside CA" 2> /dev/null
printf 'subjectAltName=DNS:mx1.lab.test\nextendedKeyUsage=serverAuth\n' > "$work/ext"
sign() { # DAYS FILE
	openssl x509 -req -in "$work/req.pem" -CA "$work/other.pem" -CAkey "$work/other.key" -CAcreateserial -days "$1" \
		-extfile "$work/ext" -out "$2" 2> /dev/null
}
sign 300 "$work/answer.pem"
prove "the authority's own certificate is refused" status_is 4 cert process mx1 "$work/other.pem"
openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -out "$work/stranger.pem" -days 30 -subj "/CN=mx1.lab.test" \
	-addext basicConstraints=CA:FALSE -addext subjectAltName=DNS:mx1.lab.test 2> /dev/null
prove "a certificate for another key is refused" status_is 4 cert process mx1 "$work/stranger.pem"
printf 'subjectAltName=DNS:www.lab.test\n' > "$work/ext"
sign 300 "$work/wrong.pem"
prove "a certificate for another name is refused" status_is 4 cert process mx1 "$work/wrong.pem"
openssl crl2pkcs7 -nocrl -certfile "$work/answer.pem" -certfile "$work/other.pem" -outform DER -out "$work/answer.p7b"
prove "a chain that leads nowhere is refused" status_is 4 cert process mx1 "$work/answer.p7b"
prove "and says whose certificate is missing" grep -q 'leads nowhere: its issuer "CN=Outside CA"' "$work/err"
show cert process mx1 "$work/answer.p7b" --ca "$work/other.pem"
prove "nothing was in use before the push" is "$(served_sha256 mx1 2> /dev/null)" "$(json '.certificates[0].sha256' cert list)"
show push mx1 --yes
cp "$work/other.pem" "$work/ca.pem"
prove "a foreign client gets the new certificate" is "$(served_sha256 mx1)" "$(json .sha256 cert show mx1)"

chapter "the key stays where it was made"
key_blocks() { grep -aq 'PRIVATE KEY' "$here"/*; }
no_key_here() { ! key_blocks; }
prove "no private key stands in store, log or beside them" no_key_here
keys_private() { [ -z "$("$lab" exec mx1 find /var/lib/mxseal /etc/mxseal -name '*.key' -perm /077 -o -name 'chain*' -perm /077)" ]; }
prove "on the host keys are readable for root only" keys_private

chapter "unbind, and back"
quiet undo mx1
prove "after undo the certificate before it is served" is "$(served_sha256 mx1)" "$(json '.certificates[0].sha256' cert list)"
prove "the activity chain is whole" status_is 0 history --verify
