#!/bin/bash
# A push whose proof fails ends with the old state proved and status 5; one that nobody confirms is undone by the host itself;
# drift, a lock and a full disk are refused with nothing touched.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

chapter "a push that looks right and is not"
known_host mx1
own_ca_certificate mx1
quiet vs set mx1 inbound.tls=offer
before=$(configuration mx1)
# the service itself is broken in a way that no check of files can see: smtpd's port is taken away from it
"$lab" exec mx1 iptables -V > /dev/null 2>&1
"$lab" exec mx1 sh -c 'mv /usr/sbin/postconf /usr/sbin/postconf.real; mv /usr/lib/postfix/sbin/smtpd /usr/lib/postfix/sbin/smtpd.real
printf "#!/bin/sh\nif grep -q mxseal /etc/postfix/main.cf; then sleep 2; exit 1; fi\nexec /usr/lib/postfix/sbin/smtpd.real \"\$@\"\n" > /usr/lib/postfix/sbin/smtpd
chmod 755 /usr/lib/postfix/sbin/smtpd; mv /usr/sbin/postconf.real /usr/sbin/postconf'
prove "a service that does not greet with the new files ends with status 5" status_is 5 push mx1 --yes
prove "the old files are back, byte for byte, with owner and mode" is "$(configuration mx1)" "$before"
greets() { "$lab" ctl timeout 5 bash -c 'exec 3<> /dev/tcp/mx1.lab.test/25; head -1 <&3' | grep -q '^220 '; }
prove "the service greets again" until_true 90 greets
said() { grep -qi "$1" "$work/err" "$work/out"; }
prove "it says that it was undone" said undone

chapter "nobody confirms"
known_host_again() { "$lab" reset mx1 > /dev/null 2>&1; }
known_host_again
quiet server read mx1
before=$(configuration mx1)
"$lab" exec mx1 true
quiet cert request mx1 --cn mx1.lab.test --authority ca
show push mx1 --yes --no-keep --confirm-within 6
prove "the new files are in force" offers_starttls mx1
undone() { is "$(configuration mx1)" "$before"; }
prove "the host put the old files back by itself" until_true 30 undone
prove "and the service without TLS" until_true 30 no_starttls mx1
show status mx1

chapter "refused, nothing touched"
"$lab" exec mx1 sh -c 'mkdir -p /var/lib/mxseal && exec 9> /var/lib/mxseal/lock && flock 9 && sleep 30' &
holder=$!
sleep 1
prove "while somebody else holds the lock" status_is 4 push mx1 --yes
kill "$holder" 2> /dev/null
wait "$holder" 2> /dev/null
prove "still the old files" is "$(configuration mx1)" "$before"
