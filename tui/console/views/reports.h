/* Reports of live looks as lines: used by the test of a destination and by the queue's diagnosis. */
#ifndef TUI_CONSOLE_VIEWS_REPORTS_H
#define TUI_CONSOLE_VIEWS_REPORTS_H

#include "tui/console/app.h"

void report_lines(const struct probe_report *r, int width, struct lines *out);

/* The conversation with each endpoint, line by line, as in a telnet. */
void transcript_lines(const struct probe_report *r, int width, struct lines *l);

#endif
