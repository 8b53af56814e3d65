/* MX and addresses of a domain as a mail host sees them: DNS over TCP (RFC 7766) through a dialer to the host's own resolver.
 * Messages are built and read with libresolv; a reply is at most 64 KiB, of the right number and question, and only names
 * that can be host names are taken from it. */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define QUESTION_MS 8000
#define RESOLVERS_MAX 3

struct via {
	const struct dialer *d;
	char resolver[RESOLVERS_MAX][64];
	size_t n, at;                 /* at: the one that answered last */
	int64_t until;
};

/* The "nameserver" lines of resolv.conf(5); this machine's own when there are none, as resolv.conf says. */
static void
read_resolvers(struct via *v, const char *text)
{
	size_t n, i;
	char **words;

	for (; *text != '\0' && v->n < RESOLVERS_MAX; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		char *line = xstrndup(text, n < 255 ? n : 255);

		words = words_split(line, " \t\r", &i);
		if (i >= 2 && strcmp(words[0], "nameserver") == 0 && is_address(words[1]))
			snprintf(v->resolver[v->n++], sizeof(v->resolver[0]), "%s", words[1]);
		words_free(words);
		free(line);
	}
	if (v->n == 0)
		snprintf(v->resolver[v->n++], sizeof(v->resolver[0]), "127.0.0.1");
}

static int
read_exactly(struct stream *s, unsigned char *mem, size_t n, int64_t until, struct err *e)
{
	ssize_t got;
	int64_t left;

	while (n > 0) {
		left = until - when_monotonic_ms();
		got = stream_read(s, mem, n, left > 0 ? (int)left : 0, e);
		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, RC_NET, "the resolver closed the connection");
		mem += got;
		n -= (size_t)got;
	}
	return 0;
}

/* Length in front, both ways. The reply is *reply, freed by the caller. */
static int
exchange(const struct via *v, const char *resolver, const unsigned char *query, size_t len, unsigned char **reply,
    size_t *reply_len, struct err *e)
{
	int64_t until = when_monotonic_ms() + QUESTION_MS;
	unsigned char head[2] = { (unsigned char)(len >> 8), (unsigned char)len };
	struct stream *s = NULL;
	char peer[64];
	int rc = -1;

	*reply = NULL;
	if (until > v->until)
		until = v->until;
	if (v->d->fn(v->d->arg, resolver, 53, QUESTION_MS / 2, &s, peer, e) != 0)
		return -1;
	if (stream_write(s, head, 2, QUESTION_MS, e) != 0 || stream_write(s, query, len, QUESTION_MS, e) != 0 ||
	    read_exactly(s, head, 2, until, e) != 0)
		goto out;
	*reply_len = (size_t)(head[0] << 8 | head[1]);
	*reply = xcalloc(1, *reply_len + 1);
	rc = read_exactly(s, *reply, *reply_len, until, e);
out:
	if (rc != 0) {
		free(*reply);
		*reply = NULL;
	}
	stream_close(s, NULL);
	return rc;
}

static void
take(ns_msg *msg, int type, struct answers *out)
{
	int i, n = ns_msg_count(*msg, ns_s_an);
	ns_rr rr;

	for (i = 0; i < n && i < 256 && out->n < DNS_ANSWERS_MAX; i++) {
		struct answer *a = &out->v[out->n];
		const unsigned char *p;
		size_t len;

		if (ns_parserr(msg, ns_s_an, i, &rr) != 0)
			return;
		p = ns_rr_rdata(rr);
		len = ns_rr_rdlen(rr);
		if ((int)ns_rr_type(rr) != type || ns_rr_class(rr) != ns_c_in)
			continue;
		if (type == ns_t_mx) {
			if (len < 3 || ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), p + 2, a->text,
			    sizeof(a->text)) < 0)
				continue;
			if (strcmp(a->text, ".") == 0)
				a->text[0] = '\0';
			if (a->text[0] != '\0' && !dns_name_good(a->text))
				continue;
			a->preference = p[0] << 8 | p[1];
		} else if (type == TYPE_TXT || type == TYPE_TLSA) {
			if (!dns_data_text(type, p, len, a->text))
				continue;
		} else if (len != (type == ns_t_a ? 4u : 16u) ||
		    inet_ntop(type == ns_t_a ? AF_INET : AF_INET6, p, a->text, sizeof(a->text)) == NULL)
			continue;
		out->n++;
	}
}

