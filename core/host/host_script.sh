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
#     BOOT: LC_ALL=C sh -c 'echo "#ready"; s=$(dd bs=1 count=$1 2>/dev/null); case $s in *"#mxseal end") eval "$s";; *) exit 97;; esac' mxseal BYTES

export LC_ALL=C PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
umask 077

# A command and its whole output, both channels, as one section. Standard input is empty: it belongs to the asker.
section() {
	s_name=$1
	shift
	if s_out=$("$@" </dev/null 2>&1; s_rc=$?; echo "x$s_rc"); then :; fi
	s_rc=${s_out##*x}
	s_out=${s_out%x*}
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
		# shellcheck disable=SC2034  # a verb that takes a blob reads that many bytes: dd bs=1 count="$blob_bytes"
		IFS= read -r blob_bytes || return 0
		case $q_verb in
		read | stream)
			why=
			"verb_$q_verb" "$@"
			answer $? "$why"                # a verb that fails says why
			;;
		*)
			answer 127 "unknown verb"
			;;
		esac
	done
}

questions
#mxseal end
