# mxseal's look at a mail queue on its own host, so that a look costs what has changed. Fixed text, POSIX sh; what is asked comes
# in words. It changes nothing there, but by act. PLACE is what @place said the last time, or -: it saves asking Postfix again where
# the queue is while main.cf is as it was. Words:
#
#     look PLACE SINCE INODE OFFSET HOW
#                                   names of the messages in all directories of the queue that changed since that moment of the
#                                   host's clock, and the messages that the log (from OFFSET on, if it is still that file) says
#                                   were tried. HOW all: the time of every file is looked at as well, which the log need not be
#                                   trusted for, but costs more
#     read PLACE WORD...            tPATH,... their times (which is their next attempt); ePATH,... their envelopes, oPATH,... with
#                                   a process each; rPATH,... why they were deferred. PATH is below the queue directory
#     act VERB ID,... WORD...       hold, release, retry or delete these, and say how many it were; in two or three processes,
#                                   however many
#     full                          everything, by postqueue, then names and times
#
# The answer is sections, each begun by a line with @ (core/queue/mirror_hear.c reads it): @queue CLOCK DEPTH; @place; @log INODE
# SIZE, then ids; @dir PATH, then names; @same PATH; @lists, then lines PATH: and names; @times, @envelopes, @reasons, @json; @no
# WORD: it cannot be done so; @end. Only one script is at a queue at a time, whoever's. This text is the lines without those that
# are only a comment. Starting a program is what a small look costs most: none is started that need not be.

export LC_ALL=C TZ=UTC0
no() { echo "@no $*"; exit 0; }
set -f
mode=$1 place=-
shift
case $mode in look | read) place=$1 && shift ;; esac

