#!/bin/bash
# The whole job on the command line, from a mail host nobody has seen to mail that waits and the reason why, each step proved
# from outside of mxseal. Status 0 only when all were. `./run demo --headless` prepares what it needs:
#   MXSEAL_LAB the lab's script (up, mx1 as built), MXSEAL_PROGRAM, MXSEAL_STORE (a file not there yet), MXSEAL_SSH_CONFIG
set -uo pipefail
lab=${MXSEAL_LAB:?} program=${MXSEAL_PROGRAM:?}
dir=$("$lab" dir) || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "a demonstration needs no better passphrase" > "$work/passphrase"

# --- telling
step=0
chapter() {
	step=$((step + 1))
	printf '\n=== %d. %s\n' "$step" "$1"
}
fail() {
	printf '\nFAILED: %s\n' "$*"
	exit 1
}
mx() { "$lab" ctl "$program" --no-input --passphrase-fd 9 "$@" 9< "$work/passphrase"; }
# show WORD...: the command, and what it says; it has to succeed
show() {
	local status
	printf '\n$ mxseal %s\n' "$*"
	mx "$@" 2>&1 | sed 's/^/  /'
	status=${PIPESTATUS[0]}
	[ "$status" = 0 ] || fail "mxseal $1 ended with status $status"
}
# refused STATUS WORD...: a command that must not succeed
refused() {
	local wanted=$1 status
	shift
	printf '\n$ mxseal %s\n' "$*"
	mx "$@" 2>&1 | sed 's/^/  /'
	status=${PIPESTATUS[0]}
	prove "it was refused with status $wanted" [ "$status" = "$wanted" ]
}
# prove SENTENCE COMMAND...
prove() {
	local sentence=$1
	shift
	"$@" > "$work/proof" 2>&1 || { sed 's/^/  | /' "$work/proof"; fail "not proved: $sentence"; }
	echo "  PROVED: $sentence"
}
# json FILTER WORD...: what the command reports, through jq
json() {
	local filter=$1
	shift
	mx --json "$@" 2> "$work/errors" | jq -r "$filter" || { cat "$work/errors" >&2; return 1; }
}
is() { # FOUND WANTED
	[ "$1" = "$2" ] || { printf 'found:  %s\nwanted: %s\n' "$1" "$2"; return 1; }
}
until_true() { # SECONDS COMMAND...: waits for a state
	local end=$((SECONDS + $1))
	shift
	until "$@" > /dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

# --- looking from outside of mxseal
foreign_client() { # a TLS client that knows nothing of us, beside the mail host: openssl's own
	"$lab" ctl timeout 10 openssl s_client -starttls smtp -connect mx1.lab.test:25 -servername mx1.lab.test \
		-verify_hostname mx1.lab.test -CAfile "$work/ca.pem" < /dev/null 2>&1
}
offers_starttls() {
	"$lab" ctl timeout 10 bash -c 'exec 3<> /dev/tcp/mx1.lab.test/25; printf "EHLO demo\r\nQUIT\r\n" >&3; cat <&3' |
		grep -q STARTTLS
}
no_starttls() { ! offers_starttls; }
configuration() { "$lab" exec mx1 sh -c 'cd /etc/postfix && sha256sum main.cf master.cf'; }
# shellcheck disable=SC2016 # expanded in the host
send_mail() { "$lab" exec mx1 sh -c 'printf "Subject: demo\n\nHello.\n" | sendmail -f user@mx1.lab.test "$1"' - "$1"; }
reason() { # DOMAIN: what Postfix itself says why its mail waits
	"$lab" exec mx1 postqueue -j | jq -r --arg at "@$1" '.recipients[] | select(.address | endswith($at)) | .delay_reason // empty'
}
reason_known() { [ -n "$(reason "$1")" ]; }

chapter "A mail host that mxseal has never seen"
prove "mx1 offers no STARTTLS now" no_starttls
show server add mx1 mx1 --become none
fingerprint=$(ssh-keygen -lf "$dir/known_hosts" | awk '$3 ~ /^mx1,/ && $NF == "(ED25519)" { print $2 }')
refused 4 server trust mx1 --fingerprint SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
show server trust mx1 --fingerprint "$fingerprint"
before=$(configuration)
show server read mx1
show server show mx1
prove "it was found to run Postfix" is "$(json .system server show mx1)" postfix
prove "reading changed nothing there" is "$(configuration)" "$before"

chapter "A certificate from an own authority; its key is made on the mail host"
show authority add own demo-ca --cn "Demonstration CA"
mx authority certificate demo-ca > "$work/ca.pem" || fail "no certificate of the authority"
show cert request mx1 --cn mx1.lab.test --o "Example Ltd" --c GB --authority demo-ca
show cert show mx1
wanted=$(json .sha256 cert show mx1)
prove "the certificate is for mx1.lab.test" is "$(json '.san | join(" ")' cert show mx1)" mx1.lab.test
no_key_here() { ! grep -aq 'BEGIN.*PRIVATE KEY' "$MXSEAL_STORE"*; }
prove "no private key stands in the store" no_key_here

chapter "What the host shall do"
show vs set mx1 inbound.tls=offer outbound.tls=encrypt
show plan mx1
prove "the plan touched nothing" is "$(configuration)" "$before"

chapter "The push"
show push mx1 --yes
prove "mx1 offers STARTTLS now" offers_starttls
foreign_client > "$work/client" || true
openssl x509 -in "$work/client" -outform DER -out "$work/served.der" 2> /dev/null || fail "the foreign client got no certificate"
served=$(sha256sum < "$work/served.der" | cut -d' ' -f1)
prove "the certificate a foreign client gets is the one that was made" is "$served" "$wanted"
prove "its chain and its name are good to that client" grep -q 'Verify return code: 0 (ok)' "$work/client"
generation=$(configuration)
show push mx1 --yes
prove "a second push changed nothing" is "$(configuration)" "$generation"

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
