/* Chooses a front end: the command line when there are words, else the console. */
#include <string.h>

#include "tui/command/command.h"
#include "tui/console/console.h"

int
main(int argc, char **argv)
{
	const char *store = NULL;
	bool ascii = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--ascii") == 0)
			ascii = true;
		else if (strncmp(argv[i], "--store=", 8) == 0)
			store = argv[i] + 8;
		else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc)
			store = argv[++i];
		else
			return command_main(argc, argv);
	}
	return console_main(store, ascii);
}
