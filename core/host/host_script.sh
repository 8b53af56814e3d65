# mxseal's script for mail hosts: POSIX sh, run as root, never installed. It is checked with shellcheck and runs alike under
# dash, bash and busybox.
#
# How it gets there. The command that ssh starts is fixed text (BOOT below) with the number of bytes of this script; the
# script itself comes on standard input, is read whole, and is run only when its last line has arrived, so that a cut
# connection runs nothing. What follows on standard input are questions:
#
#     verb                         one word
#     N                            number of lines that follow
#     line ...                     arguments, one per line (the asker refuses control characters in them)
#     BYTES                        size of the blob that follows the line, 0 for none
#     blob
#
# and each is answered on standard output by any text, then a line "#= STATUS sentence". A verb that gives out data of the
# host writes it as sections: a line "#+ NAME STATUS BYTES", the bytes, a newline. End of input ends the script.
#
#     BOOT: env LC_ALL=C sh -c 'echo "#ready"; s=$(dd bs=$1 count=1 iflag=fullblock 2>/dev/null);
#         case $s in *"#mxseal end") eval "$s";; *) exit 97;; esac' mxseal BYTES
#
# (with dd bs=1 count=$1 where dd knows no fullblock: core/host/private.h has it whole).

# "A && B || return" is meant as it stands: C is to run when A or B fails.
# shellcheck disable=SC2015

export LC_ALL=C PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
umask 077

# A command and its whole output, both channels, as one section. Standard input is empty: it belongs to the asker.
section() {
	s_name=$1
	shift
	if s_out=$("$@" </dev/null 2>&1; s_rc=$?; echo "x$s_rc"); then :; fi
	s_rc=${s_out##*x}
	case $s_rc in
	'' | *[!0-9]*) s_rc=255 ;;               # the command killed even the shell that would have said its status
	*) s_out=${s_out%x*} ;;
	esac
	printf '#+ %s %s %s\n%s\n' "$s_name" "$s_rc" "${#s_out}" "$s_out"
}

# read: arguments are commands, each as: name, number of words, words.
verb_read() {
	while [ $# -ge 2 ]; do
		# shellcheck disable=SC2034  # r_name is used in the text given to eval
		r_name=$1 r_n=$2
		shift 2
		r_list='' r_i=1
		while [ "$r_i" -le "$r_n" ]; do
			r_list="$r_list \"\${$r_i}\""
			r_i=$((r_i + 1))
		done
		eval "section \"\$r_name\" $r_list"     # only positions stand in the text; the words stay data
		shift "$r_n" || return 1
	done
}

# stream: the words of one command; its standard output passes through untouched, then one newline of ours, then the answer
# with its status.
verb_stream() {
	"$@" </dev/null 2>/dev/null
	set -- $?
	echo
	return "$1"
}

# --- the push: a transaction on this host ---------------------------------------------------------------------------------
#
# State: /var/lib/mxseal (0700): lock, lock.owner, lock.seen, journal, keys/, and one directory N per generation:
#     conf, who, as            configuration directory; who pushed; which generation it makes be in force
#     f/I/                     one for each live file that is switched: kind (edit create remove restore), name (as asked),
#                              live (where it really is), mode, sum (of the old one), old, new
#     chain.*, reload, restart, watch*, wants, before, script, timer*, staged/, parked/
# What the mail system reads lies in /etc/mxseal/N/. Beside a live file there are, during a push only, .NAME.mxseal-N.new and
# .old, ready to be renamed, so that neither switch nor undo needs space.
#
# Only the journal decides. Its last line is one of
#     begun armed              nothing live is touched: recovery removes what is there           -> dropped
#     switching undoing        live files may be mixed: recovery puts all old ones back          -> undone
#     switched                 new files are live; the timer undoes them unless kept             -> kept or undone
#     kept undone dropped      nothing to do
# A line is "TIME N STATE ..."; armed, switched: deadline; kept: generation in force; begun: who; undone: what the listeners say.
#
# Answers: 10 not as it was, 11 locked, 12 a check failed, 13 no space, 14 no such thing, 15 a tool is missing, 16 wrong question,
# 17 undone already, 18 undone but not at work, 1 failed otherwise. Foreign output is given out behind "| ", so that no line of it looks like an answer.
#
# For tests: MXSEAL_ROOT goes in front of all paths; MXSEAL_FAULT names a point where the script kills itself.

root=${MXSEAL_ROOT-}
state=$root/var/lib/mxseal
etc=$root/etc/mxseal
gen='' dir='' locked='' why='' recovered='' timing='' spoiled='' limit=unknown ran_lines=60
keep_generations=10        # that somebody pushed; what was undone in between is kept with them, up to
keep_all=50
lease=300          # seconds without a question after which a lock may be taken away
watch_before=300   # seconds of mail log before the switch that what comes after it is held against
watch_every=3      # seconds between two looks while a push waits
http_port=80       # where ACME authorities look for a proof
watch_slack=5      # so many messages, or peers, may fail after a switch on a host where nothing failed before
nl='
'

fault() {
	[ "${MXSEAL_FAULT-}" != "$1" ] || kill -9 $$
}

refuse() {
	why=$2
	return "$1"
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# Runs a command or function; when it fails, says on what and why.
attempt() {
	a_what=$1
	shift
	a_err=$("$@" 2>&1 >/dev/null) && return 0
	a_err=$(printf '%s' "$a_err" | tail -n 1 | tr -c '[:print:]' ' ')
	case $a_err in
	*"No space left"* | *"isk quota"* | *"quota exceeded"*) refuse 13 "no space left on this host for $a_what" ;;
	*"Read-only file system"*) refuse 13 "the file system of $a_what is read-only" ;;
	*) refuse 1 "$a_what: ${a_err:-failed}" ;;
	esac
}

durable() {
	sync "$@" 2>/dev/null || sync
}

# The blob of this question, into a file. It is read to its end even when it cannot be written.
take_blob() {
	dd bs=1 count="$blob_bytes" 2>/dev/null | { cat >"$1" || { cat >/dev/null; false; }; }
}

# take_blob FILE SHA256 WHAT: and it must be what was sent.
blob() {
	attempt "$3" take_blob "$1"
	b_rc=$?
	blob_bytes=0
	[ $b_rc -eq 0 ] || return $b_rc
	[ "$(sum_of "$1")" = "$2" ] || refuse 1 "$3 did not arrive whole"
}

sum_of() {
	if [ -f "$1" ] && su_sum=$(sha256sum <"$1" 2>/dev/null); then
		echo "${su_sum%% *}"
	else
		echo -
	fi
}

same() {
	[ -f "$1" ] && [ -f "$2" ] && [ "$(sum_of "$1")" = "$(sum_of "$2")" ]
}

copy() {
	rm -f "$2"
	cp -p --preserve=all "$1" "$2" 2>/dev/null || { rm -f "$2"; cp -p "$1" "$2"; }
}

# say_in FILE TEXT. Text goes through cat, which names a full disk; echo of some shells does not.
say_in() {
	printf '%s\n' "$2" | cat >"$1"
}

# write FILE TEXT: a small file of ours, whole or not at all.
write() {
	say_in "$1.part" "$2" && durable "$1.part" && mv -f "$1.part" "$1"
}

first_line() {
	fl=
	[ ! -f "$1" ] || IFS= read -r fl <"$1"
	printf '%s\n' "$fl"
}

number() {
	case $1 in
	'' | 0* | *[!0-9]* | ???????????????*) refuse 16 "not a generation: $1" ;;
	esac
}

