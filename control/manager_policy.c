/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the manager and the dataplane: greeting, handing a policy over, bringing both together
 * again after either was away. */
#include "manager.h"
#include "handover.h"
#include "history.h"
#include "override.h"
#include "rpc.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The descriptors are filled in the job thread: a large table takes its time. */
struct handing {
	struct job job;
	const struct image *image;
	json_t *held;
	struct handover handover;
	int error;
};

static uint32_t dataplane_epoch(const struct manager *m)
{
	json_int_t epoch = json_integer_value(json_object_get(m->hello, "epoch"));
	return epoch < 0 || epoch >= UINT32_MAX ? 0 : (uint32_t)epoch;
}

static void on_hello(void *arg, uint64_t tag, const struct link_answer *answer);

static void say_hello(struct manager *m)
{
	int ret = link_ask(&m->link, "hello", NULL, NULL, 0, MANAGER_ASK_MS, m->now_ms, on_hello, 0);
	if (ret == 0)
		return;
	manager_log("cannot greet the dataplane: %s", strerror(-ret));
	link_drop(&m->link, m->now_ms);
}

static void on_load(void *arg, uint64_t tag, const struct link_answer *answer)
{
	struct manager *m = arg;
	bool of_load = manager_load_image(m) != NULL;
	char *message = NULL;
	(void)tag;
	m->handing_over = false;
	if (answer->result != NULL) {
		if (of_load)
			manager_load_told(m, answer->result, 0, NULL, NULL);
		else
			manager_log("epoch %u is in force", m->current->header.epoch);
		m->synced = true;
		say_hello(m); /* what it holds has changed */
		return;
	}
	if (strcmp(answer->code, "missing_part") == 0 && !m->resent) {
		manager_hand_over(m, true);
		return;
	}
	if (asprintf(&message, "The dataplane refused it (%s): %s", answer->code, answer->message) <
	    0)
		message = NULL;
	const char *text = message == NULL ? "The dataplane refused it." : message;
	bool away = strcmp(answer->code, "unreachable") == 0 || strcmp(answer->code, "timeout") == 0;
	if (of_load && away) {
		manager_load_told(m, NULL, RPC_NO_DATAPLANE, answer->message, NULL);
	} else if (of_load) {
		manager_load_told(m, NULL, RPC_DATAPLANE_REFUSED, text, answer->code);
	} else {
		free(m->problem);
		m->problem = strdup(text);
		manager_log("epoch %u is not running: %s", m->current->header.epoch, text);
	}
	free(message);
}

static void make_handover(struct job *job)
{
	struct handing *h = (struct handing *)job;
	h->error = handover_make(h->image, h->held, &h->handover);
}

static void handover_made(void *arg, struct job *job)
{
	struct manager *m = arg;
	struct handing *h = (struct handing *)job;
	uint32_t epoch = h->image->header.epoch;
	int ret = h->error;
	if (ret == 0) {
		json_t *params = h->handover.params;
		h->handover.params = NULL;
		ret = link_ask(&m->link, "policy.load", params, h->handover.fds, h->handover.n_fds,
		    MANAGER_LOAD_MS, m->now_ms, on_load, 0);
		handover_fini(&h->handover); /* the kernel holds its own references now */
	}
	m->handing_over = ret == 0;
	if (ret != 0 && manager_load_image(m) != NULL)
		manager_load_told(m, NULL, RPC_NO_DATAPLANE,
		    ret == -ENOTCONN ? "The dataplane went away before it answered."
				     : strerror(-ret),
		    NULL);
	else if (ret != 0)
		manager_log("epoch %u cannot be handed over: %s", epoch, strerror(-ret));
	json_decref(h->held);
	free(h);
}

void manager_hand_over(struct manager *m, bool every_part)
{
	struct handing *h = calloc(1, sizeof(*h));
	const struct image *of_load = manager_load_image(m);
	m->resent = every_part;
	if (h != NULL) {
		h->job.run = make_handover;
		h->job.done = handover_made;
		h->image = of_load != NULL ? of_load : m->current;
		if (!every_part)
			h->held = json_deep_copy(json_object_get(m->hello, "parts"));
	}
	m->handing_over = h != NULL && jobs_add(m->jobs, &h->job) == 0;
	if (m->handing_over)
		return;
	if (h != NULL)
		json_decref(h->held);
	free(h);
	if (of_load != NULL)
		manager_load_told(m, NULL, RPC_BUSY, "Too much is under way; try again.", NULL);
}

