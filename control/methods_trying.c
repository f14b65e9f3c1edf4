/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods for trying things on the running appliance: pass-all (methods.h). */
#include "methods.h"

static json_t *undo_pass_all(struct manager *m, const json_t *params, const json_t *result)
{
	json_int_t until = json_integer_value(json_object_get(result, "until_s"));
	json_int_t was = json_integer_value(json_object_get(result, "was_until_s"));
	(void)m;
	(void)params;
	return method_undo_step("pass_all.set", json_pack("{s:I}", "until_s", was), "pass-all %s",
	    until != 0 ? "on" : "off");
}

const struct method methods_trying[] = {
	{ "pass_all.set", ROLE_OPERATOR, method_relay,
	    "`{\"for_s\":N,\"reason\":text}` or `{\"until_s\":N}`; 0 ends it, a day at most",
	    "`{\"until_s\":N,\"was_until_s\":N}`, seconds since 1970, 0: off", true, undo_pass_all,
	    true },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
