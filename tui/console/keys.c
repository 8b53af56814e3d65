/* Names of keys, and keys by position for layouts that are not Latin. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>
#include <wctype.h>
#include "tui/console/keys.h"

static const struct { const char *name; int key; } names[] = {
	{ "Enter", K_ENTER }, { "Tab", K_TAB }, { "Esc", K_ESC }, { "Space", ' ' }, { "Backspace", K_BACKSPACE },
	{ "Up", K_UP }, { "Down", K_DOWN }, { "Left", K_LEFT }, { "Right", K_RIGHT }, { "PgUp", K_PGUP },
	{ "PgDn", K_PGDN }, { "Home", K_HOME }, { "End", K_END }, { "Del", K_DELETE }, { "S-Tab", K_BACKTAB },
	{ "F1", K_F1 }, { "F2", K_F2 }, { "F3", K_F3 }, { "F4", K_F4 }, { "F5", K_F5 }, { "F6", K_F6 }, { "F7", K_F7 },
	{ "1-9", K_DIGITS }, { "F8", K_F8 }, { "F9", K_F9 }, { "F10", K_F10 },
	{ NULL, 0 }
};

/* The letters q..m in the order of the keyboard, and what other layouts have there. */
static const wchar_t latin[] = L"qwertyuiopasdfghjklzxcvbnm";
static const wchar_t *const layouts[] = {
	L"йцукенгшщзфывапролдячсмить",
	L"йцукенгшщзфівапролдячсмить",
	L";ςερτυθιοπασδφγηξκλζχψωβνμ",
	L"/'קראטוןםפשדגכעיחלךזסבהנמצ",
	NULL
};

const char *
key_name(int key)
{
	static char out[16];

	for (int i = 0; names[i].name != NULL; i++)
		if (names[i].key == key)
			return names[i].name;
	if (key > 0 && key < 32)
		snprintf(out, sizeof(out), "Ctrl-%c", key + '@');
	else if (key >= K_ALT_0 && key <= K_ALT_9)
		snprintf(out, sizeof(out), "Alt-%d", key - K_ALT_0);
	else if (key < 128)
		snprintf(out, sizeof(out), "%c", key);
	else
		out[0] = '\0';
	return out;
}

int
key_by_name(const char *name)
{
	for (int i = 0; names[i].name != NULL; i++)
		if (strcasecmp(names[i].name, name) == 0)
			return names[i].key;
	if ((strncasecmp(name, "C-", 2) == 0 || strncasecmp(name, "M-", 2) == 0) && name[2] != '\0' && name[3] == '\0')
		return name[0] == 'C' || name[0] == 'c' ? K_CTRL(name[2]) : K_ALT_0 + name[2] - '0';
	return 0;
}

int
key_command(int key)
{
	static const int letters[] = { '?', 'e', K_ENTER, '/', 'r', 'o', '!', 'd', ':', 'q' };

	if (key >= K_F1 && key <= K_F10)
		return letters[key - K_F1] != 0 ? letters[key - K_F1] : key;
	if (key < 128 || key >= K_FIRST_NAMED)
		return key;
	wchar_t lower = (wchar_t)towlower((wint_t)key);
	for (int i = 0; layouts[i] != NULL; i++) {
		const wchar_t *p = wcschr(layouts[i], lower);
		if (p != NULL && lower >= 128) {
			int c = (int)latin[p - layouts[i]];
			return lower == (wchar_t)key ? c : c - 'a' + 'A';
		}
	}
	return key;
}

bool
key_is_text(int key)
{
	return key >= 32 && key != K_BACKSPACE && key < K_FIRST_NAMED;
}