path_ok() {
	case $1 in
	*/../* | */.. | */./* | */) refuse 16 "not a plain path: $1" ;;
	/*) ;;
	*) refuse 16 "not a whole path: $1" ;;
	esac
}

need_lock() {
	[ -n "$locked" ] || refuse 16 "the lock is not held"
}

# ... and a generation begun in this conversation.
need_generation() {
	need_lock || return
	[ -n "$gen" ] && [ -d "$dir" ] || refuse 16 "no generation was begun"
}

# Runs a command of the mail system: no input, no lock, our file mode mask not inherited, at most so many seconds. What it
# says goes to ran_text. Its output is a file, as a daemon it starts may keep the channel open.
run_for() {
	r_secs=$1 r_file=$state/out.$$
	shift
	(true >"$r_file") 2>/dev/null || r_file=/dev/null
	if [ "$limit" = unknown ]; then
		limit=
		if timeout -k 1 5 true 2>/dev/null; then
			limit="timeout -k 5"
		elif timeout 5 true 2>/dev/null; then
			limit=timeout
		fi
	fi
	# shellcheck disable=SC2086  # $limit is words of ours
	(
		umask 022
		[ -z "$limit" ] || exec $limit "$r_secs" "$@"
		exec "$@"
	) </dev/null >"$r_file" 2>&1 9>&- 8>&-
	ran_rc=$?
	ran_text=
	if [ "$r_file" != /dev/null ]; then
		ran_text=$(tail -n "$ran_lines" "$r_file" | cut -c 1-500)
		rm -f "$r_file"
	fi
	[ $ran_rc -ne 124 ] || ran_text=${ran_text:+$ran_text$nl}"it did not end within $r_secs s"
	return $ran_rc
}

say_ran() {
	[ -z "$ran_text" ] || printf '%s\n' "$ran_text" | sed 's/^/| /'
}

# --- journal

# The journal is replaced as a whole, never added to in place: a cut leaves the old one or the new one.
journal_try() {
	{ [ ! -f "$state/journal" ] || cat "$state/journal"; } >"$state/journal.new" &&
		echo "$(date +%s) $*" | cat >>"$state/journal.new" &&
		durable "$state/journal.new" && mv -f "$state/journal.new" "$state/journal" && durable "$state"
}

# A full disk must not keep the journal from saying what was done: a reserve is kept for it.
journal() {
	attempt "/var/lib/mxseal/journal" journal_try "$@" || {
		rm -f "$state/reserve"
		attempt "/var/lib/mxseal/journal" journal_try "$@" || return
	}
	[ -f "$state/reserve" ] || dd if=/dev/zero of="$state/reserve" bs=1024 count=64 2>/dev/null || rm -f "$state/reserve"
	fault "$2"
	return 0
}

# What the journal says: its last line (j_time j_gen j_state j_rest), the generation in force, the highest number kept.
journal_read() {
	j_time=0 j_gen=0 j_state=none j_rest='' j_force=0 j_top=0
	[ -f "$state/journal" ] || return 0
	while read -r j_time j_gen j_state j_rest; do
		if [ "$j_state" = kept ]; then
			j_force=${j_rest%% *}
			[ "$j_gen" -le "$j_top" ] || j_top=$j_gen
		fi
	done <"$state/journal"
	# read at end of file empties its variables
	read -r j_time j_gen j_state j_rest <<-END
		$(tail -n 1 "$state/journal")
	END
}

# The last state of one generation.
state_of() {
	so_state=
	[ ! -f "$state/journal" ] || while read -r _ so_gen so_word _; do
		[ "$so_gen" != "$1" ] || so_state=$so_word
	done <"$state/journal"
	echo "$so_state"
}

# Numbers that have a directory, lowest first.
numbers() {
	for nu in "$state"/* "$etc"/*; do
		nu=${nu##*/}
		case $nu in '' | 0* | *[!0-9]*) ;; *) echo "$nu" ;; esac
	done | sort -n -u
}

next_number() {
	nn=$j_top
	[ "$j_gen" -le "$nn" ] || nn=$j_gen
	for nu in $(numbers); do
		[ "$nu" -le "$nn" ] || nn=$nu
	done
	echo $((nn + 1))
}

# --- lock

lock_owner() {
	o_pid='' o_since='' o_who=''
	[ ! -f "$state/lock.owner" ] || read -r o_pid o_since o_who <"$state/lock.owner"
}

# Takes the lock from a conversation whose time is over. Only a process that has our lock file open is ended.
evict() {
	lock_owner
	case $(readlink "/proc/$o_pid/fd/9" 2>/dev/null) in
	*/mxseal/lock) kill -9 "$o_pid" ;;
	esac
}

lock_is_stale() {
	ls_seen=$(first_line "$state/lock.seen")
	case $ls_seen in '' | *[!0-9]*) return 1 ;; esac
	[ $(($(date +%s) - ls_seen)) -gt "$lease" ]
}

own_lock() {
	locked=1
	date +%s 2>/dev/null >"$state/lock.seen"
	write "$state/lock.owner" "$$ $(date +%s) $1" 2>/dev/null || rm -f "$state/lock.owner"   # a full disk must not keep us off
}

# A folder is on the disk when the one above it was synced.
state_ready() {
	if [ -d "$state/keys" ]; then
		chmod 0700 "$state" "$state/keys"
	else
		mkdir -p "$state/keys" && chmod 0700 "$state" "$state/keys" && durable "${state%/*}" "$state"
	fi
}

# lock WHO: and finishes or reverses what a broken push left.
verb_lock() {
	[ -z "$locked" ] || return 0
	have flock || { refuse 15 "this host has no flock (package util-linux): pushes could not be kept apart"; return; }
	have sha256sum || { refuse 15 "this host has no sha256sum (package coreutils)"; return; }
	attempt "/var/lib/mxseal" state_ready || return
	attempt "/var/lib/mxseal/lock" touch "$state/lock" || return
	exec 9>>"$state/lock"
	lo=0 lo_tries=5
	until flock -n 9; do                    # who only looks whether it is held has it for a moment too
		lo=$((lo + 1))
		if [ $lo -eq 3 ] && lock_is_stale; then
			evict
			lo_tries=50
		fi
		[ $lo -lt $lo_tries ] || {
			exec 9>&-
			lock_owner
			echo "owner ${o_since:-0} ${o_who:-somebody}"
			refuse 11 "${o_who:-somebody} is pushing to this host"
			return
		}
		sleep 0.1 2>/dev/null || sleep 1
	done
	own_lock "$1"
	fault lock
	recover || return
	[ -z "$recovered" ] || echo "recovered $recovered"
}

# --- before the switch

# base PATH...: "SHA256 PATH" of each live file, - for one that is not there.
verb_base() {
	for b_path; do
		echo "$(sum_of "$root$b_path") $b_path"
	done
}

# begin N WHO CONFIG-DIRECTORY
verb_begin() {
	need_lock && number "$1" && path_ok "$3" || return
	journal_read
	case $j_state in
	begun | armed | switching | switched | undoing)
		refuse 11 "generation $j_gen on this host waits to be kept or undone"
		return
		;;
	esac
	[ "$1" -gt "$j_top" ] || { refuse 10 "generation $j_top is on this host already"; return; }
	if [ -e "$state/$1" ] || [ -e "$etc/$1" ]; then
		case $(state_of "$1") in
		undone | dropped) rm -rf "${state:?}/$1" "${etc:?}/$1" ;;
		*) refuse 10 "there is a directory of generation $1 on this host that nothing is known about"; return ;;
		esac
	fi
	journal "$1" begun "$2" || return
	gen=$1 dir=$state/$1 spoiled=
	attempt "/var/lib/mxseal/$gen" mkdir "$dir" "$dir/f" || return
	attempt "/etc/mxseal/$gen" mkdir -p "$etc/$gen" || return
	attempt "/etc/mxseal/$gen" chmod 0755 "$etc" "$etc/$gen" || return
	durable "${etc%/*}" "$etc" "$state" "$dir"
	attempt "/var/lib/mxseal/$gen" write "$dir/conf" "$3" || return
	attempt "/var/lib/mxseal/$gen" write "$dir/who" "$2" || return
	attempt "/var/lib/mxseal/$gen" write "$dir/as" "$gen" || return
	fault begin
}

# The entry of a live file, by the name it was asked for.
entry_of() {
	for en in "$dir"/f/*; do
		if [ -f "$en/name" ] && [ "$(first_line "$en/name")" = "$1" ]; then
			echo "$en"
			return 0
		fi
	done
	return 1
}

# Where a file really is: links are followed, so that the file is replaced and not the link to it.
real_path() {
	if [ -e "$1" ] || [ -L "$1" ]; then
		readlink -f "$1"
	else
		rp_dir=$(readlink -f "${1%/*}") && echo "$rp_dir/${1##*/}"
	fi
}

