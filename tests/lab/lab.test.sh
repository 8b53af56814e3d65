#!/bin/bash
# Proves that a lab can be raised twice without harm, beside another lab; that its destinations behave as dest.tsv says; and
# that `down` leaves no process, namespace, mount, control group or file. Needs root and the systems that `lab up` built
# (./check does that and sets MXSEAL_LAB); otherwise it says so and is skipped.
set -euo pipefail
lab=$(dirname "$(readlink -f "$0")")/lab
[ -n "${MXSEAL_LAB:-}" ] || { echo "skipped: no lab is up (MXSEAL_LAB is not set; ./check sets it)"; exit 77; }
"$lab" can || exit 77
other=${LAB_ID:-mxseal}
export LAB_ID=labtest$$
trap '"$lab" down > /dev/null 2>&1 || true' EXIT

failures=0
is() { # WHAT WANTED FOUND
	[ "$2" = "$3" ] && return
	printf 'failed: %s\n  wanted: %s\n  found:  %s\n' "$1" "$2" "$3"
	failures=$((failures + 1))
}
has() { # WHAT PATTERN TEXT
	grep -Eq -- "$2" <<< "$3" && return
	printf 'failed: %s\n  wanted: %s\n  found:  %s\n' "$1" "$2" "$3"
	failures=$((failures + 1))
}

# --- twice up
"$lab" up
before=$("$lab" status)
"$lab" up
is "a second up leaves all hosts running" "$before" "$("$lab" status)"
is "every host is up" 0 "$(grep -vc ' up, pid' <<< "$before" || true)"
is "systemd is process 1 of mx1, where it can be" "$(awk '$1 == "mx1" { print $4 }' <<< "$before" | sed s/mini/tini/)" \
	"$("$lab" exec mx1 cat /proc/1/comm)"
is "mx2 has no systemd" tini "$("$lab" exec mx2 cat /proc/1/comm)"
is "ssh from outside" mx1.lab.test "$("$lab" ssh mx1 hostname -f)"
is "ssh inside" mx2.lab.test "$("$lab" ctl ssh -F "$("$lab" dir)/ssh_config.ctl" mx2 hostname -f)"
is "admin may use sudo" 0 "$(env LAB_USER=admin "$lab" ssh mx1 sudo -n id -u)"
is "TLS is off" "none none" "$("$lab" exec mx1 postconf -h smtpd_tls_security_level smtp_tls_security_level | xargs)"
# --- reset
"$lab" exec mx1 postconf -e smtpd_tls_security_level=may
"$lab" reset mx1
is "reset throws changes away" none "$("$lab" exec mx1 postconf -h smtpd_tls_security_level)"

# --- beside another
is "the other lab still runs" 0 "$(LAB_ID=$other "$MXSEAL_LAB" exec mx1 true; echo $?)"
[ "$(LAB_ID=$other "$MXSEAL_LAB" exec mx1 readlink /proc/1/ns/pid)" != "$("$lab" exec mx1 readlink /proc/1/ns/pid)" ] ||
	is "two labs have hosts of their own" yes no

# --- destinations
tls() { # DOMAIN [OPTION...]: what a TLS client says of it
	local domain=$1
	shift
	"$lab" ctl timeout 3 openssl s_client -starttls smtp -connect "mx.$domain:25" -verify_hostname "mx.$domain" \
		-servername "mx.$domain" "$@" < /dev/null 2>&1 || true
}
smtp() { # DOMAIN LINE...: what it answers
	# shellcheck disable=SC2016 # expanded by the inner shell
	"$lab" ctl timeout 5 bash -c 'exec 3<> "/dev/tcp/mx.$1/25" || exit
		shift
		read -r line <&3; echo "$line"
		for command in "$@"; do
			printf "%s\r\n" "$command" >&3
			while read -r line <&3; do echo "$line"; case $line in ???" "*) break ;; esac; done
		done' - "$@" 2>&1 || true
}
from='MAIL FROM:<a@mx1.lab.test>'
has "good.test" 'Verify return code: 0 ' "$(tls good.test)"
has "expired.test" 'Verify return code: 10 ' "$(tls expired.test)"
has "wrongname.test" 'Verify return code: 62 ' "$(tls wrongname.test)"
has "selfsigned.test" 'Verify return code: 18 ' "$(tls selfsigned.test)"
has "tls10.test" 'Cipher is \(NONE\)' "$(tls tls10.test)"
has "tls10.test with TLS 1.0" 'Protocol *: TLSv1$' "$(tls tls10.test -tls1 -cipher ALL:@SECLEVEL=0)"
for domain in tlsclose.test tlsgarbage.test tarpit.test; do
	has "$domain takes STARTTLS" '^220 2.0.0' "$(smtp "$domain" 'EHLO x' STARTTLS)"
	is "$domain has no certificate" 0 "$(tls "$domain" | grep -c 'BEGIN CERTIFICATE' || true)"
done
is "notls.test offers no STARTTLS" 0 "$(smtp notls.test 'EHLO x' | grep -c STARTTLS || true)"
has "tls454.test" '^454 4.7.0' "$(smtp tls454.test 'EHLO x' STARTTLS)"
has "grey.test" '^451 4.7.1' "$(smtp grey.test 'EHLO x' "$from" 'RCPT TO:<b@grey.test>')"
has "reqtls.test" '^530 5.7.0' "$(smtp reqtls.test 'EHLO x' "$from")"
has "busy.test" '^421' "$(smtp busy.test)"
is "bannerhang.test" "" "$(smtp bannerhang.test)"
has "refused.test" 'refused' "$(smtp refused.test)"
has "noroute.test" 'No route' "$(smtp noroute.test)"
is "blackhole.test" "" "$(smtp blackhole.test)"

# --- down
run=$("$lab" dir)
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
started() { # PID: when it was started; nothing when it is gone or a zombie, which is init's to bury
	awk '{ sub(/.*\) /, ""); if ($1 != "Z") print $20 }' "/proc/$1/stat" 2> /dev/null || true
}
alive() { # those of the lines "PID START" that still live
	local pid start
	while read -r pid start; do
		[ "$(started "$pid")" != "$start" ] || echo "$pid"
	done
}
processes=$(for ns in /run/netns/"$LAB_ID"-*; do ip netns pids "${ns##*/}"; done | while read -r pid; do
	echo "$pid $(started "$pid")"
done)
has "there were processes to end" '[0-9]' "$(alive <<< "$processes")"
"$lab" down
is "no process is left" "" "$(alive <<< "$processes")"
is "no network namespace is left" "" "$(ip netns | grep "^$LAB_ID-" || true)"
is "no mount is left" "" "$(grep "$run" /proc/mounts || true)"
is "no file is left" "" "$(ls -d "$run"* 2> /dev/null || true)"
[ -z "$cgroups" ] || is "no control group is left" "" "$(ls -d "$cgroups/$LAB_ID"* 2> /dev/null || true)"
"$lab" down
is "the other lab still runs" 0 "$(LAB_ID=$other "$MXSEAL_LAB" exec mx1 true; echo $?)"
[ "$failures" = 0 ] || exit 1
echo "all as promised"
