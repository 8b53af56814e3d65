#!/bin/bash
# An ACME authority on a real host: a certificate is ordered, proved on port 80 of the host and in its web root, installed, and
# served byte for byte; killed on the way, the order is gone on with and nothing of its proof stays; check --renew renews it
# without a person, with a new key; no secret is anywhere in clear.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

marker=c2VjcmV0LW1hcmtlci1rZXk
acme() { "$lab" exec acme "$@"; }
add() { # NAME OPTION...
	quiet authority add acme "$1" --directory https://acme.lab.test:14000/dir --ca-file "$dir/ca.pem" --agree-tos "${@:2}"
}
listens_on_80() { "$lab" exec mx1 sh -c 'ss -Hltn "sport = :80" | grep -q .'; }
proof_files() { "$lab" exec mx1 sh -c 'ls -A /var/www/html/.well-known/acme-challenge 2> /dev/null | wc -l'; }
good() { status_is 0 "$@"; }

"$lab" up mx1 acme > "$work/up" 2>&1 || fail "the lab has no acme"
cp "$dir/ca.pem" "$work/ca.pem"
chapter "an account, and a certificate proved on port 80"
known_host mx1
prove "terms of service are not agreed to by themselves: status 2" status_is 2 authority add acme house \
	--directory https://acme.lab.test:14000/dir --ca-file "$dir/ca.pem"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out "$work/other.pem" -subj /CN=other 2> /dev/null
prove "an authority that the trust anchor does not vouch for is refused: status 7" status_is 7 authority add acme house \
	--directory https://acme.lab.test:14000/dir --ca-file "$work/other.pem" --agree-tos
prove "http is refused: status 2" status_is 2 authority add acme house --directory http://acme.lab.test:14000/dir --agree-tos
add house --contact postmaster@lab.test
quiet cert request mx1 --cn mx1.lab.test --authority house
quiet vs set mx1 inbound.tls=offer
quiet push mx1 --yes
prove "what is served is what the authority issued, byte for byte" is "$(served_sha256 mx1)" "$(json .sha256 cert show mx1)"
first=$(json .sha256 cert show mx1)
prove "nothing listens on port 80 any more" is "$("$lab" exec mx1 sh -c 'ss -Hltn "sport = :80" && echo looked')" looked
"$lab" exec mx1 sh -c 'perl -MSocket -e '\''socket(L, PF_INET, SOCK_STREAM, 6); setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
	bind(L, sockaddr_in(80, INADDR_ANY)); listen(L, 5); open(P, ">", "/run/other.pid"); print P $$; close P; sleep 60'\'' > /dev/null 2>&1 &'
until_true 5 listens_on_80 || fail "nothing took port 80"
prove "a taken port 80 is said" status_is 7 cert renew mx1
said() { grep -q "$1" "$work/err"; }
prove "  and by whom" said 'port 80 of this host is taken by perl'
"$lab" exec mx1 sh -c 'kill "$(cat /run/other.pid)"'
prove "the same order goes on when it is free, with the same key" good cert resume mx1
prove "  and is another certificate" bash -c '[ "$1" != "$2" ]' - "$(json .sha256 cert show mx1)" "$first"

chapter "in the web root, killed on the way"
"$lab" exec mx1 mkdir -p /var/www/html
"$lab" exec mx1 sh -c 'cat > /run/web.pl' <<- 'P'
	# a web server: files below /var/www/html
	use Socket; $SIG{PIPE} = "IGNORE";
	socket(L, PF_INET, SOCK_STREAM, 6); setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
	bind(L, sockaddr_in(80, INADDR_ANY)) && listen(L, 5) or die;
	while (accept(C, L)) {
		my $q = "";
		while ($q !~ /\r\n\r\n/) { sysread(C, $q, 1024, length $q) or last }
		my ($path) = $q =~ m{^GET (/[A-Za-z0-9_./-]+) }; my $text = "";
		if (defined $path && $path !~ /\.\./ && open(F, "<", "/var/www/html$path")) { $text = join "", <F>; close F }
		syswrite(C, "HTTP/1.0 " . ($text eq "" ? "404 No" : "200 OK") . "\r\nConnection: close\r\n\r\n" . $text);
		close C;
	}
