#!/bin/bash
# Every field of a virtual server's properties, set by the program and pushed, has an effect that somebody else sees: a client
# that speaks SMTP by hand, openssl, a destination of the lab that wrote down who came, or the log of Postfix itself. Each is
# looked at before the push too, where the effect is not a matter of waiting: what looks the same has no effect, and fails. At
# the end stands a table of fields and observations; a field of the table of settings without a row in it fails as well.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
ctl=$("$lab" ctl hostname -I | cut -d' ' -f1)
net=${ctl%.*}
mx1=$net.11 good=$net.100
# as /proc/net/tcp has it: the destination that accepts connections and says nothing
IFS=. read -r a b c _ <<< "$ctl"
hang=$(printf '%02X%02X%02X%02X:0019' 116 "$c" "$b" "$a")

# --- who looks
on() { "$lab" exec "$@"; }
# shellcheck disable=SC2016 # expanded by the shell inside
speak='exec 3<> "/dev/tcp/$1/25" || exit; shift; printf "%s\r\n" "$@" >&3; cat <&3'
smtp() { "$lab" ctl timeout 8 bash -c "$speak" - "$mx1" "$@" QUIT | tr -d '\r'; }       # a stranger beside the host
smtp_at() { on mx1 timeout 8 bash -c "$speak" - "$@" QUIT | tr -d '\r'; }              # a program on the host: ADDRESS LINE...
smtp_tls() { # LINE...: inside STARTTLS
	{ sleep 0.3; printf '%s\n' "$@" QUIT; } | "$lab" ctl timeout 8 openssl s_client -starttls smtp -crlf -quiet -connect "$mx1:25" 2>&1 |
		tr -d '\r'
}
handshake() { "$lab" ctl timeout 8 openssl s_client -starttls smtp -connect "$mx1:25" "$@" < /dev/null 2>&1; }
post() { # SENDER RECIPIENT [TEXT]: given to Postfix on the host
	# shellcheck disable=SC2016
	on mx1 sh -c 'printf "%sSubject: %s\n\nHello.\n" "$3" "$2" | sendmail -f "$1" "$2"' - "$1" "$2" "${3:-}"
}
sessions() { on dest cat /var/log/destd.jsonl | jq -c --arg d "$1" 'select(.domain == $d)'; }      # DOMAIN
arrived() { on dest sh -c "cat /var/spool/destd/$1/*.eml 2>/dev/null"; }                          # DOMAIN
log_has() { on mx1 grep -E -e "$1" /var/log/mail.log; }
not() { ! "$@"; }
why() { log_has "/smtp\[.* to=<[^>]*@$1>.* status=deferred" | tail -n 1 | sed 's/.*status=deferred //'; }    # DOMAIN, also of what is back by now
said() { [ -n "$("$@")" ]; }
connections() { on dest cat /proc/net/tcp | awk -v at="$hang" '$2 == at && $4 == "01"' | wc -l; }
watch_connections() { # SECONDS: the most there were at a time
	local end=$((SECONDS + $1)) n most=0
	while [ "$SECONDS" -lt "$end" ]; do
		n=$(connections)
		[ "$n" -le "$most" ] || most=$n
	done
	echo "$most"
}

