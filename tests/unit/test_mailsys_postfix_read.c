/* Recordings of real Postfix hosts become records; and whatever a host answers instead, there is one clear sentence.
 *   test_mailsys_postfix_read --record "COMMAND..." FILE     makes a recording: COMMAND runs words on the host as root
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/host.h"
#include "mxseal/mailsys.h"
#include "mxseal/xalloc.h"
#include "support/recording.h"

#define GOLDEN TEST_SOURCE_DIR "/tests/golden/postfix/"

static void
load(const char *name, struct reading *r)
{
	struct sections s;
	struct err e;
	char path[512];

	snprintf(path, sizeof(path), GOLDEN "%s.rec", name);
	recording_load(path, &s);
	assert_true(mailsys_postfix.is_here(&s));
	if (mailsys_postfix.read(&s, r, &e) != 0)
		fail_msg("%s: %s", name, e.text);
	assert_int_equal(s.n, 0);
}

static const struct vserver *
vserver(const struct reading *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->vservers.n; i++)
		if (strcmp(r->vservers.v[i].name, name) == 0)
			return &r->vservers.v[i];
	fail_msg("no virtual server %s", name);
	return NULL;
}

static const struct found_value *
found(const struct vserver *vs, const char *name)
{
	size_t i;

	for (i = 0; i < vs->found.n; i++)
		if (strcmp(vs->found.v[i].name, name) == 0)
			return &vs->found.v[i];
	fail_msg("%s has no %s", vs->name, name);
	return NULL;
}

static const struct { const char *recording, *vs, *setting, *value, *source, *native; } values[] = {
	{ "debian", "smtp", "inbound.tls", "off", "main.cf", "smtpd_tls_security_level = none" },
	{ "debian", "smtp", "inbound.protocol-min", "tls1.0", "default",
	  "smtpd_tls_protocols = >=TLSv1\nsmtpd_tls_mandatory_protocols = >=TLSv1" },
	{ "debian", "smtp", "inbound.ciphers", "medium", "default", NULL },
	{ "debian", "smtp", "inbound.auth-needs-tls", "no", "default", "smtpd_tls_auth_only = no" },
	{ "debian", "smtp", "inbound.client-cert", "none", "default", NULL },
	{ "debian", "smtp", "outbound.tls", "none", "main.cf", "smtp_tls_security_level = none" },
	{ "debian", "smtp", "outbound.smart-host", "none", "main.cf", "relayhost =" },
	{ "debian", "smtp", "outbound.helo-name", "mx1.lab.test", "default", "smtp_helo_name = $myhostname" },
	{ "debian", "smtp", "outbound.retry.first", "5m", "default", "minimal_backoff_time = 300s" },
	{ "debian", "smtp", "outbound.retry.max", "4000s", "default", "maximal_backoff_time = 4000s" },
	{ "debian", "smtp", "outbound.expire-after", "5d", "default", "maximal_queue_lifetime = 5d" },
	{ "debian", "smtp", "outbound.notify-after", "0s", "default", "delay_warning_time = 0h" },
	{ "debian", "smtp", "log.tls", "none", "default", "smtpd_tls_loglevel = 0\nsmtp_tls_loglevel = 0" },
	{ "ours", "smtp", "inbound.tls", "offer", "main.cf", "smtpd_tls_security_level = may" },
	{ "ours", "smtp", "inbound.protocol-min", "tls1.2", "main.cf", NULL },
	{ "ours", "smtp", "log.tls", "summary", "main.cf", "smtpd_tls_loglevel = 1\nsmtp_tls_loglevel = 1" },
	{ "services", "smtp", "outbound.smart-host", "[relay.lab.test]:587", "main.cf", NULL },
	{ "services", "smtp", "outbound.notify-after", "4h", "main.cf", "delay_warning_time = 4" },
	{ "services", "smtp", "inbound.auth-needs-tls", "yes", "main.cf", NULL },
	{ "services", "submission", "inbound.tls", "require", "master.cf", "smtpd_tls_security_level = encrypt" },
	{ "services", "submission", "log.tls", "none", "default", "smtpd_tls_loglevel = 0" },
	{ "services", "submission", "outbound.tls", "none", "main.cf", NULL },
	{ "services", "smtps", "inbound.tls", "require", "main.cf", "smtpd_tls_security_level = may\nsmtpd_tls_wrappermode = yes" },
	{ "services", "smtps", "inbound.protocol-min", "tls1.0", "master.cf",
	  "smtpd_tls_protocols = >=TLSv1\nsmtpd_tls_mandatory_protocols = !SSLv2,!SSLv3,!TLSv1,!TLSv1.1" },
	{ "services", "127.0.0.1:10025", "inbound.tls", "off", "master.cf", NULL },
	{ "broken", "smtp", "inbound.tls", "offer", "default", NULL },
	{ "broken", "smtp", "outbound.tls", "verify", "default", NULL },
	{ "broken", "10026", "inbound.protocol-min", "tls1.0", "master.cf", NULL },
	{ "broken", "10026", "inbound.tls", "require", "master.cf", NULL },
};

static void
settings_are_found_in_our_words(void **state)
{
	struct reading r = { .version = NULL };
	const char *loaded = "";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct found_value *f;

		if (strcmp(loaded, values[i].recording) != 0) {
			reading_release(&r);
			load(loaded = values[i].recording, &r);
		}
		f = found(vserver(&r, values[i].vs), values[i].setting);
		if (!text_eq(f->value, values[i].value) || !text_eq(f->source, values[i].source)
		    || (values[i].native && strcmp(f->native, values[i].native) != 0))
			fail_msg("%s/%s: %s is %s (%s) by %s", values[i].recording, values[i].vs, values[i].setting,
			    f->value ? f->value : "-", f->source, f->native);
	}
	reading_release(&r);
}

static const struct {
	const char *recording, *vs, *listen; int port; bool is_default, implicit; const char *cert, *trouble;
} servers[] = {
	{ "debian", "smtp", "0.0.0.0:25 [::]:25", 25, true, false, "/etc/ssl/certs/ssl-cert-snakeoil.pem", NULL },
	{ "ours", "smtp", "0.0.0.0:25 [::]:25", 25, true, false, "/etc/mxseal/1/chain-smtp.pem", NULL },
	{ "services", "smtp", "0.0.0.0:25 [::]:25", 25, true, false, "/etc/ssl/certs/ssl-cert-snakeoil.pem", NULL },
	{ "services", "submission", "0.0.0.0:587 [::]:587", 587, false, false, "/etc/ssl/certs/ssl-cert-snakeoil.pem", NULL },
	{ "services", "smtps", "0.0.0.0:465 [::]:465", 465, false, true, "/etc/ssl/certs/ssl-cert-snakeoil.pem", NULL },
	{ "services", "127.0.0.1:10025", "127.0.0.1:10025", 10025, false, false, "/etc/ssl/certs/ssl-cert-snakeoil.pem", NULL },
	{ "broken", "smtp", "127.0.0.1:25 [::1]:25", 25, true, false, "/etc/ssl/certs/ssl-cert-snakeoil.pem",
	  "the key in /etc/ssl/other.key does not fit the certificate" },
	{ "broken", "[::1]:2525", "[::1]:2525", 2525, false, false, "/etc/ssl/nothing.pem",
	  "there is no certificate in /etc/ssl/nothing.pem" },
	{ "broken", "10026", "127.0.0.1:10026 [::1]:10026", 10026, false, false, "/etc/ssl/certs/ssl-cert-snakeoil.pem", NULL },
};

static void
virtual_servers_are_found(void **state)
{
	struct reading r = { .version = NULL };
	const char *loaded = "";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		const struct vserver *vs;

		if (strcmp(loaded, servers[i].recording) != 0) {
			reading_release(&r);
			load(loaded = servers[i].recording, &r);
		}
		vs = vserver(&r, servers[i].vs);
		assert_string_equal(vs->listen, servers[i].listen);
		assert_int_equal(vs->port, servers[i].port);
		assert_int_equal(vs->is_default, servers[i].is_default);
		assert_int_equal(vs->implicit_tls, servers[i].implicit);
		assert_string_equal(vs->cert_file, servers[i].cert);
		if (!text_eq(vs->cert_trouble, servers[i].trouble))
			fail_msg("%s/%s: %s", servers[i].recording, vs->name, vs->cert_trouble);
		assert_true(vs->cert_pem != NULL || vs->cert_trouble != NULL);
		assert_true(vs->cert_pem == NULL || strstr(vs->cert_pem, "PRIVATE") == NULL);
		assert_true(vs->present);
	}
	reading_release(&r);
}

static void
the_host_itself(void **state)
{
	struct reading r, again;

	(void)state;
	load("debian", &r);
	assert_int_equal(r.vservers.n, 1);
	assert_string_equal(r.version, "3.7.11");
	assert_string_equal(r.config_dir, "/etc/postfix");
	assert_string_equal(r.host_name, "mx1.lab.test");
	assert_string_equal(r.domain, "lab.test");
	assert_string_equal(r.os, "Debian GNU/Linux 12 (bookworm)");
	assert_int_equal(r.queue_messages, 0);
	assert_int_equal(r.generation, 0);
	assert_int_equal(strlen(r.base), 64);
	assert_string_equal(r.our_files.s, "");
	load("debian", &again);
	assert_string_equal(r.base, again.base);
	reading_release(&again);
	load("ours", &again);
	assert_string_not_equal(r.base, again.base);
	assert_int_equal(again.generation, 1);
	assert_non_null(strstr(again.our_files.s, "/etc/mxseal/1/tls_policy\t"));
	assert_non_null(strstr(again.our_files.s, "/etc/mxseal/1/chain-smtp.pem\t"));
	reading_release(&again);
	reading_release(&r);
}

static void
what_is_broken_is_a_warning(void **state)
{
	struct reading r;

	(void)state;
	load("services", &r);
	assert_string_equal(r.warnings.s, "/etc/postfix/main.cf: unused parameter: smtp_tls_securty_level=may\n");
	reading_release(&r);
}

/* --- a host that answers something else --- */