P
"$lab" exec mx1 sh -c 'perl /run/web.pl > /dev/null 2>&1 &'
until_true 5 listens_on_80 || fail "no web server on the host"
add root --challenge http-webroot:/var/www/html
order_state() { # of the last order, when it is a newer one than $last
	sqlite3 "$MXSEAL_STORE" "SELECT state FROM acme_order WHERE id > $last ORDER BY id DESC LIMIT 1" 2> /dev/null
}
last=0
note_last() { last=$(sqlite3 "$MXSEAL_STORE" 'SELECT coalesce(max(id), 0) FROM acme_order') || fail "the store cannot be read"; }
pebble=$(acme pgrep -o -x pebble) || fail "no authority runs"
# the authority is stopped, so that the order stays where it is until it is killed
kill_in() { # STATE
	local pid came
	note_last
	acme kill -STOP "$pebble" || fail "the authority cannot be stopped"
	"$lab" ctl "$program" --no-input --passphrase-fd 9 cert request mx1 --cn mx1.lab.test --authority root 9< "$work/passphrase" > "$work/out" 2>&1 &
	pid=$!
	until_true 20 in_state "$1"
	came=$?
	kill -9 $pid
	wait $pid 2> /dev/null
	acme kill -CONT "$pebble"
	[ $came = 0 ] || fail "it never came to $1"
}
in_state() { [ "$(order_state)" = "$1" ]; }
kill_in directory
prove "killed before the authority answered, the order goes on" good cert resume mx1
killed=''
for state in account order authorization ready finalize certificate; do
	note_last
	"$lab" ctl "$program" --no-input --passphrase-fd 9 cert request mx1 --cn mx1.lab.test --authority root 9< "$work/passphrase" > "$work/out" 2>&1 &
	pid=$!
	# some steps are over in milliseconds: whichever it is in then, it is gone on with
	until in_state "$state" || ! kill -0 $pid 2> /dev/null; do sleep 0.005; done
	kill -9 $pid 2> /dev/null
	wait $pid 2> /dev/null
	if [ "$(json '[.requests[] | select(.state == "pending")] | length' cert requests)" != 0 ]; then
		killed="$killed $(order_state)"
		quiet cert resume mx1
	fi
done
prove "at least one was killed on its way" [ -n "$killed" ]
prove "killed in$killed: each was gone on with" is "$(json '[.requests[] | select(.state == "pending")] | length' cert requests)" 0
prove "nothing of a proof stays in the web root" is "$(proof_files)" 0

chapter "in DNS, by a program of this machine"
cat > "$work/hook" <<- H
	#!/bin/bash
	case \$1 in present) what="add \$2. 5 TXT \"\$3\"" ;; *) what="del \$2. TXT" ;; esac
	printf '%s\n' "server $(cat "$dir/net").54" "zone lab.test." "\$what" send | "$lab" exec dns knsupdate
	# it returns when everybody sees it: a resolver may remember for 5 s that there was nothing
	[ \$1 != present ] || sleep 6
H
chmod 755 "$work/hook"
add names --challenge "dns-hook:$work/hook"
quiet cert request mx1 --cn '*.lab.test' --authority names
prove "a wildcard is proved" is "$(json '.san | join(" ")' cert show mx1)" '*.lab.test'
prove "nothing of it stays in DNS" is "$("$lab" exec dns kdig +short "@$(cat "$dir/net").54" _acme-challenge.lab.test TXT)" ''
printf '#!/bin/sh\necho "no way" >&2\nexit 3\n' > "$work/hook"
prove "a program that fails is said" status_is 7 cert renew mx1
prove "  with what it says" said 'ended with status 3: no way'
id=$(json '[.requests[] | select(.state == "pending")][0].id' cert requests)
quiet cert drop-request "$id"
quiet cert request mx1 --cn mx1.lab.test --authority root

chapter "renewed without a person"
in_a_while() { # COMMAND...: when most of its life is over
	MXSEAL_NOW=$(($(date +%s) + 4 * 365 * 86400)) "$@"
}
quiet push mx1 --yes
before=$(json .spki_sha256 cert show mx1)
prove "nothing is due yet" is "$(json '.renewed | length' check --renew)" 0
quiet vs set mx1 outbound.tls=may
in_a_while mx check --renew > "$work/out" 2> "$work/err"
prove "with other edits that nobody looked at: status 4, nothing is pushed" is "$?" 4
quiet vs unset mx1 outbound.tls
in_a_while mx check --renew > "$work/out" 2> "$work/err"
sed 's/^/  | /' "$work/err"
prove "check --renew served a new one, byte for byte" is "$(served_sha256 mx1)" "$(json .sha256 cert show mx1)"
prove "  with a new key" bash -c '[ "$1" != "$2" ]' - "$(json .spki_sha256 cert show mx1)" "$before"

chapter "secrets"
printf '%s\n' "$marker" > "$work/eab"
mx authority add acme bound --directory https://acme.lab.test:14000/dir --ca-file "$dir/ca.pem" --agree-tos --eab-kid no-such \
	--eab-key-fd 8 8< "$work/eab" > "$work/out" 2> "$work/err"
prove "an external account that it does not know is refused" said 'refuses'
bound_key=zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W          # of tests/lab/inside/role-acme.sh
printf '%s\n' "$bound_key" > "$work/eab"
prove "one that it knows is bound to the account" good authority add acme bound --directory https://acme.lab.test:14000/dir \
	--ca-file "$dir/ca.pem" --agree-tos --eab-kid kid-1 --eab-key-fd 8 8< "$work/eab"
rm "$work/eab"
sqlite3 "$MXSEAL_STORE" .dump > "$work/dump"
raw=$(tr '_-' '/+' <<< "$bound_key" | base64 -d | head -c 12 | od -An -v -tx1 | tr -d '\n' | sed 's/ /\\x/g')
no_secret() {
	! grep -aqrE "BEGIN [A-Z ]*PRIVATE KEY|better passphrase|$marker|$bound_key" "$here" "$work/dump" "$work/out" "$work/err" &&
		! LC_ALL=C grep -aqrP "$raw" "$here" "$work/dump" "$work/out" "$work/err"
}
prove "no passphrase, account key or external key in store, log and output" no_secret
