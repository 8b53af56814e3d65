#!/bin/bash
# Makes the recordings of this folder anew: what a real Postfix host of the lab answers to the driver's commands in several
# configurations. Certificates and keys are made anew too, so the golden plans change with them.
#   MXSEAL_LAB=tests/lab/lab MXSEAL_BUILD=build tests/golden/postfix/record.sh
set -euo pipefail
lab=$(readlink -f "$MXSEAL_LAB")
recorder=$(readlink -f "$MXSEAL_BUILD")/tests/test_mailsys_postfix_read
cd "$(dirname "$(readlink -f "$0")")"
here=$PWD
on() { "$lab" exec mx1 "$@"; }
put() { on sh -c "mkdir -p \$(dirname $1); umask ${2:-022}; cat > $1"; }
record() { "$recorder" --record "$lab exec mx1" "$here/$1.rec"; echo "$1.rec"; }

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
"$lab" up mx1 > /dev/null
"$lab" reset mx1 > /dev/null

# keys on the host, certificates here, as the wizard leaves them
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.pem" \
	-subj "/CN=Test CA" -days 7300 2> /dev/null
for name in smtp submission; do
	openssl ecparam -genkey -name prime256v1 -noout -out "$work/$name.key"
	openssl req -new -key "$work/$name.key" -subj "/CN=mx1.lab.test" -out "$work/$name.csr"
	openssl x509 -req -in "$work/$name.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 7200 \
		-extfile <(echo subjectAltName=DNS:mx1.lab.test) -out "$name.pem" 2> /dev/null
	put "/var/lib/mxseal/keys/$name.key" 077 < "$work/$name.key"
done
record debian

# a push by hand: one generation in force
{ cat "$work/smtp.key" smtp.pem; } | put /etc/mxseal/1/chain-smtp.pem 077
put /etc/mxseal/1/tls_policy <<-END
	# Written by mxseal: TLS by next hop (smtp_tls_policy_maps). The next push replaces this file;
	# edit the connectors instead. "mxseal undo" puts the former state back.
	.bank.test secure match=bank.test
	bank.test secure match=bank.test
END
on cp /etc/postfix/main.cf /root/main.cf
on sed -i 's/^smtpd_tls_security_level.*/smtpd_tls_security_level = may/' /etc/postfix/main.cf
on tee -a /etc/postfix/main.cf > /dev/null <<-END
	# Written by mxseal; "mxseal undo" puts the former state back.
	smtpd_tls_protocols = >=TLSv1.2
	smtpd_tls_mandatory_protocols = >=TLSv1.2
	smtpd_tls_loglevel = 1
	smtp_tls_loglevel = 1
	smtpd_tls_chain_files = /etc/mxseal/1/chain-smtp.pem
	smtp_tls_policy_maps = texthash:/etc/mxseal/1/tls_policy
END
record ours
on cp /root/main.cf /etc/postfix/main.cf

# many services, an administrator's own maps, a smart host, a misspelt name
on sed -i 's/^relayhost.*/relayhost = [relay.lab.test]:587/; s/^smtpd_tls_security_level.*/smtpd_tls_security_level = may/' \
	/etc/postfix/main.cf
on tee -a /etc/postfix/main.cf > /dev/null <<-END
	transport_maps = hash:/etc/postfix/transport
	smtp_tls_policy_maps = hash:/etc/postfix/tls_policy,
	# the old partner
	   hash:/etc/postfix/tls_policy.old
	smtp_tls_securty_level = may
	smtpd_tls_auth_only = yes
	delay_warning_time = 4
END
on tee -a /etc/postfix/master.cf > /dev/null <<-END
	# site services
	submission inet n       -       y       -       -       smtpd
	  -o syslog_name=postfix/submission
	# TLS is a must here
	  -o smtpd_tls_security_level=encrypt
	  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }
	  -o smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
	  -o smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
	smtps     inet  n       -       y       -       -       smtpd
	  -o syslog_name=postfix/smtps -o smtpd_tls_wrappermode=yes
	  -o smtpd_tls_mandatory_protocols=!SSLv2,!SSLv3,!TLSv1,!TLSv1.1
	127.0.0.1:10025 inet n  -       y       -       -       smtpd
	  -o smtpd_tls_security_level=none
	  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
	slow      unix  -       -       y       -       -       smtp
	  -o smtp_tls_security_level=none
END
put /etc/postfix/transport <<-END
	# routes
	partner.test smtp:[10.9.9.9]
	.partner.test
	   smtp:[10.9.9.9]
	Direct.test smtp:
	keep.test :
END
echo "partner.test encrypt" | put /etc/postfix/tls_policy
echo "old.test none" | put /etc/postfix/tls_policy.old
on postmap /etc/postfix/transport /etc/postfix/tls_policy /etc/postfix/tls_policy.old
on rm -r /etc/mxseal
record services

# everything wrong with certificates, and Postfix 2.2's way to say it
on cp /root/main.cf /etc/postfix/main.cf
on sed -i 's/^smtpd_tls_security_level.*/smtpd_use_tls = yes/; s/^smtp_tls_security_level.*/smtp_enforce_tls = yes/;
	s,^smtpd_tls_key_file.*,smtpd_tls_key_file=/etc/ssl/other.key,; s/^inet_interfaces.*/inet_interfaces = loopback-only/' \
	/etc/postfix/main.cf
put /etc/ssl/other.key < "$work/smtp.key"
on tee -a /etc/postfix/master.cf > /dev/null <<-END
	[::1]:2525 inet n       -       y       -       -       smtpd -o smtpd_tls_chain_files=/etc/ssl/nothing.pem
	10026     inet n        -       y       -       -       smtpd -o smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
	  -o smtpd_tls_security_level=encrypt -o smtpd_tls_protocols=TLSv1.3
END
record broken
"$lab" reset mx1 > /dev/null
