# The script that runs on mail hosts, alone: its push verbs on a fake root, under dash, bash and busybox. What it proves:
#   - a push, its undo, keep, going back and a second push do what they say, byte for byte, with owner and mode
#   - killed at every point it names, the host ends with exactly the old or exactly the new files (bash and busybox share the points,
#     the full disks and such between them; with MXSEAL_LONG each has all)
#   - two at once: never both; the loser is told who
#   - a full disk, a key that does not fit, a hung reload, drift, missing tools: refused or undone, nothing lost
#   - mail that fares worse than before the switch undoes a push; what was common before does not
# usage: host_script.test.sh [PATTERN]     only tests whose name matches
# shellcheck source=tests/support/script_host.sh
. "$(dirname "$0")/../support/script_host.sh"

# --- tests

test_push_undo() {
	push_questions 1 | ask
	good push
	is_new 1 || fail "not the new files"
	[ "$(cat "$R/ran")" = reload ] || fail "reload did not run once"
	[ "$(stat -c %a "$R/etc/mxseal/1/chain.pem") $(stat -c %a "$R/etc/mxseal/1/policy") $(stat -c %a "$R/var/lib/mxseal")" = "600 644 700" ] ||
		fail "modes of the new generation"
	openssl pkey -in "$R/etc/mxseal/1/chain.pem" -pubout 2>/dev/null | cmp -s - <(openssl pkey -in "$BASE/pki/k1.key" -pubout) ||
		fail "the chain has another key"
	[ "$(head -n 1 "$R/etc/mxseal/1/chain.pem")" = "-----BEGIN PRIVATE KEY-----" ] || fail "key not first"
	state_is waiting || fail "not waiting"
	{ q lock other; q begin 2 other /etc/postfix; } | ask
	answered 11 "generation 1 on this host waits"
	{ q lock tester; q undo "by hand"; } | ask
	good undo
	is_old || fail "undo did not bring the old files: $(diff <(echo "$OLD") <(tree))"
	[ "$(sed -n 2p "$R/ran")" = reload ] || fail "no reload after undo"
	[ "$(tail -n 1 "$R/ran")" = "restart with blank" ] || fail "nobody could see it greet, and it was not started anew"
	no_leftovers
	[ ! -e "$R/etc/mxseal/1" ] || fail "/etc/mxseal/1 is still there"
	state_is idle || fail "not idle"
}

test_keep_and_second() {
	{ push_questions 1; q keep; } | ask
	good push
	grep -q '^kept 1 1' "$BASE/out" || fail "not kept"
	is_new 1 || fail "not the new files"
	no_leftovers
	state_is idle || fail "not idle"
	grep -q '^generation 1' "$BASE/out" || fail "generation 1 is not in force"
	grep -q '^next 2' "$BASE/out" || fail "next is not 2"
	{ q lock t; q keep; } | ask
	answered 14 "no push waits"
	{ q lock t; q begin 1 t /etc/postfix; } | ask
	answered 10 "already"
}

test_back() {
	{ push_questions 1; q keep; } | ask
	good first
	local first
	first=$(tree)
	small_push 2 | ask
	small_push 3 | ask
	good third
	# two back, keep; then the state of 3 again; then before everything
	{ q lock t; q back 1 t; q ours; q arm 60; q switch; q reload; q keep; } | ask
	good "back to 1"
	[ "$(tree)" = "$first" ] || fail "not as after 1: $(diff <(echo "$first") <(tree))"
	state_is idle
	grep -q '^generation 1$' "$BASE/out" || fail "1 is not in force"
	{ q lock t; q back 3 t; q ours; q arm 60; q switch; q keep; } | ask
	good "forward to 3"
	[ "$(cat "$R/etc/postfix/main.cf")" = "myhostname = mx3" ] || fail "not as after 3"
	{ q lock t; q back previous t; q arm 60; q switch; q keep; } | ask
	[ "$(cat "$R/etc/postfix/main.cf")" = "myhostname = mx2" ] || fail "not as before 3"
	{ q lock t; q back 0 t; q arm 60; q switch; q keep; } | ask
	good "back to 0"
	is_old || fail "not as before everything: $(diff <(echo "$OLD") <(tree))"
	no_leftovers
	echo "# by hand" >> "$R/etc/postfix/main.cf"
	{ q lock t; q back 3 t; } | ask
	answered 10 "was changed since"
	grep -q "by hand" "$R/etc/postfix/main.cf" || fail "the hand edit is lost"
}

# The journal is known by heart: every point of a push, before and after every step.
POINTS="lock begun begin save saved put putting put-done chain chain-done check lay arm armed switching switch:1 switch:2
switch:3 switch:4 switch-done switched reload kept keep-done"
UNDO_POINTS="undoing back:1 back:2 back:3 back:4 back-done undone"

