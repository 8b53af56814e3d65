# script_host.sh - sourced by the tests of core/host/host_script.sh: a fake host under $BASE/root, questions to the script, and
# what must hold afterwards. MXSEAL_HOST_SCRIPT: another script than ours; MXSEAL_SHELLS: fewer shells than dash, bash, busybox;
# MXSEAL_ENOUGH: the end after so many failures.
# shellcheck shell=bash disable=SC2016  # single quotes: expanded by the shells they are given to
set -u

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SCRIPT=${MXSEAL_HOST_SCRIPT:-$HERE/core/host/host_script.sh}
[ -w /dev/shm ] && TMPDIR=/dev/shm                # memory: what is synced a thousand times should not wait for a disk
BASE=$(mktemp -d "${TMPDIR:-/tmp}/mxseal-script.XXXXXX")
passed=0 failed=0
trap 'umount -l "$BASE/small" 2>/dev/null; rm -rf "$BASE"' EXIT         # full_disk, when it fails

say() { printf '%s\n' "$*"; }
fail() {
	say "FAIL ($SHELL_NAME, $TEST): $*"
	failed=$((failed + 1)) ok=
	[ "$failed" != "${MXSEAL_ENOUGH:-}" ] || { stop_timers; exit 1; }
}

# --- a fake host

fresh() {
	R=$BASE/root
	if [ -d "$R" ]; then
		stop_timers
		rm -rf "$R"
	fi
	mkdir -p "$R/etc/postfix" "$R/var/lib" "$R/bin"
	printf 'myhostname = mx\n# kept\nsmtpd_tls_security_level = none\n' > "$R/etc/postfix/main.cf"
	printf 'smtp inet n - y - - smtpd\n' > "$R/srv-master.cf"
	ln -s ../../srv-master.cf "$R/etc/postfix/master.cf"
	chmod 0640 "$R/etc/postfix/main.cf"
	[ "$(id -u)" != 0 ] || chown 33:8 "$R/etc/postfix/main.cf"
	printf 'old map\n' > "$R/etc/postfix/gone"
	NEW_MAIN=$'myhostname = mx\n# kept\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = /etc/mxseal/N/chain.pem\n'
	NEW_MASTER=$'smtp inet n - y - - smtpd\nsmtps inet n - y - - smtpd\n'
	# what the mail system's commands would do: note that they ran
	printf '#!/bin/sh\necho "$@" >> %s/ran\n' "$R" > "$R/bin/mail"
	chmod 755 "$R/bin/mail"
	OLD=$(tree)
}

# Content, owner and mode of everything live.
tree() {
	(cd "$R" && for f in etc/postfix/* etc/postfix/.[!.]* srv-master.cf; do
		[ -e "$f" ] || continue
		echo "$f $(stat -c '%a %u %g %F' "$f") $(sha256sum < "$f")"
	done)
}

sum() { if [ -f "$1" ]; then sha256sum < "$1" | cut -d' ' -f1; else echo -; fi; }
text_sum() { printf %s "$1" | sha256sum | cut -d' ' -f1; }
# The same into REPLY, and known from then on: the same texts are asked about a hundred times.
declare -A SUMS
summed() { # TEXT
	[ -n "${SUMS[$1]-}" ] || SUMS[$1]=$(text_sum "$1")
	REPLY=${SUMS[$1]}
}
file_summed() { # FILE, a text
	local text
	REPLY=-
	[ ! -f "$1" ] || { IFS= read -r -d '' text < "$1"; summed "$text"; }
}

# --- questions: q VERB ARG... asks without a blob; qb BLOB VERB ARG... with one

q() {
	local verb=$1
	shift
	printf '%s\n%s\n' "$verb" $#
	[ $# -eq 0 ] || printf '%s\n' "$@"
	printf '0\n'
}
qb() {
	local blob=$1 verb=$2
	shift 2
	printf '%s\n%s\n' "$verb" $#
	printf '%s\n' "$@"
	local LC_ALL=C                                # bytes are counted
	printf '%s\n%s' "${#blob}" "$blob"
}

# ask: questions on stdin; answers to $BASE/out. Fault point in $FAULT.
ask() {
	MXSEAL_ROOT=$R MXSEAL_FAULT=${FAULT-} $SHELL_UNDER "$SCRIPT" > "$BASE/out" 2> "$BASE/err"
}
# ask, where it will be killed: without the shell's remark.
ask_killed() { (FAULT=$1 ask; exit $?) 2> /dev/null; }
# The statuses of all answers, in order.
statuses() { sed -n 's/^#= \([0-9]*\).*/\1/p' "$BASE/out" | tr '\n' ' '; }
good() {
	case " $(statuses)" in
	*[1-9]*) fail "${1:-a step} was answered: $(grep '^#= [1-9]' "$BASE/out" | head -n 1)" ;;
	" ") fail "${1:-a step} was not answered" ;;
	esac
}
answered() { # STATUS TEXT
	grep -q "^#= $1 .*$2" "$BASE/out" || fail "wanted an answer $1 with \"$2\", got: $(grep '^#=' "$BASE/out" | tr '\n' '|')"
}

