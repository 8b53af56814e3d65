# mxseal's reading of why deliveries to one domain failed, from the log that Postfix writes on its own host. Fixed text, POSIX
# sh; two words are given to it: the domain, and how many bytes of the log to look through. postfix_log.sh stands in front of it.
# It prints how much of TLS is logged, the newest deliveries that went well with the line of their TLS session, of the newest
# attempts the lines of the process that made them (smtp(8) tells what went wrong in a line before the one that names
# the message, by process only), and when the present row of failures began. Where TLS sessions are shared, tlsproxy(8) tells
# it; then the other side's name and address join them. The file in use, and the one before it when that is short; where no
# file is written, the journal. This text is the lines without those that are only a comment; run under eval, with the words
# in $1 and $2.

# shellcheck disable=SC2154 # postfix_log.sh has found it
domain=$1 bytes=$2
export domain
echo "-- depth $(postconf -h smtp_tls_loglevel 2>/dev/null)"
size() { if [ -f "$1" ]; then wc -c < "$1"; else echo 0; fi; }
lines() {
	if [ -z "$log" ]; then
		journal --since=-3days | tail -c "$bytes"
		return
	fi
	have=$(size "$log")
	if [ "$have" -lt "$bytes" ]; then
		if [ -f "$log.1" ]; then tail -c "$((bytes - have))" "$log.1"
		elif [ -f "$log.1.gz" ]; then gzip -dc "$log.1.gz" 2>/dev/null | tail -c "$((bytes - have))"; fi
	fi
	[ "$have" = 0 ] || tail -c "$bytes" "$log"
}

# Of each process the lines since its last delivery (one message may go to several recipients), at most 40; of each tlsproxy peer the last 4. The last 40 attempts are kept, and the last 20 deliveries.
lines | tr -d '\000' | grep -E '/(smtp|lmtp|error|retry|tlsproxy)\[[0-9]+\]: ' | awk '
	function drop(who,   i) {
		for (i = 1; i <= n[who]; i++) delete held[who, i]
		n[who] = 0; closed[who] = ""; tls[who] = ""
	}
	BEGIN { at = "@" tolower(ENVIRON["domain"]) ">," }
	{
		if (!match($0, /[^ ]*\/[a-z]+\[[0-9]+\]: /)) next
		who = substr($0, RSTART, RLENGTH)
		if (who ~ /\/tlsproxy\[/) {
			if (match($0, /[^ ]+\[[0-9A-Fa-f.:]+\]:[0-9]+/)) peer[who] = substr($0, RSTART, RLENGTH)
			if (peer[who] != "") {
				p = peer[who]; c[p]++
				proxy[p, c[p]] = $0; delete proxy[p, c[p] - 4]
			}
			next
		}
		if (!match($0, /: [0-9A-Za-z]+: to=</)) {
			if (closed[who] != "") drop(who)
			if (/ TLS connection (established|reused) to /) tls[who] = "-- tls " $0 "\n"
			if (n[who] < 40) { n[who]++; held[who, n[who]] = $0 }
			next
		}
		id = substr($0, RSTART + 2, RLENGTH - 8)
		if (closed[who] != "" && closed[who] != id) drop(who)
		closed[who] = id
		to = tolower($0)
		if (index(to, at) > 0) {
			if (to ~ / status=sent /) { first = ""; s++; sent[s] = tls[who] "-- sent " $0; delete sent[s - 20] }
			else {
				if (first == "") first = $0
				k++; text = ""
				for (i = 1; i <= n[who]; i++) text = text held[who, i] "\n"
				if (match($0, / relay=[^,]*/)) {
					p = substr($0, RSTART + 7, RLENGTH - 7)
					for (i = c[p] - 3; i <= c[p]; i++) if ((p, i) in proxy) text = text proxy[p, i] "\n"
				}
				out[k] = text $0; delete out[k - 40]
			}
		}
	}
	END {
		for (i = s > 20 ? s - 19 : 1; i <= s; i++) print sent[i]
		if (first != "") print "-- first " first
		for (i = k > 40 ? k - 39 : 1; i <= k; i++) print out[i]
	}' | head -c 1048576
exit 0
