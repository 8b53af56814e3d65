/* Requests and certificates. A request goes with its virtual server; a certificate is never deleted. */
#include "db.h"

#include <string.h>

#define END { NULL, COL_TEXT, 0, NULL, 0 }
#define COL(field, kind) { #field, kind, offsetof(struct request, field), NULL, 0 }
#define SUB(field) { #field, COL_TEXT, offsetof(struct request, subject.field), NULL, 0 }

static const char *
kind_word(int value)
{
	return key_kind_name((enum key_kind)value);
}

static const struct column request_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(vserver, COL_REF), COL(name, COL_TEXT),
	SUB(cn), SUB(o), SUB(ou), SUB(c), SUB(st), SUB(l), SUB(san),
	{ "kind", COL_WORD, offsetof(struct request, kind), kind_word, KEY_RSA_4096 + 1 },
	COL(key_server, COL_REF), COL(key_path, COL_TEXT), COL(spki_sha256, COL_TEXT), COL(pem, COL_TEXT),
	COL(sha256, COL_TEXT), COL(out_file, COL_TEXT), COL(authority, COL_REF), COL(state, COL_TEXT),
	COL(created_at, COL_INT64), COL(certificate, COL_REF), COL(second, COL_BOOL), END
};

static const struct noun request_noun = {
	.word = "request", .columns = request_columns,
	.id = offsetof(struct request, id), .rev = offsetof(struct request, rev), .name = NOWHERE,
	.get = ST_REQUEST_GET, .insert = ST_REQUEST_INSERT, .update = ST_REQUEST_UPDATE,
};

int
store_requests(struct store *st, int64_t vserver, struct request_list *out, struct err *e)
{
	FILL_LIST(request, st, out, ST_REQUEST_LIST, request_columns, e, "i", vserver);
}

int
store_request_get(struct store *st, int64_t id, struct request *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_REQUEST_GET, request_columns, out, e, "i", id), e, "request", NULL, id);
}

int
store_request_save(struct store *st, struct request *r, struct err *e)
{
	return db_row_save(st, &request_noun, r, e);
}

#undef COL
#define COL(field, kind) { #field, kind, offsetof(struct certificate, field), NULL, 0 }

static const struct column certificate_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(name, COL_TEXT), COL(subject, COL_TEXT), COL(issuer, COL_TEXT),
	COL(cn, COL_TEXT), COL(san, COL_TEXT), COL(not_before, COL_INT64), COL(not_after, COL_INT64), COL(serial, COL_TEXT),
	COL(sha256, COL_TEXT), COL(spki_sha256, COL_TEXT), COL(key_type, COL_TEXT), COL(key_bits, COL_INT),
	COL(key_server, COL_REF), COL(key_path, COL_TEXT), COL(sealed_key, COL_TEXT), COL(pem, COL_TEXT), COL(authority, COL_REF), COL(request, COL_REF),
	COL(created_at, COL_INT64), END
};

static const struct noun certificate_noun = {
	.word = "certificate", .columns = certificate_columns,
	.id = offsetof(struct certificate, id), .rev = offsetof(struct certificate, rev),
	.name = offsetof(struct certificate, name),
	.get = ST_CERTIFICATE_GET, .insert = ST_CERTIFICATE_INSERT, .update = ST_CERTIFICATE_UPDATE,
};

int
store_certificates(struct store *st, struct certificate_list *out, struct err *e)
{
	FILL_LIST(certificate, st, out, ST_CERTIFICATE_LIST, certificate_columns, e, "");
}

int
store_certificate_get(struct store *st, int64_t id, struct certificate *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_CERTIFICATE_GET, certificate_columns, out, e, "i", id), e, "certificate", NULL, id);
}

int
store_certificate_by_sha256(struct store *st, const char *sha256, struct certificate *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_CERTIFICATE_BY_SHA256, certificate_columns, out, e, "t", sha256), e, "certificate", sha256, 0);
}

int
store_certificate_save(struct store *st, struct certificate *r, struct err *e)
{
	return db_row_save(st, &certificate_noun, r, e);
}
