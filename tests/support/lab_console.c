/* The shipped program in the lab. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "mxseal/xalloc.h"
#include "support/lab_console.h"
#include "support/pki.h"

static const char *
lab(void)
{
	return getenv("MXSEAL_LAB");
}

static const char *
program(void)
{
	const char *p = getenv("MXSEAL_PROGRAM");

	return p != NULL ? p : TEST_PROGRAM;
}

bool
lab_is_up(void)
{
	if (lab() != NULL && *lab() != '\0' && geteuid() == 0)
		return true;
	puts("skipped: no lab is up (MXSEAL_LAB); it needs root and network namespaces");
	return false;
}

int
lab_run(const char *dir, struct str *out, const char *words)
{
	return pki_run(dir, out, "'%s' %s", lab(), words);
}

void
lab_ssh_config(const char *dir)
{
	assert_int_equal(pki_run(dir, NULL, "touch known_hosts && sed \"s|UserKnownHostsFile .*|UserKnownHostsFile $PWD/known_hosts|\" "
	    "\"$('%s' dir)/ssh_config.ctl\" > ssh_config", lab()), 0);
}

void
lab_mxseal(const char *dir, const char *words)
{
	struct str out = STR_INIT;

	if (pki_run(dir, &out, "touch passphrase; MXSEAL_STORE=$PWD/store.db XDG_STATE_HOME=$PWD MXSEAL_SSH_CONFIG=$PWD/ssh_config '%s' ctl '%s' "
	    "--no-input --passphrase-fd 9 %s 9<passphrase", lab(), program(), words) != 0)
		fail_msg("mxseal %s: %s", words, out.s);
	str_release(&out);
}

struct vt *
lab_console(const char *dir, const char *option, int rows, int cols)
{
	const char *argv[] = { lab(), "ctl", program(), option, NULL };
	char *env[8] = { xasprintf("MXSEAL_STORE=%s/store.db", dir), xasprintf("HOME=%s", dir), xasprintf("XDG_STATE_HOME=%s", dir),
	    xasprintf("MXSEAL_SSH_CONFIG=%s/ssh_config", dir) };
	int n = 4;

	for (const char *const *keep = (const char *const[]){ "LAB_ID", "MXSEAL_LAB_DIR", NULL }; *keep != NULL; keep++)
		if (getenv(*keep) != NULL)
			env[n++] = xasprintf("%s=%s", *keep, getenv(*keep));
	struct vt *t = vt_start(argv, (const char *const *)env, rows, cols);
	while (n > 0)
		free(env[--n]);
	return t;
}
