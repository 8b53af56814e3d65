# mxseal's reading of who brought and who took mail, from the log that Postfix writes on its own host. Fixed text, POSIX sh; two
# words are given to it: how many days back, and how many bytes of the log to look through. postfix_log.sh stands in front of it.
# It prints the lines of the log that tell of sessions, TLS, mail taken and mail delivered (core/maillog/maillog.c joins them), the
# oldest first, packed by gzip where that is there, behind a line "-- packed": they shrink to a seventh. Files that the log was
# rotated into are read too, packed ones as well; where no file is written, the journal, which has a ceiling of its own. Of files
# the newest bytes are looked through; a line "-- cut BYTES" says that there was more, "-- unread FILE" that one could not be
# unpacked whole. What else the host has to do goes before. This text is the lines without those that are only a comment; run
# under eval, with the words in $1 and $2.

# shellcheck disable=SC2154 # postfix_log.sh has found it
days=$1 most=$2
renice -n 10 -p $$ >/dev/null 2>&1
nl='
'

# A packed file is as old as its last line.
files() { find "${log%/*}" -maxdepth 1 -type f -name "${log##*/}*" -mtime "-$((days + 1))" -exec ls -t {} +; }
unpack() {
	case $1 in
	*.gz) gzip -dc "$1" ;;
	*.xz) xz -dc "$1" ;;
	*.bz2) bzip2 -dc "$1" ;;
	*.zst) zstd -dcq "$1" ;;
	*) tail -c "+$2" "$1" ;;
	esac 2>/dev/null || echo "$nl-- unread ${1##*/}"
}
# The newest files that fit, the oldest of them first: "FROM-BYTE FILE". A packed one is taken for twelve times its size.
chosen() {
	files | {
		list='' left=$most
		while IFS= read -r f; do
			n=$(wc -c <"$f") from=1
			case $f in *.gz | *.xz | *.bz2 | *.zst) packed=yes n=$((n * 12)) ;; *) packed= ;; esac
			if [ "$n" -gt "$left" ]; then
				echo "-- cut $most" >&3
				[ -n "$packed" ] || list="$((n - left + 1)) $f$nl$list"
				break
			fi
			left=$((left - n)) list="$from $f$nl$list"
		done
		printf %s "$list"
	}
}
of_files() { chosen | while IFS=' ' read -r from f; do unpack "$f" "$from"; done; }
of_journal() { journal "--since=-${days}days"; }
lines() {
	if [ -n "$log" ]; then of_files; else of_journal; fi 3>&1 |
		grep -aE -e '/smtpd\[[0-9]+\]: (connect from |disconnect from |[0-9A-Za-z]+: client=|[A-Z][a-z]+ TLS connection established from )' \
			-e '/smtp\[[0-9]+\]: ([A-Z][a-z]+ TLS connection (established|reused) to |[0-9A-Za-z]+: to=<.* status=(sent|deferred|bounced) )' \
			-e '/(error|retry)\[[0-9]+\]: [0-9A-Za-z]+: to=<.* status=deferred ' -e '^-- (cut|unread) '
}

if command -v gzip >/dev/null; then
	echo "-- packed"
	lines | gzip -1
else
	lines
fi
exit 0
