/* Joins the lines of one process: what TLS a session had, and the mail that it brought or took. The lines are looked at as they
 * pass; what is remembered of them has its ceilings in tables.c. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define NAME_MAX_LEN 255
#define DAY 86400

static const char *const versions[] = { "SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
#define VERSIONS ((int)(sizeof(versions) / sizeof(versions[0])))

struct maillog *
maillog_new(int64_t now, int days)
{
	struct maillog *m = xcalloc(1, sizeof(*m));

	log_clock_utc(&m->clock, now);
	m->days = days;
	m->since = days > 0 ? now - (int64_t)days * DAY : 0;
	return m;
}

/* --- counting --- */

static void
count_time(struct maillog *m, struct peer *p, int64_t at)
{
	if (at > p->last_at)
		p->last_at = at;
	if (m->first_at == 0 || at < m->first_at)
		m->first_at = at;
	if (at > m->last_at)
		m->last_at = at;
}

static void
count(struct maillog *m, struct peer *p, int tls, int64_t at)
{
	p->messages++;
	if (tls < 0)
		p->clear++;
	else if (p->oldest < 0 || tls < p->oldest)
		p->oldest = tls;
	if (tls > p->newest)
		p->newest = tls;
	count_time(m, p, at);
}

/* --- texts --- */

/* A host name, an address or a domain, in lower case; false for anything else. */
static bool
copy_name(const char *p, size_t len, char out[NAME_MAX_LEN + 1])
{
	size_t i;

	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (i = 0; i < len; i++) {
		if (!isalnum((unsigned char)p[i]) && p[i] != '.' && p[i] != '-' && p[i] != '_' && p[i] != ':')
			return false;
		out[i] = (char)tolower((unsigned char)p[i]);
	}
	out[len] = '\0';
	return true;
}

/* "host[address]" at p: its name, or the address of an unknown one. */
static bool
client_name(const char *p, char out[NAME_MAX_LEN + 1])
{
	size_t host = strcspn(p, "[ ,"), address;

	if (p[host] != '[')
		return false;
	address = strcspn(p + host + 1, "] ");
	if (host == strlen("unknown") && strncmp(p, "unknown", host) == 0)
		return p[host + 1 + address] == ']' && copy_name(p + host + 1, address, out);
	return copy_name(p, host, out);
}

/* The rank of the version in "...: TLSv1.3 with cipher ..."; -1: there is none. */
static int
version_in(const char *p)
{
	int i;

	for (; (p = strstr(p, ": ")); p += 2)
		for (i = 0; i < VERSIONS; i++) {
			size_t n = strlen(versions[i]);

			if (strncmp(p + 2, versions[i], n) == 0 && p[2 + n] == ' ')
				return i;
		}
	return -1;
}

/* What follows "Trusted TLS connection established from "; NULL: the text does not begin so. Clients have their words further
 * behind in other lines. */
static const char *
tls_line(const char *text, const char *what)
{
	static const char *const trust[] = { "Anonymous", "Untrusted", "Trusted", "Verified" };
	size_t i, n;

	for (i = 0; i < sizeof(trust) / sizeof(trust[0]); i++) {
		n = strlen(trust[i]);
		if (strncmp(text, trust[i], n) == 0 && text_starts(text + n, " TLS connection ")
		    && text_starts(text + n + strlen(" TLS connection "), what))
			return text + n + strlen(" TLS connection ") + strlen(what);
	}
	return NULL;
}

/* --- smtpd(8): who brings --- */

/* "postfix/submission/smtpd" of "postfix/submission/smtpd[123]" */
static unsigned
service_in(struct maillog *m, const struct log_line *l)
{
	return service_of(&m->tables, l->program, (size_t)(l->daemon - l->program) + l->n_daemon);
}

static void
tls_came_in(struct maillog *m, const struct log_line *l, int64_t at)
{
	struct service *s = &m->tables.services[service_in(m, l)];

	m->tls_seen = true;
	if (s->tls_at == 0 || at < s->tls_at)
		s->tls_at = at;
}

/* "disconnect from host[address] ehlo=2 starttls=1 mail=1 ...": what was good of what was asked for, whatever else is logged. */
static void
smtpd_end(struct maillog *m, struct session *s, const struct log_line *l, int64_t at)
{
	const char *p = strstr(l->text, " starttls=");
	char name[NAME_MAX_LEN + 1];
	struct peer *peer;

	if (p != NULL && atoi(p + strlen(" starttls=")) > 0) {
		tls_came_in(m, l, at);
		if (s->tls < 0 && s->peer != NULL) {
			s->peer->clear -= s->clear;
			s->peer->unnamed += s->clear;
		}
	} else if (p != NULL && client_name(l->text + strlen("disconnect from "), name)) {
		peer = peer_of(&m->tables, true, service_in(m, l), name, strlen(name));
		peer->failed++;
		count_time(m, peer, at);
	}
	session_end(s);
}