save_entry() {
	mkdir "$1" && say_in "$1/kind" "$2" && say_in "$1/name" "$3" && say_in "$1/live" "$4" && say_in "$1/mode" "$5" || return
	[ ! -f "$4" ] || copy "$4" "$1/old" || return
	say_in "$1/sum" "$(sum_of "$1/old")" && durable "$1"/* && durable "$1" && durable "${1%/*}"
}

# save KIND PATH SHA256 MODE: a live file that will be switched; it must be as the plan knew it (- for not there).
verb_save() {
	need_generation && path_ok "$2" || return
	sv_live=$(real_path "$root$2") && [ -d "${sv_live%/*}" ] || { refuse 10 "there is no directory for $2"; return; }
	if [ -e "$sv_live" ] && [ ! -f "$sv_live" ]; then
		refuse 10 "$2 is not a plain file"
		return
	fi
	[ "$(sum_of "$sv_live")" = "$3" ] || { refuse 10 "$2 is not as it was when the plan was made"; return; }
	case $1 in
	edit | remove) [ "$3" != - ] ;;
	create) [ "$3" = - ] ;;
	restore) true ;;
	*) false ;;
	esac || { refuse 10 "$2 cannot be saved as \"$1\""; return; }
	sv_i=1
	while [ -e "$dir/f/$sv_i" ]; do sv_i=$((sv_i + 1)); done
	fault save
	attempt "the saved copy of $2" save_entry "$dir/f/$sv_i" "$1" "$root$2" "$sv_live" "${4:-0644}" || return
	[ "$(sum_of "$dir/f/$sv_i/old")" = "$3" ] || { refuse 10 "$2 is being changed by somebody else"; return; }
	# all that was ever switched, for prune
	attempt "/var/lib/mxseal/paths" remember_path "$sv_live" || return
	fault "saved"
}

remember_path() {
	[ -f "$state/paths" ] && grep -F -x -q -e "$1" "$state/paths" && return 0
	{ [ ! -f "$state/paths" ] || cat "$state/paths"; } >"$state/paths.part" &&
		printf '%s\n' "$1" | cat >>"$state/paths.part" &&
		durable "$state/paths.part" && mv -f "$state/paths.part" "$state/paths"
}

# A file of the new generation: nothing outside /etc/mxseal/N/.
part_path() {
	path_ok "$1" || return
	case $1 in
	/etc/mxseal/"$gen"/*) ;;
	*) refuse 16 "$1 is not in /etc/mxseal/$gen" ; return ;;
	esac
	pp=$root$1
	[ -d "${pp%/*}" ] || {
		attempt "${1%/*}" mkdir -p "${pp%/*}" || return
		attempt "${1%/*}" chmod 0755 "${pp%/*}"
	}
}

settle() {
	chmod "$2" "$1.part" && durable "$1.part" && mv -f "$1.part" "$1" && durable "${1%/*}"
}

# put PATH MODE SHA256 + blob: a new file, or the new text of a saved one.
verb_put() {
	need_generation && path_ok "$1" || return
	case $2 in
	0[0-7][0-7][0-7]) ;;
	*) refuse 16 "not a file mode: $2"; return ;;
	esac
	if pu=$(entry_of "$root$1"); then
		pu=$pu/new
	else
		part_path "$1" || return
		pu=$root$1
	fi
	fault put
	blob "$pu.part" "$3" "$1" || return
	fault putting
	attempt "$1" settle "$pu" "$2" || return
	fault put-done
}

# chain PATH KEY-PATH SHA256 + blob: the key, which never left this host, then the certificates, in one file.
verb_chain() {
	need_generation && part_path "$1" && path_ok "$2" || return
	have openssl || { refuse 15 "this host has no openssl, so the key cannot be held against the certificate"; return; }
	blob "$dir/certs" "$3" "$1" || return
	[ -f "$root$2" ] || { refuse 12 "the key $2 is not on this host"; return; }
	fault chain
	openssl pkey -passin pass: -in "$root$2" -noout 2>/dev/null || {
		refuse 12 "the key $2 cannot be read: it is encrypted or not a key"
		return
	}
	attempt "$1" chain_write "$root$2" "$dir/certs" "$root$1.part" || return
	rm -f "$dir/certs"
	attempt "$1" settle "$root$1" 0600 || return
	attempt "/var/lib/mxseal/$gen" write "$dir/chain.${1##*/}" "$1" || return
	chain_good "$1" || return
	fault chain-done
}

# Only the key itself is taken from its file, which may hold more. cat names a full disk, openssl does not.
chain_write() {
	openssl pkey -passin pass: -in "$1" | cat >"$3" && cat "$2" >>"$3"
}

# A chain file is good when its key fits the first certificate and each certificate is signed by the next.
chain_good() {
	cg=$root$1
	[ -r "$cg" ] || { refuse 12 "$1 is not there"; return; }
	cg_key=$(openssl pkey -passin pass: -in "$cg" -pubout 2>/dev/null) || { refuse 12 "$1 has no key that can be read"; return; }
	cg_cert=$(openssl x509 -in "$cg" -noout -pubkey 2>/dev/null) || { refuse 12 "$1 has no certificate"; return; }
	[ "$cg_key" = "$cg_cert" ] || { refuse 12 "the key in $1 does not fit its certificate"; return; }
	cg_list=$(sed -n '/^-----BEGIN CERT/,/^-----END CERT/p' "$cg" | openssl crl2pkcs7 -nocrl -certfile /dev/stdin 2>/dev/null |
		openssl pkcs7 -print_certs -noout 2>/dev/null)
	cg_issuer=
	while IFS= read -r cg_line; do
		case $cg_line in
		subject=*)
			if [ -n "$cg_issuer" ] && [ "$cg_issuer" != "${cg_line#subject=}" ]; then
				refuse 12 "the certificates in $1 are not in order: each must be followed by its issuer's"
				return
			fi
			;;
		issuer=*) cg_issuer=${cg_line#issuer=} ;;
		esac
	done <<-END
		$cg_list
	END
}

# The staged copy of the configuration directory: links to all that stays, the new text of what changes.
stage() {
	[ ! -d "$dir/staged" ] || return 0
	st_conf=$(readlink -f "$root$(first_line "$dir/conf")")
	mkdir "$dir/staged" || return
	stage_links "$st_conf" "$dir/staged"
	for st in "$dir"/f/*; do
		[ -f "$st/kind" ] || continue
		st_name=$(first_line "$st/name")
		case $st_name in
		"$root$(first_line "$dir/conf")"/*) st_rel=${st_name#"$root$(first_line "$dir/conf")"/} ;;
		*) continue ;;
		esac
		stage_dirs "$st_rel" || return
		rm -f "$dir/staged/$st_rel"
		[ -f "$st/new" ] || continue
		cp "$st/new" "$dir/staged/$st_rel" || return
		# tools of Postfix wait two seconds for the end of a change that is younger
		touch -t 200001010000 "$dir/staged/$st_rel"
	done
}

stage_links() {
	for sl in "$1"/* "$1"/.[!.]*; do
		[ ! -e "$sl" ] || ln -s "$sl" "$2/${sl##*/}"
	done
}

# Folders on the way to a changed file become real ones.
stage_dirs() {
	sd_rest=$1 sd_done=$dir/staged
	while :; do
		case $sd_rest in */*) ;; *) return 0 ;; esac
		sd_done=$sd_done/${sd_rest%%/*}
		sd_rest=${sd_rest#*/}
		if [ -L "$sd_done" ]; then
			sd_from=$(readlink -f "$sd_done")
			rm -f "$sd_done"
			mkdir "$sd_done" && stage_links "$sd_from" "$sd_done" || return
		fi
		[ -d "$sd_done" ] || mkdir "$sd_done" || return
	done
}

# check_run DIRECTORY WORD...: @STAGED@ in a word stands for the directory.
check_run() {
	cr_dir=$1 cr_n=$(($# - 1))
	shift
	while [ "$cr_n" -gt 0 ]; do
		cr_word=$1
		shift
		case $cr_word in
		*@STAGED@*) cr_word=${cr_word%%@STAGED@*}$cr_dir${cr_word#*@STAGED@} ;;
		esac
		set -- "$@" "$cr_word"
		cr_n=$((cr_n - 1))
	done
	run_for 90 "$@"
}

# check NAME WORD...: a tool of the mail system on the staged copy. It fails with its status, and also when it complains
# about something it does not complain about in the live configuration: the tools of Postfix end with 0 then.
verb_check() {
	need_generation || return
	ck_name=$1
	shift
	attempt "the staged copy" stage || return
	check_run "$dir/staged" "$@"
	ck_rc=$ran_rc ck_text=$ran_text ck_live=
	say_ran
	case $ck_text in
	*warning:* | *error:* | *fatal:*)
		check_run "$root$(first_line "$dir/conf")" "$@"
		ck_live=$nl$ran_text$nl
		;;
	esac
	ck_new=
	while IFS= read -r ck_line; do
		case $ck_line in *warning:* | *error:* | *fatal:*) ;; *) continue ;; esac
		ck_line=$(printf '%s\n' "$ck_line" | sed "s|$dir/staged|$root$(first_line "$dir/conf")|g")
		case $ck_live in
		*"$nl$ck_line$nl"*) ;;
		*) ck_new=${ck_new:-$ck_line} ;;
		esac
	done <<-END
		$ck_text
	END
	fault check
	if [ $ck_rc -ne 0 ] || [ -n "$ck_new" ]; then
		[ -n "$ck_new" ] || ck_new=$(printf '%s\n' "$ck_text" | tail -n 1)
		refuse 12 "check \"$ck_name\": ${ck_new:-status $ck_rc}"
	fi
}

