#!/bin/bash
# The court: seven faults on three hosts, each host hit by each while the others look on: a proxy that strips STARTTLS, an empty
# trust store, a lying resolver, a wrong clock, one bad mail server of three, an expired certificate of the other side, a dead
# policy server. Whose it is and where; and "healthy" before. 9 verdicts, with MXSEAL_LONG=yes (./check --long) all 21. It raises a lab of its own.
if [ -z "${MXSEAL_LAB:-}" ]; then
	echo "skipped: no lab is up (MXSEAL_LAB); it needs root and network namespaces"
	exit 77
fi
LAB_HOSTS=$(dirname "$(readlink -f "$0")")/court.tsv
export LAB_HOSTS LAB_ID=${LAB_ID:-mxseal}c LAB_NET=198.51.102
"$MXSEAL_LAB" up > /dev/null 2>&1 || { echo "the lab of the court cannot be raised"; exit 1; }
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
faults=$(dirname "$(readlink -f "$0")")/lib/faults.py
helpers=()
# shellcheck disable=SC2317 # at the end
over() {
	strip_ends
	[ ${#helpers[@]} = 0 ] || kill "${helpers[@]}" 2> /dev/null
	"$MXSEAL_LAB" down > /dev/null 2>&1
	rm -rf "$work" "$here"
}
trap over EXIT

hosts=(mx1 mx2 mx3)
kinds=(strip trust resolver clock one expired policy)
declare -A domain_of=([strip]=good.test [trust]=good.test [resolver]=good.test [clock]=good.test [one]=three.test [expired]=expired.test
	[policy]=good.test)
# class, side, where
declare -A verdict_of=([strip]="tls-not-offered path stripped" [trust]="cert-untrusted ours trust-store"
	[resolver]="tls-not-offered ours resolver" [clock]="cert-expired ours clock" [one]="tls-not-offered theirs one-mx"
	[expired]="cert-expired theirs all-mx" [policy]="local-policy-problem ours policy")

# shellcheck disable=SC2016 # expanded in the host
postfix_of() { # HOST SETTING...: and an empty queue
	local host=$1
	shift
	"$lab" exec "$host" sh -c 'cp -p /root/main.cf.built /etc/postfix/main.cf; cp /root/resolv.built /var/spool/postfix/etc/resolv.conf
		cat /root/resolv.built > /etc/resolv.conf; ip addr del "$1/32" dev lo 2> /dev/null; shift
		for s; do postconf -e "$s"; done; postsuper -d ALL
		# the environment of the daemons, and where they listen, is made when the master begins
		if [ -e /root/anew ] || grep -qE "FAKETIME|loopback" /etc/postfix/main.cf; then rm -f /root/anew; postfix abort; postfix start; else postfix reload; fi
		! grep -qE "FAKETIME|loopback" /etc/postfix/main.cf || touch /root/anew' - "$LAB_NET.100" "$@" > "$work/postfix.$host" 2>&1
}
# shellcheck disable=SC2016 # expanded in the host
lie_to() { # HOST
	"$lab" exec "$1" sh -c 'echo "nameserver $1" > /etc/resolv.conf; cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf; postfix reload' - \
		"$LAB_NET.60" > "$work/lie.$1" 2>&1
}
strip_for() { # HOST: all it says to good.test goes through a proxy
	"$lab" exec "$1" ip addr add "$LAB_NET.100/32" dev lo
	"$lab" ctl python3 "$faults" strip "$LAB_ID-$1" "$LAB_NET.100" > /dev/null 2>&1 &
	echo $! >> "$work/stripping"
}
strip_ends() {
	local pid
	while read -r pid; do kill "$pid" 2> /dev/null; done < "$work/stripping"
	: > "$work/stripping"
}
: > "$work/stripping"
# shellcheck disable=SC2016 # expanded in the host
sees_no_starttls() { # HOST: the strip works
	"$lab" exec "$1" sh -c 'printf "EHLO x\r\nQUIT\r\n" | nc -w 2 "$0" 25' "$LAB_NET.100" | grep -q PIPELINING
}
afflict() { # HOST FAULT
	case $2 in
	strip)
		postfix_of "$1" smtp_tls_security_level=encrypt inet_interfaces=loopback-only
		strip_for "$1"
		until_true 10 sees_no_starttls "$1" || fail "no proxy at $1"
		;;
	trust) postfix_of "$1" smtp_tls_security_level=verify smtp_tls_CAfile= smtp_tls_CApath= ;;
	resolver)
		postfix_of "$1" smtp_tls_security_level=encrypt
		lie_to "$1"
		;;
	clock)
		postfix_of "$1" smtp_tls_security_level=verify \
			"import_environment=MAIL_CONFIG TZ LD_PRELOAD=$faketime FAKETIME=+5y NO_FAKE_STAT=1"
		;;
	one) postfix_of "$1" smtp_tls_security_level=encrypt ;;
	expired) postfix_of "$1" smtp_tls_security_level=verify ;;
	policy) postfix_of "$1" smtp_tls_security_level=encrypt smtp_tls_policy_maps=socketmap:inet:127.0.0.1:8461:postfix ;;
	esac
	# shellcheck disable=SC2016 # expanded in the host
	"$lab" exec "$1" sh -c 'printf "Subject: lab\n\nHello.\n" | sendmail -f user@lab.test "user@$1"' - "${domain_of[$2]}"
	[ "$2" = one ] || until_true 30 waits_with_reason "$1" || echo "  no mail waits at $1: $2"
}
waits_with_reason() { # HOST
	"$lab" exec "$1" postqueue -j | grep -q delay_reason
}
verdict() { jq -r '[.class, .side, .where] | map(. // "-") | join(" ")' "$work/$1.json"; } # HOST
ask() { # HOST FAULT: into $work/HOST
	mx --json diagnose "$1" "${domain_of[$2]}" > "$work/$1.json" 2> "$work/$1.err"
}

