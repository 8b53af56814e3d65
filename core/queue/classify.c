/* The class of a text: takes a log line or a delay reason apart (stamp, program, queue id, "delivery temporarily suspended: ",
 * the reply of the other side) and asks the tables of patterns.c. What the mail system itself says decides before what the
 * other side replied, because a reply may quote anything. Cannot fail: the class is "unknown" at worst. */
#include <ctype.h>
#include <string.h>

#include "mxseal/failure.h"
#include "patterns.h"

#define TEXT_MAX 4096        /* of one text that is looked at */

struct span { const char *s; size_t n; };

/* Where p occurs in s, or NULL. */
static const char *
find(struct span s, const char *p)
{
	size_t n = strlen(p);

	return n <= s.n ? memmem(s.s, s.n, p, n) : NULL;
}

static bool
starts(struct span s, const char *p)
{
	size_t n = strlen(p);

	return s.n >= n && memcmp(s.s, p, n) == 0;
}

static struct span
after(struct span s, const char *at)
{
	s.n -= (size_t)(at - s.s);
	s.s = at;
	return s;
}

static struct span
trim(struct span s)
{
	while (s.n > 0 && isspace((unsigned char)*s.s)) {
		s.s++;
		s.n--;
	}
	while (s.n > 0 && isspace((unsigned char)s.s[s.n - 1]))
		s.n--;
	return s;
}

/* Which mail system wrote this? Its program's name first, then words that only one of them uses. */
static const char *
guess(struct span t)
{
	static const struct { const char *word, *system; } marks[] = {
		{ "postfix/", "postfix" }, { "postfix-", "postfix" }, { "posttls-finger", "postfix" }, { "x-postfix", "postfix" },
		{ "dovecot", "dovecot" }, { "imap-login", "dovecot" }, { "pop3-login", "dovecot" }, { "lmtp(", "dovecot" },
		{ "sendmail[", "sendmail" }, { "sm-mta", "sendmail" }, { "sm-msp", "sendmail" }, { "sm-que", "sendmail" },
		{ "ruleset=", "sendmail" }, { "starttls=client", "sendmail" }, { "starttls=server", "sendmail" },
		{ "stat=deferred", "sendmail" }, { "stat=sent", "sendmail" }, { "xdelay=", "sendmail" },
		{ "exim[", "exim" }, { "exim:", "exim" }, { "tls error on connection", "exim" },
		{ "tls session: ", "exim" }, { " defer (", "exim" }, { "tls session is required", "exim" },
		{ "smtp error from remote mail", "exim" }, { "ssl verify error", "exim" },
		{ "smtp-out:", "opensmtpd" }, { " mta event=", "opensmtpd" }, { " mta error", "opensmtpd" },
		{ "mta error reason=", "opensmtpd" }, { "smtpd[", "opensmtpd" }, { "evpid=", "opensmtpd" },
		{ "network error on destination mx", "opensmtpd" }, { "smtp disconnected reason=", "opensmtpd" },
	};
	const char *first = NULL, *system = NULL, *p;
	struct span head = t;
	size_t i;

	/* the header names the program: among marks near the start the first one wins over words inside the text */
	if (head.n > 120)
		head.n = 120;
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		p = find(head, marks[i].word);
		if (p != NULL && (first == NULL || p < first)) {
			/* "postfix/smtpd[": the name in front counts */
			first = p;
			system = marks[i].system;
		}
	}
	if (system != NULL)
		return system;
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (find(t, marks[i].word) != NULL)
			return marks[i].system;
	if (starts(t, "deferred"))
		return "sendmail";
	if (starts(t, "host ") && find(t, "] said: ") != NULL)
		return "postfix";
	return NULL;
}

/* "message repeated N times: [ ... ]" of rsyslog. */
static struct span
unwrap_repeated(struct span t)
{
	const char *p = find(t, "message repeated "), *q;

	if (p == NULL || (q = find(after(t, p), " times: [")) == NULL)
		return t;
	t = after(t, q + strlen(" times: ["));
	while (t.n > 0 && (t.s[t.n - 1] == ']' || isspace((unsigned char)t.s[t.n - 1])))
		t.n--;
	return trim(t);
}

