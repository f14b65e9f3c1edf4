/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `token.read` and `explain.now` of the control socket (control/README.md). The key of tokens stays
 * here, so that whoever reads the manager's files cannot make tokens. What would happen to a client
 * now is judged by the policy and the run-time entries in force themselves, with the facts of a
 * client that has just come: no second reading of the rules that could differ from the first.
 */
#include "live.h"
#include "live_lists.h"
#include "overlay_line.h"
#include "reply.h"

#include "filters/token.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static json_t *reason_json(unsigned reason)
{
	char text[STATS_NAME_LEN];
	size_t i;

	if (reason >= REASON_N)
		return json_null();
	for (i = 0; reason_infos[reason].name[i] && i < sizeof(text) - 1; i++)
		text[i] = (char)tolower((unsigned char)reason_infos[reason].name[i]);
	text[i] = '\0';
	return json_string(text);
}

json_t *live_token_read(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	const struct live *l = arg;
	const char *token = json_string_value(json_object_get(params, "token"));
	struct token_fields fields;
	int rc;

	(void)fds, (void)n_fds;
	if (!token)
		return control_fail(error, "bad_params", "`token` is a text.");
	rc = token_parse(l->token_key, token, &fields);
	if (rc)
		return json_pack(
		    "{s:b,s:s}", "valid", 0, "why", rc == -EBADMSG ? "foreign" : "malformed");
	return json_pack("{s:b,s:o,s:i,s:I,s:i,s:I,s:i}", "valid", 1, "reason",
	    reason_json(fields.reason), "epoch", fields.epoch, "minute", (json_int_t)fields.minute,
	    "session", fields.session, "running_epoch", (json_int_t)l->running->epoch, "workers",
	    (int)l->n_workers);
}

static json_t *verdict_json(const struct verdict *v)
{
	json_t *one = json_pack(
	    "{s:s,s:o}", "verdict", verdict_words[v->kind], "reason", reason_json(v->reason));

	if (v->kind == VERDICT_REFUSE || v->kind == VERDICT_DEFER || v->kind == VERDICT_GREY)
		json_object_set_new(one, "code",
		    json_integer(reply_code(v->kind, v->reason, (enum phase)v->phase)));
	return one;
}

static json_t *hits_json(const struct policy *p, const struct tally *t, unsigned shadow)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < t->n; i++) {
		const struct policy_rule *rule = policy_rule_by_id(p, t->hits[i] & RULE_ID_MASK);

		if (rule && (t->hits[i] & RULE_ID_SHADOW) == shadow)
			json_array_append_new(all, json_string(policy_string(p, rule->name)));
	}
	return all;
}

static json_t *list_json(const struct policy *p, const struct policy_list *list)
{
	return list ? json_string(policy_string(p, list->name)) : json_null();
}

/* Run-time entries that hold the address. */
static json_t *entries_json(const struct live *l, const uint8_t client[16], uint32_t now_s)
{
	bool v4 = memcmp(client, (const uint8_t[12]){ [10] = 0xff, 0xff }, 12) == 0;
	json_t *entries = json_array();
	struct overlay_entry e;

	pthread_mutex_lock(&l->lists->lock);
	for (uint32_t at = 0; overlay_next(l->lists->overlay, &at, &e);) {
		unsigned bits = e.len + (v4 ? 96u : 0u);
		bool same_kind =
		    v4 == (memcmp(e.addr, (const uint8_t[12]){ [10] = 0xff, 0xff }, 12) == 0);

		if (!same_kind || (e.expires_s && e.expires_s <= now_s) ||
		    memcmp(e.addr, client, bits / 8) != 0 ||
		    (bits % 8 && (e.addr[bits / 8] ^ client[bits / 8]) >> (8 - bits % 8)))
			continue;
		json_array_append_new(entries, live_entry_json(l->lists->overlay, &e));
	}
	pthread_mutex_unlock(&l->lists->lock);
	return entries;
}

json_t *live_explain_now(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	const struct live *l = arg;
	const struct policy *p = l->running->policy;
	const char *client = json_string_value(json_object_get(params, "client"));
	uint32_t now_s = (uint32_t)(hw_now_ns() / 1000000000);
	struct facts facts = { .source_connections = 1, .source_rate = 1, .prefix_connections = 1 };
	struct tally tally = { 0 };
	struct verdict syn, connect;
	json_t *end;
	uint8_t len;
	bool goes_on;

	(void)fds, (void)n_fds;
	if (!client || strchr(client, '/') || !overlay_prefix_read(client, facts.client, &len))
		return control_fail(error, "bad_params",
		    "`client` is an address, as 192.0.2.7 or "
		    "2001:db8::7.");
	facts.now_s = now_s;
	facts.pass_all = atomic_load(&l->pass_all_until_s) > now_s;
	policy_judge_syns(p, (const uint8_t(*)[16])facts.client, 1, now_s, &syn);
	if (facts.pass_all) /* as the workers do */
		syn = (struct verdict){ .kind = VERDICT_NONE };
	goes_on = syn.kind == VERDICT_NONE || syn.kind == VERDICT_PASS;
	connect = policy_judge(p, PHASE_CONNECT, &facts, &tally);
	end = goes_on ? verdict_json(&connect) : json_null();
	return json_pack("{s:s,s:I,s:o,s:o,s:f,s:o,s:o,s:o,s:o,s:o,s:i,s:b}", "client", client,
	    "epoch", (json_int_t)l->running->epoch, "syn", verdict_json(&syn), "connect", end,
	    "score", tally.score / 100.0, "rules", hits_json(p, &tally, 0), "shadow",
	    hits_json(p, &tally, RULE_ID_SHADOW), "list",
	    list_json(p, policy_list_of(p, facts.client, now_s)), "compiled",
	    list_json(p, policy_compiled_list_of(p, facts.client)), "entries",
	    entries_json(l, facts.client, now_s), "dns_lists", (int)policy_settings(p)->dns.n_lists,
	    "pass_all", facts.pass_all);
}
