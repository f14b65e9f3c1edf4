/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods about waves (methods.h); the dataplane answers them (dataplane/live_waves.c). */
#include "methods.h"

const struct method methods_waves[] = {
	{ "waves.show", ROLE_VIEWER, method_relay, "`{\"networks\":N,\"id\":N}`",
	    "`{\"waves\":[{\"id\",\"messages\",\"networks\",\"first_s\",\"last_s\",\"subject\","
	    "\"sender\","
	    "\"host\",\"clients\":[address...],\"hosts\":[{\"text\",\"messages\",\"elsewhere\"}...]"
	    ","
	    "\"subjects\":[...]}]}`",
	    false, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
