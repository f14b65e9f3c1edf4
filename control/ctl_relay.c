/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl relay: does the running policy refuse what makes an open relay (ctl.h)? */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VICTIM "relay-test.invalid" /* RFC 2606: nobody's */
#define CLIENT "192.0.2.1"

static const struct {
	const char *rcpt, *how;
} tricks[] = {
#define TRICK(rcpt, how) { rcpt, how },
#include "relay_tricks.def"
#undef TRICK
};
enum { TRICKS = sizeof(tricks) / sizeof(tricks[0]) };

static const struct {
	const char *path, *word;
} senders[] = {
	{ "attacker@" VICTIM, "foreign" },
	{ "user@%D", "ours" },
	{ "", "null" },
	{ "\"attacker@" VICTIM "\"@%D", "quoted" },
};
enum { SENDERS = sizeof(senders) / sizeof(senders[0]) };

/* %D and %V replaced; any other % stands for itself. */
static void fill(const char *from, const char *served, char *to, size_t size)
{
	size_t at = 0;
	while (*from != '\0' && at + 1 < size) {
		const char *word = from[0] == '%' && from[1] == 'D'   ? served
				   : from[0] == '%' && from[1] == 'V' ? VICTIM
								      : NULL;
		if (word == NULL) {
			to[at++] = *from++;
			continue;
		}
		int n = snprintf(to + at, size - at, "%s", word);
		at += (size_t)n < size - at ? (size_t)n : size - at - 1;
		from += 2;
	}
	to[at] = '\0';
}

static int ask(const struct ctl *ctl, const char *client, const char *sender, json_t *rcpts,
    json_t **ret_result)
{
	return ctl_ask(ctl, "relay.test",
	    json_pack("{s:s, s:s, s:o}", "client", client, "sender", sender, "rcpts", rcpts),
	    ret_result);
}

static void show_row(const struct ctl *ctl, const char *sender, const char *how, const json_t *row)
{
	bool open = json_is_true(json_object_get(row, "accepted"));
	printf("%s%-8s%s  %-8s  %-44s  %-26s  %s\n", ctl_ink_on(ctl, open ? CTL_RED : CTL_GREEN),
	    open ? "OPEN" : "refused", ctl_ink_off(ctl), sender, ctl_text_in(row, "rcpt"),
	    json_is_true(json_object_get(row, "syntax")) ? ctl_text_in(row, "reason") : "(syntax)",
	    how);
}

/* One sender's answers; adds what was accepted to `open`. */
static int try_sender(const struct ctl *ctl, const char *client, const char *served, unsigned which,
    json_t *all, unsigned *open)
{
	char text[512];
	json_t *rcpts = json_array(), *result = NULL;
	for (unsigned i = 0; i < TRICKS; i++) {
		fill(tricks[i].rcpt, served, text, sizeof(text));
		json_array_append_new(rcpts, json_string(text));
	}
	fill(senders[which].path, served, text, sizeof(text));
	int ret = ask(ctl, client, text, rcpts, &result);
	if (ret != CTL_OK)
		return ret;
	const json_t *rows = json_object_get(result, "rows");
	for (unsigned i = 0; i < TRICKS; i++) {
		json_t *row = json_array_get(rows, i);
		*open += json_is_true(json_object_get(row, "accepted"));
		if (!ctl->json)
			show_row(ctl, senders[which].word, tricks[i].how, row);
		json_object_set_new(row, "mail", json_string(text));
		json_object_set_new(row, "how", json_string(tricks[i].how));
		json_array_append(all, row);
	}
	json_decref(result);
	return CTL_OK;
}

static int serve_self_test(const struct ctl *ctl, int argc, char **argv)
{
	const char *client = CLIENT, *served = NULL;
	const struct ctl_option options[] = { { "--client", CTL_TEXT, &client },
		{ "--domain", CTL_TEXT, &served }, { NULL, CTL_FLAG, NULL } };
	json_t *first = NULL, *all = json_array();
	unsigned open = 0;
	int ret = CTL_USAGE;
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		goto out;
	ret = ask(ctl, client, "", json_array(), &first);
	if (ret != CTL_OK)
		goto out;
	if (served == NULL)
		served = json_string_value(json_object_get(first, "served"));
	if (served == NULL) {
		ret = ctl_fail(ctl, CTL_REFUSED,
		    "the policy names no domain to try with; give one with --domain");
		goto out;
	}
	for (unsigned i = 0; i < SENDERS && ret == CTL_OK; i++)
		ret = try_sender(ctl, client, served, i, all, &open);
	if (ret != CTL_OK)
		goto out;
	if (ctl->json) {
		json_t *result = json_pack("{s:s, s:s, s:i, s:i, s:O}", "client", client, "domain",
		    served, "tried", (int)json_array_size(all), "open", (int)open, "rows", all);
		ctl_print_json(result);
		json_decref(result);
	} else {
		printf("\n%zu tried from %s, %u accepted%s\n", json_array_size(all), client, open,
		    open == 0 ? ": no open relay"
			      : ": AN OPEN RELAY; see `relay` in the configuration");
	}
	ret = open == 0 ? CTL_OK : CTL_REFUSED;
out:
	json_decref(first);
	json_decref(all);
	return ret;
}

static void show_test(const struct ctl *ctl, const json_t *result)
{
	const json_t *row = json_array_get(json_object_get(result, "rows"), 0);
	ctl_row(ctl, "accepted",
	    json_is_true(json_object_get(row, "accepted")) ? CTL_GREEN : CTL_RED, "%s",
	    json_is_true(json_object_get(row, "accepted")) ? "yes" : "no");
	if (!json_is_true(json_object_get(row, "syntax"))) {
		ctl_row(ctl, "why", CTL_PLAIN, "not an address (501)");
		return;
	}
	ctl_row(ctl, "source", CTL_PLAIN, "%s", ctl_text_in(row, "source"));
	ctl_row(ctl, "sender", CTL_PLAIN, "%s", ctl_text_in(row, "sender"));
	ctl_row(ctl, "relay", CTL_PLAIN, "%s", ctl_text_in(row, "relay"));
	ctl_row(ctl, "verdict", CTL_PLAIN, "%s %s", ctl_text_in(row, "verdict"),
	    ctl_text_in(row, "reason"));
}

static int serve_test(const struct ctl *ctl, int argc, char **argv)
{
	const char *client = CLIENT, *host = "";
	const struct ctl_option options[] = { { "--client", CTL_TEXT, &client },
		{ "--host", CTL_TEXT, &host }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 2, 2))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "relay.test",
	    json_pack("{s:s, s:s, s:s, s:[s]}", "client", client, "host", host, "sender",
		strcmp(argv[0], "<>") == 0 ? "" : argv[0], "rcpts", argv[1]),
	    show_test, NULL);
}

const struct ctl_command ctl_relay_commands[] = {
	{ "relay self-test", "[--client ADDRESS] [--domain DOMAIN]", serve_self_test,
	    "Tries every known relay trick against the running policy.",
	    "From an external address and with senders of several kinds; nothing is sent. Exit 1 "
	    "when one "
	    "is accepted. --client: as if from that address; --domain: a served one to hide "
	    "behind." },
	{ "relay test", "SENDER RECIPIENT [--client ADDRESS] [--host NAME]", serve_test,
	    "Says what the running policy answers to one sender and recipient.",
	    "<> is the null sender. --host: the client's forward-confirmed name." },
	{ NULL, NULL, NULL, NULL, NULL },
};
