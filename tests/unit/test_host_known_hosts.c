/* Verdicts on host keys: each situation is put to our reader and to the real ssh, which must agree (and with the table). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/certificate.h"
#include "mxseal/host.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/sshd.h"

static struct sshd server;
static char *dir;

/* %E %C %R: the server's Ed25519, ECDSA, RSA key; %W: another Ed25519 key; %X: another RSA key; %P: the port. alias: the lookup
 * is by this name, else "[127.0.0.1]:%P". hash: the file is hashed by ssh-keygen before. */
static const struct situation {
	const char *name;
	const char *file, *second;
	const char *alias;
	bool hash;
	enum hostkey_verdict want;
} situations[] = {
	{ "nothing known", "", NULL, "mx.example.com", false, HOSTKEY_NEW },
	{ "plain", "mx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "comma list", "mx,mx.example.com,192.0.2.1 %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "hashed", "mx.example.com %E\nb.example.com %W\n", NULL, "mx.example.com", true, HOSTKEY_OK },
	{ "hashed, another key", "mx.example.com %W\n", NULL, "mx.example.com", true, HOSTKEY_CHANGED },
	{ "changed", "mx.example.com %W\n", NULL, "mx.example.com", false, HOSTKEY_CHANGED },
	{ "another type, another key", "mx.example.com %X\n", NULL, "mx.example.com", false, HOSTKEY_CHANGED },
	{ "RSA only, right", "mx.example.com %R\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "ECDSA only, right", "mx.example.com %C\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "several types", "mx.example.com %X\nmx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "two keys of a type", "mx.example.com %W\nmx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "revoked", "mx.example.com %E\n@revoked * %E\n", NULL, "mx.example.com", false, HOSTKEY_REVOKED },
	{ "revoked, first line", "@revoked mx.example.com %E\nmx.example.com %E\n", NULL, "mx.example.com", false,
	    HOSTKEY_REVOKED },
	{ "revoked in the second file", "mx.example.com %E\n", "@revoked * %E\n", "mx.example.com", false, HOSTKEY_REVOKED },
	{ "another key revoked", "@revoked * %W\nmx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "revoked for others", "@revoked b.example.com %E\nmx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "authority only", "@cert-authority *.example.com %W\n", NULL, "mx.example.com", false, HOSTKEY_NEW },
	{ "authority and plain", "@cert-authority * %W\nmx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "wildcard", "*.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "question mark", "m?.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "negated", "!mx.example.com,* %E\n", NULL, "mx.example.com", false, HOSTKEY_NEW },
	{ "negated behind", "*,!mx.* %W\n", NULL, "mx.example.com", false, HOSTKEY_NEW },
	{ "upper case", "MX.Example.COM %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "upper case asked", "mx.example.com %E\n", NULL, "MX.example.com", false, HOSTKEY_OK },
	{ "line ends of DOS", "# c\r\nmx.example.com %E\r\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "blanks, tabs, comments", "  # x\n\n \t mx.example.com\t %E a comment here\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "broken lines", "garbage\nmx.example.com 1024 35 1234567890\nmx.example.com ssh-ed25519 AAAA\n@what x %W\n"
	    "mx.example.com ssh-new AAAA\nmx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "a broken line for it is none", "mx.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhh\n", NULL, "mx.example.com", false,
	    HOSTKEY_NEW },
	{ "type and key differ", "mx.example.com ssh-rsa %e\n", NULL, "mx.example.com", false, HOSTKEY_NEW },
	{ "only in the second file", "b %W\n", "mx.example.com %E\n", "mx.example.com", false, HOSTKEY_OK },
	{ "another key in the first, right in the second", "mx.example.com %W\n", "mx.example.com %E\n", "mx.example.com", false,
	    HOSTKEY_OK },
	{ "no end of the last line", "mx.example.com %E", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "another key for its address", "127.0.0.1 %W\nmx.example.com %E\n", NULL, "mx.example.com", false, HOSTKEY_OK },
	{ "with port", "[127.0.0.1]:%P %E\n", NULL, NULL, false, HOSTKEY_OK },
	{ "with port, hashed", "[127.0.0.1]:%P %E\n", NULL, NULL, true, HOSTKEY_OK },
	{ "with port, changed", "[127.0.0.1]:%P %W\n127.0.0.1 %E\n", NULL, NULL, false, HOSTKEY_CHANGED },
	{ "without port, right", "127.0.0.1 %E\n", NULL, NULL, false, HOSTKEY_OK },
	{ "without port, another", "127.0.0.1 %W\n", NULL, NULL, false, HOSTKEY_NEW },
	{ "another port", "[127.0.0.1]:1 %W\n", NULL, NULL, false, HOSTKEY_NEW },
	{ "wildcard over ports", "[127.0.0.1]:* %W\n", NULL, NULL, false, HOSTKEY_CHANGED },
};

/* The twelve that are promised; the others above are what else we could think of. */
static const char *const promised[12] = { "plain", "nothing known", "changed", "another type, another key", "revoked", "authority only",
	"hashed", "with port", "another key for its address", "wildcard", "two keys of a type", "broken lines" };

static bool
is_promised(const char *name)
{
	size_t i;

	for (i = 0; i < 12 && strcmp(promised[i], name) != 0; i++)
		;
	return i < 12;
}

static char *
public_key(const char *name, bool bare)
{
	char *path = xasprintf("%s/%s.pub", dir, name), *out;
	struct str text = STR_INIT;
	char **w;

	assert_int_equal(str_read_file(&text, path, 65536, NULL), 0);
	w = words_split(text.s, " \n", NULL);
	out = bare ? xstrdup(w[1]) : xasprintf("%s %s", w[0], w[1]);
	words_free(w);
	str_release(&text);
	free(path);
	return out;
}

static void
fill(const char *path, const char *pattern)
{
	struct str out = STR_INIT;
	const char *p;
	char *key;

	for (p = pattern; *p != '\0'; p++) {
		if (*p != '%') {
			str_addc(&out, *p);
			continue;
		}
		p++;
		if (*p == 'P') {
			str_addf(&out, "%d", server.port);
			continue;
		}
		key = public_key(*p == 'E' || *p == 'e' ? "host_ed25519" : *p == 'C' ? "host_ecdsa" : *p == 'R' ? "host_rsa"
		    : *p == 'W' ? "other" : "user_rsa", *p == 'e');
		str_add(&out, key);
		free(key);
	}
	assert_int_equal(str_write_file(path, out.s, out.len, 0600, NULL), 0);
	str_release(&out);
}

static void
prepare(const struct situation *s)
{
	char *second = xasprintf("%s.2", server.known), *alias = NULL;

	fill(server.known, s->file);
	fill(second, s->second != NULL ? s->second : "");
	if (s->hash)
		sshd_run("ssh-keygen -q -H -f %s >/dev/null 2>&1", server.known);
	if (s->alias != NULL)
		alias = xasprintf("HostKeyAlias %s", s->alias);
	sshd_config(&server, "user_ed25519", NULL, alias);
	free(second);
	free(alias);
}

/* What ssh says: strict first, then with new keys let in. */
static enum hostkey_verdict
oracle(void)
{
	char *base = xasprintf("ssh -F %s -T -p %d -o BatchMode=yes -o UpdateHostKeys=no -o StrictHostKeyChecking=", server.config,
	    server.port);
	char *strict = xasprintf("%syes root@127.0.0.1 true </dev/null >/dev/null 2>%s/said", base, dir);
	char *lenient = xasprintf("%saccept-new root@127.0.0.1 true </dev/null >/dev/null 2>&1", base);
	char *revoked = xasprintf("grep -q -i revoked %s/said", dir);
	enum hostkey_verdict v;

	if (system(strict) == 0)
		v = HOSTKEY_OK;
	else if (system(revoked) == 0)
		v = HOSTKEY_REVOKED;
	else
		v = system(lenient) == 0 ? HOSTKEY_NEW : HOSTKEY_CHANGED;
	free(base);
	free(strict);
	free(lenient);
	free(revoked);
	return v;
}

static void
verdicts_are_those_of_ssh(void **state)
{
	struct login l = { .target = server.target, .ssh_config = server.config };
	struct hostkey key;
	struct err e;
	size_t i, bad = 0, kept = 0;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
		const struct situation *s = &situations[i];
		enum hostkey_verdict real;

		prepare(s);
		err_clear(&e);
		rc = host_key_look(&l, NULL, &key, &e);
		prepare(s);
		real = oracle();
		if (key.verdict != s->want || real != s->want) {
			print_message("%s: we say %d, ssh says %d, the table %d (%s)\n", s->name, key.verdict, real, s->want, e.text);
			bad++;
		} else if (is_promised(s->name)) {
			kept++;
		}
		assert_int_equal(rc, s->want == HOSTKEY_OK || s->want == HOSTKEY_NEW ? 0 : -1);
		hostkey_release(&key);
	}
	print_message("%zu/12 promised situations as ssh judges them, %zu of %zu in all\n", kept, i - bad, i);
	assert_int_equal(bad, 0);
	assert_int_equal(kept, 12);
}

static void
broken_lines_are_counted(void **state)
{
	static const char text[] = "garbage\n# fine\n\nh 1024 35 123\nh ssh-ed25519 AAAA\n@what h ssh-ed25519 AAAA\nh\n";
	struct known_hosts *k = known_hosts_new();
	struct str types = STR_INIT;

	(void)state;
	known_hosts_read(k, text, strlen(text), "a file");
	assert_int_equal(known_hosts_broken(k), 5);
	known_hosts_types(k, "h", &types);
	assert_string_equal(types.s, "");
	known_hosts_free(k);
	str_release(&types);
}

static void
the_deciding_line_is_named(void **state)
{
	struct known_hosts *k = known_hosts_new();
	char *e = public_key("host_ed25519", false), *w = public_key("other", false), *r = public_key("host_rsa", false);
	char *bare = public_key("host_ed25519", true), *text = xasprintf("# x\nmx1 %s\nmx1,mx2 %s\n@cert-authority mx3 %s\n", w, r, w);
	struct str where = STR_INIT, types = STR_INIT;
	unsigned char blob[512];
	size_t n;

	(void)state;
	assert_int_equal(base64_decode(bare, strlen(bare), blob, sizeof(blob), &n), 0);
	known_hosts_read(k, text, strlen(text), "/x/known_hosts");
	assert_int_equal(known_hosts_verdict(k, "mx1", blob, n, &where), HOSTKEY_CHANGED);
	assert_string_equal(where.s, "ssh-ed25519 in /x/known_hosts line 2");
	known_hosts_types(k, "MX1", &types);
	assert_string_equal(types.s, "ssh-ed25519,ssh-rsa");
	assert_true(known_hosts_authority(k, "mx3"));
	assert_false(known_hosts_authority(k, "mx1"));
	str_release(&where);
	str_release(&types);
	known_hosts_free(k);
	free(e);
	free(w);
	free(r);
	free(bare);
	free(text);
}

static void
a_confirmed_key_is_kept(void **state)
{
	char *ours = xasprintf("%s/ours", dir);
	struct login l = { .target = server.target, .ssh_config = server.config, .known_hosts = ours };
	struct hostkey key;
	struct stat st;
	struct host *h;
	struct err e;

	(void)state;
	prepare(&situations[0]);
	assert_int_equal(host_open(&h, &l, NULL, &key, &e), -1);
	assert_int_equal(e.code, RC_HOSTKEY_NEW);
	assert_int_equal(key.verdict, HOSTKEY_NEW);
	assert_non_null(strstr(e.text, key.fingerprint));
	assert_int_equal(host_trust(ours, &key, &e), 0);
	hostkey_release(&key);
	assert_int_equal(stat(ours, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(host_open(&h, &l, NULL, &key, &e), 0);
	host_close(h);
	key.verdict = HOSTKEY_CHANGED;
	assert_int_equal(host_trust(ours, &key, &e), -1);
	assert_int_equal(e.code, RC_HOSTKEY);
	hostkey_release(&key);
	free(ours);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_lines_are_counted),
		cmocka_unit_test(the_deciding_line_is_named),
		cmocka_unit_test(verdicts_are_those_of_ssh),
		cmocka_unit_test(a_confirmed_key_is_kept),
	};
	int rc;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	sshd_make_keys(dir);
	sshd_start(&server, dir, "host_ed25519 host_ecdsa host_rsa", NULL);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	sshd_stop(&server);
	fixture_remove(dir);
	free(dir);
	return rc;
}
