/* Chooses a front end: the command line when there are words, else the console. */
#include <string.h>
#include <sys/resource.h>

#include "tui/command/command.h"
#include "tui/console/console.h"

#define FILES_MAX 65536

/* Each host's connection is kept and takes three or more; a shell usually allows 1024, and more to who asks. */
static void
allow_many_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= FILES_MAX)
		return;
	l.rlim_cur = l.rlim_max < FILES_MAX ? l.rlim_max : FILES_MAX;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

int
main(int argc, char **argv)
{
	struct console_options o = { .store = NULL };

	allow_many_files();

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--ascii") == 0)
			o.ascii = true;
		else if (strcmp(argv[i], "--write") == 0)
			o.write = true;
		else if (strcmp(argv[i], "--read-only") == 0)
			o.read_only = true;
		else if (strncmp(argv[i], "--store=", 8) == 0)
			o.store = argv[i] + 8;
		else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc)
			o.store = argv[++i];
		else
			return command_main(argc, argv);
	}
	return console_main(&o);
}
