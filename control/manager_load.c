/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a configuration becomes the running policy: compiled and written beside in the job thread,
 * handed over, and committed (a rename) only once the dataplane has said yes, so that what it
 * refuses never becomes the image it is restarted from. Without a dataplane it is committed at once.
 */
#include "config_diff.h"
#include "history.h"
#include "methods.h"
#include "override.h"
#include "patterns_cache.h"
#include "rpc.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load {
	struct job job;
	bool compiled; /* the job has ended well */
	/* asked */
	int call;
	const char *how;
	char *path, *reason, *state, *config;
	char user[MANAGER_USER_MAX];
	uint32_t rollback, epoch;
	bool read_file;
	json_t *overrides;
	json_t *undo;
	/* what is in force; the image is the manager's, and stays while a load is under way */
	const struct image *current;
	struct source before;
	json_t *before_overrides, *before_files;
	/* found */
	struct source source;
	struct image *image;
	struct complaints complaints;
	json_t *row, *diff;
	int error;
	const char *why;
};

static char *copy_of(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

static void source_fini(struct source *s)
{
	free(s->path);
	free(s->text);
	*s = (struct source){ NULL, NULL, 0 };
}

static bool source_copy(struct source *to, const struct source *from)
{
	to->path = copy_of(from->path);
	to->len = from->len;
	to->text = from->text == NULL ? NULL : malloc(from->len + 1);
	if (to->text != NULL)
		memcpy(to->text, from->text, from->len + 1);
	return (from->path == NULL || to->path != NULL) && (from->text == NULL || to->text != NULL);
}

void manager_load_free(struct load *load)
{
	if (load == NULL)
		return;
	free(load->path);
	free(load->reason);
	free(load->state);
	free(load->config);
	source_fini(&load->before);
	source_fini(&load->source);
	image_free(load->image);
	complaints_fini(&load->complaints);
	json_decref(load->overrides);
	json_decref(load->before_overrides);
	json_decref(load->before_files);
	json_decref(load->row);
	json_decref(load->diff);
	json_decref(load->undo);
	free(load);
}

/* ---- in the job thread ---- */

static void describe(struct load *load, const struct config *config, json_t *files)
{
	struct complaints quiet;
	char hex[IMAGE_HEX_LEN + 1] = "", *kept = history_kept(load->state);
	uint64_t len;
	complaints_init(&quiet);
	struct config *old = load->before.text == NULL
				 ? NULL
				 : config_parse_with(load->before.path, load->before.text,
				       load->before.len, load->before_overrides, &quiet);
	const struct diff_side before = { old, load->before_files }, after = { config, files };
	load->diff = config_diff(&before, &after, kept);
	json_t *drift = old == NULL ? json_array() : config_drift(&before, load->diff);
	history_hash(load->config, hex, &len);
	load->row = json_pack(
	    "{s:I, s:I, s:s, s:s, s:s?, s:s, s:{s:O, s:O, s:O}, s:I, s:O?, s:o, s:o, "
	    "s:s}",
	    "epoch", (json_int_t)load->epoch, "time", (json_int_t)manager_time(), "user", load->user,
	    "how", load->how, "reason", load->reason, "path", load->source.path, "changes", "keys",
	    json_object_get(load->diff, "n_keys"), "added", json_object_get(load->diff, "n_added"),
	    "removed", json_object_get(load->diff, "n_removed"), "addresses",
	    (json_int_t)load->image->n_addresses, "overrides", load->overrides, "files", files,
	    "drift", drift, "file_sha256", hex);
	if (load->rollback != 0)
		json_object_set_new(load->row, "of", json_integer(load->rollback));
	config_free(old);
	complaints_fini(&quiet);
	free(kept);
}

static void fetch_rollback(struct load *load)
{
	json_t *row = history_row(load->state, load->rollback);
	const char *path = json_string_value(json_object_get(row, "path"));
	struct complaints quiet;
	complaints_init(&quiet);
	load->error = history_image(load->state, load->rollback, &load->image);
	if (load->error == 0)
		load->error = image_renumber(load->image, load->epoch);
	if (load->error == 0)
		load->error = history_source(
		    load->state, load->rollback, &load->source.text, &load->source.len);
	load->source.path = strdup(path == NULL ? load->config : path);
	json_decref(load->overrides);
	load->overrides = json_deep_copy(json_object_get(row, "overrides"));
	if (load->error == 0) {
		json_t *files = json_deep_copy(json_object_get(row, "files"));
		struct config *config = config_parse_with(load->source.path, load->source.text,
		    load->source.len, load->overrides, &quiet);
		load->image->n_addresses =
		    (unsigned long)json_integer_value(json_object_get(row, "addresses"));
		describe(load, config, files == NULL ? json_array() : files);
		config_free(config);
	} else {
		load->why = "That epoch is not kept; `posternctl history` lists those that are.";
	}
	complaints_fini(&quiet);
	json_decref(row);
}

static void progress(void *arg, unsigned done, unsigned total, const char *what)
{
	struct load *load = arg;
	(void)what;
	atomic_store(&load->job.percent, 30 + 50 * done / (total == 0 ? 1 : total));
}

static struct image *compile_image(struct load *load, const struct config *config)
{
	char *cache = NULL;
	if (asprintf(&cache, "%s/patterns", load->state) < 0)
		cache = NULL;
	const struct compile_options how = { .cache = cache, .progress = progress, .arg = load };
	struct image *image = image_compile(config, load->epoch, &how, &load->complaints);
	if (image != NULL && cache != NULL)
		patterns_cache_trim(cache);
	free(cache);
	return image;
}

static void compile(struct load *load)
{
	struct config *config = NULL;
	if (load->read_file) {
		source_fini(&load->source);
		load->source.path = strdup(load->path);
		load->error = config_text(
		    load->path, &load->source.text, &load->source.len, &load->complaints);
		if (load->error != 0)
			return;
	}
	atomic_store(&load->job.percent, 5);
	config = config_parse_with(load->source.path, load->source.text, load->source.len,
	    load->overrides, &load->complaints);
	atomic_store(&load->job.percent, 20);
	/* stamps first: what changes while we compile is seen as a change */
	json_t *files = config == NULL ? NULL : history_files(load->state, config);
	atomic_store(&load->job.percent, 30);
	if (config != NULL)
		load->image = compile_image(load, config);
	atomic_store(&load->job.percent, 80);
	if (load->image == NULL)
		load->error = -EINVAL;
	else
		describe(load, config, json_incref(files));
	json_decref(files);
	config_free(config);
}

static bool is_same(const struct load *load)
{
	return load->current != NULL && image_same(load->image, load->current);
}

static void run_load(struct job *job)
{
	struct load *load = (struct load *)job;
	if (load->rollback != 0)
		fetch_rollback(load);
	else
		compile(load);
	atomic_store(&job->percent, 90);
	if (load->error != 0)
		return;
	load->error = history_prepare(
	    load->state, load->image, load->source.text, load->source.len, load->row);
	if (load->error != 0)
		load->why = "The policy cannot be kept in the state directory.";
	atomic_store(&job->percent, 100);
}

/* ---- in the manager's ---- */

static void set_problem(struct manager *m, const char *text)
{
	free(m->problem);
	m->problem = copy_of(text);
}

uint32_t manager_next_epoch(const struct manager *m)
{
	json_int_t its = json_integer_value(json_object_get(m->hello, "epoch"));
	uint32_t mine = m->current == NULL ? 0 : m->current->header.epoch;
	return (its > mine && its < UINT32_MAX ? (uint32_t)its : mine) + 1;
}

const struct image *manager_load_image(const struct manager *m)
{
	return m->load != NULL && m->load->compiled ? m->load->image : NULL;
}

unsigned manager_load_percent(const struct manager *m)
{
	return m->load == NULL ? 0 : atomic_load(&m->load->job.percent);
}

/* The first load has ended. Where nothing could be compiled and nothing was kept, nothing can be
 * served; what the dataplane refused may please the next one. */
static void started(struct manager *m, bool compiled)
{
	if (!m->starting)
		return;
	m->starting = false;
	if (m->current == NULL && !compiled)
		m->stop = m->failed = true;
	else
		manager_log("serving %s", m->options->run);
}

static void refuse(struct manager *m, int code, const char *message, json_t *data)
{
	struct load *load = m->load;
	int call = load->call;
	m->load = NULL;
	history_forget(m->options->state);
	manager_log("load refused, the policy of epoch %u stays: %s",
	    m->current == NULL ? 0 : m->current->header.epoch, message);
	bool asked = strcmp(load->how, "set") != 0; /* a wrong `set` is no state of the appliance */
	if (asked)
		set_problem(m, message);
	if (strcmp(load->how, "files") == 0)
		manager_alarm(m, "files", message);
	manager_watch_settled(m);
	bool compiled = load->compiled;
	manager_load_free(load);
	manager_fail(m, call, code, message, data);
	started(m, compiled);
	manager_synchronize(m);
}

static void refuse_compiled(struct manager *m)
{
	struct load *load = m->load;
	char *text = load->why == NULL ? complaints_text(&load->complaints) : NULL;
	bool gone = load->rollback != 0 && load->image == NULL;
	refuse(m,
	    load->why == NULL ? RPC_BAD_CONFIG
	    : gone            ? RPC_INVALID_PARAMS
			      : RPC_INTERNAL,
	    text != NULL        ? text
	    : load->why != NULL ? load->why
				: "The configuration is wrong.",
	    load->why == NULL ? complaints_json(&load->complaints) : NULL);
	free(text);
}

/* What the load found is in force from here on. */
static void adopt(struct manager *m, struct load *load)
{
	source_fini(&m->source);
	m->source = load->source;
	load->source = (struct source){ NULL, NULL, 0 };
	json_decref(m->overrides);
	m->overrides =
	    json_is_array(load->overrides) ? json_deep_copy(load->overrides) : json_array();
	int ret = state_save(m->options->state, "overrides.json", m->overrides);
	if (ret != 0)
		manager_log("settings are not kept over a restart: %s", strerror(-ret));
	json_decref(m->row);
	m->row = json_deep_copy(load->row);
	m->keep_ms = 0; /* how long events are kept may have changed */
}

static json_t *result_of(
    const struct manager *m, const struct load *load, uint32_t previous, bool changed)
{
	enum { TOLD = 20 }; /* the rest is for `diff` */
	const json_t *all = json_object_get(load->diff, "keys");
	json_t *keys = json_array();
	for (size_t i = 0; i < json_array_size(all) && i < TOLD; i++)
		json_array_append(keys, json_array_get(all, i));
	return json_pack("{s:I, s:I, s:b, s:b, s:O?, s:O?, s:o}", "epoch",
	    (json_int_t)m->current->header.epoch, "previous", (json_int_t)previous, "changed",
	    changed, "running", m->synced, "needs_restart", m->needs_restart, "changes",
	    json_object_get(load->row, "changes"), "keys", keys);
}

static void answer_load(struct manager *m, struct load *load, uint32_t previous, bool changed)
{
	json_t *result = result_of(m, load, previous, changed);
	int call = load->call;
	if (load->undo != NULL)
		json_object_set(result, "undo", load->undo);
	else if (changed && previous != 0)
		json_object_set_new(result, "undo",
		    method_undo_step("policy.rollback",
			json_pack("{s:I, s:s}", "epoch", (json_int_t)previous, "reason", "undo"),
			"%s of %s", load->how, m->source.path));
	manager_alarm_clear(m, "files");
	manager_watch_settled(m);
	manager_load_free(load);
	manager_reply(m, call, result);
	started(m, true);
}

static void raise_drift(struct manager *m, const struct load *load)
{
	const json_t *drift = json_object_get(load->row, "drift");
	for (size_t i = 0; i < json_array_size(drift); i++) {
		char text[1200];
		snprintf(text, sizeof(text), "%s (%s by %s, epoch %u)",
		    json_string_value(json_array_get(drift, i)), load->how, load->user, load->epoch);
		manager_alarm(m, "drift", text);
	}
}

/* The load's image becomes the policy. `result` of the dataplane, NULL where there is none. */
static void commit(struct manager *m, const json_t *result)
{
	struct load *load = m->load;
	uint32_t previous = m->current == NULL ? 0 : m->current->header.epoch;
	int ret = history_commit(m->options->state, load->epoch);
	if (ret != 0)
		manager_log("epoch %u is not kept in %s: %s", load->epoch, m->options->state,
		    strerror(-ret));
	image_free(m->current);
	m->current = load->image;
	load->image = NULL;
	m->load = NULL;
	m->synced = result != NULL;
	set_problem(m, NULL);
	adopt(m, load);
	const json_t *restart = json_object_get(result, "needs_restart");
	json_decref(m->needs_restart);
	m->needs_restart = json_is_array(restart) ? json_deep_copy(restart) : NULL;
	manager_log("epoch %u committed (%s by %s%s%s)%s%s", load->epoch, load->how, load->user,
	    load->reason == NULL ? "" : ": ", load->reason == NULL ? "" : load->reason,
	    result == NULL ? "; no dataplane is there to take it yet" : "",
	    json_array_size(m->needs_restart) != 0 ? "; a part of it waits for a restart" : "");
	raise_drift(m, load);
	answer_load(m, load, previous, true);
}

void manager_load_told(
    struct manager *m, const json_t *result, int code, const char *message, const char *word)
{
	if (result != NULL)
		commit(m, result);
	else
		refuse(m, code, message, word == NULL ? NULL : json_pack("{s:s}", "code", word));
}

static void load_done(void *arg, struct job *job)
{
	struct manager *m = arg;
	struct load *load = (struct load *)job;
	load->compiled = load->error == 0;
	if (!load->compiled) {
		refuse_compiled(m);
	} else if (is_same(load) && (m->synced || m->link.fd < 0 || load->call < 0)) {
		m->load = NULL;
		history_forget(m->options->state);
		set_problem(m, NULL);
		adopt(m, load);
		manager_log(
		    "%s is what epoch %u holds already", m->source.path, m->current->header.epoch);
		answer_load(m, load, m->current->header.epoch, false);
		manager_synchronize(m);
	} else if (m->link.fd >= 0) {
		manager_hand_over(m, false);
	} else {
		commit(m, NULL);
	}
}

void manager_load(struct manager *m, int call, const struct load_order *order)
{
	struct load *load = NULL;
	if (m->load != NULL || m->handing_over) {
		manager_log("%s: another load is under way", order->how);
		json_decref(order->overrides);
		json_decref(order->undo);
		manager_fail(m, call, RPC_BUSY, "Another load is under way; try again.", NULL);
		return;
	}
	load = calloc(1, sizeof(*load));
	if (load == NULL)
		goto no_memory;
	complaints_init(&load->complaints);
	load->job.run = run_load;
	load->job.done = load_done;
	load->call = call;
	load->how = order->how;
	load->rollback = order->rollback;
	load->read_file = order->path != NULL || m->source.text == NULL;
	load->path = strdup(order->path == NULL ? m->options->config : order->path);
	load->reason = copy_of(order->reason);
	load->state = strdup(m->options->state);
	load->config = strdup(m->options->config);
	load->undo = json_incref(order->undo);
	load->epoch = manager_next_epoch(m);
	load->current = m->current;
	load->overrides =
	    order->overrides != NULL ? json_incref(order->overrides) : json_deep_copy(m->overrides);
	load->before_overrides = json_deep_copy(m->overrides);
	load->before_files = json_deep_copy(json_object_get(m->row, "files"));
	if (call < 0)
		snprintf(load->user, sizeof(load->user), "postern-manager");
	else
		manager_user(m->calls[call].uid, load->user);
	if (load->path == NULL || load->state == NULL || load->config == NULL ||
	    !source_copy(&load->before, &m->source) ||
	    (!load->read_file && !source_copy(&load->source, &m->source)) ||
	    jobs_add(m->jobs, &load->job) != 0)
		goto no_memory;
	m->load = load;
	json_decref(order->overrides);
	json_decref(order->undo);
	return;
no_memory:
	manager_load_free(load);
	json_decref(order->overrides);
	json_decref(order->undo);
	manager_fail(m, call, RPC_BUSY, "Too much is under way; try again.", NULL);
}
