# shellcheck shell=bash
# Postfix as Debian installs it, with TLS off in both directions; Debian's snakeoil lines stay where Debian puts them.
# shellcheck disable=SC2154 # host.sh sets fqdn
postconf -e "myhostname = $fqdn" "mydestination = $fqdn, \$myhostname, lab.test, localhost.lab.test, localhost" \
	"mynetworks = 127.0.0.0/8 [::1]/128" "inet_interfaces = all" \
	"smtpd_tls_security_level = none" "smtp_tls_security_level = none"
printf 'mta:\tpostmaster\npostmaster:\troot\nroot:\tuser\n' > /etc/aliases
newaliases
