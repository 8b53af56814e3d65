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
watcher=
trap 'end_watch; rm -rf "$work" "$here"' EXIT

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
# watch_processes PATTERN_FILE: until end_watch, arguments and environments that have one of its lines are named in $work/seen.
# The patterns are in a file, so that what looks for them does not have them.
watch_processes() {
	: > "$work/seen"
	# shellcheck disable=SC2094 # read again and again
	while :; do
		grep -laF -f "$1" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null
		sleep 0.1
	done > "$work/seen" &
	watcher=$!
}
end_watch() {
	[ -n "$watcher" ] || return 0
	kill "$watcher" 2> /dev/null
	wait "$watcher" 2> /dev/null
	watcher=
}
# a watch that would see nothing proves nothing: a process with the first pattern in its environment is seen
watch_sees() { # PATTERN_FILE
	watch_processes "$1"
	MARKED=$(head -n 1 "$1") sleep 2 &
	until_true 5 test -s "$work/seen"
	local seen=$?
	kill $! 2> /dev/null
	wait $! 2> /dev/null
	end_watch
	return $seen
}
own_ca_certificate() { # HOST: requested at an own authority and assigned, not pushed
	quiet authority add own ca --cn "Test CA"
	mx authority certificate ca > "$work/ca.pem" || fail "no certificate of the authority"
	quiet cert request "$1" --cn "$1.lab.test" --authority ca
}

# --- what the destinations saw
who=user$$-$(date +%s)                # they remember
export who
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
	local took
	took=$("$lab" exec dest cat /var/log/destd.jsonl | jq -rs --arg r "C: RCPT TO:<$1>" \
		'[.[] | select(.mails > 0 and any(.dialog[]; startswith($r)))] | length') && is "$took" 0
}
