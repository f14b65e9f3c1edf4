/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods of snapshots (methods.h); the work is done in the job thread. */
#include "methods.h"
#include "rpc.h"
#include "snapshot.h"
#include "state_file.h"

#include <stdlib.h>
#include <string.h>

struct shot {
	struct job job;
	int call;
	bool restore;
	char *path, *config, *source, *text;
	size_t len;
	json_t *overrides;
	struct complaints complaints;
	json_t *snapshot;
};

static void run_shot(struct job *job)
{
	struct shot *s = (struct shot *)job;
	if (s->restore) {
		s->snapshot = snapshot_read(s->path, &s->complaints);
		if (s->snapshot != NULL)
			snapshot_unpack(s->snapshot, s->config, &s->complaints);
		return;
	}
	s->snapshot =
	    snapshot_make(s->source, s->text, s->len, s->overrides, manager_time(), &s->complaints);
	char *slash = strrchr(s->path, '/'),
	     *folder = strndup(s->path, (size_t)(slash - s->path) + 1);
	int ret =
	    s->snapshot == NULL || folder == NULL ? 0 : state_save(folder, slash + 1, s->snapshot);
	if (ret != 0)
		complain(&s->complaints, s->path, (struct position){ 0, 0 },
		    "cannot be written: %s", strerror(-ret));
	free(folder);
}

static void shot_done(void *arg, struct job *job)
{
	struct manager *m = arg;
	struct shot *s = (struct shot *)job;
	if (s->complaints.total != 0 || s->snapshot == NULL) {
		char *text = complaints_text(&s->complaints);
		manager_fail(m, s->call, RPC_BAD_CONFIG, text == NULL ? "It failed." : text,
		    complaints_json(&s->complaints));
		free(text);
	} else if (s->restore) {
		json_t *overrides = json_object_get(s->snapshot, "overrides");
		const struct load_order order = { .how = "restore",
			.path = m->options->config,
			.reason = s->path,
			.overrides =
			    json_is_array(overrides) ? json_incref(overrides) : json_array() };
		manager_load(m, s->call, &order);
	} else {
		manager_reply(m, s->call,
		    json_pack("{s:I}", "files",
			(json_int_t)json_array_size(json_object_get(s->snapshot, "files"))));
	}
	complaints_fini(&s->complaints);
	json_decref(s->snapshot);
	json_decref(s->overrides);
	free(s->path);
	free(s->config);
	free(s->source);
	free(s->text);
	free(s);
}

static void start(struct manager *m, int call, const json_t *params, bool restore)
{
	const char *path;
	if (!method_text(m, call, params, "path", true, &path))
		return;
	if (*path != '/') {
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "The parameter path must be an absolute path.", NULL);
		return;
	}
	if (!restore && m->source.text == NULL) {
		manager_fail(m, call, RPC_INVALID_PARAMS,
		    "What the policy in force was made from is not known.", NULL);
		return;
	}
	struct shot *s = calloc(1, sizeof(*s));
	if (s != NULL) {
		complaints_init(&s->complaints);
		s->job.run = run_shot;
		s->job.done = shot_done;
		s->call = call;
		s->restore = restore;
		s->path = strdup(path);
		s->config = strdup(m->options->config);
		s->source = m->source.path == NULL ? NULL : strdup(m->source.path);
		s->text = m->source.text == NULL ? NULL : strdup(m->source.text);
		s->len = s->text == NULL ? 0 : strlen(s->text);
		s->overrides = json_deep_copy(m->overrides);
	}
	if (s != NULL && s->path != NULL && s->config != NULL && jobs_add(m->jobs, &s->job) == 0)
		return;
	manager_fail(m, call, RPC_BUSY, "Too much is under way; try again.", NULL);
	if (s != NULL) {
		s->call = -1;
		complain(&s->complaints, path, (struct position){ 0, 0 }, "not begun");
		shot_done(m, &s->job);
	}
}

static void serve_save(struct manager *m, int call, const json_t *params)
{
	start(m, call, params, false);
}

static void serve_restore(struct manager *m, int call, const json_t *params)
{
	start(m, call, params, true);
}

const struct method methods_snapshot[] = {
	{ "snapshot.save", ROLE_ADMIN, serve_save, "`{\"path\":absolute}`",
	    "`{\"files\":N}`: configuration in force, its files, settings over it, in one file",
	    false, NULL, false },
	{ "snapshot.restore", ROLE_ADMIN, serve_restore, "`{\"path\":absolute}`",
	    "as `policy.load`; what differed before is kept as `NAME.before-restore`", true, NULL,
	    false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
