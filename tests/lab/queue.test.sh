#!/bin/bash
# Mail for destinations that misbehave in every way: `diagnose` names class and side from the queue's reason and two looks,
# under encrypt, verify and secure; looks end in time; a mail host that cannot be asked is said so.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

# shellcheck disable=SC2016 # expanded in the host
postfix_with() { # SETTING...: and an empty queue
	"$lab" exec mx1 sh -c 'for s; do postconf -e "$s"; done; postsuper -d ALL; postfix reload' - "$@" > "$work/postfix" 2>&1 ||
		{ cat "$work/postfix"; fail "Postfix takes no $*"; }
}
answer() { json '[.class, .side] | join(" ")' diagnose mx1 "$1"; } # DOMAIN
# waits_for LEVEL DOMAIN CLASS SIDE: mail for it waits at this level, and the diagnosis says why
waits_for() {
	prove "$1: mail for $2 waits" until_true 40 reason_known "$2"
	prove "$1: $2: $3, $4" is "$(answer "$2")" "$3 $4"
}
takes_less_than() { # SECONDS WORD...
	local seconds=$1 start=$SECONDS
	shift
	quiet "$@"
	cat "$work/quiet"
	echo "$((SECONDS - start)) s"
	[ $((SECONDS - start)) -lt "$seconds" ]
}

"$lab" reset mx1 > /dev/null 2>&1 || fail "the lab cannot reset mx1"

chapter "twelve kinds of bad destination, on a host that requires TLS and was never read"
declare -A kinds=([notls]="tls-not-offered theirs" [tlsclose]="lost-connection-after-starttls theirs" [tlsgarbage]="handshake-failed theirs"
	[tls454]="starttls-refused theirs" [refused]="connect-refused theirs" [grey]="greylist theirs" [noroute]="network-unreachable theirs"
	[tempfail]="remote-4xx theirs" [full]="remote-4xx theirs" [busy]="banner-rejected theirs" [bogus]="dns theirs"
	[expired]="cert-expired theirs")
postfix_with smtp_tls_security_level=encrypt 'smtp_tls_policy_maps=inline:{expired.test=verify}'
for kind in "${!kinds[@]}" pix; do send_mail "$who@$kind.test"; done        # grey.test remembers whom it knows
quiet server add mx1 mx1
quiet server trust mx1 --fingerprint "$(fingerprint_of mx1)"
right=0
judged() { # KIND: into $work/verdict.KIND
	until_true 40 reason_known "$1.test"
	answer "$1.test" > "$work/verdict.$1"
}
running=0
for kind in "${!kinds[@]}"; do
	judged "$kind" &
	running=$((running + 1))
	[ $running -lt 3 ] || { wait -n; running=$((running - 1)); }
done
wait
for kind in "${!kinds[@]}"; do
	if [ "$(cat "$work/verdict.$kind")" = "${kinds[$kind]}" ]; then
		right=$((right + 1))
		echo "  right: $kind: ${kinds[$kind]}"
	else
		echo "  WRONG: $kind: $(cat "$work/verdict.$kind"), not ${kinds[$kind]}"
		mx diagnose mx1 "$kind.test" | sed 's/^/    /'
	fi
done
echo "$right of 12 verdicts are right"
prove "all twelve are right" is "$right" 12

chapter "encrypt"
quiet server read mx1
postfix_with smtp_tls_policy_maps=
send_mail user@pix.test
send_mail user@notls.test
waits_for encrypt notls.test tls-not-offered theirs
waits_for encrypt pix.test tls-not-offered theirs
prove "the answer speaks of this destination's own mail server" \
	is "$(json '.evidence[] | select(startswith("The queue says"))' diagnose mx1 pix.test | grep -o 'mx[.][a-z.]*test')" mx.pix.test
