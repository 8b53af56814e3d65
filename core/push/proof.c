/* The proof of a push: what the listeners really serve, looked at from the mail host itself. What the mail system's own
 * checks say is not enough: Postfix reloads without complaint and then answers 454 to STARTTLS. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/probe.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define LOOK_MS 5000
#define PAUSE_MS 250

static void
proof_release(struct proof *f)
{
	free(f->listen);
	free(f->text);
	*f = (struct proof){ 0 };
}

void
push_report_release(struct push_report *r)
{
	for (size_t i = 0; i < r->n_proofs; i++)
		proof_release(&r->proofs[i]);
	free(r->proofs);
	push_mail_release(&r->mail);
	str_release(&r->steps);
	*r = (struct push_report){ .steps = STR_INIT };
}

static int
look(struct push *p, const struct proof_want *w, struct probe_host *out, struct err *e)
{
	struct dialer d = { .fn = probe_dial_host, .arg = p->h, .from = p->name };
	struct probe_options o = {
		.timeout_ms = LOOK_MS, .implicit_tls = w->implicit_tls, .name = w->name, .key = w->key, .roots = text_empty(w->roots) ? NULL : w->roots,
	};

	return probe_smtp(&d, w->address, w->address, w->port, &o, out, e);
}

static bool
greeted(const struct probe_host *h)
{
	return h->banner != NULL && text_starts(h->banner, "220");
}

/* Did anybody take the connection? */
static bool
answered(const struct probe_host *h)
{
	static const char *const nobody[] = { "connect-refused", "connect-timeout", "network-unreachable" };
	bool there = h->banner != NULL || h->tls;

	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]) && !there; i++)
		if (text_eq(h->class_name, nobody[i]))
			return false;
	return true;
}

/* What is wrong with what was seen, as a sentence to be freed; NULL: it is as wanted. */
static char *
objection(const struct proof_want *w, const struct probe_host *h)
{
	const char *why = h->trouble != NULL ? h->trouble : "";

	if (w->state == PROOF_GONE)
		return answered(h) ? xasprintf("somebody still answers: %s", h->banner != NULL ? h->banner : why) : NULL;
	if (w->state == PROOF_PAUSED)
		return h->banner != NULL && text_starts(h->banner, "421") ? NULL
		    : xasprintf("it is to be paused, and does not answer with 421: %s", h->banner != NULL ? h->banner : why);
	if (w->implicit_tls && !h->tls)
		return xasprintf("no TLS session: %s", why);
	if (!greeted(h))
		return xasprintf("no greeting: %s", text_empty(why) ? h->banner != NULL ? h->banner : "nothing was said" : why);
	if (w->forbid_tls && h->starttls)
		return xstrdup("STARTTLS is still offered");
	if ((w->want_tls || w->sha256[0] != '\0') && !h->tls)
		return xasprintf("%s: %s", h->starttls ? "STARTTLS is offered but does not work" : "STARTTLS is not offered", why);
	if (w->sha256[0] != '\0' && strcasecmp(w->sha256, h->sha256) != 0)
		return xasprintf("another certificate is served%s%s (%.16s..., wanted %.16s...)", w->key[0] ? " to who takes only " : "",
		    w->key, h->sha256, w->sha256);
	return NULL;
}

static void
judge(struct proof *f, const struct proof_want *w, const struct probe_host *h)
{
	char *text = objection(w, h);
	struct str s = STR_INIT;

	proof_release(f);
	f->listen = xstrdup(w->listen);
	f->ok = text == NULL;
	snprintf(f->sha256, sizeof(f->sha256), "%s", h->sha256);
	snprintf(f->protocol, sizeof(f->protocol), "%s", h->protocol);
	snprintf(f->cipher, sizeof(f->cipher), "%s", h->cipher);
	f->chain_ok = h->trusted;
	f->name_ok = h->name_ok;
	if (text == NULL)
		text = w->state == PROOF_GREETS && h->tls && w->key[0] ? xasprintf("greets, and TLS with %s keys works", w->key)
		    : xstrdup(w->state == PROOF_GONE ? "nobody answers any more" : w->state == PROOF_PAUSED ? "is paused (421)"
		    : h->tls ? "greets, and TLS works" : "greets");
	clean_text(&s, text, strlen(text), false);
	f->text = str_take(&s);
	free(text);
}

