/* What the log that Postfix writes tells: who brought and took mail, and why deliveries to a domain failed. postfix_traffic.sh and
 * postfix_attempts.sh, each with postfix_log.sh in front, as commands that run on the host. */
#include <stdio.h>
#include <stdlib.h>

#include "mxseal/xalloc.h"
#include "postfix.h"
#include "postfix_attempts.inc"
#include "postfix_log.inc"
#include "postfix_traffic.inc"

/* So much of a log is looked through on a host: a gigabyte costs it about 12 s of one processor, half of that for packing what is sent,
 * and 100 MB on the wire (bench_maillog). */
#define TRAFFIC_BYTES (4LL * 1024 * 1024 * 1024)

static struct command *
read_log(const unsigned char *mem, size_t len, struct command_list *out)
{
	char *find = script_word(postfix_log, sizeof(postfix_log)), *rest = script_word(mem, len);
	struct command *c = command_add(out, "read the mail log", "sh", "-c", "t=$1; shift; eval \"$(printf %b \"$t\")\"", "mail", (char *)NULL);

	command_word(c, xasprintf("%s%s", find, rest));
	free(find);
	free(rest);
	return c;
}

void
postfix_traffic_command(int days, struct command_list *out)
{
	struct command *c = read_log(postfix_traffic, sizeof(postfix_traffic), out);

	command_word(c, xasprintf("%d", days));
	command_word(c, xasprintf("%lld", TRAFFIC_BYTES));
}

void
postfix_attempts_command(const char *domain, size_t bytes, struct command_list *out)
{
	struct command *c = read_log(postfix_attempts, sizeof(postfix_attempts), out);

	command_word(c, xstrdup(domain));
	command_word(c, xasprintf("%zu", bytes));
}