static const struct { const char *section; int status; const char *text; enum err_code code; const char *says; } bad[] = {
	{ "version", 127, "sh: 1: postconf: not found\n", RC_NOMAIL, "no Postfix" },
	{ "version", 0, "", RC_NOMAIL, "no Postfix" },
	{ "version", 0, "\x1b[2Jhello\n", RC_NOMAIL, "<1B>[2Jhello" },
	{ "main.cf", 1, "cat: /etc/postfix/main.cf: No such file or directory\n", RC_PARSE, "main.cf could not be read" },
	{ "main.cf", 0, "smtpd_tls_security_level\n", RC_PARSE, "main.cf, line 1" },
	{ "master.cf", 0, "# x\nsmtp inet\n", RC_PARSE, "master.cf, line 2" },
	{ "master.cf", 1, "", RC_PARSE, "master.cf could not be read" },
};

static void
a_broken_answer_is_one_sentence(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sections s;
		struct reading r;
		struct err e;

		recording_load(GOLDEN "debian.rec", &s);
		recording_set(&s, bad[i].section, bad[i].status, bad[i].text);
		assert_int_equal(mailsys_postfix.read(&s, &r, &e), -1);
		assert_int_equal(e.code, bad[i].code);
		if (strstr(e.text, bad[i].says) == NULL)
			fail_msg("%s", e.text);
		assert_null(strchr(e.text, '\n'));
		assert_null(strchr(e.text, '\x1b'));
		reading_release(&r);
	}
}

