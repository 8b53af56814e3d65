# shellcheck shell=bash
# An ACME authority: pebble, reached with a certificate of the lab's CA. It forgets everything when it is started anew.
mkdir -p /etc/pebble
openssl req -new -newkey rsa:2048 -nodes -keyout /etc/pebble/acme.key -out /tmp/acme.csr -subj "/CN=acme.lab.test"
printf 'subjectAltName=DNS:acme.lab.test\nextendedKeyUsage=serverAuth\n' > /tmp/acme.ext
openssl x509 -req -in /tmp/acme.csr -CA /mnt/pki/ca.pem -CAkey /mnt/pki/ca.key -set_serial 80 -days 800 -extfile /tmp/acme.ext \
	-out /etc/pebble/acme.pem
rm -f /tmp/acme.csr /tmp/acme.ext
cat > /etc/pebble/pebble.json <<-J
	{"pebble": {"listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000",
	 "certificate": "/etc/pebble/acme.pem", "privateKey": "/etc/pebble/acme.key", "httpPort": 80, "tlsPort": 443,
	 "externalAccountBindingRequired": false, "ocspResponderURL": "",
	 "externalAccountMACKeys": {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}}}
	J
