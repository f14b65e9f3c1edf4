/* SPDX-License-Identifier: BSD-3-Clause */
/* See stats_file.h. */
#include "stats_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name, *text;
} shell_infos[SHELL_N_COUNTERS] = {
	[SHELL_RX_FRAMES] = { "shell_rx_frames", "Frames received from ports" },
	[SHELL_TX_FRAMES] = { "shell_tx_frames", "Frames handed to ports" },
	[SHELL_TX_REFUSED] = { "shell_tx_refused",
	    "Frames a port refused to send (its ring was full); freed" },
	[SHELL_SPREAD_OUT] = { "shell_spread_out", "Frames handed to the worker that owns them" },
	[SHELL_SPREAD_IN] = { "shell_spread_in", "Frames taken over from other workers" },
	[SHELL_SPREAD_FULL] = { "shell_spread_full",
	    "Frames freed because the ring to their worker was full" },
	[SHELL_WRONG_WORKER] = { "shell_wrong_worker",
	    "Frames that a port or another worker brought to a worker that does not own them" },
	[SHELL_EVENTS_LOST] = { "shell_events_lost",
	    "Event records lost because the event log fell behind" },
	[SHELL_NOTES_LOST] = { "shell_notes_lost",
	    "Notes lost because greylist, memory and bans fell behind" },
	[SHELL_QUESTIONS_UNANSWERED] = { "shell_questions_unanswered",
	    "Questions answered `failed` because no resolver is there" },
	[SHELL_SLEEPS] = { "shell_sleeps", "Times a worker slept for want of frames" },
};

static size_t size_of(unsigned n_workers)
{
	return sizeof(struct stats_file) + n_workers * sizeof(struct stats_worker);
}

int stats_file_new(const char *path, unsigned n_workers, const struct stats_name *names,
    unsigned n_names, struct stats_file **ret_stats, char **ret_error)
{
	size_t size = size_of(n_workers);
	struct stats_file *stats = MAP_FAILED;
	char temp[4096];
	int fd, rc;

	if (n_workers > STATS_MAX_WORKERS || n_names + SHELL_N_COUNTERS > STATS_MAX_COUNTERS)
		return -E2BIG;
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		goto fail;
	/* fallocate: a full disk is an error here, not SIGBUS at the first write to a page */
	rc = posix_fallocate(fd, 0, (off_t)size);
	if (rc) {
		errno = rc;
		goto fail;
	}
	stats = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (stats == MAP_FAILED)
		goto fail;
	memset(stats, 0, size);
	stats->layout = 3;
	stats->n_workers = n_workers;
	stats->n_counters = n_names + SHELL_N_COUNTERS;
	stats->pid = (uint32_t)getpid();
	memcpy(stats->names, names, n_names * sizeof(*names));
	for (unsigned i = 0; i < SHELL_N_COUNTERS; i++) {
		struct stats_name *n = &stats->names[n_names + i];

		snprintf(n->name, sizeof(n->name), "%s", shell_infos[i].name);
		snprintf(n->text, sizeof(n->text), "%s", shell_infos[i].text);
		n->kind = STATS_COUNTER;
	}
	stats->magic = STATS_MAGIC;
	if (rename(temp, path) != 0)
		goto fail;
	close(fd);
	*ret_stats = stats;
	return 0;
fail:
	rc = -errno;
	if (asprintf(ret_error, "the statistics file %s cannot be made: %s", path, strerror(-rc)) < 0)
		*ret_error = NULL;
	if (stats != MAP_FAILED)
		munmap(stats, size);
	if (fd >= 0) {
		close(fd);
		unlink(temp);
	}
	return rc;
}

struct stats_file *stats_file_free(struct stats_file *stats, const char *path)
{
	if (!stats)
		return NULL;
	if (path)
		unlink(path);
	munmap(stats, size_of(stats->n_workers));
	return NULL;
}

void stats_file_policy(struct stats_file *stats, const struct policy *policy)
{
	unsigned n = policy_settings(policy)->n_servers;
	const struct policy_rule *rules;

	if (n > STATS_MAX_SERVERS)
		n = STATS_MAX_SERVERS;
	for (unsigned i = 0; i < n; i++)
		snprintf(stats->server_names[i], STATS_NAME_LEN, "%s",
		    policy_string(policy, policy_server(policy, i)->name));
	stats->n_servers = n;
	const struct policy_shape *shape = &policy_settings(policy)->shape;
	memset(stats->class_names, 0, sizeof(stats->class_names));
	for (unsigned i = 0; i < shape->n_classes; i++)
		snprintf(stats->class_names[i + 1], STATS_NAME_LEN, "%s",
		    policy_string(policy, shape->classes[i].name));
	memset(stats->rule_names, 0, sizeof(stats->rule_names));
	rules = policy_rules(policy, &n);
	for (unsigned i = 0; i < n; i++)
		snprintf(stats->rule_names[rules[i].id], STATS_NAME_LEN, "%s",
		    policy_string(policy, rules[i].name));
	__atomic_store_n(&stats->policy_epoch, policy_epoch(policy), __ATOMIC_RELEASE);
}
