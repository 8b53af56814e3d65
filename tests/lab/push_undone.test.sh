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
# an smtpd that works with the old files and dies with ours: no check of files can see that
"$lab" exec mx1 sh -c 'cd /usr/lib/postfix/sbin && mv smtpd smtpd.real && cat > smtpd && chmod 755 smtpd' << 'END'
#!/bin/sh
if grep -q /etc/mxseal/ /etc/postfix/main.cf; then exit 1; fi
exec /usr/lib/postfix/sbin/smtpd.real "$@"
END
prove "a service that does not greet with the new files ends with status 5" status_is 5 push mx1 --yes
prove "the old files are back, byte for byte, with owner and mode" is "$(configuration mx1)" "$before"
greets() { "$lab" ctl timeout 5 bash -c 'exec 3<> /dev/tcp/mx1.lab.test/25; head -1 <&3' | grep -q '^220 '; }
prove "the service greets again" until_true 90 greets
said() { grep -qi "$1" "$work/err" "$work/out"; }
prove "it says that it was undone" said undone

chapter "nobody confirms"
"$lab" reset mx1 > /dev/null 2>&1 || fail "the lab cannot reset mx1"
quiet server read mx1
before=$(configuration mx1)
quiet cert request mx1 --cn mx1.lab.test --authority ca
show push mx1 --yes --no-keep --confirm-within 20
prove "the new files are in force" offers_starttls mx1
undone() { is "$(configuration mx1)" "$before"; }
prove "the host put the old files back by itself" until_true 60 undone
prove "and the service without TLS" until_true 30 no_starttls mx1
prove "status tells it, with status 5" status_is 5 status mx1
prove "in this word" said undone

chapter "refused, nothing touched"
"$lab" exec mx1 sh -c 'mkdir -p /var/lib/mxseal && exec 9> /var/lib/mxseal/lock && flock 9 && sleep 30' &
holder=$!
sleep 1
prove "while somebody else holds the lock" status_is 4 push mx1 --yes
kill "$holder" 2> /dev/null
wait "$holder" 2> /dev/null
prove "still the old files" is "$(configuration mx1)" "$before"
