/* SPDX-License-Identifier: BSD-3-Clause */
/* Subscriptions to the event log (events_stream.h). */
#include "events_stream.h"
#include "eventfilter.h"
#include "eventlog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stream {
	unsigned id; /* 0: free */
	server_client client;
	struct eventlog *log;
	struct eventfilter *filter;
	bool follow, back, at_end; /* back: looks for the first of the newest `left` lines */
	uint64_t left, lost, sent;
	uint64_t next_ms;
};

struct streams {
	struct server *server;
	unsigned next_id, n;
	struct stream all[STREAMS_MAX];
};

struct streams *streams_new(struct server *server)
{
	struct streams *s = calloc(1, sizeof(*s));
	if (s != NULL)
		s->server = server;
	return s;
}

static void stream_end(struct streams *s, struct stream *t)
{
	eventlog_close(t->log);
	eventfilter_free(t->filter);
	*t = (struct stream){ 0 };
	s->n--;
}

struct streams *streams_free(struct streams *s)
{
	for (unsigned i = 0; s != NULL && i < STREAMS_MAX; i++)
		if (s->all[i].id != 0)
			stream_end(s, &s->all[i]);
	free(s);
	return NULL;
}

int streams_add(struct streams *s, const struct stream_order *order, unsigned *ret_id)
{
	struct stream *t = s->all;
	int ret = -EBUSY;
	while (t < s->all + STREAMS_MAX && t->id != 0)
		t++;
	if (t == s->all + STREAMS_MAX)
		goto failed;
	*t = (struct stream){ .client = order->client,
		.filter = order->filter,
		.follow = order->follow,
		.left = order->limit };
	/* the newest so many: backward from the end, not before since_ms */
	t->back = order->limit != 0;
	ret = eventlog_open(order->path, order->since_ms, t->back, &t->log);
	if (ret != 0)
		goto failed;
	t->id = ++s->next_id;
	s->n++;
	*ret_id = t->id;
	return 0;
failed:
	eventfilter_free(order->filter);
	return ret;
}

bool streams_remove(struct streams *s, server_client client, unsigned id)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (s->all[i].id == id && id != 0 && s->all[i].client == client) {
			stream_end(s, &s->all[i]);
			return true;
		}
	return false;
}

void streams_gone(struct streams *s, server_client client)
{
	for (unsigned i = 0; s != NULL && i < STREAMS_MAX; i++)
		if (s->all[i].id != 0 && s->all[i].client == client)
			stream_end(s, &s->all[i]);
}

/* ---- a stream's turn ---- */

static bool send_line(struct streams *s, struct stream *t, char *line, uint64_t now_ms)
{
	return line != NULL && server_notify(s->server, t->client, line, now_ms);
}

static bool send_note(
    struct streams *s, struct stream *t, const char *method, uint64_t n, uint64_t now_ms)
{
	char *line = NULL;
	if (asprintf(&line,
		"{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"stream\":%u,\"n\":%llu}}\n",
		method, t->id, (unsigned long long)n) < 0)
		line = NULL;
	return send_line(s, t, line, now_ms);
}

static bool send_event(
    struct streams *s, struct stream *t, const char *text, size_t len, uint64_t now_ms)
{
	char *line = NULL;
	if (asprintf(&line,
		"{\"jsonrpc\":\"2.0\",\"method\":\"events.event\",\"params\":{\"stream\":%u,"
		"\"event\":%.*s}}\n",
		t->id, (int)len, text) < 0)
		line = NULL;
	t->sent++;
	return send_line(s, t, line, now_ms);
}

static bool fits(const struct stream *t, const char *line, size_t len)
{
	json_t *event = json_loadb(line, len, 0, NULL);
	bool holds = json_is_object(event) && eventfilter_holds(t->filter, event);
	json_decref(event);
	return holds;
}

/* A piece of the way back to where the newest lines begin. */
static void go_back(struct stream *t)
{
	uint64_t until = eventlog_bytes(t->log) + STREAM_PIECE;
	const char *line;
	size_t len;
	while (t->left != 0 && eventlog_bytes(t->log) < until) {
		if (eventlog_previous(t->log, &line, &len) <= 0) {
			t->left = 0;
			break;
		}
		if (fits(t, line, len))
			t->left--;
	}
	t->back = t->left != 0;
}

/* False: the stream has ended. */
static bool go_on(struct streams *s, struct stream *t, uint64_t now_ms)
{
	uint64_t until = eventlog_bytes(t->log) + STREAM_PIECE;
	size_t unread = server_unread(s->server, t->client);
	const char *line;
	size_t len;
	if (t->lost != 0 && unread == 0) {
		if (!send_note(s, t, "events.lost", t->lost, now_ms))
			return false;
		t->lost = 0;
	}
	for (unsigned n = 0; n < 4096 && eventlog_bytes(t->log) < until; n++) {
		unread = server_unread(s->server, t->client);
		if (unread > STREAM_ROOM && !t->at_end) { /* the past waits for its reader */
			t->next_ms = now_ms + STREAM_POLL_MS;
			return true;
		}
		int ret = eventlog_next(t->log, &line, &len);
		if (ret < 0) {
			send_note(s, t, "events.end", t->sent, now_ms);
			return false;
		}
		if (ret == 0 && !t->follow) {
			send_note(s, t, "events.end", t->sent, now_ms);
			return false;
		}
		if (ret == 0) {
			t->at_end = true;
			t->next_ms = now_ms + STREAM_POLL_MS;
			return true;
		}
		if (!fits(t, line, len))
			continue;
		if (unread > STREAM_ROOM)
			t->lost++;
		else if (!send_event(s, t, line, len, now_ms))
			return false;
	}
	t->next_ms = now_ms; /* there is more */
	return true;
}

uint64_t streams_turn(struct streams *s, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = 0; s->n != 0 && i < STREAMS_MAX; i++) {
		struct stream *t = &s->all[i];
		if (t->id == 0)
			continue;
		if (t->next_ms <= now_ms) {
			unsigned id = t->id;
			if (t->back) {
				go_back(t);
				t->next_ms = now_ms;
			} else if (!go_on(s, t, now_ms)) {
				/* a client cut meanwhile has taken its streams along */
				if (t->id == id)
					stream_end(s, t);
				continue;
			}
			if (t->id != id)
				continue;
		}
		next = t->next_ms < next ? t->next_ms : next;
	}
	return next;
}
