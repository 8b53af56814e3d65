#!/bin/bash
# Bad input of any kind gets one clear sentence, the documented status, and nothing is lost or half done: hosts that are not
# there, logins that fail, keys that changed, hosts without a mail system, broken configurations, garbage, a full disk.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

one_sentence() { # what the last command said: a sentence and at most a hint, no more
	cat "$work/err"
	[ "$(grep -c '^mxseal: ' "$work/err")" = 1 ] && [ "$(wc -l < "$work/err")" -le 2 ] && grep -Eq "$1" "$work/err"
}
expect() { # SENTENCE STATUS PATTERN WORD...
	local sentence=$1 status=$2 pattern=$3
	shift 3
	prove "$sentence: status $status" status_is "$status" "$@"
	prove "  in one sentence" one_sentence "$pattern"
}
with() { # SECRET WORD...: the command, with this secret on the descriptor
	local secret=$1
	shift
	"$lab" ctl "$program" --no-input --passphrase-fd 9 "$@" 9< <(printf '%s\n' "$secret" "$secret" "$secret") > "$work/out" 2> "$work/err"
}
status_with() { # STATUS SECRET WORD...
	local wanted=$1 status
	shift
	with "$@"
	status=$?
	sed 's/^/  | /' "$work/err"
	[ "$status" = "$wanted" ] || { echo "status $status, not $wanted"; return 1; }
}

chapter "words"
expect "an unknown command" 2 'not a command' servr list
expect "an unknown option" 2 'no option' server add x y --colour red
expect "an unknown server" 2 'nowhere' server show nowhere
expect "a target that is none" 2 '.' server add bad '-oProxyCommand=id'
expect "a name that is none" 2 'name' server add 'a;b' host
expect "a file that is not there" 2 'cannot open' queue --from "$work/nothing"

chapter "a listing that was cut, and one that is garbage"
printf '{"queue_name": "deferred", "queue_id": "A1", "arrival_time": 1, "message_size": 5, "sender": "a@b.test", "recipients": [{"address": "x@one.test", "delay_reason": "TLS is required, but was not offered by host h[192.0.2.1]"}]}\n{"queue_name": "defer' > "$work/cut"
prove "what is whole is counted" is "$(json '[.groups[0].messages, .groups[0].class, .bad_lines] | join(" ")' queue --from "$work/cut")" "1 tls-not-offered 1"
head -c 100000 /dev/urandom > "$work/noise"
prove "noise is no message and no crash" is "$(json '.groups | length' queue --from "$work/noise" 2> /dev/null)" 0
expect "noise instead of a listing" 7 'no listing of a queue' queue --from "$work/noise"

chapter "hosts that cannot be reached or logged in to"
net=$(awk '$1 == "HostName" { sub(/[.][0-9]+$/, "", $2); print $2; exit }' "$MXSEAL_SSH_CONFIG")
quiet server add gone "$net.250"
expect "nobody answers" 3 '.' server trust gone --fingerprint SHA256:x
quiet server add closed mx1:2
expect "the port is closed" 3 'refuse' server trust closed --fingerprint SHA256:x
known_host mx1
quiet server add mailport mx1:25
expect "the port is no sshd's" 3 'no SSH server: it says "220 ' server read mailport
expect "a known key is held against a fingerprint that is given" 4 'not what was given' server trust mx1 --fingerprint SHA256:x
quiet server add stranger user@mx1
nobody_to_ask() { # no terminal and no descriptor
	"$lab" ctl "$program" --no-input server read stranger < /dev/null > "$work/out" 2> "$work/err"
	is $? 3
}
prove "a password, and nobody to ask: status 3" nobody_to_ask
prove "  in one sentence" one_sentence 'password of user'
prove "a wrong password ends with status 3" status_with 3 wrongpass server read stranger
prove "  in one sentence" one_sentence .
quiet server add plain plain@mx1 --become sudo
prove "a user without sudo ends with status 3" status_with 3 plainpass server read plain
prove "  in one sentence" one_sentence sudo
quiet server add oper oper@mx1 --become sudo
prove "a user with sudo and its password reads" status_with 0 operpass server read oper
quiet server add admin admin@mx1 --become sudo
quiet server read admin

chapter "host keys"
cp "$here/known_hosts" "$work/known"
ssh-keygen -q -t ed25519 -N '' -f "$work/impostor"
printf 'mx1 %s\n' "$(cut -d' ' -f1,2 "$work/impostor.pub")" > "$here/known_hosts"
expect "a key that changed is refused" 4 'another host key' server read mx1
printf '@revoked mx1 %s\n' "$(awk '$1 ~ /^mx1,/ && $2 == "ssh-ed25519" { print $2, $3; exit }' "$dir/known_hosts")" > "$here/known_hosts"
expect "a revoked key is refused" 4 'revoked' server read mx1
cp "$work/known" "$here/known_hosts"
quiet server read mx1

chapter "not a mail host, or a broken one"
"$lab" exec mx1 mv /usr/sbin/postconf /usr/sbin/postconf.away
expect "no mail system" 7 'no mail system' server read mx1
"$lab" exec mx1 mv /usr/sbin/postconf.away /usr/sbin/postconf
"$lab" exec mx1 sh -c 'cp -p /usr/sbin/postqueue /usr/sbin/postqueue.away; printf "#!/bin/sh\nhead -c 20000 /dev/urandom\nexit 1\n" > /usr/sbin/postqueue'
expect "a queue lister that fails" 7 'queue' queue mx1
"$lab" exec mx1 mv /usr/sbin/postqueue.away /usr/sbin/postqueue
own_ca_certificate mx1
quiet vs set mx1 inbound.tls=offer
"$lab" exec mx1 sh -c 'cp -p /etc/postfix/main.cf /root/main.cf; echo "smtpd_recipient_restrictions =" >> /etc/postfix/main.cf; echo "smtpd_relay_restrictions =" >> /etc/postfix/main.cf'
before=$(configuration mx1)
prove "a configuration that would stop mail is refused: status 4" status_is 4 push mx1 --yes
prove "  and nothing was touched" is "$(configuration mx1)" "$before"
"$lab" exec mx1 cp -p /root/main.cf /etc/postfix/main.cf
before=$(configuration mx1)

chapter "a full disk on the host"
"$lab" exec mx1 sh -c 'mkdir -p /etc/mxseal && mount -t tmpfs -o size=4k tmpfs /etc/mxseal && head -c 4096 /dev/zero > /etc/mxseal/full 2> /dev/null'
status_is 4 push mx1 --yes > /dev/null || status_is 7 push mx1 --yes > "$work/which" || { cat "$work/which"; fail "a full disk"; }
sed 's/^/  /' "$work/err"
names_space() { grep -qi 'space\|full' "$work/err"; }
prove "a full disk is named" names_space
prove "  and nothing was touched" is "$(configuration mx1)" "$before"
"$lab" exec mx1 umount /etc/mxseal
quiet push mx1 --yes
prove "with room again the push goes through" is "$(served_sha256 mx1)" "$(json .sha256 cert show mx1)"
