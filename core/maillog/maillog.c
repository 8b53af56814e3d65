/* Joins the lines of one process: what TLS a session had, and the mail that it brought or took. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "private.h"
#include "mxseal/xalloc.h"

#define LINE_MAX_LEN 8192
#define SESSIONS_MAX 65536       /* processes at a time; more, and all are forgotten */
#define PEERS_MAX 20000
#define BUCKETS 8192
#define NAME_MAX_LEN 255
#define DAY 86400
#define PAIRS_MAX (4u * 1024 * 1024)     /* messages by domain that are told apart; of more, retries count again */

/* What a process is at. smtp(8) names the queue id only when it has delivered, so the first delivery after the line about
 * TLS is the one it belongs to. */
struct session {
	struct session *next;
	char *key;                       /* "postfix/smtpd[123]" */
	int tls;                         /* rank of its version, -1 none */
	char relay[NAME_MAX_LEN + 60];   /* smtp: whom the TLS line was about */
	char id[32];                     /* smtp: the delivery that used it */
	struct peer *peer;               /* smtpd: who brought ... */
	int64_t clear;                   /* ... so many messages with no line about TLS before */
};
struct peer { struct peer *next; bool in; char *name; int64_t messages, clear, unnamed, failed, waiting, last_at; int oldest, newest; };

/* A message to a domain, by the hash of "ID domain", and what became of it as far as is known; newer files are read first. */
enum fate { FATE_OPEN, FATE_DONE };
struct pair { uint64_t key; enum fate fate; };

struct maillog {
	int64_t now, since;              /* epoch */
	int days;
	struct tm clock;                 /* the host's clock at now */
	char line[LINE_MAX_LEN];
	size_t len;
	bool skip;                       /* the rest of a line that is too long */
	size_t bytes, n_sessions, n_peers;
	struct session *sessions[BUCKETS];
	struct peer *peers[BUCKETS];
	struct pair *pairs;
	size_t n_pairs, max_pairs;
	int64_t first_at, last_at, in_tls_at;
	bool tls_seen;
};

static const char *const versions[] = { "SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
#define VERSIONS ((int)(sizeof(versions) / sizeof(versions[0])))

static unsigned
hash(const char *text)
{
	unsigned h = 2166136261u;

	while (*text)
		h = (h ^ (unsigned char)*text++) * 16777619u;
	return h % BUCKETS;
}

/* --- clocks --- */

static int64_t
civil(const struct tm *t)
{
	struct tm copy = *t;

	return (int64_t)timegm(&copy);
}

struct maillog *
maillog_new(int64_t now, int days)
{
	struct maillog *m = xcalloc(1, sizeof(*m));
	time_t t = (time_t)now;

	m->now = now;
	m->days = days;
	m->since = days > 0 ? now - (int64_t)days * DAY : 0;
	gmtime_r(&t, &m->clock);
	return m;
}

/* "-- now 1795721361 2026 11 26 21 09 21" */
static void
set_clock(struct maillog *m, const char *text)
{
	struct tm t = { .tm_isdst = 0 };
	long long now;

	if (sscanf(text, "%lld %d %d %d %d %d %d", &now, &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec) != 7
	    || now < 0 || now > INT64_C(253402300799) || t.tm_year < 1970 || t.tm_year > 9999)
		return;
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	m->now = now;
	m->clock = t;
	m->since = m->days > 0 ? now - (int64_t)m->days * DAY : 0;
}

static bool
digits_at(const char *p, const char *shape)
{
	for (; *shape; shape++, p++)
		if (*shape == '9' ? !isdigit((unsigned char)*p) : *p != *shape)
			return false;
	return true;
}

/* RFC 3339, or "+0000" for the offset as journalctl has it. Returns what follows, NULL: no such stamp. */
static const char *
stamp_iso(const char *p, int64_t *at)
{
	struct tm t = { .tm_isdst = 0 };
	int offset = 0, sign;

	if (!digits_at(p, "9999-99-99T99:99:99"))
		return NULL;
	sscanf(p, "%4d-%2d-%2dT%2d:%2d:%2d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec);
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	p += 19;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++)
			;
	sign = *p == '-' ? -1 : 1;
	if (digits_at(p + (*p == '+' || *p == '-'), "99:99"))
		offset = sign * (atoi(p + 1) * 3600 + atoi(p + 4) * 60);
	else if (digits_at(p + (*p == '+' || *p == '-'), "9999"))
		offset = sign * (((p[1] - '0') * 10 + p[2] - '0') * 3600 + atoi(p + 3) * 60);
	*at = civil(&t) - offset;
	p += strcspn(p, " ");
	return *p == ' ' ? p + 1 : NULL;
}

/* "Nov 26 21:09:54": the host's clock, of this year or of the one before. */
static const char *
stamp_old(const struct maillog *m, const char *p, int64_t *at)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm t = { .tm_isdst = 0 };
	int month;

	for (month = 0; month < 12 && strncmp(p, months + 3 * month, 3) != 0; month++)
		;
	if (month == 12 || p[3] != ' ' || sscanf(p + 3, "%d %2d:%2d:%2d", &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec) != 4
	    || t.tm_mday < 1 || t.tm_mday > 31 || strlen(p) < 16 || p[15] != ' ')
		return NULL;
	t.tm_mon = month;
	t.tm_year = m->clock.tm_year;
	if (civil(&t) > civil(&m->clock) + DAY)
		t.tm_year--;
	*at = m->now - (civil(&m->clock) - civil(&t));
	return p + 16;
}

