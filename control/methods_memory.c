/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods about the memory of sources (methods.h); the dataplane answers (dataplane/live_memory.c). */
#include "methods.h"

const struct method methods_memory[] = {
	{ "memory.show", ROLE_VIEWER, method_relay, "`{\"key\":text?,\"kind\":word?,\"top\":N?}`",
	    "`{\"rows\":[{\"kind\",\"key\",\"minute\":{count:N},\"hour\":{count:N},\"touched\","
	    "\"allowed\"?,\"strangers\"?,\"held_until\"?,\"weeks\"?,\"weeks_strangers\"?}],"
	    "\"counted\",\"slots\","
	    "\"baselines\",\"known\",\"unknown\",\"displaced\",\"not_kept\"}`; the busiest first, "
	    "20 "
	    "unless `top` says so (100 at most)",
	    false, NULL, false },
	{ "memory.forget", ROLE_OPERATOR, method_relay, "`{\"key\":text}`", "`{\"forgotten\":N}`",
	    true, NULL, false },
	{ "memory.release", ROLE_OPERATOR, method_relay, "`{\"key\":sender}`", "`{\"released\":N}`",
	    true, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
