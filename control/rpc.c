/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON-RPC 2.0 (rpc.h). */
#include "rpc.h"

#include <stdlib.h>
#include <string.h>

int rpc_read(const char *line, size_t len, struct rpc_request *ret_request, const char **ret_why)
{
	struct rpc_request r = { 0 };
	json_error_t error;
	int code = RPC_INVALID_REQUEST;
	*ret_why = NULL;
	r.root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (r.root == NULL) {
		*ret_request = r;
		*ret_why = "Not JSON.";
		return RPC_PARSE_ERROR;
	}
	json_t *id = json_object_get(r.root, "id"), *method = json_object_get(r.root, "method");
	json_t *version = json_object_get(r.root, "jsonrpc");
	if (json_is_string(id) || json_is_number(id) || json_is_null(id))
		r.id = id;
	r.params = json_object_get(r.root, "params");
	r.method = json_string_value(method);
	if (json_is_array(r.root))
		*ret_why = "Batches are not served; send one request a line.";
	else if (!json_is_object(r.root))
		*ret_why = "Not an object.";
	else if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		*ret_why = "The member jsonrpc must be \"2.0\".";
	else if (id != NULL && r.id == NULL)
		*ret_why = "The member id must be a string or a number.";
	else if (r.method == NULL)
		*ret_why = "The member method must be a string.";
	else if (r.params != NULL && !json_is_object(r.params)) {
		*ret_why = "The member params must be an object.";
		code = RPC_INVALID_PARAMS;
	}
	*ret_request = r;
	return *ret_why == NULL ? 0 : code;
}

void rpc_request_fini(struct rpc_request *request)
{
	json_decref(request->root);
	*request = (struct rpc_request){ 0 };
}

static char *line_of(json_t *answer)
{
	char *line = NULL;
	if (answer == NULL)
		return NULL;
	size_t size = json_dumpb(answer, NULL, 0, JSON_COMPACT);
	if (size != 0)
		line = malloc(size + 2);
	if (line != NULL) {
		json_dumpb(answer, line, size, JSON_COMPACT);
		line[size] = '\n';
		line[size + 1] = '\0';
	}
	json_decref(answer);
	return line;
}

char *rpc_result(json_t *id, json_t *result)
{
	return line_of(json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id",
	    id == NULL ? json_null() : id, "result", result));
}

char *rpc_failure(json_t *id, int code, const char *message, json_t *data)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);
	if (data != NULL)
		json_object_set_new(error, "data", data);
	return line_of(json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id",
	    id == NULL ? json_null() : id, "error", error));
}
