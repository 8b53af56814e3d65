/* User keys of SSH: the agent's and those in files, as the login by libssh2 needs them. Inside core/host only. */
#ifndef MXSEAL_HOST_KEYS_H
#define MXSEAL_HOST_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/secret.h"
#include "mxseal/str.h"

/* The wire format of RFC 4251 section 5. */
struct wire { const unsigned char *p, *end; };
bool wire_get_u32(struct wire *w, uint32_t *n);
bool wire_get_string(struct wire *w, const unsigned char **s, size_t *len);
void wire_u32(struct str *out, uint32_t n);
void wire_string(struct str *out, const void *mem, size_t len);

struct blob { unsigned char *mem; size_t len; };
struct blob_list { struct blob *v; size_t n; };
void blob_list_add(struct blob_list *l, const unsigned char *blob, size_t len);
void blob_list_release(struct blob_list *l);

/* --- agent.c --- */
#define AGENT_SIGN_MS 60000           /* a person may have to touch a token */
struct agent;
int  agent_open(struct agent **out, const char *path, struct err *e);
int  agent_list(struct agent *g, struct blob_list *out, struct err *e);
/* The bare signature over data; algorithm is the one it must have been made by. */
int  agent_sign(struct agent *g, const unsigned char *blob, size_t blob_len, const void *data, size_t data_len,
         const char *algorithm, struct str *out, struct err *e);
void agent_close(struct agent *g);

/* --- keyfile.c: what kind of file is this, before libssh2 says "wrong passphrase or invalid" to everything --- */
enum keyfile_kind { KEYFILE_OPENSSH, KEYFILE_PEM, KEYFILE_PUBLIC };   /* public: the agent has the other half */
struct keyfile {
	char *path;
	enum keyfile_kind kind;
	bool encrypted;
	char cipher[48];         /* of an encrypted OpenSSH file */
	char type[64];           /* "" when it cannot be told without the passphrase */
	unsigned char *blob;     /* public key, NULL when not known */
	size_t blob_len;
	bool certificate;        /* a FILE-cert.pub lies beside it */
	struct str text;         /* the file, wiped on release */
};
/* RC_NOTFOUND: no such file. RC_AUTH: there is one, but it cannot be used; the sentence says why. */
int  keyfile_read(struct keyfile *out, const char *path, struct err *e);
void keyfile_release(struct keyfile *k);
/* The parser alone. */
int  keyfile_parse(struct keyfile *k, struct err *e);

/* --- kexinit.c: why no common algorithm was found --- */
/* mem: the first bytes a server sent, in clear: its banner and its KEXINIT (RFC 4253 section 7.1). offered: what we offered, in the
 * order kex, host key, cipher, mac. Appends which of the server's lists have nothing in common with ours; nothing when
 * they cannot be read. */
void kexinit_why(const void *mem, size_t len, const char *const offered[4], struct str *out);

#endif
