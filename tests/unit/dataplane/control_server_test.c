/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket as an asker sees it. */
#include "control_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/control_server_test.XXXXXX";
static char path[64];
static struct control_server *server;
static unsigned last_fds;

static json_t *echo(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	char c = 0;

	(void)arg;
	last_fds = n_fds;
	if (n_fds && read(fds[n_fds - 1], &c, 1) < 0)
		return control_fail(error, "bad_fd", "Cannot read.");
	return json_pack("{s:O,s:i}", "params", params ? params : json_null(), "byte", c);
}

static json_t *refuse(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	(void)arg, (void)params, (void)fds, (void)n_fds;
	return control_fail(error, "bad_params", "No %s.", "thanks");
}

static const struct control_method methods[] = { { "echo", echo }, { "refuse", refuse },
	{ NULL, NULL } };

static int setup(void **state)
{
	char *error = NULL;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	return control_server_new(path, methods, NULL, &server, &error);
}

static int teardown(void **state)
{
	(void)state;
	server = control_server_free(server);
	return access(path, F_OK) == 0 ? -1 : rmdir(dir);
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static char answer[65536];

static const char *ask(int fd, const char *text, size_t len)
{
	ssize_t n;

	assert_int_equal(send(fd, text, len, 0), (ssize_t)len);
	n = recv(fd, answer, sizeof(answer) - 1, 0);
	assert_true(n > 0);
	answer[n] = '\0';
	return answer;
}

static void requests_are_answered(void **state)
{
	int fd = dial();
	const char text[] = "{\"id\":7,\"method\":\"echo\",\"params\":{\"a\":1}}";

	(void)state;
	assert_string_equal(
	    ask(fd, text, strlen(text)), "{\"id\":7,\"result\":{\"params\":{\"a\":1},\"byte\":0}}");
	assert_string_equal(ask(fd, "{\"id\":8,\"method\":\"refuse\"}", 26),
	    "{\"id\":8,\"error\":{\"code\":\"bad_params\",\"message\":\"No thanks.\"}}");
	close(fd);
}

static void bad_requests_have_their_codes(void **state)
{
	static const char *const cases[][2] = {
		{ "[]", "bad_request" },
		{ "nonsense", "bad_request" },
		{ "{\"method\":\"echo\"}", "bad_request" },
		{ "{\"id\":\"x\",\"method\":\"echo\"}", "bad_request" },
		{ "{\"id\":1}", "bad_request" },
		{ "{\"id\":1,\"method\":\"echo\",\"params\":[]}", "bad_request" },
		{ "{\"id\":1,\"method\":\"nope\"}", "unknown_method" },
	};
	int fd = dial();
	char *big = calloc(1, 70000);

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_non_null(strstr(ask(fd, cases[i][0], strlen(cases[i][0])), cases[i][1]));
	memset(big, ' ', 70000);
	assert_non_null(strstr(ask(fd, big, CONTROL_MAX_PACKET + 1), "\"too_big\""));
	assert_non_null(strstr(answer, "\"id\":null"));
	/* and one of exactly the limit is read */
	memcpy(big, "{\"id\":1,\"method\":\"echo\"}", 24);
	assert_non_null(strstr(ask(fd, big, CONTROL_MAX_PACKET), "result"));
	free(big);
	close(fd);
}

static void descriptors_travel_and_are_closed(void **state)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char text[] = "{\"id\":1,\"method\":\"echo\"}";
	struct iovec iov = { text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd = dial(), pipes[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "A", 1), 1);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pipes[0], sizeof(int));
	assert_true(sendmsg(fd, &msg, 0) > 0);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	assert_non_null(strstr(answer, "\"byte\":65"));
	assert_int_equal(last_fds, 1);
	/* once ours is closed no reader is left: the server kept none */
	ask(fd, text, strlen(text));
	close(pipes[0]);
	assert_int_equal(send(pipes[1], "B", 1, MSG_NOSIGNAL), -1);
	(void)byte;
	close(pipes[1]);
	close(fd);
}

static void no_more_than_eight(void **state)
{
	int fds[CONTROL_MAX_CLIENTS], one_more;
	const char text[] = "{\"id\":1,\"method\":\"echo\"}";

	(void)state;
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		fds[i] = dial();
		ask(fds[i], text, strlen(text));
	}
	one_more = dial();
	assert_int_equal(recv(one_more, answer, sizeof(answer), 0), 0);
	close(one_more);
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS; i++)
		close(fds[i]);
	/* places come free again; the server may need a moment to see it */
	for (unsigned i = 0; i < 1000; i++) {
		one_more = dial();
		if (send(one_more, text, strlen(text), MSG_NOSIGNAL) > 0 &&
		    recv(one_more, answer, sizeof(answer), 0) > 0) {
			close(one_more);
			return;
		}
		close(one_more);
	}
	fail_msg("no place came free");
}

static void a_second_server_is_told_of_the_first(void **state)
{
	struct control_server *second = NULL;
	char *error = NULL;

	(void)state;
	assert_int_equal(control_server_new(path, methods, NULL, &second, &error), -EADDRINUSE);
	assert_non_null(strstr(error, "another postern-dataplane"));
	assert_null(second);
	free(error);
}

/* The folder belongs to the manager's user, who has no root; another one stays out. */
static void the_folders_owner_may_ask(void **state)
{
	static const char ping[] = "{\"id\":1,\"method\":\"echo\"}";
	char folder[] = "/tmp/control_server_user.XXXXXX", socket_path[64], first[64];
	struct control_server *own = NULL;
	char *error = NULL;

	(void)state;
	if (geteuid() != 0)
		skip(); /* to be another takes root */
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(chown(folder, 65534, (gid_t)-1), 0);
	snprintf(socket_path, sizeof(socket_path), "%s/sock", folder);
	assert_int_equal(control_server_manager(socket_path), 65534);
	assert_int_equal(control_server_new(socket_path, methods, NULL, &own, &error), 0);
	memcpy(first, path, sizeof(first));
	memcpy(path, socket_path, sizeof(path));
	assert_int_equal(seteuid(65534), 0);
	int fd = dial();
	const char *got = ask(fd, ping, sizeof(ping) - 1);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(got, "\"result\""));
	close(fd);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	memcpy(addr.sun_path, path, sizeof(path));
	assert_int_equal(seteuid(65533), 0);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int rc = connect(fd, (struct sockaddr *)&addr, sizeof(addr)), why = errno;
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(why, EACCES);
	close(fd);
	memcpy(path, first, sizeof(path));
	control_server_free(own);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_answered),
		cmocka_unit_test(bad_requests_have_their_codes),
		cmocka_unit_test(descriptors_travel_and_are_closed),
		cmocka_unit_test(no_more_than_eight),
		cmocka_unit_test(the_folders_owner_may_ask),
		cmocka_unit_test(a_second_server_is_told_of_the_first),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