void manager_synchronize(struct manager *m)
{
	uint32_t its = dataplane_epoch(m);
	if (m->current == NULL || m->handing_over || m->hello == NULL ||
	    manager_load_image(m) != NULL)
		return;
	uint32_t mine = m->current->header.epoch;
	m->synced =
	    its == mine && handover_holds_all(m->current, json_object_get(m->hello, "parts"));
	if (m->synced || m->load != NULL) /* a load under way reads `current` and brings its own */
		return;
	if (its >= mine) { /* our memory of epochs is older than its: number on from there */
		int ret = image_renumber(m->current, its + 1);
		if (ret == 0)
			ret = history_save(m->options->state, m->current);
		if (ret == 0 && m->source.text != NULL)
			ret = history_keep(
			    m->options->state, its + 1, m->source.text, m->source.len, m->row);
		if (ret != 0)
			manager_log("epoch %u is not kept: %s", its + 1, strerror(-ret));
	}
	manager_log(
	    "the dataplane has epoch %u; handing over epoch %u", its, m->current->header.epoch);
	manager_hand_over(m, false);
}

/* Waits for the dataplane's greeting where there is one, so that it has its say from the start. The
 * configured file is read when it has changed since the last commit; else what was committed last
 * (another file, a rollback) stays, with list files as they are now. */
static void first_load(struct manager *m)
{
	char hex[IMAGE_HEX_LEN + 1] = "";
	uint64_t len;
	if (!m->starting || m->load != NULL)
		return;
	const char *then = json_string_value(json_object_get(m->row, "file_sha256"));
	history_hash(m->options->config, hex, &len);
	bool changed = then == NULL || strcmp(then, hex) != 0 || m->source.text == NULL;
	const struct load_order order = { .how = "start",
		.path = changed ? m->options->config : NULL };
	manager_load(m, -1, &order);
}

static void on_hello(void *arg, uint64_t tag, const struct link_answer *answer)
{
	struct manager *m = arg;
	(void)tag;
	if (answer->result != NULL) {
		json_decref(m->hello);
		m->hello = json_deep_copy(answer->result);
	} else if (strcmp(answer->code, "unreachable") != 0) {
		manager_log("the dataplane does not greet: %s", answer->message);
		link_drop(&m->link, m->now_ms);
	}
	first_load(m);
	manager_synchronize(m);
}

void manager_link_state(void *arg, bool connected)
{
	struct manager *m = arg;
	manager_log(connected ? "connected to the dataplane" : "the dataplane has gone");
	json_decref(m->hello);
	m->hello = NULL;
	m->synced = false;
	if (connected)
		say_hello(m);
	else if (m->current == NULL)
		m->starting =
		    true; /* it left before it took our first policy: once more when it is back */
}

static void remember(struct manager *m)
{
	uint32_t epoch = m->current->header.epoch;
	const char *path;
	manager_log("epoch %u was committed last", epoch);
	m->row = history_row(m->options->state, epoch);
	path = json_string_value(json_object_get(m->row, "path"));
	if (path != NULL &&
	    history_source(m->options->state, epoch, &m->source.text, &m->source.len) == 0)
		m->source.path = strdup(path);
	m->overrides = state_load(m->options->state, "overrides.json");
	if (m->overrides == NULL)
		m->overrides = json_deep_copy(json_object_get(m->row, "overrides"));
}

void manager_policy_start(struct manager *m)
{
	int ret = history_init(m->options->state);
	if (ret != 0) {
		manager_log("cannot use %s: %s", m->options->state, strerror(-ret));
		m->stop = m->failed = true;
		return;
	}
	if (history_newest(m->options->state, &m->current) == 0)
		remember(m);
	int64_t next;
	json_t *left = overrides_expire(m->overrides, manager_time(), &next);
	if (left != NULL || !json_is_array(m->overrides)) {
		json_decref(m->overrides);
		m->overrides = left != NULL ? left : json_array();
	}
	manager_changes_start(m);
	m->starting = true;
	link_turn(&m->link, m->now_ms);
	if (m->link.fd < 0)
		first_load(m);
}

void manager_policy_fini(struct manager *m)
{
	image_free(m->current);
	manager_load_free(m->load);
	free(m->source.path);
	free(m->source.text);
	free(m->problem);
	json_decref(m->overrides);
	json_decref(m->row);
	json_decref(m->hello);
	json_decref(m->needs_restart);
	json_decref(m->seen);
	json_decref(m->settled);
	json_decref(m->refused);
}