recovered_well() { # POINT
	FAULT='' ; { q lock recovery; q status; } | ask
	good "recovery after $1"
	case $(grep '^state' "$BASE/out") in
	"state waiting")
		is_new 1 || fail "after $1: waiting, but not exactly the new files"
		stop_timers
		is_old || fail "after $1 and undo: not exactly the old files"
		;;
	"state idle")
		if grep -q '^generation 1' "$BASE/out"; then
			is_new 1 || fail "after $1: kept, but not exactly the new files"
		else
			is_old || fail "after $1: not exactly the old files: $(diff <(echo "$OLD") <(tree))"
		fi
		;;
	*) fail "after $1: $(grep '^state' "$BASE/out")" ;;
	esac
	no_leftovers
}

test_killed_at_every_point() {
	local p
	for p in $(part_of $POINTS); do
		fresh
		install_keys
		{ push_questions 1; q keep; } > "$BASE/q"
		ask_killed $p < "$BASE/q"
		[ $? -eq 137 ] || fail "the point $p was never reached"
		recovered_well "$p"
	done
	for p in $(part_of $UNDO_POINTS); do
		fresh
		install_keys
		push_questions 1 | ask
		{ q lock t; q undo x; } > "$BASE/q"
		ask_killed $p < "$BASE/q"
		[ $? -eq 137 ] || fail "the point $p was never reached"
		recovered_well "$p"
	done
	# the recovery itself is killed, too, and then done again
	for p in $(part_of $UNDO_POINTS); do
		fresh
		install_keys
		push_questions 1 > "$BASE/q"
		ask_killed switch:3 < "$BASE/q"
		q lock r > "$BASE/q"
		ask_killed $p < "$BASE/q"
		recovered_well "$p in recovery"
	done
}

test_cut_in_the_middle_of_input() {
	push_questions 1 > "$BASE/all"
	local size at
	size=$(stat -c %s "$BASE/all")
	for at in $(part_of 10 80 200 $((size / 4)) $((size / 2)) $((size - 120)) $((size - 40)) $((size - 20)) $((size - 2))); do
		fresh
		install_keys
		push_questions 1 > "$BASE/all"
		head -c "$at" "$BASE/all" > "$BASE/q"
		ask < "$BASE/q"
		recovered_well "input cut at $at"
	done
}

test_timer_undoes() {
	SECONDS_TO_UNDO=1 push_questions 1 > "$BASE/q"
	ask < "$BASE/q"
	good push
	wait_until state_is idle || fail "the timer did not undo"
	is_old || fail "the timer did not bring the old files back"
	no_leftovers
	grep -q 'undone' "$R/var/lib/mxseal/journal" || fail "no line in the journal"
	{ q lock t; q keep; } | ask
	answered 17 "generation 1 was undone: nobody confirmed it in time"
}

test_timer_beats_a_hung_console() {
	SECONDS_TO_UNDO=1 push_questions 1 > "$BASE/q"
	mkfifo "$BASE/pipe"
	ask < "$BASE/pipe" &
	local pid=$!
	exec 5> "$BASE/pipe"
	cat "$BASE/q" >&5
	wait_until grep -qs ' switched ' "$R/var/lib/mxseal/journal" || fail "never switched"
	wait $pid                    # the timer ends the conversation that holds the lock and says nothing
	exec 5>&-
	rm -f "$BASE/pipe"
	wait_until state_is idle || fail "the timer did not undo"
	is_old || fail "not the old files"
}

test_timer_lost() {
	push_questions 1 | ask
	kill -9 -- "-$(cat "$R/var/lib/mxseal/1/timer.pid")"      # as a restart of the host would
	wait_until state_is unconfirmed || fail "not said to be unconfirmed"
	{ q lock t; q status; } | ask
	is_new 1 || fail "recovery must not decide for a person"
	{ q lock t; q keep; } | ask
	good keep
	is_new 1 || fail "not the new files"
}

quick_script() { # $BASE/quick.sh: its timer looks every second
	sed 's/^watch_every=.*/watch_every=1/' "$SCRIPT" > "$BASE/quick.sh"
	! cmp -s "$SCRIPT" "$BASE/quick.sh" || fail "the script has no line of watch_every"
}
test_timer_of_another_push() {
	# a timer that was not reached when it was stopped must not take part in a later push of the same number
	quick_script
	push_questions 1 | MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/quick.sh" > "$BASE/out" 2> "$BASE/err"
	good push
	local dir=$R/var/lib/mxseal/1 pid
	pid=$(cat "$dir/timer.pid")
	echo 1 > "$dir/timer.pid"
	wait_until eval '! kill -0 '"$pid"' 2> /dev/null' || fail "it goes on"
	is_new 1 || fail "it undid a push that is not its own"
	# one that has begun and not yet said its number is waited for
	fresh
	install_keys
	push_questions 1 | ask
	good "another push"
	pid=$(cat "$dir/timer.pid")
	mv "$dir/timer.pid" "$dir/kept.pid"
	{ sleep 0.5; mv "$dir/kept.pid" "$dir/timer.pid"; } &
	{ q lock t; q undo x; } | ask
	good undo
	wait
	wait_until eval '! kill -0 '"$pid"' 2> /dev/null' || fail "it was not stopped"
	is_old || fail "not the old files"
}

