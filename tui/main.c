/* Chooses a front end: the command line when there are words, else the console. */
#include "tui/command/command.h"

int
main(int argc, char **argv)
{
	return command_main(argc, argv);
}