/* Started, paused, stopped, added, only sending, and where another program sits; what ss of Debian 12 said. */
static void
how_listeners_run(void **state)
{
	static const char master[] = "smtp inet n - y - - smtpd\n"
	    "2525 inet n - y - - smtpd\n  -o smtpd_tls_security_level=may\n  -o smtpd_client_restrictions=defer\n  -o defer_code=421\n"
	    "  -o smtpd_delay_reject=no\n"
	    "# stopped by mxseal: submission inet n - y - - smtpd\n# note\n# stopped by mxseal:   -o smtpd_tls_security_level=encrypt\n"
	    "# Added by mxseal: virtual server side\n192.0.2.5:26 inet n - y - - smtpd\n"
	    "# Added by mxseal: virtual server side\nside-out unix - - y - - smtp\n  -o smtp_tls_security_level=none\n"
	    "# Added by mxseal: virtual server notls\nnotls-out unix - - y - - smtp\n"
	    "mine-out unix - - y - - smtp\n";
	static const char sockets[] =
	    "LISTEN 0      100    0.0.0.0:2525 0.0.0.0:* users:((\"smtpd\",pid=380,fd=6),(\"master\",pid=375,fd=13))\n"
	    "LISTEN 0      20           *:25         *:* users:((\"exim4\",pid=77,fd=4))                           \n";
	static const struct { const char *name, *run, *ours, *listen; } rows[] = {
		{ "smtp", "started", NULL, "0.0.0.0:25 [::]:25" }, { "2525", "paused", NULL, "0.0.0.0:2525 [::]:2525" },
		{ "submission", "stopped", NULL, "0.0.0.0:587 [::]:587" }, { "side", "started", "added", "192.0.2.5:26" },
		{ "notls", "started", "added", "" },
	};
	struct sections s;
	struct reading r;
	struct err e;
	size_t i;

	(void)state;
	recording_load(GOLDEN "debian.rec", &s);
	recording_set(&s, "master.cf", 0, master);
	recording_set(&s, "sockets", 0, sockets);
	assert_int_equal(mailsys_postfix.read(&s, &r, &e), 0);
	assert_string_equal(r.master_cf.s, master);
	assert_int_equal(r.vservers.n, sizeof(rows) / sizeof(rows[0]));
	for (i = 0; i < r.vservers.n; i++) {
		const struct vserver *vs = &r.vservers.v[i];

		assert_string_equal(vs->name, rows[i].name);
		assert_string_equal(vs->run, rows[i].run);
		assert_string_equal(vs->listen, rows[i].listen);
		assert_true(text_eq(vs->ours, rows[i].ours));
	}
	assert_string_equal(r.vservers.v[0].served_trouble, "*:25 is held by the program exim4, not by Postfix");
	assert_null(r.vservers.v[1].served_trouble);
	reading_release(&r);
}