# A push that is watched: $R/log stands for the mail log, in the words of the script; BASE_LOG is what it says before.
watched_push() {
	printf '%s\n' "$BASE_LOG" > "$R/log"
	quick_script
	{
		push_questions 1 | sed '/^arm$/,$d'
		# shellcheck disable=SC2016 # expanded by the shell inside
		q how watch sh -c 'n=$(wc -l < "$0") || exit 1; at=${1#-300}; at=${at:-1}; tail -n "+$at" "$0" | head -n $((n - at + 1)); echo "mark $((n + 1))"' "$R/log"
		q arm 60
		q switch
		q reload
	} > "$BASE/all"
	MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/quick.sh" < "$BASE/all" > "$BASE/out" 2> "$BASE/err"
	good "a watched push"
}
logged() { # TEXT: comes into the log at once, so that no look sees half of it
	printf '%s\n' "$1" > "$BASE/more"
	dd if="$BASE/more" bs=65536 >> "$R/log" 2> /dev/null
}
failures() { # KIND FROM TO
	seq -f "$1 ID%g" "$2" "$3"
}
looked() { # TEXT: the last look of the timer saw these sums
	tail -n 1 "$R/var/lib/mxseal/1/watch.looks" 2> /dev/null | grep -q "^[0-9]* $1\$"
}

test_mail_gets_worse() {
	local kind
	for kind in deferred bounced tls-error; do
		fresh
		install_keys
		BASE_LOG="$kind OLD1" watched_push
		logged "$(failures $kind 1 12)"
		wait_until state_is idle || fail "$kind: not undone"
		is_old || fail "$kind: not the old files"
		no_leftovers
		grep -q "undone [a-z]* mail is worse than before: 12 .* 1 in the 300 s before" "$R/var/lib/mxseal/journal" ||
			fail "$kind: the journal does not say why: $(tail -n 1 "$R/var/lib/mxseal/journal")"
		{ q lock t; q keep; } | ask
		answered 17 "was undone: mail is worse"
		{ q lock t; q undo again; } | ask
		good "undo of what is undone"
		is_old || fail "$kind: a second undo touched something"
	done
}

test_mail_as_before() {
	# on a quiet host five may fail, and what failed before may fail again; on a busy one more, and never less than one in twenty
	BASE_LOG="deferred OLD1" watched_push
	logged "$(failures deferred 1 5; echo "deferred OLD1"; echo "sent 3")"
	wait_until looked "3 0 5 0 0" || fail "the looks say $(cat "$R/var/lib/mxseal/1/watch.looks")"
	state_is waiting || fail "five failures undid it"
	grep -q '^mail since [0-9]* 3 0 5 0 0$' "$BASE/out" || fail "status does not tell: $(grep '^mail' "$BASE/out")"
	grep -q '^mail before 300 0 0 1 0 0$' "$BASE/out" || fail "status does not tell: $(grep '^mail' "$BASE/out")"
	fresh
	install_keys
	BASE_LOG="$(failures deferred 1 100; echo sent 400)" watched_push
	logged "$(failures deferred 101 255)"
	wait_until looked "0 0 155 0 0" || fail "the looks say $(cat "$R/var/lib/mxseal/1/watch.looks")"
	state_is waiting || fail "as many as are common undid it"
	echo "deferred ID256" >> "$R/log"
	wait_until state_is idle || fail "one more did not undo it"
	fresh
	install_keys
	BASE_LOG="sent 10" watched_push
	logged "$(failures bounced 1 50; echo "sent 951")"
	wait_until looked "951 0 0 50 0" || fail "the looks say $(cat "$R/var/lib/mxseal/1/watch.looks")"
	state_is waiting || fail "less than one in twenty undid it"
}

test_mail_log_unreadable() {
	BASE_LOG="sent 1" watched_push
	rm "$R/log"
	wait_until test -s "$R/var/lib/mxseal/1/watch.start"
	sleep 2
	state_is waiting || fail "a lost log undid a push"
	{ q lock t; q keep; } | ask
	good keep
	is_new 1 || fail "not the new files"
	fresh
	install_keys
	{ push_questions 1 | sed '/^arm$/,$d'; q how watch false; q arm 60; q switch; } | ask
	good "a push whose mail log cannot be read"
	grep -q '^| the mail log cannot be read' "$BASE/out" || fail "it is not said"
}

