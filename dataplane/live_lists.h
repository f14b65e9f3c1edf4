/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What operators and bans.h say of addresses at run time: the overlay (filters/overlay.h), its
 * journal, and the methods of the control socket. The overlay takes one writer at a time: control
 * and the notes' thread share a lock that no worker ever meets. Private to dataplane/live*.c.
 */
#ifndef POSTERN_DATAPLANE_LIVE_LISTS_H
#define POSTERN_DATAPLANE_LIVE_LISTS_H

#include "control_server.h"
#include "overlay_journal.h"

#include "filters/policy.h"

#include <pthread.h>

enum {
	LIVE_LISTS_BATCH = 150,   /* changes a request may ask for: their answer fits a packet */
	LIVE_LISTS_PAGE = 150,    /* entries an answer may hold */
	LIVE_LISTS_SWEEP = 10000, /* expired entries removed a second */
	LIVE_LISTS_BAN_S = 86400, /* a ban without a word on its length */
	LIVE_LISTS_MAX_S = 315360000, /* ten years */
};

struct live;

struct live_lists {
	pthread_mutex_t lock; /* of overlay and journal, for those who write */
	struct overlay *overlay;
	struct overlay_journal *journal;
	uint32_t swept_s; /* the notes' thread alone */
};

/* Opens overlay and journal under the state folder and gives the overlay to `policy`; listens to the
 * notes' ticks. *ret_error is a sentence (caller frees). */
int live_lists_open(struct live *l, struct policy *policy, char **ret_error);
void live_lists_let_go(struct live *l); /* closes the journal */
void live_lists_close(struct live *l);  /* NULL lists are allowed */
/* Before a policy is published. -ENOSPC. */
int live_lists_attach(struct live *l, struct policy *policy);

/* A change of one entry: put, or remove. What was there before is filled in when it is done. */
struct live_change {
	struct overlay_entry entry, before;
	bool remove, had;
};
/* All or none: journal, then overlay. Under the lock. -ENOSPC, -errno of the journal. */
int live_lists_change(
    struct live_lists *lists, struct live_change *changes, unsigned n, uint32_t now_s);

/* live_lists_json.c: entries as the socket has them. Under the lock. */
json_t *live_entry_json(const struct overlay *o, const struct overlay_entry *e);
/* Fills prefix, list and what is given of end, origin, reason, lifts, action. */
bool live_entry_read(const struct overlay *o, const json_t *json, uint32_t now_s,
    struct overlay_entry *entry, struct control_error *error);
bool live_for_read(const json_t *json, const char *name, uint32_t now_s, uint32_t *ret_expires_s,
    struct control_error *error);
/* {"put":[entry...],"remove":[{"prefix","list"}...]}: what takes the changes back. */
json_t *live_undo_json(const struct overlay *o, const struct live_change *changes, unsigned n);

extern const struct control_method live_list_methods[];

#endif
