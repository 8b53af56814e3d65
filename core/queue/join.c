/* The class of a whole delivery attempt. The delivery's own line says what became of the message; why a certificate was not
 * accepted, or a handshake failed, stands in lines before it. A line may only make the class more exact: it counts when the
 * class of the delivery lists its own as one that it may really be. */
#include <string.h>

#include "mxseal/failure.h"

static bool
listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; list != NULL && *list != '\0'; list += strcspn(list, ","), list += *list == ',')
		if (strncmp(list, name, n) == 0 && (list[n] == ',' || list[n] == '\0'))
			return true;
	return false;
}

static bool
is(const struct failure *f, const char *name)
{
	return strcmp(f->name, name) == 0;
}

/* Delivered: with TLS, without, or without after TLS had failed. */
static const struct failure *
delivered(const char *const *lines, size_t n, const char *system)
{
	const struct failure *f = failure_find("sent-plain");
	struct classified c;
	size_t i;

	for (i = 0; i < n; i++) {
		classify(lines[i], strlen(lines[i]), system, &c);
		if (is(c.failure, "tls-ok"))
			f = c.failure;
		else if ((c.failure->tls && !is(c.failure, "tls-benign") && is(f, "sent-plain")) || is(c.failure, "lost-connection"))
			f = failure_find("sent-plain-after-tls-failure");
	}
	return f;
}

/* What Sendmail means by "encryption too weak 0" and "authentication failure": the argument of the ruleset that refused. */
static const struct failure *
sendmail_means(const char *line)
{
	static const struct { const char *words, *class_name; } means[] = {
		{ "ruleset=try_tls,", "local-policy-problem" },
		{ "ruleset=tls_server, arg1=TEMP,", "starttls-refused" },
		{ "ruleset=tls_server, arg1=FAILURE,", "lost-connection-after-starttls" },
	};
	size_t i;

	for (i = 0; i < sizeof(means) / sizeof(means[0]); i++)
		if (strstr(line, means[i].words) != NULL)
			return failure_find(means[i].class_name);
	return NULL;
}

/* The line that says what became of the message: the last one, but OpenSMTPD says good-bye after it. */
static size_t
delivery_line(const char *const *lines, size_t n)
{
	size_t i;

	for (i = n; i > 0; i--)
		if (strstr(lines[i - 1], " mta delivery ") != NULL || strstr(lines[i - 1], " mta error ") != NULL)
			return i;
	return n;
}

/* Is b the better answer, where a is the one so far and the delivery's own line said base? */
static bool
better(const struct failure *base, const struct failure *a, const struct failure *b, const char *delivery)
{
	/* plain text where TLS should begin: after STARTTLS that is no matter of the port */
	if (is(b, "wrapper-mismatch") && is(base, "handshake-failed") && strstr(delivery, "]:465,") == NULL)
		return false;
	if (is(b, "unknown") || is(b, "tls-ok") || is(b, "tls-benign") || is(b, "sent") || b == a)
		return false;
	if (!listed(base->refine, b->name) && !(is(base, "unknown") && b->tls))
		return false;
	/* the first word about the certificate or the handshake is the cause, unless it says less */
	return a == base || (a->refine != NULL && b->refine == NULL);
}

void
classify_attempt(const char *const *lines, size_t n, const char *system, struct classified *out, size_t *decided)
{
	const struct failure *base, *found, *means, *policy = NULL;
	struct classified c;
	size_t i;

	if (decided != NULL)
		*decided = n > 0 ? n - 1 : 0;
	if (n == 0) {
		classify("", 0, system, out);
		return;
	}
	n = delivery_line(lines, n);
	if (decided != NULL)
		*decided = n - 1;
	classify(lines[n - 1], strlen(lines[n - 1]), system, out);
	if (is(out->failure, "sent")) {
		out->failure = delivered(lines, n, system);
		return;
	}
	base = found = out->failure;
	for (i = 0; i + 1 < n; i++) {
		if ((means = sendmail_means(lines[i])) != NULL && (base->tls || is(base, "unknown")) &&
		    !listed(base->refine, found->name) && policy == NULL)
			found = means, policy = is(means, "local-policy-problem") ? means : NULL;
		classify(lines[i], strlen(lines[i]), system, &c);
		if (policy != NULL || !better(base, found, c.failure, lines[n - 1]))
			continue;
		found = c.failure;
		memcpy(out->inner, c.inner, sizeof(out->inner));
		if (decided != NULL)
			*decided = i;
	}
	out->failure = found;
}
