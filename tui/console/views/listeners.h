/* What the main screen does to virtual servers: some of its actions. */
#ifndef TUI_CONSOLE_VIEWS_LISTENERS_H
#define TUI_CONSOLE_VIEWS_LISTENERS_H

#include "tui/console/views/main.h"

void act_new_listener(struct view *v);                 /* the dialog, on the selected row's server */
bool can_new_listener(const struct view *v);
/* Starts what is stopped, paused or to be removed; stops what runs. Asks where all mail would stop. */
void act_start_stop(struct view *v);
bool can_start_stop(const struct view *v);
void act_pause(struct view *v);
bool can_pause(const struct view *v);
/* "started", "paused", "stopped": how it is to run after the next push; or "removed". */
const char *listener_to_be(const struct vserver *vs);
void remove_listener(struct view *v, const struct node *n);

#endif
