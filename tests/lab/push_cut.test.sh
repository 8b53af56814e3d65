#!/bin/bash
# The connection pulled at every step of a real push: the host ends with exactly the old or exactly the new files, by itself or
# at the next connection, and its mail service works. Half of the cuts end the program here, half end the shell there.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

chapter "a host and something to push"
known_host mx1
own_ca_certificate mx1
quiet vs set mx1 inbound.tls=offer
everything() { # configuration, and what lies beside it
	configuration mx1
	"$lab" exec mx1 find /etc/postfix -name '*mxseal*'
}
old=$(everything)
greets() { "$lab" ctl timeout 5 bash -c 'exec 3<> /dev/tcp/mx1.lab.test/25; head -1 <&3' | grep -q '^220 '; }
settled() { [ "$(json .state status mx1)" = idle ]; }
old_and_at_work() { is "$(everything)" "$old" && greets && no_starttls mx1; }
new_and_at_work() { "$lab" exec mx1 grep -q '^smtpd_tls_chain_files = /etc/mxseal/' /etc/postfix/main.cf && greets && offers_starttls mx1; }

# push_until STEP STATE WHO: pushes, and pulls the connection as soon as the step is in that state; here: our program is killed,
# there: the shell on the host that holds the lock
push_until() {
	local line pid
	mkfifo "$work/progress"
	"$lab" ctl "$program" --json --no-input --passphrase-fd 9 push mx1 --yes --confirm-within 8 9< "$work/passphrase" \
		> "$work/progress" 2> /dev/null &
	pid=$!
	exec 5< "$work/progress"
	while IFS= read -r line <&5; do
		[ "$(jq -r '"\(.step) \(.ok)"' <<< "$line" 2> /dev/null)" = "$1 $2" ] || continue
		if [ "$3" = here ]; then
			kill -9 "$pid"
		else
			# shellcheck disable=SC2016 # expanded in the host
			"$lab" exec mx1 sh -c 'read -r p _ < /var/lib/mxseal/lock.owner; kill -9 "$p"'
		fi
		break
	done
	cat <&5 > /dev/null
	exec 5<&-
	wait "$pid"
	rm -f "$work/progress"
}

n=0
for at in lock base save upload check arm switch reload probe keep; do
	n=$((n + 1))
	who=here
	[ $((n % 2)) = 1 ] || who=there
	chapter "cut after \"$at\", $who"
	push_until "$at" true "$who" 2> /dev/null
	prove "the host comes to rest" until_true 60 settled
	if [ "$(json .generation status mx1)" = 0 ]; then
		prove "with exactly the old files and the old service" until_true 15 old_and_at_work
	else
		# "keep" follows the proof at once, and may have been on its way
		[ "$at" = probe ] || [ "$at" = keep ] || fail "a push was kept that nobody kept"
		prove "with exactly the new files and the new service" new_and_at_work
		quiet undo mx1
		prove "and undo brings exactly the old ones" old_and_at_work
	fi
done
"$lab" reset mx1 > /dev/null 2>&1
