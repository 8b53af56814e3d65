# mxseal's trial run of a Postfix configuration: the staged copy is started on its own host as a throw-away instance before
# anything live is touched. Fixed text, POSIX sh, run as root by the push's check of this name; values are words and stay data.
#
#     TEXT STAGED LIVE CLIENT SASL WORD...
#                                  the staged directory and the live one; the client service that a message is to leave by; a
#                                  socket in the queue directory where passwords are asked for; - for none; then, from the
#                                  planner (postfix_shadow.c), in any order:
#     main LINE                    a line of main.cf that stands over the staged ones
#     service LINE                 a line of master.cf
#     listen LABEL HOW SHA256 NAMES ADDRESS PORT COMMAND
#                                  a listener: "smtpd -o ..."; HOW: starttls, implicit, none (TLS is off), any (TLS or not); the leaf it is
#                                  to serve, the names it is to serve it for (with commas between), where the live one is;
#                                  - for nothing
#
# Everything lies in one directory. Listeners are on the loopback address, on ports nobody uses. Mail for anybody goes to a
# listener of the instance itself, which throws it away. Nothing of it outlives this shell, however that ends: another
# process waits for the end of it, ends what runs in that directory and removes it; and Postfix ends itself after $life.
# The answer is a sentence on standard output. It never says "warning:" or the like: that would be a complaint of a tool.

# "A && B || refuse" is meant as it stands: refuse does not return.
# shellcheck disable=SC2015

umask 022
export LC_ALL=C PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
life=120
place=/var/lib
tab='	' nl='
'

# Ends, and not before everything is gone.
finish() {
	exec 8>&- 2>/dev/null                     # bash tells of every process that was ended
	wait
	exit "$1"
}

refuse() {
	printf '%s\n' "$1"
	finish 1
}

# Processes that run in this directory; all of Postfix does.
inmates() {
	# shellcheck disable=SC2010 # one process for all of /proc
	ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -F " -> $1/" | sed 's|.* /proc/\([0-9]*\)/cwd -> .*|\1|'
}

# clean_up DIRECTORY: nothing of it is left then.
clean_up() {
	cu=0
	while [ -d "$1" ] && [ $cu -lt 50 ]; do
		cu_pids=$(inmates "$1")
		# shellcheck disable=SC2086 # numbers
		[ -z "$cu_pids" ] || kill -9 $cu_pids 2>/dev/null
		rm -rf "$1" 2>/dev/null
		[ -n "$cu_pids" ] || [ -d "$1" ] || break
		cu=$((cu + 1))
		sleep 0.1 2>/dev/null || sleep 1
	done
	cu_pids=$(inmates "$1")
	# shellcheck disable=SC2086
	[ -z "$cu_pids" ] || kill -9 $cu_pids 2>/dev/null
}

# wait_and_clean DIRECTORY: until nobody holds the other end of its pipe.
wait_and_clean() {
	trap '' HUP INT TERM PIPE
	exec 7<"$1/life" 8>&-
	read -r _ <&7
	exec 7<&-
	clean_up "$1"
}

# A command that must not keep this shell's end of the pipe.
apart() {
	"$@" 8>&- </dev/null
}

conf() {
	postconf -c "$staged" -h "$1" 2>/dev/null
}

# --- where it stands

# A leftover is one whose pipe nobody holds: the host was switched off, or everything killed at once.
sweep() {
	for sw in "$place"/mxseal-shadow.*; do
		[ ! -d "$sw" ] || clean_up "$sw"
	done
}

