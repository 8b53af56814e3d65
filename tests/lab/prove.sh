# prove.sh - sourced by the demonstration and by tests that drive the command line in the lab. Needs MXSEAL_LAB, MXSEAL_PROGRAM,
# MXSEAL_STORE, MXSEAL_SSH_CONFIG. Commands are shown, every claim is proved from outside of mxseal, the first that is not ends it.
# shellcheck shell=bash
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
foreign_client() { # HOST: a TLS client that knows nothing of us, beside the mail host: openssl's own
	"$lab" ctl timeout 10 openssl s_client -starttls smtp -connect "$1.lab.test:25" -servername "$1.lab.test" \
		-verify_hostname "$1.lab.test" -CAfile "$work/ca.pem" < /dev/null 2>&1
}
served_sha256() { # HOST: of the leaf that a foreign client gets
	foreign_client "$1" | openssl x509 -outform DER 2> /dev/null | sha256sum | cut -d' ' -f1
}
# shellcheck disable=SC2016 # expanded by the shell inside
offers_starttls() { # HOST
	"$lab" ctl timeout 10 bash -c 'exec 3<> "/dev/tcp/$1.lab.test/25"; printf "EHLO demo\r\nQUIT\r\n" >&3; cat <&3' - "$1" |
		grep -q STARTTLS
}
no_starttls() { ! offers_starttls "$1"; }
# shellcheck disable=SC2016 # expanded in the host
configuration() { # HOST: every file a push may touch, with owner and mode
	"$lab" exec "$1" sh -c 'cd / && for f in etc/postfix/main.cf etc/postfix/master.cf; do stat -c "%n %U %G %a" "$f"; sha256sum "$f"; done'
}
# shellcheck disable=SC2016 # expanded in the host
send_mail() { "$lab" exec mx1 sh -c 'printf "Subject: demo\n\nHello.\n" | sendmail -f user@mx1.lab.test "$1"' - "$1"; }
reason() { # DOMAIN: what Postfix itself says why its mail waits
	"$lab" exec mx1 postqueue -j | jq -r --arg at "@$1" '.recipients[] | select(.address | endswith($at)) | .delay_reason // empty'
}
reason_known() { [ -n "$(reason "$1")" ]; }
fingerprint_of() { ssh-keygen -lf "$dir/known_hosts" | awk -v h="$1" '$3 ~ "^" h "," && $NF == "(ED25519)" { print $2 }'; }