# ours: what the mail system's own tools do not look at.
verb_ours() {
	need_generation || return
	for ou in "$dir"/chain.*; do
		[ ! -f "$ou" ] || chain_good "$(first_line "$ou")" || return
	done
	for ou in "$dir"/f/*; do
		[ -f "$ou/kind" ] || continue
		case $(first_line "$ou/kind") in
		remove) continue ;;
		esac
		[ -f "$ou/new" ] || { refuse 16 "$(first_line "$ou/name") has no new text"; return; }
		while IFS= read -r ou_path; do
			[ -z "$ou_path" ] || [ -r "$root$ou_path" ] || {
				refuse 12 "$(first_line "$ou/name") names $ou_path, which is not there"
				return
			}
		done <<-END
			$(sed '/^[[:space:]]*#/d' "$ou/new" | tr -c 'A-Za-z0-9_./-' '\n' | grep '^/etc/mxseal/[0-9]')
		END
	done
}

# how reload|restart|watch WORD...: one more command of that list.
verb_how() {
	need_generation || return
	case $1 in
	reload | restart | watch) ho=$dir/$1 ;;
	*) refuse 16 "not a list of commands: $1"; return ;;
	esac
	shift
	attempt "/var/lib/mxseal/$gen" how_write "$ho" "$@"
}

how_write() {
	hw=$1
	shift
	{
		for hw_word; do printf '+%s\n' "$hw_word"; done
		echo "=run"
	} | cat >>"$hw" && durable "$hw"
}

# note wants|before SHA256 + blob: what the listeners shall serve, and what they served before (recall gives it back).
verb_note() {
	need_generation || return
	case $1 in
	wants | before) ;;
	*) refuse 16 "not a note: $1"; return ;;
	esac
	blob "$dir/$1.part" "$2" "/var/lib/mxseal/$gen" || return
	attempt "/var/lib/mxseal/$gen" settle "$dir/$1" 0600
}

# recall N wants|before
verb_recall() {
	number "$1" || return
	[ -f "$state/$1/$2" ] || { refuse 14 "nothing was noted for generation $1"; return; }
	cat "$state/$1/$2"
}

# --- undo timer

timer_alive() {
	[ -f "$1/timer" ] && ! (exec 7<"$1/timer" && flock -n 7) 2>/dev/null
}

# The timer does not stop itself.
timer_stop() {
	if [ -z "$timing" ] && timer_alive "$1"; then
		ts_unit=$(first_line "$1/timer.unit")
		[ -z "$ts_unit" ] || {
			systemctl kill --signal=KILL "$ts_unit"
			systemctl stop "$ts_unit"
		} >/dev/null 2>&1
		ts=0
		until [ -s "$1/timer.pid" ] || ! timer_alive "$1" || [ $ts -gt 50 ]; do    # one that just begins has not said its number yet
			ts=$((ts + 1))
			sleep 0.1 2>/dev/null || sleep 1
		done
		ts_pid=$(first_line "$1/timer.pid")
		case $(tr '\0' ' ' 2>/dev/null <"/proc/$ts_pid/cmdline") in
		*"$1/script timer "*) kill -9 "-$ts_pid" 2>/dev/null || kill -9 "$ts_pid" ;;
		esac
	fi
	rm -f "$1/timer.unit" "$1/timer.pid"
}

timer_wait() {
	tw=0
	until timer_alive "$dir"; do
		tw=$((tw + 1))
		[ $tw -le 150 ] || return 1
		sleep 0.1 2>/dev/null || sleep 1
	done
}

timer_start() {
	if [ -z "$root" ] && [ -d /run/systemd/system ] && have systemd-run; then
		ti_unit=mxseal-undo-$gen-$(date +%s)
		write "$dir/timer.unit" "$ti_unit" || return
		# KillMode: what the undo starts must outlive it
		systemd-run --quiet --collect --unit="$ti_unit" --property=KillMode=process \
			/bin/sh "$dir/script" timer "$gen" "$1" >/dev/null 2>&1 9>&- && timer_wait && return 0
		systemctl stop "$ti_unit" >/dev/null 2>&1
		rm -f "$dir/timer.unit"
	fi
	if have setsid; then
		setsid sh "$dir/script" timer "$gen" "$1" </dev/null >/dev/null 2>&1 9>&- &
		timer_wait && return 0
	fi
	return 1
}

# arm SECONDS: everything the switch and the undo need is on the disk and laid ready, and the undo timer runs.
verb_arm() {
	need_generation || return
	durable "$dir"
	[ -z "$spoiled" ] || { refuse 16 "a step before failed: nothing can be switched on"; return; }
	case $1 in
	'' | 0* | *[!0-9]* | ??????*) refuse 16 "not a number of seconds: $1"; return ;;
	esac
	for ar in "$dir"/f/*; do
		[ -f "$ar/kind" ] || continue
		attempt "$(first_line "$ar/live")" lay_ready "$ar" || { ar=$?; tidy "$dir"; return $ar; }
		fault lay
	done
	attempt "/var/lib/mxseal/$gen" script_write || return
	watch_begin
	fault arm
	timer_start "$1" || {
		timer_stop "$dir"
		refuse 15 "the undo timer does not run on this host (neither systemd-run nor setsid works)"
		return
	}
	deadline=$(($(date +%s) + $1))
	journal "$gen" armed "$deadline" || return
	echo "deadline $deadline"
}

script_write() {
	case ${s-} in
	*'#mxseal end') printf '%s\n' "$s" >"$dir/script" ;;
	*) cat "$0" >"$dir/script" ;;
	esac && durable "$dir/script" && grep -q '^#mxseal end' "$dir/script"
}

sibling() {
	sb=$(first_line "$2/live")
	echo "${sb%/*}/.${sb##*/}.mxseal-${1##*/}.$3"
}

# The new file gets owner, mode, access lists and labels of the old one by being a copy of it with other content.
lay_ready() {
	lr_live=$(first_line "$1/live")
	lr_new=$(sibling "$dir" "$1" new)
	lr_old=$(sibling "$dir" "$1" old)
	if [ -f "$1/old" ]; then
		copy "$lr_live" "$lr_old" && same "$lr_old" "$1/old" && durable "$lr_old" || return
	fi
	case $(first_line "$1/kind") in
	edit)
		copy "$lr_live" "$lr_new" && cat "$1/new" >"$lr_new" ;;
	create)
		rm -f "$lr_new"
		cat "$1/new" >"$lr_new" && chmod "$(first_line "$1/mode")" "$lr_new" ;;
	restore)
		copy "$1/new" "$lr_new" ;;
	remove)
		return 0 ;;
	esac && same "$lr_new" "$1/new" && durable "$lr_new"
}

