/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subscriptions to the event log: who asked by events.subscribe gets a notification `events.event` a
 * line, first from the past, then, when following, as they come. A bounded piece of the log is read
 * a turn, so that nobody else waits. The log itself is the buffer: a reader that is slow in the past
 * is waited for; one that is slow at the end misses lines, which are counted and told
 * (`events.lost`). `events.end` closes a stream that does not follow, and says why another ended.
 */
#ifndef POSTERN_CONTROL_EVENTS_STREAM_H
#define POSTERN_CONTROL_EVENTS_STREAM_H

#include "server.h"

#include <jansson.h>

enum {
	STREAMS_MAX = 16,
	STREAM_PIECE = 256 * 1024, /* bytes of the log a turn and stream */
	STREAM_ROOM = 64 * 1024,   /* unread by the client: wait, or lose */
	STREAM_POLL_MS = 50,       /* between looks at the end of the log */
	STREAM_LIMIT_MAX = 1000000,
};

struct eventfilter;
struct streams;

struct stream_order {
	server_client client;
	const char *path;
	struct eventfilter *filter; /* taken; NULL: everything */
	int64_t since_ms;           /* EVENTLOG_OLDEST: as far as the limit reaches */
	uint64_t limit;             /* of the past, the newest so many; 0: all since since_ms */
	bool follow;
};

struct streams *streams_new(struct server *server);
struct streams *streams_free(struct streams *s); /* NULL is allowed; returns NULL */
/* ret_id: of the stream. -EBUSY: too many; -errno of the log. */
int streams_add(struct streams *s, const struct stream_order *order, unsigned *ret_id);
/* False: the client has no such stream. */
bool streams_remove(struct streams *s, server_client client, unsigned id);
void streams_gone(struct streams *s, server_client client);
/* Sends what there is; returns the next deadline, UINT64_MAX for none. */
uint64_t streams_turn(struct streams *s, uint64_t now_ms);

#endif
