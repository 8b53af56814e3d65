#!/bin/bash
# In the chroot of a host's layer: host.sh NAME ROLE INIT. Names, people, ssh, the lab's CA; then what its role needs.
# /mnt/lab = tests/lab, /mnt/tables = hosts.tsv and dest.tsv with real addresses, /mnt/pki, /mnt/keys.
set -euo pipefail
name=$1 role=$2 init=$3
fqdn=$name.lab.test

hostname "$name" # of this namespace: some packages put it into what they make
echo "$name" > /etc/hostname
echo "$fqdn" > /etc/mailname
printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n' "$fqdn" "$name" > /etc/hosts
rm -f /etc/resolv.conf
printf 'search lab.test\nnameserver %s.53\n' "$LAB_NET" > /etc/resolv.conf
ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime
dbus-uuidgen > /etc/machine-id
ln -sf /etc/machine-id /var/lib/dbus/machine-id
rm -f /usr/sbin/policy-rc.d
# every host trusts the lab's CA as it would a public one
cp /mnt/pki/ca.pem /usr/local/share/ca-certificates/lab-root-ca.crt
update-ca-certificates > /dev/null 2>&1
mkdir -p /usr/local/lib/lab
case $init in
service) cp "/mnt/lab/inside/rc-$role" /usr/local/lib/lab/rc ;;
*) cp /mnt/lab/inside/rc-mini /usr/local/lib/lab/rc ;;
esac
sed -i "s/\bNET\./$LAB_NET./g" /usr/local/lib/lab/rc
chmod 755 /usr/local/lib/lab/rc

if [ "$init" != service ]; then
	ssh-keygen -A > /dev/null
	make-ssl-cert generate-default-snakeoil --force-overwrite
	# admin: sudo without password; oper: sudo asks for operpass; plain: no sudo; user and mallory: mailboxes
	for who in admin oper plain user mallory; do
		useradd -m -s /bin/bash "$who"
	done
	usermod -a -G adm admin
	usermod -a -G adm oper
	printf '%s\n' root:rootpass admin:adminpass oper:operpass plain:plainpass user:userpass | chpasswd
	printf 'admin ALL=(ALL:ALL) NOPASSWD: ALL\noper ALL=(ALL:ALL) ALL\n' > /etc/sudoers.d/lab
	chmod 440 /etc/sudoers.d/lab
	for who in root admin oper plain; do
		home=$(getent passwd "$who" | cut -d: -f6)
		mkdir -p "$home/.ssh"
		cat /mnt/keys/*.pub > "$home/.ssh/authorized_keys"
		chmod 700 "$home/.ssh"
		chmod 600 "$home/.ssh/authorized_keys"
		chown -R "$who:" "$home/.ssh"
	done
	printf '%s\n' 'PermitRootLogin prohibit-password' 'PasswordAuthentication yes' 'UseDNS no' 'MaxSessions 30' \
		'MaxStartups 50:30:100' > /etc/ssh/sshd_config.d/lab.conf
fi
# shellcheck source=/dev/null
. "/mnt/lab/inside/role-$role.sh"
