/* How mail fares, read from the log that Postfix writes: postfix_watch.sh as a command that runs on the host while a push
 * waits. */
#include <stddef.h>
#include <stdlib.h>

#include "postfix.h"
#include "postfix_watch.inc"

void
watch_command(struct plan *p)
{
	char *text = script_word(postfix_watch, sizeof(postfix_watch));

	command_add(&p->watch, "watch the mail log", "sh", "-c", "t=$1; shift; eval \"$(printf %b \"$t\")\"", "mail", text,
	    (char *)NULL);
	free(text);
}