/* Drops everything up to "program[pid]: " of a syslog line. */
static struct span
drop_header(struct span t)
{
	struct span head = t;
	const char *p, *q;

	if (head.n > 200)
		head.n = 200;
	for (p = head.s; (p = memchr(p, ']', (size_t)(head.s + head.n - p))) != NULL; p++) {
		if ((size_t)(head.s + head.n - p) < 3 || p[1] != ':' || p[2] != ' ')
			continue;
		for (q = p; q > head.s && (isalnum((unsigned char)q[-1]) || q[-1] == '}' || q[-1] == '{'); q--)
			;
		if (q > head.s + 1 && q[-1] == '[' && q < p && (isalnum((unsigned char)q[-2]) || q[-2] == '-')) {
			/* "host[1.2.3.4]: " has dots and is no process id */
			t = trim(after(t, p + 3));
			if (starts(t, "[id ") && (p = find(t, "] ")) != NULL)
				t = trim(after(t, p + 2));
			return t;
		}
	}
	if ((p = find(head, "postfix/")) != NULL && (q = find(after(head, p), ": ")) != NULL &&
	    memchr(p, ' ', (size_t)(q - p)) == NULL)
		return trim(after(t, q + 2));
	return t;
}

/* "40197AA: " and "NOQUEUE: ". */
static struct span
drop_queue_id(struct span t)
{
	size_t i;
	bool digit = false;

	for (i = 0; i < t.n && i < 24 && isalnum((unsigned char)t.s[i]); i++)
		digit |= isdigit((unsigned char)t.s[i]) != 0;
	if (i >= 5 && i + 1 < t.n && t.s[i] == ':' && t.s[i + 1] == ' ' && (digit || i >= 10 || starts(t, "noqueue")))
		return trim(after(t, t.s + i + 2));
	return t;
}

static struct span
drop_suspended(struct span t)
{
	static const char suspended[] = "delivery temporarily suspended: ";

	while (starts(t, suspended))
		t = trim(after(t, t.s + strlen(suspended)));
	return t;
}

/* The words a program wrote about the cause, without fields about the message. state: the value of status=, lower case. */
static struct span
cause(struct span t, char state[16])
{
	const char *p, *q;
	size_t n;

	state[0] = '\0';
	if ((p = find(t, "status=")) != NULL) {
		p += strlen("status=");
		q = p;
		while (q < t.s + t.n && isalpha((unsigned char)*q))
			q++;
		n = (size_t)(q - p) < 15 ? (size_t)(q - p) : 15;
		memcpy(state, p, n);
		state[n] = '\0';
		if (q + 1 < t.s + t.n && q[0] == ' ' && q[1] == '(') {
			t = after(t, q + 2);
			while (t.n > 0 && t.s[t.n - 1] == ')')
				t.n--;
			return drop_suspended(trim(t));
		}
		return t;
	}
	if ((p = find(t, "diagnostic-code:")) != NULL && (q = find(after(t, p), ";")) != NULL)
		t = trim(after(t, q + 1));
	if ((p = find(t, "stat=sent")) != NULL || (p = find(t, "result=\"ok\"")) != NULL ||
	    (p = find(t, "result=ok ")) != NULL) {
		memcpy(state, "sent", 5);
		return t;
	}
	if ((p = find(t, "reject=")) != NULL)
		return after(t, p + 7);
	if ((p = find(t, "stat=deferred: ")) != NULL)
		return trim(after(t, p + 15));
	if (starts(t, "deferred: "))
		return trim(after(t, t.s + 10));
	if ((p = find(t, " stat=\"")) != NULL || (p = find(t, " stat=")) != NULL) {
		p += p[6] == '"' ? 7 : 6;
		if (!starts(after(t, p), "deferred"))
			return trim(after(t, p));
	}
	if (find(t, "mta e") != NULL && (p = find(t, "reason=")) != NULL)
		return trim(after(t, p + 7));
	if (starts(t, "(") && t.n > 1 && t.s[t.n - 1] == ')')
		t = (struct span){ t.s + 1, t.n - 2 };
	/* "<user@example.net>: host ... said: ..." of a bounce */
	if (starts(t, "<") && (p = find(t, ">: ")) != NULL)
		t = trim(after(t, p + 3));
	return drop_suspended(trim(t));
}

