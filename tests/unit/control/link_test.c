/* SPDX-License-Identifier: BSD-3-Clause */
/* The framing alone, against a SOCK_SEQPACKET listener of this test; time moved by hand. */
#include "link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct rig {
	char folder[64], path[96];
	int listener, peer, epoll_fd;
	uint64_t now_ms;
	struct link link;
	unsigned up, down, answers;
	uint64_t tag;
	char code[64], text[512];
};

static void on_state(void *arg, bool connected)
{
	struct rig *rig = arg;
	if (connected)
		rig->up++;
	else
		rig->down++;
}

static void on_answer(void *arg, uint64_t tag, const struct link_answer *answer)
{
	struct rig *rig = arg;
	rig->answers++;
	rig->tag = tag;
	snprintf(rig->code, sizeof(rig->code), "%s", answer->result != NULL ? "ok" : answer->code);
	char *text = answer->result == NULL ? NULL : json_dumps(answer->result, JSON_COMPACT);
	snprintf(rig->text, sizeof(rig->text), "%s", text == NULL ? answer->message : text);
	free(text);
}

static void listen_at(struct rig *rig)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	memcpy(addr.sun_path, rig->path, strlen(rig->path) + 1);
	unlink(rig->path);
	rig->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(rig->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(rig->listener, 4), 0);
}

static int make(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/postern-link-XXXXXX");
	if (mkdtemp(rig->folder) == NULL)
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/dataplane.sock", rig->folder);
	rig->listener = rig->peer = -1;
	rig->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rig->now_ms = 5000;
	*state = rig;
	return link_init(&rig->link, rig->path, rig->epoll_fd, 7, on_state, rig);
}

static int drop(void **state)
{
	struct rig *rig = *state;
	link_fini(&rig->link);
	close(rig->epoll_fd);
	if (rig->listener >= 0)
		close(rig->listener);
	if (rig->peer >= 0)
		close(rig->peer);
	unlink(rig->path);
	rmdir(rig->folder);
	free(rig);
	return 0;
}

static void connect_up(struct rig *rig)
{
	listen_at(rig);
	link_turn(&rig->link, rig->now_ms);
	rig->peer = accept(rig->listener, NULL, NULL);
	assert_true(rig->peer >= 0);
	assert_int_equal(rig->up, 1);
}

static void events(struct rig *rig)
{
	struct epoll_event event;
	while (epoll_wait(rig->epoll_fd, &event, 1, 0) == 1) {
		assert_int_equal(event.data.u64, 7);
		link_event(&rig->link, rig->now_ms);
	}
}

static int ask(struct rig *rig, uint64_t tag)
{
	return link_ask(&rig->link, "status", NULL, NULL, 0, 5000, rig->now_ms, on_answer, tag);
}

