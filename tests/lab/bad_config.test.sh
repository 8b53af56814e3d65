#!/bin/bash
# Bad configurations, made by hand on the host or through mxseal's own commands, and something to push: none is kept, all but a few
# are stopped before the switch, the files stay byte for byte and the service greets. Good changes, unusual ones too: all are kept
# (several in one push; with MXSEAL_LONG each in its own).
# The trial run on the host leaves nothing: no process, no file, no queue entry, no complaint in the host's log, also when it is
# killed. Prints a table of what stopped what.
#   usage: bad_config.test.sh [good|bad|trace [PATTERN]]     only these, and only those whose name matches
# The good ones are pushed to another host meanwhile, and what a trial run leaves is looked for there.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"
part=${1:-all} pattern=${2:-.} host=mx1 self=$(readlink -f "$0")
on_host() { "$lab" exec "$host" sh -c "$1"; }
# shellcheck disable=SC2016 # expanded by the inner shell
greets() { "$lab" ctl timeout 5 bash -c 'exec 3<> "/dev/tcp/$0.lab.test/25"; head -1 <&3' "$host" | grep -q '^220[ -]'; }

# --- an authority outside, with one between
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/root.key" -out "$work/root.pem" -days 365 \
	-subj "/CN=Outside Root" 2> /dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/middle.key" -out "$work/middle.csr" \
	-subj "/CN=Outside Middle" 2> /dev/null
printf 'basicConstraints=critical,CA:TRUE\n' > "$work/middle.ext"
openssl x509 -req -in "$work/middle.csr" -CA "$work/root.pem" -CAkey "$work/root.key" -CAcreateserial -days 365 \
	-extfile "$work/middle.ext" -out "$work/middle.pem" 2> /dev/null
another() { # VS FILE...: a new certificate is wanted; the authority's answer is the leaf and these
	local vs=$1
	shift
	printf 'subjectAltName=DNS:%s.lab.test\nextendedKeyUsage=serverAuth\nauthorityInfoAccess=caIssuers;URI:http://ca.outside.test/middle.der\n' \
		"$host" > "$work/leaf.ext"
	quiet cert request "$vs" --cn "$host.lab.test" --o Lab --country GB --out "$work/next.csr"
	openssl x509 -req -in "$work/next.csr" -CA "$work/middle.pem" -CAkey "$work/middle.key" -CAcreateserial -days 200 \
		-extfile "$work/leaf.ext" -out "$work/next.pem" 2> /dev/null
	cat "$work/next.pem" "$@" > "$work/answer.pem"
	quiet cert process "$vs" "$work/answer.pem" --accept-unknown-issuer
}

# --- a host that works: a certificate with a chain, and a second listener made by hand
works() {
	known_host "$host"
	another "$host" "$work/middle.pem"
	quiet vs set "$host" inbound.tls=offer
	on_host 'cat >> /etc/postfix/master.cf << "EOF"
submission inet n - y - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_relay_restrictions=permit_mynetworks,reject
EOF
	postconf -e smtp_tls_security_level=may; postfix reload 2> /dev/null
	mkdir -p /root/bad && cd /root/bad && for n in one other; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $n.key -out $n.pem -days 30 \
			-subj /CN=mx1.lab.test 2> /dev/null
	done
	cat one.key other.pem > misfit.pem'
	quiet server read "$host"
	quiet push "$host" --yes
	prove "it greets" greets
}

