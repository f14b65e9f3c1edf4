/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The switch `pass-all`: until a given second every rule only notes what it would have done. One
 * word that control writes and each worker reads once a turn; a file beside it (STATE/pass-all, one
 * line with that second) carries it over a restart. It ends by itself, and an event tells of its
 * beginning, its end and its return after a restart: nobody is to forget it open. (Rejected: a
 * policy with every rule in shadow, which takes a compilation in the very moment when it is wanted
 * at once, and which a load by somebody else would end or make last.)
 */
#include "live.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t now_s(void)
{
	return (uint32_t)(hw_now_ns() / 1000000000);
}

static int keep(const struct live *l, uint32_t until_s)
{
	char path[4096], temp[4096 + 8], line[16];
	int fd, n, rc = 0;

	snprintf(path, sizeof(path), "%s/pass-all", l->state_dir);
	if (until_s == 0)
		return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
	snprintf(temp, sizeof(temp), "%s.new", path);
	n = snprintf(line, sizeof(line), "%u\n", until_s);
	errno = 0;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0 || write(fd, line, (size_t)n) != n || fsync(fd) != 0 || rename(temp, path) != 0)
		rc = errno ? -errno : -EIO;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* 0 where there is none, or where it is no number: then rules hold, which is the safe reading. */
static uint32_t kept(const struct live *l)
{
	char path[4096], line[16] = "", *end;
	unsigned long until_s;
	FILE *f;

	snprintf(path, sizeof(path), "%s/pass-all", l->state_dir);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	until_s = strtoul(line, &end, 10);
	return end != line && *end == '\n' && until_s <= UINT32_MAX ? (uint32_t)until_s : 0;
}

/* The notes' thread: tells of the end when its time has come. */
static void tick(void *arg, uint64_t now_ns)
{
	struct live *l = arg;
	uint32_t until_s = atomic_load(&l->pass_all_until_s);

	if (until_s == 0 || now_ns / 1000000000 < until_s)
		return;
	if (atomic_compare_exchange_strong(&l->pass_all_until_s, &until_s, 0))
		events_tell(l->events, now_ns, "pass-all", "its time is up: rules act again");
}

int live_pass_open(struct live *l, char **ret_error)
{
	const struct notes_subscriber subscriber = { .tick = tick, .arg = l };
	uint32_t until_s = kept(l), now = now_s();
	int rc;

	if (until_s > now && until_s - now <= LIVE_PASS_MAX_S) {
		atomic_store(&l->pass_all_until_s, until_s);
		events_tell(l->events, hw_now_ns(), "pass-all",
		    "still on, for %u s: every rule only notes", until_s - now);
	}
	l->shared.pass_all_until_s = &l->pass_all_until_s;
	rc = notes_subscribe(l->notes, &subscriber);
	return rc ? fail(ret_error, -rc, "no room for pass-all among the notes") : 0;
}

uint32_t live_pass_until(const struct live *l)
{
	uint32_t until_s = atomic_load(&l->pass_all_until_s);

	return until_s > now_s() ? until_s : 0;
}

json_t *live_pass_set(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const json_t *for_s = json_object_get(params, "for_s");
	const json_t *until = json_object_get(params, "until_s");
	const char *reason = json_string_value(json_object_get(params, "reason"));
	uint32_t was = live_pass_until(l), now = now_s();
	json_int_t end = json_integer_value(until);
	int rc;

	(void)fds, (void)n_fds;
	if (json_is_integer(for_s) == json_is_integer(until))
		return control_fail(
		    error, "bad_params", "`for_s` or `until_s` is a number of seconds; 0 ends it.");
	if (json_is_integer(for_s) && json_integer_value(for_s) != 0)
		end = now + json_integer_value(for_s);
	if (end < 0 || json_integer_value(for_s) < 0 || end > (json_int_t)now + LIVE_PASS_MAX_S)
		return control_fail(error, "bad_params",
		    "pass-all is for %u h at most; give rules the state shadow for longer.",
		    LIVE_PASS_MAX_S / 3600);
	if (end <= now) /* of an undo: its time would be over by now */
		end = 0;
	rc = keep(l, (uint32_t)end);
	if (rc)
		return control_fail(error, "not_kept",
		    "Nothing was changed, it cannot be kept in the state folder: %s.",
		    strerror(-rc));
	atomic_store(&l->pass_all_until_s, (uint32_t)end);
	if (end != 0)
		events_tell(l->events, hw_now_ns(), "pass-all",
		    "on for %u s: every rule only notes%s%.120s", (uint32_t)end - now,
		    reason ? ": " : "", reason ? reason : "");
	else
		events_tell(l->events, hw_now_ns(), "pass-all", "off: rules act again%s%.120s",
		    reason ? ": " : "", reason ? reason : "");
	return json_pack("{s:I, s:I}", "until_s", end, "was_until_s", (json_int_t)was);
}
