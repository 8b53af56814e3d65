#!/bin/bash
# Certificates by hand: requests say what was typed; the answers of a foreign authority in every form it may send are taken, what
# does not fit gets one sentence with the file's name, the documented status, and the request still waits; the own authority's
# passphrase is tried before a key is made; no secret stands anywhere but where it belongs.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

ca=$work/ca
mkdir "$ca"
tls() { openssl "$@" > "$work/openssl" 2>&1 || { sed 's/^/  | /' "$work/openssl"; fail "openssl $1"; }; }
new_key() { # NAME: a key and a request of its own
	tls req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$ca/$1.key" -out "$ca/$1.csr" -subj "/CN=$1"
}
as_ca() { printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n'; }
sign() { # ISSUER REQUEST NAME EXTENSIONS [OPTION...]: NAME.pem
	local issuer=$1 request=$2 name=$3 extensions=$4
	shift 4
	printf '%b' "$extensions" > "$ca/extensions"
	tls x509 -req -in "$request" -CA "$ca/$issuer.pem" -CAkey "$ca/$issuer.key" -extfile "$ca/extensions" -out "$ca/$name.pem" "$@"
}
dated() { # NAME FROM UNTIL
	tls ca -batch -config "$ca/config" -cert "$ca/inter.pem" -keyfile "$ca/inter.key" -in "$work/request" -out "$ca/$1.pem" \
		-startdate "$2" -enddate "$3" -notext
}
waits() { [ "$(json '[.requests[] | select(.state == "pending")] | length' cert requests)" = "$1" ]; }
refused_answer() { # SENTENCE STATUS PATTERN FILE: one sentence that names the file, nothing done
	prove "$1: status $2" status_is "$2" cert process mx1 "$ca/$4" --request 1
	named() { [ "$(grep -c '^mxseal: ' "$work/err")" = 1 ] && [ "$(wc -l < "$work/err")" -le 2 ] && grep -q "$ca/$4" "$work/err" && grep -Eq "$3" "$work/err"; }
	prove "  in one sentence that names the file, and the request waits" named "$@"
	waits 1 || fail "the request does not wait any more"
}
taken() { # SENTENCE FILE CHAIN: into a copy of the store
	rm -rf "$here/copy"
	cp -r "$here/kept" "$here/copy"
	got=$(MXSEAL_STORE=$here/copy/store.db json .id cert process mx1 "$ca/$2" "${@:4}" --ca "$ca/roots") || fail "$1 is not taken"
	prove "$1 is taken, the chain in order" is "$(MXSEAL_STORE=$here/copy/store.db json '[.chain[].subject] | join(" < ")' cert show "$got")" "$3"
}

chapter "a request says what was typed"
export MXSEAL_STORE=$here/kept/store.db
known_host mx1
quiet cert request mx1 --cn mx1.lab.test --san "bücher.test 192.0.2.7 2001:db8::1" --san alt.lab.test --o 'Example, "Q" Inc. / Söhne=é+1' \
	--ou 'A+B;C<D>#' --country de --state 'Île-de-France, x' --locality '東京都' --out "$work/request"
tls req -in "$work/request" -noout -verify
subject() { openssl req -in "$work/request" -noout -subject -nameopt utf8,sep_multiline,sname | sed -n 's/^ *//; 2,$p' | paste -sd '|'; }
prove "every character of it" is "$(subject)" 'C=DE|ST=Île-de-France, x|L=東京都|O=Example, "Q" Inc. / Söhne=é+1|OU=A+B;C<D>#|CN=mx1.lab.test'
names() { openssl req -in "$work/request" -noout -text | sed -n '/Subject Alternative/{n;s/^ *//;p;}'; }
prove "and every name" is "$(names)" \
	'DNS:mx1.lab.test, DNS:xn--bcher-kva.test, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:1, DNS:alt.lab.test'
long() { printf "%$1s" '' | tr ' ' x; }
quiet cert drop-request 1
longest() { quiet cert request mx1 --cn a.b --o "$(long 64)" --ou "$(long 64)" --state "$(long 128)" --locality "$(long 128)" --out "$work/long"; }
longest
prove "the longest values fit" tls req -in "$work/long" -noout -verify
prove "a longer one does not: status 2" status_is 2 cert request mx1 --cn a.b --o "$(long 65)" --out "$work/long"
prove "a country that is none: status 2" status_is 2 cert request mx1 --cn a.b --country Germany --out "$work/long"
prove "a control sequence in the name for people: status 2" status_is 2 cert request mx1 --cn a.b --name $'a\e[31m' --out "$work/long"
many() { seq -f 'n%.0f.test' -s ' ' "$1"; }
prove "101 names: status 2" status_is 2 cert request mx1 --cn a.b --san "$(many 101)" --out "$work/long"
prove "a wildcard over a whole top level: status 2" status_is 2 cert request mx1 --cn '*.test' --out "$work/long"
keys() { "$lab" exec mx1 sh -c 'ls /var/lib/mxseal/keys | wc -l'; }
had=$(keys)
for where in "$work/nowhere/file" "$work" /dev/null; do
	prove "a file that cannot be written ($where): status 2 or 7" bash -c '! "$@"' - "$lab" ctl "$program" cert request mx1 --cn a.b --out "$where"
done
prove "  and no key was made for it" is "$(keys)" "$had"
prove "  and /dev/null is what it was" [ -c /dev/null ]
quiet cert drop-request 2
cd "$work" || exit 1
quiet cert request mx1 --cn a.b --out relative
prove "where the file is, is remembered from the root on" is "$(json '.requests[-1].file' cert requests)" "$work/relative"
rm -rf "$here/kept"

chapter "answers"
known_host mx1
quiet cert request mx1 --cn mx1.lab.test --san alt.lab.test --out "$work/request"
cp -r "$here/kept" "$here/first"
new_key root
new_key inter
new_key other
new_key nowhere
as_ca > "$ca/extensions"
tls x509 -req -in "$ca/root.csr" -signkey "$ca/root.key" -days 300 -extfile "$ca/extensions" -out "$ca/root.pem"
tls x509 -req -in "$ca/nowhere.csr" -signkey "$ca/nowhere.key" -days 300 -extfile "$ca/extensions" -out "$ca/nowhere.pem"
sign root "$ca/inter.csr" inter "$(as_ca)\nauthorityKeyIdentifier=keyid\n" -days 300
covers='subjectAltName=DNS:mx1.lab.test,DNS:alt.lab.test\nauthorityKeyIdentifier=keyid\n'
sign inter "$work/request" good "$covers" -days 90
sign nowhere "$work/request" lost "$covers" -days 90
sign inter "$work/request" wildcard 'subjectAltName=DNS:*.lab.test\nauthorityKeyIdentifier=keyid\n' -days 90
sign inter "$work/request" partial 'subjectAltName=DNS:mx1.lab.test\nauthorityKeyIdentifier=keyid\n' -days 90
sign inter "$work/request" sha1 "$covers" -days 90 -sha1
sign inter "$work/request" client "${covers}extendedKeyUsage=clientAuth\n" -days 90
sign inter "$ca/other.csr" other "$covers" -days 90
sign root "$work/request" authority "$(as_ca)\n" -days 90
printf '%s\n' '[ca]' default_ca=d '[d]' "new_certs_dir=$ca" "database=$ca/index" "serial=$ca/serial" default_md=sha256 policy=p '[p]' \
	commonName=supplied > "$ca/config"
: > "$ca/index"
echo 'unique_subject = no' > "$ca/index.attr"
echo 01 > "$ca/serial"
dated expired 20200101000000Z 20210101000000Z
dated future 20300101000000Z 20310101000000Z
head -c 400 "$ca/good.pem" > "$ca/cut.pem"
cat "$ca/good.pem" "$ca/cut.pem" > "$ca/cut-chain.pem"
tls x509 -in "$ca/good.pem" -outform DER -out "$ca/good.der"
head -c 300 "$ca/good.der" > "$ca/cut.der"
tls crl2pkcs7 -nocrl -certfile "$ca/root.pem" -certfile "$ca/inter.pem" -outform DER -out "$ca/theirs.p7b"
tls pkcs12 -export -in "$ca/other.pem" -inkey "$ca/other.key" -out "$ca/sack.p12" -passout pass:x
head -c 65536 /dev/urandom > "$ca/garbage"
: > "$ca/empty"
truncate -s 100M "$ca/big"
mkdir "$ca/folder"
cp "$work/request" "$ca/request"
refused_answer "another key" 4 'another key' other.pem
refused_answer "the authority's own certificate" 4 "authority's own certificate" root.pem
refused_answer "its whole chain without the answer" 4 "authority's own certificate" theirs.p7b
refused_answer "CA:TRUE with our key" 4 "authority's own certificate" authority.pem
refused_answer "expired" 4 'expired on 2021-01-01' expired.pem
refused_answer "not valid yet" 4 'not valid before 2030-01-01' future.pem
refused_answer "a name that is not covered" 4 'does not cover: alt.lab.test' partial.pem
refused_answer "SHA-1" 4 'SHA-1' sha1.pem
refused_answer "not for servers" 4 'not be used for servers' client.pem
refused_answer "PEM that was cut off" 7 'cut off' cut.pem
refused_answer "a chain that was cut off" 7 'cut off' cut-chain.pem
refused_answer "DER that was cut off" 7 'cut off' cut.der
refused_answer "garbage" 7 'no certificate' garbage
refused_answer "nothing" 7 'empty' empty
refused_answer "a folder" 7 'directory' folder
refused_answer "100 MB" 7 'larger' big
refused_answer "the request itself" 7 'request' request
refused_answer "PKCS#12" 7 'PKCS#12' sack.p12
refused_answer "no file" 2 'cannot open' missing
prove "after all that the store is what it was" is "$(json '.certificates | length' cert list)" 0
cat "$ca/good.pem" "$ca/inter.pem" "$ca/root.pem" > "$ca/chain"
cat "$ca/inter.pem" "$ca/root.pem" > "$ca/roots"
cat "$ca/root.pem" "$ca/inter.pem" "$ca/good.pem" > "$ca/wrong-order"
{ printf 'Dear customer,\n-----------\n'; cat "$ca/good.pem"; echo 'and our own -----'; cat "$ca/inter.pem"; } > "$ca/letter"
sed 's/$/\r/' "$ca/chain" > "$ca/crlf"
{ printf '\xef\xbb\xbf'; cat "$ca/chain"; } > "$ca/bom"
{ printf '\xff\xfe'; iconv -t UTF-16LE "$ca/chain"; } > "$ca/utf16"
grep -v -- ----- "$ca/good.pem" > "$ca/bare"
tls crl2pkcs7 -nocrl -certfile "$ca/chain" -out "$ca/pkcs7"
tls crl2pkcs7 -nocrl -certfile "$ca/wrong-order" -outform DER -out "$ca/p7b"
leaf='CN=mx1.lab.test' whole='CN=mx1.lab.test < CN=inter'
taken PEM good.pem "$leaf"
taken DER good.der "$leaf"
taken "bare base64" bare "$leaf"
taken "PKCS#7 in PEM" pkcs7 "$whole"
taken "PKCS#7 in DER" p7b "$whole"
taken "PEM with its chain" chain "$whole"
taken "the wrong order" wrong-order "$whole"
taken "a letter around it" letter "$whole"
taken CRLF crlf "$whole"
taken "a byte order mark" bom "$whole"
taken UTF-16 utf16 "$whole"
taken "a wildcard" wildcard.pem "$leaf"
refused_answer "a chain that leads nowhere" 4 "leads nowhere: its issuer" lost.pem
taken "a chain that leads nowhere, when that is said" lost.pem "$leaf" --accept-unknown-issuer

chapter "which request"
quiet cert request mx1 --cn two.lab.test --out "$work/two"
hints() { grep -q "$1" "$work/err"; }
prove "the answer to another request: status 4" status_is 4 cert process mx1 "$ca/good.pem" --request 2
prove "  and which one it answers" hints 'the answer to request #1'
quiet cert drop-request 1
prove "a request in the trash takes no answer: status 2" status_is 2 cert process mx1 "$ca/good.pem" --request 1
prove "  and how to take it out" hints 'restore-request 1'
prove "nor does another one: status 4" status_is 4 cert process mx1 "$ca/good.pem"
prove "  and where the right one is" hints 'in the trash: mxseal cert restore-request 1'
quiet cert restore-request 1
quiet cert process mx1 "$ca/chain" --ca "$ca/roots"
prove "found by its key" is "$(json '.requests | map(.id) | join(" ")' cert requests)" 2
prove "the same answer once more makes no second certificate" is "$(json .id cert process mx1 "$ca/chain" --ca "$ca/roots")" 1

chapter "the own authority"
echo "not it" > "$work/wrong"
as() { "$lab" ctl "$program" --no-input --passphrase-fd 9 "$@" > "$work/out" 2> "$work/err"; }
expect() { # STATUS PATTERN: of the command before
	local status=$?
	sed 's/^/  | /' "$work/err"
	prove "status $1, one sentence" is "$status $(grep -c '^mxseal: ' "$work/err")" "$1 1"
	prove "  saying $2" hints "$2"
}
quiet authority add own house --cn "House CA"
for name in $'a\e[31mb' 'a b' "$(long 65)"; do
	prove "an authority's name is a plain word: status 2" status_is 2 authority add own "$name" --cn x
done
as authority add own second --cn "Second CA" 9< "$work/wrong"
expect 4 'not the passphrase of what is sealed here'
quiet authority add own second --cn "Second CA"
had=$(keys)
as cert request mx1 --cn mx1.lab.test --authority house 9< "$work/wrong"
expect 4 'passphrase is wrong'
as cert request mx1 --cn mx1.lab.test --authority house 9< /dev/null
expect 2 'empty'
as cert request mx1 --cn mx1.lab.test --authority house 9< <(long 5000)
expect 7 'longer than 1024'
"$lab" ctl "$program" --no-input cert request mx1 --cn mx1.lab.test --authority house > "$work/out" 2> "$work/err"
expect 4 'passphrase-fd'
"$lab" ctl "$program" --no-input --passphrase-fd nine cert request mx1 --cn mx1.lab.test --authority house > "$work/out" 2> "$work/err" < "$work/passphrase"
expect 2 'number of a descriptor'
prove "none of it made a key or left a request" is "$(keys) $(json '.requests | map(.id) | join(" ")' cert requests)" "$had 2"
quiet cert request mx1 --cn mx1.lab.test --authority house
mx authority certificate house > "$work/ca.pem" || fail "no certificate of the authority"
mx --json cert show mx1 | jq -r .pem > "$work/mine.pem"

chapter "secrets"
no_secret() { ! grep -aqrE 'BEGIN [A-Z ]*PRIVATE KEY|better passphrase' "$here"; }
prove "neither passphrase nor key in store and log" no_secret
modes() { "$lab" exec mx1 sh -c 'stat -c "%U %a" /var/lib/mxseal/keys /var/lib/mxseal/keys/*.key | sort -u | paste -sd " "'; }
prove "the keys on the host are root's alone" is "$(modes)" "root 600 root 700"
