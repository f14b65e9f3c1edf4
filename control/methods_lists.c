/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Run-time lists and bans (methods.h). The dataplane owns them, so that they outlive us; we say in
 * words what is wrong with an address, and how a change is taken back.
 */
#include "inet.h"
#include "methods.h"
#include "rpc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hint {
	char text[256];
	unsigned n;
};

static int add_hint(void *arg, const struct inet_net *net)
{
	struct hint *hint = arg;
	char addr[INET_TEXT_MAX];
	size_t at = strlen(hint->text);
	if (hint->n++ == 4)
		snprintf(hint->text + at, sizeof(hint->text) - at, " ...");
	if (hint->n > 4)
		return -1;
	inet_print(net->addr, addr);
	snprintf(hint->text + at, sizeof(hint->text) - at, "%s%s/%u", at == 0 ? "" : " ", addr,
	    net->prefix_len);
	return 0;
}

/* What to type instead, in `ret_why`; false: the text is an address or a prefix. */
static bool is_wrong(const char *text, char *ret_why, size_t size)
{
	struct inet_range range;
	struct inet_net net;
	struct hint hint = { .n = 0 };
	const char *wrong = inet_parse_range(text, strlen(text), &range);
	if (wrong != NULL && inet_parse_interface(text, strlen(text), &net) == NULL) {
		range = inet_net_range(&net);
		inet_range_nets(&range, add_hint, &hint);
		snprintf(ret_why, size, "\"%.64s\" %s; did you mean %s?", text, wrong, hint.text);
		return true;
	}
	if (wrong != NULL) {
		snprintf(ret_why, size,
		    "\"%.64s\" %s; allowed: an address or a prefix, as 192.0.2.7, 192.0.2.0/24 or "
		    "2001:db8::/48",
		    text, wrong);
		return true;
	}
	if (strchr(text, '-') == NULL)
		return false;
	inet_range_nets(&range, add_hint, &hint);
	snprintf(ret_why, size, "\"%.96s\" is a range; one prefix at a time: %s", text, hint.text);
	return true;
}

static void serve_prefix(struct manager *m, int call, const json_t *params)
{
	const char *prefix;
	char why[512];
	if (!method_text(m, call, params, "prefix", true, &prefix))
		return;
	if (is_wrong(prefix, why, sizeof(why)))
		manager_fail(m, call, RPC_INVALID_PARAMS, why, NULL);
	else
		method_relay(m, call, params);
}

static void serve_show(struct manager *m, int call, const json_t *params)
{
	const char *prefix;
	if (!method_text(m, call, params, "prefix", false, &prefix))
		return;
	if (prefix != NULL)
		serve_prefix(m, call, params);
	else
		method_relay(m, call, params);
}

static json_t *undo(struct manager *m, const json_t *params, const json_t *result)
{
	const json_t *restore = json_object_get(result, "restore");
	const char *prefix = json_string_value(json_object_get(params, "prefix"));
	(void)m;
	return restore == NULL
		   ? NULL
		   : method_undo_step("list.restore", json_incref((json_t *)(uintptr_t)restore),
			 "what was said of %s", prefix != NULL ? prefix : "imported addresses");
}

#define ENTRY                                                                                      \
	"{\"prefix\",\"list\":name\\|null,\"action\":word\\|null,\"lifts\":bool,\"origin\","       \
	"\"created_s\":N,\"expires_s\":N,\"reason\"}"
#define PAGE "`{\"entries\":[entry...],\"next\":N\\|null,\"total\":N,\"capacity\":N}`"

/* clang-format off */
const struct method methods_lists[] = {
	{ "list.add", ROLE_OPERATOR, serve_prefix,
	    "`{\"prefix\",\"list\":name?,\"for_s\":N?,\"reason\"?}`",
	    "entry: `" ENTRY "`, and `\"changed\":bool,\"effect\":list\\|null,\"restore\"`", true, undo, true },
	{ "list.del", ROLE_OPERATOR, serve_prefix, "`{\"prefix\",\"list\":name?}`",
	    "`{\"prefix\",\"removed\":[list...],\"lifted\":[list...],\"effect\":list\\|null,\"restore\"}`",
	    true, undo, true },
	{ "list.show", ROLE_VIEWER, serve_show,
	    "`{\"prefix\"?,\"list\":name?,\"origin\"?,\"after\":N?,\"limit\":N?}`",
	    PAGE "; with `prefix` also `\"compiled\"` and `\"effect\"`", false, NULL, false },
	{ "list.import", ROLE_OPERATOR, method_relay,
	    "`{\"list\":name?,\"for_s\":N?,\"entries\":[prefix or {\"prefix\",\"for_s\"?,\"reason\"?}...]}`, "
	    "150 at most",
	    "`{\"list\",\"added\":N,\"changed\":N,\"restore\"}`", true, undo, true },
	{ "list.restore", ROLE_OPERATOR, method_relay,
	    "`{\"put\":[entry...],\"remove\":[{\"prefix\",\"list\":name\\|null}...]}`",
	    "`{\"put\":N,\"removed\":N,\"restore\"}`", true, undo, true },
	{ "ban.add", ROLE_OPERATOR, serve_prefix,
	    "`{\"prefix\",\"for_s\":N?,\"action\"?,\"reason\"?}`", "as `list.add`", true, undo, true },
	{ "ban.del", ROLE_OPERATOR, serve_prefix, "`{\"prefix\"}`", "`{\"prefix\",\"restore\"}`", true, undo, true },
	{ "ban.show", ROLE_VIEWER, serve_show,
	    "`{\"prefix\"?,\"origin\"?,\"after\":N?,\"limit\":N?}`", PAGE, false, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
/* clang-format on */