test_mail_worse_under_a_hung_console() {
	BASE_LOG="sent 1" watched_push
	mkfifo "$BASE/pipe"
	ask < "$BASE/pipe" &
	exec 5> "$BASE/pipe"
	q lock hung >&5
	wait_until grep -qs '^#= 0' "$BASE/out"
	logged "$(failures deferred 1 9)"
	wait_until test -s "$R/var/lib/mxseal/1/watch.alarm" || fail "no alarm"
	[ "$(tail -n 1 "$R/var/lib/mxseal/journal" | cut -d' ' -f3)" = switched ] || fail "a console at work was not waited for"
	echo 1000000000 > "$R/var/lib/mxseal/lock.seen"
	wait_until grep -qs ' undone ' "$R/var/lib/mxseal/journal" || fail "not undone"
	exec 5>&-
	wait
	rm -f "$BASE/pipe"
	is_old || fail "not the old files"
}

test_drift() {
	push_questions 1 > "$BASE/q"
	echo "# by hand" >> "$R/etc/postfix/main.cf"
	OLD=$(tree)
	ask < "$BASE/q"
	answered 10 "is not as it was"
	is_old || fail "touched"
	# edited between saving and switching
	fresh
	install_keys
	push_questions 1 | sed '/^switch$/,$d' > "$BASE/q"
	mkfifo "$BASE/pipe"
	ask < "$BASE/pipe" &
	local pid=$!
	exec 5> "$BASE/pipe"
	cat "$BASE/q" >&5
	wait_until grep -qs ' armed ' "$R/var/lib/mxseal/journal"
	echo "# by hand" >> "$R/etc/postfix/main.cf"
	q switch >&5
	exec 5>&-
	wait $pid
	rm -f "$BASE/pipe"
	answered 10 "by somebody else just now"
	grep -q "by hand" "$R/etc/postfix/main.cf" || fail "a hand edit was lost"
	no_leftovers
	# edited while the push waits: parked, not lost
	fresh
	install_keys
	push_questions 1 | ask
	echo "# by hand" >> "$R/etc/postfix/main.cf"
	{ q lock t; q undo x; } | ask
	is_old || fail "not the old files"
	grep -q "by hand" "$R/var/lib/mxseal/1/parked/1" || fail "the hand edit is lost"
}

test_keys_that_do_not_fit() {
	local k want
	for k in other:"does not fit" locked:"encrypted" missing:"not on this host"; do
		want=${k#*:}
		fresh
		install_keys
		push_questions 1 | sed "s|keys/k1.key|keys/${k%%:*}.key|" > "$BASE/q"
		ask < "$BASE/q"
		answered 12 "$want"
		FAULT='' ; { q lock t; q status; } | ask
		is_old || fail "touched with key ${k%%:*}"
	done
	# wrong order
	fresh
	install_keys
	CERT_GOOD=$CERT
	openssl req -x509 -key "$BASE/pki/other.key" -out "$BASE/pki/stray.pem" -subj /CN=stray -days 2 2>/dev/null
	CERT=$(cat "$BASE/pki/k1.pem" "$BASE/pki/stray.pem" "$BASE/pki/ca.pem")$'\n'
	push_questions 1 | ask
	CERT=$CERT_GOOD
	answered 12 "not in order"
}

test_checks() {
	push_questions 1 | sed '/^how$/,$d' > "$BASE/q"
	{ cat "$BASE/q"; q check fine true; q check bad sh -c 'echo reason here; exit 3'; } | ask
	answered 12 'check "bad": reason here'
	grep -q '^| reason here' "$BASE/out" || fail "what the check said is not given out"
	# a warning that only the staged copy has counts, one that is in the live configuration does not
	fresh
	install_keys
	push_questions 1 | sed '/^how$/,$d' > "$BASE/q"
	{ cat "$BASE/q"; q check same sh -c 'echo "x: warning: old $0/main.cf"' @STAGED@
		q check new sh -c 'grep -q may "$0/main.cf" && echo "x: warning: $0/main.cf: unused parameter"; true' @STAGED@; } | ask
	answered 12 "unused parameter"
	grep -q '^#= 12 check "same"' "$BASE/out" && fail "an old warning was held against the push"
	# a file that is named and not there
	fresh
	install_keys
	{ q lock t; q begin 1 t /etc/postfix; q save edit /etc/postfix/main.cf "$(sum "$R/etc/postfix/main.cf")" ""
		local text=$'policy = texthash:/etc/mxseal/1/nowhere, x\n'
		qb "$text" put /etc/postfix/main.cf 0644 "$(text_sum "$text")"; q ours; } | ask
	answered 12 "names /etc/mxseal/1/nowhere"
	is_old || fail "touched"
}

test_wrong_questions() {
	{ q begin 1 t /etc/postfix; q switch; q keep; q lock t; q begin 0 t /etc; q begin 1x t /etc; q begin 1 t ../etc
		q begin 1 t /etc/postfix; qb x put /etc/passwd 0644 "$(text_sum x)"; qb x put /etc/mxseal/2/x 0644 "$(text_sum x)"
		qb x put /etc/mxseal/1/../x 0644 "$(text_sum x)"; qb x put /etc/mxseal/1/x 0644 "$(text_sum y)"
		qb x put /etc/mxseal/1/x 4755 "$(text_sum x)"; q switch; q arm 0; q nonsense; q key_make ../x ec-p256
		q key_make x dsa; } | ask
	case $(statuses) in *" 0 "*" 0 "*" 0 "*) fail "something wrong was accepted: $(statuses)" ;; esac
	answered 127 "unknown verb"
	is_old || fail "touched"
}

