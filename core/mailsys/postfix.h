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

#define MAP_PARAMS 2
struct map_row {
	const char *setting;
	bool client;                     /* of the sending side: main.cf, default virtual server only */
	const char *param[MAP_PARAMS];
	const struct map_word *words;    /* the values, where they are words */
	int kind;
};
const struct map_row *map_find(const char *setting);
extern const struct map_row map_table[];     /* ended by a row without setting */
/* The parameter's value for our value; NULL when this parameter plays no part in it (another virtual server). */
char *map_native(const struct map_row *r, int param, const char *value, const int version[2]);
/* Do two native values of this parameter mean the same? */
bool map_same(const struct map_row *r, int param, const char *a, const char *b);
/* In our words, from the expanded native values; NULL: no word for it. Given away. */
char *map_ours(const struct map_row *r, char *const native[MAP_PARAMS]);
/* Does Postfix understand this list of protocols, and does it leave one? */
bool map_protocols_ok(const char *list);
int  map_native_lines(const char *setting, const char *value, bool is_default, struct str *out, struct err *e);

/* --- postfix_files.c: files on the host that the configuration names --- */

enum file_kind { FILE_CERT, FILE_KEY, FILE_MAP };
struct file { enum file_kind kind; char *path; };
struct file_list { struct file *v; size_t n; };
/* All that a second look should read; the same list for the same configuration, so that section "cert.3" is file 3. Of
 * a plan this is the configuration as it was read, never the edited one. */
void files_named(const struct view *v, struct file_list *out);
void file_list_release(struct file_list *l);
int  files_more(const struct sections *s, struct command_list *cmds, struct err *e);
/* Sentences, one a line, on files with keys and certificates that others can read or exchange. (postfix_modes.c) */
void files_troubles(const struct file_list *l, const struct sections *s, struct str *out);
/* Text of a section about a file ("cert", "certkey", "certmode", "key", "mode", "map"), NULL when it was not read or failed. */
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

#endif
