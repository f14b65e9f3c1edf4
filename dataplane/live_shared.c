/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live shell's shared tables: each has one writer, off the workers' cores, and is read by all
 * of them (worker.h, worker_shared). Opened before the workers, in the order of the table below, and
 * closed after them in reverse.
 */
#include "live.h"

#include "confirmer.h"
#include "fail.h"
#include "grey.h"
#include "resolver.h"

#include "filters/at_once.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* As many counters a worker as it has connections: two for each session it can have. */
static int open_at_once(struct live *l, char **ret_error)
{
	uint8_t key[16];

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return fail(ret_error, EIO, "no random bytes for what is at once");
	l->shared.at_once = at_once_new(l->n_workers, l->host.max_connections, key);
	return l->shared.at_once ? 0 : fail(ret_error, ENOMEM, "no memory for what is at once");
}

static void on_confirmed(void *arg, unsigned worker)
{
	struct live *l = arg;

	hw_wake(l->hw, worker);
}

static void on_costly(void *arg, const char *rule)
{
	struct live *l = arg;

	events_tell(l->events, hw_now_ns(), "pattern-costly", "patterns.%s: PCRE2 gave up", rule);
}

static int open_confirmer(struct live *l)
{
	const struct confirmer_config config = {
		.n_workers = l->n_workers,
		.now_ns = hw_now_ns,
		.wake = on_confirmed,
		.costly = on_costly,
		.arg = l,
	};

	return confirmer_new(&config, &l->confirmer);
}

int live_shared_open(struct live *l, struct policy *policy, char **ret_error)
{
	int rc = notes_new(l->n_workers, &l->notes);

	if (rc)
		return fail(ret_error, -rc, "no memory for notes");
	rc = live_lists_open(l, policy, ret_error);
	if (rc)
		return *ret_error ? rc
				  : fail(ret_error, -rc, "no run-time lists: %s", strerror(-rc));
	rc = live_pass_open(l, ret_error);
	if (rc)
		return rc;
	rc = live_rules_open(l);
	if (rc)
		return fail(ret_error, ENOMEM, "no memory, or no room among the notes, for rules");
	rc = live_grey_open(l, policy, ret_error);
	if (rc)
		return rc;
	rc = live_bans_open(l, policy, ret_error);
	if (rc)
		return rc;
	rc = live_memory_open(l, policy, ret_error);
	if (rc)
		return rc;
	rc = open_at_once(l, ret_error);
	if (rc)
		return rc;
	rc = live_resolver_open(l, policy, ret_error);
	if (rc)
		return rc;
	rc = open_confirmer(l);
	if (rc)
		return fail(ret_error, -rc, "no thread for the confirmation of patterns");
	rc = live_waves_open(l, policy);
	if (rc)
		return fail(ret_error, -rc, "no memory for waves");
	rc = notes_start(l->notes);
	return rc ? fail(ret_error, -rc, "no thread for notes: %s", strerror(-rc)) : 0;
}

void live_shared_let_go(struct live *l)
{
	notes_stop(l->notes);
	if (l->grey)
		grey_stop(l->grey);
	live_lists_let_go(l);
}

void live_shared_close(struct live *l)
{
	l->notes = notes_free(l->notes); /* tells what is left first */
	live_waves_close();
	l->resolver = resolver_free(l->resolver);
	l->shared.at_once = at_once_free(l->shared.at_once);
	live_memory_close(l);
	live_bans_close(l);
	l->grey = grey_free(l->grey);
	live_rules_close(l);
	live_lists_close(l);
}