test_hung_reload() {
	# the script gives a command 60 s; here the mail system's own limit stands in for it
	printf '#!/bin/sh\nexec timeout 1 sleep 300\n' > "$R/bin/mail"
	push_questions 1 | ask
	answered 1 "the reload failed (status 124)"
	{ q lock t; q undo "reload failed"; } | ask
	good undo
	is_old || fail "not the old files"
}

test_full_disk() {
	[ "$(id -u)" = 0 ] || { say "skipped: full_disk needs root"; return 0; }
	local size p
	for p in $(part_of 1 2 3 4 5 6 8 10 12 16 20 24 28 32 40 48); do
		fresh
		mkdir "$BASE/small"
		mount -t tmpfs -o size=400k none "$BASE/small" 2>/dev/null || { rmdir "$BASE/small"; say "skipped: full_disk cannot mount"; return 0; }
		cp -a "$R/." "$BASE/small/"
		R=$BASE/small
		install_keys
		sed -i "s|$BASE/root|$R|" "$R/bin/mail"
		OLD=$(tree)
		push_questions 1 > "$BASE/q"
		size=$(($(df -k --output=avail "$R" | tail -n 1) - p * 4))
		dd if=/dev/zero of="$R/filler" bs=1k count="$size" 2>/dev/null
		ask < "$BASE/q"
		if ! grep -q '^#= [1-9]' "$BASE/out"; then
			stop_timers
			good "undo on a full disk"
		else
			grep -q '^#= 13 no space left' "$BASE/out" || fail "with $p blocks: no sentence about space: $(grep -m 1 '^#= [1-9]' "$BASE/out")"
		fi
		is_old || fail "with $p blocks free: not the old files: $(diff <(echo "$OLD") <(tree))"
		no_leftovers
		rm -f "$R/filler"
		{ q lock t; q status; } | ask
		is_old || fail "with $p blocks free, after recovery: not the old files"
		umount -l "$BASE/small"
		rmdir "$BASE/small"
	done
	R=$BASE/root
}

test_two_at_once() {
	local i winners
	for i in 1 2 3 4 5 6 7 8; do
		fresh
		rm -f "$BASE/out.a" "$BASE/out.b"
		mkfifo "$BASE/a" "$BASE/b"
		MXSEAL_ROOT=$R $SHELL_UNDER "$SCRIPT" < "$BASE/a" > "$BASE/out.a" 2>/dev/null &
		MXSEAL_ROOT=$R $SHELL_UNDER "$SCRIPT" < "$BASE/b" > "$BASE/out.b" 2>/dev/null &
		exec 5> "$BASE/a" 6> "$BASE/b"
		q lock "anna@one" >&5
		q lock "bert@two" >&6
		wait_until grep -qs "^#=" "$BASE/out.a"
		wait_until grep -qs "^#=" "$BASE/out.b"
		winners=$(cat "$BASE/out.a" "$BASE/out.b" | grep -c '^#= 0')
		[ "$winners" = 1 ] || fail "$winners hold the lock"
		cat "$BASE/out.a" "$BASE/out.b" | grep -q '^#= 11 \(anna@one\|bert@two\) is pushing' || fail "the loser is not told who: $(cat "$BASE/out.a" "$BASE/out.b")"
		cat "$BASE/out.a" "$BASE/out.b" | grep -Eq '^owner [0-9]{9,} (anna|bert)' || fail "the loser is not told since when"
		exec 5>&- 6>&-
		wait
		rm -f "$BASE/a" "$BASE/b"
	done
}