# What Postfix says of its queue, in one word. What has a | in it cannot be told so.
ask_place() {
	said=$(postconf -h queue_directory hash_queue_depth hash_queue_names maillog_file config_directory 2>/dev/null)
	{ read -r queue; read -r depth; read -r hashed; read -r log; read -r config; } <<-SAID
		$said
	SAID
	for f in "$log" /var/log/mail.log /var/log/maillog; do
		case $f in /*) ;; *) continue ;; esac
		[ -s "$f" ] && break
	done
	log=$f
	[ -s "$log" ] || log=/dev/null
	marks
	stamp=$config_mark
	case $queue$hashed$log$config in *'|'*) place='' ;; *) place="$stamp|$queue|$depth|$hashed|$log|$config" ;; esac
}
# The log and main.cf: inode, size, time of the last change.
marks() {
	{ read -r log_mark; read -r config_mark; } <<-MARKS
		$(stat -Lc '%i %s %Z' "$log" "$config/main.cf" 2>/dev/null)
	MARKS
}

case $place in
*'|'*'|'*'|'*'|'*'|'*)
	IFS='|' read -r stamp queue depth hashed log config <<-PLACE
		$place
	PLACE
	if [ "$mode" != read ]; then
		marks
		if [ "$stamp" != "$config_mark" ] || [ ! -s "$log" ]; then ask_place; fi
	fi
	;;
*) ask_place ;;
esac
cd "$queue" 2>/dev/null || no directory
if [ ! -r deferred ] || [ ! -x deferred ]; then no rights; fi
if [ "$mode" = full ]; then
	[ "$(find . -maxdepth 0 -newerct @0 -printf yes 2>/dev/null)" = yes ] || no find
	for t in xargs postcat stat ls; do command -v $t >/dev/null || no tools; done
fi
if command -v flock >/dev/null; then
	exec 9<.
	flock -w 20 9 || no busy
fi
case ",$hashed," in *[,\ ]defer[,\ ]*) defer=$depth ;; *) defer=0 ;; esac
[ "$mode" = read ] || echo "@queue $(date +%s) $defer
@place $place
@log ${log_mark% *}"

# Tests of find: the directories that hold messages themselves; and what is only being handed in, where the mode says whether a
# file is whole. find's second output is ours as well.
tests_of_find() {
	handed="-type d -fprintf /dev/stderr @dir\\040%p\\n -o -type f -perm -0100 -fprintf /dev/stderr %f\\n"
	is=''
	for q in deferred hold active; do
		p=$q n=$depth
		case ",$hashed," in *[,\ ]"$q"[,\ ]*) ;; *) n=0 ;; esac
		while [ "$n" -gt 0 ]; do p="$p/?" n=$((n - 1)); done
		is="$is${is:+ -o }-path $p"
	done
}

case $mode in
look)
	size=${log_mark#* } size=${size% *} how=$4
	if [ "${log_mark%% *}" != "$2" ] || [ "$size" -lt "$3" ]; then
		how=all
	elif [ "$size" -gt "$3" ]; then
		from=$(($3 > 4096 ? $3 - 4096 : 0))
		tail -c "+$((from + 1))" "$log" | head -c "$((size - from))" |
			sed -n 's,.*/qmgr\[[0-9]*\]: \([0-9A-Za-z]\{6\,40\}\): from=.*(queue active).*,\1,p'
	fi
	tests_of_find
	if [ "$how" = all ]; then
		# shellcheck disable=SC2086 # these are words
		find deferred hold active -type d \( $is \) ! -newerct "@$1" -printf '@same %p\n' -prune -o -type d -printf '@dir %p\n' -o \
			-type f -newerct "@$1" -printf '+%f\n' -o -type f -printf '%f\n' 2>/dev/null
		find incoming maildrop -type d -printf '@dir %p\n' -o -type f -perm -0100 -printf '%f\n' 2>/dev/null
	else
		exec 3>&1
		# shellcheck disable=SC2086
		changed=$(find deferred hold active incoming maildrop -path 'incoming*' \( $handed \) -o -path 'maildrop*' \( $handed \) -o \
			-type d \( $is \) \( -newerct "@$1" -printf '%p\n' -o -fprintf /dev/stderr '@same %p\n' \) -prune -o \
			-type d -printf '%p\n' 2>&3)
		echo @lists
		# shellcheck disable=SC2086
		ls -U1 /dev/null $changed 2>/dev/null
	fi
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
	IFS=,
	# shellcheck disable=SC2086 # words, now at commas
	if [ -n "$times" ]; then
		echo @times
		find ${times#,} -maxdepth 0 -printf '%p %s %T@\n' 2>/dev/null
	fi
	# shellcheck disable=SC2086
	if [ -n "$envelopes$single" ]; then
		echo @envelopes
		# postcat gives up at a file that is gone: only those that are there go in
		{
			[ -z "$envelopes" ] || find ${envelopes#,} -maxdepth 0 -type f -print0 2>/dev/null | xargs -r0 -n 1000 postcat -e 2>/dev/null
			[ -z "$single" ] || printf '%s\n' ${single#,} | xargs -r -n 1 postcat -e 2>/dev/null
		} |
			grep -a -e '^[*][*][*] ENVELOPE RECORDS ' -e '^message_size: ' -e '^message_arrival_time: ' -e '^sender: ' -e '^recipient: '
	fi
	# shellcheck disable=SC2086
	if [ -n "$reasons" ]; then
		echo @reasons
		grep -aH -e '^recipient=' -e '^reason=' /dev/null ${reasons#,} 2>/dev/null
	fi
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
		# the manager may have read it and hung up before postkick is through: that breaks no pipe of ours
		(trap '' PIPE; postkick public "$(postconf -h queue_service_name 2>/dev/null || echo qmgr)" FD) || no qmgr
		;;
	esac
	;;
full)
	echo @json
	postqueue -j 2>/dev/null || no listing
	find deferred hold active -type d -printf '@dir %p\n' -o -type f -printf '%f %s %T@\n' 2>/dev/null
	find incoming maildrop -type d -printf '@dir %p\n' -o -type f -perm -0100 -printf '%f %s %T@\n' 2>/dev/null
	;;
esac
echo @end
exit 0
