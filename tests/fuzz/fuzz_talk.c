/* Answers of a host to a question: a broken or hostile one must come out as an error or as sections, nothing else. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../core/host/private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host h = { .name = (char *)(uintptr_t)"mx1", .timeout_ms = 1000 };
	struct sections sections = { .n = 0 };
	struct str text = STR_INIT;
	struct talk *t;
	struct err e;
	int fd[2], rc;

	if (size > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return 0;
	if (write(fd[1], data, size) != (ssize_t)size)
		abort();
	shutdown(fd[1], SHUT_WR);
	t = talk_new(&h, stream_from_fds(fd[0], fd[0]));
	talk_verb(t, "read");
	talk_arg(t, "x");
	rc = size > 0 && data[0] & 1 ? talk_sections(t, &sections, 1000, &e) : talk_ask(t, &text, 1000, &e);
	if (rc < -1 || rc > 255)
		abort();
	talk_close(t);
	close(fd[1]);
	sections_release(&sections);
	str_release(&text);
	return 0;
}
