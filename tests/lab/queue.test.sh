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

known_host mx1

chapter "encrypt"
waiting="notls.test tlsclose.test tlsgarbage.test tls454.test pix.test busy.test tempfail.test grey.test refused.test noroute.test bogus.test"
postfix_with smtp_tls_security_level=encrypt
for domain in $waiting; do send_mail "user@$domain"; done
waits_for encrypt notls.test tls-not-offered theirs
waits_for encrypt pix.test tls-not-offered theirs
waits_for encrypt tls454.test starttls-refused theirs
waits_for encrypt tlsclose.test lost-connection-after-starttls theirs
waits_for encrypt tlsgarbage.test handshake-failed theirs
waits_for encrypt busy.test banner-rejected theirs
waits_for encrypt tempfail.test remote-4xx theirs
waits_for encrypt grey.test greylist theirs
waits_for encrypt refused.test connect-refused theirs
waits_for encrypt noroute.test network-unreachable theirs
waits_for encrypt bogus.test dns theirs
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
done

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
postfix_with smtp_tls_policy_maps=

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

chapter "many at a time, and what was said"
grep -v '^#' "$(dirname "$(readlink -f "$0")")/dest.tsv" | cut -f1 > "$work/list"
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
prove "both hosts and this machine looked" is "$(json '[.probes[].from] | sort | join(" ")' diagnose mx1 notls.test)" "here mx1 mx2"
prove "the remedies are named, what to try first first" is "$(json '[.remedies[].name] | join(" ")' diagnose mx1 notls.test)" \
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