prove "it says since when" [ "$(json .since diagnose mx1 notls.test)" != null ]
prove "nothing waits for good.test, and nothing would" is "$(answer good.test)" "tls-ok none"
prove "a name that DNS does not know is a finding" is "$(answer nosuch.test)" "dns theirs"
prove "so is a domain that takes no mail" is "$(answer nullmx.test)" "dns theirs"

for level in verify secure; do
	chapter "$level"
	postfix_with smtp_tls_security_level=$level
	for domain in expired.test wrongname.test selfsigned.test tls10.test; do send_mail "user@$domain"; done
	waits_for $level expired.test cert-expired theirs
	waits_for $level wrongname.test cert-name-mismatch theirs
	waits_for $level selfsigned.test self-signed theirs
	waits_for $level tls10.test protocol-version theirs
	prove "$level: the lower level offered is one that works" is "$(json '.choices[] | select(.name == "lower").command' diagnose mx1 expired.test |
		grep -o -- '--tls [a-z]*')" "--tls encrypt"
done

prove "the web server of a policy may be one that only the mail host's client trusts" grep -q 'MTA-STS policy, as mx1 sees it in mode enforce' \
	<(SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null mx diagnose mx1 mtasts.test)

chapter "what is ours"
postfix_with smtp_tls_security_level=verify smtp_tls_CApath=
send_mail user@good.test
waits_for "no authorities" good.test cert-untrusted ours
postfix_with smtp_tls_security_level=encrypt smtp_tls_CApath=/etc/ssl/certs 'relayhost=[mx.notls.test]:25'
send_mail user@good.test
waits_for "a relay without TLS" good.test tls-not-offered theirs
prove "the relay is what was looked at" is "$(json '.probes[0].hosts[0].host' diagnose mx1 good.test)" mx.notls.test
# shellcheck disable=SC2016 # Postfix's own
postfix_with relayhost= 'smtp_tls_policy_maps=inline:{good.test=nonsense}'
send_mail user@good.test
waits_for "a policy row that is wrong" good.test local-policy-problem ours
"$lab" exec mx1 sh -c 'sed "50s/^..../!!!!/" /etc/ssl/certs/ca-certificates.crt > /etc/postfix/broken.pem'
postfix_with smtp_tls_policy_maps= smtp_tls_CAfile=/etc/postfix/broken.pem
send_mail user@good.test
waits_for "a damaged file of authorities" good.test local-key-problem ours
prove "it is said where" grep -q 'broken.pem is not loaded, and TLS is off: block [0-9]* of it, at line [0-9]*, is damaged' <(mx diagnose mx1 good.test)
postfix_with smtp_tls_CAfile=

chapter "what is published"
MXSEAL_DNS_ANCHOR=$("$lab" root dns)/etc/unbound/lab-root.key
export MXSEAL_DNS_ANCHOR
postfix_with smtp_tls_security_level=dane smtp_dns_support_level=dnssec
for domain in danebad.test danenotls.test danesf.test; do send_mail "user@$domain"; done
waits_for dane danebad.test dane-mismatch theirs
waits_for dane danenotls.test tls-not-offered theirs
waits_for dane danesf.test dane-lookup-error theirs
prove "a self-signed certificate that TLSA records allow is good" is "$(answer dane.test)" "tls-ok none"
prove "here and there the records say the same" is \
	"$(json '[.probes[] | .dane.state] | unique | join(" ")' diagnose mx1 dane.test)" match
prove "a policy and what it is worth" is \
	"$(json '[.mta_sts.state, .mta_sts.mode] | join(" ")' probe mtastsbad.test)" "tls-fails enforce"
prove "a good one" is "$(json '[.mta_sts.state, .mta_sts.mx[0]] | join(" ")' probe mtasts.test)" "ok mx.mtasts.test"
postfix_with smtp_tls_security_level=encrypt smtp_dns_support_level=

