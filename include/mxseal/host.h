/* Reaching a machine. One struct, three transports: libssh2 (ssh.c, ssh_link.c, ssh_auth.c), the user's own ssh program
 * (openssh.c), this machine (local.c). What runs there is fixed text, core/host/host_script.sh, given to sh on standard
 * input by a short bootstrap; values travel as data behind it, never in a command string. Used by one thread at a time;
 * host_abort may come from another. */
#ifndef MXSEAL_HOST_H
#define MXSEAL_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/job.h"
#include "mxseal/model.h"
#include "mxseal/secret.h"
#include "mxseal/str.h"
#include "mxseal/stream.h"

struct host;

/* What a login needs; copies live in the job. */
struct login {
	char *target;             /* [user@]host[:port] | ssh alias | local: */
	char *identity;           /* key file or NULL */
	enum become become;
	char *known_hosts;        /* our own file of confirmed keys, read after the user's */
	char *ssh_config;         /* -F for `ssh -G`, or NULL: the user's own */
	struct secret password;   /* login password or key passphrase, when asked */
	struct secret sudo;       /* sudo password, when asked */
	int timeout_ms;           /* of each wait; 0: 15 s */
};
void login_copy(struct login *to, const struct login *from);
void login_release(struct login *l);

enum hostkey_verdict { HOSTKEY_OK, HOSTKEY_NEW, HOSTKEY_CHANGED, HOSTKEY_REVOKED };

/* What the server showed. Filled by host_open also when it fails with RC_HOSTKEY_NEW or RC_HOSTKEY. */
struct hostkey {
	char type[64];            /* "ssh-ed25519" */
	char fingerprint[64];     /* "SHA256:..." */
	char *line;               /* "host type base64": what host_trust appends; owned */
	char *known;              /* where and which key is known instead (changed), owned */
	enum hostkey_verdict verdict;
};
void hostkey_release(struct hostkey *k);

/* Is this a target at all? No name is looked up. RC_USAGE with what it takes. */
int  login_check_target(const char *target, struct err *e);
/* Connects, checks the host key, logs in, becomes root. Errors: RC_NET, RC_TIMEOUT, RC_HOSTKEY_NEW, RC_HOSTKEY, RC_AUTH,
 * RC_PASSWORD (err.text says for what), RC_SUDO. key may be NULL. ctx may be NULL. */
int  host_open(struct host **out, const struct login *l, struct job_ctx *ctx, struct hostkey *key, struct err *e);
/* Only shakes hands and reports the key with its verdict; no login. RC_OK also for a new key; RC_HOSTKEY as above. */
int  host_key_look(const struct login *l, struct job_ctx *ctx, struct hostkey *key, struct err *e);
/* Appends a confirmed key to our known_hosts file (0600). */
int  host_trust(const char *known_hosts_path, const struct hostkey *key, struct err *e);
void host_abort(void *host);                               /* wakes what blocks in h (job_on_cancel) */
void host_close(struct host *h);                           /* NULL is fine */
bool host_alive(const struct host *h);                     /* false after any RC_NET or RC_TIMEOUT */
const char *host_transport(const struct host *h);          /* "libssh2", "openssh", "local" */
const char *host_transport_why(const struct host *h);      /* why not libssh2, or NULL */
const char *host_address(const struct host *h);            /* host name or number reached */

/* One command of a reading: a fixed argv of a driver. */
struct host_cmd {
	const char *name;         /* of the section */
	const char *const *argv;  /* NULL-ended */
};
struct section { char *name; int status; struct str text; };
struct sections { struct section *v; size_t n; };
const struct section *section_find(const struct sections *s, const char *name);
/* Lends the text when the command ended with status 0, else NULL. */
const char *section_text(const struct sections *s, const char *name);
void sections_release(struct sections *s);

#define HOST_SECTION_MAX (8u * 1024 * 1024)   /* ceiling of one section; more is RC_LIMIT */

/* Runs all commands one after the other as root in one script (LC_ALL=C, standard input empty, both outputs), appending to
 * out. A command that fails is a section with its status, not an error. Changes nothing on the host by itself. */
int host_read(struct host *h, const struct host_cmd *cmds, size_t n, struct sections *out, struct err *e);
/* Runs one command and gives its standard output to fn piece by piece (a queue listing may be gigabytes). fn returns -1 to
 * stop. status gets the exit status. */
typedef int host_data_fn(const char *mem, size_t len, void *arg);
int host_stream(struct host *h, const char *const argv[], host_data_fn *fn, void *arg, int *status, struct err *e);

/* A conversation with the script's push verbs: one shell that holds the lock as long as the conversation lives.
 * A question is a verb with arguments; values are lines (no control characters: refused) and blobs. */
struct talk;
int  talk_open(struct talk **out, struct host *h, struct err *e);
void talk_verb(struct talk *t, const char *verb);          /* starts a question */
void talk_arg(struct talk *t, const char *value);          /* one line; NULL = "" */
void talk_blob(struct talk *t, const void *mem, size_t len);
/* Sends the question; collects the answer's lines into out (may be NULL). Returns the verb's status (0 good, 1..255 with its
 * sentence in e as RC_REMOTE), or -1 (connection). */
int  talk_ask(struct talk *t, struct str *out, int timeout_ms, struct err *e);
void talk_close(struct talk *t);

/* A byte stream to address:port as seen from the host (direct-tcpip). */
int host_tunnel(struct host *h, const char *address, int port, int timeout_ms, struct stream **out, struct err *e);

/* --- child.c: a program of this machine --- */
/* Runs it (argv[0] by PATH) to its end, without a shell or a terminal, with empty input; out and errors (may be NULL) keep to
 * their ceilings. At the deadline it is ended, RC_TIMEOUT. cancel_fd: as of job_cancel_fd, or -1. */
int  child_run(const char *const argv[], struct str *out, struct str *errors, int *status, int timeout_ms, int cancel_fd,
         struct err *e);

/* --- known_hosts.c: verdict by our own reader, equal to OpenSSH's (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) --- */
struct known_hosts;
struct known_hosts *known_hosts_new(void);
/* Reads text of a file; lines that are none are counted, not fatal. name is for messages. */
void known_hosts_read(struct known_hosts *k, const char *text, size_t len, const char *name);
/* blob: the raw public key; host as ssh would look it up ("mx1", "[mx1]:2222"; of the latter a key known for "mx1" is good
 * too, as in ssh). The address is not looked up beside the name (CheckHostIP no, the default). where (may be NULL): file,
 * line and type of the entry that decided. */
enum hostkey_verdict known_hosts_verdict(const struct known_hosts *k, const char *host, const unsigned char *blob,
    size_t len, struct str *where);
/* Key types known for the host, comma separated in file order, for the order of the handshake. */
void known_hosts_types(const struct known_hosts *k, const char *host, struct str *out);
/* Is there an authority (@cert-authority) for the host? We check no host certificates, the ssh program does. */
bool known_hosts_authority(const struct known_hosts *k, const char *host);
size_t known_hosts_broken(const struct known_hosts *k);    /* lines that were none */
void known_hosts_free(struct known_hosts *k);

#endif
