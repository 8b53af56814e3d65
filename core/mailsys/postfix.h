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
};
/* From the sections of a reading. RC_PARSE or RC_NOMAIL with the sentence; v can be released in any case. */
int  view_load(struct view *v, const struct sections *s, struct err *e);
void view_release(struct view *v);
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
	MAP_WORDS, MAP_RANKED, MAP_PROTOCOL, MAP_TEXT, MAP_RELAY, MAP_SECONDS, MAP_HOURS, MAP_DAYS, MAP_NUMBER, MAP_SIZE, MAP_PORT,
	MAP_COLUMN, MAP_NETWORKS, MAP_DOMAINS,
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

enum file_kind { FILE_CERT, FILE_KEY, FILE_MAP };
struct file { enum file_kind kind; char *path; };
struct file_list { struct file *v; size_t n; };
/* All that a second look should read; the same list for the same configuration, so that section "cert.3" is file 3. Of
 * a plan this is the configuration as it was read, never the edited one. */
void files_named(const struct view *v, struct file_list *out);
void file_list_release(struct file_list *l);
int  files_more(const struct sections *s, struct command_list *cmds, struct err *e);
/* Text of a section about a file ("cert", "certkey", "key", "mode", "map"), NULL when it was not read or failed. */
const char *file_text(const struct file_list *l, const struct sections *s, enum file_kind kind, const char *path,
        const char *what);
/* Where a service's certificate and key are by configuration: expanded, "" where none. Given away. */
void service_cert_files(const struct view *v, const struct master_service *s, char **cert, char **key);
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

struct own_file { char *path; struct str text; const struct certificate *certificate; };
/* A plan that is being rendered: once with the generation in force to see whether anything differs, then with the next. */
struct render {
	const struct reading *have;
	const struct file_list *files_read;
	const struct wanted_host *want;
	int64_t generation;
	struct view v;                   /* edited */
	struct own_file *files; size_t n_files;
	struct plan *plan;               /* warnings go here */
};
/* A file of ours in this generation; takes the path. Valid until the next one. */
struct own_file *own_file_add(struct render *r, char *path);
/* "/etc/mxseal/3/chain-127.0.0.1_10025.pem" for "chain", name, ".pem": two names never meet in one file. Given away. */
char *own_path(const struct render *r, const char *what, const char *name, const char *suffix);
/* One parameter of a row where it belongs: main.cf, and there too where the service says otherwise for itself; or -o of the
 * service. service NULL: main.cf only. */
int  put_main(struct render *r, const struct master_service *service, const struct map_row *row, int param, const char *value,
        struct err *e);
int  put_service(struct render *r, const struct master_service *service, const struct map_row *row, int param, const char *value,
        struct err *e);
/* All settings of the default virtual server, or of the others. Services must exist by now. */
int  put_settings(struct render *r, bool defaults, struct err *e);
/* The client service that mail of a virtual server leaves by: its own, "smtp" of the default one; NULL: it has none. */
const struct master_service *vs_client(const struct view *v, const char *vs, bool is_default);
/* The maxproc column; "-" is default_process_limit. */
char *service_procs(const struct view *v, const struct master_service *s);
int  master_cf_column(struct master_cf *m, const char *name, const char *type, int column, const char *value, struct err *e);
/* What of the settings does not go together, as results of the plan. */
void settings_judge(struct plan *p, const struct wanted_vs *vs, const struct view *after);

/* --- postfix_route.c: connectors as rows of our maps --- */

struct map_files { struct str policy, transport; };      /* empty: not needed */
int  route_render(const struct view *v, const struct reading *have, const struct file_list *files,
        const struct connector_list *connectors, struct map_files *out,
        bool *needs_ca, bool *needs_dnssec, struct plan *p, struct err *e);

/* --- postfix_plan.c --- */
int  postfix_plan(const struct reading *have, const struct wanted_host *want, const struct plan_options *o, struct plan *out,
        struct err *e);

/* --- postfix_check.c: what surrounds the changes of a plan --- */

/* after: the configuration as it would be. What mxseal itself finds wrong or worth saying: results and warnings. */
void plan_judge(struct plan *p, const struct reading *have, const struct wanted_host *want, const struct view *after);
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
const struct master_service *vs_service(const struct view *v, const struct wanted_vs *vs);
void service_listen(const struct view *v, const struct master_service *s, struct str *out);

/* --- postfix_watch.c: how mail fares, from the host's log --- */
void watch_command(struct plan *p);

/* --- postfix_traffic.c: who brought and took mail --- */
void postfix_traffic_command(int days, struct command_list *out);

#endif
