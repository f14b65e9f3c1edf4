/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket's clients: lines in, lines out, on an epoll that the owner turns. Bounds:
 * SERVER_MAX_CLIENTS at once (the last SERVER_ADMIN_RESERVE for admins alone; beyond: told `busy`
 * and closed), a line of RPC_LINE_MAX (beyond: told and closed), SERVER_OUT_PAUSE of unread answers
 * (beyond: no further line of that client is read), SERVER_OUT_MAX (beyond: cut), SERVER_STUCK_MS
 * for a reader that takes nothing or a line that does not end (beyond: cut).
 *
 * 256, not thousands: a person's commands last milliseconds, so this many at once are a script gone
 * wrong, and being told `busy` at once is worth more than a place in a queue; the descriptors stay
 * well below the 1,024 that a service has by default.
 */
#ifndef POSTERN_CONTROL_SERVER_H
#define POSTERN_CONTROL_SERVER_H

#include "roles.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SERVER_MAX_CLIENTS = 256,
	SERVER_ADMIN_RESERVE = 8,
	SERVER_OUT_PAUSE = 256 * 1024,
	SERVER_OUT_MAX = 8 * 1024 * 1024,
	SERVER_STUCK_MS = 10000,
};

struct server;

/* Slot and generation: an answer for a client that has gone goes nowhere. */
typedef uint64_t server_client;

/* One line without its LF. True: exactly one server_send() will follow, now or later. */
typedef bool server_line(
    void *arg, server_client client, enum role role, uint32_t uid, const char *line, size_t len);

/* A client has gone; its number is not used again. Not called by server_free(). */
typedef void server_gone(void *arg, server_client client);

/* Listens on `path` (an old socket there is removed; the owner holds a lock on the folder) and adds
 * itself to epoll_fd with event data `tag` + slot, `tag` + SERVER_MAX_CLIENTS for the listener. */
int server_new(const char *path, int epoll_fd, uint64_t tag, const struct roles *roles,
    server_line *line, server_gone *gone, void *arg, struct server **ret_server);
struct server *server_free(struct server *s); /* NULL is allowed; returns NULL */

/* An epoll event with data `tag` + slot. */
void server_event(struct server *s, uint64_t slot, uint32_t events, uint64_t now_ms);
/* Takes the line over (it is freed); NULL counts as an answer lost for lack of memory: the client
 * is cut rather than left waiting. */
void server_send(struct server *s, server_client client, char *line, uint64_t now_ms);
/* A line that answers nothing. From the first on the client is a reader of a stream: it is not cut
 * for reading nothing (its owner bounds what waits by server_unread()), nor because it says nothing
 * more. Takes the line; false: the client has gone. */
bool server_notify(struct server *s, server_client client, char *line, uint64_t now_ms);
size_t server_unread(const struct server *s, server_client client); /* bytes; 0 when gone */
/* Cuts who is overdue; returns the next deadline, UINT64_MAX for none. */
uint64_t server_deadlines(struct server *s, uint64_t now_ms);
unsigned server_clients(const struct server *s);

#endif
