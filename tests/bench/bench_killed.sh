#!/bin/bash
# kill -9 of the console 1,000 times: the long form of tests/journeys/test_console_killed.c.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
program=${MXSEAL_PROGRAM:?the program to look at}
began=$SECONDS
MXSEAL_KILLS=${MXSEAL_KILLS:-1000} "$(dirname "$program")/tests/test_console_killed" 2> /dev/null | grep kills
echo "nothing that was acknowledged was lost, every store whole, in $((SECONDS - began)) s"
