#!/bin/bash
# Reading a host changes nothing on it: no file below /etc, /var/lib/mxseal or the home of root, no process left; a plan neither.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

tree() { # files with content, owner, mode, time of change; what logins write themselves is left out
	"$lab" exec mx1 sh -c 'find /etc /root /var/lib/mxseal /usr/local /var/spool/postfix/etc -xdev -type f -printf "%p %U %G %m %s %T@\n" 2>/dev/null | sort'
	"$lab" exec mx1 sh -c 'ls -a /tmp /var/tmp /var/lib /run | grep -i mxseal'
}
chapter "reading and planning"
known_host mx1
before=$(tree)
quiet server read mx1
quiet plan mx1
quiet status mx1
quiet cert request mx1 --help
prove "no file was made or changed by reading, planning and asking for the status" is "$(tree)" "$before"
no_process() { ! "$lab" exec mx1 sh -c 'ps -eo args | grep -i "[m]xseal"'; }
prove "no process of ours is left when the command has ended" until_true 5 no_process