# --- the table
declare -A value seen_before seen_after seen_with
order=()
# field SETTING=VALUE: it is part of the next push
wants=()
field() {
	local name=${1%%=*}
	[ -n "${value[$name]:-}" ] || order+=("$name")
	value[$name]=${1#*=}
	wants+=("$1")
}
carry() { # all of them, in one push
	quiet vs set mx1 "${wants[@]}" --yes
	quiet push mx1 --yes
	wants=()
}
before() { seen_before[$1]=$("$2"); }
# saw FIELD WANTED FOUND: an extended regular expression, and what was seen
saw() {
	local found=${3//$'\n'/ | }
	grep -Eq -e "$2" <<< "$3" || fail "$1=${value[$1]} has no effect: seen was: ${found:-nothing}"
	if [ -n "${seen_before[$1]:-}" ] && [ "${seen_before[$1]}" = "$3" ]; then
		fail "$1=${value[$1]} changes nothing: before and after it is: $found"
	fi
	seen_after[$1]=$(grep -Eo -m 1 -e "$2" <<< "$3" | head -n 1)
	seen_with[$1]=${value[$1]}
	printf '  %-34s %s\n' "$1=${value[$1]}" "${seen_after[$1]}"
}

# --- observers
greeting() { smtp "EHLO me" | head -n 2; }
many_clients() { # how a third connection of one client is greeted
	# shellcheck disable=SC2016
	"$lab" ctl timeout 8 bash -c 'for i in 5 6 7; do eval "exec $i<>/dev/tcp/$1/25"; done; for i in 5 6 7; do read -t 3 -r line <&$i; done
		echo "$line"' - "$mx1"
}
idle() { # how long a client may say nothing
	local start=$SECONDS
	# shellcheck disable=SC2016
	"$lab" ctl timeout 7 bash -c 'exec 3<> "/dev/tcp/$1/25"; cat <&3' - "$mx1" | tr -d '\r' | grep -o '421.*'
	[ $((SECONDS - start)) -lt 6 ] || echo "still there after 6 s"
}
auth_in_clear() { smtp "EHLO me" | grep -m 1 AUTH || echo "no AUTH"; }
size_said() { smtp "EHLO me" "MAIL FROM:<a@b.test> SIZE=30000" | grep -E 'SIZE|^552|^250 2.1.0'; }
rcpts() { smtp "EHLO me" "MAIL FROM:<>" "RCPT TO:<user@lab.test>" "RCPT TO:<root@lab.test>" "RCPT TO:<postmaster@lab.test>" | tail -n 2 | head -n 1; }
unknown_local() { smtp "EHLO me" "MAIL FROM:<>" "RCPT TO:<nobody-such@lab.test>" | tail -n 2 | head -n 1; }
own_name() { # what the host calls a client at its own address
	smtp_at 127.0.0.1 "EHLO me" > /dev/null
	log_has " connect from .*\[127.0.0.1\]" | tail -n 1 | sed 's/.* connect from //'
}
ehlo_seen() { sessions good.test | tail -n 1 | jq -r '.dialog[]' | grep -E 'C: (EHLO|HELO|MAIL)'; }
relayed() { smtp "EHLO me" "MAIL FROM:<>" "RCPT TO:<x@good.test>" | tail -n 2 | head -n 1; }
# shellcheck disable=SC2016 # the perl is not for the shell
authentication() { # a server of Dovecot's protocol that lets everybody in, for Postfix to ask
	on mx1 perl -MIO::Socket::INET -e 'fork and exit; my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1:7425", Listen => 9, Reuse => 1) or die;
		open STDIN, "<", "/dev/null"; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null"; $SIG{CHLD} = "IGNORE";
		while (my $c = $l->accept) { fork and next; $c->autoflush;
			print $c "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n";
			while (<$c>) { print $c "OK\t$1\tuser=test\n" if /^AUTH\t(\d+)/ } exit }'
}
login="AUTH PLAIN $(printf '\0test\0secret' | base64)"

chapter "a host as built, whose administrator has set up who checks passwords"
known_host mx1
prove "without a certificate no secure channel is offered" status_is 2 vs set mx1 inbound.tls=offer
own_ca_certificate mx1
authentication
on mx1 postconf -e "smtpd_sasl_type = dovecot" "smtpd_sasl_path = inet:127.0.0.1:7425"
on mx1 postconf -M "submission/inet=submission inet n - y - - smtpd"
on mx1 postfix reload > /dev/null 2>&1
on dest sh -c ': > /var/log/destd.jsonl; rm -rf /var/spool/destd/*'
quiet server read mx1
prove "what Postfix has not is refused, and the sentence says what there is instead" status_is 2 vs set mx1 inbound.session-size=10M
prove "in these words" grep -q 'not on Postfix: .*each message has its limit' "$work/err"

chapter "how it looks before"
before inbound.name greeting
before inbound.connections-per-client many_clients
before inbound.timeout idle
before inbound.auth auth_in_clear
before inbound.message-size size_said
before inbound.recipients rcpts
before inbound.unknown-recipients unknown_local
before inbound.reverse-lookup own_name
post user@mx1.lab.test x@good.test
until_true 10 said arrived good.test || fail "no mail leaves at all"
before outbound.helo-name ehlo_seen
before outbound.masquerade ehlo_seen

chapter "clear text: who comes in, and what leaves"
field inbound.name=in.lab.test
field inbound.connections-per-client=2
field inbound.timeout=3s
field inbound.auth=yes
field inbound.message-size=20K
field inbound.recipients=2
field inbound.unknown-recipients="[mx.good.test]"
field inbound.reverse-lookup=no
field notices.copy-to=copies@good.test
field notices.expire-after=2s
field outbound.messages-per-connection=2
field outbound.connections-per-domain=1
field outbound.timeout.connect=2s
field outbound.timeout=2s
field outbound.hop-count=3
field outbound.masquerade=lab.test
field outbound.helo-name=out.lab.test
field outbound.retry.first=2s
field outbound.retry.max=3s
field outbound.notify-after=3s
field outbound.expire-after=25s
carry
on dest sh -c ': > /var/log/destd.jsonl; rm -rf /var/spool/destd/*'
# what waits, and what comes back for it to a sender elsewhere
post late@good.test x@tempfail.test
post nowhere@tempfail.test x@reject.test
post user@mx1.lab.test x@reject.test
post user@mx1.lab.test x@blackhole.test
post circle@good.test x@notls.test "$(printf 'Received: by %s.test\n' a b c d; printf x)"
post user@mx1.lab.test x@good.test
saw inbound.name '^220 in.lab.test.*' "$(greeting)"
saw inbound.connections-per-client '^421 .*too many connections.*' "$(many_clients)"
saw inbound.auth '^250.AUTH PLAIN' "$(auth_in_clear)"
saw inbound.message-size '^552 .*' "$(size_said)"
saw inbound.recipients '^452 .*[Tt]oo many recipients' "$(rcpts)"
saw inbound.reverse-lookup 'unknown\[127.0.0.1\]' "$(own_name)"
saw inbound.unknown-recipients '^250 2.1.5 Ok' "$(unknown_local)"
smtp "EHLO me" "MAIL FROM:<a@b.test>" "RCPT TO:<nobody-such@lab.test>" DATA "Subject: unknown here" "" x . > /dev/null
saw inbound.timeout '^421 .*timeout exceeded' "$(idle)"
helo_came() { ehlo_seen | grep -q out.lab.test; }
until_true 10 helo_came
saw outbound.helo-name 'C: EHLO out.lab.test' "$(ehlo_seen)"
masked() { sessions good.test | jq -r '.dialog[]' | grep -i 'MAIL FROM:<user@'; }
saw outbound.masquerade 'FROM:<user@lab.test>' "$(masked)"
forwarded() { arrived good.test | grep 'Subject: unknown here'; }
prove "what is unknown here went on to the other host" until_true 10 said forwarded
copied() { arrived good.test | grep -A 40 -i 'to: copies@good.test\|for <copies@good.test>' | grep -i 'x@reject.test'; }
until_true 15 said copied
saw notices.copy-to 'x@reject.test' "$(copied)"
in_circles() { arrived good.test | grep -i 'too many hops'; }
until_true 10 said in_circles
saw outbound.hop-count '.*too many hops.*' "$(in_circles)"
no_connect() { why blackhole.test; }
until_true 15 said no_connect
saw outbound.timeout.connect '.*timed out' "$(no_connect)"
connecting() { log_has '/smtp\[.* to=<[^>]*@blackhole.test>.* status=deferred' | sed -n '1s/.* delays=[^/]*\/[^/]*\/\([0-9]*\).*/\1/p'; }
took=$(connecting)
[ -n "$took" ] && [ "$took" -lt 20 ] || fail "that took as long as it would without outbound.timeout.connect: ${took:-?} s"

# a destination that says nothing: how many come to it at a time, and how soon they leave
watch_connections 7 > "$work/most" &
watching=$!
for i in 1 2 3 4 5; do post user@mx1.lab.test "h$i@bannerhang.test"; done
wait "$watching"
most=$(cat "$work/most")
saw outbound.connections-per-domain '^1 at a time' "$most at a time"
silent() { why bannerhang.test; }
until_true 10 said silent
saw outbound.timeout '.*timed out while receiving the initial server greeting' "$(silent)"

# a heap for one destination that waits and then goes all at once, so that connections are kept open for the next message
on mx1 sh -c 'postconf -e defer_transports=smtp && postfix reload' > /dev/null 2>&1
for i in 1 2 3 4 5 6; do post user@mx1.lab.test "m$i@notls.test"; done
waits() { [ "$(on mx1 postqueue -j | grep -c '@notls.test.*deferred transport')" = 6 ]; }
until_true 10 waits
on mx1 sh -c 'postconf -X defer_transports && postfix reload && postqueue -f' > /dev/null 2>&1
heap() { [ "$(arrived notls.test | grep -c '^Subject: m')" = 6 ]; }
prove "a heap of mail is delivered" until_true 20 heap
per_connection() { sessions notls.test | jq -r '"most in one: \(.mails)"' | sort | tail -n 1; }
settled() { [ "$(sessions notls.test | jq -s '[.[].mails] | add')" = 6 ]; }
until_true 10 settled
saw outbound.messages-per-connection '^most in one: 2$' "$(per_connection)"

# what time brings: attempts, the notice that it is late, its return, and a return that is given up
returned() { arrived good.test | grep -A 30 'Undelivered Mail' | grep -o 'tempfail.test.*'; }
prove "the message that waited comes back" until_true 60 said returned
attempts() { sessions tempfail.test | jq -s --arg from "late@good.test" '[.[] | select(any(.dialog[]; contains($from)))] | length'; }
# by default it would be one; with the first alone they get fewer and fewer: after 2, 4, 8 and 16 s
saw outbound.retry.first '^([3-9]|1[0-9]) attempts' "$(attempts) attempts"
saw outbound.retry.max '^([7-9]|1[0-9]) attempts' "$(attempts) attempts"
late() { arrived good.test | grep '^Subject: Delayed Mail'; }
saw outbound.notify-after '^Subject: Delayed Mail.*' "$(late)"
saw outbound.expire-after 'tempfail.test.*' "$(returned | head -n 1)"
given_up() { log_has 'from=<>, status=expired|to=<nowhere@tempfail.test>.*status=(bounced|expired)' | tail -n 1; }
until_true 20 said given_up
saw notices.expire-after 'status=expired.*' "$(given_up)"
on mx1 postsuper -d ALL > /dev/null 2>&1

chapter "TLS"
relay_after_login() { smtp_tls "EHLO me" "$login" "MAIL FROM:<>" "RCPT TO:<x@good.test>" | tail -n 2 | head -n 1; }
starttls_said() { smtp "EHLO me" | grep -c STARTTLS; }
before inbound.tls starttls_said
before inbound.relay.networks relayed
auth_lines() { echo "in clear: $(auth_in_clear)"; }
before inbound.auth-needs-tls auth_lines
relay_in_clear() { smtp "EHLO me" "$login" "MAIL FROM:<>" "RCPT TO:<x@good.test>" | tail -n 2 | head -n 1; }
before inbound.relay.authenticated relay_in_clear
outbound_tls() { sessions good.test | tail -n 1 | jq -r 'if .tls then "by \(.tls.version)" else "in clear" end'; }
before outbound.tls outbound_tls
field inbound.tls=offer
field inbound.auth-needs-tls=yes
field inbound.protocol-min=tls1.3
field inbound.ciphers=high
field inbound.client-cert=ask
field inbound.relay.networks="127.0.0.0/8 $ctl"
field inbound.relay.authenticated=no
field log.tls=summary
field outbound.tls=encrypt
field outbound.protocol-min=tls1.2
field outbound.ciphers=high
carry
on dest sh -c ': > /var/log/destd.jsonl'
post user@mx1.lab.test x@good.test
post user@mx1.lab.test x@tls10.test
saw inbound.tls '^1$' "$(starttls_said)"
saw inbound.auth-needs-tls '^in clear: no AUTH' "$(auth_lines)"
prove "but inside TLS it is offered" grep -q AUTH <<< "$(smtp_tls "EHLO me")"
saw inbound.protocol-min 'alert protocol version|no protocols available|handshake failure' "$(handshake -tls1_2)"
prove "while the newer one is good" grep -q 'TLSv1.3' <<< "$(handshake -tls1_3)"
saw inbound.client-cert 'Acceptable client certificate CA names|Requested Signature Algorithms|Client Certificate Types' "$(handshake -tls1_3)"
saw inbound.relay.networks '^250 2.1.5 Ok' "$(relayed)"
relay_elsewhere() { smtp_at "$mx1" "EHLO me" "MAIL FROM:<>" "RCPT TO:<x@good.test>" | tail -n 2 | head -n 1; }
prove "and others may not" grep -q '^[45]54' <<< "$(relay_elsewhere)"
tls_logged() { log_has 'TLS connection established from' | tail -n 1; }
saw log.tls 'TLS connection established from.*' "$(tls_logged)"
sent_by_tls() { [ "$(outbound_tls)" = "by TLSv1.3" ]; }
until_true 10 sent_by_tls
saw outbound.tls 'by TLSv1.3' "$(outbound_tls)"
too_old() { why tls10.test; }
until_true 10 said too_old
saw outbound.protocol-min '.*TLS.*' "$(too_old)"
# the two grades differ in ciphers that this OpenSSL has none of: then all that can be seen is that Postfix runs with it
if on mx1 openssl ciphers 'MEDIUM:@SECLEVEL=0' > /dev/null 2>&1; then
	fail "this OpenSSL has ciphers of medium strength now: let a client try one, here"
fi
grade() { on mx1 postconf -h "$1" "$2" | paste -sd' '; }
same="this OpenSSL has no cipher between the grades; Postfix runs with"
saw inbound.ciphers '.* high high$' "$same $(grade smtpd_tls_ciphers smtpd_tls_mandatory_ciphers)"
saw outbound.ciphers '.* high high$' "$same $(grade smtp_tls_ciphers smtp_tls_mandatory_ciphers)"

chapter "who may"
anonymous() { smtp_at 127.0.0.1 "EHLO me" "MAIL FROM:<>" "RCPT TO:<user@lab.test>" | tail -n 2 | head -n 1; }
stranger() { smtp "EHLO me" "MAIL FROM:<>" "RCPT TO:<user@lab.test>" | tail -n 2 | head -n 1; }
itself() { smtp_at "$mx1" "EHLO me" "MAIL FROM:<>" "RCPT TO:<user@lab.test>" | tail -n 2 | head -n 1; }
before inbound.anonymous anonymous
before inbound.clients.only stranger
before inbound.clients.except itself
field inbound.anonymous=no
field inbound.clients.only="127.0.0.0/8 $mx1"
field inbound.clients.except="$mx1"
field inbound.relay.networks="127.0.0.0/8"
field inbound.client-cert=none
field inbound.auth-needs-tls=no
field outbound.tls=none
field outbound.helo-only=yes
field outbound.connections=2
field outbound.connections-per-domain=20
field outbound.smart-host="[$good]"
quiet vs set mx1/submission inbound.name=sub.lab.test inbound.message-size=5K
prove "what the host has but once is set on the default one" status_is 2 vs set mx1/submission outbound.retry.first=1m
carry
prove "a client certificate is not asked for any more" not grep -q 'Requested Signature Algorithms' <<< "$(handshake -tls1_3)"
at_587() { "$lab" ctl timeout 8 bash -c "${speak/\/25/\/587}" - "$mx1" "EHLO me" QUIT | tr -d '\r'; }
prove "another virtual server has its own name" grep -q '^220 sub.lab.test' <<< "$(at_587)"
prove "and its own limit" grep -q 'SIZE 5120$' <<< "$(at_587)"
prove "while the default one keeps its own" grep -q 'SIZE 20480$' <<< "$(smtp "EHLO me")"
saw inbound.anonymous '^554 .*Sender address rejected.*' "$(anonymous)"
saw inbound.clients.only '^554 .*Client host rejected.*' "$(stranger)"
saw inbound.clients.except '^554 .*Client host rejected.*' "$(itself)"
relay_local_login() { smtp_at 127.0.0.1 "EHLO me" "$login" "MAIL FROM:<>" "RCPT TO:<user@lab.test>" | tail -n 2 | head -n 1; }
prove "who logs in may hand over mail" grep -q '^250' <<< "$(relay_local_login)"
on dest sh -c ': > /var/log/destd.jsonl; rm -rf /var/spool/destd/*'
post user@mx1.lab.test x@notls.test
smart() { arrived good.test | grep 'Subject: x@notls.test'; }
until_true 10 said smart
saw outbound.smart-host 'Subject: x@notls.test' "$(smart)"
until_true 10 said ehlo_seen
saw outbound.helo-only 'C: HELO out.lab.test' "$(ehlo_seen)"

chapter "what shuts peers out is asked, with figures from the log"
prove "it is asked" status_is 2 vs set mx1 inbound.tls=require
prove "with what comes of it for the clients in the log, rehearsed for that" grep -q 'Rehearsed at require, log of 7 days: of [1-9][0-9]* clients ' "$work/err"
show traffic mx1
prove "the log tells of the clients" [ "$(json '[.in[] | select(.peer == "'"$ctl"'")] | length > 0' traffic mx1)" = true ]
prove "good.test took mail by TLS 1.3" [ "$(json '.out[] | select(.peer == "good.test") | .oldest' traffic mx1)" = TLSv1.3 ]
prove "and nothing was edited" [ "$(json '.settings["inbound.tls"].wanted' vs show mx1)" = offer ]

chapter "the rest"
field inbound.anonymous=yes
field inbound.clients.only=none
field inbound.clients.except=none
field inbound.tls=require
field inbound.connections=2
field inbound.connections-per-client=0
field inbound.relay.authenticated=no
field outbound.smart-host=none
field outbound.port=2626
carry
must_starttls() { smtp "EHLO me" "MAIL FROM:<>"; }
saw inbound.tls '^530 .*STARTTLS.*' "$(must_starttls)"
saw inbound.relay.authenticated '^[45]54 .*Relay access denied' "$(relay_after_login)"
third_waits() { # two are served, the third hears nothing
	# shellcheck disable=SC2016
	"$lab" ctl timeout 8 bash -c 'for i in 5 6 7; do eval "exec $i<>/dev/tcp/$1/25"; done; for i in 5 6; do read -t 3 -r a <&$i; done
		read -t 2 -r b <&7 || b=nothing; echo "${a%% *}, then $b"' - "$mx1"
}
saw inbound.connections '^220, then nothing$' "$(third_waits)"
other_port() { on dest timeout 15 python3 -c "
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('$good', 2626)); s.listen(1)
c, a = s.accept(); c.sendall(b'220 other port\r\n'); print(a[0], c.recv(100).decode().strip())"; }
other_port > "$work/port" &
listening=$!
sleep 0.5
post user@mx1.lab.test x@good.test
wait "$listening"
saw outbound.port "$mx1 (EHLO|HELO) .*" "$(cat "$work/port")"
without_certificate() { echo "MAIL answered $(smtp_tls "EHLO me" "MAIL FROM:<>" | grep -c "^250 2.1.0") times"; }
before inbound.client-cert without_certificate
field inbound.client-cert=require
quiet vs set mx1 outbound.port=25 outbound.helo-only=no outbound.protocol-min=tls1.0 outbound.tls=encrypt --yes
field outbound.fallback-host="[mx.good.test]"
carry
saw inbound.client-cert '^MAIL answered 0 times' "$(without_certificate)"
post user@mx1.lab.test x@tls10.test
old_protocol() { arrived tls10.test | grep 'X-Lab-TLS.*TLSv1"'; }
prove "with the lower floor the old protocol is spoken" until_true 10 said old_protocol
post user@mx1.lab.test x@refused.test
fell_back() { arrived good.test | grep 'Subject: x@refused.test'; }
until_true 10 said fell_back
saw outbound.fallback-host 'Subject: x@refused.test' "$(fell_back)"
watch_connections 7 > "$work/most" &
watching=$!
for i in 1 2 3 4 5 6; do post user@mx1.lab.test "h$i@bannerhang.test"; done
wait "$watching"
most=$(cat "$work/most")
saw outbound.connections '^2 at a time' "$most at a time"
prove "a second push changes nothing" grep -q unchanged <<< "$(mx --json push mx1 --yes 2> /dev/null)"

chapter "fields and what was seen"
for name in "${order[@]}"; do
	[ -n "${seen_after[$name]:-}" ] || fail "nobody looked at $name"
	printf '  %-34s %-28s %s\n' "$name" "${seen_with[$name]}" "${seen_after[$name]}"
done
mx help vs set | sed -n 's/^  \([a-z.-]*\) .*/\1/p' | grep '\.' | while read -r name; do
	[ -n "${seen_after[$name]:-}" ] && continue
	status_is 2 vs set mx1 "$name=$(case $name in *auth-windows) echo yes ;; *size) echo 1M ;; *dns*) echo 192.0.2.1 ;; *second | local.*) echo 5m ;; *) echo x.test ;; esac)" > /dev/null 2>&1 ||
		fail "$name has no row in the table"
	grep -q 'not on Postfix' "$work/err" || fail "$name has no row in the table"
	printf '  %-34s %s\n' "$name" "$(sed -n 's/.*\(not on Postfix: .*\)/\1/p' "$work/err")"
done || exit 1