/* Whose client a service is: of the default virtual server only the host's own, of another one only what was added for it. */
static void
clients_are_not_guessed(void **state)
{
	static const char master[] = "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\nside inet n - y - - smtpd\n"
	    "smtp unix - - y - - smtp\n  -o smtp_helo_name=host.test\nsmtp-out unix - - y - - smtp\n  -o smtp_helo_name=out.test\n"
	    "submission-out unix - - y - - smtp\n  -o smtp_helo_name=sub.test\n"
	    "# Added by mxseal: virtual server side\nside-out unix - - y - - smtp\n  -o smtp_helo_name=side.test\n";
	struct sections s;
	struct reading r;
	struct err e;

	(void)state;
	recording_load(GOLDEN "debian.rec", &s);
	recording_set(&s, "master.cf", 0, master);
	recording_set(&s, "main.cf", 0, "myhostname = mx1.lab.test\n");
	assert_int_equal(mailsys_postfix.read(&s, &r, &e), 0);
	assert_string_equal(found(vserver(&r, "smtp"), "outbound.helo-name")->value, "host.test");
	assert_string_equal(found(vserver(&r, "submission"), "outbound.helo-name")->value, "host.test");
	assert_string_equal(found(vserver(&r, "side"), "outbound.helo-name")->value, "side.test");
	reading_release(&r);
}

