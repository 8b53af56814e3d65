/* Login by libssh2: keys of the agent and of files first, then password. A key is offered before anybody is asked for its
 * passphrase, so a person is only asked for one that opens the door; a passphrase is never sent anywhere; a password is
 * sent once. RSA keys sign by our own callback, because libssh2 1.10 asks for no SHA-2 by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "keys.h"
#include "ssh.h"

#define TRIES_MAX 5                   /* sshd hangs up at MaxAuthTries 6; one is left for the password */

struct attempt {
	struct link *k;
	struct agent *agent;
	struct blob_list held;        /* by the agent */
	struct keyfile *files;
	size_t n_files;
	int tries;
	bool partial;                 /* a key was good, but the server wants more */
	struct str said;              /* what became of each key, for the final sentence */
};

/* Who signs: agent or key; neither: we only want to know whether the server would take the key. */
struct signer {
	struct agent *agent;
	const unsigned char *blob;
	size_t len;
	const struct rsa_key *rsa;
	const char *algorithm;
	bool asked;                   /* the server wants this key */
	struct err why;
};

static int
on_sign(LIBSSH2_SESSION *session, unsigned char **sig, size_t *sig_len, const unsigned char *data, size_t data_len,
    void **abstract)
{
	struct signer *s = *abstract;
	struct str out = STR_INIT;
	int rc = -1;

	(void)session;
	s->asked = true;
	if (s->agent != NULL)
		rc = agent_sign(s->agent, s->blob, s->len, data, data_len, s->algorithm, &out, &s->why);
	else if (s->rsa != NULL)
		rc = rsa_key_sign(s->rsa, s->algorithm, data, data_len, &out, &s->why);
	if (rc == 0) {
		/* libssh2 frees it with its own allocator, which is malloc's as we gave none */
		*sig_len = out.len;
		*sig = (unsigned char *)str_take(&out);
	}
	str_release(&out);
	return rc;
}

/* Offers a public key under an algorithm's name (of RSA not the key's own: RFC 8332) and signs. 0 in; 1 refused; 2 the server
 * takes the key but we did not sign; -1 the connection is at its end. */
static int
offer(struct attempt *a, struct signer *s, struct err *e)
{
	struct link *k = a->k;
	struct wire w = { s->blob, s->blob + s->len };
	struct str data = STR_INIT;
	const unsigned char *name;
	void *abstract = s;
	size_t n;
	int rc;

	if (!wire_get_string(&w, &name, &n))
		return 1;
	a->tries++;
	wire_string(&data, s->algorithm, strlen(s->algorithm));
	str_addn(&data, w.p, (size_t)(w.end - w.p));
	LINK_DO(k, when_monotonic_ms() + k->h->timeout_ms + (s->agent != NULL ? AGENT_SIGN_MS : 0), rc,
	    libssh2_userauth_publickey(k->session, k->route->user, (unsigned char *)data.s, data.len, on_sign, &abstract), e);
	str_release(&data);
	if (rc == 0)
		return 0;
	if (rc == LINK_GAVE_UP || link_is_lost(k, rc))
		return link_failed(k, rc, "logging in", e);
	if (s->asked && s->agent == NULL && s->rsa == NULL)
		return 2;
	return 1;
}

static bool
same_blob(const struct blob *b, const unsigned char *mem, size_t len)
{
	return b->len == len && memcmp(b->mem, mem, len) == 0;
}

/* Remembers what keeps libssh2 from using a key, so that the ssh program may try. The first reason counts. */
static void
cannot(struct attempt *a, const char *before, const char *what, const char *after)
{
	if (a->k->why == NULL)
		a->k->why = xasprintf("%s%s%s", before, what, after);
}

/* All algorithms of a key, until one is taken. Results as offer(). */
static int
offer_key(struct attempt *a, struct signer *s, const char *type, const char *name, struct err *e)
{
	static const char *const rsa[] = { "rsa-sha2-512", "rsa-sha2-256", NULL };
	const char *own[] = { type, NULL }, *const *list = text_eq(type, "ssh-rsa") ? rsa : own;
	int rc = 1;

	for (; *list != NULL && rc == 1 && a->tries < TRIES_MAX; list++) {
		s->algorithm = *list;
		s->asked = false;
		rc = offer(a, s, e);
		if (rc == 1 && s->asked && s->why.code == RC_OK)
			a->partial = true;    /* signed, and not in: the server may want something more */
		if (rc == 1 && s->asked)
			break;
	}
	if (rc == 1 && s->why.code != RC_OK)
		str_addf(&a->said, "%s%s: %s", a->said.len > 0 ? "; " : "", clean(name), s->why.text);
	else if (rc == 1 && !a->partial)
		str_addf(&a->said, "%s%s refused", a->said.len > 0 ? "; " : "", clean(name));
	if (rc == 1 && text_eq(type, "ssh-rsa"))
		cannot(a, "the server takes no RSA signature that libssh2 can name", "", "");
	return rc;
}

