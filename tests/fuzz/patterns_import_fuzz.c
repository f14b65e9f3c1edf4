/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a SpamAssassin rule file: it is read, or beyond a bound. What is written our own
 * reader takes without a complaint, and every expression is counted once. Few expressions are put
 * to Hyperscan: each costs milliseconds, and finding its bugs is not the aim.
 */
#include "fuzz.h"

#include "control/patterns.h"
#include "control/patterns_import.h"

#include <string.h>

enum { SIZE_MAX_READ = 4096, EXPRESSIONS_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct patterns_import *import = NULL;
	struct complaints complaints;
	struct patterns patterns;
	char *text = NULL;
	size_t len = 0;
	unsigned lines = 1;

	if (size > SIZE_MAX_READ)
		return 0;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (lines > EXPRESSIONS_MAX)
		return 0;
	if (patterns_import_text("fuzz.cf", (const char *)data, size, &import) != 0)
		return 0;
	patterns_import_check(import, NULL, NULL);
	FILE *out = open_memstream(&text, &len);
	CHECK(out != NULL);
	CHECK(patterns_import_write(import, out) == 0);
	CHECK(fclose(out) == 0);
	const struct patterns_import_counts *c = patterns_import_counts(import);
	CHECK(c->expressions <= lines);
	CHECK(c->compiled + c->confirm + c->refused == c->expressions);
	CHECK(c->metas_carried + c->metas_lacking + c->metas_constant + c->metas_off +
		  c->metas_unused ==
	      c->metas);
	complaints_init(&complaints);
	patterns_init(&patterns);
	CHECK(patterns_parse(&patterns, "out", NULL, text, len, &complaints) == 0);
	if (!patterns_finish(&patterns, &complaints) || complaints.total != 0) {
		complaints_print(&complaints, stderr);
		fwrite(text, 1, len, stderr);
		CHECK(complaints.total == 0);
	}
	patterns_fini(&patterns);
	complaints_fini(&complaints);
	free(text);
	patterns_import_free(import);
	return 0;
}
