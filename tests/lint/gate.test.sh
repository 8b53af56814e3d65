#!/bin/bash
# Proves that nothing gets to a host to change it but through the gate: in core/journey a work function that pushes, keeps,
# undoes, makes keys or acts on messages is only ever given to a job made by host_change_new; and in the console an action
# is run by action_run alone, which refuses and which says what was intended.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

# shellcheck disable=SC2016 # the program is awk's
gate='
function end_function() {
	if (name != "" && body ~ changing)
		changes[name] = where
	if (name != "")
		bodies[name] = body
	name = ""
}
FNR == 1 { end_function(); before = "" }
/^[a-z_]+\(/ { end_function(); name = $0; sub(/\(.*/, "", name); where = FILENAME ":" FNR; body = "" }
{ body = body "\n" $0 }
END {
	end_function()
	n = 0
	for (w in changes) {
		used = 0
		for (f in bodies) {
			if (f == w || bodies[f] !~ ("->work = " w ";"))
				continue
			used++
			if (bodies[f] !~ /host_change_new\(/) {
				print changes[w] ": " w " changes a host, and " f " starts it without the gate"
				bad = 1
			}
		}
		if (used == 0) {
			print changes[w] ": " w " changes a host, and no job is made of it here"
			bad = 1
		}
		n += used
	}
	if (n < 5) {
		print "only " n " verbs that change a host were found"
		bad = 1
	}
	exit bad
}'

check() {
	awk -v changing='(push_apply|push_keep|push_undo|talk_open)\\(|rc = act_once\\(' "$gate" "$@"
}

check core/journey/*.c
if grep -n 'act->run(\|found->run(' tui/console/*.c tui/console/views/*.c | grep -v '^tui/console/app.c:[0-9]*:		act->run(v);$'; then
	echo "an action is run past action_run"
	exit 1
fi

# the test of the test: a verb that forgets the gate
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp core/journey/*.c "$tmp"
sed -i '/^push_revert(/,/^}/s/host_change_new/host_job_new/' "$tmp/settings.c"
if check "$tmp"/*.c >"$tmp/out"; then
	echo "a verb without the gate was not noticed"
	exit 1
fi
grep -q 'push_revert starts it without the gate' "$tmp/out"
