#!/bin/bash
# Certificates with their keys: a PKCS#12 file as old Windows made it and a modern one come in, are pushed to a real host and
# served byte for byte; renewed with the key that is there and with a new one; one goes out again. A key that came in is sealed in
# the store, lies on the host in its two places for root only, and nowhere else.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

file_passphrase='Marker-5c21 Datei'
{ echo "$file_passphrase"; cat "$work/passphrase"; } > "$work/two"
two() { "$lab" ctl "$program" --no-input --passphrase-fd 9 "$@" 9< "$work/two"; }

cd "$work" || exit 1
made() { "$@" > "$work/made" 2>&1 || { cat "$work/made"; fail "$*"; }; }
made openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj '/CN=Old CA' -days 99
leaf() { # NAME: NAME.key, NAME.pem
	made openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -subj '/O=Example, "Inc."/CN=mx1.lab.test' -out "$1.csr"
	printf 'subjectAltName=DNS:mx1.lab.test\n' > ext
	made openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -days 80 -extfile ext -set_serial "$2" -out "$1.pem"
}
leaf old 11
leaf new 12
printf '%s' "$file_passphrase" > file_passphrase
made openssl pkcs12 -export -legacy -inkey old.key -in old.pem -certfile ca.pem -passout file:file_passphrase -out old.pfx
made openssl pkcs12 -export -inkey new.key -in new.pem -certfile ca.pem -passout file:file_passphrase -out new.p12
made openssl pkcs12 -export -inkey ca.key -in ca.pem -passout file:file_passphrase -out authority.p12
marker() { openssl pkey -in "$1.key" | sed -n 12p; }             # one line of the key's text, in the middle of its secrets
sha() { openssl x509 -in "$1" -outform DER | sha256sum | cut -d' ' -f1; }
leak() { # TEXT PLACE...: files that have it
	grep -rlaF -- "$1" "${@:2}" 2> /dev/null
}

known_host mx1
before=$(configuration mx1)

chapter "a backup of old Windows"
# refuses TEXT COMMAND...: it fails, and says why
refuses() { ! "${@:2}" 2> asked && { grep -q -e "$1" asked || { cat asked; return 1; }; }; }
{ echo falsch; cat passphrase; } > three
three() { "$lab" ctl "$program" --no-input --passphrase-fd 9 "$@" 9< three; }
prove "it needs its passphrase" refuses 'Passphrase of old.pfx is needed' "$lab" ctl "$program" --no-input cert import mx1 old.pfx
prove "another one is refused" refuses 'this is not its passphrase' three cert import mx1 old.pfx
prove "it is not imported without a clear yes" refuses 'encrypted with RC2 with 40 bits, 3DES' two cert import mx1 old.pfx
prove "which is named" grep -q -- --accept-weak asked
prove "an authority's own certificate is refused" refuses '[Aa]uthority' two cert import mx1 authority.p12
two cert import mx1 old.pfx --accept-weak > import.out 2>&1 || { cat import.out; fail "no import"; }
sed 's/^/  /' import.out
prove "what was said: the weakness" grep -q '^! old.pfx is encrypted with RC2' import.out
id=$(json '.certificates[0].id' cert list)
quiet vs set mx1 inbound.tls=offer
prove "the key lives here" is "$(json .key.where cert show "$id")" "here, sealed"
mx plan mx1 > plan.out 2>&1
prove "the plan needs no passphrase for it" "$lab" ctl "$program" --no-input plan mx1
prove "and says what it does with the key" grep -q '^key: /var/lib/mxseal/keys/.*kept here under seal' plan.out

chapter "the push, watched"
mark=$(marker old)
printf '%s\n' "$mark" "${file_passphrase% *}" > marks
prove "the watch sees what it looks for" watch_sees marks
watch_processes marks
prove "a push asks for the passphrase" refuses passphrase "$lab" ctl "$program" --no-input push mx1 --yes
mx push mx1 --yes > push.out 2>&1 || { cat push.out; fail "the push ended with a failure"; }
end_watch
prove "served byte for byte" is "$(served_sha256 mx1)" "$(sha old.pem)"
prove "nothing in arguments and environments" is "$(cat "$work/seen")" ""
prove "nothing in plan, push, records, activity, log" bash -c "! grep -aF -e '$mark' -e '$file_passphrase' plan.out push.out import.out '$here'/*"
prove "on the host in two files only" is "$("$lab" exec mx1 grep -rlaF -- "$mark" /etc /var /root /tmp /run /home 2> /dev/null | sed 's,/[0-9]*/,/N/,; s,keys/.*,keys/K,' | sort | tr '\n' ' ')" "/etc/mxseal/N/chain-smtp.pem /var/lib/mxseal/keys/K "
prove "for root only" is "$("$lab" exec mx1 sh -c 'stat -c "%a %U" /var/lib/mxseal/keys/* /etc/mxseal/*/chain-*' | sort -u)" "600 root"
prove "a second push changes nothing, and asks nothing" is "$("$lab" ctl "$program" --json --no-input push mx1 --yes | jq -r 'select(.result) | .result')" unchanged