/* --- the agent's keys --- */

static int
offer_held(struct attempt *a, const struct blob *b, const char *name, struct err *e)
{
	struct signer s = { .agent = a->agent, .blob = b->mem, .len = b->len };
	char type[64];

	if (a->tries >= TRIES_MAX || !hostkey_type(b->mem, b->len, type))
		return 1;
	if (strstr(type, "-cert-v01@") != NULL || text_starts(type, "sk-")) {
		cannot(a, "the agent holds a ", type, " key, which libssh2 1.10 cannot use");
		return 1;
	}
	return offer_key(a, &s, type, name, e);
}

static int
by_agent(struct attempt *a, struct err *e)
{
	const struct route *r = a->k->route;
	bool only = r->identities_only || !text_empty(a->k->login->identity), mine;
	size_t i, f;
	int rc = 1;

	/* configured keys first, in their order */
	for (f = 0; f < a->n_files && rc == 1; f++)
		for (i = 0; i < a->held.n && rc == 1; i++)
			if (a->files[f].blob != NULL && same_blob(&a->held.v[i], a->files[f].blob, a->files[f].blob_len))
				rc = offer_held(a, &a->held.v[i], a->files[f].path, e);
	for (i = 0; i < a->held.n && rc == 1 && !only && !a->partial; i++) {
		for (mine = false, f = 0; f < a->n_files; f++)
			mine = mine || (a->files[f].blob != NULL
			    && same_blob(&a->held.v[i], a->files[f].blob, a->files[f].blob_len));
		if (!mine)
			rc = offer_held(a, &a->held.v[i], "a key of the agent", e);
	}
	return rc;
}

/* --- key files --- */

static bool
held_by_agent(const struct attempt *a, const struct keyfile *f)
{
	size_t i;

	for (i = 0; i < a->held.n; i++)
		if (f->blob != NULL && same_blob(&a->held.v[i], f->blob, f->blob_len))
			return true;
	return false;
}

static int
want_passphrase(const struct attempt *a, const struct keyfile *f, struct err *e)
{
	err_set(e, RC_PASSWORD, "the key %s is encrypted: its passphrase is needed to log in to %s", clean(f->path),
	    a->k->name);
	return err_hint(e, "or add it to the agent: ssh-add %s", clean(f->path));
}

static int
wrong_passphrase(const struct keyfile *f, struct err *e)
{
	err_set(e, RC_AUTH, "the passphrase of the key %s was wrong", clean(f->path));
	return err_hint(e, "it was only tried on the file and sent nowhere");
}

/* Would the server take this key? As offer(): 2 yes. */
static int
ask_about(struct attempt *a, const struct keyfile *f, struct err *e)
{
	struct signer s = { .blob = f->blob, .len = f->blob_len };

	return f->blob == NULL ? 2 : offer_key(a, &s, f->type, f->path, e);
}

static int
by_rsa_file(struct attempt *a, const struct keyfile *f, const struct rsa_key *key, struct err *e)
{
	struct str blob = STR_INIT;
	struct signer s = { .rsa = key };
	int rc;

	rsa_key_public(key, &blob);
	s.blob = (unsigned char *)blob.s;
	s.len = blob.len;
	rc = offer_key(a, &s, "ssh-rsa", f->path, e);
	str_release(&blob);
	return rc;
}

