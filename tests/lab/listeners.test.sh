#!/bin/bash
# Several virtual servers on one host: added, stopped, paused, started, removed by pushes; foreign clients see what each does.
# A second push changes nothing, an undo brings master.cf back byte for byte, an address in use is refused with nothing touched,
# and mail by a client service of its own leaves without TLS where the host's own would not.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

address=$("$lab" exec mx1 hostname -I | cut -d' ' -f1)
# shellcheck disable=SC2016 # expanded by the shell inside
greeting_of() { # ADDRESS PORT: the first line of a client that says nothing
	"$lab" ctl timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/$1" && head -n 1 <&3' "$1" "$2" 2>&1 | tr -d '\r'
}
greets() { [[ $(greeting_of "$1" "$2") == 220\ * ]]; }
paused() { [[ $(greeting_of "$1" "$2") == 421\ * ]]; }
refused_there() { [[ $(greeting_of "$1" "$2") == *refused* ]]; }
handshake() { # PORT OPTION...: as openssl's own client sees it
	local port=$1
	shift
	"$lab" ctl timeout 10 openssl s_client -connect "$address:$port" -servername mx1.lab.test -verify_hostname mx1.lab.test \
		-CAfile "$work/ca.pem" "$@" < /dev/null 2>&1
}
good_tls() { [[ $(handshake "$@") == *'Verify return code: 0 (ok)'* ]]; }
master() { "$lab" exec mx1 cat /etc/postfix/master.cf; }
unchanged() { is "$(mx --json push mx1 --yes 2> /dev/null | jq -r "select(.result) | .result")" unchanged; }
wanted_of() { json ".virtual_servers[] | select(.name == \"$1\") | $2" server show mx1; }

chapter "added: submission, implicit TLS, a second address, one that only sends"
known_host mx1
own_ca_certificate mx1
quiet vs set mx1 inbound.tls=offer
prove "a port that is taken is refused when it is kept" status_is 2 vs add mx1 two --listen '*:25'
prove "so is a name that is taken" status_is 2 vs add mx1 smtp --listen '*:2525'
show vs add mx1 submission --listen '*:587' --kind submission
show vs add mx1 submissions --listen 465 --kind submissions
show vs add mx1 side --listen "$address:2525"
show vs add mx1 notls --listen none --outbound-tls none
prove "what is not pushed is in sight" is "$(mx server show mx1 | grep -c 'new virtual server')" 4
quiet server read mx1
prove "a reading keeps them" is "$(wanted_of submission .state)" "new, not pushed"
show push mx1 --yes
prove "submission does STARTTLS with the host's certificate" good_tls 587 -starttls smtp
prove "submissions does TLS from the first byte" good_tls 465
prove "the second address greets" greets "$address" 2525
prove "they are found by name" is "$(json '[.virtual_servers[].name] | sort | join(" ")' server show mx1)" "notls side smtp submission submissions"
prove "a second push changes nothing" unchanged
nothing_pending() { mx server show mx1 > "$work/shown" && grep -q submissions "$work/shown" && ! grep 'Not pushed yet' "$work/shown"; }
prove "nothing is pending" nothing_pending

chapter "stopped and paused"
quiet vs stop mx1/submission
quiet vs pause mx1/side
prove "stopping the default one is asked for" status_is 2 vs stop mx1
show push mx1 --yes --no-shadow
prove "nobody answers on 587" refused_there "$address" 587
prove "the paused one answers 421" paused "$address" 2525
prove "the others go on" greets "$address" 25
prove "both need attention" is "$(mx check | grep -c -e 'submission is stopped' -e 'side is paused')" 2
prove "a second push changes nothing" unchanged

chapter "mail by a client service of its own"
"$lab" exec mx1 sh -c 'printf "notls.test notls-out:\ngood.test notls-out:\n" > /etc/postfix/hand &&
	postconf -e "transport_maps = texthash:/etc/postfix/hand" "smtp_tls_security_level = encrypt" && postfix reload' > /dev/null 2>&1
# shellcheck disable=SC2016 # expanded in the host
tls_of() { # DOMAIN: with which TLS the destination got the last message, by its own record
	"$lab" exec dest sh -c 'sed -n 1p "$(ls -t /var/spool/destd/"$1"/*.eml | head -n 1)"' - "$1"
}
send_mail user@notls.test
send_mail user@good.test
left_by_it() { "$lab" log mx1 | grep "postfix/notls-out/smtp.*to=<user@$1>" | grep -q 'status=sent'; }
prove "mail for who has no TLS leaves by it" until_true 20 left_by_it notls.test
prove "so does mail for who has" until_true 20 left_by_it good.test
prove "in the clear, by that destination's own record" is "$(tls_of good.test)" "X-Lab-TLS: null"

chapter "started again, removed, and undone"
before=$(master)
quiet vs start mx1/submission
quiet vs start mx1/side
quiet vs remove mx1/submissions
prove "the default one cannot be removed" status_is 2 vs remove mx1/smtp
show push mx1 --yes --no-shadow
prove "submission is there again, with TLS" good_tls 587 -starttls smtp
prove "the paused one greets again" greets "$address" 2525
prove "nobody answers on 465" refused_there "$address" 465
prove "it is forgotten" is "$(json '[.virtual_servers[].name] | index("submissions")' server show mx1)" null
show undo mx1
prove "the undo brings master.cf back byte for byte" is "$(master)" "$before"
prove "and with it what was removed, stopped and paused" is "$(good_tls 465 && refused_there "$address" 587 && paused "$address" 2525; echo $?)" 0

chapter "an address in use"
# shellcheck disable=SC2016 # perl's
"$lab" exec mx1 perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 2600, Listen => 1) or die; sleep 60' &
holder=$!
until_true 10 "$lab" exec mx1 sh -c 'ss -H -ltn | grep -q :2600' || fail "nobody holds port 2600"
quiet vs add mx1 taken --listen '*:2600'
before=$(master)
prove "is refused before the switch" status_is 4 push mx1 --yes --no-shadow
prove "by name" grep -q 'port 2600 .* is in use by perl' "$work/err"
prove "with nothing touched" is "$(master)" "$before"
quiet vs remove mx1/taken
kill "$holder" 2> /dev/null
wait "$holder" 2> /dev/null
true