# --- the table
rows=() n=0 before=0 after=0 log=summary
row() { rows+=("$(printf '%-44s %-6s %5s s  %s' "$@")"); }
stopped_by() { # what the sentence says it was
	sed -n -e 's/.*check "\([^"]*\)".*/\1/p; s/^mxseal: \([^:]*\): .*nothing was touched.*/\1/p; s/.*; undone: .*/the live proof/p' "$work/err" | head -1
}
seconds() { echo "$(($1 / 1000)).$(printf %03d $(($1 % 1000)) | cut -c1)"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# bad NAME HAND-EDIT [COMMAND...]: the edit is made on the host, the command through mxseal; then it is pushed
bad() {
	local name=$1 edit=$2 status start took files mended=${undo:-}
	shift 2
	[[ $name =~ $pattern ]] || return 0
	n=$((n + 1))
	rm -f "$here"/store.db*
	cp -p "$work"/store.db* "$here/"
	greets || fail "$name: the host did not work before"
	[ -z "$edit" ] || on_host "cd /etc/postfix; $edit" > "$work/edit" 2>&1 || { cat "$work/edit"; fail "$name: the edit failed"; }
	[ $# = 0 ] || "$@"
	quiet vs set mx1 log.tls=summary
	files=$(configuration mx1)
	start=$(now_ms)
	mx push mx1 --yes > "$work/out" 2> "$work/err"
	status=$?
	took=$(($(now_ms) - start))
	row "$name" "$status" "$(seconds $took)" "$(stopped_by)"
	printf '  %s\n' "$name" "$(tail -2 "$work/err" | head -1)"
	case $status in
	4) before=$((before + 1)) ;;
	5) after=$((after + 1)) ;;
	*) sed 's/^/  | /' "$work/out" "$work/err" | tail -30; printf '%s\n' "${rows[@]}"; fail "$name: status $status" ;;
	esac
	is "$(configuration mx1)" "$files" || fail "$name: the files are not as they were"
	until_true 70 greets || fail "$name: the service does not greet"
	[ -z "$mended" ] || on_host "$mended"
	on_host 'cp -p /root/bad/main.cf /root/bad/master.cf /etc/postfix/; postfix reload 2> /dev/null'
}
main() { echo "printf '%s\\n' '$1' >> main.cf"; }              # a line of main.cf more
of_submission() { echo "sed -i '/^submission/a\\  -o $1' master.cf"; }
bad_ones() {
	chapter "a host that works"
	works
	on_host 'cp -p /etc/postfix/main.cf /etc/postfix/master.cf /root/bad/'
	cp -p "$here"/store.db* "$work/"
	chapter "bad configurations"
	# finding 1 of seven
	bad "key does not fit" "cp /root/bad/misfit.pem . && $(of_submission smtpd_tls_chain_files=/etc/postfix/misfit.pem)"
	bad "certificate file missing" "$(of_submission smtpd_tls_chain_files=/etc/postfix/nothing.pem)"
	bad "protocol list with a comment in it" "$(main 'smtpd_tls_protocols = !SSLv2, !SSLv3 # old, TLSv1.2')"
	bad "security level misspelt" "sed -i 's/smtpd_tls_security_level=encrypt/&t/' master.cf"
	bad "parameter misspelt" "$(main 'smtpd_tls_securty_level = encrypt')"
	bad "no relay restrictions" "$(main 'smtpd_relay_restrictions =')"
	bad "seven columns in master.cf" "echo 'policy unix - n n - spawn user=nobody' >> master.cf"
	# and others
	bad "map missing" "$(main 'virtual_alias_maps = hash:/etc/postfix/nothing')"
	bad "map not built" "echo 'a.test smtp:b.test' > unbuilt && $(main 'transport_maps = hash:/etc/postfix/unbuilt')"
	bad "regular expression broken" "echo '/(unclosed/ REJECT' > broken.re && $(main 'header_checks = regexp:/etc/postfix/broken.re')"
	bad "map that its reader cannot read" "echo 'a b' > secret && chmod 600 secret && postmap hash:secret && $(main 'virtual_alias_maps = proxy:hash:/etc/postfix/secret')"
	bad "service twice" "echo 'submission inet n - y - - smtpd' >> master.cf"
	undo='kill $(cat /root/bad/nc.pid)' bad "port in use by another program" "(nc -k -l 0.0.0.0 10587 > /dev/null 2>&1 & echo \$! > /root/bad/nc.pid); sleep 0.3; echo '10587 inet n - y - - smtpd' >> master.cf"
	bad "address of another host" "echo '192.0.2.77:2525 inet n - y - - smtpd' >> master.cf"
	bad "content filter without a service" "$(main 'content_filter = smtp-amavis:[127.0.0.1]:10024')"
	bad "type misspelt in master.cf" "echo '2525 intet n - y - - smtpd' >> master.cf"
	bad "program misspelt in master.cf" "echo '2525 inet n - y - - smtpdd' >> master.cf"
	bad "outbound level misspelt" "sed -i 's/^smtp_tls_security_level.*/smtp_tls_security_level = strict/' main.cf"
	bad "cipher grade misspelt" "$(main 'smtpd_tls_mandatory_ciphers = hihg')"
	bad "restriction misspelt" "$(main 'smtpd_recipient_restrictions = permit_mynetworks, reject_unath_destination')"
	bad "neither yes nor no" "$(main 'smtpd_helo_required = yep')"
	bad "passwords asked of nobody" "$(of_submission smtpd_sasl_auth_enable=yes); $(main 'smtpd_sasl_type = dovecot'); $(main 'smtpd_sasl_path = private/auth')"
	bad "authorities of the client missing" "$(main 'smtp_tls_CAfile = /etc/postfix/nothing.pem')"
	bad "certificates in the wrong order" "f=\$(ls /etc/mxseal/*/chain-smtp.pem) && (openssl pkey -in \$f; openssl x509 -in \$f; cat /root/bad/one.pem; sed '1,/END CERT/d' \$f | sed -n '/BEGIN CERT/,\$p') > order.pem && chmod 600 order.pem && $(of_submission smtpd_tls_chain_files=/etc/postfix/order.pem)"
	bad "chain too short" "" another mx1
	undo='cp -p /root/bad/keys/* /var/lib/mxseal/keys/' bad "another key in its place" "mkdir -p /root/bad/keys && cp -p /var/lib/mxseal/keys/*.key /root/bad/keys/ && for k in /var/lib/mxseal/keys/*.key; do cat /root/bad/other.key > \$k; done"
	undo='cp /etc/resolv.conf /var/spool/postfix/etc/' bad "locked in without a resolver" "rm -f /var/spool/postfix/etc/resolv.conf; echo 'out unix - - y - - smtp' >> master.cf"
	# only the live proof can see these
	undo='cd /usr/lib/postfix/sbin && mv smtpd.real smtpd' bad "smtpd dies where it is live" 'cd /usr/lib/postfix/sbin && mv smtpd smtpd.real && printf "%s\n" "#!/bin/sh" "case \$MAIL_CONFIG in /var/lib/*) ;; *) grep -q /etc/mxseal/1/ /etc/postfix/main.cf || exit 1 ;; esac" "exec /usr/lib/postfix/sbin/smtpd.real \"\$@\"" > smtpd && chmod 755 smtpd' another mx1 "$work/middle.pem"
	undo='mv /usr/sbin/postfix.real /usr/sbin/postfix' bad "a reload that does nothing" 'mv /usr/sbin/postfix /usr/sbin/postfix.real && printf "%s\n" "#!/bin/sh" "case \$* in reload) exit 0 ;; esac" "exec /usr/sbin/postfix.real \"\$@\"" > /usr/sbin/postfix && chmod 755 /usr/sbin/postfix' another mx1 "$work/middle.pem"
	printf '\n%-44s %-6s %7s  %s\n' "bad configuration" status time "stopped by"
	printf '%s\n' "${rows[@]}"
	printf '%d bad configurations: %d stopped before the switch, %d undone, 0 kept\n' "$n" "$before" "$after"
}

