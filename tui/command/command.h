/* The command line: the same engine and the same words as the console. THE TABLE of commands is commands.c; options come from
 * a command's own list and from the fields of its sheet; results go to standard output, everything else to standard error. */
#ifndef MXSEAL_COMMAND_H
#define MXSEAL_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "mxseal/fleet.h"
#include "mxseal/journey.h"
#include "mxseal/sheet.h"

/* Runs one command; returns the exit status promised to scripts. */
int command_main(int argc, char **argv);

struct many;
struct errand;
struct cli {
	struct journey *j;            /* opened when a command needs it */
	const char *store_path;
	bool json, no_input, plain, quiet, read_only;
	int passphrase_fd;            /* -1: the terminal */
	bool passphrase_given;        /* asked for once more, it was wrong */
	bool stream_steps;            /* push --json: steps as JSON lines on standard output */
	const char *server;           /* being worked on, for progress */
	struct fleet *fleet;          /* several are */
	struct many *many;            /* how; of many.c */
	struct errand *errands;       /* jobs that nobody waits for; of ask.c */
};

/* --- parse.c --- */
struct option {
	const char *name;             /* "cn": typed as --cn VALUE or --cn=VALUE */
	const char *value;            /* what its value is called, NULL: a flag */
	const char *help;
	bool many;                    /* may be repeated */
};

struct args {
	char **words; size_t n;                              /* without the command's own words */
	struct { const char *name, *value; } *v; size_t n_v; /* options in order */
};
const char *args_get(const struct args *a, const char *name);       /* last value, NULL: not given; "" for a flag */
bool args_has(const struct args *a, const char *name);
void args_join(const struct args *a, const char *name, struct str *out);   /* all values, blank between */

const char **args_values(const struct args *a, const char *name, size_t *n);  /* free() it; the values are the arguments' own */

enum { NEEDS_STORE = 1, CHANGES_HOST = 2 /* refused while read-only; no other command may change a host */,
	SHOWS_ALONE = 4 /* ... but without words it only shows */ };

struct cli_command {
	const char *words;            /* "server add" */
	const char *usage;            /* "NAME TARGET" */
	const char *help;             /* one line */
	const char *more;             /* or NULL */
	size_t least, most;           /* words that follow */
	unsigned flags;
	const struct option *options; /* ended by a row without name, or NULL */
	const char *sheet;            /* whose fields are options too, or NULL */
	int (*run)(struct cli *c, const struct args *a, struct err *e);
};
extern const struct cli_command commands[];    /* ended by a row without words */

/* Finds the command that argv begins with. RC_USAGE with what could follow. */
const struct cli_command *command_find(char **argv, int argc, int *used, struct err *e);
int  args_parse(const struct cli_command *c, char **argv, int argc, struct args *out, bool *help, struct err *e);
void args_release(struct args *a);
void command_help(const struct cli_command *c, struct str *out);
void commands_help(struct str *out);

/* --- jobs and questions: ask.c --- */
typedef int64_t start_fn(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e);
/* Starts, waits, answers questions (host key, password, passphrase) and starts again. server may be 0. */
int cli_job(struct cli *c, int64_t server, start_fn *start, void *arg, struct err *e);
int cli_job_within(struct cli *c, int64_t server, int seconds, start_fn *start, void *arg, struct err *e);    /* RC_CANCELLED: it took longer */
/* The same without waiting: ended comes on a jobq_deliver, with how it ended, after its questions. cli_errands_stop ends all that
 * run, and their ended functions have come when it returns. */
