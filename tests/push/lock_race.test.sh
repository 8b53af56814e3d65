#!/bin/bash
# Two consoles race for one host, 200 times: never are both inside; who loses is told who won, and since when; and the lock of a
# conversation that is killed is free within a second.
# usage: lock_race.test.sh [RACES]    MXSEAL_HOST_SCRIPT: another script than ours
# shellcheck source=tests/support/script_host.sh
. "$(dirname "$(readlink -f "$0")")/../support/script_host.sh"
SHELL_NAME=dash SHELL_UNDER=dash TEST=race
races=${1:-200} lanes=8

# What a winner does: something that can be done by one at a time, for a while.
contender() { # WHO
	q lock "$1"
	q begin 1 "$1" /etc/postfix
	# shellcheck disable=SC2016 # expanded by the shell inside
	q check inside sh -c 'mkdir "$0" || { echo BOTH; exit 0; }; sleep 0.7; rmdir "$0"' "$R/inside"
	q drop
}
race() {
	local told
	fresh
	contender "anna@one" > "$BASE/q.a"
	contender "bert@two" > "$BASE/q.b"
	MXSEAL_ROOT=$R $SHELL_UNDER "$SCRIPT" < "$BASE/q.a" > "$BASE/out.a" 2> "$BASE/err.a" &
	local a=$!
	MXSEAL_ROOT=$R $SHELL_UNDER "$SCRIPT" < "$BASE/q.b" > "$BASE/out.b" 2> "$BASE/err.b" &
	local b=$!
	wait $a $b
	! grep -q BOTH "$BASE/out.a" "$BASE/out.b" || fail "both were inside"
	told=$(grep -h '^#= 11' "$BASE/out.a" "$BASE/out.b")
	case $told in
	'') after=$((after + 1)) ;;              # one came when the other was through
	"#= 11 anna@one is pushing to this host" | "#= 11 bert@two is pushing to this host") lost=$((lost + 1)) ;;
	*) fail "the loser is told: $told" ;;
	esac
	[ -z "$told" ] || grep -hEq "^owner [0-9]{9,} (anna@one|bert@two)" "$BASE/out.a" "$BASE/out.b" || fail "the loser is not told since when"
	[ "$(grep -hc '^#= 0' "$BASE/out.a" "$BASE/out.b" | sort -n | tail -n 1)" = 4 ] || fail "nobody got through: $(tail -n 20 "$BASE"/out.? "$BASE"/err.?)"
}
killed() {
	local started
	fresh
	contender "anna@one" > "$BASE/q.a"
	MXSEAL_ROOT=$R $SHELL_UNDER "$SCRIPT" < "$BASE/q.a" > "$BASE/out.a" 2> "$BASE/err.a" &
	wait_until test -d "$R/inside" || fail "never inside"
	kill -9 $!
	started=$(date +%s%N)
	flock -w 5 "$R/var/lib/mxseal/lock" true || fail "the lock of the dead is held"
	[ $(($(date +%s%N) - started)) -lt 1000000000 ] || fail "the lock of the dead was held for $(($(date +%s%N) - started)) ns"
	wait $! 2> /dev/null
	q lock next | ask
	good "the next lock"
	wait_until test ! -d "$R/inside"         # what the dead one had started ends by itself
}

lane() { # COUNT
	local n
	BASE=$BASE/$2 lost=0 after=0
	mkdir "$BASE"
	for n in $(seq "$1"); do
		race
		[ $((n % 5)) != 0 ] || killed 2> /dev/null
	done
	say "lost $lost after $after"
	[ "$failed" = 0 ]
}
pids=()
for i in $(seq $lanes); do
	(trap - EXIT; lane $((races / lanes)) "$i") > "$BASE/lane.$i" 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done
sed "/^lost /d" "$BASE"/lane.*
lost=$(sed -n 's/^lost \([0-9]*\) .*/\1/p' "$BASE"/lane.* | paste -sd+ | { read -r sum; echo $((sum)); })
say "$races races: $lost times the loser was told who and since when, never both; $((races / 5)) locks of the dead free within 1 s"
[ "$failed" = 0 ] && [ "$lost" -gt $((races / 4)) ]