make_place() {
	sweep
	d=$place/mxseal-shadow.$$
	owner=$(conf mail_owner) group=$(conf setgid_group) daemons=$(conf daemon_directory)
	[ -n "$owner" ] && [ -x "$daemons/master" ] || refuse "the trial run cannot begin: Postfix does not say where its programs are"
	mkdir -m 0700 "$d" && mkfifo -m 0600 "$d/life" || refuse "the trial run cannot begin: there is no room in $place"
	exec 8<>"$d/life"
	if command -v setsid >/dev/null 2>&1; then
		# shellcheck disable=SC2016 # expanded by that shell
		setsid sh -c 'eval "$(printf %b "$1")"' mxseal-shadow "$text" clean "$d" </dev/null >/dev/null 2>&1 &
	else
		wait_and_clean "$d" </dev/null >/dev/null 2>&1 &
	fi
	mkdir "$d/conf" "$d/queue" "$d/data" && chgrp "$(id -gn "$owner")" "$d" && chmod 0710 "$d" && chown "$owner" "$d/data" &&
		chmod 0700 "$d/data" || refuse "the trial run cannot begin: there is no room in $place"
	for mp in incoming active deferred bounce defer flush saved corrupt hold trace private public maildrop pid; do
		mkdir -m 0700 "$d/queue/$mp"
	done
	chown "$owner" "$d"/queue/*
	chown root "$d/queue/pid"
	chgrp "$group" "$d/queue/public" "$d/queue/maildrop"
	chmod 0755 "$d/queue/pid"
	chmod 0710 "$d/queue/public"
	chmod 0730 "$d/queue/maildrop"
}

# Links are followed to their end: the way through the staged copy is open to root only.
copy_conf() {
	for cc in "$staged"/* "$staged"/.[!.]*; do
		case ${cc##*/} in
		main.cf | master.cf) ;;
		*)
			if [ -L "$cc" ]; then
				ln -s "$(readlink -f "$cc")" "$d/conf/${cc##*/}"
			elif [ -e "$cc" ]; then
				cp -pR "$cc" "$d/conf/${cc##*/}"
			fi
			;;
		esac
	done
}

# --- ports

port_free() {
	pf=$(printf ':%04X ' "$1")
	! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*$pf"
}

next_port() {
	while :; do
		port=$((port + 1))
		port_free "$port" && return
	done
}

# --- what the words say

# main.cf on standard input without what assigns the names given: Postfix complains about what is assigned twice.
without() {
	awk -v names="$*" 'BEGIN { n = split(names, list, " "); for (i = 1; i <= n; i++) drop[list[i]] = 1 }
		/^[ \t]/ { if (!dropping) print; next }
		/^#/ || /^$/ { print; next }
		{ name = $0; sub(/[ \t]*=.*/, "", name); dropping = name in drop; if (!dropping) print }'
}

write_conf() {
	names=
	for word; do
		case $word in [a-z]*_*' ='*) names="$names ${word%% *}" ;; relayhost' ='*) names="$names relayhost" ;; esac
	done
	{
		# shellcheck disable=SC2086 # names
		without $names queue_directory data_directory process_id_directory maillog_file maillog_file_prefixes transport_maps \
			<"$staged/main.cf"
		cat <<-END_OF_MAIN

			queue_directory = $d/queue
			data_directory = $d/data
			process_id_directory = pid
			maillog_file = $d/log
			maillog_file_prefixes = $d
			transport_maps = static:${client:-discard}:[127.0.0.1]:$sink
		END_OF_MAIN
	} >"$d/conf/main.cf"
	cat >"$d/conf/master.cf" <<-END_OF_MASTER
		postlog unix-dgram n - n - 1 postlogd
		pickup unix n - n 60 1 pickup -o receive_override_options=no_address_mappings,no_header_body_checks,no_milters
		127.0.0.1:$sink inet n - n - - smtpd
		  -o smtpd_client_restrictions= -o smtpd_helo_restrictions= -o smtpd_sender_restrictions= -o mynetworks=127.0.0.0/8
		  -o smtpd_relay_restrictions=permit_mynetworks,reject -o smtpd_recipient_restrictions=permit_mynetworks,reject
		  -o smtpd_data_restrictions= -o smtpd_end_of_data_restrictions=check_client_access,static:DISCARD
		  -o smtpd_milters= -o smtpd_proxy_filter= -o content_filter= -o smtpd_upstream_proxy_protocol=
		  -o smtpd_sasl_auth_enable=no -o smtpd_reject_unlisted_recipient=no -o smtpd_reject_unlisted_sender=no
		  -o smtpd_discard_ehlo_keyword_address_maps= -o smtpd_discard_ehlo_keywords= -o smtpd_helo_required=no
		  -o receive_override_options=no_address_mappings,no_header_body_checks,no_milters -o myhostname=mxseal-shadow.invalid
		  -o smtpd_tls_security_level=may -o smtpd_tls_wrappermode=no -o smtpd_tls_chain_files=$d/sink.pem
		  -o smtpd_tls_protocols= -o smtpd_tls_ciphers=medium -o smtpd_tls_exclude_ciphers= -o smtpd_tls_ask_ccert=no
		  -o smtpd_tls_req_ccert=no -o smtpd_tls_CAfile= -o smtpd_tls_CApath= -o tls_server_sni_maps= -o syslog_name=sink
	END_OF_MASTER
	: >"$d/listen"
	n=0
	while [ $# -ge 2 ]; do
		case $1 in
		main) printf '%s\n' "$2" >>"$d/conf/main.cf" ;;
		service) printf '%s\n' "$2" >>"$d/conf/master.cf" ;;
		listen)
			next_port
			n=$((n + 1))
			printf '%s\n' "$2$tab$3$tab$4$tab$5$tab$6$tab$7$tab$port" >>"$d/listen"
			case $8 in postscreen*) max=1 ;; *) max=- ;; esac
			printf '%s\n' "127.0.0.1:$port inet n - n - $max $8 -o syslog_name=listen$n" >>"$d/conf/master.cf"
			shift 6
			;;
		esac
		shift 2
	done
	# Postfix waits and reads again what was written less than two seconds ago
	touch -t 200001010000 "$d/conf/main.cf" "$d/conf/master.cf"
	[ -z "$sasl" ] || ln -s "$(conf queue_directory)/$sasl" "$d/queue/$sasl"
}

