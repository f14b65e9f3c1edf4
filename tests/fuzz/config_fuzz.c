/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a configuration: it is good, or there are complaints, each with a place within the
 * file. What is good compiles, or says why not. List files are not opened: no name in the corpus
 * leads anywhere.
 */
#include "fuzz.h"

#include "control/compile.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct complaints complaints;
	unsigned lines = 2; /* libyaml finds the end of a file behind a line end that is not there */

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n' || data[i] == '\r' ||
			 data[i] >= 0x80; /* YAML has more breaks */
	complaints_init(&complaints);
	struct config *c =
	    config_parse("/nonexistent/a.yaml", (const char *)data, size, &complaints);
	CHECK((c == NULL) == (complaints.total != 0));
	for (unsigned i = 0; i < complaints.n; i++) {
		CHECK(complaints.items[i].pos.line <= lines);
		CHECK((complaints.items[i].pos.line == 0) == (complaints.items[i].pos.column == 0));
		CHECK(*complaints.items[i].text != '\0');
	}
	if (c != NULL && c->lists.n == 0) { /* a table of addresses takes milliseconds: not here */
		struct image *image = image_compile(c, 1, NULL, &complaints);
		CHECK(image != NULL || complaints.total != 0);
		image_free(image);
	}
	config_free(c);
	json_decref(complaints_json(&complaints));
	complaints_fini(&complaints);
	return 0;
}