test_lock_of_the_dead() {
	{ push_questions 1; } > "$BASE/q"
	ask_killed begin < "$BASE/q"
	q lock next | ask
	good "lock after a killed owner"
	grep -q '^recovered ' "$BASE/out" || fail "recovery is not said"
	# a conversation that hangs loses the lock when its lease is over
	rm -f "$BASE/out"
	mkfifo "$BASE/pipe"
	ask < "$BASE/pipe" &
	exec 5> "$BASE/pipe"
	q lock "hung@there" >&5
	wait_until grep -qs '^#= 0' "$BASE/out"
	echo 1000000000 > "$R/var/lib/mxseal/lock.seen"
	q lock next | MXSEAL_ROOT=$R $SHELL_UNDER "$SCRIPT" > "$BASE/out2" 2>/dev/null
	exec 5>&-
	wait
	rm -f "$BASE/pipe"
	grep -q '^#= 0' "$BASE/out2" || fail "the lease did not end: $(cat "$BASE/out2")"
}

test_prune() {
	local n
	for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
		mkdir -p "$R/etc/mxseal/$n"
		rmdir "$R/etc/mxseal/$n"
		small_push $n | ask
		good "push $n"
	done
	[ "$(find "$R/var/lib/mxseal" -mindepth 1 -maxdepth 1 -name '[0-9]*' | wc -l)" = 10 ] || fail "not ten: $(ls "$R/var/lib/mxseal")"
	[ ! -d "$R/etc/mxseal/2" ] && [ -d "$R/etc/mxseal/13" ] || fail "/etc/mxseal: $(ls "$R/etc/mxseal")"
	{ q lock t; q back 0 t; } | ask
	answered 14 "no longer kept"
	{ q lock t; q back 4 t; q arm 60; q switch; q keep; } | ask
	good "back to 4"
	[ "$(cat "$R/etc/postfix/main.cf")" = "myhostname = mx4" ] || fail "not as after 4"
	# a directory that a live file names stays
	printf 'x = /etc/mxseal/5/map\n' > "$R/etc/postfix/main.cf"
	for n in 20 21 22 23 24 25 26 27 28 29 30; do
		{ q lock t; q begin $n t /etc/postfix; q save create "/etc/postfix/f$n" - 0644
			qb x put "/etc/postfix/f$n" 0644 "$(text_sum x)"; q arm 60; q switch; q keep; } | ask
		good "push $n"
	done
	[ -d "$R/etc/mxseal/5" ] && [ ! -d "$R/etc/mxseal/6" ] || fail "in use: $(ls "$R/etc/mxseal")"
}

# Who may read a file besides owner and mode: access lists, and labels of any kind, stay with it through push and undo.
test_access_lists() {
	local kept
	setfacl -m u:34:r "$R/etc/postfix/main.cf" 2> /dev/null && setfattr -n user.mxseal -v label "$R/etc/postfix/main.cf" 2> /dev/null || {
		say "skipped: access_lists, no setfacl and setfattr, or none on this file system"
		return 0
	}
	[ "$SHELL_NAME" != busybox ] || return 0
	OLD=$(tree)
	rules() { getfacl -pcn "$R/etc/postfix/main.cf"; getfattr -d --absolute-names "$R/etc/postfix/main.cf"; }
	kept=$(rules)
	push_questions 1 | ask
	good push
	[ "$(rules)" = "$kept" ] || fail "the new file has not the access list and label of the old one: $(diff <(echo "$kept") <(rules))"
	{ q lock t; q undo x; } | ask
	is_old && [ "$(rules)" = "$kept" ] || fail "undo lost them: $(diff <(echo "$kept") <(rules))"
	{ push_questions 2; q keep; } | ask
	{ q lock t; q back 0 t; q arm 60; q switch; q keep; } | ask
	good "back to 0"
	[ "$(rules)" = "$kept" ] || fail "going back lost them: $(diff <(echo "$kept") <(rules))"
}

# Ten generations, and from any to any, byte for byte; owner and mode are those of then.
test_any_of_ten() {
	local n
	chmod 0600 "$R/etc/postfix/main.cf"
	OLD=$(tree)
	for n in 1 2 3 4 5 6 7 8 9 10; do
		small_push $n | ask
		good "push $n"
		[ $n != 5 ] || chmod 0644 "$R/etc/postfix/main.cf"
	done
	for n in $(part_of 3 9 1 10 5 0 7 2 8 4 6); do
		{ q lock t; q back $n t; q arm 60; q switch; q keep; } | ask
		good "back to $n"
		if [ $n = 0 ]; then
			is_old || fail "not as before everything: $(diff <(echo "$OLD") <(tree))"
		else
			[ "$(cat "$R/etc/postfix/main.cf")" = "myhostname = mx$n" ] || fail "not as after $n"
		fi
		state_is idle
		grep -q "^generation $n$" "$BASE/out" || fail "$n is not in force"
	done
}

