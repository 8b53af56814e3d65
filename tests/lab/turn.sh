#!/bin/bash
# turn.sh - runs a test when the lab is free; two tests never have the same lab.
#   turn.sh COMMAND...    at the lab that ctest has given it (labs.json): the first one (LAB_ID), the second or the third one
#                         (LAB_SECOND, LAB_THIRD), where there is one
case ${CTEST_RESOURCE_GROUP_0_LABS:-} in
id:2,*) export LAB_ID=${LAB_SECOND:-${LAB_ID:-mxseal}} ;;
id:3,*) export LAB_ID=${LAB_THIRD:-${LAB_ID:-mxseal}} ;;
esac
[ -n "${MXSEAL_LAB:-}" ] || exec "$@"      # there is none to wait for
exec flock -o "${TMPDIR:-/tmp}/mxseal-lab-$(id -u)-${LAB_ID:-mxseal}.turn" "$@"
