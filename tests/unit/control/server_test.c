/* SPDX-License-Identifier: BSD-3-Clause */
/* Real sockets, time moved by hand. The handler echoes; "hold" is answered later, "big" by much. */
#include "server.h"
#include "rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TAG = 1000, BIG = 100000 };

struct rig {
	char folder[64], path[96];
	int epoll_fd;
	struct roles roles;
	struct server *server;
	uint64_t now_ms;
	unsigned lines;
	server_client held;
	size_t last_len;
};

static char *echo_of(const char *line, size_t len)
{
	char *answer = NULL;
	return asprintf(&answer, "<%.*s>\n", (int)len, line) < 0 ? NULL : answer;
}

static bool on_line(
    void *arg, server_client client, enum role role, uint32_t uid, const char *line, size_t len)
{
	struct rig *rig = arg;
	assert_int_equal(role, ROLE_ADMIN);
	assert_int_equal(uid, geteuid());
	rig->lines++;
	rig->last_len = len;
	if (len == 4 && memcmp(line, "hold", 4) == 0) {
		rig->held = client;
		return true;
	}
	if (len == 4 && memcmp(line, "mute", 4) == 0)
		return false;
	if (len == 3 && memcmp(line, "big", 3) == 0) {
		char *big = malloc(BIG + 2);
		memset(big, 'x', BIG);
		memcpy(big + BIG, "\n", 2);
		server_send(rig->server, client, big, rig->now_ms);
		return true;
	}
	server_send(rig->server, client, echo_of(line, len), rig->now_ms);
	return true;
}

static int make(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/postern-server-XXXXXX");
	if (mkdtemp(rig->folder) == NULL)
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/control.sock", rig->folder);
	rig->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rig->now_ms = 1000;
	roles_init(&rig->roles, geteuid());
	*state = rig;
	return server_new(
	    rig->path, rig->epoll_fd, TAG, &rig->roles, on_line, NULL, rig, &rig->server);
}

static int drop(void **state)
{
	struct rig *rig = *state;
	server_free(rig->server);
	close(rig->epoll_fd);
	rmdir(rig->folder);
	free(rig);
	return 0;
}

/* Until nothing is left to do. */
static void turn(struct rig *rig)
{
	struct epoll_event events[16];
	int n, turns = 0;
	while ((n = epoll_wait(rig->epoll_fd, events, 16, 0)) > 0) {
		assert_true(++turns < 100000); /* never busy without end */
		for (int i = 0; i < n; i++)
			server_event(
			    rig->server, events[i].data.u64 - TAG, events[i].events, rig->now_ms);
	}
}

