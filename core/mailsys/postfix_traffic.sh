# mxseal's reading of who brought and who took mail, from the log that Postfix writes on its own host. Fixed text, POSIX sh; one
# word is given to it: how many days back. postfix_log.sh stands in front of it. It prints the lines of the log that tell of sessions, TLS, mail
# taken and mail delivered (core/maillog/maillog.c joins them): the newest file first, then those it was rotated into, packed
# ones too; where no file is written, the journal. At most 64 MB and one byte, by which it is seen that there was more. This
# text is the lines without those that are only a comment; run under eval, with the word in $1.

# shellcheck disable=SC2154 # postfix_log.sh has found it
days=$1

# A packed file is as old as its last line.
files() { find "${log%/*}" -maxdepth 1 -type f -name "${log##*/}*" -mtime "-$((days + 1))" -exec ls -t {} +; }
unpack() {
	case $1 in
	*.gz) gzip -dc "$1" ;;
	*.xz) xz -dc "$1" ;;
	*.bz2) bzip2 -dc "$1" ;;
	*.zst) zstd -dcq "$1" ;;
	*) cat "$1" ;;
	esac 2>/dev/null
}
of_files() { files | while IFS= read -r f; do unpack "$f"; done; }
of_journal() { journal "--since=-${days}days"; }

if [ -n "$log" ]; then of_files; else of_journal; fi | tr -d '\000' |
	grep -E -e '/smtpd\[[0-9]+\]: (connect from |disconnect from |[0-9A-Za-z]+: client=|[A-Z][a-z]+ TLS connection established from )' \
		-e '/smtp\[[0-9]+\]: ([A-Z][a-z]+ TLS connection (established|reused) to |[0-9A-Za-z]+: to=<.* status=(sent|deferred|bounced) )' \
		-e '/(error|retry)\[[0-9]+\]: [0-9A-Za-z]+: to=<.* status=deferred ' | head -c 67108865
exit 0