sink_certificate() {
	apart openssl req -x509 -newkey rsa:2048 -nodes -keyout "$d/sink.key" -out "$d/sink.crt" -days 2 \
		-subj /CN=mxseal-shadow.invalid >/dev/null 2>&1 && cat "$d/sink.key" "$d/sink.crt" >"$d/sink.pem"
}

# --- what its log says

# The first line of the log with one of these, without what stands before the words, as a part of a sentence.
said() {
	[ -f "$d/log" ] || return 1
	sd_text=$(grep -E -- "$1" "$d/log" | grep -v -E '(smtpd|master)\[[0-9]*\]: warning: (process|.*bad command startup|Both smtpd_tls)' | head -n 1 |
		sed -e 's/^.*\[[0-9]*\]: //' -e 's/\(fatal\|panic\|error\|warning\): //g' -e "s|$d/conf|$live|g" -e "s|$d/||g" |
		tr -c '[:print:]' ' ' | cut -c 1-400 | sed 's/ *$//')
	[ -n "$sd_text" ]
}

# Where that comes from: a name in the text that is assigned in the staged files, and whether the live ones say it too.
whence() {
	for wh in $(printf '%s\n' "$1" | tr -c 'A-Za-z0-9_/.-' '\n' | grep -e _ -e '^/' | head -n 20); do
		for wh_file in main.cf master.cf; do
			case $wh in
			/*) wh_line=$(grep -v '^[[:space:]]*#' -n "$staged/$wh_file" | grep -F -e "$wh" | head -n 1) ;;
			*) wh_line=$(grep -n -E "^([^#]*[[:space:]{])?${wh}[[:space:]]*=" "$staged/$wh_file" | tail -n 1) ;;
			esac
			[ -n "$wh_line" ] || continue
			wh_live=$(grep -n -F -x -e "${wh_line#*:}" "$live/$wh_file" | head -n 1)
			if [ -n "$wh_live" ]; then
				printf ' (it stands in the host'\''s own %s, line %s)' "$live/$wh_file" "${wh_live%%:*}"
			else
				printf ' (%s of this plan, line %s)' "$wh_file" "${wh_line%%:*}"
			fi
			return
		done
	done
}

# not_good WHAT PATTERN [HINT]: refuses, with the reason from the log where there is one; the pattern names a program first.
not_good() {
	sleep 0.3 2>/dev/null || sleep 1          # the log is written by another process
	if said "${2%/*}/.*($serious)" || said "$2" || said "$serious"; then
		ng=$sd_text
		said "${2%/*}/.*TLS library problem" && sd_text=$(printf '%s\n' "$sd_text" | sed -n 's/.*::\([^:]*\):.*/ (\1)/p') || sd_text=
		refuse "$1: $ng$sd_text$(whence "$ng")"
	fi
	refuse "$1: ${3:-its log says nothing}"
}

