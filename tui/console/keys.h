/* Keys as the views know them: characters are themselves (Unicode), the rest has a name. */
#ifndef TUI_CONSOLE_KEYS_H
#define TUI_CONSOLE_KEYS_H

#include <stdbool.h>

enum {
	K_CTRL_C = 3, K_CTRL_L = 12, K_ENTER = 13, K_CTRL_N = 14, K_CTRL_P = 16, K_CTRL_R = 18, K_CTRL_T = 20,
	K_CTRL_U = 21, K_CTRL_W = 23, K_CTRL_Z = 26, K_ESC = 27, K_TAB = 9, K_BACKSPACE = 127,
	K_FIRST_NAMED = 0x200000,       /* above Unicode */
	K_UP, K_DOWN, K_LEFT, K_RIGHT, K_PGUP, K_PGDN, K_HOME, K_END, K_DELETE, K_BACKTAB,
	K_PASTE_BEGIN, K_PASTE_END, K_PASTE,      /* PASTE: the text lies in app->paste */
	K_F1, K_F2, K_F3, K_F4, K_F5, K_F6, K_F7, K_F8, K_F9, K_F10,
	K_ALT_0, K_ALT_9 = K_ALT_0 + 9,
	K_DIGITS                        /* no key: names those from 1 on, where a view takes a digit as a choice */
};
#define K_CTRL(c) ((c) & 0x1f)

/* "Enter", "Ctrl-N", "P", "Space": lent, valid until the next call. */
const char *key_name(int key);
/* A key by its name, as tests write it ("Enter", "C-n", "F1"); 0 when there is none. */
int key_by_name(const char *name);
/* The command a key means where no text is typed: function keys to letters, and letters of Russian, Ukrainian, Greek and
 * Hebrew layouts to the Latin letter on the same key. */
int key_command(int key);
bool key_is_text(int key);

#endif