/* What the log calls each of them (postconf(5), syslog_name): by itself, by main.cf, by formulas, behind postscreen(8); or not known. */
static void
names_in_the_log(void **state)
{
	static const char master[] = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n  -o syslog_name=front\n"
	    "2525 inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n  -o syslog_name=postfix/$service_name\n"
	    "smtps inet n - y - - smtpd\n  -o syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/smtps\n"
	    "26 inet n - y - - smtpd\n  -o syslog_name=$myhostname/$nothing\n"
	    "27 inet n - y - - smtpd\n  -o syslog_name=${config_directory?{a}:{b}}\n28 inet n - y - - smtpd\n  -o { syslog_name = a b }\n"
	    "29 inet n - y - 1 postscreen\n  -o smtpd_service_name=gone\n";
	static const struct { const char *name, *plain, *renamed; } rows[] = {
		{ "smtp", "front/smtpd", "front/smtpd" }, { "2525", "postfix/smtpd", "mail-in/smtpd" },
		{ "submission", "postfix/submission/smtpd", "postfix/submission/smtpd" }, { "smtps", "postfix/smtps/smtpd", "postfix/smtps/smtpd" },
		{ "26", "mx1.lab.test//smtpd", "mx1.lab.test//smtpd" }, { "27", NULL, NULL }, { "28", NULL, NULL }, { "29", NULL, NULL },
	};
	struct sections s;
	struct reading r;
	struct err e;
	size_t i, renamed;

	(void)state;
	for (renamed = 0; renamed < 2; renamed++) {
		recording_load(GOLDEN "debian.rec", &s);
		recording_set(&s, "master.cf", 0, master);
		recording_set(&s, "main.cf", 0, renamed ? "myhostname = mx1.lab.test\nsyslog_name = mail-in\n" : "myhostname = mx1.lab.test\n");
		if (mailsys_postfix.read(&s, &r, &e) != 0)
			fail_msg("%s", e.text);
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			const char *want = renamed ? rows[i].renamed : rows[i].plain, *got = vserver(&r, rows[i].name)->log_service;

			if (!text_eq(got, want))
				fail_msg("%s: %s, not %s", rows[i].name, got ? got : "NULL", want ? want : "NULL");
		}
		reading_release(&r);
	}
}

static void
put_file(const char *dir, const char *name, mode_t mode, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
	free(path);
}

/* What a command says here, with dir in front of the path. */
static void
run(const struct command *c, const char *dir, struct str *out)
{
	struct str path = STR_INIT, errors = STR_INIT;
	char *old = xstrdup(getenv("PATH"));
	int status;

	str_addf(&path, "%s:%s", dir, old);
	setenv("PATH", path.s, 1);
	assert_int_equal(child_run((const char *const *)c->argv, out, &errors, &status, 10000, -1, NULL), 0);
	setenv("PATH", old, 1);
	free(old);
	str_release(&path);
	str_release(&errors);
}

/* Compiled, a table of certificates by name holds private keys: they do not leave the host, and no rule has them even so. */
static void
keys_behind_names_stay(void **state)
{
	static const char secret[] = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg==", odd[] = "MIIEvQIBADANBgkqhkiG9w0BAQ";
	char dir[] = "/tmp/mxseal-sni-XXXXXX", *conf, *postmap;
	static const char *const files[] = { "postmap", "sni.db", "text" };
	struct command_list more = { NULL, 0 };
	struct sections s;
	struct reading r;
	struct str said = STR_INIT;
	size_t i;

	(void)state;
	assert_non_null(mkdtemp(dir));
	postmap = xasprintf("#!/bin/sh\nprintf 'mail.one.test\\t%s\\n.two.test\\t%s\\n'\n", secret, secret);
	put_file(dir, files[0], 0755, postmap);
	put_file(dir, files[1], 0600, secret);
	put_file(dir, files[2], 0600, "# names\nthree.test /etc/three.pem\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n");
	conf = xasprintf("tls_server_sni_maps = hash:%s/sni, texthash:%s/text\n", dir, dir);
	recording_load(GOLDEN "debian.rec", &s);
	recording_set(&s, "main.cf", 0, conf);
	assert_int_equal(mailsys_postfix.more(&s, &more, NULL), 0);
	for (i = 0; i < more.n; i++)
		if (strncmp(more.v[i].name, "map", 3) == 0) {
			struct str one = STR_INIT;

			run(&more.v[i], dir, &one);
			str_add(&said, one.s);
			recording_set(&s, more.v[i].name, 0, one.s);
			str_release(&one);
		}
	assert_string_equal(said.s, "mail.one.test\n.two.test\nthree.test\n");
	for (i = 0; i < more.n; i++)             /* and a host that says more than it is asked for */
		if (strncmp(more.v[i].name, "map", 3) == 0) {
			str_reset(&said);
			str_addf(&said, "mail.one.test %s\n.two.test %s\n", secret, odd);
			recording_set(&s, more.v[i].name, 0, said.s);
		}
	assert_int_equal(mailsys_postfix.read(&s, &r, NULL), 0);
	assert_int_equal(r.rules.n, 4);
	for (i = 0; i < r.rules.n; i++) {
		assert_string_equal(r.rules.v[i].key, i % 2 ? ".two.test" : "mail.one.test");
		assert_string_equal(r.rules.v[i].value, "");
	}
	reading_release(&r);
	command_list_release(&more);
	for (i = 0; i < 3; i++) {
		char *path = xasprintf("%s/%s", dir, files[i]);

		unlink(path);
		free(path);
	}
	rmdir(dir);
	free(conf);
	free(postmap);
	str_release(&said);
}

