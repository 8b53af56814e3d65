/* The few words of SMTP that a look at a mail server needs (RFC 5321, RFC 3207). What the server says is hostile: lines of
 * at most 2048 bytes, at most 100 of them, one deadline for a whole reply. Nothing is sent but EHLO, HELO, STARTTLS, QUIT. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/failure.h"
#include "mxseal/when.h"
#include "mxseal/x509.h"
#include "mxseal/xalloc.h"

#define TIMEOUT_MS 10000

void
reply_release(struct reply *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		free(r->lines[i]);
	free(r->lines);
	*r = (struct reply){ 0, NULL, 0 };
}

static char *
cleaned(const char *s, size_t len)
{
	struct str b = STR_INIT;

	clean_text(&b, s, len, false);
	return str_take(&b);
}

int
smtp_reply(struct stream *s, int timeout_ms, struct reply *out, struct err *e)
{
	int64_t until = when_monotonic_ms() + timeout_ms, left;
	struct str line = STR_INIT;
	int rc = -1, got, code;

	*out = (struct reply){ 0, NULL, 0 };
	do {
		left = until - when_monotonic_ms();
		got = stream_line(s, &line, LINE_MAX_SMTP, left > 0 ? (int)left : 0, e);
		if (got == 0)
			err_set(e, RC_NET, "the other side closed the connection");
		if (got <= 0)
			goto out;
		if (line.len < 3 || !isdigit((unsigned char)line.s[0]) || !isdigit((unsigned char)line.s[1]) ||
		    !isdigit((unsigned char)line.s[2]) || (line.len > 3 && line.s[3] != ' ' && line.s[3] != '-')) {
			err_set(e, RC_PARSE, "this is not SMTP: %s", clean(line.s));
			goto out;
		}
		code = (line.s[0] - '0') * 100 + (line.s[1] - '0') * 10 + (line.s[2] - '0');
		if (out->n > 0 && code != out->code) {
			err_set(e, RC_PARSE, "a reply changes its code from %d to %d", out->code, code);
			goto out;
		}
		if (out->n == LINES_MAX) {
			err_set(e, RC_LIMIT, "a reply has more than %d lines", LINES_MAX);
			goto out;
		}
		out->code = code;
		ARRAY_GROW(out->lines, out->n);
		out->lines[out->n++] = line.len > 4 ? cleaned(line.s + 4, line.len - 4) : xstrdup("");
	} while (line.len > 3 && line.s[3] == '-');
	rc = 0;
out:
	str_release(&line);
	if (rc != 0)
		reply_release(out);
	return rc;
}

int
smtp_ask(struct stream *s, const char *command, int timeout_ms, struct reply *out, struct err *e)
{
	struct str line = STR_INIT;
	int rc;

	*out = (struct reply){ 0, NULL, 0 };
	str_add(&line, command);
	str_add(&line, "\r\n");
	rc = stream_write(s, line.s, line.len, timeout_ms, e);
	str_release(&line);
	return rc < 0 ? -1 : smtp_reply(s, timeout_ms, out, e);
}

void
smtp_helo_name(const char *wanted, struct str *out)
{
	char host[256] = "";
	const char *p;

	if (text_empty(wanted)) {
		if (gethostname(host, sizeof(host) - 1) != 0)
			host[0] = '\0';
		wanted = host[0] != '\0' ? host : "localhost";
	}
	for (p = wanted; *p != '\0' && out->len < 255; p++)
		str_addc(out, isalnum((unsigned char)*p) || strchr(".-:[]", *p) != NULL ? *p : '-');
}

/* --- one look --- */

/* What a look is made of while it lasts. */
struct look {
	struct probe_host *out;
	const struct probe_options *o;
	struct stream *s;
	int timeout_ms;
	struct err e;
	const char *class_name;      /* once something is wrong */
	bool asked;               /* for a certificate of ours */
	struct str talk;          /* the transcript */
};

#define TALK_MAX 16384

