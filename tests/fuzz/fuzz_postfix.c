/* A hostile host: main.cf, master.cf, a transport map, what postconf said and a certificate file, each a part of the input cut
 * at lines "%%". Whatever they are, reading and planning end without harm, and a plan applied in memory can be read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/mailsys.h"
#include "mxseal/xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
add(struct sections *s, const char *name, const char *mem, size_t len)
{
	struct section *new;

	ARRAY_GROW(s->v, s->n);
	new = &s->v[s->n++];
	*new = (struct section){ .name = xstrdup(name) };
	str_init(&new->text, 0);
	str_addn(&new->text, mem, len);
}

static void
sections(struct sections *s, const char *data, size_t size)
{
	static const char *const names[] = { "main.cf", "master.cf", "map.2", "defaults", "cert.0", "certkey.0", "key.1", "ours", "pushed.main.cf", "pushed.master.cf" };
	const char *end = data + size, *at = data;
	size_t i;

	add(s, "version", "3.7.11\n", 7);
	add(s, "config_dir", "/etc/postfix\n", 13);
	add(s, "now", "1800000000\n", 11);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *cut = at ? memmem(at, (size_t)(end - at), "\n%%\n", 4) : NULL;

		add(s, names[i], at ? at : "", at ? (size_t)((cut ? cut + 1 : end) - at) : 0);
		at = cut ? cut + 4 : NULL;
	}
}

static const struct { const char *name, *ours, *listen, *kind, *run, *client; } listeners[] = {
	{ "side", "added", "192.0.2.5:2525", "smtp", "paused", "side-out" }, { "notls", "added", "", "outbound", NULL, "notls-out" },
	{ "late", "added", "0.0.0.0:465", "submissions", "stopped", NULL }, { "smtps", "removed", NULL, NULL, NULL, NULL },
	{ "127.0.0.1:10025", NULL, NULL, NULL, "stopped", NULL }, { "gone", "removed", "0.0.0.0:587", "submission", NULL, NULL },
};

static void
wanted(struct wanted_host *w, struct certificate *c)
{
	static const struct { const char *name, *value; } settings[] = {
		{ "inbound.tls", "offer" }, { "inbound.protocol-min", "tls1.2" }, { "outbound.tls", "dane" }, { "log.tls", "summary" },
		{ "outbound.expire-after", "2d" },
	};
	static const struct { const char *domains, *hosts, *tls, *senders, *user, *delivery; } connectors[] = {
		{ "bank.test *.bank.test,5", NULL, "secure", NULL, NULL, NULL },
		{ "*", "[relay.test]:587", "encrypt", NULL, "mailer", NULL },
		{ "*", "[sales.test]", "encrypt", "@sales.test", NULL, NULL },
		{ "*.test", "branch.test", "encrypt", NULL, NULL, "etrn" },
	};
	size_t i, n;

	w->passwords = xcalloc(sizeof(connectors) / sizeof(connectors[0]), sizeof(*w->passwords));
	for (i = 0; i < sizeof(connectors) / sizeof(connectors[0]); i++) {
		struct connector *k = connector_list_add(&w->connectors);

		k->name = xasprintf("connector-%zu", i);
		k->domains = xstrdup(connectors[i].domains);
		k->route = xstrdup(connectors[i].hosts ? "smart-host" : "dns");
		k->smart_hosts = xstrdup(connectors[i].hosts);
		k->tls = xstrdup(connectors[i].tls);
		k->senders = xstrdup(connectors[i].senders);
		k->auth_user = xstrdup(connectors[i].user);
		k->delivery = xstrdup(connectors[i].delivery);
		if (k->auth_user)
			secret_set(&w->passwords[i], "password", 8);
	}
	c->name = xstrdup("c");
	c->key_path = xstrdup("/var/lib/mxseal/keys/k.key");
	c->pem = xstrdup("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	w->vs = xcalloc(2 + sizeof(listeners) / sizeof(listeners[0]), sizeof(*w->vs));
	w->n_vs = 2 + sizeof(listeners) / sizeof(listeners[0]);
	for (i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++) {
		struct wanted_vs *vs = &w->vs[2 + i];

		vs->name = xstrdup(listeners[i].name);
		vs->ours = xstrdup(listeners[i].ours);
		vs->listen = xstrdup(listeners[i].listen);
		vs->kind = xstrdup(listeners[i].kind);
		vs->run = xstrdup(listeners[i].run);
		vs->client = xstrdup(listeners[i].client);
	}
	w->vs[0].name = xstrdup("smtp");
	w->vs[0].is_default = true;
	w->vs[1].name = xstrdup("submission");
	for (n = 0; n < 2; n++) {
		w->vs[n].certificate_set = true;
		w->vs[n].certificate = c;
		for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
			struct wanted *s = wanted_list_add(&w->vs[n].settings);

			s->name = xstrdup(settings[i].name);
			s->value = xstrdup(settings[i].value);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sections s = { .n = 0 };
	struct command_list more = { NULL, 0 };
	struct certificate c = { .id = 0 };
	struct wanted_host w = { .n_vs = 0 };
	struct touched_list touched = { NULL, 0 };
	struct reading r;
	struct plan p;
	struct err e = { .code = RC_OK };
	size_t i;

	sections(&s, (const char *)data, size);
	(void)mailsys_postfix.more(&s, &more, &e);
	command_list_release(&more);
	if (mailsys_postfix.read(&s, &r, &e) == 0) {
		mailsys_postfix.touched(&r, &(struct own_text){ "/etc/mxseal/1/tls_policy", "bank.test encrypt\n" }, 1, &touched);
		touched_list_release(&touched);
		wanted(&w, &c);
		if (mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, &e) == 0) {
			struct sections after = { .n = 0 };

			for (i = 0; i < p.n_changes; i++)              /* in front of the old: the first of a name is found */
				if (p.changes[i].is_switch)
					add(&after, strrchr(p.changes[i].path, '/') + 1, p.changes[i].after.s, p.changes[i].after.len);
			for (i = 0; i < r.sections.n; i++)
				add(&after, r.sections.v[i].name, r.sections.v[i].text.s, r.sections.v[i].text.len);
			if (mailsys_postfix.more(&after, &more, &e) != 0)
				abort();
			command_list_release(&more);
			sections_release(&after);
			plan_release(&p);
		}
		wanted_host_release(&w);
		certificate_release(&c);
	}
	reading_release(&r);
	return 0;
}