test_keys() {
	{ q key_make id-1 ec-p256; q key_make id-1 ec-p256; q key_public /var/lib/mxseal/keys/id-1.key; q key_make id-2 rsa-2048; } | ask
	[ "$(statuses)" = "0 10 0 0 " ] || fail "statuses $(statuses)"
	[ "$(grep -c 'BEGIN PUBLIC KEY' "$BASE/out")" = 3 ] || fail "no public key"
	grep -q 'PRIVATE' "$BASE/out" && fail "a private key was given out"
	[ "$(stat -c %a "$R/var/lib/mxseal/keys/id-1.key" "$R/var/lib/mxseal/keys" | tr '\n' ' ')" = "600 700 " ] || fail "modes"
	[ "$(find "$R/var/lib/mxseal/keys" -name '*id-*' | wc -l)" = 2 ] || fail "leftovers: $(ls "$R/var/lib/mxseal/keys")"
	qb "to be signed" key_sign /var/lib/mxseal/keys/id-1.key sha256 | ask
	good sign
	grep -v '^#' "$BASE/out" | openssl base64 -d -A > "$BASE/sig"
	openssl pkey -in "$R/var/lib/mxseal/keys/id-1.key" -pubout > "$BASE/pub" 2>/dev/null
	printf 'to be signed' | openssl dgst -sha256 -verify "$BASE/pub" -signature "$BASE/sig" > /dev/null || fail "bad signature"
	install_keys
	{ qb x key_sign /var/lib/mxseal/keys/locked.key sha256; q key_public /var/lib/mxseal/keys/locked.key; q status; } | ask
	[ "$(statuses)" = "12 12 0 " ] || fail "a locked key: $(statuses)"
}

# A key that comes in: for root only, whole, never over another one, nowhere else, and only inside a push.
test_key_put() {
	local key other to=/var/lib/mxseal/keys/in.key
	key=$(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256)
	other=$(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256)
	qb "$key" key_put $to "$(text_sum "$key")" | ask
	[ "$(statuses)" = "16 " ] || fail "outside of a push: $(statuses)"
	{ q lock t; q begin 1 t /etc/postfix; qb "$key" key_put $to "$(text_sum "$key")"; qb "$key" key_put $to "$(text_sum "$key")"
		qb "$other" key_put $to "$(text_sum "$other")"; qb "$key" key_put ${to%.key}2.key "$(text_sum "$other")"
		for path in /etc/x.key /var/lib/mxseal/keys/../x.key /var/lib/mxseal/keys/.x.key /var/lib/mxseal/keys/x; do
			qb "$key" key_put $path "$(text_sum "$key")"
		done; } | ask
	[ "$(statuses)" = "0 0 0 0 10 1 16 16 16 16 " ] || fail "statuses $(statuses)"
	[ "$(cat "$R$to")" = "$key" ] || fail "not what was sent"
	[ "$(stat -c %a "$R$to")" = 600 ] || fail "mode"
	[ "$(grep -rlF -- "$(sed -n 2p <<< "$key")" "$R" "$BASE/out")" = "$R$to" ] || fail "also elsewhere"
	[ "$(find "$R/var/lib/mxseal/keys" -name '*in*' -o -name '.*key*' | wc -l)" = 1 ] || fail "leftovers: $(ls -a "$R/var/lib/mxseal/keys")"
}

fetch() { # PATH: from the listener
	timeout 5 bash -c 'exec 6<> "/dev/tcp/127.0.0.1/$0" && printf "GET %s HTTP/1.1\r\nHost: x\r\n\r\n" "$1" >&6 && cat <&6' "$PORT" "$1" 2> /dev/null |
		tr -d '\r'
}
test_challenges() {
	mkdir "$R/web"
	{ qb tok_1.sum-A challenge_put /web tok_1; q status; } | ask
	good put
	local at=$R/web/.well-known/acme-challenge
	[ "$(cat "$at/tok_1")" = tok_1.sum-A ] || fail "not the proof"
	[ "$(stat -c %a "$at/tok_1" "$at" | tr '\n' ' ')" = "644 755 " ] || fail "modes"
	{ qb again challenge_put /web tok_1; q challenge_drop /web tok_1; q challenge_drop /web tok_1; q challenge_drop /none tok_1; } | ask
	good drop
	[ ! -e "$at/tok_1" ] || fail "it stays"
	# what an authority says is never a path, a command or a line of an answer
	local bad
	for bad in '../x;id' '' 'a b' '$(id)' 'a/b' '.' "$(printf '%0300d' 0)"; do
		{ qb tok challenge_put /web "$bad"; qb tok challenge_listen "$bad" 5; q challenge_drop /web "$bad"; } | ask
		[ "$(statuses)" = "16 16 16 " ] || fail "token $bad: $(statuses)"
	done
	{ qb 'a;b' challenge_put /web tok; qb "" challenge_put /web tok; qb tok challenge_put /web/../etc tok; qb tok challenge_put /none tok
		qb tok challenge_listen tok 9999; } | ask
	[ "$(statuses)" = "16 16 16 14 16 " ] || fail "statuses $(statuses)"
	# who owns the web root leads us nowhere else
	rm -rf "$R/web/.well-known"
	ln -s "$R/etc" "$R/web/.well-known"
	qb tok challenge_put /web tok | ask
	answered 1 "a link leads out of it"
	[ ! -e "$R/etc/acme-challenge" ] || fail "made where the link leads"
	rm -rf "$R/web/.well-known"
	mkdir -p "$at"
	ln -s "$R/etc/postfix/main.cf" "$at/tok"
	qb tok challenge_put /web tok | ask
	good "a link in the place of the proof"
	[ ! -L "$at/tok" ] || fail "written through a link"
	is_old || fail "touched"
}

