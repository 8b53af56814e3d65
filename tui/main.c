/* Chooses a front end: the command line when there are words, else the console. */
#include <stdio.h>

#include "tui/version.h"

int
main(void)
{
	puts(program_version);
	return 0;
}
