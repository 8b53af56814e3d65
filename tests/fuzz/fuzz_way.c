/* A hostile host answers whatever it likes when it is asked for the way of mail: master.cf and what postconf said are the
 * first two parts of the input, cut at lines "%%"; the others are given in turn as answers to everything that is asked. The
 * rounds end, and no answer does harm. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/mailsys.h"
#include "mxseal/xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARTS_MAX 32
#define ROUNDS 12

struct part { const char *mem; size_t len; };

static void
add(struct sections *s, const char *name, int status, struct part p)
{
	struct section *new;

	ARRAY_GROW(s->v, s->n);
	new = &s->v[s->n++];
	*new = (struct section){ .name = xstrdup(name), .status = status };
	str_init(&new->text, 0);
	str_addn(&new->text, p.mem, p.len);
}

static size_t
cut(const char *data, size_t size, struct part *parts)
{
	const char *end = data + size, *at = data;
	size_t n = 0;

	while (at && n < PARTS_MAX) {
		const char *sign = memmem(at, (size_t)(end - at), "\n%%\n", 4);

		parts[n++] = (struct part){ at, (size_t)((sign ? sign + 1 : end) - at) };
		at = sign ? sign + 4 : NULL;
	}
	return n;
}

/* An answer to a table's question has the keys in front, or nothing of it would ever be looked at. */
static void
answer(struct sections *s, const struct command *c, struct part p, int status)
{
	struct str text = STR_INIT;
	size_t i;

	if (strncmp(c->name, "ask.", 4) == 0) {
		for (i = 5; c->argv[i]; i++)
			str_addf(&text, "%s\n", c->argv[i]);
		str_addc(&text, '\n');
		for (i = 5; c->argv[i] && p.len > 0 && i < 5 + (size_t)(unsigned char)p.mem[0] % 8; i++)
			str_addf(&text, "%s\t%.*s\n", c->argv[i], (int)strnlen(p.mem, p.len), p.mem);
		str_addf(&text, "\n= %d\n", status);
	}
	str_addn(&text, p.mem, p.len);
	add(s, c->name, status, (struct part){ text.s, text.len });
	str_release(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct way_ask asks[] = { { "user+ext@sub.bank.test", "boss@lab.test", true, "secure" }, { "root", "", false, NULL } };
	struct part parts[PARTS_MAX];
	struct sections s = { NULL, 0 };
	size_t n = cut((const char *)data, size, parts), given = 0, i;
	int round, again = 1;

	add(&s, "version", 0, (struct part){ "3.7.11\n", 7 });
	add(&s, "main.cf", 0, (struct part){ "", 0 });
	add(&s, "master.cf", 0, n > 0 ? parts[0] : (struct part){ "", 0 });
	add(&s, "defaults", 0, (struct part){ "", 0 });
	add(&s, "expanded", 0, n > 1 ? parts[1] : (struct part){ "", 0 });
	for (round = 0; round < ROUNDS && again == 1; round++) {
		struct command_list next = { NULL, 0 };
		struct dead_rule_list dead = { NULL, 0 };
		struct mail_way way;
		struct err e;
		int rc;

		again = 0;
		for (i = 0; i < 2; i++) {
			rc = mailsys_postfix.way(&asks[i], &s, &next, &way, &e);
			again = again || rc == 1;
			mail_way_release(&way);
		}
		rc = mailsys_postfix.dead(&s, &next, &dead, &e);
		again = again || rc == 1;
		dead_rule_list_release(&dead);
		for (i = 0; i < next.n; i++, given++)
			answer(&s, &next.v[i], n > 2 ? parts[2 + given % (n - 2)] : (struct part){ "", 0 }, (int)(given % 3 == 2));
		command_list_release(&next);
	}
	sections_release(&s);
	return 0;
}
