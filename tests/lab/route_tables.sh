#!/bin/sh
# What route.test.sh sets up on a Postfix host, as root there: tables of every kind that this Debian has, a relayhost, senders
# with a way of their own, a second client. $1: the fingerprint of selfsigned.test. tests/golden/postfix/way.rec is a recording
# of it.
set -e
cd /etc/postfix
cat > transport <<X
good.test smtp:
.good.test smtp:
notls.test smtp:
.notls.test :[mx.notls.test]
expired.test smtp:
wrongname.test smtp:
selfsigned.test smtp:
tls454.test smtp:
tlsclose.test smtp:
tlsgarbage.test smtp:
reqtls.test smtp:
nosuch.invalid smtp:
nullmx.test smtp:
refused.test smtp:
busy.test smtp:
dane.test smtp:
danebad.test smtp:
danenotls.test smtp:
danesf.test smtp:
mx.mtasts.test smtp:
gate.test smtp:[mx.good.test]:25
special@gate.test smtp:[mx.notls.test]
bank.test smtp:[mx.notls.test]:25
strict.test strict:[mx.good.test]
two.test smtp:[mx.refused.test], [mx.reqtls.test]
X
printf "/^list-.*@/ smtp:[mx.notls.test]\n" > transport.re
cat > policy <<X
good.test encrypt
.good.test verify match=hostname
expired.test encrypt
wrongname.test secure
selfsigned.test verify
tls454.test encrypt
[mx.good.test] encrypt
bank.test encrypt
gate.test secure
dane.test dane
danebad.test dane
danenotls.test dane-only
danesf.test dane
mx.mtasts.test dane
X
printf 'good.test none\nnotls.test encrypt\n[mx.selfsigned.test] fingerprint match=%s\n[mx.reqtls.test] encrypt\n' "$1" > policy.text
printf "@sales.lab.test [mx.notls.test]\nboss@lab.test [mx.selfsigned.test]\n<> [mx.expired.test]\n" > by_sender
printf "vip@lab.test strict:\n" > transport_by_sender
printf "team@alias.test one@good.test, two@notls.test\nchain@alias.test link@alias.test\nlink@alias.test end@expired.test\n" > virtual
printf "old@good.test new@notls.test\n" > canonical
printf "relay.test yes\n" > relay_domains
postmap hash:transport hash:policy btree:virtual hash:canonical hash:relay_domains
postconf -e smtp_tls_security_level=may smtp_tls_loglevel=1 smtp_tls_fingerprint_digest=sha256 smtp_dns_support_level=dnssec "relayhost=[mx.good.test]" \
	"transport_maps=hash:/etc/postfix/transport inline:{ {pix.test=:[mx.pix.test]}, {gone.test=error:5.7.1 no more mail}, {later.test=retry:4.3.0 later}, {hole.test=discard:} } regexp:/etc/postfix/transport.re" \
	"smtp_tls_policy_maps=hash:/etc/postfix/policy, texthash:/etc/postfix/policy.text inline:{tlsclose.test=encrypt, tlsgarbage.test=encrypt}" \
	sender_dependent_relayhost_maps=texthash:/etc/postfix/by_sender \
	sender_dependent_default_transport_maps=texthash:/etc/postfix/transport_by_sender \
	virtual_alias_domains=alias.test virtual_alias_maps=btree:/etc/postfix/virtual canonical_maps=hash:/etc/postfix/canonical \
	relay_domains=hash:/etc/postfix/relay_domains "relay_transport=relay:[mx.good.test]" \
	virtual_mailbox_domains=box.test "virtual_transport=smtp:[mx.good.test]"
printf "strict unix - - y - - smtp -o syslog_name=postfix/strict -o smtp_tls_policy_maps= -o smtp_tls_security_level=verify\n" >> master.cf
postfix reload
