/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods about name service (methods.h); the dataplane answers them (dataplane/live_resolver.c). */
#include "methods.h"

const struct method methods_dns[] = {
	{ "dns.lists", ROLE_VIEWER, method_relay, "",
	    "`{\"lists\":[{\"name\",\"zone\",\"kind\",\"ipv4\":{\"state\",\"trouble\",\"since\","
	    "\"probed\"} "
	    "or "
	    "null,\"ipv6\",\"queries\",\"hits\",\"sole_hits\",\"accepted\",\"errors\",\"timeouts\"}"
	    "],"
	    "\"recursors\":[{\"address\",\"port\",\"up\",\"asked\",\"answered\",\"timeouts\"}],"
	    "\"cache\",\"questions\"}`",
	    false, NULL, false },
	{ "dns.lookup", ROLE_VIEWER, method_relay, "`{\"address\":address}`",
	    "`{\"address\",\"lists\":[{\"name\",\"says\"}],\"host\":{\"state\",\"name\"},\"under_"
	    "way\":bool}`",
	    false, NULL, false },
	{ "dns.flush", ROLE_OPERATOR, method_relay, "", "`{}`", true, NULL, false },
	{ "dns.resume", ROLE_OPERATOR, method_relay, "`{\"list\":name}`", "`{}`", true, NULL, false },
	{ NULL, ROLE_NONE, NULL, NULL, NULL, false, NULL, false },
};
