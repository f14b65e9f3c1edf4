/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Automatic bans in the live shell: the workers' notes are offences or good marks (offence.h), and
 * bans that follow go to the overlay and its journal like an operator's, but give way first. They are
 * gathered for one round of notes and written together: one fsync for all. Only proven sources come
 * here, since notes are of sessions.
 */
#include "live.h"

#include "fail.h"
#include "live_lists.h"
#include "offence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BANS_ENTRIES = 65536, BANS_ROUND = 64 };

struct live_bans {
	struct live *live;
	struct bans *bans;    /* the notes' thread alone */
	pthread_mutex_t lock; /* of settings */
	struct policy_bans settings;
	struct live_change round[BANS_ROUND];
	unsigned n;
	bool failing; /* the journal; told once */
};

static void commit(struct live_bans *b, uint64_t now_ns)
{
	int rc;

	if (b->n == 0)
		return;
	pthread_mutex_lock(&b->live->lists->lock);
	rc = live_lists_change(b->live->lists, b->round, b->n, (uint32_t)(now_ns / 1000000000u));
	pthread_mutex_unlock(&b->live->lists->lock);
	if (rc && !b->failing)
		events_tell(b->live->events, now_ns, "ban-failed", "%u bans could not be kept: %s",
		    b->n, strerror(-rc));
	b->failing = rc != 0;
	b->n = 0;
}

static void on_note(void *arg, const struct note *note)
{
	struct live_bans *b = arg;
	struct policy_bans settings;
	struct ban bans[2];
	unsigned n;

	pthread_mutex_lock(&b->lock);
	settings = b->settings;
	pthread_mutex_unlock(&b->lock);
	n = offence_note(b->bans, &settings, note, bans);
	for (unsigned i = 0; i < n; i++) {
		if (b->n == BANS_ROUND)
			commit(b, note->time_ns);
		b->round[b->n] = (struct live_change){ 0 };
		offence_entry(&settings, note, &bans[i], &b->round[b->n++].entry);
	}
}

static void tick(void *arg, uint64_t now_ns)
{
	commit(arg, now_ns);
}

int live_bans_open(struct live *l, const struct policy *policy, char **ret_error)
{
	struct notes_subscriber subscriber = {
		.kinds = OFFENCE_NOTES, .note = on_note, .tick = tick
	};
	struct live_bans *b = calloc(1, sizeof(*b));
	uint8_t key[16];
	int rc;

	if (!b)
		return fail(ret_error, ENOMEM, "no memory for bans");
	l->bans = subscriber.arg = b;
	b->live = l;
	b->settings = policy_settings(policy)->bans;
	pthread_mutex_init(&b->lock, NULL);
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return fail(ret_error, EIO, "no random bytes for bans");
	b->bans = bans_new(BANS_ENTRIES, key);
	if (!b->bans)
		return fail(ret_error, ENOMEM, "no memory for bans");
	rc = notes_subscribe(l->notes, &subscriber);
	return rc ? fail(ret_error, -rc, "no room for bans among the notes") : 0;
}

void live_bans_policy(struct live *l, const struct policy *policy)
{
	if (!l->bans)
		return;
	pthread_mutex_lock(&l->bans->lock);
	l->bans->settings = policy_settings(policy)->bans;
	pthread_mutex_unlock(&l->bans->lock);
}

void live_bans_close(struct live *l)
{
	if (!l->bans)
		return;
	pthread_mutex_destroy(&l->bans->lock);
	bans_free(l->bans->bans);
	free(l->bans);
	l->bans = NULL;
}
