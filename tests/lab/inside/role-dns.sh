# shellcheck shell=bash
# The lab's DNS: a root, test. and the zones below it, served by knot at .54, most of them unsigned, some signed, some broken
# on purpose; unbound at .53 resolves and validates from our own root.
zones=/etc/knot/zones
signed="lab.test dane.test danebad.test danenotls.test danesf.test danenone.test danemix.test danealien.test bogus.test"
ns=$LAB_NET.54
IFS=. read -r net1 net2 net3 <<< "$LAB_NET"
reverse=$net3.$net2.$net1.in-addr.arpa
rows() { grep -v -e '^#' -e '^$' "/mnt/tables/$1.tsv"; }
is_signed() { [[ " $signed " == *" $1 "* ]]; }

soa() {
	# shellcheck disable=SC2016 # $TTL is the zone file's
	printf '$TTL 60\n@ IN SOA ns.lab.test. hostmaster.lab.test. %s 3600 600 86400 5\n@ IN NS ns.lab.test.\n' "$(date +%s)"
}
zone() { # NAME, its records on standard input
	{
		soa
		cat
	} > "$zones/$1.zone"
}

# --- destinations
destination_records() { # DOMAIN
	echo '@ IN MX 10 mx'
	rows dest | awk -F'\t' -v domain="$1" '$1 == domain { print "mx IN", ($2 ~ /:/ ? "AAAA" : "A"), $2 }'
	case $1 in
	dane.test | danebad.test | danenotls.test) printf '_25._tcp.mx IN TLSA 3 1 1 %s\n' "$(cat /mnt/pki/dane.tlsa)" ;;
	danesf.test) printf '_tcp.mx IN NS ns.lab.test.\n_tcp.mx IN DS 12345 13 2 %064d\n' 2 ;;
	mtasts*.test)
		printf '_mta-sts IN TXT "v=STSv1; id=20260101T000000"\nmta-sts IN A %s.140\n' "$LAB_NET"
		printf '_smtp._tls IN TXT "v=TLSRPTv1; rua=mailto:tlsrpt@lab.test"\n'
		;;
	esac
}
# domains of many messages, for `lab bigqueue`: every cause of trouble in turn
big_queue_records() {
	local causes=(notls tlsclose tlsgarbage tls454 refused grey noroute tempfail full busy bogus expired) i
	for i in $(seq 0 199); do
		printf 'd%03d IN MX 10 mx.%s.test.\n' "$i" "${causes[i % ${#causes[@]}]}"
	done
}
mkdir -p "$zones" /var/lib/knot/keys
while read -r domain; do
	destination_records "$domain" | zone "$domain"
done < <(rows dest | cut -f1 | sort -u)
address_of() { rows dest | awk -F'\t' -v name="$1" '$1 == name { print $2 }'; }
good=$(address_of good.test)
printf '_25 IN TLSA 3 1 1 %064d\n' 1 | zone _tcp.mx.danesf.test # unsigned below a DS: its TLSA lookup fails
printf '@ IN MX 10 mx.notls.test.\n@ IN MX 20 mx.good.test.\n' | zone multi.test
printf '@ IN MX 10 mx.notls.test.\n@ IN MX 20 mx.good.test.\n@ IN MX 30 mx.relay.test.\n' | zone three.test
printf '@ IN MX 10 mx.tlsclose.test.\n@ IN MX 20 mx.notls.test.\n' | zone multibad.test
# signed, but without TLSA records; the first of two with records of another key; with records of a kind that SMTP does not use
printf '@ IN MX 10 mx\nmx IN A %s\n' "$good" | zone danenone.test
printf '@ IN MX 10 mx.danebad.test.\n@ IN MX 20 mx.dane.test.\n' | zone danemix.test
printf '@ IN MX 10 mx\nmx IN A %s\n_25._tcp.mx IN TLSA 0 0 1 %064d\n' "$(address_of selfsigned.test)" 1 | zone danealien.test
printf '@ IN MX 0 .\n' | zone nullmx.test
seq 20 | sed 's/.*/@ IN MX & mx&.manymx.test.\nmx& IN CNAME mx.blackhole.test./' | zone manymx.test
printf '@ IN A %s\n' "$good" | zone nomx.test
printf '@ IN MX 10 mx.does-not-exist.test.\n' | zone mxnx.test
big_queue_records | zone q.test