chapter "both families of addresses"
endpoint() { # DOMAIN [--via mx1]: class, and which addresses are good
	json '"\(.class) \([.hosts[] | select(.class == "tls-ok") | .address] | join(" "))"' probe "$@"
}
net=$(cut -d. -f1-3 < "$dir/net")
for via in "" "--via mx1"; do
	# shellcheck disable=SC2086 # words
	{
		prove "IPv6 only ${via:-from here}" is "$(endpoint six.test $via)" "tls-ok fd77::141"
		prove "nothing listens over IPv6 ${via:-from here}" is "$(endpoint deadsix.test $via)" "tls-ok $net.142"
		prove "nothing listens over IPv4 ${via:-from here}" is "$(endpoint deadfour.test $via)" "tls-ok fd77::143"
		prove "another certificate over IPv6 ${via:-from here}" is "$(endpoint othersix.test $via)" "cert-expired $net.144"
		prove "a policy that lists other mail servers ${via:-from here}" is \
			"$(json '[.mta_sts.state, .mta_sts.mode] | join(" ")' probe mtastsmx.test $via)" "mx-mismatch enforce"
		prove "a policy that is only tried ${via:-from here}" is \
			"$(json '[.mta_sts.state, .mta_sts.mode] | join(" ")' probe mtaststest.test $via)" "tls-fails testing"
	}
done
prove "which address is bad is said" grep -qF 'not mx.deadsix.test at fd77::142, IPv6' <(mx probe deadsix.test --via mx1)
postfix_with smtp_tls_security_level=verify
judgement() { json '[.class, .side, .where // "-"] | join(" ")' diagnose mx1 "$1"; } # DOMAIN
prove "one family with another certificate" is "$(judgement othersix.test)" "cert-expired theirs one-mx"
prove "and which" is "$(json .verdict diagnose mx1 othersix.test | grep -o '(.*)')" "(mx.othersix.test at fd77::144, IPv6)"
"$lab" exec mx1 ip -6 addr flush dev eth0 scope global
send_mail user@six.test
prove "a host without IPv6: mail for six.test waits" until_true 40 reason_known six.test
prove "and that is ours" is "$(judgement six.test)" "network-unreachable ours ipv6"
"$lab" exec mx1 ip -6 addr add fd77::11/64 dev eth0 nodad
postfix_with inet_protocols=ipv4
prove "so is a mail system that uses IPv4 only" is "$(judgement six.test)" "network-unreachable ours ipv6"
prove "for which a bad certificate over IPv6 is no matter" is "$(judgement othersix.test)" "tls-ok none -"
postfix_with inet_protocols=all smtp_tls_security_level=encrypt
"$lab" exec mx1 sh -c 'cp /etc/resolv.conf /root/resolv.built; echo "nameserver fd77::53" > /etc/resolv.conf'
prove "a resolver that is asked over IPv6" is "$(endpoint good.test --via mx1)" "tls-ok $net.100"
"$lab" exec mx1 cp /root/resolv.built /etc/resolv.conf

chapter "where the journal has the log"
# shellcheck disable=SC2016 # expanded in the host
"$lab" exec mx1 sh -c 'systemctl stop syslog.socket rsyslog 2> /dev/null || { kill $(cat /run/rsyslogd.pid)
		mkdir -p /run/systemd/journal && ln -sf /run/systemd/journal/dev-log /dev/log && (setsid /lib/systemd/systemd-journald > /dev/null 2>&1 &) && sleep 1; }
	rm -f /var/log/mail.log*; echo "a line of long ago" > /var/log/mail.log; touch -d "5 days ago" /var/log/mail.log
	postfix stop; sleep 0.5; postfix start' > "$work/postfix" 2>&1
postfix_with "smtp_tls_security_level=verify"
send_mail user@expired.test
send_mail user@good.test
waits_for "journal" expired.test cert-expired theirs
prove "the diagnosis has the words of the log" grep -q 'The log of mx1 says.*certificate has expired' <(mx diagnose mx1 expired.test)
prove "who took mail is known" is "$(json '[.out[] | select(.peer == "good.test") | .messages] | join(" ")' traffic mx1)" 1
mx --json rehearse mx1 --outbound verify > "$work/rehearsed"
prove "a rehearsal reads it" is "$(jq -r '(.would_pass.list[].peer | select(. == "good.test")), (.would_fail[].peer | select(. == "expired.test"))' "$work/rehearsed" |
	xargs)" "good.test expired.test"

