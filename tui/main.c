/* Chooses a front end: the command line when there are words, else the console. */
#include <string.h>

#include "tui/command/command.h"
#include "tui/console/console.h"

int
main(int argc, char **argv)
{
	struct console_options o = { .store = NULL };

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