/* A line of the transcript: "S: 220 mx.bank.test ESMTP", "C: STARTTLS", "-- TLSv1.3". */
static void
note(struct look *l, const char *who, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void
note(struct look *l, const char *who, const char *fmt, ...)
{
	char line[LINE_MAX_SMTP + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	str_addf(&l->talk, "%s%s %s", l->talk.len > 0 ? "\n" : "", who, line);
}

static void
note_reply(struct look *l, const struct reply *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		note(l, "S:", "%d%c%s", r->code, i + 1 < r->n ? '-' : ' ', clean(r->lines[i]));
}

/* smtp_ask, told in the transcript. */
static int
ask(struct look *l, const char *command, struct reply *r)
{
	int rc;

	note(l, "C:", "%s", command);
	rc = smtp_ask(l->s, command, l->timeout_ms, r, &l->e);
	if (rc == 0)
		note_reply(l, r);
	return rc;
}

/* Says what is wrong; the first trouble stays. Returns -1. */
static int
trouble(struct look *l, const char *class_name, char *sentence)
{
	if (l->class_name == NULL) {
		l->class_name = class_name;
		l->out->trouble = sentence;
	} else
		free(sentence);
	return -1;
}

static int
connect_trouble(struct look *l, int ms)
{
	struct classified c;
	const char *name;

	classify(l->e.text, strlen(l->e.text), "postfix", &c);
	name = c.failure->name;
	if (l->e.code == RC_TIMEOUT)
		name = "connect-timeout";
	else if (strcmp(name, "unknown") == 0 && strstr(l->e.text, "refused, unreachable") != NULL)
		/* all that an SSH server says: a refusal comes at once, a missing neighbour shows after some seconds */
		name = ms < 2000 ? "connect-refused" : "network-unreachable";
	return trouble(l, name, xstrdup(l->e.text));
}

/* A conversation ended badly before TLS was asked for. what: "before its greeting". */
static int
talk_trouble(struct look *l, const char *what)
{
	const char *tls = tls_trouble(l->s);

	if (tls != NULL)
		return trouble(l, tls, xasprintf("TLS was ended by the other side %s: %s.", what, l->e.text));
	switch (l->e.code) {
	case RC_TIMEOUT:
		return trouble(l, strcmp(what, "before its greeting") == 0 ?
		    (l->out->port == 465 ? "wrapper-mismatch" : "connect-timeout") : "lost-connection",
		    xasprintf("The other side gives no answer within %d s %s.", l->timeout_ms / 1000, what));
	case RC_PARSE:
	case RC_LIMIT:
		return trouble(l, "banner-rejected", xasprintf("The other side does not speak SMTP %s: %s.", what, l->e.text));
	default:
		return trouble(l, "lost-connection", xasprintf("The connection ended %s: %s.", what, l->e.text));
	}
}

static int
refusal(struct look *l, const char *class_name, const char *what, const struct reply *r)
{
	return trouble(l, class_name, xasprintf("%s: %d %s", what, r->code, r->n > 0 ? clean(r->lines[r->n - 1]) : ""));
}

static int
greeting(struct look *l)
{
	struct reply r;
	int rc = 0;

	if (smtp_reply(l->s, l->timeout_ms, &r, &l->e) != 0)
		return talk_trouble(l, "before its greeting");
	note_reply(l, &r);
	free(l->out->banner);
	l->out->banner = xasprintf("%d %s", r.code, r.lines[0]);
	if (r.code != 220)
		rc = refusal(l, "banner-rejected", "The greeting is an error", &r);
	reply_release(&r);
	return rc;
}

/* EHLO; its lines are kept when keep. masked: a device on the path wrote over an extension. */
static int
hello(struct look *l, bool keep, bool *masked)
{
	struct str command = STR_INIT, name = STR_INIT;
	struct reply r;
	size_t i;
	int rc;

	smtp_helo_name(l->o->helo, &name);
	str_addf(&command, "EHLO %s", name.s);
	rc = ask(l, command.s, &r);
	if (rc == 0 && r.code >= 500) {
		reply_release(&r);
		str_reset(&command);
		str_addf(&command, "HELO %s", name.s);
		rc = ask(l, command.s, &r);
	}
	str_release(&command);
	str_release(&name);
	if (rc != 0)
		return talk_trouble(l, "after our greeting");
	if (r.code != 250) {
		rc = refusal(l, r.code == 421 ? "banner-rejected" : "sender-rejected", "Our greeting is refused", &r);
		reply_release(&r);
		return rc;
	}
	for (i = 1; keep && i < r.n; i++) {
		if (text_ieq(r.lines[i], "STARTTLS"))
			l->out->starttls = true;
		if (strspn(r.lines[i], "X") >= 4)
			*masked = true;
	}
	if (keep && r.n > 1) {
		l->out->n_ehlo = r.n - 1;
		l->out->ehlo = xcalloc(r.n, sizeof(char *));
		for (i = 1; i < r.n; i++)
			l->out->ehlo[i - 1] = xstrdup(r.lines[i]);
	}
	reply_release(&r);
	return 0;
}

static int
starttls(struct look *l, bool masked)
{
	struct reply r;
	int rc = 0;

	if (!l->out->starttls)
		return trouble(l, "tls-not-offered", xstrdup(masked ?
		    "STARTTLS is not offered; an extension is written over with X, as devices between the two do." :
		    "STARTTLS is not offered."));
	if (ask(l, "STARTTLS", &r) != 0) {
		if (l->e.code == RC_TIMEOUT)
			return trouble(l, "timeout-in-handshake", xasprintf("No answer to STARTTLS within %d s.",
			    l->timeout_ms / 1000));
		return trouble(l, l->e.code == RC_NET ? "lost-connection-after-starttls" : "handshake-failed",
		    xasprintf("No good answer to STARTTLS: %s.", l->e.text));
	}
	if (r.code != 220)
		rc = refusal(l, "starttls-refused", "STARTTLS is offered and then refused", &r);
	/* what came together with the 220 was not protected and would be taken as if it were (RFC 3207 section 4.2) */
	else if (l->s->peek_len > l->s->peek_at)
		rc = trouble(l, "handshake-failed", xstrdup("The other side went on in plain text after it agreed to start TLS."));
	reply_release(&r);
	return rc;
}

/* Is one of the names that of the domain, or below it? What smtp_tls_secure_cert_match asks for: nexthop, dot-nexthop. */
static bool
domain_in(const struct certificate *c, const char *domain)
{
	char **names = words_split(!text_empty(c->san) ? c->san : c->cn ? c->cn : "", " ", NULL);
	size_t i, n = strlen(domain), len;
	bool ok = false;

	for (i = 0; names[i] != NULL && !ok; i++) {
		len = strlen(names[i]);
		ok = name_covers(names[i], domain) ||
		    (len > n + 1 && names[i][len - n - 1] == '.' && text_ieq(names[i] + len - n, domain));
	}
	words_free(names);
	return ok;
}

/* Certificate, name, dates: fills in and judges. Trust first: a self-signed certificate does not become good by renewing. */
static void
judge(struct look *l, const char *name)
{
	struct probe_host *out = l->out;
	struct cert_verdict v;
	struct certificate c = { 0 };
	const char *class_name;

	if (out->chain_pem == NULL) {
		trouble(l, "cert-not-verified", xstrdup("The other side shows no certificate."));
		return;
	}
	if (l->o->roots_only)
		cert_verify_by(out->chain_pem, name, l->o->roots, when_now(), &v);
	else
		cert_verify(out->chain_pem, name, l->o->roots, when_now(), &v);
	out->trusted = v.trusted;
	out->name_ok = v.name_ok;
	out->in_time = v.in_time;
	if (cert_describe(out->chain_pem, &c, NULL) == 0) {
		out->cert_subject = xstrdup(c.subject);
		out->cert_issuer = xstrdup(c.issuer);
		out->not_before = c.not_before;
		out->not_after = c.not_after;
		out->domain_ok = domain_in(&c, text_empty(l->o->domain) ? out->host : l->o->domain);
		snprintf(out->sha256, sizeof(out->sha256), "%s", c.sha256 != NULL ? c.sha256 : "");
	}
	if (!v.trusted)
		switch (v.code) {
		case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
			class_name = "self-signed";
			break;
		case X509_V_ERR_EE_KEY_TOO_SMALL:
		case X509_V_ERR_CA_KEY_TOO_SMALL:
		case X509_V_ERR_CA_MD_TOO_WEAK:
			class_name = "cert-weak";
			break;
		case X509_V_ERR_CERT_REVOKED:
			class_name = "cert-revoked";
			break;
		case X509_V_ERR_INVALID_PURPOSE:
			class_name = "cert-not-verified";
			break;
		default:
			class_name = "cert-untrusted";
		}
	else if (!v.in_time)
		class_name = c.not_before > when_now() ? "cert-not-yet-valid" : "cert-expired";
	else
		class_name = (l->o->by_domain ? out->domain_ok : v.name_ok) ? NULL : "cert-name-mismatch";
	if (class_name != NULL)
		trouble(l, class_name, xasprintf("The certificate is not accepted: %s.", v.text));
	certificate_release(&c);
}

static int
tls(struct look *l, const char *name)
{
	struct probe_host *out = l->out;
	struct tls_options o = { .name = name, .timeout_ms = l->timeout_ms, .protocol_min = l->o->protocol_min,
		.protocol_max = l->o->protocol_max, .key = l->o->key };
	struct tls_seen seen = { .protocol = "" };
	const char *class_name = NULL;

	if (tls_begin(&l->s, &o, &seen, &class_name, &l->e) != 0) {
		if (l->o->implicit_tls && strcmp(class_name, "handshake-failed") == 0 &&
		    strstr(l->e.text, "plain text") != NULL)
			class_name = "wrapper-mismatch";
		return trouble(l, class_name, xasprintf("The handshake fails: %s.", l->e.text));
	}
	out->tls = true;
	l->asked = seen.wants_client_cert;
	memcpy(out->protocol, seen.protocol, sizeof(out->protocol));
	memcpy(out->cipher, seen.cipher, sizeof(out->cipher));
	out->chain_pem = seen.chain_pem;
	note(l, "--", "%s, %s", out->protocol, out->cipher);
	if (seen.old_protocol)
		trouble(l, "protocol-version", xasprintf("The other side speaks only %s, which is outdated.", out->protocol));
	return 0;
}

/* The conversation after connecting. What it finds is in l. */
static void
converse(struct look *l, const char *name)
{
	bool masked = false;

	if (l->o->implicit_tls) {
		if (tls(l, name) != 0 || greeting(l) != 0 || hello(l, true, &masked) != 0)
			return;
	} else {
		if (greeting(l) != 0 || hello(l, true, &masked) != 0 || starttls(l, masked) != 0 || tls(l, name) != 0)
			return;
		/* a demand for a client certificate shows only at the first read (TLS 1.3), and some just hang up then; their own has
		 * been shown before */
		if (hello(l, false, &masked) != 0 && !l->asked)
			return;
	}
	judge(l, name);
}

int
probe_smtp(const struct dialer *d, const char *host, const char *address, int port, const struct probe_options *o,
    struct probe_host *out, struct err *e)
{
	struct look l = { .out = out, .o = o, .timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS };
	int64_t start = when_monotonic_ms();
	char peer[64] = "";
	struct reply r;

	str_init(&l.talk, TALK_MAX);
	*out = (struct probe_host){ .host = xstrdup(host), .address = xstrdup(address), .port = port, .preference = -1 };
	if (d->fn(d->arg, address, port, l.timeout_ms, &l.s, peer, &l.e) != 0)
		connect_trouble(&l, (int)(when_monotonic_ms() - start));
	else {
		if (peer[0] != '\0')
			xset(&out->address, peer);
		converse(&l, text_empty(o->name) ? host : o->name);
		/* be polite where somebody still listens */
		if (l.e.code == RC_OK && smtp_ask(l.s, "QUIT", 1000, &r, NULL) == 0)
			reply_release(&r);
		stream_close(l.s, NULL);
	}
	if (out->trouble != NULL)
		note(&l, "--", "%s", clean(out->trouble));
	out->transcript = l.talk.len > 0 ? str_take(&l.talk) : NULL;
	str_release(&l.talk);
	out->ms = (int)(when_monotonic_ms() - start);
	out->class_name = xstrdup(l.class_name != NULL ? l.class_name : "tls-ok");
	if (l.e.code == RC_CANCELLED) {
		if (e != NULL)
			*e = l.e;
		return -1;
	}
	return 0;
}

void
probe_host_release(struct probe_host *p)
{
	size_t i;

	free(p->host);
	free(p->address);
	free(p->banner);
	for (i = 0; i < p->n_ehlo; i++)
		free(p->ehlo[i]);
	free(p->ehlo);
	free(p->chain_pem);
	free(p->cert_subject);
	free(p->cert_issuer);
	free(p->class_name);
	free(p->trouble);
	free(p->works);
	free(p->transcript);
	*p = (struct probe_host){ .host = NULL };
}