serious='fatal:|panic:|disabling TLS|cannot load|cannot get|error loading|No server certs|not enough memory|open .*: No such file|unsupported dictionary|unknown .*restriction|invalid TLS|invalid .*protocol|invalid .*cipher|TLS not available|TLS context'

# --- the run

start() {
	env -i PATH="$PATH" LC_ALL=C "$daemons/master" -c "$d/conf" -e $life </dev/null >"$d/out" 2>&1 8>&- &
	master=$!
	st=0
	until grep -q 'daemon started' "$d/log" 2>/dev/null; do
		st=$((st + 1))
		if [ $st -gt 100 ] || ! kill -0 $master 2>/dev/null; then
			said 'fatal:' || said . || sd_text=$(tail -n 1 "$d/out" | sed 's/\(fatal\|panic\|error\|warning\): //g')
			refuse "the trial run does not start: ${sd_text:-its log says nothing}$(whence "$sd_text")"
		fi
		sleep 0.1 2>/dev/null || { sleep 1; st=$((st + 9)); }
	done
}

# look HOW ADDRESS PORT NAME: sets seen to tls; mute (TLS, and then nothing more); greets (no STARTTLS); broken (STARTTLS, but no
# handshake); nothing. leaf: what was served; links: the names of the chain that was sent, "s:" and "i:" by turns.
look() {
	lo_options='-showcerts -ign_eof'
	[ "$1" = implicit ] || lo_options="$lo_options -starttls smtp"
	[ -z "$4" ] || lo_options="$lo_options -servername $4"
	# shellcheck disable=SC2086 # words of ours; names are checked before
	lo_out=$(printf 'QUIT\r\n' | timeout 8 openssl s_client $lo_options -connect "$2:$3" 2>&1 8>&-)
	leaf='' links='' seen=nothing
	case $lo_out in
	*"in server response"*) seen=greets ;;
	*"Cipher is (NONE)"*) seen=broken ;;
	*"Cipher is "*)
		seen=mute
		case $lo_out in *"${nl}221"*) seen=tls ;; esac
		leaf=$(printf '%s\n' "$lo_out" | openssl x509 -outform DER 2>/dev/null | sha256sum)
		leaf=${leaf%% *}
		links=$(printf '%s\n' "$lo_out" | sed -n -e 's/^ *[0-9]* s:\(.*\)/s:\1/p' -e 's/^ *i:\(.*\)/i:\1/p')
		;;
	*CONNECTED*) seen=broken ;;
	esac
}

# As people and mail hosts see it: the greeting and the answer to EHLO. Only bash has sockets. Takes the place of its shell.
dialog() { # ADDRESS PORT
	# shellcheck disable=SC2016 # expanded by bash
	exec timeout 8 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit
		echo connected; words() { while IFS= read -r -t 7 l <&3; do printf "%s\n" "$l"; case $l in ???-*) ;; *) return 0 ;; esac; done; return 1; }
		words || exit; printf "EHLO mxseal-shadow.invalid\r\n" >&3; words; printf "QUIT\r\n" >&3; words' "$1" "$2" </dev/null 2>/dev/null 8>&-
}

# The same, but not longer than until the log says that the process ended.
watched() { # ADDRESS PORT LOG-NAME
	dialog "$1" "$2" >"$d/said" &
	wa=$!
	while kill -0 $wa 2>/dev/null; do
		! grep -E -q "$3/.*(fatal|panic):" "$d/log" 2>/dev/null || { kill $wa; break; }
		sleep 0.1 2>/dev/null || sleep 1
	done
	cat "$d/said"
}