/* What was changed by hand in a file of ours is told with what it holds now, also beside a listener that is stopped. */
static void
what_it_holds_now(void **state)
{
	static const char *const maps = "transport_maps = texthash:/etc/mxseal/1/transport\n"
	    "sender_dependent_default_transport_maps = regexp:/etc/mxseal/1/senders\n";
	static const struct own_text own[] = { { "/etc/mxseal/1/transport", "a.test smtp:\n" },
		{ "/etc/mxseal/1/senders", "/^/ smtp:[r.test]\n" } };
	struct command_list more = { NULL, 0 };
	struct touched_list touched = { NULL, 0 };
	struct sections s;
	struct reading r;
	struct str ours = STR_INIT;
	size_t i;

	(void)state;
	recording_load(GOLDEN "debian.rec", &s);
	recording_set(&s, "main.cf", 0, maps);
	recording_set(&s, "master.cf", 0, "smtp inet n - y - - smtpd\n# stopped by mxseal: submission inet n - y - - smtpd\n"
	    "# stopped by mxseal:   -o smtpd_tls_cert_file=/c.pem\nsmtp unix - - y - - smtp\n");
	for (i = 0; i < 2; i++)
		str_addf(&ours, "%064d  %s\n", 0, own[i].path);
	recording_set(&s, "ours", 0, ours.s);
	assert_int_equal(mailsys_postfix.more(&s, &more, NULL), 0);
	for (i = 0; i < more.n; i++)
		recording_set(&s, more.v[i].name, 0, strncmp(more.v[i].name, "map.", 4) == 0 ? "by hand\n" : "");
	assert_int_equal(mailsys_postfix.read(&s, &r, NULL), 0);
	mailsys_postfix.touched(&r, own, 2, &touched);
	assert_int_equal(touched.n, 2);
	for (i = 0; i < 2; i++)
		if (strstr(touched.v[i].diff, "+by hand") == NULL)
			fail_msg("%s", touched.v[i].diff);
	touched_list_release(&touched);
	command_list_release(&more);
	reading_release(&r);
	str_release(&ours);
}

/* Sections that are missing, empty, cut short or noise: read without harm, or refused with a sentence. */
static void
every_section_may_be_garbage(void **state)
{
	static const char *const recordings[] = { "debian", "ours", "services", "broken" };
	static const char noise[] = "\xff\xfe = \x01\n{{{ $a $(b ${c key /\n-----BEGIN CERTIFICATE-----\n%%%%\n-----END PUBLIC KEY-----\n";
	size_t i, k, way;

	(void)state;
	for (k = 0; k < 4; k++) {
		struct sections all;
		char path[512];
		size_t n;

		snprintf(path, sizeof(path), GOLDEN "%s.rec", recordings[k]);
		recording_load(path, &all);
		n = all.n;
		sections_release(&all);
		for (i = 0; i < n; i++)
			for (way = 0; way < 5; way++) {
				struct reading r = { .version = NULL };
				struct err e = { .code = RC_OK };
				struct sections s;

				recording_load(path, &s);
				if (way == 0)
					str_reset(&s.v[i].text);
				else if (way == 1)
					str_cut(&s.v[i].text, s.v[i].text.len / 2);
				else if (way == 2)
					s.v[i].status = 1;
				else if (way == 3)
					recording_set(&s, s.v[i].name, 0, noise);
				else {
					free(s.v[i].name);
					s.v[i].name = strdup("gone");
				}
				if (mailsys_postfix.read(&s, &r, &e) != 0) {
					assert_true(e.code == RC_PARSE || e.code == RC_NOMAIL);
					assert_true(strlen(e.text) > 10);
				}
				reading_release(&r);
			}
	}
}