chapter "another instance of Postfix"
"$lab" exec mx1 sh -c 'postmulti -e init && postmulti -I postfix-two -G mta -e create' > "$work/postfix" 2>&1 || { cat "$work/postfix"; fail "no second instance"; }
quiet server read mx1
prove "it is said to be left alone" is "$(json .instances server show mx1 | grep -o '(.*):')" "(/etc/postfix-two):"
prove "also by a diagnosis" grep -q 'mx1 has other instances .*/etc/postfix-two' <(mx diagnose mx1 expired.test)
known_again() { "$lab" reset mx1 > /dev/null 2>&1; quiet server read mx1; }
known_again
postfix_with smtp_tls_security_level=encrypt

chapter "many at a time, and what was said"
grep -v '^#' "$(dirname "$(readlink -f "$0")")/dest.tsv" | cut -f1 | sort -u > "$work/list"
mx --json probe --list "$work/list" nosuch.test > "$work/answers"
prove "each line of a list has an answer, and each word" is "$(jq -r .target "$work/answers" | sort)" "$({ cat "$work/list"; echo nosuch.test; } | sort)"
prove "those that hang do not keep the others waiting" [ "$(jq -r .target "$work/answers" | grep -nx good.test | cut -d: -f1)" -lt \
	"$(jq -r .target "$work/answers" | grep -nx tarpit.test | cut -d: -f1)" ]
prove "the versions that would work are told" is "$(jq -r 'select(.target == "tls10.test") | .hosts[0].works | join(" ")' "$work/answers")" TLSv1
prove "the conversation is told" is "$(jq -r 'select(.target == "tls454.test") | .hosts[0].transcript[-2]' "$work/answers")" \
	"S: 454 4.7.0 TLS not available due to local problem"

chapter "other places"
known_host mx2
send_mail user@notls.test
waits_for "two hosts" notls.test tls-not-offered theirs
ten_retries() { for _ in 1 2 3 4 5 6 7 8 9 10; do mx queue retry mx1 --destination notls.test || return; done; }
prove "the queue manager hears of each of ten retries in a row" ten_retries
prove "both hosts and this machine looked" is "$(json '[.probes[].from] | sort | join(" ")' diagnose mx1 notls.test)" "here mx1 mx2"
prove "the remedies are named, what to try first first" is "$(json '.remedies | join(" ")' diagnose mx1 notls.test)" \
	"wait workaround lower complain hold"
# shellcheck disable=SC2016 # expanded in the host
"$lab" exec mx2 sh -c 'kill -STOP $(pidof -s sshd)'
prove "a host that hangs holds nothing up" takes_less_than 30 diagnose mx1 notls.test
prove "and is said" grep -q 'mx2' "$work/quiet"
"$lab" reset mx2 > /dev/null 2>&1
quiet server remove mx2 --yes

chapter "looks end in time"
prove "an address that drops packets, from the mail host" takes_less_than 20 probe blackhole.test --via mx1
prove "a server that hangs in the handshake, from the mail host" takes_less_than 20 probe tarpit.test --via mx1
prove "twenty mail servers that drop packets, from here" takes_less_than 50 probe manymx.test
prove "and it says that these were not all" grep -q 'Of its 20 addresses the first' "$work/quiet"
"$lab" exec mx1 sh -c 'mv /usr/sbin/postqueue /usr/sbin/postqueue.real; printf "#!/bin/sh\necho no listing\n" > /usr/sbin/postqueue; chmod 755 /usr/sbin/postqueue'
prove "a postqueue that says garbage ends with status 7" status_is 7 queue mx1
"$lab" exec mx1 sh -c 'mv /usr/sbin/postqueue.real /usr/sbin/postqueue'
