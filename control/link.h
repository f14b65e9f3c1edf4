/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The manager's end of dataplane.sock (README.md, "Sockets"): connects, connects again, keeps
 * questions until they are answered or overdue. What is asked is the owner's business.
 */
#ifndef POSTERN_CONTROL_LINK_H
#define POSTERN_CONTROL_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LINK_PACKET_MAX = 65536,
	LINK_MAX_FDS = 16,
	LINK_MAX_PENDING = 64,
	LINK_RETRY_MS = 1000,
};

struct link_answer {
	const json_t *result; /* lent; NULL: an error */
	const char *code;     /* "unreachable" and "timeout" are ours, the rest the dataplane's */
	const char *message;
};
typedef void link_done(void *arg, uint64_t tag, const struct link_answer *answer);
/* Connected (say hello), or lost after having been connected. */
typedef void link_state(void *arg, bool connected);

struct link_pending {
	uint64_t id; /* 0: free */
	uint64_t deadline_ms, tag;
	link_done *done;
};

struct link {
	int fd; /* -1: not connected */
	int epoll_fd;
	uint64_t epoll_data;
	char path[108];
	uint64_t next_id, next_try_ms;
	link_state *state;
	void *arg;
	struct link_pending pending[LINK_MAX_PENDING];
	char *packet; /* of LINK_PACKET_MAX + 1 bytes */
};

/* -ENAMETOOLONG, -ENOMEM. Connects at the first link_turn(). */
int link_init(struct link *l, const char *path, int epoll_fd, uint64_t epoll_data,
    link_state *state, void *arg);
void link_fini(struct link *l); /* pending questions are dropped unanswered */

/* Takes params (NULL: none); fds stay the caller's. `done` is called exactly once, unless an error
 * is returned: -ENOTCONN, -EBUSY (too many pending, or the socket is full), -EMSGSIZE, -ENOMEM. */
int link_ask(struct link *l, const char *method, json_t *params, const int *fds, unsigned n_fds,
    unsigned timeout_ms, uint64_t now_ms, link_done *done, uint64_t tag);

/* Gives the connection up, as if the other end had: it is made anew after LINK_RETRY_MS. */
void link_drop(struct link *l, uint64_t now_ms);

/* An epoll event of ours. */
void link_event(struct link *l, uint64_t now_ms);
/* Connects when it is time, ends what is overdue; returns the next deadline. */
uint64_t link_turn(struct link *l, uint64_t now_ms);

#endif
