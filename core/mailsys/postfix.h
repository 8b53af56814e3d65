/* What the files of the Postfix driver share. Private to this folder. */
#ifndef MXSEAL_POSTFIX_H
#define MXSEAL_POSTFIX_H

#include "cf.h"
#include "mxseal/mailsys.h"

#define OURS_DIR "/etc/mxseal/"          /* our generations, as Postfix sees them */
#define CLIENT_SERVICE "smtp"            /* the unix service that mail leaves by */

/* --- postfix_view.c: the configuration in force: master.cf over main.cf over what Postfix assumes --- */

struct pair { char *name, *value; };
struct pairs { struct pair *v; size_t n; };

struct view {
	struct main_cf main;
	struct master_cf master;
	struct pairs defaults;           /* postconf -d */
	struct pairs expanded;           /* postconf -x of those that are computed when nobody sets them */
	int version[2];                  /* 3, 7 */
	bool settled;                    /* expanded has every parameter as Postfix computes it: it stands over main.cf */
	/* after view_start: */
	char *standard;                  /* service of the default virtual server, also when it is stopped later; NULL: none */
	struct pairs run;                /* services that were not started: "587" "stopped" or "paused" */
};
/* From the sections of a reading. RC_PARSE or RC_NOMAIL with the sentence; v can be released in any case. */
int  view_load(struct view *v, const struct sections *s, struct err *e);
void view_release(struct view *v);
/* The same configuration once more. */
int  view_copy(struct view *to, const struct view *from, struct err *e);
/* "name = value" lines, sorted by name. */
void pairs_read(struct pairs *p, const char *text);
const char *pairs_get(const struct pairs *p, const char *name);
void pairs_add(struct pairs *p, const char *name, const char *value);
void pairs_sort(struct pairs *p);                /* after adding, before getting */
void pairs_release(struct pairs *p);
/* As written, not expanded; never NULL. service may be NULL (main.cf). source (may be NULL): "master.cf", "main.cf",
 * "default". */
const char *view_raw(const struct view *v, const struct master_service *service, const char *name, const char **source);
/* With $name, ${name} and $(name) replaced. Given away. */
char *view_value(const struct view *v, const struct master_service *service, const char *name);
/* The same, but a security level is never empty: then older parameters say it. */
char *view_param(const struct view *v, const struct master_service *service, const char *name);
char *view_level(const struct view *v, const struct master_service *service, bool client);
/* Is the (expanded) value "yes"? */
bool view_yes(const struct view *v, const struct master_service *service, const char *name);
bool view_empty(const struct view *v, const struct master_service *service, const char *name);
bool version_at_least(const int version[2], int major, int minor);
/* Does this service take mail in by network: an inet smtpd or postscreen. */
bool service_is_server(const struct master_service *s);
/* The service that is the default virtual server; NULL: nothing listens on port 25. */
const struct master_service *view_default_service(const struct view *v);
/* "192.0.2.5:587" to its parts; address is "" for all interfaces; 0 for a service name we do not know. */
int  service_port(const char *name, char *address, size_t size);

/* --- postfix_map.c: our settings and Postfix's parameters --- */

#define MAP_PARAMS 3
/* Whose a parameter is, and so where it is written for a virtual server. */
enum map_where {
	MAP_SERVER,                      /* smtpd(8): main.cf for the default virtual server, -o of its service for another */
	MAP_OWN,                         /* smtpd(8), but main.cf would change more than this: always -o */
	MAP_ACCESS,                      /* smtpd(8), with a table of ours */
	MAP_CLIENT,                      /* smtp(8): main.cf; -o of its own client service */
	MAP_HOST,                        /* qmgr(8), cleanup(8), ...: main.cf, default virtual server only */
	MAP_TRANSPORT,                   /* qmgr(8), a parameter that begins with the name of the client service: main.cf */
	MAP_SERVER_PROCS, MAP_CLIENT_PROCS      /* column maxproc of the service in master.cf */
};
enum map_kind {
	MAP_WORDS, MAP_RANKED, MAP_PROTOCOL, MAP_TEXT, MAP_RELAY, MAP_SECONDS, MAP_HOURS, MAP_DAYS, MAP_NUMBER, MAP_REUSE, MAP_SIZE,
	MAP_PORT, MAP_COLUMN, MAP_NETWORKS, MAP_DOMAINS,
	MAP_ANONYMOUS, MAP_MAY_RELAY, MAP_NOTICE, MAP_FALLBACK, MAP_CLIENTS     /* edits of what is in force */
};
struct map_row {
	const char *setting;
	enum map_where where;            /* of its first parameter; map_where tells of each */
	const char *param[MAP_PARAMS];
	const struct map_word *words;    /* the values, where they are words */
	enum map_kind kind;
};
const struct map_row *map_find(const char *setting);
extern const struct map_row map_table[];     /* ended by a row without setting */
enum map_where map_where(const struct map_row *r, int param);
/* Why a setting means nothing here, or not on this virtual server; NULL: it does. */
const char *map_declines(const char *setting, bool is_default);
/* The parameter's value for our value; NULL: it has none. now: what is in force, as written; an edit is made from it, and
 * where nothing is to change it comes back. */
