/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a configuration becomes the running policy: compile, hand over, and commit only once the
 * dataplane has said yes, so that what it refuses never becomes the image it is restarted from.
 * Without a dataplane the image is committed at once and handed over when one appears.
 */
#include "manager.h"
#include "handover.h"
#include "history.h"
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_problem(struct manager *m, const char *text)
{
	free(m->problem);
	m->problem = text == NULL ? NULL : strdup(text);
}

static uint32_t dataplane_epoch(const struct manager *m)
{
	json_int_t epoch = json_integer_value(json_object_get(m->hello, "epoch"));
	return epoch < 0 || epoch >= UINT32_MAX ? 0 : (uint32_t)epoch;
}

static uint32_t next_epoch(const struct manager *m)
{
	uint32_t mine = m->current == NULL ? 0 : m->current->header.epoch;
	uint32_t its = dataplane_epoch(m);
	return (mine > its ? mine : its) + 1;
}

static void refuse(struct manager *m, int code, const char *message, json_t *data)
{
	int call = m->load_call;
	m->load_call = -1;
	m->candidate = image_free(m->candidate);
	set_problem(m, message);
	manager_log("load refused, the policy of epoch %u stays: %s",
	    m->current == NULL ? 0 : m->current->header.epoch, message);
	manager_fail(m, call, code, message, data);
}

/* The candidate becomes the policy. `result` of the dataplane, NULL where there is none. */
static void commit(struct manager *m, const json_t *result)
{
	int call = m->load_call;
	uint32_t epoch = m->candidate->header.epoch;
	int ret = history_save(m->options->state, m->candidate);
	if (ret != 0)
		manager_log(
		    "epoch %u is not kept in %s: %s", epoch, m->options->state, strerror(-ret));
	image_free(m->current);
	m->current = m->candidate;
	m->candidate = NULL;
	m->load_call = -1;
	m->synced = result != NULL;
	set_problem(m, NULL);
	const json_t *restart = json_object_get(result, "needs_restart");
	json_decref(m->needs_restart);
	m->needs_restart = json_is_array(restart) ? json_deep_copy(restart) : NULL;
	manager_log("epoch %u committed%s%s", epoch,
	    result == NULL ? "; no dataplane is there to take it yet" : "",
	    json_array_size(m->needs_restart) != 0 ? "; a part of it waits for a restart" : "");
	manager_reply(m, call,
	    json_pack("{s:I, s:b, s:b, s:O?}", "epoch", (json_int_t)epoch, "changed", 1, "running",
		result != NULL, "needs_restart", m->needs_restart));
}

static void hand_over(struct manager *m, bool every_part);

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
	bool of_candidate = m->candidate != NULL;
	char *message = NULL;
	(void)tag;
	m->handing_over = false;
	if (answer->result != NULL) {
		if (of_candidate)
			commit(m, answer->result);
		else
			manager_log("epoch %u is in force", m->current->header.epoch);
		m->synced = true;
		say_hello(m); /* what it holds has changed */
		return;
	}
	if (strcmp(answer->code, "missing_part") == 0 && !m->resent) {
		hand_over(m, true);
		return;
	}
	if (asprintf(&message, "The dataplane refused it (%s): %s", answer->code, answer->message) <
	    0)
		message = NULL;
	const char *text = message == NULL ? "The dataplane refused it." : message;
	if (!of_candidate) {
		set_problem(m, text);
		manager_log("epoch %u is not running: %s", m->current->header.epoch, text);
	} else if (strcmp(answer->code, "unreachable") == 0 || strcmp(answer->code, "timeout") == 0) {
		refuse(m, RPC_NO_DATAPLANE, answer->message, NULL);
	} else {
		refuse(m, RPC_DATAPLANE_REFUSED, text, json_pack("{s:s}", "code", answer->code));
	}
	free(message);
}

