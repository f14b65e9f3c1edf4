/* SPDX-License-Identifier: BSD-3-Clause */
/* See control_server.h. */
#include "control_server.h"
#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct control_server {
	int listener, stop_fd;
	uint32_t manager; /* its user */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const struct control_method *methods;
	void *arg;
	pthread_t thread;
	int clients[CONTROL_MAX_CLIENTS];
	unsigned n_clients;
	bool retired; /* the thread's, then the one's that joined it */
	char packet[CONTROL_MAX_PACKET + 1];
};

json_t *control_fail(struct control_error *error, const char *code, const char *fmt, ...)
{
	va_list ap;

	error->code = code;
	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return NULL;
}

static json_t *call(struct control_server *s, const json_t *request, const int *fds, unsigned n_fds,
    struct control_error *error)
{
	const json_t *params = json_object_get(request, "params");
	const char *method = json_string_value(json_object_get(request, "method"));

	if (!json_is_object(request))
		return control_fail(error, "bad_request", "A request is one JSON object.");
	if (!json_is_integer(json_object_get(request, "id")))
		return control_fail(error, "bad_request", "A request has an id, a number.");
	if (!method)
		return control_fail(error, "bad_request", "A request has a method, a string.");
	if (params && !json_is_object(params))
		return control_fail(error, "bad_request", "The params of a request are an object.");
	for (const struct control_method *m = s->methods; m->name; m++) {
		if (strcmp(m->name, method) == 0)
			return m->call(s->arg, params, fds, n_fds, error);
	}
	return control_fail(error, "unknown_method", "There is no method \"%.64s\".", method);
}

static void answer(struct control_server *s, int fd, const json_t *request, json_t *result,
    const struct control_error *error)
{
	json_t *id = request ? json_object_get(request, "id") : NULL;
	json_t *reply = json_object();
	size_t len;

	json_object_set_new(reply, "id", json_is_integer(id) ? json_incref(id) : json_null());
	if (result)
		json_object_set_new(reply, "result", result);
	else
		json_object_set_new(reply, "error",
		    json_pack("{s:s,s:s}", "code", error->code, "message", error->message));
	len = json_dumpb(reply, s->packet, CONTROL_MAX_PACKET, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(reply);
	/* an asker that does not read loses its answer, not our thread */
	if (len == 0 || len > CONTROL_MAX_PACKET ||
	    send(fd, s->packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

/* One packet. False: the connection is done. */
static bool serve(struct control_server *s, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * CONTROL_MAX_FDS)];
	} control;
	struct iovec iov = { s->packet, CONTROL_MAX_PACKET };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct control_error error = { "bad_request", "" };
	int fds[CONTROL_MAX_FDS];
	unsigned n_fds = 0;
	json_t *request = NULL, *result = NULL;
	json_error_t why;
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t bytes;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = c->cmsg_len - CMSG_LEN(0);
		memcpy(fds + n_fds, CMSG_DATA(c), bytes);
		n_fds += (unsigned)(bytes / sizeof(int));
	}
	if (msg.msg_flags & MSG_TRUNC) {
		control_fail(
		    &error, "too_big", "A packet has at most %u bytes.", CONTROL_MAX_PACKET);
	} else if (msg.msg_flags & MSG_CTRUNC) {
		control_fail(
		    &error, "bad_fd", "A packet carries at most %u descriptors.", CONTROL_MAX_FDS);
	} else {
		request = json_loadb(s->packet, (size_t)n, JSON_REJECT_DUPLICATES, &why);
		if (!request)
			control_fail(&error, "bad_request", "Not JSON: %s.", why.text);
		else
			result = call(s, request, fds, n_fds, &error);
	}
	answer(s, fd, request, result, &error);
	json_decref(request);
	for (unsigned i = 0; i < n_fds; i++)
		close(fds[i]);
	return true;
}

