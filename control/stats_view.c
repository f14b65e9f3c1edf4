/* SPDX-License-Identifier: BSD-3-Clause */
/* The statistics file as JSON (stats_view.h). */
#include "stats_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool sound(const struct stats_file *file, size_t len)
{
	return len >= sizeof(*file) && file->magic == STATS_MAGIC && file->layout == 3 &&
	       file->n_workers <= STATS_MAX_WORKERS && file->n_counters <= STATS_MAX_COUNTERS &&
	       file->n_servers <= STATS_MAX_SERVERS &&
	       len - sizeof(*file) >= file->n_workers * sizeof(file->workers[0]);
}

int stats_view_read(const char *path, struct stats_file **ret_file)
{
	const size_t max =
	    sizeof(struct stats_file) + STATS_MAX_WORKERS * sizeof(struct stats_worker);
	struct stats_file *file = NULL;
	struct stat st;
	int ret = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(*file))
		ret = -EBADMSG;
	size_t size = ret != 0 ? 0 : (size_t)st.st_size < max ? (size_t)st.st_size : max;
	if (ret == 0 && (file = aligned_alloc(64, (size + 63) / 64 * 64)) == NULL)
		ret = -ENOMEM;
	if (ret == 0) {
		ssize_t n = pread(fd, file, size, 0);
		if (n < 0)
			ret = -errno;
		else if (!sound(file, (size_t)n))
			ret = -EBADMSG;
	}
	close(fd);
	if (ret == 0)
		*ret_file = file;
	else
		free(file);
	return ret;
}

uint64_t stats_view_counter(const struct stats_file *file, unsigned index)
{
	uint64_t total = 0;
	for (unsigned w = 0; w < file->n_workers; w++)
		total += file->workers[w].counters[index];
	return total;
}

struct stats_rule stats_view_rule(const struct stats_file *file, unsigned number)
{
	struct stats_rule sum = { 0 };
	for (unsigned w = 0; w < file->n_workers; w++) {
		sum.hits += file->workers[w].rules[number].hits;
		sum.shadow += file->workers[w].rules[number].shadow;
	}
	return sum;
}

/* Bytes of another process: cut at their bound, and what is not ASCII is a '?'. */
static json_t *text_of(const char *text, size_t size)
{
	char clean[STATS_TEXT_LEN];
	size_t len = strnlen(text, size < sizeof(clean) ? size : sizeof(clean));
	for (size_t i = 0; i < len; i++)
		clean[i] = text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?';
	return json_stringn(clean, len);
}

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *workers_json(const struct stats_file *file)
{
	json_t *list = json_array();
	for (unsigned w = 0; w < file->n_workers; w++) {
		const struct stats_worker *worker = &file->workers[w];
		double all = (double)worker->busy_tsc + (double)worker->idle_tsc;
		json_array_append_new(list,
		    json_pack("{s:o, s:f, s:o, s:o}", "turns", number(worker->turns), "busy",
			all > 0 ? (double)worker->busy_tsc / all : 0.0, "last_turn_ns",
			number(worker->last_turn_ns), "max_turn_ns", number(worker->max_turn_ns)));
	}
	return list;
}

static json_t *counters_json(const struct stats_file *file)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < file->n_counters; i++) {
		const struct stats_name *name = &file->names[i];
		json_t *each = json_array();
		uint64_t total = 0;
		for (unsigned w = 0; w < file->n_workers; w++) {
			total += file->workers[w].counters[i];
			json_array_append_new(each, number(file->workers[w].counters[i]));
		}
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o, s:o}", "name",
						text_of(name->name, sizeof(name->name)), "kind",
						name->kind == STATS_GAUGE ? "gauge" : "counter",
						"text", text_of(name->text, sizeof(name->text)),
						"total", number(total), "workers", each));
	}
	return list;
}

/* Workers find out each by itself: an operator's word first, then the good news. */
const char *stats_view_state(const struct stats_file *file, unsigned server)
{
	bool up = false, down = false;
	for (unsigned w = 0; w < file->n_workers; w++) {
		switch (file->workers[w].servers[server].state) {
		case SERVER_DRAINED: return "drained";
		case SERVER_UP: up = true; break;
		case SERVER_DOWN: down = true; break;
		default: break;
		}
	}
	return up ? "up" : down ? "down" : "unknown";
}

static json_t *servers_json(const struct stats_file *file)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < file->n_servers; i++) {
		struct stats_server sum = { 0 };
		for (unsigned w = 0; w < file->n_workers; w++) {
			const struct stats_server *one = &file->workers[w].servers[i];
			sum.active += one->active;
			sum.idle += one->idle;
			sum.waiting += one->waiting;
			sum.connects += one->connects;
			sum.failures += one->failures;
			sum.messages += one->messages;
		}
		json_array_append_new(
		    list, json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			      text_of(file->server_names[i], STATS_NAME_LEN), "state",
			      stats_view_state(file, i), "active", number(sum.active), "idle",
			      number(sum.idle), "waiting", number(sum.waiting), "connects",
			      number(sum.connects), "failures", number(sum.failures), "messages",
			      number(sum.messages)));
	}
	return list;
}

/* Only rows in which somebody gave up: most classes and paces are not in use. */
static json_t *gave_up_json(const struct stats_file *file)
{
	json_t *list = json_array();
	for (unsigned c = 0; c < STATS_CLASSES; c++) {
		for (unsigned p = 0; p < STATS_PACES; p++) {
			json_t *ages = json_array();
			uint64_t total = 0;
			for (unsigned a = 0; a < STATS_AGES; a++) {
				uint64_t sum = 0;
				for (unsigned w = 0; w < file->n_workers; w++)
					sum += file->workers[w].gave_up[c][p][a];
				total += sum;
				json_array_append_new(ages, number(sum));
			}
			if (total == 0) {
				json_decref(ages);
				continue;
			}
			json_array_append_new(
			    list, json_pack("{s:i, s:o, s:i, s:o, s:o}", "class", (int)c, "name",
				      text_of(file->class_names[c], STATS_NAME_LEN),
				      "pace_below_ms", p == STATS_PACES - 1 ? 0 : 250 << p, "total",
				      number(total), "within", ages));
		}
	}
	return list;
}

static json_t *rules_json(const struct stats_file *file)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < STATS_MAX_RULES; i++) {
		if (file->rule_names[i][0] == '\0')
			continue;
		struct stats_rule sum = stats_view_rule(file, i);
		json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:o}", "rule", (int)i, "name",
						text_of(file->rule_names[i], STATS_NAME_LEN), "hits",
						number(sum.hits), "shadow", number(sum.shadow)));
	}
	return list;
}

json_t *stats_view_json(const struct stats_file *file)
{
	return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "build",
	    text_of(file->build, sizeof(file->build)), "pid", (json_int_t)file->pid, "epoch",
	    (json_int_t)file->policy_epoch, "started_ns", number(file->started_ns), "memory_bytes",
	    number(file->memory_bytes), "workers", workers_json(file), "counters",
	    counters_json(file), "servers", servers_json(file), "gave_up", gave_up_json(file),
	    "rules", rules_json(file));
}
