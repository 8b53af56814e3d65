# mxseal's own verdicts on a staged Postfix configuration that need the host: what Postfix's own check does not look at. Fixed
# text, POSIX sh, run as root by the push's check of this name; it changes nothing. Values are words and stay data.
#
#     TEXT STAGED LIVE WORD...     the staged directory, the live one, and from the planner (postfix_verdict.c), in any order:
#     program WHAT NAME            a program of Postfix that master.cf names
#     bind WHAT ADDRESS PORT       what a service listens on
#     map WHAT MAP                 a table in a file
#     jail WHAT                    a service that is locked into the queue directory and asks for names
#
# WHAT begins the sentence and says where it stands. The answer never says "warning:": that would be a complaint of a tool.

# "A && B || C" is meant as it stands: C is to run when A or B fails.
# shellcheck disable=SC2015

export LC_ALL=C PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"

# main.cf on standard input without what assigns the names given: Postfix complains about what is assigned twice.
without() {
	awk -v names="$*" 'BEGIN { n = split(names, list, " "); for (i = 1; i <= n; i++) drop[list[i]] = 1 }
		/^[ \t]/ { if (!dropping) print; next }
		/^#/ || /^$/ { print; next }
		{ name = $0; sub(/[ \t]*=.*/, "", name); dropping = name in drop; if (!dropping) print }'
}

# Tools of Postfix that ask this copy for their settings keep the host's log out of it.
quiet_copy() {
	quiet=${staged%/*}/quiet
	[ "$staged" != "$live" ] || quiet=$(mktemp -d)
	rm -rf "$quiet"
	mkdir -m 0700 "$quiet" || return
	trap 'rm -rf "$quiet"' EXIT
	for qc in "$staged"/*; do
		ln -s "$qc" "$quiet/${qc##*/}"
	done
	rm -f "$quiet/main.cf"
	{
		without queue_directory maillog_file maillog_file_prefixes <"$staged/main.cf"
		printf '\nmaillog_file_prefixes = %s\nmaillog_file = %s/log\nqueue_directory = %s\n' "$quiet" "$quiet" "$quiet"
	} >"$quiet/main.cf"
	touch -t 200001010000 "$quiet/main.cf"
}

refuse() {
	printf '%s\n' "$1"
	exit 1
}

conf() {
	postconf -c "$staged" -h "$1" 2>/dev/null
}

program() { # WHAT NAME
	case $2 in
	/*) pr=$2 ;;
	*) pr=$daemons/$2 ;;
	esac
	[ -x "$pr" ] || refuse "$1: there is no program $pr"
}

# --- maps

# Is this map read by a process that is not root (proxymap), and can it?
proxied() { # WHAT TYPE:FILE
	px=${2#*:}
	for px_file in "$px" "$px.db" "$px.lmdb" "$px.cdb"; do
		[ -f "$px_file" ] || continue
		setpriv --reuid="$owner" --regid="$(id -gn "$owner")" --clear-groups test -r "$px_file" 2>/dev/null ||
			refuse "$1: $px_file cannot be read by the user $owner, who looks it up (proxy:)"
	done
}

map() { # WHAT MAP
	case $2 in
	proxy:*)
		[ -z "$setpriv" ] || proxied "$1" "${2#proxy:}"
		set -- "$1" "${2#proxy:}"
		;;
	esac
	ma=$(postmap -c "$quiet" -q mxseal.invalid "$2" 2>&1 </dev/null | grep -E 'fatal:|error:|warning:' | head -n 1)
	[ -n "$ma" ] || return
	case $ma in
	*warning:*)
		# a rule that is passed over: not new when the running Postfix began after it was written
		[ -n "$(find "${2#*:}" -newer "$queue/pid/master.pid" 2>/dev/null)" ] || return
		;;
	esac
	ma=$(printf '%s\n' "$ma" | sed -e 's/^postmap: *//' -e 's/\(fatal\|error\|warning\): //g' -e "s|$quiet|$live|g" | cut -c 1-300)
	refuse "$1: $ma"
}

# --- addresses

hex4() { # a.b.c.d as the kernel writes it
	IFS=.
	# shellcheck disable=SC2086 # four numbers
	set -- $1
	IFS=$ifs
	printf '%02X%02X%02X%02X' "$4" "$3" "$2" "$1"
}

is_local() {
	case $1 in
	127.* | 0.0.0.0 | :: | ::1) return 0 ;;
	*:*) return 0 ;;
	esac
	[ -r /proc/net/fib_trie ] || return 0
	grep -B 1 'host LOCAL' /proc/net/fib_trie | grep -q -e "-- $1\$"
}

# Who holds a socket: the live Postfix, or the name of the program that is not.
holder() { # INODE
	# shellcheck disable=SC2010 # one process for all descriptors
	[ -z "$master" ] || ! ls -l "/proc/$master/fd" 2>/dev/null | grep -q -F "socket:[$1]" || return 1
	for ho in /proc/[0-9]*; do
		# shellcheck disable=SC2010
		if ls -l "$ho/fd" 2>/dev/null | grep -q -F "socket:[$1]"; then
			printf '%s (process %s)\n' "$(tr -c '[:print:]' ' ' <"$ho/comm" | sed 's/ *$//')" "${ho#/proc/}"
			return 0
		fi
	done
	echo "another program"
}

bind() { # WHAT ADDRESS PORT
	is_local "$2" || refuse "$1: this host has no address $2"
	bi=$(printf ':%04X' "$3")
	case $2 in
	*:*) bi_mine=none ;;
	*) bi_mine=$(hex4 "$2") ;;
	esac
	while read -r bi_at bi_inode; do
		case $bi_at in *"$bi") ;; *) continue ;; esac
		bi_at=${bi_at%:*}
		case $bi_at in
		00000000 | 00000000000000000000000000000000 | *"$bi_mine") ;;
		*) [ "$2" = 0.0.0.0 ] && [ ${#bi_at} = 8 ] || continue ;;
		esac
		bi_who=$(holder "$bi_inode") && refuse "$1: port $3 of $2 is in use by $bi_who"
	done <<-END_OF_SOCKETS
		$sockets
	END_OF_SOCKETS
}

# A running Postfix that began with this master.cf lives with it.
jail() { # WHAT
	[ -n "$(find "$live/master.cf" -newer "$queue/pid/master.pid" 2>/dev/null)" ] || return
	[ -f /etc/resolv.conf ] && [ ! -s "$queue/etc/resolv.conf" ] && grep -q '^nameserver' /etc/resolv.conf || return
	grep '^nameserver' /etc/resolv.conf | grep -q -v -E '127[.]|::1' || return
	refuse "$1: it is locked into $queue, where no etc/resolv.conf is: it would find no mail host"
}

shift
staged=$1 live=$2 ifs=$IFS
shift 2
quiet_copy || refuse "there is no room for a copy of main.cf"
daemons=$(conf daemon_directory) queue=$(conf queue_directory) owner=$(conf mail_owner)
setpriv=$(command -v setpriv)
master=$(tr -cd 0-9 2>/dev/null <"$queue/pid/master.pid")
sockets=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { print $2, $10 }')
while [ $# -ge 2 ]; do
	case $1 in
	program) program "$2" "$3" ;;
	bind) bind "$2" "$3" "$4"; shift ;;
	map) map "$2" "$3" ;;
	jail) jail "$2"; set -- x "$@" ;;
	esac
	shift 3
done
exit 0
