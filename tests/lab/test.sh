# test.sh - sourced by the lab's *.test.sh: a store and known_hosts of the test's own, mx1 as built; skips without a lab.
# shellcheck shell=bash
if [ -z "${MXSEAL_LAB:-}" ]; then
	echo "skipped: no lab is up (MXSEAL_LAB); it needs root and network namespaces"
	exit 77
fi
set -uo pipefail
here=$(mktemp -d)
export MXSEAL_STORE=$here/store.db XDG_STATE_HOME=$here XDG_DATA_HOME=$here MXSEAL_SSH_CONFIG=$here/ssh_config
touch "$here/known_hosts"
sed "s|UserKnownHostsFile .*|UserKnownHostsFile $here/known_hosts|" "$("$MXSEAL_LAB" dir)/ssh_config.ctl" > "$MXSEAL_SSH_CONFIG"
# shellcheck source=tests/lab/prove.sh
. "$(dirname "${BASH_SOURCE[0]}")/prove.sh"
trap 'rm -rf "$work" "$here"' EXIT

# a host as built, known, trusted and read
known_host() { # HOST
	"$lab" reset "$1" > /dev/null 2>&1 || fail "the lab cannot reset $1"
	quiet server add "$1" "$1"
	quiet server trust "$1" --fingerprint "$(fingerprint_of "$1")"
	quiet server read "$1"
}
quiet() { # WORD...: a command that has to succeed, told only when it does not
	mx "$@" > "$work/quiet" 2>&1 || { sed 's/^/  | /' "$work/quiet"; fail "mxseal $* ended with status $?"; }
}
status_is() { # STATUS WORD...: the command ends with it and says one sentence
	local wanted=$1 status
	shift
	mx "$@" > "$work/out" 2> "$work/err"
	status=$?
	sed 's/^/  | /' "$work/err"
	[ "$status" = "$wanted" ] || { echo "status $status, not $wanted"; return 1; }
}
own_ca_certificate() { # HOST: requested at an own authority and assigned, not pushed
	quiet authority add own ca --cn "Test CA"
	mx authority certificate ca > "$work/ca.pem" || fail "no certificate of the authority"
	quiet cert request "$1" --cn "$1.lab.test" --authority ca
}

# --- what the destinations saw
export who=user$$                    # they remember
mail_from() { # SENDER RECIPIENT
	# shellcheck disable=SC2016 # expanded in the host
	"$lab" exec mx1 sh -c 'printf "Subject: lab\n\nHello.\n" | sendmail -f "$1" "$2"' - "$1" "$2"
}
# took DESTINATION RECIPIENT [FILTER]: sessions in which it was given this recipient, and what the filter says of the last
took() {
	"$lab" exec dest cat /var/log/destd.jsonl | jq -rs --arg d "$1" --arg r "C: RCPT TO:<$2>" \
		"[.[] | select(.domain == \$d and .mails > 0 and any(.dialog[]; startswith(\$r)))] | last | ${3:-.port}"
}
arrived() { [ "$(took "$1" "$2")" != null ]; }
with_tls() { [[ $(took "$1" "$2" .tls.version) == TLSv1.* ]]; }
nowhere() { # RECIPIENT: no destination took it
	[ "$("$lab" exec dest cat /var/log/destd.jsonl | jq -rs --arg r "C: RCPT TO:<$1>" \
		'[.[] | select(.mails > 0 and any(.dialog[]; startswith($r)))] | length')" = 0 ]
}