chapter "three hosts become known"
for host in "${hosts[@]}"; do
	"$lab" exec "$host" sh -c 'cp -p /etc/postfix/main.cf /root/main.cf.built; cat /etc/resolv.conf > /root/resolv.built'
	quiet server add "$host" "$host"
	quiet server trust "$host" --fingerprint "$(fingerprint_of "$host")"
done
faketime=$("$lab" exec mx1 sh -c 'ls /usr/lib/*/faketime/libfaketime.so.1')
# shellcheck disable=SC2016 # expanded inside
ctl_device=$("$lab" ctl sh -c 'ip -o -4 addr show | grep " $0.2/" | cut -d" " -f2' "$LAB_NET")
"$lab" ctl ip addr add "$LAB_NET.60/24" dev "$ctl_device"
"$lab" ctl python3 "$faults" liar "$LAB_NET.60" "$LAB_NET.53" mx.good.test "$LAB_NET.101" &
helpers+=($!)
for host in "${hosts[@]}"; do postfix_of "$host" smtp_tls_security_level=verify; done
quiet server read "${hosts[@]}"

chapter "healthy without faults"
asked=()
for host in "${hosts[@]}"; do
	mx --json diagnose "$host" good.test > "$work/$host.json" 2> "$work/$host.err" &
	asked+=($!)
done
wait "${asked[@]}"
for host in "${hosts[@]}"; do prove "$host: healthy" is "$(verdict "$host")" "tls-ok none -"; done

right=0
# three rounds have each fault on one host at least; all seven have each on each
rounds=(0 1 2)
[ -z "${MXSEAL_LONG:-}" ] || rounds=(0 1 2 3 4 5 6)
for round in "${rounds[@]}"; do
	chapter "$(for i in 0 1 2; do printf '%s: %s  ' "${hosts[i]}" "${kinds[(round + 2 * i) % 7]}"; done)"
	asked=()
	for i in 0 1 2; do
		afflict "${hosts[i]}" "${kinds[(round + 2 * i) % 7]}" &
		asked+=($!)
	done
	wait "${asked[@]}"
	asked=()
	for i in 0 1 2; do
		ask "${hosts[i]}" "${kinds[(round + 2 * i) % 7]}" &
		asked+=($!)
	done
	wait "${asked[@]}"
	for i in 0 1 2; do
		kind=${kinds[(round + 2 * i) % 7]}
		found=$(verdict "${hosts[i]}")
		if [ "$found" = "${verdict_of[$kind]}" ]; then
			right=$((right + 1))
			echo "  right: ${hosts[i]} $kind: $(jq -r '.verdict + " (" + .confidence + ")"' "$work/${hosts[i]}.json")"
		else
			echo "  WRONG: ${hosts[i]} $kind: $found, not ${verdict_of[$kind]}"
			cat "$work/${hosts[i]}.err"
			jq -r '.evidence[]' "$work/${hosts[i]}.json" | sed 's/^/    /'
		fi
	done
	strip_ends
done
echo "$right of $((3 * ${#rounds[@]})) verdicts are right"
prove "all verdicts are right" is "$right" $((3 * ${#rounds[@]}))
