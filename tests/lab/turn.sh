#!/bin/bash
# turn.sh - runs a test when the lab is free; two tests never have the same lab.
#   turn.sh 1|2|3 COMMAND...    at the first lab (LAB_ID), or at the second or third one (LAB_SECOND, LAB_THIRD), where there is one
case $1 in
2) export LAB_ID=${LAB_SECOND:-${LAB_ID:-mxseal}} ;;
3) export LAB_ID=${LAB_THIRD:-${LAB_ID:-mxseal}} ;;
esac
shift
[ -n "${MXSEAL_LAB:-}" ] || exec "$@"      # there is none to wait for
exec flock -o "${TMPDIR:-/tmp}/mxseal-lab-$(id -u)-${LAB_ID:-mxseal}.turn" "$@"