# --- the lab itself, and addresses back to names
{
	printf '@ IN MX 10 mx1\n@ IN MX 20 mx2\nns IN A %s\nctl IN A %s.2\n' "$ns" "$LAB_NET"
	rows hosts | awk -F'\t' '{ print $1 " IN A " $2; if ($4 != "service") print $1 " IN MX 10 " $1 }'
} | zone lab.test
{
	printf '2 IN PTR ctl.lab.test.\n54 IN PTR ns.lab.test.\n'
	rows hosts | awk -F'\t' '{ sub(/.*\./, "", $2); print $2 " IN PTR " $1 ".lab.test." }'
	rows dest | awk -F'\t' '$2 !~ /:/ { sub(/.*\./, "", $2); print $2 " IN PTR mx." $1 "." }'
} | zone "$reverse"

# --- knot: its configuration, then keys, because the parents need the DS records of the children
children=()
for file in "$zones"/*.zone; do
	file=${file##*/}
	children+=("${file%.zone}")
done
knot_zone() { # NAME FILE
	printf '  - domain: %s\n    file: %s\n' "$1" "$2"
	case $1 in
	. | test) printf '    dnssec-signing: on\n    dnssec-policy: lab\n' ;;
	*) ! is_signed "$1" || printf '    dnssec-signing: on\n    dnssec-policy: lab\n' ;;
	esac
}
{
	cat <<-K
	server:
	  listen: $ns@53
	  rundir: /run/knot
	  user: knot:knot
	log:
	  - target: stderr
	    any: info
	database:
	  storage: /var/lib/knot
	acl:
	  - id: labnet
	    address: $LAB_NET.0/24
	    action: [update, transfer]
	policy:
	  - id: lab
	    single-type-signing: on
	    algorithm: ecdsap256sha256
	    ksk-lifetime: 0
	    nsec3: off
	    rrsig-lifetime: 3650d
	    rrsig-refresh: 30d
	    cds-cdnskey-publish: none
	template:
	  - id: default
	    storage: $zones
	    acl: labnet
	    zonefile-sync: -1
	    zonefile-load: difference-no-serial
	    journal-content: all
	zone:
	K
	for name in "${children[@]}" test; do
		knot_zone "$name" "$name.zone"
	done
	knot_zone . root.zone
} > /etc/knot/knot.conf
chown -R knot:knot /etc/knot /var/lib/knot
chmod 770 /var/lib/knot/keys
for name in . test $signed; do
	keymgr -c /etc/knot/knot.conf "$name" generate algorithm=ecdsap256sha256 ksk=yes zsk=yes > /dev/null
done
ds() { # NAME: its DS record with SHA-256
	keymgr -c /etc/knot/knot.conf "$1" ds |
		awk '{ for (i = 1; i <= NF; i++) if ($i == "DS" && $(i + 3) == 2) print $1, "IN", substr($0, index($0, "DS ")) }'
}
{
	printf 'ns.lab.test. IN A %s\n' "$ns"
	for name in "${children[@]}"; do
		case $name in
		*.*.test | *.arpa) continue ;;
		esac
		printf '%s. IN NS ns.lab.test.\n' "$name"
		case $name in
		bogus.test) printf 'bogus.test. IN DS 12345 13 2 %064d\n' 1 ;;
		*) ! is_signed "$name" || ds "$name." ;;
		esac
	done
} | zone test
{
	printf 'test. IN NS ns.lab.test.\n%s. IN NS ns.lab.test.\nns.lab.test. IN A %s\n' "$reverse" "$ns"
	ds test.
} | zone root
chown -R knot:knot /etc/knot /var/lib/knot

# --- unbound
ds . > /etc/unbound/lab-root.key
printf '. 3600000 NS ns.lab.test.\nns.lab.test. 3600000 A %s\n' "$ns" > /etc/unbound/lab-root.hints
cat > /etc/unbound/lab.conf <<-U
	server:
	  interface: $LAB_NET.53
	  interface: 127.0.0.1
	  access-control: $LAB_NET.0/24 allow
	  do-ip6: no
	  do-daemonize: no
	  chroot: ""
	  use-syslog: no
	  pidfile: /run/unbound.pid
	  root-hints: /etc/unbound/lab-root.hints
	  trust-anchor-file: /etc/unbound/lab-root.key
	  local-zone: "test." nodefault
	  local-zone: "$reverse." nodefault
	  val-log-level: 2
	  cache-max-ttl: 60
	  cache-max-negative-ttl: 5
	  infra-host-ttl: 5
	  infra-keep-probing: yes
	  harden-referral-path: no
	  qname-minimisation: no
	  module-config: "validator iterator"
	  num-threads: 1
	include: "/run/unbound-*.conf"
	U
