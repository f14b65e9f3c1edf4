/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods of the configuration's life (methods.h): check, load, diff, history, settings. */
#include "config_diff.h"
#include "config_walk.h"
#include "history.h"
#include "methods.h"
#include "override.h"
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOR_MAX_S = 3650 * 86400 };

/* The parameter `path`; false with the failure sent. */
static bool path_of(struct manager *m, int call, const json_t *params, bool needed, const char **ret)
{
	if (!method_text(m, call, params, "path", needed, ret))
		return false;
	if (*ret == NULL || **ret == '/')
		return true;
	manager_fail(
	    m, call, RPC_INVALID_PARAMS, "The parameter path must be an absolute path.", NULL);
	return false;
}

static void serve_load(struct manager *m, int call, const json_t *params)
{
	struct load_order order = { .how = "load" };
	if (path_of(m, call, params, true, &order.path) &&
	    method_text(m, call, params, "reason", false, &order.reason))
		manager_load(m, call, &order);
}

static void serve_reload(struct manager *m, int call, const json_t *params)
{
	struct load_order order = { .how = "reload", .path = m->options->config };
	if (method_text(m, call, params, "reason", false, &order.reason))
		manager_load(m, call, &order);
}

static void serve_rollback(struct manager *m, int call, const json_t *params)
{
	struct load_order order = { .how = "rollback" };
	json_int_t epoch = 0;
	if (!method_number(m, call, params, "epoch", true, UINT32_MAX, &epoch) ||
	    !method_text(m, call, params, "reason", false, &order.reason))
		return;
	order.rollback = (uint32_t)epoch;
	if (epoch == 0)
		manager_fail(m, call, RPC_INVALID_PARAMS, "There is no epoch 0.", NULL);
	else
		manager_load(m, call, &order);
}

static void serve_history(struct manager *m, int call, const json_t *params)
{
	json_t *rows = history_rows(m->options->state);
	(void)params;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_object_del(json_array_get(rows, i), "files");
		json_object_del(json_array_get(rows, i), "file_sha256");
	}
	manager_reply(m, call,
	    json_pack("{s:o, s:I}", "epochs", rows, "current",
		(json_int_t)(m->current == NULL ? 0 : m->current->header.epoch)));
}

/* ---- looking: in the job thread ---- */

struct look {
	struct job job;
	int call;
	char *state;
	struct side {
		uint32_t epoch; /* not 0: that one of history */
		char *path;     /* else this file, with `overrides`; NULL: text */
		char *text;
		size_t len;
		json_t *overrides, *files;
		struct config *config;
	} old, new;
	bool differs; /* diff; else check */
	const struct image *current;
	struct complaints complaints;
	json_t *result;
	bool missing;
};

static void side_fini(struct side *s)
{
	free(s->path);
	free(s->text);
	json_decref(s->overrides);
	json_decref(s->files);
	config_free(s->config);
}

static bool read_side(struct look *look, struct side *s)
{
	if (s->epoch != 0) {
		json_t *row = history_row(look->state, s->epoch);
		const char *path = json_string_value(json_object_get(row, "path"));
		s->path = strdup(path == NULL ? "?" : path);
		s->overrides = json_deep_copy(json_object_get(row, "overrides"));
		s->files = json_deep_copy(json_object_get(row, "files"));
		look->missing =
		    row == NULL || history_source(look->state, s->epoch, &s->text, &s->len) != 0;
		json_decref(row);
		if (look->missing)
			return false;
	} else if (s->text == NULL &&
		   config_text(s->path, &s->text, &s->len, &look->complaints) != 0) {
		return false;
	}
	s->config = config_parse_with(s->path, s->text, s->len, s->overrides, &look->complaints);
	if (s->config != NULL && s->files == NULL)
		s->files = history_files(look->state, s->config);
	return s->config != NULL;
}

static void run_look(struct job *job)
{
	struct look *look = (struct look *)job;
	char *kept = history_kept(look->state);
	if (look->differs) {
		if (read_side(look, &look->old) && read_side(look, &look->new)) {
			const struct diff_side old = { look->old.config, look->old.files },
					       new = { look->new.config, look->new.files };
			look->result = config_diff(&old, &new, kept);
			json_object_set_new(look->result, "drift", config_drift(&old, look->result));
		}
	} else if (read_side(look, &look->new)) {
		struct image *image = image_compile(look->new.config, 1, NULL, &look->complaints);
		if (image != NULL)
			look->result = json_pack("{s:b, s:I}", "changes",
			    look->current == NULL || !image_same(image, look->current), "addresses",
			    (json_int_t)image->n_addresses);
		image_free(image);
	}
	free(kept);
}

