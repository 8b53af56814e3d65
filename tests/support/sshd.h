/* A private sshd on a loopback port, with throw-away keys, for tests of core/host. */
#ifndef MXSEAL_TEST_SSHD_H
#define MXSEAL_TEST_SSHD_H

#include <stdbool.h>
#include <sys/types.h>

struct sshd {
	pid_t pid;
	int port;
	char *dir;               /* of all its files; the test may add its own */
	char target[64];         /* "root@127.0.0.1:PORT" */
	char config[256];        /* an ssh_config that points only into dir */
	char known[256];         /* the known_hosts file it names */
};

/* NULL when a private sshd can be had here, else why not. */
const char *sshd_missing(void);
/* Keys in dir: host_ed25519, host_ecdsa, host_rsa, user_ed25519, user_ecdsa, user_rsa, user_enc (passphrase "sealed"), user_rsa_pem,
 * user_rsa_pem_enc, user_rsa_enc, other (not authorised). */
void sshd_make_keys(const char *dir);
/* host_keys: blank-separated names; extra: more lines of sshd_config. The known_hosts file holds its keys. */
void sshd_start(struct sshd *s, const char *dir, const char *host_keys, const char *extra);
void sshd_stop(struct sshd *s);
/* Writes the ssh_config anew: identity is a key's name in dir or NULL, agent a socket or NULL; more: lines. */
void sshd_config(struct sshd *s, const char *identity, const char *agent, const char *more);
/* Such a line: the ssh program goes to the sshd of this machine through one of its own. ssh hangs up on it as soon as it has done; it
 * goes on to its last line then, so that nothing stays behind. */
#define SSHD_BY_PROXY "ProxyCommand bash -c 'trap : HUP TERM; exec 3<>/dev/tcp/127.0.0.1/%p; cat <&3 & cat >&3; kill $!'"
/* Fills known with lines: "TEXT KEYNAME" pairs, as: sshd_known(s, "@revoked *", "host_ed25519", NULL). */
void sshd_known(struct sshd *s, ...);
/* Runs a command line of the test's own by sh; fails the program when it fails. */
void sshd_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
