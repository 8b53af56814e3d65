/* Styles: eight colours on the terminal's own background, so that light and dark themes both stay readable; the selection
 * is reverse video. Without colour the same table gives bold and underline. */
#include <curses.h>
#include "tui/console/draw.h"

static const struct { short colour; attr_t attr, mono; } looks[STYLE_COUNT] = {
	[STYLE_NORMAL]   = { -1, A_NORMAL, A_NORMAL },
	[STYLE_TITLE]    = { -1, A_BOLD, A_BOLD },
	[STYLE_FRAME]    = { -1, A_NORMAL, A_NORMAL },
	[STYLE_KEY]      = { -1, A_BOLD, A_BOLD },
	[STYLE_LABEL]    = { -1, A_NORMAL, A_NORMAL },
	[STYLE_FAINT]    = { -1, A_NORMAL, A_NORMAL },
	[STYLE_SELECTED] = { -1, A_REVERSE, A_REVERSE },
	[STYLE_FOCUS]    = { -1, A_BOLD | A_UNDERLINE, A_BOLD | A_UNDERLINE },
	[STYLE_OK]       = { COLOR_GREEN, A_NORMAL, A_NORMAL },
	[STYLE_WARN]     = { COLOR_YELLOW, A_BOLD, A_BOLD },
	[STYLE_BAD]      = { COLOR_RED, A_BOLD, A_BOLD },
	[STYLE_UNKNOWN]  = { COLOR_MAGENTA, A_NORMAL, A_NORMAL },
	[STYLE_EDITED]   = { COLOR_CYAN, A_BOLD, A_BOLD },
	[STYLE_ADDED]    = { COLOR_GREEN, A_NORMAL, A_BOLD },
	[STYLE_REMOVED]  = { COLOR_RED, A_NORMAL, A_NORMAL },
};

static bool coloured;

void
style_open(bool colour)
{
	coloured = colour && has_colors() && start_color() == OK && use_default_colors() == OK;
	if (!coloured)
		return;
	for (int i = 0; i < STYLE_COUNT; i++)
		if (looks[i].colour >= 0)
			init_pair((short)(i + 1), looks[i].colour, -1);
}

void
style_set(enum style s)
{
	if (coloured)
		attr_set(looks[s].attr, (short)(looks[s].colour >= 0 ? s + 1 : 0), NULL);
	else
		attr_set(looks[s].mono, 0, NULL);
}

enum style
style_of_sign(char sign)
{
	switch (sign) {
	case '!': return STYLE_BAD;
	case '?': return STYLE_UNKNOWN;
	case '~': return STYLE_EDITED;
	case '+': return STYLE_OK;
	default: return STYLE_NORMAL;
	}
}