static void say(struct rig *rig, const char *text)
{
	assert_int_equal(send(rig->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	events(rig);
}

static void it_tries_again_until_somebody_listens(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(link_turn(&rig->link, rig->now_ms), rig->now_ms + LINK_RETRY_MS);
	assert_int_equal(ask(rig, 1), -ENOTCONN);
	listen_at(rig);
	rig->now_ms += LINK_RETRY_MS - 1;
	link_turn(&rig->link, rig->now_ms);
	assert_int_equal(rig->up, 0);
	rig->now_ms++;
	assert_true(link_turn(&rig->link, rig->now_ms) == UINT64_MAX);
	assert_int_equal(rig->up, 1);
}

static void answers_find_their_questions_in_any_order(void **state)
{
	struct rig *rig = *state;
	char packet[512];
	connect_up(rig);
	assert_int_equal(ask(rig, 41), 0);
	assert_int_equal(ask(rig, 42), 0);
	ssize_t n = recv(rig->peer, packet, sizeof(packet), 0);
	assert_string_equal(
	    (packet[n] = '\0', packet), "{\"id\":1,\"method\":\"status\"}"); /* one packet each */
	say(rig, "{\"id\":2,\"result\":{\"epoch\":3}}");
	assert_int_equal(rig->tag, 42);
	assert_string_equal(rig->text, "{\"epoch\":3}");
	say(rig, "{\"id\":2,\"result\":{}}"); /* twice: nobody waits */
	say(rig, "{\"id\":99,\"result\":{}}");
	say(rig, "not JSON");
	say(rig, "{}");
	assert_int_equal(rig->answers, 1);
	say(rig, "{\"id\":1,\"error\":{\"code\":\"busy\",\"message\":\"Later.\"}}");
	assert_int_equal(rig->tag, 41);
	assert_string_equal(rig->code, "busy");
	assert_string_equal(rig->text, "Later.");
	assert_int_equal(ask(rig, 43), 0);
	say(rig, "{\"id\":3}");
	assert_string_equal(rig->code, "bad_answer");
}

static void descriptors_travel_with_their_packet(void **state)
{
	struct rig *rig = *state;
	char packet[512], content[8] = "", room[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = { packet, sizeof(packet) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};
	connect_up(rig);
	int fds[2] = { memfd_create("a", 0), memfd_create("b", 0) };
	assert_int_equal(write(fds[1], "second", 6), 6);
	assert_int_equal(link_ask(&rig->link, "policy.load", json_pack("{s:i}", "epoch", 1), fds, 2,
			     100, rig->now_ms, on_answer, 1),
	    0);
	close(fds[0]);
	close(fds[1]);
	ssize_t n = recvmsg(rig->peer, &msg, 0);
	packet[n] = '\0';
	assert_string_equal(
	    packet, "{\"id\":1,\"method\":\"policy.load\",\"params\":{\"epoch\":1}}");
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	assert_non_null(cmsg);
	assert_int_equal(cmsg->cmsg_len, CMSG_LEN(2 * sizeof(int)));
	memcpy(fds, CMSG_DATA(cmsg), sizeof(fds));
	assert_int_equal(pread(fds[1], content, 6, 0), 6);
	assert_string_equal(content, "second");
	close(fds[0]);
	close(fds[1]);
}

static void the_other_end_may_go_and_come_back(void **state)
{
	struct rig *rig = *state;
	connect_up(rig);
	assert_int_equal(ask(rig, 1), 0);
	assert_int_equal(ask(rig, 2), 0);
	close(rig->peer);
	rig->peer = -1;
	events(rig);
	assert_int_equal(rig->down, 1);
	assert_int_equal(rig->answers, 2);
	assert_string_equal(rig->code, "unreachable");
	assert_int_equal(ask(rig, 3), -ENOTCONN);
	rig->now_ms += LINK_RETRY_MS;
	link_turn(&rig->link, rig->now_ms);
	assert_int_equal(rig->up, 2);
	assert_int_equal(ask(rig, 4), 0);
}

static void a_question_does_not_wait_for_ever(void **state)
{
	struct rig *rig = *state;
	connect_up(rig);
	assert_int_equal(ask(rig, 5), 0);
	assert_int_equal(link_turn(&rig->link, rig->now_ms + 4999), rig->now_ms + 5000);
	assert_int_equal(rig->answers, 0);
	link_turn(&rig->link, rig->now_ms + 5000);
	assert_string_equal(rig->code, "timeout");
	say(rig, "{\"id\":1,\"result\":{}}"); /* too late */
	assert_int_equal(rig->answers, 1);
}

static void bounds_have_a_behaviour(void **state)
{
	struct rig *rig = *state;
	char *big = malloc(LINK_PACKET_MAX + 1);
	int fds[LINK_MAX_FDS + 1] = { 0 };
	connect_up(rig);
	memset(big, 'x', LINK_PACKET_MAX);
	big[LINK_PACKET_MAX] = '\0';
	assert_int_equal(link_ask(&rig->link, "a", json_pack("{s:s}", "x", big), NULL, 0, 1,
			     rig->now_ms, on_answer, 1),
	    -EMSGSIZE);
	assert_int_equal(
	    link_ask(&rig->link, "a", NULL, fds, LINK_MAX_FDS + 1, 1, rig->now_ms, on_answer, 1),
	    -EMSGSIZE);
	for (int i = 0; i < LINK_MAX_PENDING; i++) {
		assert_int_equal(ask(rig, 1), 0);
		assert_true(recv(rig->peer, big, LINK_PACKET_MAX, 0) > 0);
	}
	assert_int_equal(ask(rig, 1), -EBUSY);
	/* an answer beyond the packet's bound ends the connection, and with it all questions */
	memset(big, ' ', LINK_PACKET_MAX);
	struct iovec iov[2] = { { big, LINK_PACKET_MAX }, { big, 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	assert_int_equal(sendmsg(rig->peer, &msg, 0), LINK_PACKET_MAX + 1);
	events(rig);
	assert_int_equal(rig->down, 1);
	assert_int_equal(rig->answers, LINK_MAX_PENDING);
	free(big);
	struct link other;
	char path[200];
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(link_init(&other, path, rig->epoll_fd, 1, on_state, rig), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_tries_again_until_somebody_listens, make, drop),
		cmocka_unit_test_setup_teardown(
		    answers_find_their_questions_in_any_order, make, drop),
		cmocka_unit_test_setup_teardown(descriptors_travel_with_their_packet, make, drop),
		cmocka_unit_test_setup_teardown(the_other_end_may_go_and_come_back, make, drop),
		cmocka_unit_test_setup_teardown(a_question_does_not_wait_for_ever, make, drop),
		cmocka_unit_test_setup_teardown(bounds_have_a_behaviour, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
