/* The Postfix driver: which commands are run on a host, and the list of its functions. What they make of the answers
 * stands in postfix_read.c, what is changed in postfix_plan.c. Fixed texts only: nothing from a host or a person is
 * ever put into them. */
#include <ctype.h>
#include <string.h>

#include "postfix_way.h"

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(text) ARGV("sh", "-c", text)

#define VERSION { "version", SH("postconf -h mail_version 2>/dev/null") }

/* A file of the configuration as the last push that was kept, or waits, left it: from the host's own record. */
#define PUSHED(file) SH("f=$(readlink -f \"$(postconf -h config_directory 2>/dev/null)/" file "\"); cd /var/lib/mxseal 2>/dev/null && " \
    "for n in $(awk '{ s[$2] = $3 } END { for (n in s) if (s[n] == \"kept\" || s[n] == \"switched\") print n }' journal 2>/dev/null | sort -rn); do " \
    "for e in \"$n\"/f/*; do if [ -f \"$e/new\" ] && [ \"$(head -n 1 \"$e/live\")\" = \"$f\" ]; then cat \"$e/new\"; exit 0; fi; done; done; true")

static const struct host_cmd detect[] = {
	VERSION,
	{ "complaint", SH("postconf -h mail_version 2>&1 >/dev/null | sed -n 's/^postconf: fatal: //p'") },
	{ NULL, NULL }
};

/* Data and complaints apart: postconf writes both at once, and a complaint may land in the middle of a line. */
static const struct host_cmd look[] = {
	VERSION,
	{ "config_dir", SH("postconf -h config_directory 2>/dev/null") },
	{ "main.cf", SH("cat \"$(postconf -h config_directory 2>/dev/null)/main.cf\"") },
	{ "master.cf", SH("cat \"$(postconf -h config_directory 2>/dev/null)/master.cf\"") },
	{ "defaults", SH("postconf -d 2>/dev/null") },
	{ "expanded", SH("postconf -x myhostname mydomain syslog_name smtpd_relay_restrictions smtpd_recipient_restrictions 2>/dev/null") },
	{ "warnings", SH("postconf -n 2>&1 >/dev/null; postconf -M 2>&1 >/dev/null") },
	{ "hostname", ARGV("hostname") },
	{ "os", ARGV("cat", "/etc/os-release") },
	{ "resolv", ARGV("cat", "/etc/resolv.conf") },
	{ "tools", SH("for t in openssl awk bash setpriv; do command -v $t; done; true") },
	{ "addresses", ARGV("hostname", "-I") },
	{ "sockets", SH("ss -H -ltnp 2>/dev/null") },
	{ "now", ARGV("date", "+%s") },
	{ "units", ARGV("systemctl", "show", "-p", "Id", "-p", "SubState", "postfix@-.service", "postfix.service") },
	{ "ca", SH("for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem "
	    "/etc/ssl/cert.pem; do if [ -s $f ]; then echo $f; fi; done") },
	{ "ours", SH("find /etc/mxseal -type f -exec sha256sum {} + 2>/dev/null") },
	{ "pushed.main.cf", PUSHED("main.cf") },
	{ "pushed.master.cf", PUSHED("master.cf") },
	{ "generations", SH("ls -1 /etc/mxseal /var/lib/mxseal 2>/dev/null") },
	{ "keys", SH("for f in /var/lib/mxseal/keys/*; do if [ -f \"$f\" ]; then echo \"key $f\"; "
	    "openssl pkey -in \"$f\" -pubout -passin pass: 2>/dev/null; fi; done") },
	{ "sasl", SH("ls -1 /usr/lib/sasl2 /usr/lib64/sasl2 /usr/lib/*/sasl2 /usr/local/lib/sasl2 2>/dev/null; true") },
	{ "modes", SH("stat -c '%a %U:%G %n' /var/lib/mxseal /var/lib/mxseal/keys /var/lib/mxseal/keys/* /etc/mxseal /etc/mxseal/* "
	    "2>/dev/null; true") },
	{ "instances", SH("postconf -h multi_instance_directories 2>/dev/null") },
	{ "queue", SH("cd \"$(postconf -h queue_directory 2>/dev/null)\" && "
	    "find active deferred hold incoming maildrop -type f 2>/dev/null | wc -l") },
	{ NULL, NULL }
};

static bool
is_here(const struct sections *s)
{
	const char *version = section_text(s, "version");

	return version && isdigit((unsigned char)version[0]) && strchr(version, '.');
}

static const char *
complaint(const struct sections *s)
{
	const char *text = section_text(s, "complaint");

	return text && *text ? text : NULL;
}

static const char *const queue_argv[] = { "postqueue", "-j", NULL };

const struct mailsys mailsys_postfix = {
	.name = "postfix", .title = "Postfix",
	.detect = detect, .look = look, .is_here = is_here, .complaint = complaint,
	.more = files_more, .read = postfix_read,
	.native = map_native_lines, .declines = map_declines,
	.plan = postfix_plan, .touched = postfix_touched,
	.queue_argv = queue_argv, .queue_look = postfix_queue_command,
	.traffic = postfix_traffic_command, .attempts = postfix_attempts_command,
	.way = postfix_way, .dead = postfix_dead,
};
