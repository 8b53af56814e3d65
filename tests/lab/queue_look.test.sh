#!/bin/bash
# A look at a queue that only asks for what has changed says the same as a full listing, after each of several busy hours: new
# mail, retries, hold, release, requeue, deletion, flush; also with long queue ids in folders two deep. ROUNDS: more of them.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/test.sh"

known_host mx1
look=${MXSEAL_BUILD:-build/run}/tests/look_at_queue
[ -x "$look" ] || { echo "skipped: $look is not built"; exit 77; }
seed=${SEED:-$(date +%s)}
echo "seed $seed"
"$lab" exec mx1 postconf -e smtp_tls_security_level=encrypt minimal_backoff_time=2h maximal_backoff_time=3h \
	smtp_connect_timeout=3s smtp_helo_timeout=3s || fail "Postfix does not take it"

rounds() { # N
	local k said
	coproc LOOK { "$lab" ctl "$look" mx1 2>&1; }
	for ((k = 0; k < $1; k++)); do
		LAB=$lab bash "$(dirname "$(readlink -f "$0")")/lib/turmoil.sh" mx1 $((seed + k)) > "$work/turmoil" 2>&1 || { tail -n 5 "$work/turmoil"; fail "no turmoil"; }
		echo equal >&"${LOOK[1]}"
		said=
		while read -r -t 60 -u "${LOOK[0]}" said; do
			case $said in equal | differs | failed*) break ;; esac
			echo "  | $said"
		done
		prove "round $((k + 1)): equal by destination, reason, sender and server" [ "$said" = equal ]
	done
	kill "$LOOK_PID"
	wait "$LOOK_PID" 2> /dev/null || true          # ended by us
}

chapter "as installed"
"$lab" exec mx1 postfix reload > /dev/null 2>&1
rounds "${ROUNDS:-4}"

chapter "long queue ids, folders two deep"
"$lab" exec mx1 sh -c 'postconf -e enable_long_queue_ids=yes hash_queue_depth=2 && postfix stop; postsuper; postfix start' > /dev/null 2>&1
seed=$((seed + 1000))
rounds "${ROUNDS:-3}"
