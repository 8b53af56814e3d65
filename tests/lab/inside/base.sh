#!/bin/bash
# In the chroot of the base: the machine's package sources, security updates, and what all lab systems have in common.
# /mnt/apt holds the machine's sources and download settings.
set -euo pipefail
# nothing starts while it is being installed
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/lab
rm -f /etc/apt/sources.list
cp /mnt/apt/lab.list /etc/apt/sources.list.d/
cp /mnt/apt/80machine /etc/apt/apt.conf.d/
printf 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n' > /etc/apt/apt.conf.d/90lab
apt-get update
apt-get -y dist-upgrade
# units that only make noise in a lab, or want hardware
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service systemd-modules-load.service \
	systemd-remount-fs.service systemd-sysctl.service sys-kernel-debug.mount sys-kernel-tracing.mount \
	sys-fs-fuse-connections.mount sys-kernel-config.mount dev-hugepages.mount console-getty.service \
	getty@tty1.service getty.target systemd-update-utmp.service; do
	ln -sf /dev/null "/etc/systemd/system/$unit"
done
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nSystemMaxUse=16M\nRuntimeMaxUse=16M\nRateLimitIntervalSec=0\n' > /etc/systemd/journald.conf.d/lab.conf
systemctl set-default multi-user.target > /dev/null
rm -f /etc/ssh/ssh_host_*
