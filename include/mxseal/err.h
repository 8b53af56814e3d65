/* The error value: a code for the program, a sentence for the person, a hint what to do. No global state, no allocation;
 * it may cross threads. The function that fails says it once, in words, with the name of the thing; callers may put in
 * front what they were doing; nobody prints from below. */
#ifndef MXSEAL_ERR_H
#define MXSEAL_ERR_H

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum err_code {
	RC_OK,
	RC_FINDINGS,     /* asked to find out, and there is something to report */
	RC_USAGE,        /* the command was wrong */
	RC_INVALID,      /* a field's value is refused */
	RC_NOTFOUND,     /* no such server, certificate, ... in the store */
	RC_EXISTS,       /* the name is taken */
	RC_NET,          /* unreachable, connection lost */
	RC_TIMEOUT,      /* no answer within the deadline */
	RC_AUTH,         /* login refused */
	RC_PASSWORD,     /* a login or sudo password is needed (the front end asks and tries again) */
	RC_PASSPHRASE,   /* a passphrase is needed for a sealed or encrypted key (the same) */
	RC_HOSTKEY_NEW,  /* the host key is unknown: it must be confirmed (the same) */
	RC_HOSTKEY,      /* the host key changed or is revoked: refused */
	RC_SUDO,         /* logged in, but root is out of reach */
	RC_NOMAIL,       /* no supported mail system there */
	RC_CONFLICT,     /* what the plan was made from is no longer so (drift, lost race) */
	RC_LOCKED,       /* somebody else holds the lock */
	RC_READ_ONLY,    /* nothing may be changed on a host */
	RC_CERT,         /* a certificate does not fit */
	RC_CHECK,        /* a check before the switch failed */
	RC_UNDONE,       /* applied, not good, undone: the old state is back and proved */
	RC_UNKNOWN,      /* the state of a server is unknown */
	RC_TLS,          /* a TLS session failed */
	RC_REMOTE,       /* a command on the host failed */
	RC_PARSE,        /* what came from outside is not what it should be */
	RC_IO,           /* a local file */
	RC_NOSPACE,      /* a full disk */
	RC_DB,           /* the store */
	RC_LIMIT,        /* over a stated ceiling */
	RC_CANCELLED,
	RC_BUG,          /* our own fault */
	RC_COUNT
};

struct err {
	enum err_code code;
	char text[640];
	char hint[320];
};

/* Sets code and sentence and clears the hint. e may be NULL. Returns -1, so that failing is one line. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "while doing X: " in front of the sentence. Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Says what the person can do about it. Returns -1. */
int err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_clear(struct err *e);

const char *err_name(enum err_code code);      /* "hostkey-new", for JSON */
const char *err_title(enum err_code code);     /* title of a message box */
int         err_exit_status(enum err_code code);  /* the statuses promised to scripts: 0 to 7, 130 */

#endif