# Removes what lies beside the live files.
tidy() {
	for td in "$1"/f/*; do
		[ -f "$td/live" ] || continue
		rm -f "$(sibling "$1" "$td" new)" "$(sibling "$1" "$td" old)" "$(sibling "$1" "$td" back)"
	done
}

# --- watching the mail
#
# How mail fares is told by a command of the mail system ("how watch"). The word behind its own is "-SECONDS" for what was in
# the last seconds, or the mark it gave before. It prints, one a line: sent N, received N; deferred ID, bounced ID for each
# message, tls-error PEER for each peer; mark TEXT. All this is a help: where it fails, a push is not watched, and goes on.
#
# Kept in a generation: watch.base (before the switch) and watch.since, as those lines; watch.looks, one line of sums for each
# look; watch.mark, watch.start, watch.alarm. After the switch only the undo timer writes them.

# Seconds that no setting of the clock moves.
uptime_now() {
	up=
	[ ! -r /proc/uptime ] || read -r up _ </proc/uptime
	up=${up%%.*}
	echo "${up:-$(date +%s)}"
}

# watch_take base|since SECONDS: what the log says since the mark is added; so many seconds may it take.
watch_take() {
	[ -f "$dir/watch" ] && [ -f "$dir/watch.mark" ] || return 1
	ran_lines=6000
	serve "$2" watch "$(first_line "$dir/watch.mark")"
	wt_rc=$?
	ran_lines=60
	wt_mark=$(printf '%s\n' "$ran_text" | sed -n 's/^mark //p' | tail -n 1)
	[ $wt_rc -eq 0 ] && [ -n "$wt_mark" ] || return 1
	touch "$dir/watch.$1" && watch_sums "$dir/watch.$1" &&
		{
			printf 'sent %s\nreceived %s\n' "$wt_sent" "$wt_received"
			{ cat "$dir/watch.$1"; printf '%s\n' "$ran_text"; } | grep -E '^(deferred|bounced|tls-error) [^ ]+$' | sort -u |
				head -n 5000
		} >"$dir/watch.part" && mv -f "$dir/watch.part" "$dir/watch.$1" && say_in "$dir/watch.mark" "$wt_mark"
}

watch_sums() {
	wt_sent=0 wt_received=0
	while read -r wt_word wt_n; do
		case $wt_word in
		sent) wt_sent=$((wt_sent + wt_n)) ;;
		received) wt_received=$((wt_received + wt_n)) ;;
		esac
	done <<-END
		$({ cat "$1"; printf '%s\n' "$ran_text"; } | grep -E '^(sent|received) (0|[1-9][0-9]{0,11})$')
	END
}

# What is common on this host, and the mark from which on it is the new files' doing.
watch_begin() {
	[ -f "$dir/watch" ] || return 0
	say_in "$dir/watch.mark" "-$watch_before" 2>/dev/null && watch_take base 10 && return 0
	rm -f "$dir/watch.mark" "$dir/watch.base"
	echo "| the mail log cannot be read: this push is not watched"
}

# watch_count DIRECTORY: sets c_KIND to what failed before, n_KIND to what fails only since.
watch_count() {
	for wc_kind in deferred bounced tls-error; do
		wc_base=$(grep "^$wc_kind " "$1/watch.base" 2>/dev/null)
		wc_since=$(grep "^$wc_kind " "$1/watch.since" 2>/dev/null)
		[ -z "$wc_base" ] || [ -z "$wc_since" ] ||
			wc_since=$(printf '%s\n' "$wc_since" | grep -F -x -v -e "$wc_base")
		wc_n=$(printf %s "$wc_since" | grep -c .)
		wc_c=$(printf %s "$wc_base" | grep -c .)
		case $wc_kind in
		deferred) n_deferred=$wc_n c_deferred=$wc_c ;;
		bounced) n_bounced=$wc_n c_bounced=$wc_c ;;
		tls-error) n_tls=$wc_n c_tls=$wc_c ;;
		esac
	done
	n_sent=$(sed -n 's/^sent //p' "$1/watch.since" 2>/dev/null) n_received=$(sed -n 's/^received //p' "$1/watch.since" 2>/dev/null)
	c_sent=$(sed -n 's/^sent //p' "$1/watch.base" 2>/dev/null) c_received=$(sed -n 's/^received //p' "$1/watch.base" 2>/dev/null)
	n_sent=${n_sent:-0} n_received=${n_received:-0} c_sent=${c_sent:-0} c_received=${c_received:-0}
	wc_start=$(first_line "$1/watch.start")
	n_seconds=$(($(uptime_now) - ${wc_start:-$(uptime_now)}))
}

# THE RULE. Mail is worse than before when more messages (peers, for TLS) fail since the switch than watch_slack and one and
# a half times those of the watch_before seconds in front of it, for each such time begun since; and, of messages, when they
# are at least one in twenty of all that were tried. So the sixth failure counts where nothing failed before, and the 156th
# where 100 did. What failed before and fails again is not new and does not count.
watch_worse() { # WHAT SINCE BEFORE TRIED
	ww_times=$((n_seconds / watch_before + 1))
	[ "$2" -gt $((watch_slack + $3 * 3 * ww_times / 2)) ] && [ $(($2 * 20)) -ge "$4" ] || return 1
	ww_why="mail is worse than before: $2 $1 in the $n_seconds s since the switch, $3 in the $watch_before s before it"
}

# One look of the timer. It fails when mail is worse; ww_why says how.
watch_look() {
	ww_why=$(first_line "$dir/watch.alarm")
	[ -z "$ww_why" ] || return 1
	journal_read
	[ "$j_gen.$j_state" = "$gen.switched" ] && watch_take since 2 || return 0
	watch_count "$dir"
	{
		[ ! -f "$dir/watch.looks" ] || tail -n 60 "$dir/watch.looks"
		echo "$n_seconds $n_sent $n_received $n_deferred $n_bounced $n_tls"
	} >"$dir/watch.part" && mv -f "$dir/watch.part" "$dir/watch.looks"
	watch_worse "messages deferred" "$n_deferred" "$c_deferred" $((n_sent + n_deferred)) ||
		watch_worse "messages bounced" "$n_bounced" "$c_bounced" $((n_sent + n_bounced)) ||
		watch_worse "peers with TLS errors" "$n_tls" "$c_tls" 0 || return 0
	say_in "$dir/watch.alarm" "$ww_why"
	return 1
}

# What is known of a push that waits: SECONDS SENT RECEIVED DEFERRED BOUNCED TLS-ERRORS before the switch, since, and lately.
watch_say() {
	[ -s "$1/watch.base" ] && [ -s "$1/watch.start" ] || return 0
	watch_count "$1"
	echo "mail before $watch_before $c_sent $c_received $c_deferred $c_bounced $c_tls"
	echo "mail since $n_seconds $n_sent $n_received $n_deferred $n_bounced $n_tls"
	[ ! -f "$1/watch.alarm" ] || echo "alarm $(first_line "$1/watch.alarm")"
	ws_s=0 ws_sent=0 ws_received=0 ws_deferred=0 ws_bounced=0 ws_tls=0
	[ ! -f "$1/watch.looks" ] || while read -r ws_at ws_a ws_b ws_c ws_d ws_e; do
		[ "$ws_at" -le $((n_seconds - 20)) ] || break
		ws_s=$ws_at ws_sent=$ws_a ws_received=$ws_b ws_deferred=$ws_c ws_bounced=$ws_d ws_tls=$ws_e
	done <"$1/watch.looks"
	echo "mail lately $((n_seconds - ws_s)) $((n_sent - ws_sent)) $((n_received - ws_received))" \
		"$((n_deferred - ws_deferred)) $((n_bounced - ws_bounced)) $((n_tls - ws_tls))"
}

# watch: how mail fares since the switch.
verb_watch() {
	journal_read
	[ "$j_state" != switched ] || watch_say "$state/$j_gen"
}

# --- the switch and the way back

each_live_dir() {
	for el in "$dir"/f/*; do
		[ ! -f "$el/live" ] || { el=$(first_line "$el/live"); durable "${el%/*}"; }
	done
}

verb_switch() {
	need_generation || return
	journal_read
	[ "$j_gen $j_state" = "$gen armed" ] || { refuse 16 "generation $gen is not armed"; return; }
	timer_alive "$dir" || { refuse 1 "the undo timer has ended"; return; }
	for sw in "$dir"/f/*; do
		[ -f "$sw/kind" ] || continue
		[ "$(sum_of "$(first_line "$sw/live")")" = "$(first_line "$sw/sum")" ] || {
			refuse 10 "$(first_line "$sw/live") was changed by somebody else just now"
			return
		}
	done
	deadline=${j_rest%% *}
	watch_take base 2
	uptime_now 2>/dev/null >"$dir/watch.start"
	journal "$gen" switching "$deadline" || return
	for sw in "$dir"/f/*; do
		[ -f "$sw/kind" ] || continue
		fault "switch:${sw##*/}"
		attempt "$(first_line "$sw/live")" switch_one "$sw" || {
			sw=$?
			sw_why=$why
			undo_now "the switch failed" || return
			refuse $sw "$sw_why"
			return
		}
	done
	fault switch-done
	each_live_dir
	journal "$gen" switched "$deadline"
}

switch_one() {
	if [ "$(first_line "$1/kind")" = remove ]; then
		rm -f "$(first_line "$1/live")"
	else
		mv -f "$(sibling "$dir" "$1" new)" "$(first_line "$1/live")"
	fi
}

# One old file back, byte for byte with its owner and mode. What somebody else made of it meanwhile is parked, not lost.
put_back_one() {
	pb_live=$(first_line "$1/live")
	if [ -f "$pb_live" ] && ! same "$pb_live" "$1/old" && ! same "$pb_live" "$1/new"; then
		mkdir -p "$dir/parked" && copy "$pb_live" "$dir/parked/${1##*/}"
	fi
	if [ ! -f "$1/old" ]; then
		rm -f "$pb_live"
		return
	fi
	same "$pb_live" "$1/old" && return 0
	pb_old=$(sibling "$dir" "$1" old)
	if ! same "$pb_old" "$1/old"; then
		pb_old=$(sibling "$dir" "$1" back)
		copy "$1/old" "$pb_old" && durable "$pb_old" || return
	fi
	mv -f "$pb_old" "$pb_live"
}

# serve SECONDS reload|restart|watch [WORD]: the commands noted for that, in order, each with this word behind its own.
serve() {
	[ -f "$dir/$2" ] || return 0
	se_rc=0 se_text='' se_limit=$1 se_word=${3-}
	set -- "$dir/$2"
	while IFS= read -r se_line <&6; do
		if [ "$se_line" = =run ]; then
			shift
			run_for "$se_limit" "$@" ${se_word:+"$se_word"} || se_rc=$ran_rc
			se_text=$se_text$ran_text
			set -- x
		else
			set -- "$@" "${se_line#+}"
		fi
	done 6<"$1"
	ran_text=$se_text
	return $se_rc
}

# greets ADDRESS PORT IMPLICIT: does a listener greet? 0 yes, 1 no, 2 cannot look. A shell has no sockets: bash has, and openssl.
greets() {
	if have bash; then
		# shellcheck disable=SC2016
		run_for 5 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1; [ "$2" = 0 ] || exit 0
			IFS= read -r -t 3 l <&3 || exit 1; case $l in 220*) exit 0 ;; esac; exit 1' "$1" "$2" "$3" || return 1
	elif have openssl; then
		case $1 in *:*) set -- "[$1]" "$2" "$3" ;; esac
		if [ "$3" = 0 ]; then
			run_for 5 openssl s_client -starttls smtp -connect "$1:$2"
		else
			run_for 5 openssl s_client -connect "$1:$2"
		fi
		case $ran_text in *"STARTTLS in server"* | *"BEGIN CERTIFICATE"*) ;; *) return 1 ;; esac
	else
		return 2
	fi
}

