#!/bin/bash
# Proves that we read and edit main.cf and master.cf as Postfix does: generated pairs of files are given to the postconf of a real
# Postfix host, before and after an edit of ours, after the same edit by postconf, and with services added, stopped and paused.
# Needs the lab (MXSEAL_LAB names its script); without it: skipped.
#   MXSEAL_PAIRS=N    how many pairs (100; with MXSEAL_LONG 200)
set -uo pipefail
if [ -z "${MXSEAL_LAB:-}" ]; then
	echo "skipped: no lab (MXSEAL_LAB)"
	exit 77
fi
"$MXSEAL_LAB" exec mx1 true || exit 1
pairs=${MXSEAL_PAIRS:-$([ -n "${MXSEAL_LONG:-}" ] && echo 200 || echo 100)}
work=$(mktemp -d "${TMPDIR:-/tmp}/mxseal-edit-XXXXXX") || exit 1
there=/tmp/mxseal-edit-$$
trap 'rm -rf "$work"; "$MXSEAL_LAB" exec mx1 rm -rf "$there"' EXIT
"$MXSEAL_BUILD/tests/test_mailsys_generated" --write "$work" "$pairs" || exit 1
"$MXSEAL_BUILD/tests/test_mailsys_real" --write "$work" $((pairs + 1)) || exit 1   # and those that hosts really have

# runs on the host: what postconf sees, sorted; duplicates only make it complain
cat > "$work/judge.sh" <<'END'
cd "$1" || exit 1
export LC_ALL=C
see() {
	sort -u "$1/master.view" > "$1/master.ours"
	if [ -f "$1/service.view" ]; then sort "$1/service.view" > "$1/service.ours"; fi
	postconf -c "$PWD/$1" -M 2> /dev/null | grep -v '^ ' | awk '{ print $1, $2, $3, $4, $5, $6, $7, $8 }' | sort > "$1/service.theirs"
	postconf -c "$PWD/$1" -P 2> /dev/null | sort -u > "$1/master.theirs"
	if [ -f "$1/expanded.view" ]; then                 # values in force, not as they are written
		sed 's/[[:blank:]][[:blank:]]*/ /g' "$1/expanded.view" | sort -u > "$1/main.ours"
		cut -d' ' -f1 "$1/expanded.view" | xargs postconf -c "$PWD/$1" -x 2> /dev/null | sort -u > "$1/main.theirs"
		return
	fi
	postconf -c "$PWD/$1" -n 2> /dev/null | grep -v '^config_directory =' | sort -u > "$1/main.theirs"
	sed 's/[[:blank:]][[:blank:]]*/ /g' "$1/main.view" | sort -u > "$1/main.ours"      # as it prints them
}
same() {
	if ! cmp -s "$2" "$3"; then
		echo "pair $pair: $1 differ"
		diff "$2" "$3" | head -n 10
		bad=$((bad + 1))
	fi
}
bad=0 real=0 read=0 changed=0
for pair in [0-9]*; do
	cd "$pair" || exit 1
	see before
	see after
	[ ! -f before/expanded.view ] || real=$((real + 1))
	[ ! -f before/service.ours ] || read=$((read + 1))
	[ ! -f before/service.ours ] || same "services as read" before/service.ours before/service.theirs
	same "main.cf as read" before/main.ours before/main.theirs
	same "master.cf as read" before/master.ours before/master.theirs
	same "main.cf as edited" after/main.ours after/main.theirs
	same "master.cf as edited" after/master.ours after/master.theirs
	if [ -d services ] && [ $((pair % 4)) = 1 ]; then
		see services
		changed=$((changed + 1))
		same "services added, stopped, paused" services/service.ours services/service.theirs
		same "settings of services added, stopped, paused" services/master.ours services/master.theirs
	fi
	[ $((pair % 4)) = 0 ] && [ -f after/edit ] || { cd .. && continue; }
	cp -r before postconf
	echo >> postconf/main.cf        # postconf glues its line to a last one without newline
	while IFS='|' read -r verb what; do
		postconf -c "$PWD/postconf" "$verb" "$what" 2> /dev/null
	done < after/edit
	see postconf
	same "main.cf as postconf edits it" after/main.theirs postconf/main.theirs
	same "master.cf as postconf edits it" after/master.theirs postconf/master.theirs
	cd ..
done
echo "$bad of $(ls -d [0-9]* | wc -l) pairs differ; services of $read read and of $changed changed; $real that hosts really have"
[ "$bad" = 0 ] && [ "$real" -ge 20 ] && [ "$read" -ge $(($2 / 2)) ] && [ "$changed" -ge $(($2 / 8)) ]
END
"$MXSEAL_LAB" exec mx1 mkdir -p "$there" || exit 1
tar -C "$work" -cf - . | "$MXSEAL_LAB" exec mx1 tar -C "$there" -xf - || exit 1
"$MXSEAL_LAB" exec mx1 sh "$there/judge.sh" "$there" "$pairs"