/* --- words that prove nothing: names and quotations are written over, every byte keeps its place --- */

static bool
in_name(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_' || c == '/';
}

/* "host[address]": a host may be called tls.example or tlsmgr.example. */
static void
mask_hosts(char *s, size_t n)
{
	size_t i, k;

	for (i = 1; i < n; i++) {
		if (s[i] != '[' || !in_name(s[i - 1]))
			continue;
		k = i + 1 + strspn(s + i + 1, "0123456789abcdef.:");
		if (k >= n || s[k] != ']' || strcspn(s + i, ".:") > k - i)
			continue;            /* a process id has no dot and no colon */
		for (k = i; k > 0 && in_name(s[k - 1]); k--)
			s[k - 1] = '_';
	}
}

/* "two words or more" and <...> of a reply quote somebody: a subject, an address. */
static void
mask_quotes(char *s, size_t n)
{
	char *p = s, *end = s + n, *q;

	for (; p < end; p++) {
		if (*p != '"' && *p != '<')
			continue;
		q = memchr(p + 1, *p == '<' ? '>' : '"', (size_t)(end - p - 1));
		if (q == NULL)
			return;
		if (*p == '<' || memchr(p, ' ', (size_t)(q - p)) != NULL)
			memset(p + 1, '_', (size_t)(q - p - 1));
		p = q;
	}
}

/* A reply code with a word boundary (4xx, 5xx, 2xx) or an enhanced status code (RFC 3463) at p. */
static bool
is_code(const char *p, const char *end)
{
	const char *q = p + 1;
	int i;

	if (p >= end || (*p != '4' && *p != '5' && *p != '2'))
		return false;
	if (end - p >= 3 && isdigit((unsigned char)p[1]) && p[1] <= '5' && isdigit((unsigned char)p[2]) &&
	    (end - p == 3 || p[3] == ' ' || p[3] == '-' || p[3] == '#'))
		return true;
	for (i = 0; i < 2; i++) {
		if (end - q < 2 || *q != '.' || !isdigit((unsigned char)q[1]))
			return false;
		for (q++; q < end && isdigit((unsigned char)*q); q++)
			;
	}
	return q == end || *q == ' ' || *q == ':';
}

/* Where the other side's reply begins, or NULL. */
static const char *
reply_start(struct span t)
{
	static const char said[] = "] said: ";
	const char *p, *end = t.s + t.n;

	/* the server side's own transcript is not a reply to us */
	if (starts(t, "out: "))
		return NULL;
	/* a reply even when it has no code */
	if ((starts(t, "host ") || starts(t, "protocol error: host ")) && (p = find(t, said)) != NULL)
		return p + strlen(said);
	for (p = t.s; p < end; p++)
		if ((p == t.s || p[-1] == '\'' || p[-1] == '(' || p[-1] == '"' || p[-1] == '[' ||
		    (p[-1] == ' ' && p - 1 > t.s && p[-2] == ':')) && is_code(p, end))
			return p;
	return NULL;
}

static bool
code_fits(struct span reply, const char *code)
{
	size_t n = strlen(code), i;

	if (starts(reply, code))
		return n == 1 || reply.n == n || !isdigit((unsigned char)reply.s[n]);
	if (strchr(code, '.') == NULL)
		return false;
	/* the enhanced code stands behind the reply code: "421-4.7.29 ", "553 5.7.10 " */
	for (i = 3; i < 6 && i < reply.n; i++)
		if (starts(after(reply, reply.s + i), code))
			return i + n == reply.n || !isdigit((unsigned char)reply.s[i + n]);
	return false;
}

static bool
system_fits(const char *row, const char *system)
{
	return row == NULL || system == NULL || strcmp(row, system) == 0;
}

static const char *
ask_own(struct span t, const char *system)
{
	const struct own_words *o;

	for (o = own_table; o->class_name != NULL; o++)
		if (system_fits(o->system, system) && words_fit(t.s, t.n, o->words))
			return o->class_name;
	return NULL;
}