char *map_native(const struct map_row *r, int param, const char *value, const int version[2], const char *now);
/* A parameter that is only changed where it would stand against the first one. */
bool map_is_helper(const struct map_row *r, int param);
/* Is the value an edit of what stands there? It is made as it is written, not expanded. */
bool map_is_edit(const struct map_row *r);
/* Do two native values of this parameter mean the same? */
bool map_same(const struct map_row *r, int param, const char *a, const char *b);
/* In our words, from the expanded native values; NULL: no word for it. Given away. */
char *map_ours(const struct map_row *r, char *const native[MAP_PARAMS]);
/* Does Postfix understand this list of protocols, and does it leave one? */
bool map_protocols_ok(const char *list);
int  map_native_lines(const char *setting, const char *value, bool is_default, struct str *out, struct err *e);

/* --- postfix_lists.c: edits of lists that are the administrator's; each gives away the list as it is to be --- */

bool  list_has(const char *list, const char *word);
char *list_word(const char *list, const char *word, bool in);           /* with the word behind the others, or without it */
/* Restrictions that end in "permit_sasl_authenticated, reject" let nobody else in. */
bool  list_is_anonymous(const char *list);
char *list_anonymous(const char *list, bool yes);
/* permit_sasl_authenticated in front of the first restriction that rejects or defers, or nowhere. */
char *list_may_relay(const char *list, bool yes);
/* The table of clients: "ADDRESS REJECT" lines, "ADDRESS DUNNO" lines, and with those a REJECT for everybody else. */
void  access_table(const char *only, const char *except, struct str *out);
char *access_ours(const char *setting, const char *table);              /* back; NULL: not a table of ours */
/* Where our table stands in smtpd_client_restrictions: the path, given away; NULL: it does not. */
char *access_path(const char *list);
char *access_put(const char *list, const char *path);                   /* in front; path NULL: taken out */

/* --- postfix_files.c: files on the host that the configuration names --- */

/* FILE_NAMES: a map whose values are private keys once it is compiled; only the names in front of its rows are read. */
enum file_kind { FILE_CERT, FILE_KEY, FILE_MAP, FILE_PATTERNS, FILE_NAMES };
struct file { enum file_kind kind; char *path; };
struct file_list { struct file *v; size_t n; };
/* All that a second look should read; the same list for the same configuration, so that section "cert.3" is file 3. Of
 * a plan this is the configuration as it was read and started (view_start), never the edited one. */
void files_named(const struct view *v, struct file_list *out);
void file_list_release(struct file_list *l);
int  files_more(const struct sections *s, struct command_list *cmds, struct err *e);
/* Sentences, one a line, on files with keys and certificates that others can read or exchange. (postfix_modes.c) */
void files_troubles(const struct file_list *l, const struct sections *s, struct str *out);
/* Text of a section about a file ("cert", "certkey", "certmode", "key", "mode", "map"), NULL when it was not read or failed. */
const char *file_text(const struct file_list *l, const struct sections *s, enum file_kind kind, const char *path,
        const char *what);
/* Where a service's certificate and key are by configuration: expanded, "" where none. Given away. at: which of several, 0 the
 * first (chain files, else the older parameters). */
void service_cert_files(const struct view *v, const struct master_service *s, char **cert, char **key);
void service_cert_at(const struct view *v, const struct master_service *s, size_t at, char **cert, char **key);
/* Only the CERTIFICATE blocks of a text, one after the other; returns how many. */
size_t pem_certificates(const char *text, struct str *out);
/* SHA-256 of the DER in the first block with this label; false when there is none. */
bool pem_sha256(const char *text, const char *label, char out[65]);

/* --- postfix_read.c --- */
int  postfix_read(struct sections *s, struct reading *out, struct err *e);
/* Highest generation that main.cf or master.cf name, 0 none; and the highest number seen on the host at all. */
int64_t generation_in_force(const struct view *v);
int64_t generation_highest(const struct sections *s);

/* --- postfix_settings.c: what is wanted of virtual servers, written --- */

