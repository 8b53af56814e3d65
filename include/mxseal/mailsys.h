/* A mail-system driver is text work: it names the commands to run on a host, turns their output into data, and what is
 * wanted into a plan. It opens nothing, so it is tested with recordings and fuzzed. */
#ifndef MXSEAL_MAILSYS_H
#define MXSEAL_MAILSYS_H

#include <stdbool.h>
#include "mxseal/err.h"
#include "mxseal/host.h"
#include "mxseal/model.h"
#include "mxseal/plan.h"
#include "mxseal/secret.h"
#include "mxseal/setting.h"

/* What was read from a host, in the driver's own depth. */
struct reading {
	char *version, *config_dir, *host_name, *domain, *os;
	struct vserver_list vservers;
	struct str main_cf, master_cf;            /* whole files */
	int64_t generation;                       /* ours in force, 0 none */
	struct str our_files;                     /* "path\tsha256" per line: files of the generation in force */
	int64_t queue_messages;                   /* -1 unknown */
	char *base;                               /* sha256 over what a plan is made from */
	struct str warnings;                      /* one per line: unused parameters, broken things found */
	bool by_sni;                              /* which certificate is served depends on the name that a client asks for */
	struct str file_troubles;                 /* one per line: keys and certificates that others can read or exchange */
	struct sections sections;                 /* raw, kept for the planner */
};
void reading_release(struct reading *r);

/* What the store asks of one host. */
struct wanted_vs {
	char *name;                               /* virtual server */
	bool is_default;
	struct wanted_list settings;              /* effective, inherited */
	bool certificate_set;                     /* false: leave what is there */
	struct certificate *certificate;          /* lent; NULL with certificate_set: unbind */
	char *ours, *listen, *kind, *run;         /* as ours, listen_wanted, kind, run_wanted of the record */
	char *client;                             /* the client service of its own that mail of its connectors leaves by; NULL:
	                                           * the default virtual server's */
};
struct wanted_host {
	struct wanted_vs *vs; size_t n_vs;
	struct connector_list connectors;         /* those that this server sends for; via: its virtual servers only */
	struct secret *passwords;                 /* one for each of them, unset where nobody logs in; NULL: none at all */
};
void wanted_host_release(struct wanted_host *w);
/* What the client service of a virtual server's own is called: "NAME-out". Given away. */
char *wanted_client_name(const char *vs);

/* The native lines that a setting's value stands for: for "what Postfix will get" beside a field, one per line. */
typedef int native_fn(const char *setting, const char *value, bool is_default, struct str *out, struct err *e);

struct mailsys {
	const char *name, *title;                 /* "postfix", "Postfix" */
	const struct host_cmd *detect;            /* NULL-name ended: cheap commands that tell whether it is there */
	const struct host_cmd *look;              /* the reading, stage 1 */
	bool (*is_here)(const struct sections *s);
	/* It is there, but stops at its own configuration: what it says, a piece of the sections. NULL: it does not. */
	const char *(*complaint)(const struct sections *s);
	/* More commands that depend on stage 1 (files named there, maps): appended to cmds as text; freed by commands_release. */
	int (*more)(const struct sections *s, struct command_list *cmds, struct err *e);
	int (*read)(struct sections *s, struct reading *out, struct err *e);     /* takes the sections */
	native_fn *native;
	/* Does this setting mean anything here? NULL, or the sentence why not. */
	const char *(*declines)(const char *setting);
	int (*plan)(const struct reading *have, const struct wanted_host *want, const struct plan_options *o, struct plan *out,
	        struct err *e);
	const char *const *queue_argv;            /* machine-readable queue listing */
};

extern const struct mailsys mailsys_postfix;
extern const struct mailsys *const mailsystems[];       /* NULL-ended */
const struct mailsys *mailsys_find(const char *name);

#endif
