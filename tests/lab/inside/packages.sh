#!/bin/bash
# In the chroot of a role's layer: packages.sh ROLE PACKAGE...
set -euo pipefail
role=$1
shift
echo "$role.lab.test" > /etc/mailname
debconf-set-selections <<D
postfix postfix/main_mailer_type select Internet Site
postfix postfix/mailname string $role.lab.test
D
apt-get -y install "$@"
apt-get clean