struct own_file {
	char *path;
	struct str text;
	const struct certificate *certificate;
	char *secret;                    /* shown in place of a text that nobody may see */
};
/* A plan that is being rendered: once with the generation in force to see whether anything differs, then with the next. */
struct render {
	const struct reading *have;
	const struct file_list *files_read;
	const struct wanted_host *want;
	int64_t generation;
	struct view v;                   /* edited */
	struct view started;             /* the same while all that is stopped or paused runs */
	struct own_file *files; size_t n_files;
	struct plan *plan;               /* warnings go here */
};
/* A file of ours in this generation; takes the path. Valid until the next one. */
struct own_file *own_file_add(struct render *r, char *path);
/* "/etc/mxseal/3/chain-127.0.0.1_10025.pem" for "chain", name, ".pem": two names never meet in one file. Given away. */
char *own_path(const struct render *r, const char *what, const char *name, const char *suffix);
/* One parameter of a row where it belongs: main.cf, and there too where the service says otherwise for itself; or -o of the
 * service. service NULL: main.cf only. */
int  setting_on_main(struct render *r, const struct master_service *service, const struct map_row *row, int param, const char *value,
        struct err *e);
int  setting_on_service(struct render *r, const struct master_service *service, const struct map_row *row, int param, const char *value,
        struct err *e);
/* All settings of the default virtual server, or of the others. Services must exist by now. */
int  put_settings(struct render *r, bool defaults, struct err *e);
/* The maxproc column; "-" is default_process_limit. */
char *service_procs(const struct view *v, const struct master_service *s);
int  master_cf_column(struct master_cf *m, const char *name, const char *type, int column, const char *value, struct err *e);
/* What of the settings does not go together, as results of the plan. */
void settings_judge(struct plan *p, const struct wanted_vs *vs, const struct view *after);

/* --- postfix_route.c: connectors as rows of our maps --- */

#define ETRN_SERVICE "mxseal-etrn"       /* the client service of mail that waits until it is asked for */

struct client_policy { char *client; struct str text; };
struct map_files {
	struct str policy, transport;    /* empty: not needed; so are all */
	struct str senders;              /* for sender_dependent_default_transport_maps, a regexp: table */
	struct str passwords, passwords_shown;   /* the second stands for the first wherever somebody looks */
	struct str etrn;                 /* domains that may be asked for */
	struct client_policy *clients;   /* policy of the client services of virtual servers */
	size_t n_clients;
	char **logins;                   /* client services that passwords are sent by */
	size_t n_logins;
	bool needs_ca, needs_dnssec, needs_digest;
};
void map_files_release(struct map_files *m);
int  route_render(const struct view *v, const struct reading *have, const struct file_list *files,
        const struct wanted_host *want, struct map_files *out, struct plan *p, struct err *e);
/* The client service that mail of this connector leaves by: the one of its first virtual server here; NULL: the default's. */
const char *connector_client(const struct wanted_host *want, const struct connector *c);
/* What smtp_tls_policy_maps of this client service is to be: its own map in this generation, or "" when no connector with an
 * outbound security leaves by it. Given away. */
char *client_policy_maps(const struct wanted_host *want, const char *client, int64_t generation);
/* The file of that map in a generation: "policy-NAME-out". Given away. */
char *client_policy_file(const char *client);

/* --- postfix_theirs.c: the administrator's own rules beside ours --- */

/* Rows of the maps of one parameter, as far as their source is text; unreadable: names of the others. */
struct their_rows {
	struct pairs rows;
	bool addresses;                  /* some are for single addresses */
	struct str unreadable;
	const char *param;
};
void their_rows_read(struct their_rows *t, const char *param, const struct view *v, const struct reading *have,
        const struct file_list *files);
void their_rows_release(struct their_rows *t);
/* Would mail for this key ("bank.test", ".bank.test") not go by DNS of itself? Not sure counts as yes. */
bool goes_elsewhere(const struct view *v, const struct their_rows *transport, const char *key);
/* Is this a domain whose mail never leaves this host? */
bool is_local_domain(const struct view *v, const char *key);
/* Domains of the host itself below ".bank.test", blank between, that stand in main.cf; tables (may be NULL): is one a table? */
void local_below(const struct view *v, const char *key, struct str *out, bool *tables);
/* One of our keys of this parameter: says which of their rows it puts out of use, and which go past it. */
void their_rows_report(const struct their_rows *t, const char *key, bool same_too, const char *connector, struct plan *p);
/* A connector for every domain: what of theirs is not asked any more, or goes past it. */
void their_all_report(const struct view *v, const struct their_rows *transport, const char *connector, bool everybody,
        struct plan *p);

/* --- postfix_connector.c: parameters and services that connectors need --- */

int  connector_params(struct view *v, const struct reading *have, const struct map_files *m, struct plan *p, struct err *e);

/* --- postfix_listener.c: virtual servers as services of master.cf --- */

