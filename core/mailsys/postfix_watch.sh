# mxseal's look at how mail fares, in the log that Postfix writes on its own host. Fixed text, POSIX sh; one word is given to it:
# "-SECONDS" for what was in the last seconds, or the mark that it printed before. It prints mark, sent, received, and one line
# for each message that was deferred or bounced and each peer with a TLS error (core/host/host_script.sh, "watching the mail").
# Only new bytes are read, of the file, or of the one it was renamed to meanwhile and then of its successor; where no file is
# written, of the journal. This text is the lines without those that are only a comment; run under eval, with the word in $1.

# Marks are words of ours; "A && B || C" is meant as it stands.
# shellcheck disable=SC2086,SC2015

# Where the log is. A file that nobody has written to for an hour is not the log: we ourselves have just talked to a service
# that logs it.
mark=$1; log=
for f in "$(postconf -h maillog_file 2>/dev/null)" /var/log/mail.log /var/log/maillog; do
	case $f in /*) ;; *) continue ;; esac
	if [ -f "$f" ] && [ -n "$(find "$f" -mmin -60)" ]; then log=$f; break; fi
done

# What is new, and the mark for the next time. A file is "file INODE SIZE"; it is read up to the size it had when it was looked
# at, so that the next look begins where this one ended.
piece() { tail -c "+$(($2 + 1))" "$1" | head -c "$(($3 - $2))"; echo; }
id_size() { stat -c '%i %s' "$1"; }
of_file() {
	is=$(id_size "$log") || exit 1
	inode=${is% *} size=${is#* }
	set -- $mark
	case $mark in
	-*)	from=$((size - 8388608)); [ $from -ge 0 ] || from=0
		piece "$log" $from $size ;;
	*)	if [ "$2" = "$inode" ] && [ "$3" -le "$size" ]; then
			[ $((size - $3)) -le 4194304 ] || set -- file "$2" $((size - 4194304))
			piece "$log" "$3" $size
		else
			for f in "$log".1 "$log".0 "$log"-*; do
				[ -f "$f" ] && is=$(id_size "$f") && [ "${is% *}" = "$2" ] || continue
				[ "$3" -gt "${is#* }" ] || piece "$f" "$3" "${is#* }"
			done
			piece "$log" 0 $size
		fi ;;
	esac
	echo "-- mark: file $inode $size"
}
of_journal() {
	case $mark in
	-*)	set -- "--since=${mark}s" ;;
	*)	set -- "--after-cursor=${mark#journal }" ;;
	esac
	journalctl -q --no-pager -o short --show-cursor SYSLOG_FACILITY=2 "$@" || exit 1
}

# Lines to counts. Times matter only for "-SECONDS" of a file; the date must be today's unless midnight lies between. What
# mxseal itself starts, and its own looks from this host, are left out; so is greylisting, where the session was good.
count() { awk -v mark="$mark" -v here="$(date '+%F %b %e %H %M %S')" -v utc="$(date -u '+%F %b %e %H %M %S')" '
function old(now,   n, day, t, s) {
	n = split(now, day, " ")
	t = index($1, "T") ? substr($1, 12, 8) : $3
	s = day[4] * 3600 + day[5] * 60 + day[6] - substr(t, 1, 2) * 3600 - substr(t, 4, 2) * 60 - substr(t, 7, 2)
	if (s >= 0 && (index($1, "T") ? substr($1, 1, 10) != day[1] : $1 != day[2] || $2 + 0 != day[3] + 0)) return 1
	if (s < 0) s += 86400
	return s > -mark
}
function peer(   w) {
	if (!match($0, / (from|to) [^ ]*\[[^ ]*/)) return
	w = substr($0, RSTART + 1, RLENGTH - 1); sub(/^[a-z]* /, "", w); sub(/\].*/, "]", w)
	if (w !~ /\[(127\.0\.0\.1|::1)\]/) peers[w]
}
/^-- mark: / { new = substr($0, 10); next }
/^-- cursor: / { new = "journal " substr($0, 12); next }
{
	at = 0
	for (i = 2; i < 8 && i <= NF; i++) if ($i ~ /^[^ ]+\[[0-9]+\]:$/) { at = i; break }
	if (!at || $at ~ /mxseal|^trial\//) next
	if (from_file && mark ~ /^-/ && old($1 ~ /(Z|\+00:00)$/ ? utc : here)) next
	id = $(at + 1); sub(/:$/, "", id)
	if (id !~ /^[0-9A-Za-z]+$/ || id == $(at + 1)) id = ""
}
id != "" && / status=sent / { sent++ }
id != "" && / status=deferred / && !/[Gg]r[ae]y-?list/ { deferred[id] }
id != "" && / status=bounced / { bounced[id] }
$at ~ /smtpd\[/ && $(at + 2) ~ /^client=/ { received++ }
$at ~ /pickup\[/ && $(at + 2) ~ /^uid=/ { received++ }
/SSL_(accept|connect) error (from|to) / || / lost connection after STARTTLS from / { peer() }
function list(word, set,   k, n) { for (k in set) if (k ~ /^[^ ]+$/ && n++ < 1500) print word, k }
END {
	if (new == "" && mark !~ /^-/) new = mark
	if (new == "") exit 1
	print "sent", sent + 0; print "received", received + 0
	list("deferred", deferred); list("bounced", bounced); list("tls-error", peers)
	print "mark", new
}' from_file="$1" -; }

case $mark in
'journal '*) log= ;;
esac
if [ -n "$log" ]; then of_file | count 1; else of_journal | count 0; fi
