/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void reads_requests(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"policy.load\","
				   "\"params\":{\"path\":\"/a\"}}";
	struct rpc_request r;
	const char *why;
	(void)state;
	assert_int_equal(rpc_read(line, sizeof(line) - 1, &r, &why), 0);
	assert_string_equal(r.method, "policy.load");
	assert_string_equal(json_string_value(r.id), "x");
	assert_string_equal(json_string_value(json_object_get(r.params, "path")), "/a");
	rpc_request_fini(&r);
	static const char note[] = "{\"jsonrpc\":\"2.0\",\"method\":\"status\"}";
	assert_int_equal(rpc_read(note, sizeof(note) - 1, &r, &why), 0);
	assert_null(r.id);
	assert_null(r.params);
	rpc_request_fini(&r);
}

static void refuses_the_rest_with_the_code_of_the_standard(void **state)
{
	static const struct {
		const char *line;
		int code;
	} cases[] = {
		{ "", RPC_PARSE_ERROR },
		{ "{", RPC_PARSE_ERROR },
		{ "\xff\xfe", RPC_PARSE_ERROR },
		{ "{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\",\"method\":\"a\"}", RPC_PARSE_ERROR },
		{ "[]", RPC_INVALID_REQUEST },
		{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}]", RPC_INVALID_REQUEST },
		{ "7", RPC_PARSE_ERROR }, /* a line is an object, says the JSON reader already */
		{ "{}", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"a\"}", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1}", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"a\"}", RPC_INVALID_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":[1]}",
		    RPC_INVALID_PARAMS },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rpc_request r;
		const char *why = NULL;
		assert_int_equal(
		    rpc_read(cases[i].line, strlen(cases[i].line), &r, &why), cases[i].code);
		assert_non_null(why);
		rpc_request_fini(&r);
	}
	/* nesting without end is refused, not followed */
	char *deep = malloc(60000);
	memset(deep, '[', 60000);
	struct rpc_request r;
	const char *why;
	assert_int_equal(rpc_read(deep, 60000, &r, &why), RPC_PARSE_ERROR);
	rpc_request_fini(&r);
	free(deep);
}

static void writes_answers(void **state)
{
	json_t *id = json_integer(5);
	(void)state;
	char *line = rpc_result(id, json_pack("{s:i}", "epoch", 3));
	assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"epoch\":3}}\n");
	free(line);
	line = rpc_failure(id, RPC_FORBIDDEN, "No.", NULL);
	assert_string_equal(line,
	    "{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{\"code\":-32001,\"message\":\"No.\"}}\n");
	free(line);
	line = rpc_failure(NULL, RPC_PARSE_ERROR, "No.", json_pack("{s:s}", "code", "x"));
	assert_string_equal(line,
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":"
	    "\"No.\",\"data\":{\"code\":\"x\"}}}\n");
	free(line);
	json_decref(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_requests),
		cmocka_unit_test(refuses_the_rest_with_the_code_of_the_standard),
		cmocka_unit_test(writes_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
