/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket's clients (server.h). */
#include "server.h"
#include "rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
	int fd; /* -1: free */
	uint32_t generation;
	uint32_t uid;
	enum role role;
	uint32_t events; /* asked of epoll */
	bool eof;        /* it sends no more; what it asked is still answered */
	bool streams;    /* it reads what it did not ask for */
	bool closing;    /* closed once its answers are out */
	unsigned owed;   /* answers still to come */
	size_t in_len, out_len, out_at, out_cap;
	uint64_t line_since_ms; /* of an unfinished line; 0: none */
	uint64_t out_since_ms;  /* of the last answer taken; 0: none waits */
	char *in, *out;
};

struct server {
	int fd, epoll_fd;
	uint64_t tag;
	const struct roles *roles;
	server_line *line;
	server_gone *gone;
	void *arg;
	char *path;
	unsigned n;
	char *lines; /* in-buffers of all clients */
	struct client clients[SERVER_MAX_CLIENTS];
};

static server_client ref_of(const struct server *s, const struct client *c)
{
	return (uint64_t)c->generation << 32 | (uint64_t)(c - s->clients);
}

static void client_close(struct server *s, struct client *c)
{
	if (c->fd < 0)
		return;
	server_client ref = ref_of(s, c);
	close(c->fd);
	free(c->out);
	*c = (struct client){ .fd = -1, .generation = c->generation + 1, .in = c->in };
	s->n--;
	if (s->gone != NULL)
		s->gone(s->arg, ref);
}

static void client_watch(struct server *s, struct client *c)
{
	uint32_t events = 0;
	if (!c->eof && !c->closing && c->out_len < SERVER_OUT_PAUSE && c->in_len < RPC_LINE_MAX)
		events |= EPOLLIN;
	if (c->out_len != 0)
		events |= EPOLLOUT;
	if (events == c->events)
		return;
	struct epoll_event event = { .events = events,
		.data.u64 = s->tag + (uint64_t)(c - s->clients) };
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) == 0)
		c->events = events;
}

/* False: the client is gone. */
static bool client_flush(struct server *s, struct client *c, uint64_t now_ms)
{
	while (c->out_len != 0) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			client_close(s, c);
			return false;
		}
		c->out_at += (size_t)n;
		c->out_len -= (size_t)n;
		c->out_since_ms = now_ms;
	}
	c->out_at = 0;
	c->out_since_ms = 0;
	/* a line still held will be answered first (within client_lines() all of them still are) */
	bool lines = c->in_len != 0 && memchr(c->in, '\n', c->in_len) != NULL;
	if (c->closing || (c->eof && c->owed == 0 && !lines && !c->streams)) {
		client_close(s, c);
		return false;
	}
	return true;
}

static bool client_queue(struct server *s, struct client *c, char *line, uint64_t now_ms)
{
	size_t len = line == NULL ? 0 : strlen(line);
	if (len == 0 || c->out_len + len > SERVER_OUT_MAX)
		goto cut;
	if (c->out_at + c->out_len + len > c->out_cap) {
		if (c->out_len != 0)
			memmove(c->out, c->out + c->out_at, c->out_len);
		c->out_at = 0;
		if (c->out_len + len > c->out_cap) {
			size_t cap = 2 * (c->out_len + len);
			char *out = realloc(c->out, cap);
			if (out == NULL)
				goto cut;
			c->out = out;
			c->out_cap = cap;
		}
	}
	memcpy(c->out + c->out_at + c->out_len, line, len);
	if (c->out_len == 0)
		c->out_since_ms = now_ms;
	c->out_len += len;
	free(line);
	return true;
cut:
	free(line);
	client_close(s, c);
	return false;
}

/* Hands on the whole lines held, until the unread answers are too many. False: client gone. */
static bool client_lines(struct server *s, struct client *c, uint64_t now_ms)
{
	size_t used = 0;
	uint32_t generation = c->generation;
	bool partial = false;
	while (used < c->in_len && c->out_len < SERVER_OUT_PAUSE && !c->closing) {
		char *lf = memchr(c->in + used, '\n', c->in_len - used);
		if (lf == NULL) {
			partial = true;
			break;
		}
		size_t len = (size_t)(lf - (c->in + used));
		server_client ref = ref_of(s, c);
		c->owed++;
		if (!s->line(s->arg, ref, c->role, c->uid, c->in + used, len) &&
		    c->generation == generation)
			c->owed--;
		if (c->generation != generation)
			return false;
		used += len + 1;
	}
	c->in_len -= used;
	memmove(c->in, c->in + used, c->in_len);
	if (!partial)
		c->line_since_ms = 0;
	else if (c->line_since_ms == 0 || used != 0)
		c->line_since_ms = now_ms;
	if (partial && c->in_len == RPC_LINE_MAX) {
		c->closing = true;
		return client_queue(s, c,
		    rpc_failure(NULL, RPC_LINE_TOO_LONG, "A line of more than 65,536 bytes.", NULL),
		    now_ms);
	}
	return true;
}

/* Lines, answers, and again while both make way. */
static void client_turn(struct server *s, struct client *c, uint64_t now_ms)
{
	size_t before;
	do {
		before = c->in_len;
		if (!client_lines(s, c, now_ms) || !client_flush(s, c, now_ms))
			return;
	} while (c->in_len != before && c->in_len != 0);
	client_watch(s, c);
}

static void client_read(struct server *s, struct client *c, uint64_t now_ms)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, RPC_LINE_MAX - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_close(s, c);
		return;
	}
	if (n == 0)
		c->eof = true;
	c->in_len += (size_t)n;
	client_turn(s, c, now_ms);
}

