/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 2047 words: never longer than written, nothing else changed, and decoding what holds no
 * word changes nothing. */
#include "fuzz.h"

#include "filters/mime.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *in = malloc(len + 1), *out = malloc(len + 1), *more = malloc(len + 64);
	size_t n, k;

	CHECK(in && out && more);
	memcpy(in, data, len);
	n = rfc2047_decode(in, len, out);
	CHECK(n <= len);
	if (!memmem(in, len, "=?", 2))
		CHECK(n == len && memcmp(in, out, n) == 0);
	/* a word behind, with text between, adds its letters and nothing else */
	memcpy(more, in, len);
	memcpy(more + len, "?= x =?utf-8?q?a=62_?= y", 24);
	free(out);
	out = malloc(len + 24);
	CHECK(out);
	k = rfc2047_decode(more, len + 24, out);
	CHECK(k >= 2 && memcmp(out + k - 2, " y", 2) == 0);
	free(in);
	free(out);
	free(more);
	return 0;
}
