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
		edit(&m, name, type, "smtpd_tls_chain_files");
		edit(&m, name, type, param);
		free(name);
		free(type);
		free(param);
	}
	master_cf_release(&m);
	return 0;
}