put_question() { # BLOB VERB ARG...: and its sum behind them
	summed "$1"
	qb "$@" "$REPLY"
}
# The questions of a whole push of generation $1 up to the switch and reload.
push_questions() {
	local n=$1 main=${NEW_MAIN//\/N\//\/$1\/}
	q lock "tester@here"
	q begin "$n" "tester@here" /etc/postfix
	file_summed "$R/etc/postfix/main.cf"
	q save edit /etc/postfix/main.cf "$REPLY" ""
	file_summed "$R/etc/postfix/master.cf"
	q save edit /etc/postfix/master.cf "$REPLY" ""
	file_summed "$R/etc/postfix/gone"
	q save remove /etc/postfix/gone "$REPLY" ""
	q save create /etc/postfix/extra - 0640
	put_question "map $n"$'\n' put "/etc/mxseal/$n/policy" 0644
	put_question "$CERT" chain "/etc/mxseal/$n/chain.pem" /var/lib/mxseal/keys/k1.key
	put_question "$main" put /etc/postfix/main.cf 0644
	put_question "$NEW_MASTER" put /etc/postfix/master.cf 0644
	put_question $'extra\n' put /etc/postfix/extra 0600
	q check stage sh -c 'test -f "$0/main.cf" && ! test -e "$0/gone" && grep -q may "$0/main.cf"' @STAGED@
	q ours
	q how reload "$R/bin/mail" reload
	q how restart "$R/bin/mail" restart "with blank"
	put_question $'127.0.0.1 25 0 1 0 abcd - 0.0.0.0:25\n' note wants
	q arm "${SECONDS_TO_UNDO:-60}"
	q switch
	q reload
}

# A push of one changed line, for long series.
small_push() {
	local n=$1 text="myhostname = mx$1"$'\n'
	q lock "tester@here"
	q begin "$n" "tester@here" /etc/postfix
	file_summed "$R/etc/postfix/main.cf"
	q save edit /etc/postfix/main.cf "$REPLY" ""
	put_question "$text" put /etc/postfix/main.cf 0644
	q how reload "$R/bin/mail" reload
	q arm 60
	q switch
	q keep
}

key_and_certificate() {
	mkdir -p "$BASE/pki"
	(cd "$BASE/pki" &&
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2 &&
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k1.key -out k1.csr -subj /CN=mx &&
		openssl x509 -req -in k1.csr -CA ca.pem -CAkey ca.key -set_serial 1 -out k1.pem -days 2 &&
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out other.key &&
		openssl pkey -in k1.key -aes256 -passout pass:x -out locked.key) > "$BASE/pki.log" 2>&1 || { cat "$BASE/pki.log"; exit 1; }
	CERT=$(cat "$BASE/pki/k1.pem" "$BASE/pki/ca.pem")$'\n'
}
install_keys() {
	mkdir -p "$R/var/lib/mxseal/keys"
	cp "$BASE"/pki/*.key "$R/var/lib/mxseal/keys/"
	chmod 600 "$R"/var/lib/mxseal/keys/*
}

is_old() { [ "$(tree)" = "$OLD" ]; }
is_new() { # GENERATION
	[ "$(cat "$R/etc/postfix/main.cf")" = "$(printf %s "${NEW_MAIN//\/N\//\/$1\/}")" ] &&
		[ "$(cat "$R/srv-master.cf")" = "${NEW_MASTER%$'\n'}" ] && [ -L "$R/etc/postfix/master.cf" ] &&
		[ ! -e "$R/etc/postfix/gone" ] && [ "$(cat "$R/etc/postfix/extra")" = extra ] &&
		[ "$(stat -c %a "$R/etc/postfix/extra")" = 640 ] &&
		[ "$(stat -c '%a %u %g' "$R/etc/postfix/main.cf")" = "$OLD_MODE" ]
}
no_leftovers() {
	local left
	left=$(find "$R/etc/postfix" "$R/srv-master.cf" "$R" -maxdepth 1 -name '.*.mxseal-*')
	[ -z "$left" ] || fail "left beside the live files: $left"
}
# part_of WORD...: all of them under dash, which is sh on most hosts; under the other shells each has half of them, so that the two
# together have all; with MXSEAL_LONG all have all.
part_of() {
	local i=0
	[ "$SHELL_NAME" != busybox ] || i=1
	for word; do
		i=$((i + 1))
		[ "$SHELL_NAME" != dash ] && [ -z "${MXSEAL_LONG:-}" ] && [ $((i % 2)) = 0 ] || echo "$word"
	done
}
wait_until() { # COMMAND...
	local i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt 200 ] || return 1
		sleep 0.1
	done
}
stop_timers() { q lock t > "$BASE/q"; q undo stop >> "$BASE/q"; ask < "$BASE/q"; }
state_is() { q status | ask; grep -q "^state $1" "$BASE/out"; }

# each_test TESTS...: each function test_NAME of these names, under every shell
each_test() {
	for SHELL_NAME in ${MXSEAL_SHELLS:-dash bash busybox}; do
		case $SHELL_NAME in
		dash) SHELL_UNDER=dash ;;
		bash) SHELL_UNDER="bash --posix" ;;
		busybox) SHELL_UNDER="busybox sh" ;;
		esac
		command -v "${SHELL_UNDER%% *}" > /dev/null || { say "skipped: no $SHELL_NAME here"; continue; }
		for TEST in "$@"; do
			ok=1
			FAULT=
			fresh
			OLD_MODE=$(stat -c '%a %u %g' "$R/etc/postfix/main.cf")
			install_keys
			push_questions 1 > "$BASE/q"          # here, so that its sums are known to what runs in pipes
			"test_$TEST"
			stop_timers
			[ -z "$ok" ] || passed=$((passed + 1))
		done
	done
}
all_tests() { # PATTERN
	declare -F | sed -n 's/^declare -f test_//p' | grep -E "$1"
}