/* All that we stopped or paused runs again in v, so that it is read and edited as it will be; v->run says what was. */
void view_start(struct view *v);
/* "started", "paused", "stopped": as it was before view_start. */
const char *view_run(const struct view *v, const struct master_service *s);
/* The name of a virtual server: the one it was added with, else the service's own. Given away. */
char *service_vs(const struct view *v, const struct master_service *s);
/* "192.0.2.5:2525" as wanted to the name of a service; "0.0.0.0:587" is "587": every address that Postfix has. Given away. */
char *service_name(const char *listen);
/* Does it greet with 421 as this text stands? */
bool service_paused(const struct master_service *s);
/* The client that a virtual server sends with: its own, else the default one; NULL: none. */
const struct master_service *vs_client(const struct view *v, const char *vs, bool is_default);
/* Is this service a client of a virtual server's own that we added? Its virtual server, given away; NULL: no. */
char *client_of(const struct view *v, const struct master_service *s);
/* Adds what is wanted and not there: listeners, client services. v is started. */
int  listeners_begin(struct view *v, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        struct plan *p, struct err *e);
/* Takes out, stops and pauses, the last edit of all: as wanted, else as it was. */
int  listeners_end(struct view *v, const struct wanted_host *want, struct err *e);
/* Two services that listen on one address would share its connections by chance. NULL, or a sentence; given away. */
char *listeners_meet(const struct view *v, const struct master_service *a, const struct master_service *b);
/* What an added one must have before its first push. */
void listeners_judge(struct plan *p, const struct wanted_host *want, const struct view *started);
/* Listeners that this plan takes away must not answer any more. before: as it runs now. */
void listeners_proof(struct plan *p, const struct view *before, const struct view *after);

/* --- postfix_plan.c --- */
int  postfix_plan(const struct reading *have, const struct wanted_host *want, const struct plan_options *o, struct plan *out,
        struct err *e);

/* --- postfix_rules.c: the administrator's own rules --- */
void postfix_rules(const struct view *v, const struct file_list *files, const struct sections *s, struct found_rule_list *out);

/* --- postfix_touched.c --- */
void postfix_touched(const struct reading *have, const struct own_text *own, size_t n, struct touched_list *out);

/* --- postfix_check.c: what surrounds the changes of a plan --- */

/* before: the configuration as it is; after: as it would be; in both all services run. What mxseal itself finds wrong or worth
 * saying: results, and warnings of what the plan changes. */
void plan_judge(struct plan *p, const struct reading *have, const struct wanted_host *want, const struct view *before,
        const struct view *after);
/* The commands that check the staged copy, and those that make Postfix read it. */
void plan_commands(struct plan *p, const struct reading *have, const struct view *before, const struct view *after);
/* --- postfix_verdict.c: what Postfix would not serve, whoever wrote it --- */

/* A verdict that refuses; where there is nothing to push it is only said. */
void plan_refuse(struct plan *p, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* before: the configuration as it was read; after: as it would be. */
void plan_verdicts(struct plan *p, const struct reading *have, const struct view *before, const struct view *after);
/* The same on the host, before the switch: programs, addresses, tables. */
void plan_verdicts_there(struct plan *p, const struct view *before, const struct view *after);

/* --- postfix_shadow.c: the trial run --- */

/* Adds the trial run, or the warning that there is none and why; says which. Listeners must be known. */
bool shadow_command(struct plan *p, const struct reading *have, const struct view *after);
/* Our verdicts on the host as a command; words follow. */
struct command *verdicts_command(struct plan *p);
/* A script as a word, which must be one line: without its comments, as printf %b of a shell understands it. Given away. */
char *script_word(const unsigned char *mem, size_t len);
void command_word(struct command *c, char *word);       /* taken over */

/* The listeners to be proved. */
void plan_listeners(struct plan *p, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        const struct view *after);
/* One address of them: "0.0.0.0:25", proved as model says. */
void proof_add(struct plan *p, const struct proof_want *model, const char *listen);
/* The listener of a virtual server; NULL: it has none (now). */
const struct master_service *vs_service(const struct view *v, const struct wanted_vs *vs);
void service_listen(const struct view *v, const struct master_service *s, struct str *out);

/* --- postfix_dead.c: rows that no mail can reach --- */
/* Says of each rule (kinds "transport", "policy", "relay", "sender-relay", "sender-transport", in the order of their tables
 * and rows) whether mail can reach it: trouble is set to why not and what mends it, else NULL. Only what is sure is said: a
 * table that could not be listed is known by rules of its source being missing, and may say anything. */
void rules_judge(const struct view *v, struct found_rule_list *rules);

/* --- postfix_watch.c: how mail fares, from the host's log --- */
void watch_command(struct plan *p);

/* --- postfix_log.c: who brought and took mail; why deliveries to a domain failed --- */
void postfix_traffic_command(int days, struct command_list *out);
void postfix_attempts_command(const char *domain, size_t bytes, struct command_list *out);

/* --- postfix_queue.c --- */
void postfix_queue_command(const char *const *words, size_t n, struct command_list *out);

#endif
