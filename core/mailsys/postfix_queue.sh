# mxseal's look at a mail queue on its own host, so that a look costs what has changed. Fixed text, POSIX sh; what is asked comes
# in words. It changes nothing there, but by act. Words:
#
#     look SINCE INODE OFFSET HOW   names of the messages in all directories of the queue that changed since that moment of the
#                                   host's clock, and the messages that the log (from OFFSET on, if it is still that file) says
#                                   were tried. HOW all: the time of every file is looked at as well, which the log need not be
#                                   trusted for, but costs more
#     read WORD...                  tPATH,... their times (which is their next attempt); ePATH,... their envelopes, oPATH,... with
#                                   a process each; rPATH,... why they were deferred. PATH is below the queue directory
#     act VERB ID,... WORD...       hold, release, retry or delete these, and say how many it were; in two or three processes,
#                                   however many
#     full                          everything, by postqueue, then names and times
#
# The answer is sections, each begun by a line with @ (core/queue/mirror_hear.c reads it): @queue CLOCK DEPTH DIRECTORY; @log
# INODE SIZE, then ids; @dir PATH, then names; @same PATH; @times, @envelopes, @reasons, @json; @no WORD: it cannot be done so;
# @end. Only one script is at a queue at a time, whoever's. This text is the lines without those that are only a comment.

export LC_ALL=C TZ=UTC0
no() { echo "@no $*"; exit 0; }
set -f
mode=$1
shift

queue=$(postconf -h queue_directory hash_queue_depth hash_queue_names maillog_file 2>/dev/null)
depth=$(echo "$queue" | sed -n 2p) hashed=$(echo "$queue" | sed -n 3p | tr , ' ') log=$(echo "$queue" | sed -n 4p)
queue=$(echo "$queue" | sed -n 1p)
cd "$queue" 2>/dev/null || no directory
if [ ! -r deferred ] || [ ! -x deferred ]; then no rights; fi
[ "$(find . -maxdepth 0 -newerct @0 -printf yes 2>/dev/null)" = yes ] || no find
for t in xargs postcat stat; do command -v $t >/dev/null || no tools; done
if command -v flock >/dev/null; then
	exec 9<.
	flock -w 20 9 || no busy
fi
case " $hashed " in *" defer "*) defer=$depth ;; *) defer=0 ;; esac
echo "@queue $(date +%s) $defer $PWD"

# The directories that hold messages themselves, as a test of find.
leaves() {
	for q in deferred hold active; do
		p=$q n=$depth
		case " $hashed " in *" $q "*) ;; *) n=0 ;; esac
		while [ "$n" -gt 0 ]; do p="$p/?" n=$((n - 1)); done
		echo "-o -path $p"
	done
}

mark_log() {
	for f in "$log" /var/log/mail.log /var/log/maillog; do
		case $f in /*) ;; *) continue ;; esac
		[ -s "$f" ] && break
	done
	[ -s "$f" ] || f=/dev/null
	now=$(stat -Lc '%i %s' "$f")
	echo "@log $now"
}

case $mode in
look)
	mark_log
	if [ "${now% *}" = "$2" ] && [ "${now#* }" -gt "$3" ]; then
		from=$(($3 > 4096 ? $3 - 4096 : 0))
		tail -c "+$((from + 1))" "$f" | head -c "$((${now#* } - from))" |
			sed -n 's,.*/qmgr\[[0-9]*\]: \([0-9A-Za-z]\{6\,40\}\): from=.*(queue active).*,\1,p'
		touched=
	else
		touched="-newerct @$1 -printf +%f\\n -o"
	fi
	[ "$4" != all ] || touched="-newerct @$1 -printf +%f\\n -o"
	# shellcheck disable=SC2046,SC2086 # these are words
	find deferred hold active -type d \( -false $(leaves) \) ! -newerct "@$1" -printf '@same %p\n' -prune -o \
		-type d -printf '@dir %p\n' -o -type f $touched -type f -printf '%f\n' 2>/dev/null
	find incoming maildrop -type d -printf '@dir %p\n' -o -type f -perm -0100 -printf '%f\n' 2>/dev/null
	;;
read)
	times='' envelopes='' single='' reasons=''
	for w; do
		case $w in
		t*) times="$times,${w#t}" ;;
		e*) envelopes="$envelopes,${w#e}" ;;
		o*) single="$single,${w#o}" ;;
		r*) reasons="$reasons,${w#r}" ;;
		esac
	done
	lines() { printf %s "$1" | tr , '\n' | sed '/^$/d'; }
	echo @times
	# shellcheck disable=SC2016 # expanded there
	lines "$times" | xargs -r sh -c 'find "$@" -maxdepth 0 -printf "%p %s %T@\n" 2>/dev/null' times
	echo @envelopes
	# postcat gives up at a file that is gone: only those that are there go in
	# shellcheck disable=SC2016
	{
		lines "$envelopes" | xargs -r -n 1000 sh -c 'for f; do shift; [ ! -f "$f" ] || set -- "$@" "$f"; done
			[ $# = 0 ] || postcat -e "$@" 2>/dev/null' envelopes
		lines "$single" | xargs -r -n 1 postcat -e 2>/dev/null
	} |
		grep -a -e '^[*][*][*] ENVELOPE RECORDS ' -e '^message_size: ' -e '^message_arrival_time: ' -e '^sender: ' -e '^recipient: '
	echo @reasons
	lines "$reasons" | xargs -r grep -aH -e '^recipient=' -e '^reason=' /dev/null 2>/dev/null
	;;
act)
	verb=$1
	shift
	ids() { for w; do echo "$w"; done | tr , '\n'; }
	case $verb in
	hold) ids "$@" | postsuper -h - 2>&1 ;;
	release) ids "$@" | postsuper -H - 2>&1 ;;
	delete) ids "$@" | postsuper -d - 2>&1 ;;
	retry)
		# as flush(8) does it for one: due now; then the queue manager looks, and forgets who it took for dead
		{ ids "$@"; echo .; find deferred -type f -printf '%f %p\n' 2>/dev/null; } |
			awk '!listed && $0 == "." { listed = 1; next } !listed { asked[$1] = 1; next } $1 in asked { print $2 }' |
			xargs -r sh -c 'touch -c -m "$@" && echo "retry: Due: $# messages"' retry
		postkick public "$(postconf -h queue_service_name 2>/dev/null || echo qmgr)" FD || no qmgr
		;;
	esac
	;;
full)
	mark_log
	echo @json
	postqueue -j 2>/dev/null || no listing
	find deferred hold active -type d -printf '@dir %p\n' -o -type f -printf '%f %s %T@\n' 2>/dev/null
	find incoming maildrop -type d -printf '@dir %p\n' -o -type f -perm -0100 -printf '%f %s %T@\n' 2>/dev/null
	;;
esac
echo @end
exit 0