static void look_done(void *arg, struct job *job)
{
	struct manager *m = arg;
	struct look *look = (struct look *)job;
	if (look->result != NULL) {
		if (look->differs)
			json_object_set(look->result, "overrides", m->overrides);
		manager_reply(m, look->call, json_incref(look->result));
	} else if (look->missing) {
		manager_fail(m, look->call, RPC_INVALID_PARAMS,
		    "That epoch is not kept; `posternctl history` lists those that are.", NULL);
	} else {
		char *text = complaints_text(&look->complaints);
		manager_fail(m, look->call, RPC_BAD_CONFIG,
		    text == NULL ? "The configuration is wrong." : text,
		    complaints_json(&look->complaints));
		free(text);
	}
	side_fini(&look->old);
	side_fini(&look->new);
	complaints_fini(&look->complaints);
	json_decref(look->result);
	free(look->state);
	free(look);
}

static struct look *look_new(const struct manager *m, int call)
{
	struct look *look = calloc(1, sizeof(*look));
	if (look == NULL)
		return NULL;
	complaints_init(&look->complaints);
	look->job.run = run_look;
	look->job.done = look_done;
	look->call = call;
	look->state = strdup(m->options->state);
	return look;
}

static void side_in_force(const struct manager *m, struct side *s)
{
	s->path = m->source.path == NULL ? NULL : strdup(m->source.path);
	s->text = m->source.text == NULL ? NULL : malloc(m->source.len + 1);
	if (s->text != NULL)
		memcpy(s->text, m->source.text, m->source.len + 1);
	s->len = m->source.len;
	s->overrides = json_deep_copy(m->overrides);
	s->files = json_deep_copy(json_object_get(m->row, "files"));
}

static void start_look(struct manager *m, struct look *look)
{
	if (look == NULL || jobs_add(m->jobs, &look->job) == 0)
		return;
	manager_fail(m, look->call, RPC_BUSY, "Too much is under way; try again.", NULL);
	look->call = -1;
	look_done(m, &look->job);
}

static void serve_check(struct manager *m, int call, const json_t *params)
{
	const char *path;
	if (!path_of(m, call, params, true, &path))
		return;
	struct look *look = look_new(m, call);
	if (look != NULL)
		look->new.path = strdup(path);
	if (look != NULL && m->load == NULL) /* else it may be freed meanwhile */
		look->current = m->current;
	start_look(m, look);
}

static void serve_diff(struct manager *m, int call, const json_t *params)
{
	const char *path;
	json_int_t from = 0, to = 0;
	if (!path_of(m, call, params, false, &path) ||
	    !method_number(m, call, params, "from", false, UINT32_MAX, &from) ||
	    !method_number(m, call, params, "to", false, UINT32_MAX, &to))
		return;
	if (m->source.text == NULL && (from == 0 || to == 0)) {
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "What the policy in force was made from is not known.", NULL);
		return;
	}
	struct look *look = look_new(m, call);
	if (look == NULL)
		return;
	look->differs = true;
	if (from != 0)
		look->old.epoch = (uint32_t)from;
	else
		side_in_force(m, &look->old);
	if (to != 0) {
		look->new.epoch = (uint32_t)to;
	} else if (from != 0) {
		side_in_force(m, &look->new);
	} else {
		look->new.path = strdup(path == NULL ? m->options->config : path);
		look->new.overrides = json_deep_copy(m->overrides);
	}
	start_look(m, look);
}

/* ---- settings laid over the file ---- */

/* "pools[main].x" is "pools.main.x"; brackets are for names with dots or of digits alone. */
static void canonical(const char *key, char ret_key[CONFIG_PATH_MAX])
{
	size_t n = 0;
	for (const char *p = key; *p != '\0' && n + 2 < CONFIG_PATH_MAX; p++) {
		const char *end = *p == '[' ? strchr(p, ']') : NULL;
		size_t len = end == NULL ? 0 : (size_t)(end - p - 1);
		if (end != NULL && len != 0 && len < CONFIG_PATH_MAX - n - 2 &&
		    memchr(p + 1, '.', len) == NULL && strspn(p + 1, "0123456789") < len) {
			ret_key[n++] = '.';
			memcpy(ret_key + n, p + 1, len);
			n += len;
			p = end;
		} else {
			ret_key[n++] = *p;
		}
	}
	ret_key[n] = '\0';
}

