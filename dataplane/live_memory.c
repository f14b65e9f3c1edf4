/* SPDX-License-Identifier: BSD-3-Clause */
/* See live_memory.h. */
#include "live_memory.h"

#include "live.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOW_MAX = 100, SHOW_TEXT = 256 };

/* ---- notes ---- */

static void on_note(void *arg, const struct note *note)
{
	struct memory_alarm alarms[MEMORY_MAX_ALARMS];
	struct live_memory *lm = arg;
	struct memory_note what;
	unsigned n;

	if (!memory_note_of(note, &what))
		return;
	pthread_mutex_lock(&lm->lock);
	n = memory_apply(lm->memory, &lm->settings, &what, alarms);
	lm->notes++;
	lm->alarms += n;
	pthread_mutex_unlock(&lm->lock);
	for (unsigned i = 0; i < n; i++) {
		char held[64] = "";

		if (alarms[i].held_s)
			snprintf(held, sizeof(held), "; none but those it knows for %u minutes",
			    (alarms[i].held_s + 59) / 60);
		events_tell(lm->live->events, note->time_ns, memory_alarm_words[alarms[i].kind],
		    "%s%s: %u recipients in an hour, %u are usual%s", alarms[i].text,
		    alarms[i].internal ? " (internal)" : "", alarms[i].count, alarms[i].allowed,
		    held);
	}
}

/* ---- keeping ---- */

static int write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Whole or not at all. */
static int write_file(const struct live_memory *lm)
{
	char temp[4200];
	int fd, rc;

	snprintf(temp, sizeof(temp), "%s.new", lm->path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, lm->copy, lm->copy_len);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	close(fd);
	if (rc == 0 && rename(temp, lm->path) != 0)
		rc = -errno;
	if (rc)
		unlink(temp);
	return rc;
}

static void *keeper(void *arg)
{
	struct live_memory *lm = arg;

	pthread_mutex_lock(&lm->keep_lock);
	while (!lm->stop || lm->full) {
		int rc;

		if (!lm->full) {
			pthread_cond_wait(&lm->keep_wake, &lm->keep_lock);
			continue;
		}
		pthread_mutex_unlock(&lm->keep_lock);
		rc = write_file(lm); /* nobody touches the copy while it is full */
		pthread_mutex_lock(&lm->keep_lock);
		if (rc && !atomic_load(&lm->error))
			events_tell(lm->live->events, hw_now_ns(), "memory-not-kept", "%s: %s",
			    lm->path, strerror(-rc));
		atomic_store(&lm->error, -rc);
		lm->full = false;
	}
	pthread_mutex_unlock(&lm->keep_lock);
	return NULL;
}

static void keep(struct live_memory *lm, uint32_t now_s)
{
	pthread_mutex_lock(&lm->keep_lock);
	if (!lm->full) { /* else the disk is slow: next time */
		pthread_mutex_lock(&lm->lock);
		lm->copy_len = memory_snapshot(lm->memory, now_s, lm->copy, lm->copy_max);
		lm->kept++;
		pthread_mutex_unlock(&lm->lock);
		lm->full = true;
		pthread_cond_signal(&lm->keep_wake);
	}
	pthread_mutex_unlock(&lm->keep_lock);
}

static void tick(void *arg, uint64_t now_ns)
{
	uint32_t now_s = (uint32_t)(now_ns / 1000000000);
	struct live_memory *lm = arg;

	if (lm->kept_s == 0)
		lm->kept_s = now_s;
	if (now_s < lm->kept_s + LIVE_MEMORY_KEEP_S)
		return;
	lm->kept_s = now_s;
	keep(lm, now_s);
}

/* What is left of another time; damaged: told, and begun anew. */
static void restore(struct live_memory *lm)
{
	int fd = open(lm->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint32_t now_s = (uint32_t)(hw_now_ns() / 1000000000);
	struct stat st;
	char *buf = NULL;
	int rc = -EBADMSG;
	ssize_t n = 0;
	size_t len = 0;

	if (fd < 0)
		return;
	/* of a larger memory, perhaps: what does not fit is left out */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < (off_t)1 << 34)
		buf = malloc((size_t)st.st_size + 1);
	while (buf && len < (size_t)st.st_size &&
	       (n = read(fd, buf + len, (size_t)st.st_size - len)) > 0)
		len += (size_t)n;
	close(fd);
	if (buf && n >= 0)
		rc = memory_restore(lm->memory, buf, len, now_s);
	free(buf);
	if (rc)
		events_tell(lm->live->events, hw_now_ns(), "memory-reset",
		    "%s is damaged: baselines are learned anew", lm->path);
}

/* ---- its life ---- */