# serves ADDRESS PORT IMPLICIT SHA256 NAME: does TLS work where it did, and not with the certificate that was taken back? A
# host with certificates of several kinds may show another old one than the console saw. Where nobody can look, it does.
serves() {
	[ ${#4} -eq 64 ] && have openssl || return 0
	se_want=$4 se_name=$5
	case $1 in *:*) se_at="[$1]:$2" ;; *) se_at=$1:$2 ;; esac
	if [ "$3" = 0 ]; then set -- -starttls smtp; else set --; fi
	ran_lines=400
	run_for 5 openssl s_client -connect "$se_at" "$@" ${se_name:+-servername "$se_name"}
	ran_lines=60
	case $ran_text in *"BEGIN CERTIFICATE"*) ;; *) return 1 ;; esac
	se_have=$(printf '%s\n' "$ran_text" | openssl x509 -outform DER 2>/dev/null | sha256sum)
	se_have=${se_have%% *}
	[ "$se_have" = "$se_want" ] || ! grep -q " $se_have " "$dir/wants" 2>/dev/null
}

# All that greeted before, with the certificates of before: sets alive to yes, no or unseen.
look_alive() {
	alive=unseen
	[ -s "$dir/before" ] || return 0
	la_try=0
	while :; do
		alive=yes
		while read -r la_address la_port la_implicit _ _ la_sum la_name _ <&6; do
			greets "$la_address" "$la_port" "$la_implicit"
			case $? in
			1) alive=no ;;
			2) alive=unseen; return ;;
			esac
			[ "$la_name" != - ] || la_name=
			[ $alive != yes ] || serves "$la_address" "$la_port" "$la_implicit" "$la_sum" "$la_name" || alive=no
		done 6<"$dir/before"
		la_try=$((la_try + 1))
		[ $alive = no ] && [ $la_try -lt 3 ] || return 0
		sleep 1
	done
}

# undo_now WHY: old files and old service. Where a reload does not bring the greeting back, or nobody can look, the mail
# system is stopped and started: Postfix waits a minute before it tries a service again that failed.
undo_now() {
	journal "$gen" undoing "$1" || return
	for un in "$dir"/f/*; do
		[ -f "$un/kind" ] || continue
		attempt "$(first_line "$un/live")" put_back_one "$un" || return
		fault "back:${un##*/}"
	done
	each_live_dir
	fault back-done
	serve 30 reload
	look_alive
	if [ "$alive" != yes ]; then
		serve 60 restart
		look_alive
	fi
	tidy "$dir"
	rm -rf "${etc:?}/$gen" "$dir/staged"
	journal "$gen" undone "$alive $1"
	timer_stop "$dir"
}

# Nothing live was touched: everything of this generation goes.
drop_now() {
	timer_stop "$dir"
	tidy "$dir"
	rm -rf "${etc:?}/$gen"
	journal "$gen" dropped "$1" || return
	rm -rf "$dir"
}

verb_reload() {
	need_generation || return
	serve 30 reload || refuse 1 "the reload failed (status $se_rc): $(printf '%s\n' "$ran_text" | tail -n 1)"
	re=$?
	say_ran
	fault reload
	return $re
}

verb_restart() {
	need_lock || return
	journal_read
	[ -n "$dir" ] || dir=$state/$j_gen
	serve 60 restart || refuse 1 "the restart failed (status $se_rc): $(printf '%s\n' "$ran_text" | tail -n 1)"
	rs=$?
	say_ran
	return $rs
}

# drop: gives up before the switch.
verb_drop() {
	need_generation || return
	journal_read
	case $j_state in
	begun | armed) drop_now "given up" ;;
	esac
}

# waiting: the generation that is switched and not yet kept.
waiting() {
	need_lock || return
	journal_read
	[ "$j_state" = switched ] || { refuse 14 "no push waits on this host"; return; }
	gen=$j_gen dir=$state/$j_gen
}

# What was undone meanwhile is neither kept nor undone again, and nobody is told that it was.
undone_already() {
	[ "$j_state" = undone ] || return 1
	alive=${j_rest%% *}
	ua_text="generation $j_gen was undone: ${j_rest#* }"
}

# keep: the word that makes a push stay.
verb_keep() {
	need_lock || return
	journal_read
	if undone_already; then
		[ "$alive" != no ] || { refuse 18 "$ua_text; and its listeners did not greet after that"; return; }
		refuse 17 "$ua_text"
		return
	fi
	waiting || return
	journal "$gen" kept "$(first_line "$dir/as")" || return
	timer_stop "$dir"
	tidy "$dir"
	rm -rf "$dir/staged"
	fault keep-done
	prune
	echo "kept $gen $(first_line "$dir/as")"
	gen='' dir=''
}

# undo WHY: of a push that waits. One that the host undid a moment ago is undone.
verb_undo() {
	need_lock || return
	journal_read
	if undone_already; then
		gen=$j_gen dir=$state/$j_gen
	else
		waiting && undo_now "$1" || return
	fi
	echo "undone $gen $alive"
}

# What was in force before generation N was kept.
before_kept() {
	bf_last=0
	while read -r _ bf_gen bf_state bf_as; do
		[ "$bf_state" = kept ] || continue
		if [ "$bf_gen" = "$1" ]; then
			echo "$bf_last"
			return
		fi
		bf_last=${bf_as%% *}
	done <"$state/journal"
	echo 0
}

# back TO WHO: begins a generation that puts the files back as they were when TO was kept (0: before the first of ours;
# previous: before the one in force). Each saved copy tells what a file was before its generation; the oldest after TO counts.
verb_back() {
	need_lock || return
	journal_read
	[ "$j_top" -gt 0 ] || { refuse 14 "nothing of ours was ever kept on this host"; return; }
	[ "$1.$j_force" != previous.0 ] || { refuse 14 "nothing of ours is in force on this host"; return; }
	bk_to=$1 bk_top=$j_top bk_oldest=
	[ "$bk_to" != previous ] || bk_to=$(before_kept "$j_force")
	[ "$bk_to" = 0 ] || number "$bk_to" || return
	[ "$bk_to" != "$j_force" ] || { refuse 14 "generation $bk_to is in force already"; return; }
	if [ "$bk_to" != 0 ] && { [ ! -d "$state/$bk_to" ] || [ "$(state_of "$bk_to")" != kept ]; }; then
		refuse 14 "generation $bk_to is not kept on this host"
		return
	fi
	[ ! -f "$state/pruned" ] || [ "$bk_to" -ge "$(first_line "$state/pruned")" ] || {
		refuse 14 "what was before generation $(first_line "$state/pruned") is no longer kept on this host"
		return
	}
	verb_begin "$(next_number)" "$2" "$(first_line "$state/$j_top/conf")" || return
	attempt "/var/lib/mxseal/$gen" write "$dir/as" "$bk_to" || return
	for bk in $(numbers); do
		[ "$bk" -gt "$bk_to" ] && [ "$bk" -le "$bk_top" ] && [ "$(state_of "$bk")" = kept ] || continue
		bk_oldest=${bk_oldest:-$bk}
		for bk_f in "$state/$bk"/f/*; do
			[ -f "$bk_f/kind" ] || continue
			bk_name=$(first_line "$bk_f/name")
			entry_of "$bk_name" >/dev/null || back_one "$bk_f" "${bk_name#"$root"}" || return
		done
	done
	for bk_f in "$bk_top/reload" "$bk_top/restart" "$bk_top/watch" "$bk_oldest/before"; do
		[ ! -f "$state/$bk_f" ] || attempt "/var/lib/mxseal/$gen" cp "$state/$bk_f" "$dir/${bk_f#*/}" || return
	done
	[ ! -f "$dir/before" ] || mv -f "$dir/before" "$dir/wants"
	durable "$dir"
	echo "begun $gen as $bk_to"
}

