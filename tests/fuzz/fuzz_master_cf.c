/* master.cf from a hostile host: whatever the bytes, an edit changes one setting of one service. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/cf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static char *
others(const struct master_cf *m, const char *service, const char *param)
{
	struct str out = STR_INIT;
	size_t i, k;

	for (i = 0; i < m->n; i++) {
		str_addf(&out, "%s/%s %s\n", m->v[i].name, m->v[i].type, m->v[i].command);
		for (k = 0; k < m->v[i].n; k++)
			if (strcmp(m->v[i].name, service) != 0 || strcmp(m->v[i].v[k].name, param) != 0)
				str_addf(&out, " %s=%s\n", m->v[i].v[k].name, m->v[i].v[k].value);
	}
	return str_take(&out);
}

static void
edit(struct master_cf *m, const char *name, const char *type, const char *param)
{
	char *before = others(m, name, param), *after;

	if (master_cf_set(m, name, type, param, "x y", NULL) == 0) {
		must(strcmp(master_cf_option(master_cf_find(m, name, type), param), "x y") == 0);
		after = others(m, name, param);
		must(strcmp(before, after) == 0);
		free(after);
		master_cf_unset(m, name, type, param);
		must(master_cf_option(master_cf_find(m, name, type), param) == NULL);
	}
	free(before);
}

/* Stopped and started, paused and not, added and taken out: the same bytes. */
static void
come_and_go(struct master_cf *m, const char *name, const char *type)
{
	static const char pause[] = "\n  -o defer_code=421";
	size_t from = 0, n = m->n, i, same = 0;
	struct str text = STR_INIT;
	char *one = NULL, *other = NULL;

	for (i = 0; i < n; i++)
		same += strcmp(m->v[i].name, name) == 0 && strcmp(m->v[i].type, type) == 0;
	str_addn(&text, m->t.text.s, m->t.text.len);
	if (master_cf_put(m, name, type, pause, NULL) == 0)
		must(master_cf_drop(m, name, type, pause));
	must(m->t.text.len == text.len && memcmp(m->t.text.s, text.s, text.len) == 0);
	if (text.len > 0 && text.s[text.len - 1] == '\n' && master_cf_add(m, "a b", "x y - - - - - z\n", NULL) == 0) {
		must(m->n == n + 1);
		if (master_cf_find(m, "x", "y") == &m->v[n])
			master_cf_remove(m, "x", "y");
		else
			goto out;
		must(m->t.text.len == text.len && memcmp(m->t.text.s, text.s, text.len) == 0);
	}
	/* what was stopped before may be started first, and then more is live */
	if (same == 1 && strstr(text.s, MASTER_CF_STOPPED) == NULL) {
		must(master_cf_stop(m, name, type, NULL) == 0 && m->n == n - 1);
		must(master_cf_start(m, &from, &one, &other));
		must(m->t.text.len == text.len && memcmp(m->t.text.s, text.s, text.len) == 0);
	}
out:
	free(one);
	free(other);
	str_release(&text);
	from = 0;
	while (master_cf_start(m, &from, &one, &other)) {
		must(master_cf_find(m, one, other) != NULL);
		free(one);
		free(other);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct master_cf m;
	char *name, *type, *param;
	size_t i;

	if (master_cf_read(&m, (const char *)data, size, NULL) == 0 && m.n > 0) {
		i = size % m.n;
		name = strdup(m.v[i].name);
		type = strdup(m.v[i].type);
		param = strdup(m.v[i].n ? m.v[i].v[m.v[i].n / 2].name : "a");
		come_and_go(&m, name, type);
		edit(&m, name, type, "smtpd_tls_chain_files");
		edit(&m, name, type, param);
		free(name);
		free(type);
		free(param);
	}
	master_cf_release(&m);
	return 0;
}