/* DPDK's arguments, hence root's power, and files that the manager reads. */
static bool takes_admin(const char *key)
{
	const char *dot = strrchr(key, '.');
	const struct schema_key last = { .name = dot == NULL ? key : dot + 1, .type = SCHEMA_TEXT };
	return strncmp(key, "host", 4) == 0 || config_is_file(&last);
}

struct change {
	struct manager *m;
	int call;
	json_t *overrides;   /* as they will be */
	json_t *set, *reset; /* what takes it back */
	char what[256];
};

/* "KEY SENTENCE"; returns false. */
static bool fail(struct change *c, int code, const char *key, const char *sentence)
{
	char why[512];
	snprintf(why, sizeof(why), "%.200s%s%s", key, *key == '\0' ? "" : " ", sentence);
	manager_fail(c->m, c->call, code, why, NULL);
	return false;
}

static void remember(struct change *c, const char *key)
{
	const json_t *old = overrides_find(c->m->overrides, key);
	size_t have = strlen(c->what);
	if (old == NULL)
		json_array_append_new(c->reset, json_string(key));
	else
		json_array_append_new(c->set,
		    json_pack("{s:s, s:O, s:O}", "key", key, "value", json_object_get(old, "value"),
			"until", json_object_get(old, "until")));
	snprintf(c->what + have, sizeof(c->what) - have, "%s%s", have == 0 ? "" : ", ", key);
}

static bool change_set(struct change *c, const json_t *one, const char *user, const char *reason)
{
	const char *key = json_string_value(json_object_get(one, "key"));
	const char *value = json_string_value(json_object_get(one, "value"));
	json_int_t for_s = json_integer_value(json_object_get(one, "for_s"));
	json_int_t until = json_integer_value(json_object_get(one, "until"));
	char name[CONFIG_PATH_MAX];
	json_t *next = NULL;
	if (key == NULL || value == NULL || strlen(key) >= CONFIG_PATH_MAX ||
	    strlen(value) > OVERRIDE_VALUE_MAX || for_s < 0 || for_s > FOR_MAX_S || until < 0)
		return fail(c, RPC_INVALID_PARAMS, "",
		    "A setting has a key, a value as text of at most 4,096 bytes, and perhaps "
		    "for_s, "
		    "seconds up to ten years.");
	canonical(key, name);
	if (takes_admin(name) && method_role(c->m, c->call) < ROLE_ADMIN)
		return fail(c, RPC_FORBIDDEN, name, "takes the role admin.");
	if (for_s != 0)
		until = manager_time() + for_s;
	int ret =
	    overrides_set(c->overrides, name, value, until, manager_time(), user, reason, &next);
	if (ret == -ENOSPC)
		return fail(c, RPC_BUSY, "",
		    "There are 256 settings over the file already; write them into it, or "
		    "`posternctl "
		    "set --reset KEY`.");
	if (ret != 0)
		return fail(c, RPC_INTERNAL, "", "No memory.");
	json_decref(c->overrides);
	c->overrides = next;
	remember(c, name);
	return true;
}

static bool change_reset(struct change *c, const char *key)
{
	char name[CONFIG_PATH_MAX];
	json_t *next = NULL;
	if (key == NULL || strlen(key) >= CONFIG_PATH_MAX)
		return fail(c, RPC_INVALID_PARAMS, "", "A key is a text.");
	canonical(key, name);
	if (overrides_reset(c->overrides, name, &next) != 0)
		return fail(c, RPC_INVALID_PARAMS, name,
		    "is as the file says; `posternctl status` lists what is set.");
	json_decref(c->overrides);
	c->overrides = next;
	remember(c, name);
	return true;
}

/* set, reset: arrays, NULL for none. */
static void change(
    struct manager *m, int call, const json_t *set, const json_t *reset, const char *reason)
{
	struct change c = { .m = m,
		.call = call,
		.overrides = json_deep_copy(m->overrides),
		.set = json_array(),
		.reset = json_array() };
	char user[MANAGER_USER_MAX];
	bool good = true;
	manager_user(method_uid(m, call), user);
	for (size_t i = 0; i < json_array_size(reset) && good; i++)
		good = change_reset(&c, json_string_value(json_array_get(reset, i)));
	for (size_t i = 0; i < json_array_size(set) && good; i++)
		good = change_set(&c, json_array_get(set, i), user, reason);
	if (good) {
		const struct load_order order = { .how = "set",
			.reason = reason,
			.overrides = json_incref(c.overrides),
			.undo = method_undo_step("config.change",
			    json_pack("{s:O, s:O, s:s}", "set", c.set, "reset", c.reset, "reason",
				"undo"),
			    "setting of %s", c.what) };
		manager_load(m, call, &order);
	}
	json_decref(c.overrides);
	json_decref(c.set);
	json_decref(c.reset);
}