typedef void cli_ended_errand_fn(void *arg, int rc, const struct err *e);
void cli_errand(struct cli *c, int64_t server, start_fn *start, void *arg, cli_ended_errand_fn *ended);
void cli_errands_stop(struct cli *c);
/* Answers what a job asked. 0: start it again; -1 with e: that is its end. */
int cli_answer(struct cli *c, int64_t server, const struct err *asked, struct err *e);
/* Makes sure a passphrase is there; confirm: asked twice. */
int cli_passphrase(struct cli *c, const char *what, bool confirm, struct err *e);
int cli_secret(struct cli *c, const char *prompt, struct secret *out, struct err *e);
/* Yes or no on the terminal; RC_USAGE when nobody can be asked. */
int cli_confirm(struct cli *c, bool *yes, struct err *e, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Shows a host key and asks; fingerprint (may be NULL) answers instead. */
int cli_trust(struct cli *c, int64_t server, const char *fingerprint, struct err *e);
void cli_progress(const struct job_progress *p, void *cli);

/* The number of a descriptor; option names it in the sentence. */
int cli_descriptor(const char *word, const char *option, int *fd, struct err *e);
/* A whole number from min to max; option names it in the sentence. */
int cli_number(const char *word, const char *option, int min, int max, int *n, struct err *e);

/* --- many servers at a time: many.c --- */
#define CLI_READS_AT_ONCE 8
/* --at-once; 0 with e: no number for it. */
size_t cli_at_once(const struct args *a, size_t usual, struct err *e);
/* The servers named in a, as a fleet that asks its questions on the terminal. ended (may be NULL) is called as each is done. */
typedef void cli_ended_fn(struct cli *c, struct fleet_host *h, void *arg);
struct fleet *cli_fleet(struct cli *c, const struct server_list *l, const struct fleet_options *o, cli_ended_fn *ended, void *arg);
void cli_fleet_wait(struct cli *c, struct fleet *f);
void cli_fleet_free(struct cli *c, struct fleet *f);
/* Prints what came of one; -1 with e: there is something to report. */
typedef int cli_print_fn(struct cli *c, struct fleet_host *h, const struct args *a, struct err *e);
/* A verb on each server named in a, several at a time; printed in their order. Who failed is named on standard error; the
 * first of them is the error of all. */
int cli_each(struct cli *c, const struct args *a, const char *verb, fleet_verb_fn *start, cli_print_fn *print, struct err *e);

/* --- names --- */
int cli_server(struct cli *c, const char *name, struct server *out, struct err *e);
int cli_vserver(struct cli *c, const char *name, struct vserver *out, struct err *e);
/* Servers named in a, @GROUP for all of a group, each once, in that order (all when none is named). */
int cli_servers(struct cli *c, const struct args *a, struct server_list *out, struct err *e);
int cli_id(const char *text, int64_t *out, struct err *e);
/* A form with the command's options filled in and checked. */
int cli_form(struct cli *c, const struct sheet *s, int64_t object, const char *object_name, const struct args *a,
        struct form **out, struct err *e);
/* Checks the whole form; what it refuses names the option. */
int cli_form_check(struct form *f, struct err *e);
/* What a question of the form would be decided by, looked up as the dialog does on these pages (NULL at the end); for a minute at most. */
void cli_form_look(struct cli *c, struct form *f, int64_t server, const char *const *pages);
/* Of a form that was checked: the remarks on what is edited (of a wizard: on all), then the question of a sheet that asks one. */
int cli_form_ask(struct cli *c, const struct form *f, bool yes, struct err *e);
/* Checks a form and runs its start to its end. */
int cli_form_run(struct cli *c, struct form *f, int64_t server, struct err *e);

/* --- printers: out.c --- */
void out_text(const char *text);                    /* cleaned, newlines kept, on standard output */
void out_json(json_t *o);                           /* adds "v":1; takes the reference; one line */
json_t *json_text(const char *s);                   /* null for NULL; bytes that are no UTF-8 are replaced */
json_t *json_when(int64_t t);                       /* RFC 3339, null for 0 */
struct table { const char *const *head; size_t columns; struct str *cell; size_t n; };
void table_cell(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_print(struct table *t);                  /* widths from the cells; frees them */

#endif
