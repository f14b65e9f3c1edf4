/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON-RPC 2.0, one message a line: reading requests, making answers. Bytes in, bytes out; no
 * socket here. Batches are refused: a line is a message already.
 */
#ifndef POSTERN_CONTROL_RPC_H
#define POSTERN_CONTROL_RPC_H

#include <jansson.h>
#include <stddef.h>

enum { RPC_LINE_MAX = 65536 }; /* bytes of a request with its LF */

enum rpc_error {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_FORBIDDEN = -32001,         /* the peer's role does not suffice */
	RPC_NO_DATAPLANE = -32002,      /* not connected to it, or it went away */
	RPC_BAD_CONFIG = -32003,        /* data: as complaints_json() */
	RPC_DATAPLANE_REFUSED = -32004, /* data: {"code": its word} */
	RPC_BUSY = -32005,
	RPC_LINE_TOO_LONG = -32006,
};

struct rpc_request {
	json_t *root;   /* owns the rest */
	json_t *id;     /* NULL: a notification, never answered */
	json_t *params; /* an object; NULL: none */
	const char *method;
};

/* 0, or an enum rpc_error with a sentence; ret_request->id is then what could be read of it and
 * rpc_request_fini() is due all the same. */
int rpc_read(const char *line, size_t len, struct rpc_request *ret_request, const char **ret_why);
void rpc_request_fini(struct rpc_request *request);

/* A line with its LF, to be freed; NULL: no memory. `result` and `data` (NULL: none) are taken
 * over, `id` (NULL: null) is not. */
char *rpc_result(json_t *id, json_t *result);
char *rpc_failure(json_t *id, int code, const char *message, json_t *data);

#endif
