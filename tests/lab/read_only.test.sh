#!/bin/bash
# Reading a host changes nothing on it: no file or directory of the whole root file system is made, changed or removed, no process
# is left; a plan, a status and a look at the queue neither.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

# Everything with owner, mode, size and time of change (names that come and go change their directory). Left out is what logins
# and the running Postfix write by themselves.
tree() {
	"$lab" exec mx1 find / -xdev \( -path /var/log -o -path /var/lib/postfix -o -path "/var/spool/postfix/*" -not -path "/var/spool/postfix/etc*" \
		-o -path /proc -o -path /sys -o -path /run -o -path /dev \) -prune -o -printf "%p %y %U %G %m %s %C@\n" | sort
	"$lab" exec mx1 sh -c 'find /run /dev/shm | grep -i mxseal'
}
chapter "reading and planning"
known_host mx1
"$lab" ssh mx1 true # what a login writes once
before=$(tree)
prove "the whole file system is looked at" [ "$(wc -l <<< "$before")" -gt 10000 ]
quiet server read mx1
quiet plan mx1
quiet status mx1
quiet queue mx1
mx cert served mx1 > /dev/null 2>&1 # it serves none
same_tree() { diff <(echo "$before") <(tree); }
prove "not a file or directory was made, changed or removed" same_tree
no_process() { ! "$lab" exec mx1 sh -c 'ps -eo args | grep -i "[m]xseal"'; }
prove "no process of ours is left when the command has ended" until_true 5 no_process
