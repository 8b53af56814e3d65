#ifndef MXSEAL_TUI_VERSION_H
#define MXSEAL_TUI_VERSION_H

extern const char *const program_version;

#endif
