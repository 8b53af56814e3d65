#!/bin/bash
# What the certificates of a host come to after they were installed: an authority below a root serves its whole chain; answers in
# every form are served byte for byte; one certificate serves two virtual servers; and "check" names keys that others can read, a
# file that was exchanged by hand, one that is not served yet, and what ends soon.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

finds() { status_is 1 check && grep -q "$1" "$work/out" || { cat "$work/out"; return 1; }; }
finds_not() { # TEXT: check comes to an end, whatever it finds, and not that
	mx check > "$work/out" 2> "$work/err"
	[ $? -le 1 ] && [ ! -s "$work/err" ] && ! grep "$1" "$work/out" || { cat "$work/err"; return 1; }
}
on_host() { "$lab" exec mx1 "$@"; }
der_sha256() { openssl x509 -in "$1" -outform DER | sha256sum | cut -d' ' -f1; }
sha256_at() { # PORT
	"$lab" ctl timeout 10 openssl s_client -starttls smtp -connect "mx1.lab.test:$1" -servername mx1.lab.test < /dev/null 2> /dev/null |
		openssl x509 -outform DER 2> /dev/null | sha256sum | cut -d' ' -f1
}

chapter "an authority below a root, limited to a domain; one certificate for two virtual servers"
known_host mx1
on_host sh -c "echo 'submission inet n - y - - smtpd' >> /etc/postfix/master.cf; postfix reload" > /dev/null 2>&1
quiet server read mx1
quiet authority add own root --cn "Root CA"
quiet authority add own below --cn "Below CA" --parent root --permit lab.test
prove "the command line says where it stands" is "$(json '.parent + " " + (.permit | join(","))' authority show below)" "root lab.test"
mx authority certificate root > "$work/ca.pem" || fail "no certificate of the root"
prove "a name outside of its domain: status 4" status_is 4 cert request mx1 --cn mx1.other.test --authority below
prove "  and which, before a key is made" grep -q 'names under lab.test only, not for mx1.other.test' "$work/err"
quiet cert request mx1 --cn mx1.lab.test --authority below
quiet cert assign mx1/submission "$(json .id cert show mx1)"
quiet vs set mx1 inbound.tls=offer
quiet vs set mx1/submission inbound.tls=offer
quiet push mx1 --yes
prove "both serve it" is "$(sha256_at 25) $(sha256_at 587)" "$(json .sha256 cert show mx1) $(json .sha256 cert show mx1)"
"$lab" ctl timeout 10 openssl s_client -starttls smtp -connect mx1.lab.test:25 -CAfile "$work/ca.pem" -verify_hostname mx1.lab.test -showcerts \
	< /dev/null > "$work/client" 2>&1
prove "a client that knows the root alone trusts it" grep -q 'Verify return code: 0 (ok)' "$work/client"
prove "it was sent the one below as well" is "$(grep -c 'BEGIN CERTIFICATE' "$work/client")" 2
quiet authority renew root --days 5000
prove "the root renewed is under the same key" is "$(mx authority certificate root | openssl x509 -noout -pubkey)" \
	"$(openssl x509 -in "$work/ca.pem" -noout -pubkey)"
mx authority certificate root > "$work/ca.pem"
foreign_client mx1 > "$work/client" || true
prove "what it issued is trusted with the new one" grep -q 'Verify return code: 0 (ok)' "$work/client"

chapter "answers, byte for byte"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/out.key" -out "$work/out.pem" -days 300 \
	-subj "/CN=Outside CA" 2> /dev/null
quiet cert request mx1 --cn mx1.lab.test --out "$work/req.pem"
prove "the text once more is the file" is "$(mx cert request-text 2)" "$(cat "$work/req.pem")"
quiet cert request-text 2 --out "$work/again.pem"
prove "  also written again" cmp "$work/req.pem" "$work/again.pem"
prove "  and its SHA-256 is that of the file" is "$(json '.sha256' cert request-text 2)" "$(sha256sum < "$work/req.pem" | cut -d' ' -f1)"
printf 'subjectAltName=DNS:mx1.lab.test\n' > "$work/ext"
for form in der p7-der quoted; do
	openssl x509 -req -in "$work/req.pem" -CA "$work/out.pem" -CAkey "$work/out.key" -CAcreateserial -days 90 -extfile "$work/ext" \
		-out "$work/leaf.pem" 2> /dev/null
	case $form in
	der) openssl x509 -in "$work/leaf.pem" -outform DER -out "$work/answer" ;;
	p7-der) openssl crl2pkcs7 -nocrl -certfile "$work/leaf.pem" -outform DER -out "$work/answer" ;;
	quoted) cat "$work/out.pem" "$work/leaf.pem" | sed 's/^/> /' > "$work/answer" ;;
	esac
	quiet cert process mx1 "$work/answer" --request 2 --ca "$work/out.pem"
	quiet push mx1 --yes --no-shadow
	prove "$form" is "$(sha256_at 25)" "$(der_sha256 "$work/leaf.pem")"
done

chapter "watching"
quiet server read mx1
prove "nothing is found where all is well" status_is 0 check
prove "what ends within so many days, when asked" status_is 1 check --warn 100
prove "  is the certificate" grep -q 'mx1/smtp: the certificate ends in 89 days' "$work/out"
prove "a number of days that is none: status 2" status_is 2 check --warn soon
file=$(json '.virtual_servers[] | select(.name == "mx1/smtp" or .name == "smtp") | .certificate.file' server show mx1)
on_host chmod 0644 "$file"
on_host chmod 0755 /var/lib/mxseal/keys
quiet server read mx1
prove "a key that everybody can read" finds "mx1: the key in $file can be read by everybody (mode 644): chmod o-rwx"
prove "and the folder of keys" finds 'mx1: /var/lib/mxseal/keys, where keys are, is open to others than root (mode 755): chmod go-rwx'
on_host chown nobody "$file"
quiet server read mx1
prove "one that belongs to somebody else" finds "mx1: the key in $file belongs to nobody, who can exchange it: chown root"
on_host chown root "$file"
on_host chmod 0600 "$file"
on_host chmod 0700 /var/lib/mxseal/keys
quiet server read mx1
prove "mended, nothing is found" status_is 0 check
# another key and certificate in the place of ours, by hand; the listener still has the old one
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/hand.key" -out "$work/self.pem" -days 300 -subj "/CN=x" 2> /dev/null
openssl req -new -key "$work/hand.key" -subj "/CN=mx1.lab.test" -out "$work/hand.csr" 2> /dev/null
openssl x509 -req -in "$work/hand.csr" -CA "$work/out.pem" -CAkey "$work/out.key" -CAcreateserial -days 90 -extfile "$work/ext" \
	-out "$work/hand.pem" 2> /dev/null
sha256_at 25 > /dev/null
cat "$work/hand.key" "$work/hand.pem" | on_host sh -c "cat > '$file'"
quiet server read mx1
prove "a file that is not served yet" finds "mx1/smtp serves another certificate than the one in $file: postfix has not taken it up"
prove "and that it is not the one assigned" finds 'mx1/smtp is set to a certificate that is not the one assigned to it (#'
on_host postfix reload > /dev/null 2>&1
quiet server read mx1
prove "taken up, only that is left" finds_not 'serves another certificate'