static void serve_change(struct manager *m, int call, const json_t *params)
{
	const json_t *set = json_object_get(params, "set"),
		     *reset = json_object_get(params, "reset");
	const char *reason;
	if (!method_text(m, call, params, "reason", false, &reason))
		return;
	if (json_array_size(set) + json_array_size(reset) == 0)
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "The parameters set and reset are lists, one of them with entries.", NULL);
	else
		change(m, call, set, reset, reason);
}

static void serve_set(struct manager *m, int call, const json_t *params)
{
	const char *reason;
	json_t *set = json_pack("[O]", params == NULL ? json_null() : params);
	if (method_text(m, call, params, "reason", false, &reason))
		change(m, call, set, NULL, reason);
	json_decref(set);
}

static void serve_reset(struct manager *m, int call, const json_t *params)
{
	const char *reason, *key;
	if (!method_text(m, call, params, "key", false, &key) ||
	    !method_text(m, call, params, "reason", false, &reason))
		return;
	json_t *keys = json_array();
	for (size_t i = 0; key == NULL && i < json_array_size(m->overrides); i++)
		json_array_append(keys, json_object_get(json_array_get(m->overrides, i), "key"));
	if (key != NULL)
		json_array_append_new(keys, json_string(key));
	if (json_array_size(keys) == 0)
		manager_fail(m, call, RPC_INVALID_PARAMS, "Nothing is set over the file.", NULL);
	else
		change(m, call, NULL, keys, reason);
	json_decref(keys);
}

#define LOADED                                                                                     \
	"`{\"epoch\":N,\"previous\":N,\"changed\":bool,\"running\":bool,\"needs_restart\":[key..." \
	"]"                                                                                        \
	"\\|null,\"changes\":{\"keys\",\"added\",\"removed\"},\"keys\":[{\"key\",\"old\",\"new\"}" \
	"],"                                                                                       \
	"\"undo\":{...}}`"

const struct method methods_config[] = {
	{ "policy.check", ROLE_ADMIN, serve_check, "`{\"path\":absolute}`",
	    "`{\"changes\":bool,\"addresses\":N}`", false, NULL, false },
	{ "policy.load", ROLE_ADMIN, serve_load, "`{\"path\":absolute,\"reason\":text}`", LOADED,
	    true, NULL, false },
	{ "policy.reload", ROLE_OPERATOR, serve_reload, "`{\"reason\":text}`",
	    "as `policy.load`, of the configured file", true, NULL, false },
	{ "policy.rollback", ROLE_OPERATOR, serve_rollback, "`{\"epoch\":N,\"reason\":text}`",
	    "as `policy.load`, of that epoch's image, source and settings", true, NULL, false },
	{ "policy.history", ROLE_VIEWER, serve_history, "",
	    "`{\"epochs\":[{\"epoch\",\"time\",\"user\",\"how\",\"reason\",\"path\",\"changes\","
	    "\"addresses\",\"overrides\",\"drift\",\"rollback\":bool}],\"current\":N}`, newest "
	    "first",
	    false, NULL, false },
	{ "policy.diff", ROLE_ADMIN, serve_diff, "`{\"path\":absolute}` or `{\"from\":N,\"to\":N}`",
	    "`{\"keys\":[{\"key\",\"old\",\"new\"}],\"entries\":[{\"key\",\"added\",\"removed\","
	    "\"n_added\",\"n_removed\"}],\"n_keys\",\"n_added\",\"n_removed\",\"drift\","
	    "\"overrides\"}`; without `path` the configured file, without `to` what is in force",
	    false, NULL, false },
	{ "config.set", ROLE_OPERATOR, serve_set,
	    "`{\"key\",\"value\":text,\"for_s\":N,\"reason\":text}`", "as `policy.load`", true,
	    NULL, true },
	{ "config.reset", ROLE_OPERATOR, serve_reset, "`{\"key\":text,\"reason\":text}`",
	    "as `policy.load`; without `key` all settings go", true, NULL, true },
	{ "config.change", ROLE_OPERATOR, serve_change,
	    "`{\"set\":[{\"key\",\"value\",\"for_s\"}],\"reset\":[key...],\"reason\":text}`",
	    "as `policy.load`: all of it or nothing, one epoch", true, NULL, true },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