/* Of the candidate where there is one, else of the current image. */
static void hand_over(struct manager *m, bool every_part)
{
	const struct image *image = m->candidate != NULL ? m->candidate : m->current;
	struct handover h;
	int ret = handover_make(image, every_part ? NULL : json_object_get(m->hello, "parts"), &h);
	m->resent = every_part;
	if (ret == 0) {
		json_t *params = h.params;
		h.params = NULL;
		ret = link_ask(&m->link, "policy.load", params, h.fds, h.n_fds, MANAGER_LOAD_MS,
		    m->now_ms, on_load, 0);
		handover_fini(&h); /* the kernel holds its own references now */
	}
	m->handing_over = ret == 0;
	if (ret != 0 && m->candidate != NULL)
		refuse(m, RPC_NO_DATAPLANE, strerror(-ret), NULL);
	else if (ret != 0)
		manager_log(
		    "epoch %u cannot be handed over: %s", image->header.epoch, strerror(-ret));
}

/* Brings the dataplane to `current`, when it runs something else. */
static void synchronize(struct manager *m)
{
	uint32_t its = dataplane_epoch(m);
	if (m->current == NULL || m->handing_over || m->hello == NULL)
		return;
	uint32_t mine = m->current->header.epoch;
	m->synced =
	    its == mine && handover_holds_all(m->current, json_object_get(m->hello, "parts"));
	if (m->synced)
		return;
	if (its >= mine) { /* our memory of epochs is older than its: number on from there */
		int ret = image_renumber(m->current, its + 1);
		if (ret == 0)
			ret = history_save(m->options->state, m->current);
		if (ret != 0)
			manager_log("epoch %u is not kept: %s", its + 1, strerror(-ret));
	}
	manager_log(
	    "the dataplane has epoch %u; handing over epoch %u", its, m->current->header.epoch);
	hand_over(m, false);
}

/* Waits for the dataplane's greeting where there is one, so that it has its say from the start. */
static void first_load(struct manager *m)
{
	if (!m->starting)
		return;
	m->starting = false;
	manager_load(m, m->options->config, -1);
	if (m->current == NULL && m->candidate == NULL) {
		m->stop = m->failed = true;
		return;
	}
	manager_log("serving %s", m->options->run);
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
	synchronize(m);
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

void manager_load(struct manager *m, const char *path, int call)
{
	struct complaints complaints;
	if (m->candidate != NULL || m->handing_over) {
		manager_log("load of %s: another load is under way", path);
		manager_fail(m, call, RPC_BUSY, "Another load is under way.", NULL);
		return;
	}
	complaints_init(&complaints);
	m->load_call = call;
	m->candidate = image_from_file(path, next_epoch(m), &complaints);
	if (m->candidate == NULL) {
		char *text = complaints_text(&complaints);
		refuse(m, RPC_BAD_CONFIG, text == NULL ? "The configuration is wrong." : text,
		    complaints_json(&complaints));
		free(text);
	} else if (m->current != NULL && image_same(m->candidate, m->current) &&
		   (m->synced || m->link.fd < 0 || call < 0)) {
		m->candidate = image_free(m->candidate);
		m->load_call = -1;
		set_problem(m, NULL);
		manager_log("%s is what epoch %u holds already", path, m->current->header.epoch);
		manager_reply(m, call,
		    json_pack("{s:I, s:b, s:b, s:O?}", "epoch", (json_int_t)m->current->header.epoch,
			"changed", 0, "running", m->synced, "needs_restart", m->needs_restart));
		synchronize(m);
	} else if (m->link.fd >= 0) {
		hand_over(m, false);
	} else {
		commit(m, NULL);
	}
	complaints_fini(&complaints);
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
		manager_log("epoch %u was committed last", m->current->header.epoch);
	m->starting = true;
	link_turn(&m->link, m->now_ms);
	if (m->link.fd < 0)
		first_load(m);
}

void manager_policy_fini(struct manager *m)
{
	image_free(m->current);
	image_free(m->candidate);
	free(m->problem);
	json_decref(m->hello);
	json_decref(m->needs_restart);
}
