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
#include "mxseal/way.h"

/* What was read from a host, in the driver's own depth. */
struct reading {
	char *version, *config_dir, *host_name, *domain, *os;
	struct vserver_list vservers;
	struct found_rule_list rules;             /* the administrator's own */
	struct str main_cf, master_cf;            /* whole files */
	int64_t generation;                       /* ours in force, 0 none */
	struct str our_files;                     /* "path\tsha256" per line: files of the generation in force */
	int64_t queue_messages;                   /* -1 unknown */
	char *base;                               /* sha256 over what a plan is made from */
	struct str warnings;                      /* one per line: what it says itself of its configuration, as unused parameters */
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
	struct certificate *second;               /* lent; beside it, with the other kind of key; NULL: none */
	char *ours, *listen, *kind, *run;         /* as ours, listen_wanted, kind, run_wanted of the record */
	char *client;                             /* the client service of its own that mail of its connectors leaves by; NULL:
	                                           * the default virtual server's */
};
struct wanted_host {
	struct wanted_vs *vs; size_t n_vs;
	struct connector_list connectors;         /* those that this server sends for; via: its own virtual servers only */
	struct secret *passwords;                 /* one for each of them, unset where nobody logs in; NULL: none at all */
};
void wanted_host_release(struct wanted_host *w);
/* What the client service of a virtual server's own is called: "NAME-out". Given away. */
char *wanted_client_name(const char *vs);

/* What somebody changed by hand in what a push left there. own: files of ours with the text that was pushed, lent. */
struct own_text { const char *path, *text; };
struct touched { char *path, *what, *diff; };     /* what: names of the lines, or "edited", "deleted" */
struct touched_list { struct touched *v; size_t n; };
void touched_list_release(struct touched_list *l);

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
	/* Does this setting mean anything here, on this kind of virtual server? NULL, or why not and what there is instead. */
	const char *(*declines)(const char *setting, bool is_default);
	int (*plan)(const struct reading *have, const struct wanted_host *want, const struct plan_options *o, struct plan *out,
	        struct err *e);
	/* Of lines and files that are ours; a host's own record of its generations is part of the reading. */
	void (*touched)(const struct reading *have, const struct own_text *own, size_t n, struct touched_list *out);
	const char *const *queue_argv;            /* machine-readable queue listing */
	/* The command that looks at the queue so that it costs what has changed; words as of queue_mirror_ask (mxseal/queue.h). NULL:
	 * there is none, the listing is all there is. */
	void (*queue_look)(const char *const *words, size_t n, struct command_list *out);
	/* The command that prints what of the host's mail log core/maillog reads, of the last days; NULL: none known. */
	void (*traffic)(int days, struct command_list *out);
	/* The command that prints what of the log core/maillog/attempts.c reads: why deliveries to a domain failed, from at most so
	 * many bytes of the log; NULL: none known. */
	void (*attempts)(const char *domain, size_t bytes, struct command_list *out);
	/* The way of mail for an address, found out in rounds: worked out anew from all sections so far. 1: what is missing was
	 * appended to next (once, however many ask for it); run that and come again. 0: out is whole. They change nothing. */
	/* A command named WAY_LOOK and a dot looks at another host, and may take its time: these can be run at once. */
	int (*way)(const struct way_ask *ask, const struct sections *s, struct command_list *next, struct mail_way *out, struct err *e);
	/* Rows of its tables that no mail can reach, in the same rounds. */
	int (*dead)(const struct sections *s, struct command_list *next, struct dead_rule_list *out, struct err *e);
};

#define WAY_LOOK "look"

extern const struct mailsys mailsys_postfix;
extern const struct mailsys *const mailsystems[];       /* NULL-ended */
const struct mailsys *mailsys_find(const char *name);

#endif
