/* main.cf from a hostile host: whatever the bytes, edits stay inside their own lines and the other values stay. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/cf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
others(const struct main_cf *m, const char *but)
{
	struct str out = STR_INIT;
	size_t i;

	for (i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, but) != 0)
			str_addf(&out, "%s=%s\n", m->v[i].name, m->v[i].value);
	return str_take(&out);
}

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
edit(struct main_cf *m, const char *name)
{
	char *before = others(m, name), *after;

	if (main_cf_set(m, name, "new value", NULL) == 0) {
		must(strcmp(main_cf_get(m, name), "new value") == 0);
		after = others(m, name);
		must(strcmp(before, after) == 0);
		free(after);
		must(main_cf_list_put(m, name, "texthash:/x/", "/p", "texthash:/x/1/p", NULL) == 0);
		main_cf_list_drop(m, name, "texthash:/x/", "/p");
		must(strcmp(main_cf_get(m, name), "new value") == 0);
	}
	main_cf_remove(m, name);
	must(main_cf_get(m, name) == NULL);
	after = others(m, name);
	must(strcmp(before, after) == 0);
	free(before);
	free(after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct main_cf m;
	char *name;

	if (main_cf_read(&m, (const char *)data, size, NULL) == 0) {
		must(m.t.text.len == size && memcmp(m.t.text.s, data, size) == 0);
		edit(&m, "smtp_tls_policy_maps");
		if (m.n > 0) {
			name = strdup(m.v[m.n / 2].name);
			edit(&m, name);
			free(name);
		}
	}
	main_cf_release(&m);
	return 0;
}