test_listener() {
	while PORT=$((20000 + RANDOM % 10000)); (exec 6<> "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null; do :; done
	sed "s|^http_port=.*|http_port=$PORT|" "$SCRIPT" > "$BASE/listen.sh"
	mkfifo "$BASE/listen"
	MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/listen.sh" < "$BASE/listen" > "$BASE/out" 2> "$BASE/err" &
	local shell=$!
	exec 5> "$BASE/listen"
	qb tok.sum challenge_listen tok 60 >&5
	wait_until grep -q '^#= ' "$BASE/out" || fail "no answer: $(cat "$BASE/err")"
	good listen
	[ "$(fetch /.well-known/acme-challenge/tok | tail -n 1)" = tok.sum ] || fail "not the proof: $(fetch /.well-known/acme-challenge/tok)"
	fetch /.well-known/acme-challenge/tokx | head -n 1 | grep -q 404 || fail "another question is answered"
	fetch /etc/passwd | head -n 1 | grep -q 404 || fail "another question is answered"
	(qb t.s challenge_listen tok 5 | MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/listen.sh" > "$BASE/second" 2> /dev/null)
	grep -q "^#= 1 port $PORT of this host is taken" "$BASE/second" || fail "a taken port: $(cat "$BASE/second")"
	q challenge_hush >&5
	wait_until is_hushed || fail "it still listens"
	# one that was forgotten ends with the conversation
	qb tok.sum challenge_listen tok 60 >&5
	wait_until answers_again || fail "it does not listen again"
	exec 5>&-
	wait "$shell"
	is_hushed || fail "it outlives the conversation"
	[ -z "$(find "$R/var/lib/mxseal" -name 'listener*')" ] || fail "leftovers"
	# and with the shell, when that is killed
	MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/listen.sh" < "$BASE/listen" > "$BASE/out" 2> /dev/null &
	shell=$!
	exec 5> "$BASE/listen"
	qb tok.sum challenge_listen tok 60 >&5
	wait_until answers_again || fail "it does not listen for the third time"
	kill -9 "$shell"
	exec 5>&-
	wait "$shell" 2> /dev/null
	wait_until is_hushed || fail "it outlives a killed conversation"
	rm -f "$BASE/listen" "$BASE/listen.sh"
}
is_hushed() { [ -z "$(fetch /.well-known/acme-challenge/tok)" ]; }
answers_again() { [ -n "$(fetch /.well-known/acme-challenge/tok)" ]; }

test_missing_tools() {
	# PATH is set by the script itself, so a copy of it with another PATH stands for a poorer host
	mkdir "$BASE/tools"
	local t
	for t in sh cat mv cp rm mkdir chmod date sync sha256sum readlink sed tr tail touch sort grep cut ls ln dd wc sleep tee head; do
		ln -s "$(command -v $t)" "$BASE/tools/$t"
	done
	sed "s|^export LC_ALL=C PATH=.*|export LC_ALL=C PATH=$BASE/tools|" "$SCRIPT" > "$BASE/poor.sh"
	q lock t | MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/poor.sh" > "$BASE/out" 2>/dev/null
	case $SHELL_NAME in busybox) ;; *) answered 15 "no flock" ;; esac
	ln -s "$(command -v flock)" "$BASE/tools/flock"
	push_questions 1 | MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/poor.sh" > "$BASE/out" 2>/dev/null
	answered 15 "no openssl"
	is_old || fail "touched"
	{ q lock t; q begin 1 t /etc/postfix; q save edit /etc/postfix/main.cf "$(sum "$R/etc/postfix/main.cf")" ""
		qb x put /etc/postfix/main.cf 0644 "$(text_sum x)"; q arm 60; q switch; } |
		MXSEAL_ROOT=$R $SHELL_UNDER "$BASE/poor.sh" > "$BASE/out" 2>/dev/null
	case $SHELL_NAME in busybox) ;; *) answered 15 "undo timer does not run" ;; esac
	stop_timers
	is_old || fail "touched"
	rm -rf "$BASE/tools"
}

# --- run

key_and_certificate
# shellcheck disable=SC2046 # one word per test
each_test $(all_tests "${1:-.}")
say "host_script: $passed passed, $failed failed"
[ "$failed" = 0 ]
