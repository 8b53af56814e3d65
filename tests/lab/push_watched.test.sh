#!/bin/bash
# A push that waits is watched by the host itself: mail that is deferred because of it brings the old files back before the
# deadline; with the network cut, too; and whoever asks later is told that it was undone, with status 5.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

journal_says() { "$lab" exec mx1 grep -q -e "$1" /var/lib/mxseal/journal; }
send_many() { # DOMAIN COUNT
	"$lab" exec mx1 bash -c 'for i in $(seq "$2"); do printf "Subject: %s\n\nHello.\n" "$i" | sendmail -f user@mx1.lab.test "a$i@$1"; done' - "$1" "$2"
}
said() { grep -qi "$1" "$work/err" "$work/out"; }
served_inside() { # asked in the host: no network is needed
	"$lab" exec mx1 sh -c 'timeout 5 openssl s_client -starttls smtp -connect 127.0.0.1:25 < /dev/null 2> /dev/null |
		openssl x509 -noout -fingerprint -sha256'
}

chapter "mail gets worse"
known_host mx1
own_ca_certificate mx1
quiet vs set mx1 inbound.tls=offer
show push mx1 --yes
old=$(configuration mx1) old_served=$(served_inside)
prove "a certificate is served" [ -n "$old_served" ]
quiet vs set mx1 outbound.tls=encrypt --yes
show push mx1 --yes --no-keep --confirm-within 120
prove "it waits, and the log is read" [ "$(json '"\(.state) \(.mail != null)"' status mx1)" = "waiting true" ]
send_many notls.test 4
counted() { [ "$(json .mail.since.deferred status mx1)" = 4 ]; }
prove "four deferred messages are counted" until_true 30 counted
prove "and are not yet a reason" [ "$(json .state status mx1)" = waiting ]
send_many notls.test 5
undone_in_time() { journal_says " undone yes mail is worse than before: [0-9]* messages deferred"; }
prove "nine are: the host undoes by itself, says why, and has proved the old state" until_true 30 undone_in_time
prove "the old files are back, byte for byte" is "$(configuration mx1)" "$old"
prove "with the old certificate served" is "$(served_inside)" "$old_served"
prove "keep is told so, with status 5" status_is 5 keep mx1
prove "in this word" said undone
"$lab" exec mx1 postsuper -d ALL > /dev/null 2>&1

chapter "the network is cut"
link() { "$lab" exec mx1 ip link set dev "$("$lab" exec mx1 sh -c 'ls /sys/class/net | grep -v "^lo$" | head -n 1')" "$1"; }
is_back() { is "$(configuration mx1)" "$old" && is "$(served_inside)" "$old_served"; }
for n in 1 2 3; do
	quiet vs set mx1 "inbound.protocol-min=tls1.$((1 + n % 2))" outbound.tls=may "inbound.tls=$([ $((n % 2)) = 1 ] && echo require || echo offer)" --yes
	status_is 0 push mx1 --yes --no-keep --confirm-within 3 || fail "no push to cut"
	pushed=$SECONDS
	link down
	prove "run $n: old files and the old certificate by STARTTLS within the deadline and 5 s" until_true $((8 - (SECONDS - pushed))) is_back
	link up
	reached() { mx status mx1 > "$work/out" 2> "$work/err"; [ $? = 5 ]; }
	prove "run $n: status says undone, with status 5, as soon as the host is reached again" until_true 60 reached
	prove "run $n: in this word" said undone
	prove "run $n: and once: nothing new is nothing bad" status_is 0 status mx1
done
quiet vs set mx1 outbound.tls=encrypt --yes
status_is 0 push mx1 --yes --no-keep --confirm-within 3 || fail "no push to undo"
prove "the host undoes it" until_true 10 is_back
prove "undo, a moment too late, finds it undone" status_is 0 undo mx1
prove "and does not take back the generation before" is "$(configuration mx1)" "$old"

chapter "our record and the host's journal agree"
ours() { sqlite3 "$MXSEAL_STORE" "SELECT generation || ' ' || result FROM push WHERE generation > 0 ORDER BY generation"; }
theirs() {
	"$lab" exec mx1 awk '$3 != "begun" { state[$2] = $3; if ($2 > top) top = $2 }
		END { for (i = 1; i <= top; i++) if (i in state) print i, state[i] }' /var/lib/mxseal/journal
}
prove "generation by generation" is "$(ours)" "$(theirs)"
prove "and the chain of activities holds" status_is 0 history --verify
