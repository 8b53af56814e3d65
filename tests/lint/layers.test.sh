#!/bin/bash
# Proves that includes point one way: tui -> journey, sheets -> db, push, mailsys, ... -> host, job -> base; that every
# library has one home; and that core/mailsys opens nothing.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

# What a folder is, and how high it stands; a header of include/mxseal belongs to the folder of its name, or to the one given
# here. A file may include what stands as high as itself or lower.
heights='
tui 5
core/journey 4
core/sheets 4
db 3
core/push 3
core/mailsys 3
core/queue 3
core/probe 3
core/certificate 3
core/authority 3
core/maillog 3
core/setting 3
core/job 2
core/host 2
core/base 1'
faces='
acme core/authority
clean core/base
connector core/setting
err core/base
failure core/queue
fleet core/journey
places core/journey
remedies core/journey
retire core/queue
log core/base
model core/base
plan core/push
secret core/base
sheet core/sheets
store db
str core/base
stream core/base
way core/base
when core/base
x509 core/certificate
xalloc core/base'
# An arrow that points up, and why it may.
exceptions='
core/host mxseal/certificate.h known_hosts needs digests, and certificate is the one face of OpenSSL'
# Libraries: the start of a header name, and who may include it.
homes='
ncurses tui/console/
curses tui/console/
term.h tui/console/
sqlite3 db/
libssh2 core/host/ssh.h
openssl/ core/certificate/ core/authority/ core/probe/ include/mxseal/x509.h
mxseal/x509.h core/certificate/ core/authority/ core/probe/
pthread core/job/
threads.h core/job/
semaphore.h core/job/
unbound core/probe/
idn2 core/certificate/
curl/ core/authority/ core/probe/'
opens='fcntl.h unistd.h netdb.h poll.h sys/socket.h sys/stat.h sys/wait.h dirent.h'

# shellcheck disable=SC2016 # the program is awk's
found=$(git ls-files -co --exclude-standard 'core/*.[ch]' 'db/*.[ch]' 'tui/*.[ch]' 'include/*.h' |
	HEIGHTS=$heights FACES=$faces EXCEPTIONS=$exceptions HOMES=$homes OPENS=$opens xargs awk '
	function lines(text, into,   n, i, rows) { # "KEY REST" per line
		n = split(text, rows, "\n")
		for (i = 1; i <= n; i++)
			if (match(rows[i], / /))
				into[substr(rows[i], 1, RSTART - 1)] = substr(rows[i], RSTART + 1)
	}
	function folder(path) { # of a source file, or of a face
		if (path ~ /^tui\//) return "tui"
		if (path ~ /^db\//) return "db"
		if (path ~ /^core\//) { sub(/^core\//, "", path); return "core/" substr(path, 1, index(path, "/") - 1) }
		sub(/^include\//, "", path); sub(/^mxseal\//, "", path); sub(/\.h$/, "", path)
		return path in face ? face[path] : "core/" path
	}
	function complain(why) { print FILENAME ":" FNR ": includes " name ": " why }
	function allowed_home(homes,   list, n, i) {
		n = split(homes, list, " ")
		for (i = 1; i <= n; i++)
			if (index(FILENAME, list[i]) == 1) return 1
		return 0
	}
	BEGIN {
		lines(ENVIRON["HEIGHTS"], height); lines(ENVIRON["FACES"], face); lines(ENVIRON["HOMES"], home)
		n = split(ENVIRON["OPENS"], list, " ")
		for (i = 1; i <= n; i++) opening[list[i]]
		n = split(ENVIRON["EXCEPTIONS"], list, "\n")
		for (i = 1; i <= n; i++) if (split(list[i], word, " ") > 2) exception[word[1] " " word[2]]
	}
	FNR == 1 && !(folder(FILENAME) in height) { print FILENAME ": its folder has no height in tests/lint/layers.test.sh" }
	/^[ \t]*#[ \t]*include/ {
		name = $0
		gsub(/^[^"<]*["<]|[">].*$/, "", name)
		here = folder(FILENAME)
		for (library in home)
			if (index(name, library) == 1 && !allowed_home(home[library])) complain("its home is " home[library])
		if (here == "core/mailsys" && name in opening) complain("core/mailsys opens nothing")
		if (name ~ /^\.\.\//) complain("a way around the faces")
		if (name ~ /^(mxseal|tui|core|db)\//) {
			there = folder(name)
			if (!(there in height)) complain("that face belongs to no folder known to tests/lint/layers.test.sh")
			else if (height[there] > height[here] && !((here " " name) in exception)) complain(here " stands below " there)
		}
	}')
[ -z "$found" ] && exit 0
echo "$found"
exit 1
