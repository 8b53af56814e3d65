#!/bin/bash
# turmoil.sh HOST SEED: changes HOST's queue as a busy day does: new mail (several recipients too, odd addresses), mail that is
# tried again, put on hold, released, requeued, deleted, and all of it flushed now and then. Ends when it holds still.
set -euo pipefail
: "${LAB:?}"
host=${1:?host} seed=${2:?seed}
# shellcheck disable=SC2016 # expanded in the host
"$LAB" exec "$host" bash -c '
	RANDOM=$1
	cd /var/spool/postfix
	some() { find "$1" -type f -printf "%f\n" 2> /dev/null | shuf -n "$2" --random-source=<(yes $RANDOM); }
	domains=(notls.test pix.test tempfail.test grey.test refused.test bogus.test nosuch.test busy.test)
	for n in 1 2 3 4 5 6; do
		to=()
		for k in $(seq $((RANDOM % 4 + 1))); do to+=("user$RANDOM@${domains[RANDOM % ${#domains[@]}]}"); done
		printf "Subject: turmoil\n\nHello %s.\n" "$RANDOM" | sendmail -f "s$((RANDOM % 5))@sender$((RANDOM % 3)).test" "${to[@]}"
	done
	printf "Subject: odd\n\n" | sendmail -f "" "\"a b\"@notls.test" "\"x@y\"@pix.test"
	printf "Subject: -t\nTo: <t@notls.test>, t2@grey.test\n\nrecipients from the header\n" | sendmail -t -f t@sender9.test
	case $((RANDOM % 5)) in
	0) some deferred 7 | postsuper -h - ;;
	1) some hold 5 | postsuper -H - ;;
	2) some deferred 6 | postsuper -d - ;;
	3) some deferred 5 | postsuper -r - ;;
	4) postqueue -f ;;
	esac 2> /dev/null
	for id in $(some deferred 6); do postqueue -i "$id"; done
	some deferred 3 | postsuper -d - 2> /dev/null
	# until the mail system has done what was asked
	sleep 1
	for n in $(seq 100); do
		[ "$(find active incoming maildrop -type f | wc -l)" = 0 ] && break
		sleep 0.3
	done
	sleep 0.5
' - "$seed"
