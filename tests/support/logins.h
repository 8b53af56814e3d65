/* Logins at a private sshd that must go well or fail, for tests of core/host. */
#ifndef MXSEAL_TEST_LOGINS_H
#define MXSEAL_TEST_LOGINS_H

#include "mxseal/host.h"
#include "support/sshd.h"

struct login login_for(const struct sshd *s);                      /* lends the names */
struct host *login_opens(const struct login *l);                   /* says what went wrong when it does */
void login_fails(const struct login *l, enum err_code code, const char *word);
void login_opens_by(const struct login *l, const char *transport);
void host_is_root(struct host *h);

#endif
