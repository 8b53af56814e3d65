#!/bin/bash
# Proves that shellcheck has nothing to say about any shell script, and no warning about a test: read as POSIX where it begins with #!/bin/sh, as bash
# where it does so or is sourced by bash (then it says so in a directive).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
command -v shellcheck > /dev/null || { echo "skipped: shellcheck is not installed"; exit 77; }

mapfile -t files < <(git ls-files -co --exclude-standard | while read -r file; do
	[ -f "$file" ] || continue
	case $file in
	*.sh) echo "$file" ;;
	*) head -n 1 "$file" 2> /dev/null | tr -d '\0' | grep -Eq '^#!.*\b(ba)?sh\b' && echo "$file" ;;
	esac
done)
[ "${#files[@]}" -gt 0 ] || { echo "no scripts found"; exit 1; }
failed=0
for file in "${files[@]}"; do
	dialect=bash
	! head -n 1 "$file" | grep -Eq '^#!.*[/ ](da)?sh\b' || dialect="sh"
	case $file in core/*) dialect="sh" ;; esac   # text that runs on mail hosts
	severity=style
	case $file in tests/*.test.sh) severity=warning ;; esac
	shellcheck -x -P SCRIPTDIR -S "$severity" -s "$dialect" "$file" || failed=1
done
echo "${#files[@]} scripts read"
exit $failed
