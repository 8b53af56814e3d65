/* core/base/stream.c: lines, deadlines, connecting to something that listens, refuses, or says nothing, and giving up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/stream.h"
#include "mxseal/when.h"

/* A listener on loopback; port is told. */
static int
listener(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void
lines_come_whole(void **state)
{
	static const char text[] = "220 mx1 ready\r\n\nlast without end";
	struct str line = STR_INIT;
	struct stream_end end;
	struct stream *s;
	struct err e;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(write(fd[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fd[1]);
	s = stream_from_fds(fd[0], fd[0]);
	assert_int_equal(stream_line(s, &line, 100, 1000, &e), 1);
	assert_string_equal(line.s, "220 mx1 ready");
	assert_int_equal(stream_line(s, &line, 100, 1000, &e), 1);
	assert_string_equal(line.s, "");
	assert_int_equal(stream_line(s, &line, 100, 1000, &e), 1);
	assert_string_equal(line.s, "last without end");
	assert_int_equal(stream_line(s, &line, 100, 1000, &e), 0);
	stream_close(s, &end);
	assert_true(end.closed);
	str_release(&line);
}

static void
long_lines_and_silence_are_errors(void **state)
{
	struct str line = STR_INIT;
	struct stream *s;
	struct err e;
	int fd[2];
	int64_t t;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(write(fd[1], "0123456789\n", 11), 11);
	s = stream_from_fds(fd[0], fd[0]);
	assert_int_equal(stream_line(s, &line, 9, 1000, &e), -1);
	assert_int_equal(e.code, RC_LIMIT);
	assert_int_equal(stream_line(s, &line, 10, 1000, &e), 1);
	t = when_monotonic_ms();
	assert_int_equal(stream_line(s, &line, 10, 60, &e), -1);
	assert_int_equal(e.code, RC_TIMEOUT);
	assert_in_range(when_monotonic_ms() - t, 55, 5000);
	stream_close(s, NULL);
	close(fd[1]);
	str_release(&line);
}

static void
connects_and_writes(void **state)
{
	int port, l = listener(&port), there;
	char peer[64], mem[64];
	struct stream *s;
	struct err e;

	(void)state;
	assert_int_equal(stream_connect(&s, "127.0.0.1", port, 2000, peer, -1, &e), 0);
	assert_string_equal(peer, "127.0.0.1");
	there = accept(l, NULL, NULL);
	assert_int_equal(stream_write(s, "EHLO x\r\n", 8, 1000, &e), 0);
	assert_int_equal(stream_shut(s, &e), 0);
	assert_int_equal(read(there, mem, sizeof(mem)), 8);
	assert_int_equal(read(there, mem, sizeof(mem)), 0);
	close(there);
	assert_int_equal(stream_read(s, mem, sizeof(mem), 1000, &e), 0);
	stream_close(s, NULL);
	close(l);
	assert_int_equal(stream_connect(&s, "127.0.0.1", port, 2000, peer, -1, &e), -1);
	assert_int_equal(e.code, RC_NET);
	assert_non_null(strstr(e.text, "refused"));
	assert_int_equal(stream_connect(&s, "no-such-name.invalid", 25, 2000, peer, -1, &e), -1);
	assert_int_equal(e.code, RC_NET);
	assert_int_equal(stream_connect(&s, "127.0.0.1", 70000, 2000, peer, -1, &e), -1);
	assert_int_equal(e.code, RC_USAGE);
}

static void
a_write_that_nobody_reads_ends(void **state)
{
	static char big[1 << 20];
	struct stream *s;
	struct err e;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	s = stream_from_fds(fd[0], fd[0]);
	assert_int_equal(stream_write(s, big, sizeof(big), 80, &e), -1);
	assert_int_equal(e.code, RC_TIMEOUT);
	close(fd[1]);
	assert_int_equal(stream_write(s, big, sizeof(big), 80, &e), -1);   /* no SIGPIPE */
	assert_int_equal(e.code, RC_NET);
	stream_close(s, NULL);
}

static void
gives_up_on_request(void **state)
{
	int port, l = listener(&port), wake[2];
	struct stream *s;
	char c;
	struct err e;

	(void)state;
	assert_int_equal(pipe(wake), 0);
	assert_int_equal(stream_connect(&s, "127.0.0.1", port, 2000, NULL, wake[0], &e), 0);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_int_equal(stream_read(s, &c, 1, 10000, &e), -1);
	assert_int_equal(e.code, RC_CANCELLED);
	stream_close(s, NULL);
	close(wake[0]);
	close(wake[1]);
	close(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_whole),
		cmocka_unit_test(long_lines_and_silence_are_errors),
		cmocka_unit_test(connects_and_writes),
		cmocka_unit_test(a_write_that_nobody_reads_ends),
		cmocka_unit_test(gives_up_on_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