# --- good ones
# good NAME HAND-EDIT [COMMAND...]: the same, but it has to be kept
good() {
	local name=$1 start status took
	[[ $name =~ $pattern ]] || [ -n "$together" ] || return 0
	made_change "$@"
	name=$together$name together=
	[ -z "$by_hand" ] || { quiet vs set "$host" "log.tls=$log"; log=$([ $log = summary ] && echo detail || echo summary); }
	by_hand=
	start=$(now_ms)
	mx push "$host" --yes > "$work/out" 2> "$work/err"
	status=$?
	took=$(($(now_ms) - start))
	row "$name" "$status" "$(seconds $took)" "$(sed -n "s/^$host: //p" "$work/out" | tail -1)"
	[ "$status" = 0 ] && grep -q "^$host: kept" "$work/out" ||
		{ sed 's/^/  | /' "$work/out" "$work/err" | tail -40; printf '%s\n' "${rows[@]}"; fail "$name: status $status"; }
	greets || fail "$name: the service does not greet"
}
# with NAME HAND-EDIT [COMMAND...]: one that is pushed together with the next
together='' by_hand=''
with() {
	[[ $1 =~ $pattern ]] || return 0
	if [ -n "${MXSEAL_LONG:-}" ]; then
		good "$@"
	else
		made_change "$@"
		together+="$1, "
	fi
}
made_change() {
	local name=$1 edit=$2
	shift 2
	n=$((n + 1))
	[ -z "$edit" ] || by_hand=yes
	[ -z "$edit" ] || on_host "cd /etc/postfix; $edit" > "$work/edit" 2>&1 || { cat "$work/edit"; fail "$name: the edit failed"; }
	[ $# = 0 ] || "$@"
}
set_vs() { local vs=$1; shift; quiet vs set "$vs" "$@" --yes; }
own_certificate() { quiet cert request "$1" --cn "$host.lab.test" --authority ca; quiet vs set "$1" inbound.tls=offer; }
again() { quiet server read "$host"; "$@"; }

# what follows is at another host, where there is one
elsewhere() { ! "$lab" exec mx2 true 2> /dev/null || host=mx2; }
good_ones() {
	elsewhere
	works
	quiet authority add own ca --cn "Test CA"
	with "lowest protocol" "" set_vs $host inbound.protocol-min=tls1.2 outbound.protocol-min=tls1.2
	with "strong ciphers" "" set_vs $host inbound.ciphers=high outbound.ciphers=high
	with "certificate of another authority, RSA" "" quiet cert request $host --cn $host.lab.test --authority ca --key rsa-2048
	with "outbound encrypt" "" set_vs $host outbound.tls=encrypt
	good "submission with a certificate of its own" "" own_certificate $host/submission
	with "client certificates are asked for" "" set_vs $host inbound.client-cert=ask
	with "a connector" "" quiet connector add bank --domain bank.test --tls secure --via $host
	with "a smart host" "" set_vs $host outbound.smart-host='[relay.lab.test]:587' outbound.tls=may
	good "times of retries" "" set_vs $host outbound.retry.first=5m outbound.retry.max=1h outbound.expire-after=3d
	with "implicit TLS, by hand" "printf '%s\n' 'smtps inet n - y - - smtpd' '  -o smtpd_tls_wrappermode=yes -o syslog_name=postfix/smtps' >> master.cf"
	good "implicit TLS with a certificate of its own" "" again quiet cert request $host/smtps --cn $host.lab.test --authority ca
	with "nothing locked in" "sed -i 's/^\(smtp .*inet.*\)y\( .*smtpd\)\$/\1n\2/; s/^\(relay.*\)y\(.*smtp\)\$/\1n\2/' master.cf"
	with "a milter that is not there" "postconf -e smtpd_milters=inet:127.0.0.1:8891 non_smtpd_milters=unix:/run/nobody milter_default_action=accept"
	good "a content filter and the way back" "postconf -e content_filter=smtp-amavis:[127.0.0.1]:10024 && printf '%s\n' 'smtp-amavis unix - - n - 2 smtp' '  -o smtp_data_done_timeout=1200 -o disable_dns_lookups=yes' '127.0.0.1:10025 inet n - n - - smtpd' '  -o content_filter= -o smtpd_tls_security_level=none' >> master.cf"
	with "tables of several types" "printf '/^X-Junk:/ DISCARD\n' > headers.re; printf '192.0.2.0/24 REJECT\n' > clients.cidr; printf 'a.test OK\n' > senders; postmap hash:senders; postconf -e header_checks=regexp:/etc/postfix/headers.re 'smtpd_client_restrictions=check_client_access cidr:/etc/postfix/clients.cidr' 'smtpd_sender_restrictions=check_sender_access proxy:hash:/etc/postfix/senders, reject_unknown_sender_domain'"
	with "a policy service and a class of restrictions" "printf '%s\n' 'policy unix - n n - 0 spawn user=nobody argv=/bin/true' >> master.cf; postconf -e smtpd_restriction_classes=greylist 'greylist=check_policy_service unix:private/policy' 'smtpd_recipient_restrictions=permit_mynetworks, greylist, reject_unauth_destination'"
	good "certificates by name (SNI)" "cat /root/bad/one.key /root/bad/one.pem > sni.pem; chmod 600 sni.pem; printf 'alias.lab.test /etc/postfix/sni.pem\n' > sni; postmap -F hash:sni; postconf -e tls_server_sni_maps=hash:/etc/postfix/sni"
	with "an odd but valid master.cf" "printf '%s\n' '# odd' '2525 inet n - n - 5 smtpd -v' '# between' '  -o { smtpd_banner = \$myhostname ESMTP odd }' '' '	-o smtpd_client_restrictions=' 'odd	unix	-	-	n	-	-	smtp	-o	smtp_bind_address=127.0.0.1' >> master.cf"
	good "only some addresses" "postconf -e \"inet_interfaces=127.0.0.1, \$(hostname -I | cut -d' ' -f1)\"; (sleep 0.1; postfix stop; postfix start) > /dev/null 2>&1"
	good "postscreen in front" "postconf -e inet_interfaces=all; (sleep 0.1; postfix stop; postfix start) > /dev/null 2>&1; sed -i 's/^smtp .*inet .*smtpd\$/smtp inet n - n - 1 postscreen/' master.cf; printf '%s\n' 'smtpd pass - - n - - smtpd' 'dnsblog unix - - n - 0 dnsblog' 'tlsproxy unix - - n - 0 tlsproxy' >> master.cf; postconf -e postscreen_greet_action=ignore postscreen_dnsbl_sites=zen.spamhaus.org"
	good "certificate taken away" "" quiet cert remove $host/submission
	printf '\n%-44s %-6s %7s  %s\n' "good change" status time result
	printf '%s\n' "${rows[@]}"
	printf '%d good changes: all kept\n' "$n"
}

# --- no trace
everything() { # what a trial run could leave
	on_host 'ls -1 /var/lib | grep mxseal; find /etc/postfix /tmp /var/tmp /run /var/spool/postfix /var/lib/postfix -xdev -not -type s \
		-not -path "/run/systemd/*" -not -path "/run/user*" -not -path "/run/log/*" -not -path "*/pid/*" 2> /dev/null | sort
		ps -e -o user,comm | grep -v -E "ps|sh|sort|ls|find|grep|smtpd|anvil|proxymap|tlsmgr|cleanup|trivial|systemd|pam|sleep|sudo" | sort | uniq -c; postqueue -p | tail -1'
}
complaints() { on_host 'grep -E "mxseal|trial|fatal|panic" /var/log/mail.log | grep -v "symlink leaves"'; }

quiet_after() { # BEFORE
	diff <(echo "$1") <(everything) && is "$(complaints)" ""
}
soon() { until_true 20 "$@" || "$@"; }
# kill_it SECONDS console|host|trial: a push, and so long after its trial run began somebody is killed
kill_it() {
	local pid
	"$lab" ctl "$program" --no-input --passphrase-fd 9 push "$host" --yes 9< "$work/passphrase" > /dev/null 2>&1 &
	pid=$!
	until_true 60 on_host '[ -d /var/lib/mxseal-shadow.* ]' || fail "no trial run began"
	sleep "$1"
	case $2 in
	console) kill -9 "$pid" ;;
	host) on_host 'read -r p _ < /var/lib/mxseal/lock.owner; kill -9 "$p"' ;;
	trial) on_host 'd=$(ls -d /var/lib/mxseal-shadow.*); kill -9 "${d##*.}"' ;;
	esac 2> /dev/null
	wait "$pid" 2> /dev/null
	until_true 30 on_host '! ls -d /var/lib/mxseal-shadow.*' || fail "the trial run stays"
	until_true 30 status_is 0 status "$host" || fail "no status"
}

