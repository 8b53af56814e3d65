/* See the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "support/logins.h"

/* libssh2 1.10 loses two numbers of each ECDSA key that it reads from a file. To tell this from our own leaks, AddressSanitizer
 * must see through libraries without frame pointers. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *
__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

const char *
__lsan_default_suppressions(void)
{
	return "leak:libssh2_userauth_publickey_fromfile_ex\n";
}

struct login
login_for(const struct sshd *s)
{
	return (struct login){ .target = (char *)s->target, .ssh_config = (char *)s->config };
}

/* Opens, and says what went wrong when it does. */
struct host *
login_opens(const struct login *l)
{
	struct err e = { .code = RC_OK };
	struct host *h = NULL;

	if (host_open(&h, l, NULL, NULL, &e) < 0)
		fail_msg("%s: %s (%s)", err_name(e.code), e.text, e.hint);
	return h;
}

void
login_fails(const struct login *l, enum err_code code, const char *word)
{
	struct err e = { .code = RC_OK };
	struct host *h = NULL;

	assert_int_equal(host_open(&h, l, NULL, NULL, &e), -1);
	if (e.code != code || strstr(e.text, word) == NULL)
		fail_msg("wanted %s with \"%s\", got %s: %s", err_name(code), word, err_name(e.code), e.text);
	assert_null(h);
}

void
host_is_root(struct host *h)
{
	const char *const id[] = { "id", "-u", NULL };
	const struct host_cmd cmd = { "id", id };
	struct sections s = { .n = 0 };
	struct err e;

	assert_int_equal(host_read(h, &cmd, 1, &s, &e), 0);
	assert_string_equal(section_text(&s, "id"), "0\n");
	sections_release(&s);
}

void
login_opens_by(const struct login *l, const char *transport)
{
	struct host *h = login_opens(l);

	if (strcmp(host_transport(h), transport) != 0)
		fail_msg("went by %s: %s", host_transport(h), host_transport_why(h) ? host_transport_why(h) : "-");
	assert_true((host_transport_why(h) == NULL) == (strcmp(transport, "libssh2") == 0));
	host_is_root(h);
	assert_true(host_alive(h));
	host_close(h);
}
