/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `relay.test`: what the running policy would answer to recipients, asked through the same parser,
 * route and chain as a client's (control/README.md, "Sockets"). Nothing is sent, counted or kept.
 */
#include "live.h"
#include "route.h"

#include "filters/address_form.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { RELAY_TEST_MAX = 256, LINE_MAX_LEN = 600 };

static bool read_address(const char *text, uint8_t ret_addr[16])
{
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) != 1)
		return inet_pton(AF_INET6, text, ret_addr) == 1;
	address_from_v4(ret_addr, v4);
	return true;
}

static json_t *row_of(const char *rcpt, const struct route *route, struct verdict v)
{
	bool accepted = route && route->action == RELAY_ACCEPT && v.kind <= VERDICT_MARK;

	return json_pack("{s:s, s:b, s:b, s:s?, s:s?, s:s?, s:s, s:s}", "rcpt", rcpt, "accepted",
	    accepted, "syntax", route != NULL, "source",
	    route ? relay_source_words[route->source] : NULL, "sender",
	    route ? relay_sender_words[route->sender] : NULL, "relay",
	    route ? relay_action_words[route->action] : NULL, "verdict", verdict_words[v.kind],
	    "reason", reason_infos[v.reason].name);
}

static json_t *judge(const struct policy *p, struct facts *facts, const char *rcpt)
{
	char line[LINE_MAX_LEN];
	struct verdict none = { .kind = VERDICT_NONE };
	struct smtp_command cmd;
	struct tally tally = { 0 };
	struct route route;
	int n = snprintf(line, sizeof(line), "RCPT TO:<%s>", rcpt);

	if (n < 0 || (size_t)n >= sizeof(line) ||
	    smtp_parse((struct text){ line, (uint16_t)n }, &cmd) != SMTP_SYNTAX_OK ||
	    cmd.verb != SMTP_RCPT)
		return row_of(rcpt, NULL, none);
	facts->rcpt = cmd.path.whole;
	route_recipient(p, facts, &cmd.path, &route);
	route.sender = relay_sender(p, facts); /* told even where it makes no difference */
	return row_of(rcpt, &route, policy_judge(p, PHASE_RCPT, facts, &tally));
}

/* A served domain to try the tricks with; NULL: none is named. */
static const char *served(const struct policy *p)
{
	return policy_settings(p)->n_domains ? policy_domain_name(p, 0) : NULL;
}

json_t *live_relay_test(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const struct policy *p = l->running->policy;
	const char *client = json_string_value(json_object_get(params, "client"));
	const char *host = json_string_value(json_object_get(params, "host"));
	const char *sender = json_string_value(json_object_get(params, "sender"));
	const json_t *rcpts = json_object_get(params, "rcpts");
	struct facts facts = { .now_s = (uint32_t)(hw_now_ns() / 1000000000u) };
	json_t *rows, *rcpt;
	size_t i;

	(void)fds, (void)n_fds;
	if (!client || !read_address(client, facts.client))
		return control_fail(error, "bad_params", "`client` is an IPv4 or IPv6 address.");
	if (!json_is_array(rcpts) || json_array_size(rcpts) > RELAY_TEST_MAX)
		return control_fail(
		    error, "bad_params", "`rcpts` is a list of at most %d paths.", RELAY_TEST_MAX);
	if (host)
		facts.host_name = (struct text){ host, (uint16_t)strnlen(host, 255) };
	if (sender)
		facts.mail = (struct text){ sender, (uint16_t)strnlen(sender, SMTP_PATH_MAX) };
	facts.null_sender = facts.mail.len == 0;
	rows = json_array();
	json_array_foreach(rcpts, i, rcpt)
	{
		if (!json_is_string(rcpt)) {
			json_decref(rows);
			return control_fail(
			    error, "bad_params", "`rcpts` has an entry that is no text.");
		}
		json_array_append_new(rows, judge(p, &facts, json_string_value(rcpt)));
	}
	return json_pack("{s:I, s:s?, s:o}", "epoch", (json_int_t)l->running->epoch, "served",
	    served(p), "rows", rows);
}
