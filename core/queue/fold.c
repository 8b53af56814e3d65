/* Folds a delay reason: what differs from message to message becomes a mark, so that equal causes become equal texts. Kept
 * as they are: reply codes and enhanced codes, which are the cause. Runs once for every new text of a listing with a million
 * of them, hence the table and the fixed buffer. Cannot fail. */
#include <string.h>

#include "mxseal/failure.h"

#define FOLD_MAX 300         /* bytes of a folded reason */

enum { DIGIT = 1, LETTER = 2, JOINT = 4, WORD = DIGIT | LETTER | JOINT };

static const unsigned char kind[256] = {
	['0' ... '9'] = DIGIT, ['a' ... 'z'] = LETTER, ['A' ... 'Z'] = LETTER, [0x80 ... 0xff] = JOINT,
	['.'] = JOINT, ['-'] = JOINT, ['_'] = JOINT, ['@'] = JOINT, ['+'] = JOINT, ['='] = JOINT,
};
#define KIND(c) (kind[(unsigned char)(c)])

struct folded { char s[FOLD_MAX]; size_t n; };

static void
add(struct folded *f, const char *s, size_t n)
{
	if (n > FOLD_MAX - f->n)
		n = FOLD_MAX - f->n;
	memcpy(f->s + f->n, s, n);
	f->n += n;
}

#define ADD(f, literal) add(f, literal, sizeof(literal) - 1)

/* "450" or "4.7.1": these say what is wrong. */
static bool
is_status(const char *w, size_t n)
{
	size_t i, dots = 0;

	if (n < 3 || n > 7 || (w[0] != '2' && w[0] != '4' && w[0] != '5'))
		return false;
	for (i = 1; i < n; i++) {
		if (w[i] == '.')
			dots++;
		else if (KIND(w[i]) != DIGIT)
			return false;
	}
	return (n == 3 && dots == 0) || (dots == 2 && w[1] == '.' && w[n - 1] != '.');
}

/* What a word is made of. */
struct word { size_t n, digits, letters, dots, ats; };

static void
fold_word(struct folded *f, const char *w, const struct word *k)
{
	size_t i;

	if (k->digits == 0 && k->ats == 0) {
		add(f, w, k->n);
		return;
	}
	if (is_status(w, k->n) || (k->n > 6 && w[3] == '-' && is_status(w, 3) && is_status(w + 4, k->n - 4)))
		add(f, w, k->n);
	else if (k->ats > 0)
		ADD(f, "ADDRESS");
	else if (k->dots == 3 && k->digits + 3 == k->n)
		ADD(f, "IP");
	else if (k->digits + k->letters == k->n && ((k->n >= 8 && k->digits >= 2) || (k->n >= 6 && k->digits >= 3)))
		ADD(f, "ID");             /* of a queue or a session */
	else if (k->letters > 0 && k->n < 12)
		add(f, w, k->n);          /* "TLSv1.2" keeps its digits, a lone number does not */
	else
		for (i = 0; i < k->n; i++) {
			if (KIND(w[i]) != DIGIT) {
				add(f, w + i, 1);
				continue;
			}
			while (i + 1 < k->n && (KIND(w[i + 1]) == DIGIT || w[i + 1] == '.'))
				i++;
			ADD(f, "N");
		}
}

/* The end of a bracket that holds no blank and is shorter than max, or NULL. */
static const char *
bracket_end(const char *p, const char *end, char close, size_t max)
{
	if ((size_t)(end - p) > max)
		end = p + max;
	for (; p < end && *p != ' '; p++)
		if (*p == close)
			return p;
	return NULL;
}

void
reason_fold(const char *text, size_t len, struct str *out)
{
	static const char suspended[] = "delivery temporarily suspended: ";
	const size_t skip = sizeof(suspended) - 1;
	const char *p = text, *end = text + len, *q, *close;
	struct folded f;
	struct word k;

	f.n = 0;
	while ((size_t)(end - p) >= skip && memcmp(p, suspended, skip) == 0)
		p += skip;
	while (p < end && f.n < FOLD_MAX) {
		if ((KIND(*p) & WORD) == 0) {
			if (*p == '<' && (close = bracket_end(p, end, '>', 260)) != NULL) {
				ADD(&f, "ADDRESS");
				p = close;
			} else if ((unsigned char)*p > ' ')
				add(&f, p, 1);
			else if (f.n > 0 && f.s[f.n - 1] != ' ')     /* one blank is as good as many */
				ADD(&f, " ");
			p++;
			continue;
		}
		k = (struct word){ 0, 0, 0, 0, 0 };
		for (q = p; q < end && (KIND(*q) & WORD) != 0; q++) {
			k.digits += KIND(*q) & DIGIT;
			k.letters += (KIND(*q) & LETTER) != 0;
			k.dots += *q == '.';
			k.ats += *q == '@';
		}
		if (q < end && *q == '[' && (close = bracket_end(q, end, ']', 60)) != NULL) {
			ADD(&f, "HOST");                             /* host[address] */
			p = close + 1;
			continue;
		}
		for (; q > p + 1 && (q[-1] == '.' || q[-1] == '-'); q--)      /* that one belongs to the sentence */
			k.dots -= q[-1] == '.';
		k.n = (size_t)(q - p);
		fold_word(&f, p, &k);
		p = q;
	}
	str_addn(out, f.s, f.n);
}
