/* The records of model.h: releasing what they own, and the lists of them. Which texts a record owns is a table of offsets,
 * so that a new field is one line here and cannot be forgotten in one of several functions. Nothing here can fail. */
#include "mxseal/model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "mxseal/clean.h"
#include "mxseal/str.h"
#include "mxseal/xalloc.h"

#define TEXT(type, field) offsetof(struct type, field)
#define END ((size_t)-1)

static const size_t server_texts[] = {
	TEXT(server, name), TEXT(server, target), TEXT(server, identity), TEXT(server, system), TEXT(server, mailsys),
	TEXT(server, version), TEXT(server, config_dir), TEXT(server, host_name), TEXT(server, domain), TEXT(server, os),
	TEXT(server, transport), TEXT(server, transport_why), TEXT(server, trouble), TEXT(server, trouble_code),
	TEXT(server, base), TEXT(server, group), END
};

static const size_t found_value_texts[] = {
	TEXT(found_value, name), TEXT(found_value, value), TEXT(found_value, native), TEXT(found_value, source), END
};

static const size_t vserver_texts[] = {
	TEXT(vserver, name), TEXT(vserver, title), TEXT(vserver, listen), TEXT(vserver, cert_file), TEXT(vserver, cert_pem),
	TEXT(vserver, cert_trouble), TEXT(vserver, second_pem), TEXT(vserver, second_served), TEXT(vserver, served_pem), TEXT(vserver, served_sha256), TEXT(vserver, served_trouble),
	TEXT(vserver, ours), TEXT(vserver, listen_wanted), TEXT(vserver, kind), TEXT(vserver, run), TEXT(vserver, run_wanted),
	TEXT(vserver, log_service), END
};

static const size_t subject_texts[] = {
	TEXT(subject, cn), TEXT(subject, o), TEXT(subject, ou), TEXT(subject, c), TEXT(subject, st), TEXT(subject, l),
	TEXT(subject, san), END
};

static const size_t request_texts[] = {
	TEXT(request, name), TEXT(request, key_path), TEXT(request, spki_sha256), TEXT(request, pem), TEXT(request, sha256),
	TEXT(request, out_file), TEXT(request, state), END
};

static const size_t certificate_texts[] = {
	TEXT(certificate, name), TEXT(certificate, subject), TEXT(certificate, issuer), TEXT(certificate, cn),
	TEXT(certificate, san), TEXT(certificate, serial), TEXT(certificate, sha256), TEXT(certificate, spki_sha256),
	TEXT(certificate, key_type), TEXT(certificate, key_path), TEXT(certificate, sealed_key), TEXT(certificate, pem), END
};

static const size_t authority_texts[] = {
	TEXT(authority, name), TEXT(authority, kind), TEXT(authority, subject), TEXT(authority, pem),
	TEXT(authority, sealed_key), TEXT(authority, policy), TEXT(authority, directory), TEXT(authority, anchors),
	TEXT(authority, challenge), TEXT(authority, contact), TEXT(authority, account), TEXT(authority, terms), END
};

static const size_t acme_order_texts[] = {
	TEXT(acme_order, url), TEXT(acme_order, state), TEXT(acme_order, token), TEXT(acme_order, trouble), END
};

static const size_t issued_texts[] = {
	TEXT(issued, serial), TEXT(issued, subject), TEXT(issued, sha256), TEXT(issued, pem), TEXT(issued, reason), END
};

static const size_t submission_texts[] = {
	TEXT(submission, who), TEXT(submission, subject), TEXT(submission, san), TEXT(submission, spki_sha256),
	TEXT(submission, pem), TEXT(submission, state), TEXT(submission, why), END
};

static const size_t connector_texts[] = {
	TEXT(connector, name), TEXT(connector, domains), TEXT(connector, route), TEXT(connector, via), TEXT(connector, tls),
	TEXT(connector, match), TEXT(connector, reason), TEXT(connector, review), TEXT(connector, smart_hosts),
	TEXT(connector, auth_user), TEXT(connector, auth_sealed), TEXT(connector, senders), TEXT(connector, delivery), END
};

static const size_t wanted_texts[] = { TEXT(wanted, name), TEXT(wanted, value), TEXT(wanted, scope), END };

static const size_t found_rule_texts[] = {
	TEXT(found_rule, kind), TEXT(found_rule, source), TEXT(found_rule, key), TEXT(found_rule, value),
	TEXT(found_rule, trouble), END
};

static const size_t workaround_texts[] = {
	TEXT(workaround, domain), TEXT(workaround, servers), TEXT(workaround, connector), TEXT(workaround, level),
	TEXT(workaround, target), TEXT(workaround, reason), TEXT(workaround, evidence), TEXT(workaround, owner),
	TEXT(workaround, state), TEXT(workaround, proof), TEXT(workaround, in_clear), END
};

static const size_t workaround_look_texts[] = { TEXT(workaround_look, text), END };

static const size_t traffic_texts[] = {
	TEXT(traffic, direction), TEXT(traffic, peer), TEXT(traffic, service), TEXT(traffic, oldest), TEXT(traffic, newest), END
};

static const size_t wanted_edit_texts[] = { TEXT(wanted_edit, who), TEXT(wanted_edit, text), END };