int live_memory_open(struct live *l, const struct policy *policy, char **ret_error)
{
	const struct policy_memory *settings = &policy_settings(policy)->memory;
	struct notes_subscriber subscriber = { .kinds = MEMORY_NOTES, .note = on_note, .tick = tick };
	struct live_memory *lm;
	uint8_t key[16];
	int rc;

	if (settings->capacity == 0)
		return 0;
	lm = calloc(1, sizeof(*lm));
	if (!lm)
		return fail(ret_error, ENOMEM, "no memory for the memory of sources");
	l->memory = lm;
	lm->live = l;
	lm->settings = *settings;
	pthread_mutex_init(&lm->lock, NULL);
	pthread_mutex_init(&lm->keep_lock, NULL);
	pthread_cond_init(&lm->keep_wake, NULL);
	snprintf(lm->path, sizeof(lm->path), "%s/memory.snapshot", l->state_dir);
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return fail(ret_error, EIO, "no random bytes for the memory of sources");
	lm->memory = memory_new(settings->capacity, key);
	lm->copy_max = lm->memory ? memory_snapshot_max(lm->memory) : 0;
	lm->copy = lm->memory ? malloc(lm->copy_max) : NULL;
	if (!lm->copy)
		return fail(
		    ret_error, ENOMEM, "no memory for memory.capacity %u", settings->capacity);
	restore(lm);
	rc = pthread_create(&lm->keeper, NULL, keeper, lm);
	if (rc)
		return fail(ret_error, rc, "no thread to keep the memory of sources");
	lm->has_keeper = true;
	subscriber.arg = lm;
	rc = notes_subscribe(l->notes, &subscriber);
	if (rc)
		return fail(ret_error, -rc, "no room for the memory of sources among the notes");
	l->shared.memory = lm->memory;
	return 0;
}

void live_memory_policy(struct live *l, const struct policy *policy)
{
	if (!l->memory)
		return;
	pthread_mutex_lock(&l->memory->lock);
	l->memory->settings = policy_settings(policy)->memory;
	pthread_mutex_unlock(&l->memory->lock);
}

void live_memory_close(struct live *l)
{
	struct live_memory *lm = l->memory;

	if (!lm)
		return;
	if (lm->has_keeper) {
		pthread_mutex_lock(&lm->keep_lock);
		lm->stop = true;
		pthread_cond_signal(&lm->keep_wake);
		pthread_mutex_unlock(&lm->keep_lock);
		pthread_join(lm->keeper, NULL);
		lm->copy_len = memory_snapshot(
		    lm->memory, (uint32_t)(hw_now_ns() / 1000000000), lm->copy, lm->copy_max);
		if (write_file(lm) < 0)
			fprintf(stderr, "postern-dataplane: %s cannot be written\n", lm->path);
	}
	pthread_cond_destroy(&lm->keep_wake);
	pthread_mutex_destroy(&lm->keep_lock);
	pthread_mutex_destroy(&lm->lock);
	memory_free(lm->memory);
	free(lm->copy);
	free(lm);
	l->memory = NULL;
}

/* ---- methods ---- */

static bool is_there(const struct live *l, struct control_error *error)
{
	if (!l->memory)
		control_fail(error, "no_memory_of_sources",
		    "Nothing is remembered: set memory.capacity and restart the dataplane.");
	return l->memory != NULL;
}

static json_t *weeks_json(const uint32_t weeks[MEMORY_WEEKS])
{
	json_t *list = json_array();

	for (unsigned i = 0; i < MEMORY_WEEKS; i++)
		json_array_append_new(list, json_integer(weeks[i]));
	return list;
}

/* Bytes that are no UTF-8 are shown as ?. */
static json_t *text_json(const char *text)
{
	char buf[MEMORY_TEXT];
	size_t len = strnlen(text, sizeof(buf) - 1);
	json_t *json = json_stringn(text, len);

	if (json)
		return json;
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)(text[i] & 0x80 ? '?' : text[i]);
	return json_stringn(buf, len);
}

static json_t *shown_json(const struct memory_shown *s)
{
	json_t *minute = json_object(), *hour = json_object();
	json_t *row = json_pack("{s:s, s:o, s:o, s:o, s:I}", "kind", memory_subject_words[s->kind],
	    "key", text_json(s->text), "minute", minute, "hour", hour, "touched",
	    (json_int_t)s->touched_s);

	for (unsigned i = 0; i < MEMORY_N_MEASURES; i++) {
		json_object_set_new(minute, memory_measure_words[i], json_integer(s->minute[i]));
		json_object_set_new(hour, memory_measure_words[i], json_integer(s->hour[i]));
	}
	if (s->kind < MEMORY_SHOW_SENDER_BASELINE)
		return row;
	json_object_set_new(row, "allowed", json_integer(s->allowed));
	json_object_set_new(row, "strangers", json_integer(s->strangers));
	if (s->held_s)
		json_object_set_new(row, "held_until", json_integer(s->held_s));
	json_object_set_new(row, "weeks", weeks_json(s->weeks));
	json_object_set_new(row, "weeks_strangers", weeks_json(s->weeks_strangers));
	return row;
}

