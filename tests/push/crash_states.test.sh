#!/bin/bash
# The power goes in the middle of a push: every file operation of the host's script is recorded, and after every prefix of them
# the states are built that a disk may hold then, with what was not synced lost, kept, or half of it (crash_states.pl). From
# each the next connection must come to exactly the old or exactly the new files; from one that waits, an undo to the old.
# usage: crash_states.test.sh [keep|undo]    only the push that ends so. MXSEAL_HOST_SCRIPT: another script than ours;
# MXSEAL_DRAWS: how many random states after each prefix (1); MXSEAL_ENOUGH: stop after so many failures (10)
# shellcheck source=tests/support/script_host.sh
. "$(dirname "$(readlink -f "$0")")/../support/script_host.sh"
for tool in strace perl; do
	command -v "$tool" > /dev/null || { echo "skipped: there is no $tool here"; exit 77; }
done
strace -o /dev/null true 2> /dev/null || { echo "skipped: strace may not trace here"; exit 77; }
SHELL_NAME=dash SHELL_UNDER=dash TEST=crash

# The questions of a push of several files; the check and the chain of certificates are left out: they only read, and take long.
questions_of() {
	local main=${NEW_MAIN//\/N\//\/1\/}
	q lock "tester@here"
	q begin 1 "tester@here" /etc/postfix
	q save edit /etc/postfix/main.cf "$(sum "$R/etc/postfix/main.cf")" ""
	q save edit /etc/postfix/master.cf "$(sum "$R/etc/postfix/master.cf")" ""
	q save remove /etc/postfix/gone "$(sum "$R/etc/postfix/gone")" ""
	q save create /etc/postfix/extra - 0640
	qb $'map 1\n' put /etc/mxseal/1/policy 0644 "$(text_sum $'map 1\n')"
	qb "$main" put /etc/postfix/main.cf 0644 "$(text_sum "$main")"
	qb "$NEW_MASTER" put /etc/postfix/master.cf 0644 "$(text_sum "$NEW_MASTER")"
	qb $'extra\n' put /etc/postfix/extra 0600 "$(text_sum $'extra\n')"
	q how reload "$R/bin/mail" reload
	q arm 60
	q switch
	q "$@"
}

# all that changes files or names, and what the model does not know and refuses
TRACED=open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice,truncate,ftruncate,rename,renameat
TRACED=$TRACED,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,chmod,fchmod,fchmodat,chown,lchown,fchown
TRACED=$TRACED,fchownat,setxattr,fsetxattr,fsync,fdatasync,sync,syncfs,chdir,fchdir

# record NAME QUESTION...: the push, ended by this question, into $BASE/NAME.d/
record() {
	local name=$1
	shift
	fresh
	rm -rf "$BASE/before"
	cp -a "$R" "$BASE/before"
	questions_of "$@" > "$BASE/q"
	MXSEAL_ROOT=$R strace -f -y -xx -s 1000000 -o "$BASE/strace" --seccomp-bpf -e "trace=$TRACED" $SHELL_UNDER "$SCRIPT" \
		< "$BASE/q" > "$BASE/out" 2> "$BASE/err"
	good "$name"
	rm -rf "$BASE/$name.d"
	mkdir "$BASE/$name.d"
	what=$(perl "$HERE/tests/support/crash_states.pl" "$R" "$BASE/before" "$BASE/strace" "$BASE/$name.d" "${MXSEAL_DRAWS:-1}" "$AFTER") ||
		fail "no states: $what"
}

# One state, in place of the host. Its links and lists name the root it was recorded in, so it has to stand there.
recover_from() { # DIRECTORY
	local why
	why=$(tr -d "\0" < "$1.why")
	rm -rf "$R"
	mv "$1" "$R"
	{ q lock recovery; q status; } | ask
	good "recovery, $why"
	case $(grep '^state' "$BASE/out") in
	"state idle")
		if grep -q '^generation 1' "$BASE/out"; then
			is_new 1 && [ "$(cat "$R/etc/mxseal/1/policy")" = "map 1" ] || fail "$why: kept, but not exactly the new files"
		else
			is_old || fail "$why: not exactly the old files: $(diff <(echo "$OLD") <(tree))"
		fi
		;;
	"state unconfirmed" | "state waiting")
		is_new 1 && [ "$(cat "$R/etc/mxseal/1/policy")" = "map 1" ] || fail "$why: waiting, but not exactly the new files: $(diff <(echo "$OLD") <(tree))"
		{ q lock recovery; q undo "by hand"; } | ask
		good "undo, $why"
		is_old || fail "$why, and undo: not exactly the old files: $(diff <(echo "$OLD") <(tree))"
		;;
	*) fail "$why: $(grep '^state' "$BASE/out")" ;;
	esac
	no_leftovers
}

if [ $# = 0 ]; then
	"$0" keep > "$BASE/keep.out" 2>&1 &
	"$0" undo
	undo=$?
	wait $!
	keep=$?
	cat "$BASE/keep.out"
	exit $((undo | keep))
fi
AFTER=
[ "$1" = keep ] || AFTER=switched          # until then both are the same
record "$1" "$1" why
OLD_MODE=$(stat -c '%a %u %g' "$BASE/before/etc/postfix/main.cf")
total=0
for state in "$BASE/$1.d"/*.why; do
	[ "$failed" -lt "${MXSEAL_ENOUGH:-10}" ] || break
	recover_from "${state%.why}"
	total=$((total + 1))
done
say "a push ended by $1: $what; $total recovered from, $failed failures"
[ "$failed" = 0 ]