static int dial(struct rig *rig)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	memcpy(addr.sun_path, rig->path, strlen(rig->path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	turn(rig);
	return fd;
}

static void say(struct rig *rig, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn(rig);
}

/* What has come, as text; "" for nothing, "EOF" behind it when the other end has closed. */
static const char *hear(int fd)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n;
	while ((n = recv(fd, text + len, sizeof(text) - len - 8, 0)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (n == 0 || errno == ECONNRESET)
		memcpy(text + len, "EOF", 4);
	return text;
}

static void lines_are_answered_in_order(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	say(rig, fd, "one\ntwo\n\nthr");
	assert_string_equal(hear(fd), "<one>\n<two>\n<>\n");
	say(rig, fd, "ee\n");
	assert_string_equal(hear(fd), "<three>\n");
	close(fd);
	turn(rig);
	assert_int_equal(server_clients(rig->server), 0);
}

static void a_client_that_stops_sending_still_gets_its_answers(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	send(fd, "one\nhold\ntwo\nhalf", 17, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	turn(rig);
	assert_string_equal(hear(fd), "<one>\n<two>\n");
	server_send(rig->server, rig->held, strdup("late\n"), rig->now_ms);
	turn(rig);
	assert_string_equal(hear(fd), "late\nEOF");
	assert_int_equal(server_clients(rig->server), 0);
	close(fd);
}

static void an_answer_for_one_who_left_goes_nowhere(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	say(rig, fd, "hold\n");
	close(fd);
	turn(rig);
	assert_int_equal(server_clients(rig->server), 0);
	int other = dial(rig); /* takes the same slot */
	server_send(rig->server, rig->held, strdup("secret\n"), rig->now_ms);
	turn(rig);
	assert_string_equal(hear(other), "");
	close(other);
}

static void the_longest_line_is_read_and_a_longer_one_refused(void **state)
{
	struct rig *rig = *state;
	char *line = malloc(RPC_LINE_MAX + 1);
	memset(line, 'x', RPC_LINE_MAX);
	memcpy(line + RPC_LINE_MAX - 5, "\nmute\n", 6); /* the last LF is left out below */
	int fd = dial(rig);
	int sent = 0;
	for (int left = RPC_LINE_MAX - 4, n; left > 0; left -= n, sent += n) {
		n = (int)send(fd, line + sent, (size_t)left, MSG_NOSIGNAL);
		assert_true(n > 0);
		turn(rig);
	}
	assert_int_equal(rig->lines, 1);
	assert_int_equal(rig->last_len, RPC_LINE_MAX - 5);
	while (*hear(fd) != '\0')
		turn(rig);
	memset(line, 'x', RPC_LINE_MAX);
	sent = 0;
	for (int left = RPC_LINE_MAX, n; left > 0; left -= n, sent += n) {
		n = (int)send(fd, line + sent, (size_t)left, MSG_NOSIGNAL);
		assert_true(n > 0);
		turn(rig);
	}
	assert_string_equal(hear(fd),
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32006,\"message\":"
	    "\"A line of more than 65,536 bytes.\"}}\nEOF");
	assert_int_equal(rig->lines, 1);
	assert_int_equal(server_clients(rig->server), 0);
	close(fd);
	free(line);
}

static void a_line_that_does_not_end_is_cut(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	assert_true(server_deadlines(rig->server, rig->now_ms) == UINT64_MAX);
	say(rig, fd, "a");
	rig->now_ms += SERVER_STUCK_MS - 1;
	say(rig, fd, "b"); /* a byte now and then does not buy time */
	assert_int_equal(server_deadlines(rig->server, rig->now_ms), rig->now_ms + 1);
	assert_string_equal(hear(fd), "");
	rig->now_ms++;
	assert_true(server_deadlines(rig->server, rig->now_ms) == UINT64_MAX);
	assert_string_equal(hear(fd), "EOF");
	close(fd);
}

static void a_reader_that_takes_nothing_is_paused_then_cut(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	char request[4001] = "";
	for (int i = 0; i < 1000; i++)
		memcpy(request + i * 4, "big\n", 4);
	say(rig, fd, request);
	/* no more than the pause and what the socket itself holds */
	unsigned paused = rig->lines;
	assert_in_range(paused, 3, 20);
	rig->now_ms += SERVER_STUCK_MS - 1;
	server_deadlines(rig->server, rig->now_ms);
	assert_int_equal(server_clients(rig->server), 1);
	/* it reads again: the lines held back are served, all of them */
	static char sink[65536];
	size_t got = 0;
	ssize_t n;
	while ((n = recv(fd, sink, sizeof(sink), 0)) > 0) {
		got += (size_t)n;
		turn(rig);
	}
	assert_int_equal(rig->lines, 1000);
	assert_int_equal(got, 1000 * (BIG + 1));
	say(rig, fd, request);
	rig->now_ms += SERVER_STUCK_MS;
	server_deadlines(rig->server, rig->now_ms);
	assert_int_equal(server_clients(rig->server), 0);
	close(fd);
}

static void clients_are_bounded(void **state)
{
	struct rig *rig = *state;
	int fds[SERVER_MAX_CLIENTS + 1];
	for (int i = 0; i <= SERVER_MAX_CLIENTS; i++)
		fds[i] = dial(rig);
	assert_int_equal(server_clients(rig->server), SERVER_MAX_CLIENTS);
	assert_string_equal(hear(fds[SERVER_MAX_CLIENTS]),
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32005,\"message\":\"Too many "
	    "clients.\"}}\nEOF");
	say(rig, fds[SERVER_MAX_CLIENTS - 1], "still here\n");
	assert_string_equal(hear(fds[SERVER_MAX_CLIENTS - 1]), "<still here>\n");
	close(fds[0]);
	turn(rig);
	int again = dial(rig);
	say(rig, again, "room\n");
	assert_string_equal(hear(again), "<room>\n");
	close(again);
	for (int i = 1; i <= SERVER_MAX_CLIENTS; i++)
		close(fds[i]);
	turn(rig);
	assert_int_equal(server_clients(rig->server), 0);
}

static void a_stranger_is_turned_away(void **state)
{
	struct rig *rig = *state;
	if (geteuid() != 0)
		skip(); /* to be another takes root */
	rig->roles.own_uid = 0;
	assert_int_equal(seteuid(65534), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	memcpy(addr.sun_path, rig->path, strlen(rig->path) + 1);
	int connected = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	int error = errno;
	assert_int_equal(seteuid(0), 0);
	/* the folder is private to us here: the stranger may not even get this far */
	if (connected != 0) {
		assert_int_equal(error, EACCES);
	} else {
		turn(rig);
		assert_non_null(strstr(hear(fd), "You have no role here"));
	}
	assert_int_equal(server_clients(rig->server), 0);
	close(fd);
}

static void garbage_does_no_harm(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 12345;
	for (int round = 0; round < 50; round++) {
		char bytes[3000];
		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			bytes[i] = (char)(seed >> 56);
		}
		int fd = dial(rig);
		send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
		turn(rig);
		close(fd);
		turn(rig);
	}
	assert_int_equal(server_clients(rig->server), 0);
	assert_true(rig->lines > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_are_answered_in_order, make, drop),
		cmocka_unit_test_setup_teardown(
		    a_client_that_stops_sending_still_gets_its_answers, make, drop),
		cmocka_unit_test_setup_teardown(an_answer_for_one_who_left_goes_nowhere, make, drop),
		cmocka_unit_test_setup_teardown(
		    the_longest_line_is_read_and_a_longer_one_refused, make, drop),
		cmocka_unit_test_setup_teardown(a_line_that_does_not_end_is_cut, make, drop),
		cmocka_unit_test_setup_teardown(
		    a_reader_that_takes_nothing_is_paused_then_cut, make, drop),
		cmocka_unit_test_setup_teardown(clients_are_bounded, make, drop),
		cmocka_unit_test_setup_teardown(a_stranger_is_turned_away, make, drop),
		cmocka_unit_test_setup_teardown(garbage_does_no_harm, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