/* Until the next look; a cancelled job does not wait. */
static void
pause_for(struct push *p, int ms)
{
	struct pollfd fd = { .fd = job_cancel_fd(p->ctx), .events = POLLIN };

	(void)poll(&fd, fd.fd >= 0 ? 1 : 0, ms);
}

size_t
push_prove(struct push *p, const struct proof_want *v, size_t n, int grace_ms, struct err *e)
{
	int64_t until = when_monotonic_ms() + grace_ms;
	struct push_report *r = p->report;
	size_t bad, first = 0;

	for (size_t i = 0; i < r->n_proofs; i++)
		proof_release(&r->proofs[i]);
	free(r->proofs);
	r->proofs = xcalloc(n, sizeof(*r->proofs));
	r->n_proofs = n;
	do {
		bad = 0;
		for (size_t i = n; i-- > 0; ) {
			struct probe_host h = { 0 };

			if (r->proofs[i].ok)
				continue;
			if (look(p, &v[i], &h, e) == 0)
				judge(&r->proofs[i], &v[i], &h);
			else if (r->proofs[i].listen == NULL) {
				r->proofs[i].listen = xstrdup(v[i].listen);
				r->proofs[i].text = xstrdup("not looked at");
			}
			probe_host_release(&h);
			if (!r->proofs[i].ok) {
				bad++;
				first = i;
			}
		}
		if (bad == 0)
			return 0;
		if (!host_alive(p->h)) {
			p->lost = true;
			break;
		}
		if (job_cancelled(p->ctx) || when_monotonic_ms() >= until)
			break;
		pause_for(p, PAUSE_MS);
	} while (true);
	err_set(e, RC_TLS, "%s: %s", clean(r->proofs[first].listen), clean(r->proofs[first].text));
	return bad;
}

/* Which listeners greet now, and what they serve: that is what an undo must bring back. */
int
step_baseline(struct push *p, struct err *e)
{
	for (size_t i = 0; i < p->n_wants; i++) {
		const struct proof_want *w = &p->wants[i];
		struct probe_host h = { 0 };

		if (look(p, w, &h, e) == 0 && greeted(&h)) {
			struct proof_want b = {
				.listen = xstrdup(w->listen), .address = xstrdup(w->address), .port = w->port,
				.implicit_tls = w->implicit_tls, .want_tls = h.tls, .forbid_tls = !w->implicit_tls && !h.starttls,
				.name = xstrdup(w->name),
			};

			snprintf(b.sha256, sizeof(b.sha256), "%s", h.sha256);
			snprintf(b.key, sizeof(b.key), "%s", w->key);
			ARRAY_GROW(p->before.v, p->before.n);
			p->before.v[p->before.n++] = b;
		}
		probe_host_release(&h);
		if (!host_alive(p->h)) {
			p->lost = true;
			return err_set(e, RC_NET, "connection to %s lost while looking at its listeners", p->name);
		}
	}
	str_addf(&p->text, "%s%zu of %zu listeners greet now", p->text.len > 0 ? ", " : "", p->before.n, p->n_wants);
	return 0;
}

int
step_probe(struct push *p, struct err *e)
{
	int64_t left = (p->undo_at - when_now() - 3) * 1000;      /* our undo must be faster than the host's */
	int grace = left < PUSH_GRACE_MS ? left > 0 ? (int)left : 0 : PUSH_GRACE_MS;
	size_t bad;

	bad = push_prove(p, p->wants, p->n_wants, grace, e);
	if (bad > 0)
		return -1;
	if (p->n_wants == 0)
		str_add(&p->text, "no listener to prove");
	for (size_t i = 0; i < p->report->n_proofs; i++) {
		const struct proof *f = &p->report->proofs[i];

		str_addf(&p->text, "%s%s %s%s%s", i > 0 ? "; " : "", clean(f->listen), clean(f->text), f->protocol[0] ? ", " : "",
		    f->protocol);
	}
	return 0;
}