/* with_code: t is a reply of the other side; else only the wordings count. */
static const char *
ask_reply(struct span t, const char *system, bool with_code)
{
	const struct reply_words *r;

	for (r = reply_table; r->class_name != NULL; r++) {
		if (!system_fits(r->system, system) || (!with_code && r->code != NULL))
			continue;
		if ((r->code == NULL || code_fits(t, r->code)) && (r->words == NULL || words_fit(t.s, t.n, r->words)))
			return r->class_name;
	}
	return NULL;
}

/* Postfix's own enhanced code (RFC 3463) where no wording is known: what it stands for in smtp(8) and its kin. */
static const char *
ask_code(struct span body)
{
	static const struct { const char *code, *class_name; } codes[] = {
		{ ".7.4", "tls-not-offered" }, { ".7.5", "handshake-failed" }, { ".7.10", "remote-requires-tls" },
		{ ".4.1", "connect-timeout" }, { ".4.2", "lost-connection" }, { ".4.3", "dns" }, { ".4.4", "dns" }, { ".4.6", "local-error" },
		{ ".4.7", "expired" }, { ".3.5", "local-error" }, { ".1.2", "dns" }, { ".1.10", "dns" },
	};
	const char *p = find(body, " dsn=");
	size_t i, n;

	if (p == NULL)
		return NULL;
	p += strlen(" dsn=");
	if (p == body.s + body.n || (*p != '4' && *p != '5'))
		return NULL;
	for (n = 1; p + n < body.s + body.n && (isdigit((unsigned char)p[n]) || p[n] == '.'); n++)
		;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (n == strlen(codes[i].code) + 1 && memcmp(p + 1, codes[i].code, n - 1) == 0)
			return codes[i].class_name;
	return NULL;
}

/* The class of a taken-apart text. body: all the program wrote; t: the cause in it. */
static const char *
decide(struct span body, struct span t, const char *state, const char *system)
{
	const char *at = reply_start(t), *name = NULL;
	struct span own = t;

	if (strcmp(state, "sent") == 0)
		return "sent";
	if (strcmp(state, "expired") == 0)
		return "expired";
	if (at != NULL) {
		own.n = (size_t)(at - t.s);
		if (own.n > 0)
			name = ask_own(own, system);
		/* a "250" that somebody complains about is no success */
		if (name == NULL && own.n > 0 && *at == '2' && starts(own, "protocol error: "))
			return NULL;
		return name != NULL ? name : ask_reply(after(t, at), system, true);
	}
	if ((name = ask_own(t, system)) != NULL)
		return name;
	/* fields beside the cause may say it (Sendmail's tls_verify=, a ruleset's arguments) */
	if (body.n != t.n && (name = ask_own(body, system)) != NULL)
		return name;
	if ((name = ask_reply(t, system, false)) != NULL || (name = ask_code(body)) != NULL)
		return name;
	if (system != NULL && strcmp(system, "exim") == 0 && (find(body, " => ") != NULL || starts(body, "=> ")))
		return "sent";
	return NULL;
}

void
classify(const char *text, size_t len, const char *system, struct classified *out)
{
	char low[TEXT_MAX + 1], state[16];
	const char *name, *reply;
	struct span t, body;
	size_t i;

	if (len > TEXT_MAX)
		len = TEXT_MAX;
	for (i = 0; i < len; i++)
		low[i] = text[i] == '\0' ? ' ' : (char)tolower((unsigned char)text[i]);
	low[len] = '\0';
	t = trim((struct span){ low, len });
	t = unwrap_repeated(t);
	if (system == NULL)
		system = guess(t);
	t = drop_queue_id(drop_header(t));
	t = trim(t);
	mask_hosts(low + (t.s - low), t.n);
	body = t;
	t = cause(t, state);
	if ((reply = reply_start(t)) != NULL)
		mask_quotes(low + (reply - low), (size_t)(t.s + t.n - reply));
	name = decide(body, t, state, system);
	out->failure = failure_find(name != NULL ? name : "unknown");
	/* low has the same offsets as text */
	len = t.n < sizeof(out->inner) - 1 ? t.n : sizeof(out->inner) - 1;
	for (i = 0; i < len; i++)
		out->inner[i] = text[(size_t)(t.s - low) + i] == '\0' ? ' ' : text[(size_t)(t.s - low) + i];
	out->inner[len] = '\0';
}
