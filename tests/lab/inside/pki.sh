#!/bin/bash
# In a chroot of the base: the lab's CA and a certificate for each row of dest.tsv that wants one. Into /mnt/pki.
set -euo pipefail
umask 022
cd /mnt/pki

new_ca() { # FILE NAME
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 3650 -subj "/O=Mail lab/CN=$2" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
	mkdir -p "$1.db"
	: > "$1.db/index.txt"
	echo 1000 > "$1.db/serial"
	cat > "$1.cnf" <<-C
	[ca]
	default_ca = this
	[this]
	dir = /mnt/pki/$1.db
	database = \$dir/index.txt
	new_certs_dir = \$dir
	serial = \$dir/serial
	certificate = /mnt/pki/$1.pem
	private_key = /mnt/pki/$1.key
	default_md = sha256
	policy = any
	unique_subject = no
	copy_extensions = copy
	[any]
	commonName = supplied
	C
}

issue() { # FILE NAME[,NAME...] FROM TO
	openssl req -new -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=${2%%,*}" \
		-addext "subjectAltName=DNS:${2//,/,DNS:}"
	openssl ca -batch -notext -config ca.cnf -in "$1.csr" -out "$1.pem" \
		-startdate "$(date -u -d "$3" +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "$4" +%Y%m%d%H%M%SZ)"
	rm -f "$1.csr"
}

self_signed() { # FILE NAME
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 800 -subj "/CN=$2" \
		-addext "subjectAltName=DNS:$2"
}

new_ca ca "Lab Root CA"
while IFS=$'\t' read -r domain _ _ kind _; do
	case $domain in '#'* | '') continue ;; esac
	case $kind in
	-) ;;
	good) issue "$kind.$domain" "mx.$domain,$domain" yesterday '+800 days' ;;
	expired) issue "$kind.$domain" "mx.$domain" '-500 days' '-40 days' ;;
	wrongname) issue "$kind.$domain" www.elsewhere.test yesterday '+800 days' ;;
	policy) issue "$kind.$domain" mta-sts.mtasts.test,mta-sts.mtastsbad.test,mta-sts.mtaststest.test,mta-sts.mtastsmx.test yesterday '+800 days' ;;
	selfsigned | dane | danebad) self_signed "$kind.$domain" "mx.$domain" ;;
	*) echo "dest.tsv: no such kind of certificate: $kind"; exit 1 ;;
	esac
done < /mnt/tables/dest.tsv

# TLSA 3 1 1 (RFC 7672) of the certificate that the signed zones promise
openssl x509 -in dane.dane.test.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r |
	cut -d' ' -f1 > dane.tlsa
chmod 644 ./*.pem
chmod 600 ./*.key