static const size_t activity_texts[] = {
	TEXT(activity, who), TEXT(activity, server), TEXT(activity, verb), TEXT(activity, text), TEXT(activity, result),
	TEXT(activity, hash), END
};

static const size_t push_record_texts[] = {
	TEXT(push_record, result), TEXT(push_record, plan_text), TEXT(push_record, steps), END
};

static void
free_texts(void *record, const size_t *offsets)
{
	for (; *offsets != END; offsets++) {
		char **text = (char **)(void *)((char *)record + *offsets);

		free(*text);
		*text = NULL;
	}
}

void
subject_release(struct subject *s)
{
	free_texts(s, subject_texts);
}

void
subject_copy(struct subject *to, const struct subject *from)
{
	const size_t *at;

	if (to == from)
		return;
	for (at = subject_texts; *at != END; at++)
		xset((char **)(void *)((char *)to + *at), *(char *const *)(const void *)((const char *)from + *at));
}

/* Contents that are records of their own are released before the texts; afterwards a record is as if new. */
#define RELEASE(name, before) \
	void name##_release(struct name *r) \
	{ \
		before; \
		free_texts(r, name##_texts); \
		memset(r, 0, sizeof(*r)); \
	} \
	void name##_list_release(struct name##_list *l) \
	{ \
		for (size_t i = 0; i < l->n; i++) \
			name##_release(&l->v[i]); \
		free(l->v); \
		l->v = NULL; \
		l->n = 0; \
	} \
	struct name *name##_list_add(struct name##_list *l) \
	{ \
		ARRAY_GROW(l->v, l->n); \
		memset(&l->v[l->n], 0, sizeof(l->v[l->n])); \
		return &l->v[l->n++]; \
	}

RELEASE(server, (void)0)
RELEASE(found_value, (void)0)
RELEASE(vserver, found_value_list_release(&r->found))
RELEASE(request, subject_release(&r->subject))
RELEASE(certificate, (void)0)
RELEASE(authority, (void)0)
RELEASE(acme_order, (void)0)
RELEASE(issued, (void)0)
RELEASE(submission, (void)0)
RELEASE(connector, (void)0)
RELEASE(found_rule, (void)0)
RELEASE(traffic, (void)0)
RELEASE(workaround, (void)0)
RELEASE(workaround_look, (void)0)
RELEASE(wanted_edit, (void)0)
RELEASE(wanted, (void)0)
RELEASE(activity, (void)0)
RELEASE(push_record, (void)0)

/* Names as they are typed and stored: they never change. */
static const char *const key_kind_names[] = {
	[KEY_EC_P256] = "ec-p256",
	[KEY_EC_P384] = "ec-p384",
	[KEY_RSA_2048] = "rsa-2048",
	[KEY_RSA_3072] = "rsa-3072",
	[KEY_RSA_4096] = "rsa-4096",
};
#define KEY_KINDS (sizeof(key_kind_names) / sizeof(key_kind_names[0]))

const char *
key_kind_name(enum key_kind k)
{
	return (size_t)k < KEY_KINDS ? key_kind_names[k] : "unknown";
}

/* Kinds that exist and that mail cannot use. */
static const struct { const char *start, *why; } refused_keys[] = {
	{ "rsa-8192", "the handshake takes too long, and many authorities refuse it" },
	{ "rsa-16384", "the handshake takes too long, and many authorities refuse it" },
	{ "rsa-512", "it is broken within hours" },
	{ "rsa-768", "it has been broken" },
	{ "rsa-1", "it is too weak: authorities and peers have refused less than 2048 bits since 2014" },
	{ "dsa", "TLS 1.3 and the TLS libraries of today do not take it" },
	{ "ec-p192", "it is too weak; P-256 is the least" },
	{ "ec-p224", "it is too weak; P-256 is the least" },
	{ "ec-p521", "many peers and most public authorities do not take it" },
	{ "ed25519", "no public authority signs it, and many mail servers cannot use it" },
	{ "ed448", "no public authority signs it, and many mail servers cannot use it" },
	{ NULL, NULL }
};

int
key_kind_of(const char *type, int bits, enum key_kind *out)
{
	static const struct { const char *type; int bits; enum key_kind kind; } kinds[] = {
		{ "EC", 256, KEY_EC_P256 }, { "EC", 384, KEY_EC_P384 }, { "RSA", 2048, KEY_RSA_2048 },
		{ "RSA", 3072, KEY_RSA_3072 }, { "RSA", 4096, KEY_RSA_4096 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (text_eq(type, kinds[i].type) && bits == kinds[i].bits) {
			*out = kinds[i].kind;
			return 0;
		}
	return -1;
}

int
key_kind_parse(enum key_kind *out, const char *name, struct err *e)
{
	for (size_t i = 0; i < KEY_KINDS; i++)
		if (text_ieq(name, key_kind_names[i])) {
			*out = (enum key_kind)i;
			return 0;
		}
	for (size_t i = 0; name != NULL && refused_keys[i].start != NULL; i++)
		if (strncasecmp(name, refused_keys[i].start, strlen(refused_keys[i].start)) == 0) {
			err_set(e, RC_INVALID, "%s is not offered: %s", clean(name), refused_keys[i].why);
			return err_hint(e, "choose one of ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096");
		}
	err_set(e, RC_INVALID, "\"%s\" is no kind of key", clean(name));
	return err_hint(e, "choose one of ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096");
}
