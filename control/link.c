/* SPDX-License-Identifier: BSD-3-Clause */
/* The manager's end of dataplane.sock (link.h). */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int link_init(struct link *l, const char *path, int epoll_fd, uint64_t epoll_data,
    link_state *state, void *arg)
{
	if (strlen(path) >= sizeof(l->path))
		return -ENAMETOOLONG;
	*l = (struct link){ .fd = -1,
		.epoll_fd = epoll_fd,
		.epoll_data = epoll_data,
		.next_id = 1,
		.state = state,
		.arg = arg };
	memcpy(l->path, path, strlen(path) + 1);
	l->packet = malloc(LINK_PACKET_MAX + 1);
	return l->packet == NULL ? -ENOMEM : 0;
}

void link_fini(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->packet);
	*l = (struct link){ .fd = -1 };
}

static void settle(struct link *l, struct link_pending *p, const struct link_answer *answer)
{
	struct link_pending was = *p;
	p->id = 0; /* first: `done` may ask again */
	was.done(l->arg, was.tag, answer);
}

static void link_lost(struct link *l, uint64_t now_ms)
{
	static const struct link_answer lost = { .code = "unreachable",
		.message = "The dataplane went away before it answered." };
	close(l->fd);
	l->fd = -1;
	l->next_try_ms = now_ms + LINK_RETRY_MS;
	for (unsigned i = 0; i < LINK_MAX_PENDING; i++)
		if (l->pending[i].id != 0)
			settle(l, &l->pending[i], &lost);
	l->state(l->arg, false);
}

void link_drop(struct link *l, uint64_t now_ms)
{
	if (l->fd >= 0)
		link_lost(l, now_ms);
}

static void link_connect(struct link *l, uint64_t now_ms)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = l->epoll_data };
	memcpy(addr.sun_path, l->path, sizeof(l->path));
	l->next_try_ms = now_ms + LINK_RETRY_MS;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		close(fd);
		return;
	}
	l->fd = fd;
	l->state(l->arg, true);
}

static int link_send(struct link *l, const char *packet, size_t len, const int *fds, unsigned n_fds)
{
	union {
		char bytes[CMSG_SPACE(LINK_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)packet, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (n_fds != 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	ssize_t n;
	do {
		n = sendmsg(l->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == EAGAIN || errno == ENOBUFS ? -EBUSY : -ENOTCONN;
}

int link_ask(struct link *l, const char *method, json_t *params, const int *fds, unsigned n_fds,
    unsigned timeout_ms, uint64_t now_ms, link_done *done, uint64_t tag)
{
	struct link_pending *p = NULL;
	char *packet = NULL;
	int ret = -ENOTCONN;
	json_t *request = json_pack("{s:I, s:s}", "id", (json_int_t)l->next_id, "method", method);
	if (request == NULL) {
		json_decref(params);
		return -ENOMEM;
	}
	if (params != NULL)
		json_object_set_new(request, "params", params);
	if (l->fd < 0)
		goto out;
	ret = -EBUSY;
	for (unsigned i = 0; i < LINK_MAX_PENDING && p == NULL; i++)
		if (l->pending[i].id == 0)
			p = &l->pending[i];
	if (p == NULL)
		goto out;
	ret = -ENOMEM;
	packet = json_dumps(request, JSON_COMPACT);
	if (packet == NULL)
		goto out;
	ret = -EMSGSIZE;
	if (strlen(packet) > LINK_PACKET_MAX || n_fds > LINK_MAX_FDS)
		goto out;
	ret = link_send(l, packet, strlen(packet), fds, n_fds);
	if (ret == 0)
		*p = (struct link_pending){ l->next_id++, now_ms + timeout_ms, tag, done };
out:
	free(packet);
	json_decref(request);
	return ret;
}

static void link_answered(struct link *l, const char *packet, size_t len)
{
	json_t *root = json_loadb(packet, len, JSON_REJECT_DUPLICATES, NULL);
	json_int_t id = json_integer_value(json_object_get(root, "id"));
	json_t *error = json_object_get(root, "error");
	struct link_answer answer = { .result = json_object_get(root, "result") };
	if (!json_is_object(answer.result)) {
		answer.result = NULL;
		answer.code = json_string_value(json_object_get(error, "code"));
		answer.message = json_string_value(json_object_get(error, "message"));
		if (answer.code == NULL)
			answer.code = "bad_answer";
		if (answer.message == NULL)
			answer.message = "The dataplane's answer has neither result nor error.";
	}
	/* an answer to nothing we wait for (overdue, or not ours) is dropped */
	for (unsigned i = 0; i < LINK_MAX_PENDING && id > 0; i++)
		if (l->pending[i].id == (uint64_t)id) {
			settle(l, &l->pending[i], &answer);
			break;
		}
	json_decref(root);
}

void link_event(struct link *l, uint64_t now_ms)
{
	if (l->fd < 0)
		return;
	/* no room for control data: descriptors an answer may carry are closed by the kernel */
	struct iovec iov = { .iov_base = l->packet, .iov_len = LINK_PACKET_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(l->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (msg.msg_flags & MSG_TRUNC))
		link_lost(l, now_ms);
	else
		link_answered(l, l->packet, (size_t)n);
}

uint64_t link_turn(struct link *l, uint64_t now_ms)
{
	static const struct link_answer overdue = { .code = "timeout",
		.message = "The dataplane did not answer in time." };
	uint64_t next = UINT64_MAX;
	if (l->fd < 0 && l->next_try_ms <= now_ms)
		link_connect(l, now_ms);
	for (unsigned i = 0; i < LINK_MAX_PENDING; i++) {
		struct link_pending *p = &l->pending[i];
		if (p->id != 0 && p->deadline_ms <= now_ms)
			settle(l, p, &overdue);
		if (p->id != 0 && p->deadline_ms < next)
			next = p->deadline_ms;
	}
	if (l->fd < 0 && l->next_try_ms < next)
		next = l->next_try_ms;
	return next;
}