static void welcome(struct control_server *s)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (s->n_clients == CONTROL_MAX_CLIENTS ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
	    (peer.uid != 0 && peer.uid != geteuid() && peer.uid != s->manager)) {
		close(fd);
		return;
	}
	s->clients[s->n_clients++] = fd;
}

static void *run(void *arg)
{
	struct control_server *s = arg;

	for (;;) {
		struct pollfd fds[CONTROL_MAX_CLIENTS + 2] = {
			{ .fd = s->stop_fd, .events = POLLIN },
			{ .fd = s->listener, .events = POLLIN },
		};
		unsigned n = s->n_clients;

		for (unsigned i = 0; i < n; i++)
			fds[2 + i] = (struct pollfd){ .fd = s->clients[i], .events = POLLIN };
		if (poll(fds, 2 + n, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		for (unsigned i = n; i-- > 0;) {
			if (fds[2 + i].revents && !serve(s, s->clients[i])) {
				close(s->clients[i]);
				s->clients[i] = s->clients[--s->n_clients];
			}
		}
		if (s->retired)
			break;
		if (fds[1].revents)
			welcome(s);
	}
	for (unsigned i = 0; s->retired && i < s->n_clients; i++)
		close(s->clients[i]);
	if (s->retired) {
		s->n_clients = 0;
		close(s->listener);
		s->listener = -1;
	}
	return NULL;
}

uint32_t control_server_manager(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
	struct stat st;
	uint32_t uid = folder && stat(folder, &st) == 0 ? st.st_uid : geteuid();

	free(folder);
	return uid;
}

int control_server_new(const char *path, const struct control_method *methods, void *arg,
    struct control_server **ret_server, char **ret_error)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct control_server *s = calloc(1, sizeof(*s));
	int probe, rc;

	if (!s)
		return -ENOMEM;
	s->listener = s->stop_fd = -1;
	s->methods = methods;
	s->arg = arg;
	s->manager = control_server_manager(path);
	if (strlen(path) >= sizeof(addr.sun_path)) {
		free(s);
		return fail(ret_error, ENAMETOOLONG,
		    "the control socket's path %s is longer than %zu bytes: choose a shorter --run",
		    path, sizeof(addr.sun_path) - 1);
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	snprintf(s->path, sizeof(s->path), "%s", path);

	/* a socket that answers is another appliance's; one that does not was left behind */
	probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (probe >= 0 && connect(probe, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		close(probe);
		free(s);
		return fail(ret_error, EADDRINUSE,
		    "another postern-dataplane runs with the control socket %s: end it, or give "
		    "this "
		    "one its own --run directory",
		    path);
	}
	if (probe >= 0)
		close(probe);
	unlink(path);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->listener < 0 || s->stop_fd < 0 ||
	    bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    chmod(path, 0600) != 0 ||
	    (s->manager != geteuid() && chown(path, s->manager, (gid_t)-1) != 0) ||
	    listen(s->listener, CONTROL_MAX_CLIENTS) != 0) {
		rc = fail(ret_error, errno, "the control socket %s cannot be made: %s", path,
		    strerror(errno));
		goto undo;
	}
	rc = pthread_create(&s->thread, NULL, run, s);
	if (rc) {
		rc = fail(ret_error, rc, "no thread for the control socket: %s", strerror(rc));
		goto undo;
	}
	*ret_server = s;
	return 0;
undo:
	if (s->listener >= 0)
		close(s->listener);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	free(s);
	return rc;
}

void control_server_retire(struct control_server *s)
{
	s->retired = true;
}

struct control_server *control_server_free(struct control_server *s)
{
	const uint64_t one = 1;

	if (!s)
		return NULL;
	if (write(s->stop_fd, &one, sizeof(one)) < 0)
		abort(); /* an eventfd of ours that takes no number is a bug */
	pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->n_clients; i++)
		close(s->clients[i]);
	close(s->stop_fd);
	if (!s->retired) {
		close(s->listener);
		unlink(s->path);
	}
	free(s);
	return NULL;
}
