/* One paragraph per endpoint: what was offered, what was agreed, whose certificate, what is wrong. */
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
	str_release(&t);
}
