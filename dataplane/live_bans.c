/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Automatic bans in the live shell: the workers' notes are offences or good marks (filters/bans.h), and
 * bans that follow go to the overlay and its journal like an operator's, but give way first. They are
 * gathered for one round of notes and written together: one fsync for all. Only proven sources come
 * here, since notes are of sessions.
 */
#include "live.h"

#include "fail.h"
#include "live_lists.h"

#include "filters/bans.h"

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

static void add(
    struct live_bans *b, const struct ban *ban, uint32_t kind, enum reason reason, uint64_t now_ns)
{
	struct live_change *c;

	if (b->n == BANS_ROUND)
		commit(b, now_ns);
	c = &b->round[b->n++];
	*c = (struct live_change){ .entry = { .len = ban->len,
				       .list = OVERLAY_BAN,
				       .kind = (uint8_t)kind,
				       .origin = OVERLAY_AUTOMATIC,
				       .created_s = (uint32_t)(now_ns / 1000000000u),
				       .expires_s = ban->expires_s } };
	memcpy(c->entry.addr, ban->addr, 16);
	snprintf(c->entry.reason, sizeof(c->entry.reason), "%s, ban %u",
	    reason ? reason_infos[reason].name : "unknown recipients", ban->repeats + 1);
}

/* What a list or a ban said is no offence of its own, nor is what we could not do. */
static bool is_offence(const struct note *note)
{
	if (note->verdict < VERDICT_REFUSE)
		return false;
	switch ((enum reason)note->reason) {
	case REASON_LISTED:
	case REASON_LISTED_VERIFIED:
	case REASON_BANNED:
	case REASON_OVERLOAD:
	case REASON_DRAIN:
	case REASON_UNKNOWN_RECIPIENT: return false; /* the last is counted by recipient */
	default: return true;
	}
}

static void on_note(void *arg, const struct note *note)
{
	uint32_t now_s = (uint32_t)(note->time_ns / 1000000000u), points = 0;
	struct live_bans *b = arg;
	struct policy_bans settings;
	struct ban bans[2];
	unsigned n;

	pthread_mutex_lock(&b->lock);
	settings = b->settings;
	pthread_mutex_unlock(&b->lock);
	if (settings.settings.threshold == 0 || note->reason >= REASON_N)
		return;
	if (note->kind == NOTE_RCPT)
		points = note->value ? settings.unknown_points : 0;
	else if (is_offence(note))
		points = settings.refused_points;
	else if (note->value > 0 || note->reason == REASON_ALLOWED)
		bans_good(b->bans, note->client, now_s);
	if (points == 0)
		return;
	n = bans_offence(b->bans, &settings.settings, note->client, points, now_s, NULL, NULL, bans);
	for (unsigned i = 0; i < n; i++)
		add(b, &bans[i], settings.kind,
		    note->kind == NOTE_RCPT ? REASON_NONE : (enum reason)note->reason,
		    note->time_ns);
}

static void tick(void *arg, uint64_t now_ns)
{
	commit(arg, now_ns);
}

int live_bans_open(struct live *l, const struct policy *policy, char **ret_error)
{
	struct notes_subscriber subscriber = {
		.kinds = 1u << NOTE_SESSION | 1u << NOTE_RCPT, .note = on_note, .tick = tick
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
