#!/bin/bash
# bigqueue.sh HOST N | load | clear
# N: makes about N deferred messages over the 200 domains dNNN.q.test, each failing for a cause of its own, and keeps a copy.
# load: puts the kept copy into HOST's queue (seconds instead of minutes). clear: empties the queue.
set -euo pipefail
: "${LAB:?}" "${LAB_KEEP:?}"
host=${1:?host} what=${2:?a number, load or clear}
domains=200
spool=/var/spool/postfix

on() { "$LAB" exec "$host" "$@"; }
files_in() { on sh -c "cd $spool && find $* -type f | wc -l"; }
# The time of a deferred file is its next attempt: in 30 days, so that tests look at a queue that holds still.
freeze() { on sh -c "find $spool/deferred -type f -print0 | xargs -0 -r touch -d '+30 days'"; }

load() {
	[ -s "$LAB_KEEP" ] || { echo "nothing kept: run bigqueue $host 20000 first" >&2; exit 1; }
	on postfix stop > /dev/null 2>&1 || true
	on tar --warning=no-timestamp -C "$spool" -xzpf - < "$LAB_KEEP"
	freeze
	on postsuper -s -p > /dev/null 2>&1 || true # queue ids are inode numbers: they are renamed
	if on test -d /run/systemd/system; then on systemctl start postfix; else on /etc/init.d/postfix start > /dev/null; fi
	files_in deferred
}

settings=(smtp_tls_security_level=encrypt smtp_connect_timeout=10s anvil_rate_time_unit=60s
	smtpd_client_connection_count_limit=0 in_flow_delay=0 maximal_backoff_time=4000s minimal_backoff_time=4000s
	queue_run_delay=4000s)

make() { # N
	local per=$((($1 + domains - 1) / domains)) saved
	saved=$(mktemp)
	on cat /etc/postfix/main.cf > "$saved"
	on postsuper -d ALL > /dev/null 2>&1 || true
	on postconf -e "${settings[@]}"
	on postfix reload > /dev/null 2>&1
	# shellcheck disable=SC2016 # expanded in the host
	on bash -c 'for i in $(seq 0 $(($2 - 1))); do
		smtp-source -s 10 -l $((400 + (i * 37) % 4000)) -m "$1" -f "sender$((i % 17))@$(hostname -f)" \
			-t "user$((i % 7))@$(printf d%03d "$i").q.test" inet:127.0.0.1:25
	done' - "$per" "$domains"
	until [ "$(files_in active incoming maildrop)" = 0 ]; do
		echo "$(files_in deferred) deferred" >&2
		sleep 5
	done
	freeze
	# a few on hold: another queue_name in the listing
	on sh -c "find $spool/deferred -type f | sort | head -n 2000 | awk 'NR % 100 == 0' | sed 's|.*/||' | postsuper -h - 2> /dev/null"
	on sh -c 'cat > /etc/postfix/main.cf' < "$saved"
	rm -f "$saved"
	on postfix reload > /dev/null 2>&1
	on tar -C "$spool" -czpf - deferred defer hold > "$LAB_KEEP.new"
	mv "$LAB_KEEP.new" "$LAB_KEEP"
	files_in deferred hold
}

case $what in
load) load ;;
clear) on postsuper -d ALL ;;
*) make "$what" ;;
esac
