/* How mail fares after the switch, from the host's own mail log. The host counts and decides (host_script.sh, "THE RULE");
 * here is read what it says. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define PAUSE_MS 1000

void
push_mail_release(struct push_mail *m)
{
	free(m->alarm);
	*m = (struct push_mail){ 0 };
}

/* One line of "mail WHICH SECONDS SENT RECEIVED DEFERRED BOUNCED TLS-ERRORS" or "alarm SENTENCE". */
static void
mail_line(struct push_mail *m, const char *line, size_t len)
{
	struct mail_counts c;
	struct str s = STR_INIT;
	char which[16];

	if (text_starts(line, "alarm ")) {
		clean_text(&s, line + 6, len - 6, false);
		free(m->alarm);
		m->alarm = str_take(&s);
		return;
	}
	if (sscanf(line, "mail %15s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, which, &c.seconds,
	    &c.sent, &c.received, &c.deferred, &c.bounced, &c.tls_errors) != 7)
		return;
	if (strcmp(which, "before") == 0)
		m->before = c;
	else if (strcmp(which, "lately") == 0)
		m->lately = c;
	else if (strcmp(which, "since") == 0) {
		m->since = c;
		m->watched = true;
	}
}

void
push_mail_parse(struct push_mail *m, const char *text)
{
	push_mail_release(m);
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");

		mail_line(m, text, len);
		text += len + (text[len] == '\n');
	}
}

void
push_mail_counts(const struct mail_counts *c, const char *between, struct str *out)
{
	str_addf(out, "sent %" PRId64 "%sreceived %" PRId64 "%sdeferred %" PRId64, c->sent, between, c->received, between,
	    c->deferred);
	if (c->bounced > 0)
		str_addf(out, "%sbounced %" PRId64, between, c->bounced);
	str_addf(out, "%sTLS errors %" PRId64, between, c->tls_errors);
}

void
push_mail_text(const struct push_mail *m, struct str *out)
{
	if (!m->watched) {
		str_add(out, "the mail log of this host cannot be read: not watched");
		return;
	}
	if (m->alarm != NULL)
		str_addf(out, "%s; ", m->alarm);
	str_addf(out, "%" PRId64 " s since the switch: ", m->since.seconds);
	push_mail_counts(&m->since, ", ", out);
	str_addf(out, "; %" PRId64 " s before it: ", m->before.seconds);
	push_mail_counts(&m->before, ", ", out);
}

static int
ask(struct push *p, struct err *e)
{
	struct str out = STR_INIT;
	int rc;

	talk_verb(p->t, "watch");
	rc = push_ask(p, &out, PUSH_ASK_MS, e);
	if (rc == 0)
		push_mail_parse(&p->report->mail, out.s);
	str_release(&out);
	return rc;
}

/* The seconds that were asked for, between proof and keep. What waits for a word is watched by the host meanwhile. */
int
step_watch(struct push *p, struct err *e)
{
	int64_t until = when_monotonic_ms() + (p->keep ? p->watch * 1000 : 0);
	struct pollfd fd = { .fd = job_cancel_fd(p->ctx), .events = POLLIN };

	do {
		if (ask(p, e) != 0)
			return -1;
		if (p->report->mail.alarm != NULL)
			return err_set(e, RC_REMOTE, "%s", p->report->mail.alarm);
		if (when_monotonic_ms() >= until || job_cancelled(p->ctx))
			break;
		(void)poll(&fd, fd.fd >= 0 ? 1 : 0, PAUSE_MS);
	} while (true);
	push_mail_text(&p->report->mail, &p->text);
	return 0;
}
