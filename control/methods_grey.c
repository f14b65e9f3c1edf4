/* SPDX-License-Identifier: BSD-3-Clause */
/* The greylist's methods (methods.h): the dataplane has it and does the work. */
#include "methods.h"

static json_t *undo_add(struct manager *m, const json_t *params, const json_t *result)
{
	const json_t *record = json_object_get(result, "record");
	const char *key = json_string_value(json_object_get(record, "key"));
	const char *pool = json_string_value(json_object_get(record, "pool"));
	(void)m;
	(void)params;
	return method_undo_step(
	    "grey.del", json_pack("{s:s}", "key", key), "the greylist's entry for %s", pool);
}

static json_t *undo_del(struct manager *m, const json_t *params, const json_t *result)
{
	json_t *record = json_object_get(result, "record");
	const char *pool = json_string_value(json_object_get(record, "pool"));
	(void)m;
	(void)params;
	if (json_is_true(json_object_get(record, "cut")))
		return NULL; /* its key cannot be made from its texts */
	return method_undo_step("grey.import", json_pack("{s:[O]}", "records", record),
	    "removing the greylist's entry for %s", pool);
}

const struct method methods_grey[] = {
	{ "grey.show", ROLE_VIEWER, method_relay,
	    "`{\"text\":part?,\"state\":word?,\"pools\":bool?,\"after\":text?}`",
	    "`{\"records\":[{\"key\",\"tenant\",\"state\",\"passes\",\"time\",\"is_pool\",\"cut\","
	    "\"pool\",\"sender\",\"rcpt\"}],\"after\":text\\|null}`; `after`: for the next page",
	    false, NULL, false },
	{ "grey.stats", ROLE_VIEWER, method_relay, "",
	    "`{\"entries\":{state:N},\"displaced\":{state:N},...}`", false, NULL, false },
	{ "grey.add", ROLE_OPERATOR, method_relay,
	    "`{\"pool\":text,\"sender\":text?,\"rcpt\":text?,\"state\":word}`", "`{\"record\"}`",
	    true, undo_add, true },
	{ "grey.del", ROLE_OPERATOR, method_relay,
	    "`{\"key\":hex}` or `{\"pool\":text,\"sender\":text?,\"rcpt\":text?}`",
	    "`{\"record\"}`", true, undo_del, true },
	{ "grey.export", ROLE_OPERATOR, method_relay, "`{\"after\":text?}`",
	    "as `grey.show`, and `key_id`: names the secret of the keys", false, NULL, false },
	{ "grey.import", ROLE_OPERATOR, method_relay, "`{\"records\":[...],\"key_id\":hex?}`",
	    "`{\"added\":N,\"skipped\":N}`; at most 256 at a time", true, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
