/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods about relay rules (methods.h). */
#include "methods.h"

const struct method methods_relay[] = {
	{ "relay.test", ROLE_VIEWER, method_relay,
	    "`{\"client\":address,\"host\":text,\"sender\":path,\"rcpts\":[path...]}`",
	    "`{\"epoch\":N,\"served\":name,\"rows\":[{\"rcpt\",\"accepted\",\"syntax\",\"source\","
	    "\"sender\","
	    "\"relay\",\"verdict\",\"reason\"}]}`",
	    false, NULL },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL },
};
