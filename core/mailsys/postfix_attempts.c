/* Why deliveries to a domain failed, read from the log that Postfix writes: postfix_attempts.sh as a command that runs on the
 * host. */
#include <stdio.h>
#include <stdlib.h>

#include "postfix.h"
#include "postfix_attempts.inc"

void
postfix_attempts_command(const char *domain, size_t bytes, struct command_list *out)
{
	char *text = script_word(postfix_attempts, sizeof(postfix_attempts)), number[24];

	snprintf(number, sizeof(number), "%zu", bytes);
	command_add(out, "read the mail log", "sh", "-c", "t=$1; shift; eval \"$(printf %b \"$t\")\"", "mail", text, domain, number,
	    (char *)NULL);
	free(text);
}