# What is wrong with the greeting, as a sentence in wrong; empty: nothing.
greeting() { # HOW ADDRESS PORT [LOG-NAME]
	wrong=''
	if ! command -v bash >/dev/null 2>&1; then
		look "$1" "$2" "$3" ''
		[ "$seen" != nothing ] || wrong='is not there'
		return
	fi
	if [ -n "${4-}" ]; then
		gr=$(watched "$2" "$3" "$4")
	else
		gr=$(dialog "$2" "$3")
	fi
	gr_first=$(printf '%s\n' "$gr" | sed -n 2p | tr -c '[:print:]' ' ' | cut -c 1-150)
	case $1.$gr in
	*.connected${nl}220*250*) ;;
	*.connected${nl}220*) wrong='greets, but does not answer EHLO' ;;
	*.connected*) wrong="does not greet${gr_first:+, it says \"${gr_first% }\"}" ;;
	*) wrong='is not there' ;;
	esac
	case $1.$gr in
	none.connected*250[-\ ]STARTTLS*) wrong=${wrong:-still offers STARTTLS} ;;
	starttls.connected*STARTTLS* | none.* | any.*) ;;
	*) wrong=${wrong:-does not offer STARTTLS} ;;
	esac
}

# Each certificate that is sent must be followed by its issuer's. One that is sent alone, by an issuer that this host does
# not know and that can be had elsewhere by its own word, was meant to be followed by it.
chain_wrong() { # after look
	cw_issuer=
	while IFS= read -r cw; do
		case $cw in
		s:*) [ -z "$cw_issuer" ] || [ "$cw_issuer" = "${cw#s:}" ] || { wrong='sends its certificates in the wrong order'; return; } ;;
		i:*) cw_issuer=${cw#i:} ;;
		esac
	done <<-END_OF_LINKS
		$links
	END_OF_LINKS
	[ "$(printf '%s\n' "$links" | grep -c '^s:')" = 1 ] || return
	printf '%s\n' "$lo_out" | sed -n '/BEGIN CERT/,/END CERT/p' >"$d/served"
	apart openssl verify "$d/served" 2>&1 | grep -q 'error 2[01] ' || return
	openssl x509 -in "$d/served" -noout -text 2>/dev/null | grep -q 'CA Issuers - URI:http' || return
	wrong='does not send the certificate of its issuer: the chain is too short'
}

# What TLS with this name shows.
handshake() { # HOW ADDRESS PORT NAME
	wrong=''
	look "$@"
	case $seen in
	tls) chain_wrong ;;
	mute) wrong='does TLS, but answers nothing more' ;;
	*) wrong="does no TLS${4:+ for the name $4}" ;;
	esac
}

# What is as wrong with the live listener already is no reason to refuse: nothing gets worse.
as_bad_live() { # HOW ADDRESS PORT greeting|handshake
	ab=$wrong
	case $2 in
	-) return 1 ;;
	*:*) set -- "$1" "[$2]" "$3" "$4" ;;
	esac
	if [ "$4" = greeting ]; then
		greeting "$1" "${2#[}" "$3"
	else
		handshake "$1" "$2" "$3" ''
		[ "$seen" != nothing ] && [ "$seen" != greets ] || wrong=
	fi
	[ "$wrong" = "$ab" ] && [ "$wrong" != 'is not there' ] && return
	wrong=$ab
	return 1
}

try_listener() { # NUMBER LABEL HOW SHA256 NAMES ADDRESS PORT TRIAL-PORT
	tl_n=$1 tl_label=$2 tl_how=$3 tl_sha=$4 tl_live=$6 tl_live_port=$7 tl_port=$8
	if [ "$3" != implicit ]; then
		greeting "$3" 127.0.0.1 "$8" "listen$1"
		case $wrong in
		'') ;;
		*) as_bad_live any "$6" "$7" greeting || not_good "listener $2 $wrong in the trial run" "listen$1/.*(fatal|panic):" ;;
		esac
	fi
	case $3 in none | any) return ;; esac
	IFS=,
	# shellcheck disable=SC2086 # a list with commas
	set -- $5
	IFS=$ifs
	for tl_name; do
		case $tl_name in
		-) tl_name= ;;
		*[!A-Za-z0-9._-]* | -*) continue ;;
		esac
		handshake "$tl_how" 127.0.0.1 "$tl_port" "$tl_name"
		tl_leaf=$leaf
		tl_hint=$(printf '%s\n' "$lo_out" | grep -i -E 'error|alert' | head -n 1 | sed 's/error:/error /g' | tr -c '[:print:]' ' ' | cut -c 1-160)
		if [ -n "$wrong" ]; then
			as_bad_live "$tl_how" "$tl_live" "$tl_live_port" handshake && continue
			case $wrong in
			'does no TLS'* | *'nothing more') not_good "listener $tl_label $wrong in the trial run" "listen$tl_n/.*(warning|fatal):" "$tl_hint" ;;
			esac
			refuse "listener $tl_label $wrong"
		fi
		case ,$tl_sha, in
		,-, | *",$tl_leaf,"*) ;;
		*) refuse "listener $tl_label serves another certificate in the trial run${tl_name:+ for the name $tl_name} ($(printf %.16s "$tl_leaf")..., wanted $(printf %.16s "$tl_sha")...)" ;;
		esac
	done
}