chapter "the modern one takes its place"
two cert import mx1 new.p12 > import.out 2>&1 || { cat import.out; fail "no import"; }
quiet push mx1 --yes
prove "served byte for byte" is "$(served_sha256 mx1)" "$(sha new.pem)"

chapter "the same one on a second host"
{ "$lab" reset mx2; "$lab" up mx2; } > up2 2>&1 || { cat up2; fail "the lab has no mx2"; }
known_host mx2
quiet cert assign mx2 "$(json .id cert show mx1)"
quiet vs set mx2 inbound.tls=offer
quiet push mx2 --yes
prove "served there byte for byte" is "$(served_sha256 mx2)" "$(sha new.pem)"
prove "and still on the first" is "$(served_sha256 mx1)" "$(sha new.pem)"
prove "its key is there for root only" is "$("$lab" exec mx2 sh -c 'stat -c "%a %U" /var/lib/mxseal/keys/* /etc/mxseal/*/chain-*' | sort -u)" "600 root"
quiet undo mx2 --to 0

chapter "renewed"
quiet authority add own house --cn "House CA"
mx authority certificate house > ca.pem
quiet cert renew mx1 --authority house
quiet push mx1 --yes
foreign_client mx1 | openssl x509 > served.pem
prove "by the house" grep -q 'House CA' <<< "$(openssl x509 -in served.pem -noout -issuer)"
prove "with the key there was" cmp <(openssl x509 -in served.pem -noout -pubkey) <(openssl pkey -in new.key -pubout)
prove "for the same subject" is "$(openssl x509 -in served.pem -noout -subject)" "$(openssl x509 -in new.pem -noout -subject)"
id=$(json '[.certificates[] | select(.state == "in use")][0].id' cert list)

chapter "and out again"
two cert export "$id" --out out.p12 > export.out 2>&1 || { cat export.out; fail "no export"; }
prove "for its owner only" is "$(stat -c %a out.p12)" 600
prove "openssl reads the key" cmp <(openssl pkcs12 -in out.p12 -passin file:file_passphrase -nodes -nocerts 2> /dev/null | openssl pkey) <(openssl pkey -in new.key)
prove "and the certificate" cmp <(openssl pkcs12 -in out.p12 -passin file:file_passphrase -nokeys -clcerts 2> /dev/null | openssl x509) served.pem

chapter "a new key, on the host"
quiet cert renew mx1 --new-key --authority house
quiet push mx1 --yes
foreign_client mx1 | openssl x509 > served2.pem
prove "it is served" is "$(openssl x509 -in served2.pem -outform DER | sha256sum | cut -d' ' -f1)" "$(json .sha256 cert show mx1)"
openssl x509 -in served2.pem -noout -pubkey > key2.pem || fail "nothing to compare"
prove "with another key" [ "$(cat key2.pem)" != "$(openssl pkey -in new.key -pubout)" ]
id=$(json '[.certificates[] | select(.state == "in use")][0].id' cert list)
prove "which never leaves the host" refuses 'never leaves it' "$lab" ctl "$program" --no-input cert export "$id" --out x.p12

chapter "an authority that asks"
quiet authority policy house ask
quiet vs set mx1 log.tls=summary
prove "with nothing to push yet, --use is refused" status_is 2 cert renew mx1 --use --yes
prove "and what is edited besides is not pushed" is "$("$lab" exec mx1 postconf -h smtpd_tls_loglevel)" 0
prove "what waits is a request" is "$(json .kind cert renew mx1)" request
quiet vs unset mx1 log.tls
quiet undo mx1 --to 0
prove "undone, the bytes are the old ones" is "$(configuration mx1)" "$before"