const char *
maillog_stamp(const struct maillog *m, const char *line, int64_t *at)
{
	return isdigit((unsigned char)*line) ? stamp_iso(line, at) : stamp_old(m, line, at);
}

void
maillog_clock(struct maillog *m, const char *text)
{
	set_clock(m, text);
}

int64_t
maillog_now(const struct maillog *m)
{
	return m->now;
}

/* --- the tables --- */

static void
session_free(struct session *s)
{
	free(s->key);
	free(s);
}

static void
sessions_forget(struct maillog *m)
{
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		while (m->sessions[i]) {
			struct session *s = m->sessions[i];

			m->sessions[i] = s->next;
			session_free(s);
		}
	m->n_sessions = 0;
}

static struct session *
session_of(struct maillog *m, const char *key)
{
	struct session *s;

	for (s = m->sessions[hash(key)]; s; s = s->next)
		if (strcmp(s->key, key) == 0)
			return s;
	if (m->n_sessions >= SESSIONS_MAX)
		sessions_forget(m);
	s = xcalloc(1, sizeof(*s));
	s->key = xstrdup(key);
	s->tls = -1;
	s->next = m->sessions[hash(key)];
	m->sessions[hash(key)] = s;
	m->n_sessions++;
	return s;
}

static void
session_end(struct maillog *m, const char *key)
{
	struct session **p = &m->sessions[hash(key)], *s;

	while (*p && strcmp((*p)->key, key) != 0)
		p = &(*p)->next;
	if ((s = *p)) {
		*p = s->next;
		session_free(s);
		m->n_sessions--;
	}
}

static struct peer *
peer_of(struct maillog *m, bool in, const char *name)
{
	struct peer *p;

	for (p = m->peers[hash(name)]; p; p = p->next)
		if (p->in == in && strcmp(p->name, name) == 0)
			return p;
	if (m->n_peers >= PEERS_MAX && strcmp(name, MAILLOG_OTHERS) != 0)
		return peer_of(m, in, MAILLOG_OTHERS);
	p = xcalloc(1, sizeof(*p));
	p->in = in;
	p->name = xstrdup(name);
	p->oldest = p->newest = -1;
	p->next = m->peers[hash(name)];
	m->peers[hash(name)] = p;
	m->n_peers++;
	return p;
}

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

static struct pair *
pair_place(struct pair *v, size_t max, uint64_t key)
{
	size_t i;

	for (i = (size_t)key & (max - 1); v[i].key != 0 && v[i].key != key; i = (i + 1) & (max - 1))
		;
	return &v[i];
}

/* The place of a message to a domain; fresh: it was not seen before. NULL: there are too many. */
static struct pair *
pair_of(struct maillog *m, const char *id, const char *domain, bool *fresh)
{
	uint64_t key = UINT64_C(14695981039346656037);
	struct pair *p, *wider;
	size_t i;

	for (; *id; id++)
		key = (key ^ (unsigned char)*id) * UINT64_C(1099511628211);
	for (key *= UINT64_C(1099511628211); *domain; domain++)
		key = (key ^ (unsigned char)*domain) * UINT64_C(1099511628211);
	key += key == 0;
	if (m->n_pairs * 2 >= m->max_pairs) {
		if (m->n_pairs >= PAIRS_MAX)
			return NULL;
		wider = xcalloc(m->max_pairs ? m->max_pairs * 2 : 1024, sizeof(*wider));
		for (i = 0; i < m->max_pairs; i++)
			if (m->pairs[i].key)
				*pair_place(wider, m->max_pairs * 2, m->pairs[i].key) = m->pairs[i];
		free(m->pairs);
		m->pairs = wider;
		m->max_pairs = m->max_pairs ? m->max_pairs * 2 : 1024;
	}
	p = pair_place(m->pairs, m->max_pairs, key);
	if ((*fresh = p->key == 0)) {
		p->key = key;
		m->n_pairs++;
	}
	return p;
}

