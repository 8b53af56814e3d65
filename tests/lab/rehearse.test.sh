#!/bin/bash
# A rehearsal and what then really happens: 5,000 deliveries in a log to domains over every way in which a destination can be bad,
# some with one bad mail server of several; the set that is foretold to fail is the set that fails when the level is set, the
# messages are counted exactly, and with the exceptions applied none fails that could be helped. MXSEAL_LONG: all levels.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

known_host mx1
levels=${REHEARSE_LEVELS:-encrypt}
[ -z "${MXSEAL_LONG:-}" ] || levels="encrypt verify secure dane dane-only"
# destinations that say nothing are given up soon, or this takes all day; nothing is done in clear text after a while
"$lab" exec mx1 postconf -e smtp_connect_timeout=4s smtp_helo_timeout=4s smtp_starttls_timeout=4s smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt \
	smtp_dns_support_level=dnssec minimal_backoff_time=1h maximal_backoff_time=1h queue_run_delay=1h || fail "Postfix does not take it"
"$lab" exec mx1 postfix reload > /dev/null 2>&1
quiet server read mx1

# every destination under its own name and under that of its host
domains=$(awk -F'\t' '!/^#/ && NF > 2 && !seen[$1]++ && $3 != "policy" && $3 != "login" && $3 != "relay" { print $1; print "mx." $1 }' \
	"$(dirname "$(readlink -f "$0")")/dest.tsv")
domains="$domains multi.test three.test multibad.test nullmx.test nomx.test mxnx.test danenone.test danemix.test danealien.test"
n=$(wc -w <<< "$domains")

chapter "5,000 deliveries to $n domains, as a log has them"
# shellcheck disable=SC2086 # words
awk -v at="$(date -u +%Y-%m-%dT%H:)" 'BEGIN {
	n = ARGC - 1
	for (i = 0; i < 5000; i++) {
		d = ARGV[1 + (i * 7 + int(i / n)) % n]
		printf "%s%02d:%02d.5+00:00 mx1 postfix/smtp[%d]: A%05X: to=<u%d@%s>, relay=%s[192.0.2.1]:25, delay=1, status=%s (x)\n",
			at, i / 60 % 60, i % 60, i % 40, i, i, d, d, i % 5 ? "sent" : "deferred"
		if (i % 5 == 0)      # and once more: it is the same message
			printf "%s%02d:%02d.9+00:00 mx1 postfix/smtp[%d]: A%05X: to=<u%d@%s>, relay=none, delay=9, status=%s (x)\n",
				at, i / 60 % 60, i % 60, i % 40, i, i, d, i % 2 ? "sent" : "deferred"
		count[d]++
	}
	for (d in count) print d, count[d] > "/dev/stderr"
}' $domains > "$work/log" 2> "$work/counts"
gzip -c "$work/log" > "$work/log.gz"

# what really becomes of one mail to each: "DOMAIN fails" or "DOMAIN passes"; a refusal of the recipient is no matter of TLS
send_one_each() { # MARK
	# shellcheck disable=SC2016 # in the host
	tr ' ' '\n' <<< "$domains" | "$lab" exec mx1 sh -c 'while read -r d; do
		printf "Subject: rehearsal\n\nHello.\n" | sendmail -f anna@lab.test "$1@$d"; done' - "$1" || fail "sendmail takes no mail"
	until_true 120 told_all "$1" || { told_all "$1"; fail "not all mail met its fate"; }
	sed -nE "s/.* to=<$1@([^>]*)>.* status=([a-z]+) (.*)/\1 \2 \3/p" "$work/mail.log" | awk '
		{ d = $1; s = $2; fate[d] = s == "sent" || /in reply to (RCPT TO|end of DATA)/ ? "passes" : "fails" }
		END { for (d in fate) print d, fate[d] }' | sort
}
told_all() {
	"$lab" exec mx1 cat /var/log/mail.log > "$work/mail.log"
	[ "$(grep -oE "to=<$1@[^>]*>.*status=" "$work/mail.log" | sed 's/>.*//' | sort -u | wc -l)" = "$n" ] && return
	echo "$(grep -oE "to=<$1@[^>]*>.*status=" "$work/mail.log" | sed 's/>.*//' | sort -u | wc -l) of $n"
	return 1
}

