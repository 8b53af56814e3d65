/* One paragraph per endpoint: what was offered, what was agreed, whose certificate, what is wrong. */
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "tui/console/views/reports.h"

static void
host_lines(const struct probe_host *h, int width, struct lines *l)
{
	struct str t = STR_INIT;
	bool good = h->trouble == NULL;
	char until[16];

	str_addf(&t, "  %s %s", good ? "ok " : "! ", h->host != NULL ? h->host : "-");
	if (h->address != NULL && (h->host == NULL || strcmp(h->address, h->host) != 0))
		str_addf(&t, " [%s]", h->address);
	str_addf(&t, ":%d", h->port);
	if (h->preference >= 0)
		str_addf(&t, "  pref %d", h->preference);
	str_addf(&t, "  %d ms", h->ms);
	lines_wrap(l, good ? STYLE_OK : STYLE_BAD, width, 6, t.s);
	str_reset(&t);
	if (h->trouble != NULL) {
		str_addf(&t, "      %s (%s)", h->trouble, h->class_name != NULL ? h->class_name : "unknown");
		lines_wrap(l, STYLE_BAD, width, 6, t.s);
		str_reset(&t);
	}
	if (h->tls)
		str_addf(&t, "      STARTTLS yes  %s  %s", h->protocol, h->cipher);
	else
		str_addf(&t, "      STARTTLS %s", h->starttls ? "offered, no session" : h->banner != NULL ? "not offered" : "unknown");
	lines_wrap(l, STYLE_NORMAL, width, 6, t.s);
	str_reset(&t);
	if (h->works != NULL) {
		str_addf(&t, "      versions that work: %s", *h->works != '\0' ? h->works : "none");
		lines_wrap(l, STYLE_NORMAL, width, 6, t.s);
		str_reset(&t);
	}
	if (*h->dane != '\0' && strcmp(h->dane, "none") != 0) {
		str_addf(&t, "      DANE: %s", h->dane);
		lines_wrap(l, strcmp(h->dane, "match") == 0 ? STYLE_OK : STYLE_WARN, width, 6, t.s);
		str_reset(&t);
	}
	if (h->cert_subject != NULL) {
		when_date(until, h->not_after);
		str_addf(&t, "      certificate %s, issued by %s, until %s: chain %s, name %s, dates %s", h->cert_subject,
		    h->cert_issuer != NULL ? h->cert_issuer : "?", until, h->trusted ? "ok" : "!", h->name_ok ? "ok" : "!",
		    h->in_time ? "ok" : "!");
		lines_wrap(l, h->trusted && h->name_ok && h->in_time ? STYLE_NORMAL : STYLE_WARN, width, 8, t.s);
	}
	str_release(&t);
}

void
report_lines(const struct probe_report *r, int width, struct lines *l)
{
	struct str t = STR_INIT;

	if (r->verdict != NULL) {
		str_addf(&t, "  %s", r->verdict);
		lines_wrap(l, r->class_name != NULL && strcmp(r->class_name, "tls-ok") == 0 ? STYLE_OK : STYLE_WARN, width, 2, t.s);
	}
	for (size_t i = 0; i < r->n; i++)
		host_lines(&r->v[i], width, l);
	if (r->sts != NULL && strcmp(r->sts, "none") != 0) {
		str_reset(&t);
		str_addf(&t, "  MTA-STS: %s%s%s%s%s", r->sts, r->sts_mode != NULL ? ", mode " : "", r->sts_mode != NULL ? r->sts_mode : "",
		    r->sts_trouble != NULL ? ": " : "", r->sts_trouble != NULL ? r->sts_trouble : "");
		lines_wrap(l, strcmp(r->sts, "ok") == 0 ? STYLE_OK : STYLE_WARN, width, 4, t.s);
	}
	str_release(&t);
}

void
transcript_lines(const struct probe_report *r, int width, struct lines *l)
{
	struct str t = STR_INIT;

	for (size_t i = 0; i < r->n; i++) {
		const struct probe_host *h = &r->v[i];
		char *copy = strdup(h->transcript != NULL ? h->transcript : ""), *save = NULL;

		str_reset(&t);
		str_addf(&t, "  %s [%s]:%d", h->host, h->address != NULL ? h->address : "-", h->port);
		lines_wrap(l, STYLE_TITLE, width, 4, t.s);
		for (char *p = copy != NULL ? strtok_r(copy, "\n", &save) : NULL; p != NULL; p = strtok_r(NULL, "\n", &save)) {
			str_reset(&t);
			str_addf(&t, "    %s", p);
			lines_wrap(l, *p == 'C' ? STYLE_KEY : *p == '-' ? STYLE_LABEL : STYLE_NORMAL, width, 7, t.s);
		}
		if (h->transcript == NULL)
			lines_add(l, STYLE_NORMAL, "    no conversation");
		free(copy);
	}
	str_release(&t);
}