# The file must still be as the last push left it.
back_one() {
	bo_last=
	for bo in $(numbers); do
		[ "$bo" -le "$bk_top" ] && [ "$(state_of "$bo")" = kept ] || continue
		for bo_f in "$state/$bo"/f/*; do
			[ ! -f "$bo_f/name" ] || [ "$(first_line "$bo_f/name")" != "$root$2" ] || bo_last=$bo_f
		done
	done
	[ "$(sum_of "$root$2")" = "$(sum_of "$bo_last/new")" ] || {
		refuse 10 "$2 was changed since the last push; undoing would lose that"
		return
	}
	if [ -f "$1/old" ]; then
		verb_save restore "$2" "$(sum_of "$root$2")" "" || return
		bo=$(entry_of "$root$2")
		attempt "$2" copy "$1/old" "$bo/new"
	elif [ -f "$root$2" ]; then
		verb_save remove "$2" "$(sum_of "$root$2")" ""
	fi
}

# --- recovery, status, generations

# Finishes or reverses what a push left whose console, connection or host died. A push that waits is left alone, also when
# its timer is gone (the host was started anew): then only a person may say whether it stays.
recover() {
	journal_read
	[ "$j_gen" != 0 ] || return 0
	gen=$j_gen dir=$state/$j_gen
	case $j_state in
	begun | armed)
		drop_now "the push was cut off" || return
		recovered="generation $gen was never switched on: removed"
		;;
	switching | undoing)
		undo_now "the push was cut off" || return
		recovered="generation $gen was cut off: the old files are back, listeners: $alive"
		;;
	kept | undone | dropped)
		tidy "$dir"
		;;
	esac
	gen='' dir=''
}

verb_status() {
	journal_read
	if [ -f "$state/lock" ] && ! (exec 7<"$state/lock" && flock -n 7) 2>/dev/null && [ -z "$locked" ]; then
		lock_owner
		echo "owner ${o_since:-0} ${o_who:-somebody}"
	fi
	case $j_state in
	switched)
		if timer_alive "$state/$j_gen"; then
			echo "state waiting"
		else
			echo "state unconfirmed"
		fi
		echo "undo_at ${j_rest%% *}"
		echo "generation $j_gen"
		watch_say "$state/$j_gen"
		;;
	begun | armed | switching | undoing)
		echo "state unfinished"
		echo "generation $j_force"
		;;
	*)
		echo "state idle"
		echo "generation $j_force"
		;;
	esac
	echo "next $(next_number)"
	[ ! -f "$state/journal" ] || tail -n 200 "$state/journal" | sed 's/^/journal /'
}

# Older generations go, but never a directory that a live file or a saved one still names.
prune() {
	journal_read
	pr_seen=0 pr_all=0
	for pr in $(numbers | sort -rn); do
		if [ "$(state_of "$pr")" = kept ]; then
			pr_all=$((pr_all + 1))
			[ "$(first_line "$state/$pr/as")" != "$pr" ] || pr_seen=$((pr_seen + 1))
		fi
		[ "$pr_seen" -gt "$keep_generations" ] || [ "$pr_all" -gt "$keep_all" ] || continue
		[ "$pr" != "$j_force" ] || continue
		[ -f "$state/pruned" ] && [ "$(first_line "$state/pruned")" -ge "$pr" ] || write "$state/pruned" "$pr"
		rm -rf "${state:?}/$pr"
		pr_used=
		while IFS= read -r pr_path; do
			[ ! -f "$pr_path" ] || ! grep -F -q "/etc/mxseal/$pr/" "$pr_path" || pr_used=1
		done <"$state/paths"
		for pr_path in "$state"/*/f/*/old; do
			[ ! -f "$pr_path" ] || ! grep -F -q "/etc/mxseal/$pr/" "$pr_path" || pr_used=1
		done
		[ -n "$pr_used" ] || rm -rf "${etc:?}/$pr"
	done
	if [ "$(wc -l <"$state/journal")" -gt 800 ]; then
		{
			echo "$j_time $j_top kept $j_force"
			tail -n 400 "$state/journal"
		} >"$state/journal.new" && durable "$state/journal.new" && mv -f "$state/journal.new" "$state/journal"
	fi
}

# The undo timer: this script, run from the generation's directory. It watches the mail while the push waits; when that gets
# worse, or its time is over, it takes the lock, if need be from a console that hangs, and undoes what nobody has kept.
timer() {
	gen=$1 dir=$state/$1 timing=1 ti_why="nobody confirmed it in time"
	exec 8>>"$dir/timer"
	flock 8 || exit 1
	write "$dir/timer.pid" $$ || exit 1
	ti_end=$(($(uptime_now) + $2))
	while ti_left=$((ti_end - $(uptime_now))) && [ $ti_left -gt 0 ]; do
		[ $ti_left -le $watch_every ] || ti_left=$watch_every
		sleep "$ti_left" 8>&-
		[ "$(first_line "$dir/timer.pid")" = $$ ] || exit 0    # stopped without being reached: the generation may be another's by now
		watch_look || timer_may || continue
		[ -z "$ww_why" ] || { ti_why=$ww_why; break; }
	done
	exec 9>>"$state/lock"
	ti=0
	until flock -n 9; do
		journal_read
		case $j_gen.$j_state in "$gen.switched" | "$gen.armed" | "$gen.switching" | "$gen.undoing") ;; *) exit 0 ;; esac
		ti=$((ti + 1))
		[ "$(first_line "$dir/timer.pid")" = $$ ] || exit 0
		[ $ti -le 2 ] || evict
		sleep 1
	done
	journal_read
	[ "$j_gen" = "$gen" ] && [ "$(first_line "$dir/timer.pid")" = $$ ] || exit 0
	own_lock "the undo timer of generation $gen"
	case $j_state in
	switched) undo_now "$ti_why" ;;
	switching | undoing) undo_now "the push was cut off" ;;
	begun | armed) drop_now "the push was cut off" ;;
	esac
}

# A console that is at work sees the alarm with its next question and undoes by itself; only one that says nothing any more
# is not waited for.
timer_may() {
	! (exec 7<"$state/lock" && flock -n 7) 2>/dev/null || return 0
	tm_seen=$(first_line "$state/lock.seen")
	[ $(($(date +%s) - ${tm_seen:-0})) -gt 10 ]
}

# End of a conversation: what was not switched on goes at once.
leave() {
	verb_challenge_hush
	[ -n "$locked" ] || return 0
	journal_read
	[ "$j_gen" != "$gen" ] || case $j_state in begun | armed) drop_now "the push was cut off" ;; esac
	rm -f "$state/lock.seen"
}

# --- keys

key_path() {
	path_ok "$1" || return
	have openssl || { refuse 15 "this host has no openssl to make and use keys with"; return; }
	[ -f "$root$1" ] || refuse 14 "the key $1 is not on this host"
}

# key-make ID KIND: a new private key, never over an existing one; its public key is the answer.
verb_key_make() {
	case $1 in
	'' | .* | *[!A-Za-z0-9._-]*) refuse 16 "not a name for a key: $1"; return ;;
	esac
	have openssl || { refuse 15 "this host has no openssl to make a key with"; return; }
	km=$state/keys/$1.key
	case $2 in
	ec-p256) set -- "$1" EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve ;;
	ec-p384) set -- "$1" EC -pkeyopt ec_paramgen_curve:P-384 -pkeyopt ec_param_enc:named_curve ;;
	rsa-2048 | rsa-3072 | rsa-4096) set -- "$1" RSA -pkeyopt "rsa_keygen_bits:${2#rsa-}" ;;
	*) refuse 16 "not a kind of key: $2"; return ;;
	esac
	km_name=/var/lib/mxseal/keys/$1.key
	shift
	attempt "/var/lib/mxseal/keys" state_ready || return
	[ ! -e "$km" ] || { refuse 10 "there is a key $km_name already"; return; }
	attempt "$km_name" key_write "$km" "$@"
	km_rc=$?
	rm -f "$km.$$"
	[ $km_rc -eq 0 ] || return $km_rc
	openssl pkey -in "$km" -pubout
}

# A hard link refuses to replace what is there.
key_write() {
	kw=$1
	shift
	openssl genpkey -algorithm "$@" | cat >"$kw.$$" && openssl pkey -in "$kw.$$" -noout && durable "$kw.$$" &&
		ln "$kw.$$" "$kw" && durable "${kw%/*}"
}

# key_put PATH SHA256 + blob: a key that lives with the asker, for root only; never over an existing one.
verb_key_put() {
	need_generation || return
	case $1 in
	/var/lib/mxseal/keys/*/* | /var/lib/mxseal/keys/.*) refuse 16 "not a key of ours: $1"; return ;;
	/var/lib/mxseal/keys/?*.key) ;;
	*) refuse 16 "not a key of ours: $1"; return ;;
	esac
	have openssl || { refuse 15 "this host has no openssl to hold the key against its certificate"; return; }
	attempt "/var/lib/mxseal/keys" state_ready || return
	blob "$root$1.part" "$2" "$1" || { kp=$?; rm -f "$root$1.part"; return $kp; }
	fault key-put
	if [ -e "$root$1" ]; then
		kp_new=$(openssl pkey -passin pass: -in "$root$1.part" -pubout 2>/dev/null)
		kp_old=$(openssl pkey -passin pass: -in "$root$1" -pubout 2>/dev/null)
		rm -f "$root$1.part"
		[ -n "$kp_old" ] && [ "$kp_old" = "$kp_new" ] || refuse 10 "there is another key in $1"
		return
	fi
	attempt "$1" settle "$root$1" 0600
}

# key-public PATH
verb_key_public() {
	key_path "$1" || return
	openssl pkey -passin pass: -in "$root$1" -pubout 2>/dev/null ||
		refuse 12 "the key $1 cannot be read: it is encrypted or not a key"
}

# key-sign PATH DIGEST + blob: the signature, in base64 on one line.
verb_key_sign() {
	key_path "$1" || return
	case $2 in
	sha256 | sha384 | sha512) ;;
	*) refuse 16 "not a digest: $2"; return ;;
	esac
	ks=$(dd bs=1 count="$blob_bytes" 2>/dev/null | openssl dgst "-$2" -sign "$root$1" -passin pass: 2>/dev/null |
		openssl base64 -A)
	blob_bytes=0
	[ -n "$ks" ] || { refuse 12 "the key $1 cannot be read: it is encrypted or not a key"; return; }
	echo "$ks"
}

