/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks after the event log (events_keep.h): once an hour, and after each commit, in the job thread. How
 * long things are kept is read from the configuration in force.
 */
#include "config.h"
#include "events_keep.h"
#include "manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_EVERY_MS = 3600000, KEEP_SOON_MS = 2000 };

struct keeping {
	struct job job;
	char *path, *config, *text; /* of the log; name and text of the configuration */
	size_t len;
	json_t *overrides;
	struct events_kept kept;
	int error;
};

static void keeping_free(struct keeping *k)
{
	if (k == NULL)
		return;
	free(k->path);
	free(k->config);
	free(k->text);
	json_decref(k->overrides);
	free(k);
}

static void run_keeping(struct job *job)
{
	struct keeping *k = (struct keeping *)job;
	struct complaints quiet;
	complaints_init(&quiet);
	struct config *config = config_parse_with(k->config, k->text, k->len, k->overrides, &quiet);
	if (config != NULL) {
		const struct events_keep keep = {
			.retention_s = (uint64_t)config->events.retention_days.number * 86400,
			.mask_after_s = (uint64_t)config->events.mask_after_hours.number * 3600,
		};
		k->error = events_keep(k->path, &keep, manager_time() * 1000, &k->kept);
	}
	config_free(config);
	complaints_fini(&quiet);
}

static void rotated(void *arg, uint64_t tag, const struct link_answer *answer)
{
	(void)arg;
	(void)tag;
	(void)answer; /* it is looked at again, whatever came of it */
}

static void keeping_done(void *arg, struct job *job)
{
	struct manager *m = arg;
	struct keeping *k = (struct keeping *)job;
	m->keeping = false;
	m->keep_ms = m->now_ms + KEEP_EVERY_MS;
	if (k->kept.masked_lines != 0 || k->kept.deleted_files != 0)
		manager_log("events: %llu lines masked, %llu files deleted",
		    (unsigned long long)k->kept.masked_lines,
		    (unsigned long long)k->kept.deleted_files);
	if (k->kept.rotate && link_ask(&m->link, "events.rotate", NULL, NULL, 0, MANAGER_ASK_MS,
				  m->now_ms, rotated, 0) == 0)
		m->keep_ms = m->now_ms + KEEP_SOON_MS;
	if (k->error == -EAGAIN)
		m->keep_ms = m->now_ms + KEEP_SOON_MS;
	else if (k->error != 0) {
		char text[512];
		snprintf(text, sizeof(text), "old events in %s are not masked or deleted: %s",
		    k->path, strerror(-k->error));
		manager_alarm(m, "events", text);
	} else {
		manager_alarm_clear(m, "events");
	}
	keeping_free(k);
}

uint64_t manager_events(struct manager *m)
{
	const char *path = manager_events_path(m);
	if (m->keeping)
		return UINT64_MAX;
	if (m->keep_ms > m->now_ms)
		return m->keep_ms;
	m->keep_ms = m->now_ms + KEEP_SOON_MS;
	if (m->starting || m->source.text == NULL || path == NULL)
		return m->keep_ms;
	struct keeping *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return m->keep_ms;
	k->job.run = run_keeping;
	k->job.done = keeping_done;
	k->path = strdup(path);
	k->config = strdup(m->source.path == NULL ? m->options->config : m->source.path);
	k->len = m->source.len;
	k->text = malloc(k->len + 1);
	k->overrides = json_deep_copy(m->overrides);
	if (k->path != NULL && k->config != NULL && k->text != NULL) {
		memcpy(k->text, m->source.text, k->len + 1);
		m->keeping = jobs_add(m->jobs, &k->job) == 0;
	}
	if (!m->keeping) {
		keeping_free(k);
		return m->keep_ms;
	}
	return UINT64_MAX;
}
