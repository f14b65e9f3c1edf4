/* SPDX-License-Identifier: BSD-3-Clause */
/* Run-time lists: their life, and the one way to change them (live_lists.h). */
#include "live_lists.h"

#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void tick(void *arg, uint64_t now_ns)
{
	struct live_lists *lists = arg;
	uint32_t now_s = (uint32_t)(now_ns / 1000000000);

	if (now_s == lists->swept_s)
		return;
	lists->swept_s = now_s;
	pthread_mutex_lock(&lists->lock);
	overlay_sweep(lists->overlay, now_s, LIVE_LISTS_SWEEP);
	pthread_mutex_unlock(&lists->lock);
}

int live_lists_attach(struct live *l, struct policy *policy)
{
	int rc;

	if (!l->lists)
		return 0;
	pthread_mutex_lock(&l->lists->lock);
	rc = policy_attach_overlay(policy, l->lists->overlay);
	pthread_mutex_unlock(&l->lists->lock);
	return rc;
}

int live_lists_open(struct live *l, struct policy *policy, char **ret_error)
{
	struct live_lists *lists = calloc(1, sizeof(*lists));
	struct notes_subscriber subscriber = { .tick = tick, .arg = lists };
	char path[4096], *words = NULL;
	uint8_t key[16];
	int rc = -ENOMEM;

	*ret_error = NULL;
	if (!lists)
		return rc;
	pthread_mutex_init(&lists->lock, NULL);
	l->lists = lists;
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -EIO;
	lists->overlay = overlay_new(OVERLAY_DEFAULT_ENTRIES, key);
	if (!lists->overlay)
		return rc;
	snprintf(path, sizeof(path), "%s/overlay.journal", l->state_dir);
	rc = overlay_journal_open(
	    path, lists->overlay, (uint32_t)(hw_now_ns() / 1000000000), &lists->journal, &words);
	if (rc) {
		*ret_error = words;
		return rc;
	}
	if (words) {
		fprintf(stderr, "postern-dataplane: %s\n", words);
		events_tell(l->events, hw_now_ns(), "lists", "%s", words);
		free(words);
	}
	rc = live_lists_attach(l, policy);
	if (rc == 0)
		rc = notes_subscribe(l->notes, &subscriber);
	return rc;
}

void live_lists_let_go(struct live *l)
{
	if (l->lists)
		l->lists->journal = overlay_journal_close(l->lists->journal);
}

void live_lists_close(struct live *l)
{
	struct live_lists *lists = l->lists;

	if (!lists)
		return;
	live_lists_let_go(l);
	overlay_free(lists->overlay);
	pthread_mutex_destroy(&lists->lock);
	free(lists);
	l->lists = NULL;
}

int live_lists_change(
    struct live_lists *lists, struct live_change *changes, unsigned n, uint32_t now_s)
{
	struct overlay_counts counts;
	struct overlay_entry gone;
	uint32_t added = 0;
	int rc = 0;

	overlay_sweep(lists->overlay, now_s, LIVE_LISTS_SWEEP);
	counts = overlay_counts(lists->overlay);
	for (unsigned i = 0; i < n && rc == 0; i++) {
		struct live_change *c = &changes[i];
		const struct overlay_entry *e = &c->entry;

		c->had = overlay_get(lists->overlay, e->addr, e->len, e->list, &c->before) == 0;
		added += !c->had && !c->remove;
		if (c->remove)
			rc = overlay_journal_remove(lists->journal, e->addr, e->len, e->list);
		else
			rc = overlay_journal_put(lists->journal, e);
	}
	/* automatic bans give way, nothing else does */
	if (rc == 0 && added > counts.capacity - (counts.entries - counts.automatic))
		rc = -ENOSPC;
	if (rc) {
		overlay_journal_forget(lists->journal);
		return rc;
	}
	rc = overlay_journal_commit(lists->journal);
	if (rc)
		return rc;
	for (unsigned i = 0; i < n; i++) {
		const struct overlay_entry *e = &changes[i].entry;

		if (changes[i].remove)
			(void)overlay_remove(lists->overlay, e->addr, e->len, e->list);
		else if (overlay_put(lists->overlay, e, now_s, &gone) == OVERLAY_EVICTED)
			(void)overlay_journal_remove(lists->journal, gone.addr, gone.len, gone.list);
	}
	(void)overlay_journal_commit(lists->journal); /* what was let go, if anything */
	(void)overlay_journal_tidy(
	    lists->journal, now_s); /* a full disk is told at the next change */
	return 0;
}
