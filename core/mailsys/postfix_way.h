/* What the files of the way share: finding out, round by round, where mail for an address goes. Everything that has to be
 * asked on the host is a section; what is missing is appended to the commands of the next round. Private to this folder. */
#ifndef MXSEAL_POSTFIX_WAY_H
#define MXSEAL_POSTFIX_WAY_H

#include "mxseal/way.h"
#include "postfix.h"

#define WAY_LOOKUPS 3000         /* for one address, all rounds together */
#define WAY_ENDS 100             /* recipients that one address becomes */
#define WAY_KEY_MAX 512
#define WAY_FILE_MAX "1048576"           /* bytes of a file or folder that are read ... */
#define WAY_FILE_CUT(text) (strlen(text) >= 1048576)      /* ... and were there more? */

/* Missing: asked for, come again. Broken: the table cannot be read; mail waits. */
enum answer { ANSWER_NONE, ANSWER_FOUND, ANSWER_MISSING, ANSWER_BROKEN };

struct way_work {
	struct view v;
	const struct sections *s;        /* so far */
	struct command_list *next;       /* NULL: nothing more can be asked */
	const char *level;               /* asked for in place of smtp_tls_security_level; NULL: not */
	bool look;                       /* at the other side, where only a look tells */
	size_t lookups;
	bool wait;                       /* something is missing */
	bool over;                       /* of the ceiling */
	struct mail_way *out;
};

/* What was found where; texts owned. */
struct hit { char *map, *key, *row; };
void hit_release(struct hit *h);

/* --- postfix_way_ask.c --- */

/* Elements of a list of maps or names: by comma and white space, "{...}" held together (as "inline:{a=b, c=d}" is). */
struct words { char **v; size_t n; };
void words_of(struct words *w, const char *list);
void words_release(struct words *w);
bool words_have(const struct words *w, const char *word);
bool words_put(struct words *w, const char *word);       /* adds a copy; false: it was there */
/* Those of a parameter's value; service may be NULL. */
void param_words(const struct view *v, const struct master_service *service, const char *param, struct words *out);
/* The file that a map of this name is made from, where that is text; NULL: none. proxy: is looked through. */
const char *map_source_file(const char *map);
/* Is it asked for whole addresses only, as Postfix does with patterns? */
bool map_is_pattern(const char *map);
/* Text of a file on the host. Missing until it was read; broken when it cannot be; then text is what was said. */
enum answer ask_file(struct way_work *w, const char *path, const char **text);
enum answer ask_roots(struct way_work *w, const char *dir, const char **text);     /* certificates of a CApath folder */
/* All rows of a map, "key<tab>value" lines. Broken: it cannot be listed. */
enum answer ask_rows(struct way_work *w, const char *map, const char **text);
/* What posttls-finger(1) of the host sees at a next hop under dane-only; missing until it has looked. Broken: it is not there. */
enum answer ask_dane(struct way_work *w, const char *dest, const char **text);
/* The first map of the list that knows the key. partial: patterns are left out. */
enum answer ask_maps(struct way_work *w, const struct words *maps, const char *key, bool partial, struct hit *h);
/* Keys one after the other, for each the maps in their order. */
struct way_key { char *text; bool partial; };
struct way_keys { struct way_key *v; size_t n; };
void way_key_add(struct way_keys *k, bool partial, const char *fmt, ...) PRINTF_LIKE(3, 4);
void way_keys_release(struct way_keys *k);
enum answer ask_keys(struct way_work *w, const struct words *maps, const struct way_keys *keys, struct hit *h);
/* user+ext@domain without its extension; NULL: it has none. Given away. ext (may be NULL) points into address. */
char *without_extension(const struct view *v, const char *address, const char **ext);
/* Full address, without extension, the local part when the domain is ours, @domain: as most tables are asked. */
enum answer ask_address(struct way_work *w, const char *param, const char *address, struct hit *h);
/* Is domain in a list (names, files, tables, !name)? parents: sub-domains match too. */
enum answer domain_listed(struct way_work *w, const char *param, const char *domain, bool dotted, bool parents);
enum answer domain_is_local(struct way_work *w, const char *domain);
bool parents_match(const struct view *v, const char *param);
bool word_in(const struct view *v, const char *param, const char *word);
void step_add(struct way_step_list *l, const struct hit *h, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* --- postfix_way_rewrite.c: what cleanup(8) does to a recipient --- */
enum answer way_rewrite(struct way_work *w, const char *address, struct words *out);
/* Who gets mail for a local user by the alias tables; none: he himself. */
enum answer way_aliases(struct way_work *w, const char *address, struct words *out, struct way_step_list *steps);
/* An address as trivial-rewrite(8) completes it. Given away. */
enum answer way_complete(struct way_work *w, const char *address, char **out);

/* --- postfix_way_route.c: what trivial-rewrite(8) answers the queue manager --- */
enum answer way_route(struct way_work *w, const char *sender, struct way_end *end);

/* --- postfix_way_tls.c: the client and its policy --- */
const struct master_service *client_service(const struct view *v, const char *transport);
bool service_runs(const struct master_service *s, const char *program);      /* "smtp", also as /usr/lib/postfix/sbin/smtp */
enum answer way_hops(struct way_work *w, struct way_end *end);
/* "[host]:port", "[host]", "host:port", "host", as smtp(8) reads a next hop; false: it cannot. */
bool hop_parse(const char *dest, char **host, int *port, bool *mx);
bool level_is_known(const char *level);

/* --- postfix_way.c --- */
int  postfix_way(const struct way_ask *ask, const struct sections *s, struct command_list *next, struct mail_way *out, struct err *e);
/* The configuration alone, for both; 1: its commands are among the next. */
int  way_view(struct view *v, const struct sections *s, struct command_list *next, struct err *e);

/* --- postfix_dead.c --- */
/* Why no mail can reach a rule, and what mends it; why NULL: some can. Then the connector that says the same where it bites:
 * its domains and the next hop it stands under, NULL where there is none. */
struct verdict { char *why, *repair, *domains, *smart_host; };
void verdict_release(struct verdict *d);
/* One for each rule. listed: the tables whose rows are all among the rules. */
void rules_verdicts(const struct view *v, const struct found_rule_list *rules, const struct words *listed, struct verdict *out);

/* --- postfix_rows.c --- */
int  postfix_dead(const struct sections *s, struct command_list *next, struct dead_rule_list *out, struct err *e);

#endif
