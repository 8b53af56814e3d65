/* What this program is: one place for its name and version. */
#include "tui/version.h"

const char *const program_version = "mxseal " MXSEAL_VERSION;