/* --- lines --- */

/* A host name, an address or a domain, in lower case; false for anything else. */
static bool
copy_name(const char *p, size_t len, char out[NAME_MAX_LEN + 1])
{
	size_t i;

	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (i = 0; i < len; i++) {
		if (!isalnum((unsigned char)p[i]) && !strchr("._:-", p[i]))
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

/* The queue id that a message of a daemon begins with; returns what follows, NULL: it begins with none. */
static const char *
queue_id(const char *p, char out[32])
{
	size_t n = strspn(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (n < 6 || n >= 32 || strncmp(p + n, ": ", 2) != 0 || strncmp(p, "NOQUEUE", n) == 0)
		return NULL;
	snprintf(out, 32, "%.*s", (int)n, p);
	return p + n + 2;
}

static void
tls_came_in(struct maillog *m, int64_t at)
{
	m->tls_seen = true;
	if (m->in_tls_at == 0 || at < m->in_tls_at)
		m->in_tls_at = at;
}

/* "disconnect from host[address] ehlo=2 starttls=1 mail=1 ...": what was good of what was asked for, whatever else is logged. */
static void
smtpd_end(struct maillog *m, const char *key, const char *text, int64_t at)
{
	struct session *s = session_of(m, key);
	const char *p = strstr(text, " starttls=");
	char name[NAME_MAX_LEN + 1];
	struct peer *peer;

	if (p != NULL && atoi(p + strlen(" starttls=")) > 0) {
		tls_came_in(m, at);
		if (s->tls < 0 && s->peer != NULL) {
			s->peer->clear -= s->clear;
			s->peer->unnamed += s->clear;
		}
	} else if (p != NULL && client_name(text + strlen("disconnect from "), name)) {
		peer = peer_of(m, true, name);
		peer->failed++;
		count_time(m, peer, at);
	}
	session_end(m, key);
}

static void
smtpd_mail(struct maillog *m, const char *key, const char *name, int64_t at)
{
	struct session *s = session_of(m, key);
	struct peer *peer = peer_of(m, true, name);

	count(m, peer, s->tls, at);
	if (s->tls < 0 && (strstr(key, "/smtps/") || strstr(key, "/submissions/"))) {
		peer->clear--;                   /* TLS from the first byte, whether that is logged or not */
		peer->unnamed++;
	} else if (s->tls < 0 && (s->peer == NULL || s->peer == peer)) {
		s->peer = peer;
		s->clear++;
	}
}

static void
smtpd_line(struct maillog *m, const char *key, const char *text, int64_t at)
{
	char id[32], name[NAME_MAX_LEN + 1];
	struct session *s;
	const char *p;

	if (text_starts(text, "connect from ")) {
		s = session_of(m, key);
		s->tls = -1;
		s->peer = NULL;
		s->clear = 0;
	} else if (text_starts(text, "disconnect from "))
		smtpd_end(m, key, text, at);
	else if ((p = tls_line(text, "established from "))) {
		session_of(m, key)->tls = version_in(p);
		tls_came_in(m, at);
	} else if ((p = queue_id(text, id)) && text_starts(p, "client=") && client_name(p + strlen("client="), name))
		smtpd_mail(m, key, name, at);
}

static void
smtp_tls(struct maillog *m, const char *key, const char *peer)
{
	struct session *s = session_of(m, key);
	const char *end = strstr(peer, ": ");

	snprintf(s->relay, sizeof(s->relay), "%.*s", end ? (int)(end - peer) : 0, peer);
	s->tls = version_in(peer);
	s->id[0] = '\0';
	m->tls_seen = true;
}

/* "to=<x@domain>, ...": the domain of the recipient. */
static bool
recipient_domain(const char *text, char out[NAME_MAX_LEN + 1])
{
	const char *to = text + strlen("to=<"), *at_sign = to + strcspn(to, ">");

	while (at_sign > to && *at_sign != '@')
		at_sign--;
	return *at_sign == '@' && copy_name(at_sign + 1, strcspn(at_sign + 1, ">"), out);
}

/* One recipient of a message: several of the same domain are one, and so are all attempts. */
static void
smtp_sent(struct maillog *m, const char *key, const char *id, const char *text, int64_t at)
{
	struct session *s = session_of(m, key);
	const char *relay = strstr(text, " relay=");
	char name[NAME_MAX_LEN + 1];
	struct peer *peer;
	struct pair *pair;
	bool ours, fresh = true;

	if (relay == NULL || !recipient_domain(text, name))
		return;
	relay += strlen(" relay=");
	pair = pair_of(m, id, name, &fresh);
	if (!fresh && pair->fate == FATE_DONE)
		return;
	peer = peer_of(m, false, name);
	if (!fresh && peer->waiting > 0)
		peer->waiting--;
	if (pair != NULL)
		pair->fate = FATE_DONE;
	ours = s->relay[0] && strncmp(relay, s->relay, strlen(s->relay)) == 0 && relay[strlen(s->relay)] == ','
	    && (s->id[0] == '\0' || strcmp(s->id, id) == 0);
	if (ours)
		snprintf(s->id, sizeof(s->id), "%s", id);
	count(m, peer, ours ? s->tls : -1, at);
}

/* It was tried and did not get there. */
static void
smtp_not_sent(struct maillog *m, const char *id, const char *text, int64_t at)
{
	char name[NAME_MAX_LEN + 1];
	struct peer *peer;
	bool fresh = true;

	if (!recipient_domain(text, name) || pair_of(m, id, name, &fresh) == NULL || !fresh)
		return;
	peer = peer_of(m, false, name);
	peer->waiting++;
	count_time(m, peer, at);
}

static void
smtp_line(struct maillog *m, const char *key, const char *text, int64_t at)
{
	char id[32];
	const char *p;

	if ((p = tls_line(text, "established to ")) || (p = tls_line(text, "reused to ")))
		smtp_tls(m, key, p);
	else if ((p = queue_id(text, id)) && text_starts(p, "to=<") && strstr(p, " status=sent "))
		smtp_sent(m, key, id, p, at);
	else if (p && text_starts(p, "to=<") && (strstr(p, " status=deferred ") || strstr(p, " status=bounced ")))
		smtp_not_sent(m, id, p, at);
}

/* "STAMP HOST postfix/smtpd[123]: text" */
static void
one_line(struct maillog *m, const char *line)
{
	int64_t at = 0;
	const char *p, *text, *slash;
	char key[128];
	size_t n;

	if (text_starts(line, "-- now ")) {
		set_clock(m, line + strlen("-- now "));
		return;
	}
	p = isdigit((unsigned char)*line) ? stamp_iso(line, &at) : stamp_old(m, line, &at);
	if (p == NULL || (p = strchr(p, ' ')) == NULL)
		return;
	p++;
	n = strcspn(p, " ");
	if (n < 4 || n >= sizeof(key) || strncmp(p + n - 2, "]:", 2) != 0 || p[n] != ' ')
		return;
	snprintf(key, sizeof(key), "%.*s", (int)n - 1, p);
	text = p + n + 1;
	slash = strrchr(key, '/');
	if (slash == NULL || strstr(key, "mxseal") || text_starts(key, "trial/") || at < m->since)
		return;
	if (text_starts(slash, "/smtpd["))
		smtpd_line(m, key, text, at);
	else if (text_starts(slash, "/smtp[") || text_starts(slash, "/error[") || text_starts(slash, "/retry["))
		smtp_line(m, key, text, at);
}

void
maillog_feed(struct maillog *m, const char *mem, size_t len)
{
	size_t i;

	m->bytes += len;
	for (i = 0; i < len; i++) {
		if (mem[i] == '\n') {
			m->line[m->len] = '\0';
			if (!m->skip)
				one_line(m, m->line);
			m->len = 0;
			m->skip = false;
		} else if (m->len + 1 < sizeof(m->line))
			m->line[m->len++] = mem[i] ? mem[i] : '?';
		else
			m->skip = true;
	}
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
	return strcmp(x->direction, y->direction) != 0 ? strcmp(x->direction, y->direction) : strcmp(x->peer, y->peer);
}

void
maillog_figures(struct maillog *m, struct maillog_figures *out)
{
	struct peer *p;
	size_t i;

	maillog_feed(m, "\n", 1);
	memset(out, 0, sizeof(*out));
	out->first_at = m->first_at;
	out->last_at = m->last_at;
	out->cut = m->bytes > MAILLOG_MAX || m->n_pairs >= PAIRS_MAX;
	out->tls_seen = m->tls_seen;
	out->in_tls_at = m->in_tls_at;
	for (i = 0; i < BUCKETS; i++)
		for (p = m->peers[i]; p; p = p->next) {
			struct traffic *t = traffic_list_add(&out->traffic);

			t->direction = xstrdup(p->in ? "in" : "out");
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
	traffic_list_release(&f->traffic);
	memset(f, 0, sizeof(*f));
}

void
maillog_free(struct maillog *m)
{
	struct peer *p;
	size_t i;

	if (m == NULL)
		return;
	sessions_forget(m);
	free(m->pairs);
	for (i = 0; i < BUCKETS; i++)
		while ((p = m->peers[i])) {
			m->peers[i] = p->next;
			free(p->name);
			free(p);
		}
	free(m);
}
