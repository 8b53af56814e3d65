#!/bin/bash
# Are the tests of the host's script worth anything? Defects are planted into copies of it, one at a time, and the test that
# should see it is run. All but one must be caught; a test that does not come to an end has caught nothing.
# usage: planted_defects.test.sh [PATTERN]    only those whose name matches; MXSEAL_LONG=yes: also those whose test takes long
#        (./check --long); MXSEAL_JOBS: so many at a time
set -u
pattern=${1:-.}
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# NAME<tab>quick|long<tab>TEST<tab>EDIT: a test of host_script.test.sh, or a script of tests/push with its argument
defects() {
	cat << 'END'
the lock is not taken	quick	two_at_once	s/until flock -n 9; do/until true; do/
the lock is not taken (race)	long	lock_race 16	s/until flock -n 9; do/until true; do/
the undo timer is not started	quick	timer_undoes	s/^\ttimer_start "\$1" || {/\ttrue || {/;s/^\ttimer_alive "\$dir" || { refuse 1.*//
switched without being armed	quick	wrong_questions	s/\[ "\$j_gen \$j_state" = "\$gen armed" \] ||/true ||/;s/^\ttimer_alive "\$dir" || { refuse 1.*//
the journal does not say "switching"	long	killed_at_every_point	s/^\tjournal "\$gen" switching "\$deadline" || return/\ttrue/
the journal does not say "undone"	quick	push_undo	s/^\tjournal "\$gen" undone .*/\ttrue/
keep after an undo is answered as good	quick	timer_undoes	s/\[ "\$alive" != no \] || { refuse 18.*/return 0/
a new file has the wrong mode	quick	push_undo	s/^\tchmod "\$2" "\$1.part" \&\&/\tchmod 0644 "$1.part" \&\&/
a created file has the wrong mode	quick	push_undo	s/ \&\& chmod "\$(first_line "\$1\/mode")" "\$lr_new" ;;/ ;;/
owner and mode are not kept	quick	push_undo	s/^\tcp -p --preserve=all .*/\tcat "$1" >"$2"/
access lists are not kept	quick	access_lists	s/^\tcp -p --preserve=all .*/\tcp -p "$1" "$2"/
a link is replaced instead of its file	quick	push_undo	s/^\t\treadlink -f "\$1"$/\t\techo "$1"/
a failed reload is good	quick	hung_reload	s/^\tserve 30 reload || refuse .*/\tserve 30 reload; true/
a failed check is good	quick	checks	s/if \[ \$ck_rc -ne 0 \] || \[ -n "\$ck_new" \]; then/if false; then/
a warning of the staged copy is nothing	quick	checks	s/^\t\*) ck_new=\${ck_new:-\$ck_line} ;;/\t*) ;;/;s/^\t\t\*) ck_new=.*/\t\t*) ;;/
a key that does not fit is taken	quick	keys_that	s/\[ "\$cg_key" = "\$cg_cert" \] ||/true ||/
a file that changed is saved all the same	quick	drift	s/\[ "\$(sum_of "\$sv_live")" = "\$3" \] ||/true ||/
a file that changed is switched all the same	quick	drift	s/\[ "\$(sum_of "\$(first_line "\$sw\/live")")" = .*/true || {/
a hand edit is lost at an undo	quick	drift	s/mkdir -p "\$dir\/parked" \&\& copy .*/:/
after an undo nobody looks	quick	push_undo	s/^\tif \[ "\$alive" != yes \]; then/\tif false; then/
worse mail does not count	quick	mail_gets_worse	s/^watch_slack=5 /watch_slack=500 /
what was common before counts	quick	mail_as_before	s/deferred) n_deferred=\$wc_n c_deferred=\$wc_c/deferred) n_deferred=$wc_n c_deferred=0/
three generations are kept	long	any_of_ten	s/^keep_generations=10 /keep_generations=3 /
a full disk is not told	long	full_disk	s/^\t\*"No space left"\*.*//
a blob that did not arrive whole is taken	quick	wrong_questions	s/\[ "\$(sum_of "\$1")" = "\$2" \] || refuse 1 .*/true/
the journal's name is not synced	long	crash_states keep	s/ \&\& durable "\$state"$//
the journal's text is not synced	long	crash_states keep	s/durable "\$state\/journal.new" \&\& mv/mv/
switched names are not synced	quick	crash_states keep	s/durable "\${el%\/\*}"/:/
new text is not synced	long	crash_states keep	s/ \&\& same "\$lr_new" "\$1\/new" \&\& durable "\$lr_new"//
the state directory is not synced	long	crash_states keep	s/ \&\& durable "\${state%\/\*}" "\$state"//
saved copies are not synced	long	crash_states keep	s/ \&\& durable "\$1"\/\* \&\& durable "\$1" \&\& durable "\${1%\/\*}"//
END
}

# one NUMBER NAME KIND TEST EDIT: prints what came of it
one() {
	local script=$work/$1.sh test=$4 rc limit=600
	sed "$5" core/host/host_script.sh > "$script"
	if cmp -s "$script" core/host/host_script.sh; then
		echo "BROKEN $2: the edit changes nothing"
		return
	fi
	export MXSEAL_HOST_SCRIPT=$script MXSEAL_SHELLS=dash MXSEAL_ENOUGH=1
	case $test in
	crash_states* | lock_race*) set -- "tests/push/${test%% *}.test.sh" "${test#* }" ;;
	*) set -- tests/unit/host_script.test.sh "^$test" ;;
	esac
	timeout $limit bash "$@" > "$script.out" 2>&1
	rc=$?
	if [ $rc = 0 ]; then
		echo "MISSED"
	elif [ $rc = 124 ]; then
		echo "NO END in $limit s"
	elif [ $rc = 77 ] || grep -q '^skipped' "$script.out"; then
		echo "skipped"
	else
		echo "caught"
	fi
}

number=0
while IFS=$'\t' read -r name kind test edit; do
	[ "$kind" = quick ] || [ -n "${MXSEAL_LONG:-}" ] || continue
	[[ $name =~ $pattern ]] || continue
	[ "$number" -lt "${MXSEAL_JOBS:-4}" ] || wait -n          # the next begins as soon as one is done
	number=$((number + 1))
	{
		result=$(one "$number" "$name" "$kind" "$test" "$edit")
		printf '%s\t%s\t%s\n' "$result" "$name" "$test" > "$work/$number.result"
	} &
done < <(defects)
wait
cat "$work"/*.result | sort
caught=$(cat "$work"/*.result | grep -c '^caught')
skipped=$(cat "$work"/*.result | grep -c '^skipped')
echo "$caught of $number planted defects caught, $skipped could not be tried here"
[ $((caught + skipped)) -ge $((number - 1)) ] && ! grep -q '^BROKEN' "$work"/*.result