static void
smtpd_mail(struct maillog *m, struct session *s, const struct log_line *l, const char *name, int64_t at)
{
	struct peer *peer = peer_of(&m->tables, true, service_in(m, l), name, strlen(name));
	bool wrapped = memmem(l->program, l->n, "/smtps/", 7) != NULL || memmem(l->program, l->n, "/submissions/", 13) != NULL;

	count(m, peer, s->tls, at);
	if (s->tls < 0 && wrapped) {             /* TLS from the first byte, whether that is logged or not */
		peer->clear--;
		peer->unnamed++;
	} else if (s->tls < 0 && (s->peer == NULL || s->peer == peer)) {
		s->clear = s->peer == peer ? s->clear + 1 : 1;
		s->peer = peer;
	}
}

static void
smtpd_line(struct maillog *m, const struct log_line *l, uint64_t key, int64_t at)
{
	const char *text = l->text, *p;
	char name[NAME_MAX_LEN + 1];
	struct session *s;
	size_t n;

	if (text_starts(text, "connect from ")) {
		s = session_of(&m->tables, key);
		s->tls = -1;
		s->peer = NULL;
	} else if (text_starts(text, "disconnect from "))
		smtpd_end(m, session_of(&m->tables, key), l, at);
	else if ((p = tls_line(text, "established from "))) {
		session_of(&m->tables, key)->tls = version_in(p);
		tls_came_in(m, l, at);
	} else if ((p = log_queue_id(text, &n)) && text_starts(p, "client=") && client_name(p + strlen("client="), name))
		smtpd_mail(m, session_of(&m->tables, key), l, name, at);
}

/* --- smtp(8): who takes --- */

/* "to=<x@domain>, relay=host[address]:port, ..., status=sent (...)" */
struct delivery_line {
	uint64_t id, relay;              /* hashes; relay 0: none is named */
	char domain[NAME_MAX_LEN + 1];
	size_t n_domain;
	enum { SENT, DEFERRED, BOUNCED } status;
};

static bool
delivery_parse(const char *text, struct delivery_line *d)
{
	static const struct { const char *word; size_t n; int status; } words[] = { { "sent ", 5, SENT }, { "deferred ", 9, DEFERRED },
	    { "bounced ", 8, BOUNCED } };
	const char *p, *to, *end, *status, *relay;
	size_t n, i;

	if ((p = log_queue_id(text, &n)) == NULL || !text_starts(p, "to=<"))
		return false;
	d->id = log_hash(0, text, n);
	to = p + strlen("to=<");
	end = to + strcspn(to, ">");
	for (p = end; p > to && *p != '@'; p--)
		;
	if ((status = strstr(end, " status=")) == NULL)
		return false;
	status += strlen(" status=");
	for (i = 0; i < 3 && strncmp(status, words[i].word, words[i].n) != 0; i++)
		;
	if (i == 3)
		return false;
	d->status = words[i].status;
	relay = strstr(end, " relay=");
	d->relay = relay != NULL ? log_hash(0, relay + 7, strcspn(relay + 7, ",")) : 0;
	d->n_domain = *p == '@' && copy_name(p + 1, (size_t)(end - p - 1), d->domain) ? strlen(d->domain) : 0;
	return true;
}

static void
smtp_tls(struct maillog *m, uint64_t key, const char *peer)
{
	struct session *s = session_of(&m->tables, key);
	const char *end = strstr(peer, ": ");

	s->relay = end != NULL ? log_hash(0, peer, (size_t)(end - peer)) : 0;
	s->tls = version_in(peer);
	s->id = 0;
	m->tls_seen = true;
}

/* One recipient of a message: several of the same domain are one, and so are all attempts. */
static void
smtp_delivery(struct maillog *m, uint64_t key, const struct delivery_line *d, int64_t at)
{
	struct session *s = session_of(&m->tables, key);
	bool ours = s->relay != 0 && s->relay == d->relay && (s->id == 0 || s->id == d->id), fresh;
	uint64_t *pair = pair_of(&m->tables.pairs, log_hash(d->id, d->domain, d->n_domain), &fresh);
	struct peer *peer;

	if (ours)
		s->id = d->id;                   /* whatever became of it */
	if (d->status == SENT ? (*pair & PAIR_DONE) != 0 : !fresh)
		return;
	peer = peer_of(&m->tables, false, 0, d->domain, d->n_domain);
	if (d->status != SENT) {
		peer->waiting++;
		count_time(m, peer, at);
		return;
	}
	if (!fresh && peer->waiting > 0)
		peer->waiting--;
	*pair |= PAIR_DONE;
	count(m, peer, ours ? s->tls : -1, at);
}