# The names of an SNI map are those that its owner wants served.
sni_names() {
	sn_maps=$(conf tls_server_sni_maps | tr ',' ' ')
	for sn in $sn_maps; do
		apart postmap -c "$d/conf" -s "$sn" 2>/dev/null | sed 's/[[:space:]].*//' | grep '^[A-Za-z0-9]' | head -n 20
	done | tr '\n' ','
}

try_listeners() {
	n=0
	sni=$(sni_names)
	while IFS="$tab" read -r label how sha names address live_port trial <&6; do
		n=$((n + 1))
		try_listener "$n" "$label" "$how" "$sha" "$names" "$address" "$live_port" "$trial"
		[ -z "$sni" ] || try_listener "$n" "$label" "$how" - "${sni%,}" "$address" "$live_port" "$trial"
	done 6<"$d/listen"
}

# A message through all of it: dropped in, queued, sent by the client with its TLS settings, taken in again and thrown away.
try_message() {
	printf 'Subject: trial run\n\nThis message goes nowhere.\n' |
		env -i PATH="$PATH" LC_ALL=C MAIL_CONFIG="$d/conf" "$(conf sendmail_path)" -i -f '<>' nobody@mxseal-shadow.invalid \
			>"$d/out" 2>&1 8>&- || {
		sd_text=$(tail -n 1 "$d/out" | sed 's/\(fatal\|panic\|error\|warning\): //g')
		refuse "the trial run takes no message: $sd_text$(whence "$sd_text")"
	}
	tm=0
	while [ $tm -lt 120 ]; do
		grep -q "to=<nobody@mxseal-shadow.invalid>.*status=sent" "$d/log" 2>/dev/null && break
		! grep -E -q "/(smtp|$client|cleanup|qmgr|trivial-rewrite|tlsmgr)\\[.*(fatal|panic):" "$d/log" 2>/dev/null ||
			not_good "no message leaves in the trial run" "/($client|smtp|cleanup|qmgr|trivial-rewrite|tlsmgr)\\[.*(fatal|panic):"
		! grep -q "to=<nobody@mxseal-shadow.invalid>.*status=bounced" "$d/log" || break
		tm=$((tm + 1))
		sleep 0.1 2>/dev/null || { sleep 1; tm=$((tm + 9)); }
	done
	grep -q "to=<nobody@mxseal-shadow.invalid>.*status=sent" "$d/log" || {
		sd_text=$(grep 'to=<nobody@mxseal-shadow.invalid>' "$d/log" | tail -n 1 | sed 's/.*status=//' | cut -c 1-300)
		not_good "no message leaves in the trial run" '(smtp|cleanup|qmgr|trivial-rewrite)\[.*(warning|fatal):' "$sd_text"
	}
	! said "/(smtp|$client)\\[[0-9]*\\]: (cannot load|.*disabling TLS|warning: .*(invalid|unknown TLS|unsupported))" ||
		refuse "mail leaves without TLS in the trial run: $sd_text$(whence "$sd_text")"
}

# --- both processes

text=$1
shift
if [ "${1-}" = clean ]; then
	wait_and_clean "$2"
	exit 0
fi
staged=$1 live=$2 client=${3#-} sasl=${4#-} ifs=$IFS
shift 4
port=$((20000 + $$ % 10000))
next_port
sink=$port
make_place
copy_conf
sink_certificate || refuse "the trial run cannot begin: openssl makes no certificate"
write_conf "$@"
start
try_listeners
[ -z "$client" ] || try_message
echo "the trial run took $n listeners${client:+ and a message}"
finish 0
