#!/bin/bash
# Proves that the demonstration (`./run demo --headless`) proves all it claims.
# shellcheck source=tests/lab/test.sh
. "$(dirname "$(readlink -f "$0")")/../lab/test.sh"
for host in mx1 dest; do
	"$lab" reset "$host" > /dev/null 2>&1 || fail "the lab cannot reset $host"
done
bash "$(dirname "$(readlink -f "$0")")/demo.sh"
