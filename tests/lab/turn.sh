#!/bin/bash
# turn.sh - runs a test when the lab is free; two tests never have the same lab.
#   turn.sh 1|2 COMMAND...    at the first lab (LAB_ID), or at the second one (LAB_SECOND), where there is one
if [ "$1" = 2 ] && [ -n "${LAB_SECOND:-}" ]; then
	export LAB_ID=$LAB_SECOND
fi
shift
[ -n "${MXSEAL_LAB:-}" ] || exec "$@"      # there is none to wait for
exec flock -o "${TMPDIR:-/tmp}/mxseal-lab-$(id -u)-${LAB_ID:-mxseal}.turn" "$@"
