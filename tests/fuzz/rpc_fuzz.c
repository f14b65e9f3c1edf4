/* SPDX-License-Identifier: BSD-3-Clause */
/* Any line as a request: read or refused with words, and the answer is one line of JSON. */
#include "fuzz.h"

#include "control/rpc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_request request;
	const char *why = NULL;
	int code = rpc_read((const char *)data, size, &request, &why);

	CHECK((code == 0) == (why == NULL));
	CHECK(code != 0 || request.method != NULL);
	char *line = code == 0 ? rpc_result(request.id, json_object())
			       : rpc_failure(request.id, code, why, NULL);
	CHECK(line != NULL);
	CHECK(strchr(line, '\n') == line + strlen(line) - 1);
	json_t *answer = json_loads(line, 0, NULL);
	CHECK(answer != NULL);
	json_decref(answer);
	free(line);
	rpc_request_fini(&request);
	return 0;
}