/* References in circles and in heaps end. */
static void
references_end(void **state)
{
	struct sections s;
	struct reading r;
	struct str text = STR_INIT;
	int i;

	(void)state;
	str_add(&text, "myhostname = $a\na = $b$b\nb = ${a}$(a)\nsmtpd_tls_security_level = ${x?{may}:{none}}\nrelayhost = $");
	for (i = 0; i < 5000; i++)
		str_add(&text, "$myhostname");
	recording_load(GOLDEN "debian.rec", &s);
	recording_set(&s, "main.cf", 0, text.s);
	assert_int_equal(mailsys_postfix.read(&s, &r, NULL), 0);
	assert_null(found(vserver(&r, "smtp"), "inbound.tls")->value);
	reading_release(&r);
	str_release(&text);
}

/* --- what Postfix gets for a value --- */

static const struct { const char *setting, *value; bool is_default; const char *lines; } natives[] = {
	{ "inbound.tls", "require", true, "smtpd_tls_security_level = encrypt" },
	{ "inbound.tls", "off", false, "-o smtpd_tls_security_level=none" },
	{ "inbound.protocol-min", "tls1.2", true, "smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2" },
	{ "inbound.client-cert", "require", true, "smtpd_tls_ask_ccert = yes\nsmtpd_tls_req_ccert = yes" },
	{ "outbound.tls", "dane", true, "smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec" },
	{ "outbound.tls", "dane", false, "-o smtp_tls_security_level=dane" },
	{ "inbound.name", "mx.example.com", true, "-o myhostname=mx.example.com" },
	{ "inbound.connections", "40", true, "master.cf: maxproc 40 of the service that listens" },
	{ "outbound.connections", "40", false, "master.cf: maxproc 40 of the service that sends" },
	{ "inbound.message-size", "10M", true, "message_size_limit = 10485760" },
	{ "inbound.message-size", "10M", false, "-o message_size_limit=10485760" },
	{ "inbound.relay.networks", "127.0.0.0/8 ::1", true, "mynetworks = 127.0.0.0/8 [::1]" },
	{ "inbound.relay.authenticated", "no", true, "smtpd_relay_restrictions: without permit_sasl_authenticated" },
	{ "inbound.clients.only", "10.0.0.1", true, "smtpd_client_restrictions: in front check_client_access cidr: with this list" },
	{ "notices.copy-to", "a@b.test", true, "bounce_notice_recipient = a@b.test\nnotify_classes = resource, software, bounce" },
	{ "notices.copy-to", "none", true, "notify_classes: without bounce" },
	{ "inbound.unknown-recipients", "[x.test]", true, "fallback_transport = smtp:[x.test]\nlocal_recipient_maps =" },
	{ "outbound.retry.first", "1m", true, "minimal_backoff_time = 1m" },
	{ "outbound.retry.first", "1m", false, "" },
	{ "outbound.timeout", "1m", true, "smtp_helo_timeout = 1m\nsmtp_mail_timeout = 1m\nsmtp_rcpt_timeout = 1m" },
	{ "outbound.connections-per-domain", "3", true, "smtp_destination_concurrency_limit = 3" },
	{ "outbound.messages-per-connection", "2", true, "smtp_connection_reuse_count_limit = 1\nsmtp_connection_cache_on_demand = yes" },
	{ "outbound.dns-servers", "10.0.0.1", true, "" },
	{ "outbound.smart-host", "none", true, "relayhost =" },
	{ "outbound.notify-after", "4h", true, "delay_warning_time = 4h" },
	{ "log.tls", "summary", true, "smtpd_tls_loglevel = 1\nsmtp_tls_loglevel = 1" },
	{ "log.tls", "summary", false, "-o smtpd_tls_loglevel=1" },
};

