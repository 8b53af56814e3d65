#!/bin/bash
# Who would be shut out by a requirement of senders, and who then is: twelve senders that do TLS in twelve ways bring mail, the
# host's own log is all there is to go by; two settings are rehearsed and then really set, five with MXSEAL_LONG: all sixty pairs.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

known_host mx1
net=$(cat "$dir/net")
senders=$(dirname "$(readlink -f "$0")")/lib/senders.py
# shellcheck disable=SC2016 # in the lab's network
"$lab" ctl sh -c 'dev=$(ip -o -4 addr show | awk -v a="$1.2/" "index(\$4, a) == 1 { print \$2 }")
	for i in $(seq 201 213); do ip addr add "$1.$i/24" dev "$dev" 2> /dev/null; done; true' - "$net" || fail "no addresses for the senders"
bring() { "$lab" ctl python3 "$senders" mx1.lab.test "$net" "$@"; }
bring_by() { "$lab" ctl python3 "$senders" "mx1.lab.test:$1" "$net" "${@:2}"; }    # PORT

chapter "a host that offers TLS of all versions, with a certificate of each kind"
own_ca_certificate mx1
quiet cert request mx1 --cn mx1.lab.test --authority ca --second --key rsa-2048
quiet vs set mx1/smtp inbound.tls=offer inbound.protocol-min=tls1.0 log.tls=summary --yes
quiet push mx1 --yes --no-shadow
# what old versions need from OpenSSL 3
"$lab" exec mx1 postconf -e tls_medium_cipherlist=ALL:@SECLEVEL=0 tls_high_cipherlist=ALL:@SECLEVEL=0 smtpd_client_connection_rate_limit=0 || fail "postconf"
"$lab" exec mx1 postfix reload > /dev/null 2>&1
bring 2 > "$work/now"
sed 's/^/  /' "$work/now"
prove "all of them bring their mail now" is "$(grep -c ' accepted ' "$work/now")" 13

chapter "rehearsed by the host's own log"
prove "set without a yes, it is rehearsed and asked" status_is 2 --no-input vs set mx1/smtp inbound.tls=require inbound.protocol-min=tls1.2
prove "with the figures of the rehearsal" grep -q '^inbound.tls: .*Rehearsed at require,tls1.2, log of [0-9]* days: of [1-9][0-9]* clients [1-9]' "$work/err"
settings="require,tls1.2 tls1.2"
[ -z "${MXSEAL_LONG:-}" ] || settings="require require,tls1.1 require,tls1.2 require,tls1.3 tls1.2"
for setting in $settings; do
	mx --json rehearse mx1 --inbound "$setting" > "$work/said" 2> /dev/null || fail "rehearse says nothing"
	jq -r '(.would_fail[] | "\(.peer) refused"), (.would_pass.list[] | "\(.peer) accepted"), (.unsure[] | "\(.peer) unsure")' "$work/said" |
		sort > "$work/forecast.$setting"
	jq -r '.would_fail[] | "  \(.peer)\t\(.per_week)\t\(.confidence)\t\(.why)"' "$work/said" > "$work/why.$setting"
done
cat "$work/why.tls1.2"
hopeful=$(awk '$1 == "hopeful" { print $2 }' "$work/now")
prove "who may come without TLS then is foretold with that word" grep -q "^  $hopeful.medium.*lost unless it then comes without TLS" \
	<(awk '{ $1 = $1; print "  " $0 }' <(cut -f1,3- "$work/why.tls1.2"))