static void turn_away(int fd, int code, const char *why)
{
	char *line = rpc_failure(NULL, code, why, NULL);
	if (line != NULL && send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0; /* it goes anyway */
	free(line);
	close(fd);
}

static void server_accept(struct server *s)
{
	uint32_t uid = 0;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	enum role role = roles_of_peer(s->roles, fd, &uid);
	unsigned room = SERVER_MAX_CLIENTS - (role == ROLE_ADMIN ? 0 : SERVER_ADMIN_RESERVE);
	if (role == ROLE_NONE) {
		turn_away(fd, RPC_FORBIDDEN,
		    "You have no role here; an admin of the manager grants one.");
		return;
	}
	if (s->n >= room) {
		turn_away(fd, RPC_BUSY, "Too many clients.");
		return;
	}
	unsigned slot = 0;
	while (s->clients[slot].fd >= 0)
		slot++;
	struct client *c = &s->clients[slot];
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = s->tag + slot };
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		turn_away(fd, RPC_BUSY, "Cannot be watched.");
		return;
	}
	c->fd = fd;
	c->role = role;
	c->uid = uid;
	c->events = EPOLLIN;
	s->n++;
}

void server_event(struct server *s, uint64_t slot, uint32_t events, uint64_t now_ms)
{
	if (slot == SERVER_MAX_CLIENTS) {
		server_accept(s);
		return;
	}
	struct client *c = &s->clients[slot];
	if (slot > SERVER_MAX_CLIENTS || c->fd < 0)
		return;
	if (events & EPOLLERR) {
		client_close(s, c);
		return;
	}
	if (events & EPOLLOUT) {
		if (!client_flush(s, c, now_ms))
			return;
		uint32_t generation = c->generation;
		client_turn(s, c, now_ms); /* lines may have waited for it */
		if (c->generation != generation)
			return;
	}
	if (events & EPOLLIN)
		client_read(s, c, now_ms);
	else if ((events & EPOLLHUP) && !(events & EPOLLOUT))
		client_close(s, c);
}

static struct client *client_of(struct server *s, server_client client)
{
	uint64_t slot = client & 0xffffffff;
	struct client *c = slot < SERVER_MAX_CLIENTS ? &s->clients[slot] : NULL;
	return c == NULL || c->fd < 0 || c->generation != client >> 32 ? NULL : c;
}

void server_send(struct server *s, server_client client, char *line, uint64_t now_ms)
{
	struct client *c = client_of(s, client);
	if (c == NULL) {
		free(line);
		return;
	}
	if (c->owed != 0)
		c->owed--;
	if (client_queue(s, c, line, now_ms) && client_flush(s, c, now_ms))
		client_watch(s, c);
}

bool server_notify(struct server *s, server_client client, char *line, uint64_t now_ms)
{
	struct client *c = client_of(s, client);
	if (c == NULL) {
		free(line);
		return false;
	}
	c->streams = true;
	if (!client_queue(s, c, line, now_ms) || !client_flush(s, c, now_ms))
		return false;
	client_watch(s, c);
	return true;
}

size_t server_unread(const struct server *s, server_client client)
{
	const struct client *c = client_of((struct server *)(uintptr_t)s, client);
	return c == NULL ? 0 : c->out_len;
}

uint64_t server_deadlines(struct server *s, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = 0; i < SERVER_MAX_CLIENTS; i++) {
		struct client *c = &s->clients[i];
		if (c->fd < 0)
			continue;
		uint64_t since = c->line_since_ms;
		if (c->out_since_ms != 0 && !c->streams && (since == 0 || c->out_since_ms < since))
			since = c->out_since_ms;
		if (since == 0)
			continue;
		if (since + SERVER_STUCK_MS <= now_ms)
			client_close(s, c);
		else if (since + SERVER_STUCK_MS < next)
			next = since + SERVER_STUCK_MS;
	}
	return next;
}

unsigned server_clients(const struct server *s)
{
	return s->n;
}

int server_new(const char *path, int epoll_fd, uint64_t tag, const struct roles *roles,
    server_line *line, server_gone *gone, void *arg, struct server **ret_server)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag + SERVER_MAX_CLIENTS };
	int ret = -ENOMEM;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	struct server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ret;
	s->fd = -1;
	s->epoll_fd = epoll_fd;
	s->tag = tag;
	s->roles = roles;
	s->line = line;
	s->gone = gone;
	s->arg = arg;
	s->lines = calloc(SERVER_MAX_CLIENTS, RPC_LINE_MAX);
	for (unsigned i = 0; i < SERVER_MAX_CLIENTS; i++) {
		s->clients[i].fd = -1;
		s->clients[i].in = s->lines == NULL ? NULL : s->lines + (size_t)i * RPC_LINE_MAX;
	}
	if (s->lines == NULL)
		goto failed;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);
	/* open to all: who has no role is turned away with words */
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    (s->path = strdup(path)) == NULL || chmod(path, 0666) != 0 ||
	    listen(s->fd, SOMAXCONN) != 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &event) != 0) {
		ret = -errno;
		goto failed;
	}
	*ret_server = s;
	return 0;
failed:
	server_free(s);
	return ret;
}

struct server *server_free(struct server *s)
{
	if (s == NULL)
		return NULL;
	s->gone = NULL;
	for (unsigned i = 0; i < SERVER_MAX_CLIENTS; i++)
		client_close(s, &s->clients[i]);
	if (s->fd >= 0)
		close(s->fd);
	if (s->path != NULL)
		unlink(s->path);
	free(s->path);
	free(s->lines);
	free(s);
	return NULL;
}
