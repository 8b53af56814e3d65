/* Who brought and who took mail, read from the log that Postfix writes: postfix_traffic.sh as a command that runs on the host. */
#include <stdio.h>
#include <stdlib.h>

#include "postfix.h"
#include "postfix_traffic.inc"

void
postfix_traffic_command(int days, struct command_list *out)
{
	char *text = script_word(postfix_traffic, sizeof(postfix_traffic)), number[16];

	snprintf(number, sizeof(number), "%d", days);
	command_add(out, "read the mail log", "sh", "-c", "t=$1; shift; eval \"$(printf %b \"$t\")\"", "mail", text, number, (char *)NULL);
	free(text);
}