static void
smtp_line(struct maillog *m, const struct log_line *l, uint64_t key, int64_t at)
{
	struct delivery_line d;
	const char *p;

	if ((p = tls_line(l->text, "established to ")) || (p = tls_line(l->text, "reused to ")))
		smtp_tls(m, key, p);
	else if (delivery_parse(l->text, &d)) {
		m->recipients[d.status]++;
		if (d.n_domain > 0)
			smtp_delivery(m, key, &d, at);
	}
}

/* --- lines --- */

/* What the host's own script says of its reading. */
static void
announced(struct maillog *m, const char *text)
{
	if (text_starts(text, "now ") && log_clock_hear(&m->clock, text + strlen("now ")))
		m->since = m->days > 0 ? m->clock.now - (int64_t)m->days * DAY : 0;
	else if (text_starts(text, "cut "))
		m->cut = atoll(text + strlen("cut "));
	else if (text_starts(text, "unread ") && m->unread++ == 0)
		m->unread_file = xstrdup(text + strlen("unread "));
}

static bool
daemon_is(const struct log_line *l, const char *name)
{
	return l->n_daemon == strlen(name) && memcmp(l->daemon, name, l->n_daemon) == 0;
}

static void
one_line(void *arg, const char *line, size_t len)
{
	struct maillog *m = arg;
	struct log_line l;
	int64_t at = 0;
	bool smtpd;

	if (!log_line_parse(line, len, &l)) {
		if (text_starts(line, "-- "))
			announced(m, line + 3);
		return;
	}
	smtpd = daemon_is(&l, "smtpd");
	if ((!smtpd && !daemon_is(&l, "smtp") && !daemon_is(&l, "error") && !daemon_is(&l, "retry")) || l.daemon == l.program
	    || memmem(l.program, l.n, "mxseal", 6) != NULL || text_starts(l.program, "trial/") || !log_stamp(&m->clock, line, len, &at)
	    || at < m->since)
		return;
	if (smtpd)
		smtpd_line(m, &l, log_hash(0, l.program, l.n), at);
	else
		smtp_line(m, &l, log_hash(0, l.program, l.n), at);
}

void
maillog_feed(struct maillog *m, const char *mem, size_t len)
{
	m->bytes += (int64_t)len;
	log_lines_feed(&m->cutter, mem, len, one_line, m);
}

/* --- what came out --- */

static int
by_clear(const void *a, const void *b)
{
	const struct traffic *x = a, *y = b;

	if (x->clear != y->clear)
		return x->clear < y->clear ? 1 : -1;
	if (x->messages != y->messages)
		return x->messages < y->messages ? 1 : -1;
	if (strcmp(x->direction, y->direction) != 0)
		return strcmp(x->direction, y->direction);
	return strcmp(x->peer, y->peer) != 0 || x->service == NULL ? strcmp(x->peer, y->peer) : strcmp(x->service, y->service);
}

/* What of the log is not in the figures, or not as finely. */
static char *
what_is_missing(const struct maillog *m)
{
	struct str s = STR_INIT;
	char date[16];

	if (m->cut > 0) {
		when_date(date, m->first_at);
		str_addf(&s, "The log is longer than the %lld MB that are looked through on a host: only the newest are in the figures, from %s on. "
		    "Ask for fewer days (--days), or copy it here and name it with --log, which has no limit.\n", (long long)(m->cut / 1048576),
		    m->first_at > 0 ? date : "nothing");
	}
	if (m->unread > 0)
		str_addf(&s, "%s%s could not be unpacked whole on the host: is it damaged, or the program for that not there? Copy it here and "
		    "name it with --log.\n", clean(m->unread_file), m->unread > 1 ? " and others" : "");
	if (m->tables.folded)
		str_addf(&s, "The log names more than %d others: those with the fewest messages are counted together, as %s.\n", PEERS_MAX,
		    MAILLOG_OTHERS);
	if (m->tables.pairs.lost)
		str_addf(&s, "More than %u messages of this log had not got there at some time: of some, later attempts are counted as further "
		    "messages.\n", PAIRS_MAX / 4);
	if (m->cutter.too_long > 0)
		str_addf(&s, "%lld line%s longer than %d bytes and passed over.\n", (long long)m->cutter.too_long,
		    m->cutter.too_long == 1 ? " was" : "s were", LOG_LINE_MAX);
	if (s.len > 0)
		s.s[--s.len] = '\0';
	return s.len > 0 ? str_take(&s) : NULL;
}

