/* Looking at the queue so that it costs what has changed: postfix_queue.sh as a command that runs on the host. */
#include <stdlib.h>

#include "postfix.h"
#include "mxseal/xalloc.h"
#include "postfix_queue.inc"

void
postfix_queue_command(const char *const *words, size_t n, struct command_list *out)
{
	struct command *c;
	size_t i;
	char *text = script_word(postfix_queue, sizeof(postfix_queue));

	c = command_add(out, "look at the queue", "sh", "-c", "t=$1; shift; eval \"$(printf %b \"$t\")\"", "queue", text, (char *)NULL);
	free(text);
	for (i = 0; i < n; i++)
		command_word(c, xstrdup(words[i]));
}