/* Ed25519 and ECDSA: libssh2 reads the file. */
static int
by_other_file(struct attempt *a, const struct keyfile *f, const char *passphrase, struct err *e)
{
	struct link *k = a->k;
	int rc;

	a->tries++;
	LINK_DO(k, when_monotonic_ms() + k->h->timeout_ms, rc, libssh2_userauth_publickey_fromfile_ex(k->session,
	    k->route->user, (unsigned)strlen(k->route->user), NULL, f->path, passphrase), e);
	if (rc != LIBSSH2_ERROR_FILE && passphrase != NULL)
		k->h->key_opened = true;
	if (rc == 0)
		return 0;
	if (rc == LINK_GAVE_UP || link_is_lost(k, rc))
		return link_failed(k, rc, "logging in", e);
	if (rc == LIBSSH2_ERROR_FILE && passphrase != NULL)
		return wrong_passphrase(f, e);
	if (rc == LIBSSH2_ERROR_FILE) {
		str_addf(&a->said, "%s%s cannot be read", a->said.len > 0 ? "; " : "", clean(f->path));
		cannot(a, "libssh2 cannot read the key file ", f->path, "");
		return 1;
	}
	if (rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		a->partial = true;
	else
		str_addf(&a->said, "%s%s refused", a->said.len > 0 ? "; " : "", clean(f->path));
	return 1;
}

static int
by_file(struct attempt *a, const struct keyfile *f, struct err *e)
{
	const struct secret *pass = &a->k->login->password;
	struct rsa_key *rsa = NULL;
	struct err mine;
	int rc;

	if (f->certificate)
		cannot(a, "there is a certificate for the key ", f->path, ", which libssh2 1.10 cannot use");
	if (text_starts(f->type, "sk-"))
		cannot(a, "the key ", f->path, " is a security key, which libssh2 1.10 cannot use");
	if (text_starts(f->type, "sk-") || f->kind == KEYFILE_PUBLIC)
		return 1;
	if (f->encrypted) {
		rc = ask_about(a, f, e);
		if (rc != 2)
			return rc;
		/* from here on the server wants this very key */
		if (f->kind == KEYFILE_OPENSSH && (text_eq(f->type, "ssh-rsa") || strstr(f->cipher, "@openssh.com") != NULL)) {
			cannot(a, "libssh2 and OpenSSL cannot decrypt the key file ", f->path, "");
			str_addf(&a->said, "%s%s is encrypted in a way that only OpenSSH reads: ssh-add it",
			    a->said.len > 0 ? "; " : "", clean(f->path));
			return 1;
		}
		if (!secret_is_set(pass))
			return want_passphrase(a, f, e);
	}
	if (text_eq(f->type, "ssh-rsa") || f->kind == KEYFILE_PEM) {
		rc = rsa_key_read(&rsa, f->text.s, f->text.len, f->encrypted ? pass : NULL, &mine);
		if (rc == 0) {
			a->k->h->key_opened = a->k->h->key_opened || f->encrypted;
			rc = by_rsa_file(a, f, rsa, e);
			rsa_key_free(rsa);
			return rc;
		}
		if (mine.code == RC_PASSPHRASE && f->encrypted)
			return wrong_passphrase(f, e);
	}
	return by_other_file(a, f, f->encrypted ? pass->mem : NULL, e);
}

/* Key files that may serve. A file named for this very server must be usable; of the others, those that are. */
static int
read_files(struct attempt *a, struct err *e)
{
	const struct link *k = a->k;
	struct err mine;
	struct keyfile f;
	size_t i;

	if (!text_empty(k->login->identity)) {
		a->files = xcalloc(1, sizeof(*a->files));
		if (keyfile_read(&a->files[0], k->login->identity, e) < 0) {
			e->code = RC_AUTH;
			return -1;
		}
		a->n_files = 1;
		return 0;
	}
	for (i = 0; k->route->identities != NULL && k->route->identities[i] != NULL; i++) {
		if (keyfile_read(&f, k->route->identities[i], &mine) == 0) {
			ARRAY_GROW(a->files, a->n_files);
			a->files[a->n_files++] = f;
		} else if (mine.code != RC_NOTFOUND) {
			str_addf(&a->said, "%s%s", a->said.len > 0 ? "; " : "", mine.text);
		}
	}
	return 0;
}

static int
by_keys(struct attempt *a, struct err *e)
{
	const char *socket = a->k->route->agent;
	struct err mine;
	size_t f;
	int rc = 1;

	if (read_files(a, e) < 0)
		return -1;
	if (!text_empty(socket) && agent_open(&a->agent, socket, &mine) == 0 && agent_list(a->agent, &a->held, &mine) == 0)
		rc = by_agent(a, e);
	for (f = 0; f < a->n_files && rc == 1 && !a->partial && a->tries < TRIES_MAX; f++)
		if (!held_by_agent(a, &a->files[f]))
			rc = by_file(a, &a->files[f], e);
	return rc;
}

/* --- password --- */

struct questions {
	const struct secret *password;
	int answered;
	char odd[128];               /* a question that a password does not answer */
};

static void
on_question(const char *name, int name_len, const char *instruction, int instruction_len, int n,
    const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts, LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract)
{
	struct link *k = *abstract;
	struct questions *q = k->questions;
	int i;

	(void)name;
	(void)name_len;
	(void)instruction;
	(void)instruction_len;
	for (i = 0; i < n; i++) {
		if (!prompts[i].echo && q->answered == 0) {
			responses[i].text = strdup(q->password->mem);
			responses[i].length = responses[i].text != NULL ? (unsigned)q->password->len : 0;
		} else {
			snprintf(q->odd, sizeof(q->odd), "%.*s", (int)prompts[i].length, prompts[i].text);
			responses[i].text = strdup("");
			responses[i].length = 0;
		}
		q->answered++;
	}
}

static int
by_password(struct attempt *a, const char *methods, struct err *e)
{
	struct link *k = a->k;
	struct questions q = { .password = &k->login->password };
	int64_t until = when_monotonic_ms() + 2 * (int64_t)k->h->timeout_ms;     /* PAM delays a refusal */
	bool plain = strstr(methods, "password") != NULL;
	int rc;

	if (k->jump) {
		err_set(e, RC_AUTH, "%s takes no key of ours from %s%s%s", k->name, clean(k->route->user), a->said.len > 0 ? ": " : "",
		    a->said.s);
		return err_hint(e, "a password is given to no jump host: use a key there, see that this works: ssh %s",
		    clean(k->login->target));
	}
	if (k->h->key_opened) {
		err_set(e, RC_AUTH, "%s wants a password, but what was given is the passphrase of a key and is sent to nobody",
		    k->name);
		return err_hint(e, "add the key to the agent with ssh-add, then the password can be asked for");
	}
	if (!secret_is_set(&k->login->password)) {
		err_set(e, RC_PASSWORD, "login on %s asks for the password of %s", k->name, clean(k->route->user));
		return a->said.len > 0 ? err_hint(e, "keys: %s", a->said.s) : -1;
	}
	if (plain) {
		LINK_DO(k, until, rc, libssh2_userauth_password_ex(k->session, k->route->user, (unsigned)strlen(k->route->user),
		    k->login->password.mem, (unsigned)k->login->password.len, NULL), e);
	} else {
		k->questions = &q;
		LINK_DO(k, until, rc, libssh2_userauth_keyboard_interactive_ex(k->session, k->route->user,
		    (unsigned)strlen(k->route->user), on_question), e);
		k->questions = NULL;
	}
	if (rc == 0)
		return 0;
	if (rc == LINK_GAVE_UP || link_is_lost(k, rc))
		return link_failed(k, rc, "logging in", e);
	if (q.odd[0] != '\0') {
		err_set(e, RC_AUTH, "%s asks %s something else than a password: \"%s\"", k->name, clean(k->route->user), clean(q.odd));
		return err_hint(e, "use a key for this host");
	}
	if (rc == LIBSSH2_ERROR_PASSWORD_EXPIRED) {
		err_set(e, RC_AUTH, "the password of %s on %s has expired", clean(k->route->user), k->name);
		return err_hint(e, "log in by hand and change it");
	}
	err_set(e, RC_AUTH, "%s refused the password of %s", k->name, clean(k->route->user));
	return err_hint(e, "give it again; it was sent once only");
}

/* --- all of it --- */

/* The methods that the server takes now, copied; NULL when we are in already, or with e. */
static char *
methods_now(struct link *k, int *rc, struct err *e)
{
	const char *user = k->route->user;
	int64_t until = when_monotonic_ms() + k->h->timeout_ms;
	char *list;

	while ((list = libssh2_userauth_list(k->session, user, (unsigned)strlen(user))) == NULL) {
		*rc = libssh2_session_last_errno(k->session);
		if (libssh2_userauth_authenticated(k->session)) {
			*rc = 0;
			return NULL;
		}
		if (*rc != LIBSSH2_ERROR_EAGAIN || link_wait(k, until, e) < 0) {
			*rc = link_failed(k, *rc == LIBSSH2_ERROR_EAGAIN ? LINK_GAVE_UP : *rc, "logging in", e);
			return NULL;
		}
	}
	return xstrdup(list);
}

static int
login_steps(struct attempt *a, struct err *e)
{
	struct link *k = a->k;
	char *methods = NULL;
	int rc = 0;

	methods = methods_now(k, &rc, e);
	if (methods == NULL)
		return rc;
	rc = strstr(methods, "publickey") != NULL ? by_keys(a, e) : 1;
	if (rc == 1 && a->partial) {              /* a good key may have been the first half */
		free(methods);
		methods = methods_now(k, &rc, e);
		if (methods == NULL)
			return rc;
		rc = 1;
	}
	if (rc == 1 && (strstr(methods, "password") != NULL || strstr(methods, "keyboard-interactive") != NULL)) {
		rc = by_password(a, methods, e);
	} else if (rc == 1) {
		err_set(e, RC_AUTH, "%s does not let %s in%s%s", k->name, clean(k->route->user), a->said.len > 0 ? ": " : "",
		    a->said.len > 0 ? a->said.s : ": no key to offer");
		err_hint(e, "it takes: %s; try: ssh %s", clean(methods), clean(k->login->target));
		rc = -1;
	}
	free(methods);
	return rc;
}

int
link_login(struct link *k, struct err *e)
{
	struct attempt a = { .k = k, .said = STR_INIT };
	size_t i;
	int rc;

	str_init(&a.said, 480);
	rc = login_steps(&a, e);
	for (i = 0; i < a.n_files; i++)
		keyfile_release(&a.files[i]);
	free(a.files);
	agent_close(a.agent);
	blob_list_release(&a.held);
	str_release(&a.said);
	return rc;
}