void
maillog_figures(struct maillog *m, struct maillog_figures *out)
{
	struct peer *p;
	size_t i;

	log_lines_feed(&m->cutter, "\n", 1, one_line, m);
	memset(out, 0, sizeof(*out));
	out->first_at = m->first_at;
	out->last_at = m->last_at;
	out->cut = m->cut > 0 || m->unread > 0;
	out->missing = what_is_missing(m);
	out->tls_seen = m->tls_seen;
	out->bytes = m->bytes;
	out->sent = m->recipients[SENT];
	out->deferred = m->recipients[DEFERRED];
	out->bounced = m->recipients[BOUNCED];
	out->services = xcalloc(m->tables.n_services + 1, sizeof(*out->services));
	for (i = 0; i < m->tables.n_services; i++)
		out->services[out->n_services++] = (struct maillog_service){ xstrdup(m->tables.services[i].name), m->tables.services[i].tls_at };
	for (i = 0; i < PEERS_BUCKETS; i++)
		for (p = m->tables.peers[i]; p; p = p->next) {
			struct traffic *t = traffic_list_add(&out->traffic);

			t->direction = xstrdup(p->in ? "in" : "out");
			t->service = xstrdup(p->in ? m->tables.services[p->service].name : NULL);
			t->peer = xstrdup(p->name);
			t->messages = p->messages;
			t->clear = p->clear;
			t->waiting = p->waiting;
			t->unnamed = p->unnamed;
			t->failed = p->failed;
			t->oldest = p->oldest >= 0 ? xstrdup(versions[p->oldest]) : NULL;
			t->newest = p->newest >= 0 ? xstrdup(versions[p->newest]) : NULL;
			t->last_at = p->last_at;
		}
	if (out->traffic.n > 1)
		qsort(out->traffic.v, out->traffic.n, sizeof(*out->traffic.v), by_clear);
}

void
maillog_figures_release(struct maillog_figures *f)
{
	size_t i;

	for (i = 0; i < f->n_services; i++)
		free(f->services[i].name);
	free(f->services);
	traffic_list_release(&f->traffic);
	free(f->missing);
	memset(f, 0, sizeof(*f));
}

/* --- of one service --- */

static int
rank_of(const char *version)
{
	int i;

	for (i = 0; version != NULL && i < VERSIONS; i++)
		if (strcmp(versions[i], version) == 0)
			return i;
	return -1;
}

static int
by_peer(const void *a, const void *b)
{
	return strcmp(((const struct traffic *)a)->peer, ((const struct traffic *)b)->peer);
}

/* What came by another service from the same client. */
static void
traffic_join(struct traffic *to, const struct traffic *t)
{
	to->messages += t->messages;
	to->clear += t->clear;
	to->waiting += t->waiting;
	to->unnamed += t->unnamed;
	to->failed += t->failed;
	if (t->oldest != NULL && (to->oldest == NULL || rank_of(t->oldest) < rank_of(to->oldest)))
		xset(&to->oldest, t->oldest);
	if (rank_of(t->newest) > rank_of(to->newest))
		xset(&to->newest, t->newest);
	if (t->last_at > to->last_at)
		to->last_at = t->last_at;
}

void
traffic_came_by(const struct traffic_list *all, const char *service, struct traffic_list *out)
{
	struct traffic *sorted = xcalloc(all->n + 1, sizeof(*sorted));
	size_t i, n = 0;

	*out = (struct traffic_list){ NULL, 0 };
	for (i = 0; i < all->n; i++)
		if (strcmp(all->v[i].direction, "in") == 0 && (service == NULL || text_eq(all->v[i].service, service)))
			sorted[n++] = all->v[i];
	qsort(sorted, n, sizeof(*sorted), by_peer);
	for (i = 0; i < n; i++) {
		struct traffic *t;

		if (out->n > 0 && strcmp(out->v[out->n - 1].peer, sorted[i].peer) == 0) {
			traffic_join(&out->v[out->n - 1], &sorted[i]);
			continue;
		}
		t = traffic_list_add(out);
		*t = sorted[i];
		t->direction = xstrdup("in");
		t->peer = xstrdup(sorted[i].peer);
		t->service = xstrdup(service);
		t->oldest = xstrdup(sorted[i].oldest);
		t->newest = xstrdup(sorted[i].newest);
	}
	free(sorted);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), by_clear);
}

int64_t
traffic_tls_since(const struct maillog_figures *f, const char *service)
{
	int64_t at = 0;
	size_t i;

	for (i = 0; i < f->n_services; i++)
		if (f->services[i].tls_at != 0 && (service == NULL || strcmp(f->services[i].name, service) == 0) &&
		    (at == 0 || f->services[i].tls_at < at))
			at = f->services[i].tls_at;
	return at;
}

/* --- the end of it --- */

void
maillog_free(struct maillog *m)
{
	if (m == NULL)
		return;
	tables_release(&m->tables);
	maillog_unpack_end(m);
	free(m->unread_file);
	free(m);
}
