/* The error value and THE TABLE of codes: name for JSON, title of a message box, exit status promised to scripts. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mxseal/err.h"

static const struct {
	const char *name, *title;
	int status;
} codes[RC_COUNT] = {
	[RC_OK]          = { "ok",           "Done",                         0 },
	[RC_FINDINGS]    = { "findings",     "There is something to report", 1 },
	[RC_USAGE]       = { "usage",        "The command is wrong",         2 },
	[RC_INVALID]     = { "invalid",      "This value is refused",        2 },
	[RC_NOTFOUND]    = { "not-found",    "There is no such thing",       2 },
	[RC_EXISTS]      = { "exists",       "The name is taken",            2 },
	[RC_NET]         = { "network",      "Not reached",                  3 },
	[RC_TIMEOUT]     = { "timeout",      "No answer in time",            3 },
	[RC_AUTH]        = { "auth",         "Login refused",                3 },
	[RC_PASSWORD]    = { "password",     "A password is needed",         3 },
	[RC_PASSPHRASE]  = { "passphrase",   "A passphrase is needed",       4 },
	[RC_HOSTKEY_NEW] = { "hostkey-new",  "Unknown host key",             4 },
	[RC_HOSTKEY]     = { "hostkey",      "Host key refused",             4 },
	[RC_SUDO]        = { "sudo",         "Root is out of reach",         3 },
	[RC_NOMAIL]      = { "no-mail",      "No mail system found",         7 },
	[RC_CONFLICT]    = { "conflict",     "Changed meanwhile",            4 },
	[RC_LOCKED]      = { "locked",       "Somebody else is at work",     4 },
	[RC_READ_ONLY]   = { "read-only",    "Read-only",                    4 },
	[RC_CERT]        = { "certificate",  "The certificate does not fit", 4 },
	[RC_CHECK]       = { "check",        "A check failed",               4 },
	[RC_UNDONE]      = { "undone",       "Undone",                       5 },
	[RC_UNKNOWN]     = { "unknown",      "STATE UNKNOWN",                6 },
	[RC_TLS]         = { "tls",          "TLS failed",                   7 },
	[RC_REMOTE]      = { "remote",       "A command on the host failed", 7 },
	[RC_PARSE]       = { "parse",        "Not understood",               7 },
	[RC_IO]          = { "io",           "A file could not be used",     7 },
	[RC_NOSPACE]     = { "no-space",     "The disk is full",             7 },
	[RC_DB]          = { "store",        "The store failed",             7 },
	[RC_LIMIT]       = { "limit",        "Too large",                    7 },
	[RC_CANCELLED]   = { "cancelled",    "Cancelled",                    130 },
	[RC_BUG]         = { "bug",          "A fault of mxseal",            7 },
};

int
err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	char text[sizeof(e->text)];   /* an argument may be e->text itself */
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(e->text, text, sizeof(text));
	e->code = code;
	e->hint[0] = '\0';
	return -1;
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;
	size_t n;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof(text) - n, ": %s", e->text);
	memcpy(e->text, text, sizeof(text));
	return -1;
}

int
err_hint(struct err *e, const char *fmt, ...)
{
	char hint[sizeof(e->hint)];
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	memcpy(e->hint, hint, sizeof(hint));
	return -1;
}

void
err_clear(struct err *e)
{
	if (e != NULL)
		memset(e, 0, sizeof(*e));
}

const char *
err_name(enum err_code code)
{
	return (unsigned)code < RC_COUNT ? codes[code].name : "bug";
}

const char *
err_title(enum err_code code)
{
	return (unsigned)code < RC_COUNT ? codes[code].title : codes[RC_BUG].title;
}

int
err_exit_status(enum err_code code)
{
	return (unsigned)code < RC_COUNT ? codes[code].status : 7;
}