# --- proofs for an ACME authority

token_ok() {
	case $1 in
	'' | *[!A-Za-z0-9_-]*) refuse 16 "not a token of letters, digits, hyphen and underscore"; return ;;
	esac
	[ ${#1} -le 256 ] || refuse 16 "a token of more than 256 letters"
}

# The answer that was sent along: one short line.
proof() {
	proof=$(dd bs=1 count="$blob_bytes" 2>/dev/null)
	blob_bytes=0
	case $proof in
	'' | *[!A-Za-z0-9_.-]*) refuse 16 "not a proof"; return ;;
	esac
	[ ${#proof} -le 512 ] || refuse 16 "a proof of more than 512 letters"
}

# We go to the folder first and look at each step where we are: who owns a web root must not lead us elsewhere by a link, nor
# have anything made there.
challenge_go() {
	cd -P "$root$1" || return
	cg_at=$(pwd -P)
	for cg_sub in .well-known acme-challenge; do
		[ -d "$cg_sub" ] || (umask 022 && mkdir "$cg_sub") || return
		cd -P "$cg_sub" || return
		cg_at=${cg_at%/}/$cg_sub
		[ "$(pwd -P)" = "$cg_at" ] || { echo "a link leads out of it" >&2; return 1; }
	done
}

challenge_write() {
	challenge_go "$1" && rm -f "./$2" && (set -C && umask 022 && printf '%s' "$3" >"./$2")
}

challenge_remove() {
	[ ! -d "$root$1/.well-known/acme-challenge" ] || { challenge_go "$1" && rm -f "./$2"; }
}

# challenge_put DIR TOKEN + blob: into a web root, where everybody may read it. The folders that lead there stay.
verb_challenge_put() {
	path_ok "$1" && token_ok "$2" && proof || return
	[ -d "$root$1" ] || { refuse 14 "there is no folder $1 on this host"; return; }
	attempt "the web root $1" challenge_write "$1" "$2" "$proof"
}

# challenge_drop DIR TOKEN
verb_challenge_drop() {
	path_ok "$1" && token_ok "$2" && attempt "the web root $1" challenge_remove "$1" "$2"
}

# Both listeners take PORT TOKEN ANSWER SECONDS PID: they say ready, answer this one question over IPv6 and IPv4, and end with
# the time or with the process PID, whose children they are.
# shellcheck disable=SC2016 # not the shell's
listen_perl='use Socket qw(:DEFAULT IPPROTO_IPV6 IPV6_V6ONLY inet_pton pack_sockaddr_in6);
my ($port, $token, $answer, $seconds, $parent) = @ARGV; my $end = time + $seconds; my $up = 0; $| = 1; $SIG{PIPE} = "IGNORE";
if (socket(L, PF_INET6, SOCK_STREAM, 6)) {
	setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1); setsockopt(L, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	$up = bind(L, pack_sockaddr_in6($port, inet_pton(AF_INET6, "::")));
}
if (!$up) {
	socket(L, PF_INET, SOCK_STREAM, 6); setsockopt(L, SOL_SOCKET, SO_REUSEADDR, 1);
	$up = bind(L, sockaddr_in($port, INADDR_ANY));
}
($up && listen(L, 20)) or die "$!\n";
print "ready\n";
while (time < $end && getppid() == $parent) {
	my $bits = ""; vec($bits, fileno(L), 1) = 1;
	next unless select($bits, undef, undef, 0.5) > 0 && accept(C, L);
	eval {
		local $SIG{ALRM} = sub { die "slow\n" }; alarm 3;
		my $q = "";
		while ($q !~ /\r?\n\r?\n/ && length $q < 8192) { sysread(C, $q, 1024, length $q) or last }
		my $good = $q =~ m{^GET /\.well-known/acme-challenge/\Q$token\E HTTP/1};
		my $text = $good ? $answer : "";
		syswrite(C, "HTTP/1.0 " . ($good ? "200 OK" : "404 Not Found") . "\r\nContent-Type: application/octet-stream\r\n" .
			"Content-Length: " . length($text) . "\r\nConnection: close\r\n\r\n" . $text);
		alarm 0;
	};
	alarm 0; close C;
}'
listen_python='import os, select, socket, sys, time
port, token, answer, seconds, parent = sys.argv[1:6]
end = time.time() + int(seconds)
try:
    l = socket.socket(socket.AF_INET6)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    l.bind(("::", int(port)))
except OSError:
    try:
        l = socket.socket(socket.AF_INET)
        l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        l.bind(("", int(port)))
    except OSError as e:
        sys.exit(e.strerror)
l.listen(20)
print("ready", flush=True)
while time.time() < end and os.getppid() == int(parent):
    if not select.select([l], [], [], 0.5)[0]:
        continue
    c = l.accept()[0]
    try:
        c.settimeout(3)
        stop, q = time.time() + 3, b""
        while b"\r\n\r\n" not in q and len(q) < 8192 and time.time() < stop:
            d = c.recv(1024)
            if not d:
                break
            q += d
        good = q.startswith(b"GET /.well-known/acme-challenge/" + token.encode() + b" HTTP/1")
        text = answer if good else ""
        c.sendall(("HTTP/1.0 %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % ("200 OK" if good else "404 Not Found", len(text), text)).encode())
    except OSError:
        pass
    c.close()'

listener=

# challenge_listen TOKEN SECONDS + blob: answers on port 80 until it is hushed, this conversation ends, or the time is over.
verb_challenge_listen() {
	token_ok "$1" && proof || return
	case $2 in
	'' | 0* | *[!0-9]* | ????*) refuse 16 "not a number of seconds: $2"; return ;;
	esac
	verb_challenge_hush
	for cl_with in perl python3 /usr/libexec/platform-python ''; do
		[ -z "$cl_with" ] || ! have "$cl_with" || break
	done
	attempt "/var/lib/mxseal" state_ready || return
	cl_says=$state/listener.$$
	case $cl_with in
	perl) perl -e "$listen_perl" "$http_port" "$1" "$proof" "$2" $$ </dev/null >"$cl_says" 2>&1 & ;;
	'') refuse 15 "this host has neither perl nor python3 to answer on port $http_port with: use http-webroot or dns-hook"; return ;;
	*) "$cl_with" -c "$listen_python" "$http_port" "$1" "$proof" "$2" $$ </dev/null >"$cl_says" 2>&1 & ;;
	esac
	listener=$!
	cl_n=0
	while [ $cl_n -lt 50 ] && [ ! -s "$cl_says" ] && kill -0 "$listener" 2>/dev/null; do
		sleep 0.1 2>/dev/null || sleep 1
		cl_n=$((cl_n + 1))
	done
	cl_first=$(first_line "$cl_says" | tr -c '[:print:]\n' ' ')
	rm -f "$cl_says"
	[ "$cl_first" != ready ] || return 0
	verb_challenge_hush
	case $cl_first in
	*"in use"*) refuse 1 "port $http_port of this host is taken$(taken_by "$http_port"): use http-webroot with its folder" ;;
	*) refuse 1 "nothing can answer on port $http_port of this host: ${cl_first:-no reason is given}" ;;
	esac
}

taken_by() {
	! have ss || ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([A-Za-z0-9._-]*\)".*/ by \1/p' | head -n 1
}

verb_challenge_hush() {
	[ -n "$listener" ] || return 0
	kill "$listener" 2>/dev/null
	wait "$listener" 2>/dev/null
	listener=
}

answer() {
	printf '#= %s %s\n' "$1" "$2"
}

# One question from standard input; arguments become $1..., the blob stays to be read by the verb with blob().
questions() {
	while IFS= read -r q_verb; do
		IFS= read -r q_n || return 0
		set --
		while [ "$q_n" -gt 0 ]; do
			IFS= read -r q_line || return 0
			set -- "$@" "$q_line"
			q_n=$((q_n - 1))
		done
		IFS= read -r blob_bytes || return 0
		[ -z "$locked" ] || date +%s >"$state/lock.seen"
		case $q_verb in
		read | stream | lock | base | begin | save | put | chain | check | ours | how | note | recall | arm | switch | \
			watch | reload | restart | drop | keep | undo | back | status | key_make | key_put | key_public | key_sign | \
			challenge_put | challenge_drop | challenge_listen | challenge_hush)
			why=
			"verb_$q_verb" "$@"
			set -- $?
			[ "$1" -eq 0 ] || spoiled=1
			[ "$blob_bytes" -eq 0 ] || dd bs=1 count="$blob_bytes" >/dev/null 2>&1    # not wanted after all
			answer "$1" "$why"              # a verb that fails says why
			;;
		*)
			answer 127 "unknown verb"
			;;
		esac
	done
}

case ${1-} in
timer)
	timer "$2" "$3"
	;;
*)
	questions
	leave
	;;
esac
#mxseal end