static uint64_t busy(const struct memory_shown *s)
{
	uint64_t n = s->strangers;

	for (unsigned i = 0; i < MEMORY_N_MEASURES; i++)
		n += s->hour[i];
	return n;
}

/* Keeps the `top` busiest, busiest first: insertion into a short array. */
static void keep_top(
    struct memory_shown *best, unsigned *n, unsigned top, const struct memory_shown *s)
{
	unsigned at = *n < top ? (*n)++ : top;

	if (at == top) {
		if (busy(&best[top - 1]) >= busy(s))
			return;
		at = top - 1;
	}
	while (at > 0 && busy(&best[at - 1]) < busy(s)) {
		best[at] = best[at - 1];
		at--;
	}
	best[at] = *s;
}

json_t *live_memory_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	const char *key = json_string_value(json_object_get(params, "key"));
	const char *kind = json_string_value(json_object_get(params, "kind"));
	json_int_t top = json_integer_value(json_object_get(params, "top"));
	uint32_t now_s = (uint32_t)(hw_now_ns() / 1000000000), cursor = 0;
	struct memory_shown shown, *best;
	struct live *l = arg;
	struct memory_counts counts;
	json_t *rows, *result;
	unsigned n = 0, wanted = 0;

	(void)fds, (void)n_fds;
	if (!is_there(l, error))
		return NULL;
	while (kind && wanted < MEMORY_N_SHOWN && strcmp(kind, memory_subject_words[wanted]) != 0)
		wanted++;
	if (wanted == MEMORY_N_SHOWN)
		return control_fail(error, "bad_params",
		    "`kind` is address, prefix, sender, sender-domain, recipient, "
		    "recipient-domain, "
		    "bounces, sender-baseline or domain-baseline.");
	if (top < 0 || top > SHOW_MAX || (key && strlen(key) > SHOW_TEXT))
		return control_fail(error, "bad_params", "`top` is a number up to %d.", SHOW_MAX);
	top = top ? top : 20;
	best = calloc((size_t)top, sizeof(*best));
	if (!best)
		return control_fail(error, "no_memory", "No memory.");
	pthread_mutex_lock(&l->memory->lock);
	while (memory_next(l->memory->memory, &l->memory->settings, now_s, &cursor, &shown)) {
		if ((kind && shown.kind != wanted) ||
		    (key && strncasecmp(shown.text, key, MEMORY_NAME_MAX) != 0))
			continue;
		keep_top(best, &n, (unsigned)top, &shown);
	}
	counts = memory_counts(l->memory->memory);
	pthread_mutex_unlock(&l->memory->lock);
	rows = json_array();
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(rows, shown_json(&best[i]));
	free(best);
	result = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rows", rows, "counted",
	    (json_int_t)counts.meters, "slots", (json_int_t)counts.slots, "baselines",
	    (json_int_t)counts.profiles, "known", (json_int_t)counts.known, "unknown",
	    (json_int_t)counts.unknown, "displaced", (json_int_t)counts.displaced, "not_kept",
	    (json_int_t)counts.not_kept);
	return result;
}

/* The parameter `key`; NULL: there is none, or no memory, and `error` says so. */
static const char *key_of(
    const struct live *l, const json_t *params, const char *what, struct control_error *error)
{
	const char *key = json_string_value(json_object_get(params, "key"));

	if (!is_there(l, error))
		return NULL;
	if (!key || !*key || strlen(key) >= SHOW_TEXT) {
		control_fail(error, "bad_params", "%s", what);
		return NULL;
	}
	return key;
}

json_t *live_memory_forget(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const char *key = key_of(l, params,
	    "`key` is an address, network, sender, recipient or domain, as memory.show prints it.",
	    error);
	unsigned n;

	(void)fds, (void)n_fds;
	if (!key)
		return NULL;
	pthread_mutex_lock(&l->memory->lock);
	n = memory_forget(l->memory->memory, 0, key);
	pthread_mutex_unlock(&l->memory->lock);
	if (n == 0)
		return control_fail(error, "not_found", "Nothing is remembered of it.");
	return json_pack("{s:i}", "forgotten", (int)n);
}

json_t *live_memory_release(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const char *key = key_of(l, params, "`key` is a sender, as memory.show prints it.", error);
	unsigned n;

	(void)fds, (void)n_fds;
	if (!key)
		return NULL;
	pthread_mutex_lock(&l->memory->lock);
	n = memory_release(l->memory->memory, key);
	pthread_mutex_unlock(&l->memory->lock);
	if (n == 0)
		return control_fail(error, "not_found", "No baseline of such a sender.");
	return json_pack("{s:i}", "released", (int)n);
}