static void
native_lines_of_a_value(void **state)
{
	const struct setting *row;
	const struct choice *c;
	struct str out = STR_INIT;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(natives) / sizeof(natives[0]); i++) {
		str_reset(&out);
		assert_int_equal(mailsys_postfix.native(natives[i].setting, natives[i].value, natives[i].is_default, &out, &e), 0);
		assert_string_equal(out.s, natives[i].lines);
	}
	assert_int_equal(mailsys_postfix.native("inbound.tls", "maybe", true, &out, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	/* every row of the table of settings has its place in Postfix, or a sentence why not */
	for (row = setting_table; row->name; row++) {
		if (mailsys_postfix.declines(row->name, true)) {
			assert_true(text_starts(mailsys_postfix.declines(row->name, true), "not on Postfix: "));
			assert_non_null(mailsys_postfix.declines(row->name, false));
			continue;
		}
		for (c = row->choices; c && c->name; c++) {
			str_reset(&out);
			assert_int_equal(mailsys_postfix.native(row->name, c->name, true, &out, &e), 0);
			assert_true(out.len > 0);
		}
	}
	str_release(&out);
}

/* Modes as stat(1) tells them, and what is no mode at all: sentences without control characters, or none. */
static void
who_else_can_read(void **state)
{
	static const struct { const char *mode, *says; } rows[] = {
		{ "600 root:root\n", NULL }, { "640 root:ssl-cert\n", NULL }, { "600 postfix:postfix\n", NULL },
		{ "644 root:root\n", "can be read by everybody (mode 644): chmod o-rwx" },
		{ "666 root:root\n", "can be changed by everybody (mode 666): chmod o-w" },
		{ "660 root:mail\n", "can be changed by the group mail (mode 660): chmod g-w" },
		{ "600 anna:root\n", "belongs to anna, who can exchange it: chown root" },
		{ "600 a\033[2J:root\n", "belongs to a<1B>[2J" },
		{ "", NULL }, { "root\n", NULL }, { "999 root:root\n", NULL }, { "600\n", NULL }, { "77777777777777777777 root:root", NULL },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sections s;
		struct reading r;
		struct err e;
		bool found = false;

		recording_load(GOLDEN "debian.rec", &s);
		for (k = 0; k < s.n; k++)
			if (strncmp(s.v[k].name, "mode.", 5) == 0) {
				found = true;
				str_reset(&s.v[k].text);
				str_add(&s.v[k].text, rows[i].mode);
				s.v[k].status = 0;
			}
		assert_true(found);
		assert_int_equal(mailsys_postfix.read(&s, &r, &e), 0);
		if (rows[i].says == NULL ? r.file_troubles.len > 0 : strstr(r.file_troubles.s, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].mode, r.file_troubles.s);
		assert_null(strchr(r.file_troubles.s, '\033'));
		reading_release(&r);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_else_can_read), cmocka_unit_test(settings_are_found_in_our_words), cmocka_unit_test(virtual_servers_are_found),
		cmocka_unit_test(the_host_itself), cmocka_unit_test(what_is_broken_is_a_warning),
		cmocka_unit_test(a_broken_answer_is_one_sentence), cmocka_unit_test(how_listeners_run), cmocka_unit_test(names_in_the_log), cmocka_unit_test(clients_are_not_guessed),
		cmocka_unit_test(keys_behind_names_stay), cmocka_unit_test(what_it_holds_now), cmocka_unit_test(every_section_may_be_garbage),
		cmocka_unit_test(references_end), cmocka_unit_test(native_lines_of_a_value),
	};

	if (argc == 4 && strcmp(argv[1], "--record") == 0) {
		struct sections s;
		struct err e;
		int rc = recording_make(&mailsys_postfix, argv[2], &s, &e);

		if (rc == 0)
			recording_save(argv[3], &s);
		else
			fprintf(stderr, "%s\n", e.text);
		sections_release(&s);
		return rc == 0 ? 0 : 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