/* Is this the answer to our question? */
static int
read_reply(const unsigned char *reply, size_t len, const unsigned char *query, const char *name, int type,
    struct answers *out, struct err *e)
{
	ns_msg msg;
	ns_rr question;

	if (len < NS_HFIXEDSZ || ns_initparse(reply, (int)len, &msg) != 0 || memcmp(reply, query, 2) != 0 ||
	    !ns_msg_getflag(msg, ns_f_qr) || ns_msg_count(msg, ns_s_qd) != 1 || ns_parserr(&msg, ns_s_qd, 0, &question) != 0 ||
	    (int)ns_rr_type(question) != type || !text_ieq(ns_rr_name(question), name))
		return err_set(e, RC_PARSE, "The mail host's resolver gives a damaged answer for %s", clean(name));
	switch (ns_msg_getflag(msg, ns_f_rcode)) {
	case ns_r_noerror:
		take(&msg, type, out);
		out->secure = ns_msg_getflag(msg, ns_f_ad) != 0;
		return 0;
	case ns_r_nxdomain:
		return err_set(e, RC_NOTFOUND, "DNS of the mail host knows no %s", clean(name));
	default:
		return err_set(e, RC_REMOTE, "DNS of the mail host fails for %s (answer code %d%s)", clean(name),
		    ns_msg_getflag(msg, ns_f_rcode), ns_msg_getflag(msg, ns_f_rcode) == ns_r_servfail ? ", server failure" : "");
	}
}

int
via_ask(void *arg, const char *name, int type, struct answers *out, struct err *e)
{
	struct via *v = arg;
	struct __res_state state;
	unsigned char query[512], *reply = NULL;
	size_t len = 0, i;
	int n, rc = -1;

	out->n = 0;
	out->secure = false;
	memset(&state, 0, sizeof(state));
	if (res_ninit(&state) != 0)
		return err_set(e, RC_BUG, "The resolver library does not start.");
	n = res_nmkquery(&state, ns_o_query, name, ns_c_in, type, NULL, 0, NULL, query, sizeof(query));
	res_nclose(&state);
	if (n >= NS_HFIXEDSZ)
		query[3] |= 0x20;                /* AD: we want to know whether it is vouched for (RFC 6840 5.7) */
	if (n < 0)
		return err_set(e, RC_INVALID, "%s is no name that DNS can be asked for", clean(name));
	for (i = 0; i < v->n; i++) {
		const char *resolver = v->resolver[(v->at + i) % v->n];

		if (exchange(v, resolver, query, (size_t)n, &reply, &len, e) == 0) {
			v->at = (v->at + i) % v->n;
			rc = read_reply(reply, len, query, name, type, out, e);
			free(reply);
			return rc;
		}
		if (e != NULL && e->code == RC_CANCELLED)
			return -1;
		if (e != NULL)
			err_set(e, RC_NET, "DNS of %s cannot be asked at %s", clean(v->d->from), resolver);
	}
	return -1;
}

struct via *
via_new(const struct dialer *d, const char *resolv_conf)
{
	struct via *v = xcalloc(1, sizeof(*v));

	v->d = d;
	v->until = when_monotonic_ms() + 3 * QUESTION_MS;
	read_resolvers(v, resolv_conf);
	return v;
}

void
via_free(struct via *v)
{
	free(v);
}

int
dns_mx_via(const struct dialer *d, const char *resolv_conf, const char *domain, struct mx_list *out, struct err *e)
{
	struct via *v = via_new(d, resolv_conf);
	struct err here = { .code = RC_OK };
	int rc = dns_collect(via_ask, v, domain, out, &here);

	if (rc != 0 && e != NULL)
		*e = here;
	via_free(v);
	return rc;
}
