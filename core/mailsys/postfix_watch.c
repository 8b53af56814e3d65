/* How mail fares, read from the log that Postfix writes: the command that runs on the host while a push waits. It is given
 * "-SECONDS" or the mark it printed before, and prints (core/host/host_script.sh, "watching the mail"): mark, sent, received,
 * and one line for each message that was deferred or bounced and each peer with a TLS error. Only new bytes are read, of the
 * file, or of the one it was renamed to meanwhile and then of its successor; where no file is written, of the journal. */
#include <stddef.h>

#include "postfix.h"

/* Where the log is. A file that nobody has written to for an hour is not the log: we ourselves have just talked to a
 * service that logs it. */
static const char find_log[] =
    "mark=$1; log=\n"
    "for f in \"$(postconf -h maillog_file 2>/dev/null)\" /var/log/mail.log /var/log/maillog; do\n"
    "	case $f in /*) ;; *) continue ;; esac\n"
    "	if [ -f \"$f\" ] && [ -n \"$(find \"$f\" -mmin -60)\" ]; then log=$f; break; fi\n"
    "done\n";

/* What is new, and the mark for the next time. A file is "file INODE SIZE"; it is read up to the size it had when it was
 * looked at, so that the next look begins where this one ended. */
static const char read_log[] =
    "piece() { tail -c \"+$(($2 + 1))\" \"$1\" | head -c \"$(($3 - $2))\"; echo; }\n"
    "id_size() { stat -c '%i %s' \"$1\"; }\n"
    "of_file() {\n"
    "	is=$(id_size \"$log\") || exit 1\n"
    "	inode=${is% *} size=${is#* }\n"
    "	set -- $mark\n"
    "	case $mark in\n"
    "	-*)	from=$((size - 8388608)); [ $from -ge 0 ] || from=0\n"
    "		piece \"$log\" $from $size ;;\n"
    "	*)	if [ \"$2\" = \"$inode\" ] && [ \"$3\" -le \"$size\" ]; then\n"
    "			[ $((size - $3)) -le 4194304 ] || set -- file \"$2\" $((size - 4194304))\n"
    "			piece \"$log\" \"$3\" $size\n"
    "		else\n"
    "			for f in \"$log\".1 \"$log\".0 \"$log\"-*; do\n"
    "				[ -f \"$f\" ] && is=$(id_size \"$f\") && [ \"${is% *}\" = \"$2\" ] || continue\n"
    "				[ \"$3\" -gt \"${is#* }\" ] || piece \"$f\" \"$3\" \"${is#* }\"\n"
    "			done\n"
    "			piece \"$log\" 0 $size\n"
    "		fi ;;\n"
    "	esac\n"
    "	echo \"-- mark: file $inode $size\"\n"
    "}\n"
    "of_journal() {\n"
    "	case $mark in\n"
    "	-*)	set -- \"--since=${mark}s\" ;;\n"
    "	*)	set -- \"--after-cursor=${mark#journal }\" ;;\n"
    "	esac\n"
    "	journalctl -q --no-pager -o short --show-cursor SYSLOG_FACILITY=2 \"$@\" || exit 1\n"
    "}\n";

/* Lines to counts. Times matter only for "-SECONDS" of a file; the date must be today's unless midnight lies between. What
 * mxseal itself starts (a trial instance names itself so), and its own looks from this host, are left out; so is
 * greylisting, where the session was good. */
static const char count_log[] =
    "count() { awk -v mark=\"$mark\" -v here=\"$(date '+%F %b %e %H %M %S')\" -v utc=\"$(date -u '+%F %b %e %H %M %S')\" '\n"
    "function old(now,   n, day, t, s) {\n"
    "	n = split(now, day, \" \")\n"
    "	t = index($1, \"T\") ? substr($1, 12, 8) : $3\n"
    "	s = day[4] * 3600 + day[5] * 60 + day[6] - substr(t, 1, 2) * 3600 - substr(t, 4, 2) * 60 - substr(t, 7, 2)\n"
    "	if (s >= 0 && (index($1, \"T\") ? substr($1, 1, 10) != day[1] : $1 != day[2] || $2 + 0 != day[3] + 0)) return 1\n"
    "	if (s < 0) s += 86400\n"
    "	return s > -mark\n"
    "}\n"
    "function peer(   w) {\n"
    "	if (!match($0, / (from|to) [^ ]*\\[[^ ]*/)) return\n"
    "	w = substr($0, RSTART + 1, RLENGTH - 1); sub(/^[a-z]* /, \"\", w); sub(/\\].*/, \"]\", w)\n"
    "	if (w !~ /\\[(127\\.0\\.0\\.1|::1)\\]/) peers[w]\n"
    "}\n"
    "/^-- mark: / { new = substr($0, 10); next }\n"
    "/^-- cursor: / { new = \"journal \" substr($0, 12); next }\n"
    "{\n"
    "	at = 0\n"
    "	for (i = 2; i < 8 && i <= NF; i++) if ($i ~ /^[^ ]+\\[[0-9]+\\]:$/) { at = i; break }\n"
    "	if (!at || $at ~ /mxseal|^trial\\//) next\n"
    "	if (from_file && mark ~ /^-/ && old($1 ~ /(Z|\\+00:00)$/ ? utc : here)) next\n"
    "	id = $(at + 1); sub(/:$/, \"\", id)\n"
    "	if (id !~ /^[0-9A-Za-z]+$/ || id == $(at + 1)) id = \"\"\n"
    "}\n"
    "id != \"\" && / status=sent / { sent++ }\n"
    "id != \"\" && / status=deferred / && !/[Gg]r[ae]y-?list/ { deferred[id] }\n"
    "id != \"\" && / status=bounced / { bounced[id] }\n"
    "$at ~ /smtpd\\[/ && $(at + 2) ~ /^client=/ { received++ }\n"
    "$at ~ /pickup\\[/ && $(at + 2) ~ /^uid=/ { received++ }\n"
    "/SSL_(accept|connect) error (from|to) / || / lost connection after STARTTLS from / { peer() }\n"
    "function list(word, set,   k, n) { for (k in set) if (k ~ /^[^ ]+$/ && n++ < 1500) print word, k }\n"
    "END {\n"
    "	if (new == \"\" && mark !~ /^-/) new = mark\n"
    "	if (new == \"\") exit 1\n"
    "	print \"sent\", sent + 0; print \"received\", received + 0\n"
    "	list(\"deferred\", deferred); list(\"bounced\", bounced); list(\"tls-error\", peers)\n"
    "	print \"mark\", new\n"
    "}' from_file=\"$1\" -; }\n";

static const char run[] =
    "case $mark in\n"
    "'journal '*) log= ;;\n"
    "esac\n"
    "if [ -n \"$log\" ]; then of_file | count 1; else of_journal | count 0; fi\n";

/* A word of a command has no line ends: they travel as \n, and printf makes them again. */
static void
one_line(const char *text, struct str *out)
{
	for (; *text != '\0'; text++)
		if (*text == '\n')
			str_add(out, "\\n");
		else if (*text == '\\')
			str_add(out, "\\\\");
		else
			str_addc(out, *text == '\t' ? ' ' : *text);
}

void
watch_command(struct plan *p)
{
	struct str text = STR_INIT;

	one_line(find_log, &text);
	one_line(read_log, &text);
	one_line(count_log, &text);
	one_line(run, &text);
	command_add(&p->watch, "watch the mail log", "sh", "-c", "t=$1; shift; eval \"$(printf %b \"$t\")\"", "mail", text.s,
	    (char *)NULL);
	str_release(&text);
}