chapter "and really set"
pairs=0
for setting in $settings; do
	case $setting in require*) tls=require ;; *) tls=offer ;; esac
	case $setting in *tls1.*) floor=${setting#*,} ;; *) floor=tls1.0 ;; esac
	quiet vs set mx1/smtp inbound.tls=$tls "inbound.protocol-min=$floor" --yes
	quiet push mx1 --yes --no-shadow
	bring 1 > "$work/real.all"
	grep -v "^hopeful " "$work/real.all" | awk '{ print $2, $3 }' | sort > "$work/real"
	prove "$setting: who is refused was foretold, and nobody else" diff <(grep -v "^$hopeful " "$work/forecast.$setting") "$work/real"
	pairs=$((pairs + $(wc -l < "$work/real")))
done
prove "that is all of them" is "$pairs" $((12 * $(wc -w <<< "$settings")))
prove "the one that falls back unseen did come in clear text" grep -q "^hopeful .* accepted clear" "$work/real.all"

chapter "of several listeners each has its own senders, as far as the log tells them apart"
"$lab" exec mx1 sh -c ': > /var/log/mail.log
	printf "%s\n" "submission inet n - y - - smtpd" "  -o syslog_name=postfix/\$service_name" "2525 inet n - y - - smtpd" >> /etc/postfix/master.cf
	echo smtpd_tls_securty_level=encrypt >> /etc/postfix/main.cf
	postfix reload' > /dev/null 2>&1
prove "what the host says of its own configuration is told by whoever reads it" grep -q '^! .*unused parameter: smtpd_tls_securty_level=encrypt$' <(mx server read mx1)
prove "and to programs" grep -q 'unused parameter: smtpd_tls_securty_level' <(json '.warnings[]' server show mx1)
"$lab" exec mx1 sed -i '/securty/d' /etc/postfix/main.cf
{ bring 1 modern; bring_by 587 1 plain tls13; bring_by 2525 1 helo; } > /dev/null
lost() { mx --json rehearse "$1" --inbound require | jq -r '[.would_fail[].peer, .would_pass.list[].peer + "+"] | sort | join(" ")'; }
prove "who came to submission is not among the senders of smtp" is "$(lost mx1)" "$net.202 $net.210+"
prove "and the reverse" is "$(lost mx1/submission)" "$net.201 $net.209+"
mx rehearse mx1 --inbound require > "$work/said"
sed 's/^/  /' "$work/said"
prove "those that the log does not tell apart are counted together, and that is said" grep -q "^Counted together with mx1/2525: the log does not tell them apart" "$work/said"
prove "and what is left out" grep -q '^Not counted: 2 messages that came by postfix/submission/smtpd\.' "$work/said"
prove "before it is set, as well" status_is 2 --no-input vs set mx1/submission inbound.tls=require
prove "with the figures of that listener" grep -q 'of 2 clients 1 would fail.* Counted by its name in the log, postfix/submission/smtpd\.' "$work/err"
prove "and of the other" status_is 2 --no-input vs set mx1/2525 inbound.tls=require
prove "with whom it is counted" grep -q 'of 2 clients 1 would fail.* Counted together with mx1/smtp:' "$work/err"

chapter "a log that does not tell of versions"
quiet vs set mx1/smtp inbound.tls=offer inbound.protocol-min=tls1.0 log.tls=none --yes
quiet push mx1 --yes --no-shadow
"$lab" exec mx1 sh -c ': > /var/log/mail.log'
{ bring 1 modern tls10; bring 1 plain; } > /dev/null    # who comes before the log first tells of TLS is not judged
fate() { mx --json rehearse mx1 --inbound "$1" | jq -r '"\(.would_fail | length)/\(.unsure | length)/\(.would_pass.peers)"'; }
prove "who had TLS is seen all the same" is "$(fate require)" 1/0/2
prove "of which version is not known, and not made up" is "$(fate tls1.2)" 0/2/1

chapter "a host that writes no log file"
"$lab" exec mx1 sh -c 'systemctl stop rsyslog.service syslog.socket; rm -f /var/log/mail.log*' > /dev/null 2>&1
prove "its journal says as much: who never used TLS" is "$(mx --json rehearse mx1 --inbound require | jq -r '[.would_fail[].peer] | sort | join(" ")')" \
	"$net.201 $net.202 $net.212"
