/* What the files of this folder share: the struct of a transport, the way to a host as ssh would go it, child programs. */
#ifndef MXSEAL_HOST_PRIVATE_H
#define MXSEAL_HOST_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "mxseal/host.h"

#define HOST_TIMEOUT_MS 15000
#define HOST_ERRORS_MAX (64u * 1024)
#define HOST_LOGINS_MAX 4             /* in flight at one sshd */

/* --- ssh_config.c: where a target leads --- */

/* What was typed. */
struct target {
	char *user;               /* NULL: not said */
	char *host;               /* name, number or alias */
	int port;                 /* 0: not said */
	bool local;
};
int  target_parse(struct target *out, const char *text, struct err *e);   /* RC_INVALID */
void target_release(struct target *t);

/* What it means: the answer of `ssh -G`, or of nobody. */
struct route {
	struct target typed;
	char *host, *user;
	int port;
	char *lookup;             /* the name in known_hosts: alias, "host" or "[host]:port" */
	bool aliased;             /* HostKeyAlias: looked up without port */
	char **identities;        /* key files in order, NULL-ended, "~" expanded */
	bool identities_only;
	char *agent;              /* socket, or NULL: none */
	char *proxy;              /* "ProxyJump a,b" or "ProxyCommand ...": a sentence's end for people; NULL: direct */
	char **known;             /* known_hosts files: the user's, the system's, NULL-ended */
	size_t known_user;        /* how many of them are the user's */
	int connect_timeout_ms;   /* 0: not said */
	char *home;
	bool have_ssh;            /* there is an ssh program */
	struct known_hosts *keys; /* all files of known and login.known_hosts, read */
};
int  route_find(struct route *out, const struct login *l, int cancel_fd, struct err *e);
/* The parser alone: text of `ssh -G`. */
void route_parse(struct route *out, const char *text, const char *home);
void route_defaults(struct route *r, const char *home);
void route_release(struct route *r);
bool route_jumps(const struct route *r);  /* by ProxyJump */

/* A jump host in front of a host. */
struct jump {
	struct login login;
	struct route route;
	char *name;               /* "the jump host bastion" */
};

/* --- child.c: a program of this machine as a stream --- */

/* Starts argv[0] (found by PATH) without a shell and without a terminal, in a session of its own. env: "NAME=value" to add,
 * NULL-ended, or NULL. cancel_fd is lent. lost_status: the exit status by which the program says that its connection broke
 * (ssh: 255), or -1. Closing it ends the program. */
int  child_open(struct stream **out, const char *const argv[], const char *const env[], int cancel_fd, int lost_status,
         struct err *e);
/* What to call it in error sentences instead of the program's name. */
void child_rename(struct stream *s, const char *name);
/* Is there such a program in PATH? */
bool child_exists(const char *name);

/* --- transports --- */

struct transport {
	const char *name;
	/* Connects, checks the host key, logs in. look_only: stops before the login. key is never NULL. */
	int  (*open)(struct host *h, struct hostkey *key, bool look_only, struct err *e);
	/* Starts a command: fixed text of ours, given to the login shell. */
	int  (*exec)(struct host *h, const char *command, struct stream **out, struct err *e);
	int  (*tunnel)(struct host *h, const char *address, int port, int timeout_ms, struct stream **out, struct err *e);
	void (*close)(struct host *h);
};
extern const struct transport transport_local, transport_ssh, transport_openssh;

enum root { ROOT_DIRECT, ROOT_SUDO, ROOT_SUDO_PASSWORD };

struct host {
	const struct transport *ops;
	void *link;               /* the transport's own */
	struct login login;
	struct route route;
	struct job_ctx *ctx;      /* only while it is being opened */
	int timeout_ms;
	int wake[2];              /* host_abort writes; all that waits polls wake[0] too */
	atomic_bool dead;
	enum root root;
	struct jump *jumps;       /* of a ProxyJump, the first to log in to first */
	size_t n_jumps;
	char *name;               /* for messages: as typed, cleaned */
	char *address;
	char *why;                /* why not libssh2 */
	bool other;               /* open failed, but the ssh program may succeed where libssh2 cannot; why says why */
	bool busy;                /* open failed because an sshd on the way turned us away before its greeting */
	bool key_opened;          /* login.password has opened a key: it is a passphrase and goes to nobody */
	struct talk *reader;      /* the shell that host_read keeps */
};


/* The bootstrap that the head of host_script.sh describes. Where dd knows fullblock it takes the script in one piece; byte by
 * byte costs a tenth of a second. No single quote stands in it, and env, exec and single quotes are all that is asked of
 * the login shell, which may be any, csh and fish too. */
#define HOST_BOOT "echo \"#ready\"; " \
	"if dd if=/dev/null iflag=fullblock >/dev/null 2>&1; then s=$(dd bs=$1 count=1 iflag=fullblock 2>/dev/null); " \
	"else s=$(dd bs=1 count=$1 2>/dev/null); fi; " \
	"case $s in *\"#mxseal end\") eval \"$s\";; *) exit 97;; esac"
/* %s: how root is become, %zu: the size of the script. */
#define HOST_SHELL "exec %s env LC_ALL=C sh -c '" HOST_BOOT "' mxseal %zu"
/* The first shell on a host: who are we, does sudo let us through without a question (%s), and if so the bootstrap at once. */
#define HOST_FIRST "exec sh -c 'LC_ALL=C; export LC_ALL; u=$(id -u); echo; echo \"#uid $u\"; " \
	"[ \"$u\" != 0 ] || exec sh -c \"$1\" mxseal $2; %s </dev/null 2>&1; r=$?; " \
	"[ \"$r\" != 0 ] || exec sudo -n env LC_ALL=C sh -c \"$1\" mxseal $2; echo; echo \"#= $r\"' " \
	"mxseal '" HOST_BOOT "' %zu"

/* A shell as root that runs the host script and waits for questions. */
int  host_shell(struct host *h, struct stream **out, struct err *e);
/* Marks the host dead when e says so. Returns -1. */
int  host_lost(struct host *h, const struct err *e);

/* --- jump.c --- */
/* Fills jumps. RC_INVALID, RC_LIMIT: sentences for people. */
int  jumps_find(struct host *h, struct err *e);
void jumps_release(struct host *h);

/* --- hostkey.c --- */

/* Fills key from the raw public key and judges it. Returns 0, or -1 with RC_HOSTKEY_NEW, RC_HOSTKEY. */
int  hostkey_judge(struct hostkey *key, const struct route *r, const unsigned char *blob, size_t len, struct err *e);
/* The type a public key blob names, copied; false when it is none. */
bool hostkey_type(const unsigned char *blob, size_t len, char type[64]);

/* --- talk.c --- */
/* A conversation over a shell that is ready; takes the stream. */
struct talk *talk_new(struct host *h, struct stream *s);
int  talk_sections(struct talk *t, struct sections *out, int wait_ms, struct err *e);

#endif
