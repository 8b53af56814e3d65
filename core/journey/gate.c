/* The gate: nothing on a host is changed without passing here. It is shut while the program is read-only, for whatever
 * reason, and for whoever did not say beforehand that he would change a host. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define FACT "read-only"
#define VARIABLE "MXSEAL_READ_ONLY"

static bool
environment_says(void)
{
	const char *v = getenv(VARIABLE);

	return v != NULL && *v != '\0' && strcmp(v, "0") != 0;
}

/* Who marked the store and when. Caller frees; NULL: nobody. */
static char *
store_says(struct journey *j)
{
	char *text = NULL;
	struct err e = { .code = RC_OK };

	if (store_fact_get(j->store, FACT, &text, &e) == 0)
		return text;
	return e.code == RC_NOTFOUND ? NULL : xstrdup("somebody (the store cannot be read)");
}

enum read_only
journey_read_only(struct journey *j, struct str *why)
{
	enum read_only is = j->read_only_asked ? READ_ONLY_ASKED : environment_says() ? READ_ONLY_ENVIRONMENT : READ_ONLY_NO;
	char *mark = is == READ_ONLY_NO && !j->past_mark ? store_says(j) : NULL;

	if (mark != NULL)
		is = READ_ONLY_STORE;
	else if (is == READ_ONLY_NO && j->read_only_session)
		is = READ_ONLY_SESSION;
	if (why != NULL && is == READ_ONLY_ASKED)
		str_add(why, "it was started with --read-only");
	else if (why != NULL && is == READ_ONLY_ENVIRONMENT)
		str_add(why, VARIABLE " is set");
	else if (why != NULL && is == READ_ONLY_STORE)
		str_addf(why, "the store was made read-only by %s", clean(mark));
	else if (why != NULL && is == READ_ONLY_SESSION)
		str_add(why, "the console starts read-only");
	free(mark);
	return is;
}

void
journey_stay_read_only(struct journey *j)
{
	j->read_only_asked = true;
}

void
journey_start_read_only(struct journey *j)
{
	j->read_only_session = true;
	j->past_mark = false;
}

int
journey_allow_changes(struct journey *j, struct err *e)
{
	enum read_only was = journey_read_only(j, NULL);

	if (was == READ_ONLY_ASKED || was == READ_ONLY_ENVIRONMENT)
		return may_change(j, e);
	j->read_only_session = false;
	j->past_mark = was == READ_ONLY_STORE;
	return j->past_mark ? note_activity(j, NULL, "read-only", 0, e, "changes allowed for one session although the store is marked")
	    : 0;
}

int
journey_mark_read_only(struct journey *j, bool on, struct err *e)
{
	char *text, stamp[32];
	int rc;

	when_rfc3339(stamp, when_now());
	text = xasprintf("%s at %s", store_who(j->store), stamp);
	rc = store_fact_set(j->store, FACT, on ? text : NULL, e);
	if (rc == 0)
		rc = note_activity(j, NULL, "read-only", 0, e, on ? "the store is read-only" : "hosts may be changed again");
	free(text);
	return rc;
}

bool
journey_intend(struct journey *j, bool change)
{
	bool was = !j->reads_only;

	j->reads_only = !change;
	return was;
}

bool
journey_intends(const struct journey *j)
{
	return !j->reads_only;
}

int
may_change(struct journey *j, struct err *e)
{
	struct str why = STR_INIT;
	enum read_only is = journey_read_only(j, &why);
	static const char *const hints[] = {
		[READ_ONLY_ASKED] = "start it without --read-only",
		[READ_ONLY_ENVIRONMENT] = "start it without " VARIABLE,
		[READ_ONLY_STORE] = "mxseal read-only off",
	};

	if (is == READ_ONLY_SESSION)                       /* short enough for one line with its way out */
		err_set(e, RC_READ_ONLY, "read-only: no host is changed until W allows it for this session");
	else if (is != READ_ONLY_NO) {
		err_set(e, RC_READ_ONLY, "read-only: no host is changed, because %s", why.s);
		err_hint(e, "%s", hints[is]);
	} else if (j->reads_only)
		err_set(e, RC_BUG, "what only reads wanted to change a host; nothing was touched");
	str_release(&why);
	return is != READ_ONLY_NO || j->reads_only ? -1 : 0;
}

struct host_job *
host_change_new(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e)
{
	return may_change(j, e) == 0 ? host_job_new(j, server, done, arg, e) : NULL;
}