for level in $levels; do
	chapter "$level, rehearsed"
	began=$(date +%s%N)
	mx --json rehearse mx1 --outbound "$level" --log "$work/log.gz" > "$work/$level.json" 2> "$work/$level.said" || fail "rehearse says nothing"
	echo "  it took $((($(date +%s%N) - began) / 1000000)) ms"
	jq -r '"  \(.seen.messages) messages to \(.seen.peers) domains: \(.would_fail | length) would fail, \(.would_pass.peers) pass, \(.unsure | length) unsure"' \
		"$work/$level.json"
	prove "$level: the messages of each domain are counted exactly" cmp \
		<(jq -r '(.would_fail + .unsure + .would_pass.list)[] | "\(.peer) \(.messages)"' "$work/$level.json" | sort) <(sort "$work/counts")
	jq -r '(.would_fail[] | "\(.peer) fails"), (.would_pass.list[] | "\(.peer) passes"), (.unsure[] | "\(.peer) unsure")' \
		"$work/$level.json" | sort > "$work/$level.forecast"
	jq -r '.would_fail[] | "  \(.peer)\t\(.messages)\t\(.now)\t\(.works // "nothing")\t\(.why)"' "$work/$level.json" | expand -t 24,32,40,48

	chapter "$level, really set"
	quiet vs set mx1/smtp "outbound.tls=$level" --yes
	quiet push mx1 --yes --no-shadow
	send_one_each "r-$level" > "$work/$level.real"
	prove "$level: what was foretold to fail is what fails" diff "$work/$level.forecast" "$work/$level.real"

	chapter "$level, with the exceptions"
	quiet rehearse mx1 --outbound "$level" --log "$work/log.gz" --take
	quiet push mx1 --yes --no-shadow
	send_one_each "e-$level" > "$work/$level.excepted"
	prove "$level: nothing fails that could be helped" diff \
		<(jq -r '.would_fail[] | select(.works == null) | .peer' "$work/$level.json" | sort) \
		<(sed -n 's/ fails$//p' "$work/$level.excepted")
	[ "$level" != "${levels##* }" ] || continue
	# the next one begins without exceptions
	for c in $(mx --json connector list | jq -r '.connectors[].name' | grep '^rehearsed-'); do quiet connector remove "$c"; done
	quiet push mx1 --yes --no-shadow
done

chapter "who would be shut out"
now=$(date -u +%Y-%m-%dT%H:%M:%S+00:00)
{
	session() { # PROCESS CLIENT VERSION MESSAGES
		local i
		echo "$now mx1 postfix/smtpd[$1]: connect from $2[192.0.2.$1]"
		[ "$3" = - ] || echo "$now mx1 postfix/smtpd[$1]: Anonymous TLS connection established from $2[192.0.2.$1]: $3 with cipher X (1/1 bits)"
		for ((i = 0; i < $4; i++)); do echo "$now mx1 postfix/smtpd[$1]: B$1${i}AAAA: client=$2[192.0.2.$1]"; done
		echo "$now mx1 postfix/smtpd[$1]: disconnect from $2[192.0.2.$1]"
	}
	session 11 plain.example - 5
	session 12 old.example TLSv1 3
	session 13 new.example TLSv1.3 7
	session 14 both.example - 1
	session 15 both.example TLSv1.2 1
	session 16 nat.example TLSv1 1
	session 17 nat.example TLSv1.3 1
} > "$work/in.log"
inbound() { mx --json rehearse mx1 --inbound "$1" --log "$work/in.log" | jq -r '"\([.would_fail[].peer] | join(","))/\([.unsure[].peer] | join(","))/\(.would_pass.messages)"'; }
prove "require: who never used TLS" is "$(inbound require)" plain.example/both.example/12
prove "tls1.2: who never used it, but not who never used TLS" is "$(inbound tls1.2)" old.example/nat.example/14
prove "tls1.3: who came without TLS as well may do so again" is "$(inbound tls1.3)" old.example/both.example,nat.example/12
prove "both: they may not" is "$(inbound require,tls1.3)" plain.example,old.example,both.example/nat.example/7
prove "no such level" status_is 2 rehearse mx1 --outbound strong
prove "a log that is not there" status_is 2 rehearse mx1 --inbound require --log "$work/nothing"
prove "garbage is no log, and no error" is "$(head -c 100000 /dev/urandom > "$work/garbage"; mx --json rehearse mx1 --inbound require --log "$work/garbage" | jq .seen.messages)" 0