no_trace() {
	local old at who
	chapter "a trial run leaves nothing"
	elsewhere
	works
	quiet vs set "$host" log.tls=summary
	on_host ': > /var/log/mail.log'
	old=$(everything)
	mx plan "$host" --no-shadow > "$work/plan"
	prove "a plan without one says so" grep -q '^warning: no shadow' "$work/plan"
	quiet push "$host" --yes
	quiet undo "$host"
	prove "after a good push and its undo" soon quiet_after "$old"
	on_host "$(of_submission smtpd_tls_chain_files=/etc/postfix/nothing.pem | sed 's|master.cf|/etc/postfix/&|')"
	prove "a bad one is refused" status_is 4 push "$host" --yes
	on_host "sed -i '/nothing.pem/d' /etc/postfix/master.cf"
	prove "after a refused push" soon quiet_after "$old"
	# each at a moment of its own; MXSEAL_LONG: each at all three
	for at in 0.1 0.6 1.2; do
		for who in console host trial; do
			case $at$who in 0.1console | 0.6host | 1.2trial) ;; *) [ -n "${MXSEAL_LONG:-}" ] || continue ;; esac
			kill_it "$at" $who
			prove "$who killed $at s into the trial run" soon quiet_after "$old"
		done
	done
}
case $part in
bad) bad_ones ;;
good) good_ones ;;
trace) no_trace ;;
all)
	{ "$self" good && "$self" trace; } > "$work/good" 2>&1 &
	good=$!
	"$self" bad || { kill "$good" 2> /dev/null; fail "bad configurations"; }
	wait "$good" || { cat "$work/good"; fail "good changes, or what a trial run leaves"; }
	sed -n '/^good change/,$p' "$work/good"
	;;
esac
