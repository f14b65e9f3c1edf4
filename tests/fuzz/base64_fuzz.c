/* SPDX-License-Identifier: BSD-3-Clause */
/* base64: bounded, the same however cut, and what was encoded comes back. First byte: the cut. */
#include "fuzz.h"

#include "filters/mime.h"

#include <string.h>

static size_t encode(const uint8_t *in, size_t n, uint8_t *out)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t k = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) |
			     (i + 2 < n ? in[i + 2] : 0);

		out[k++] = (uint8_t)alphabet[v >> 18];
		out[k++] = (uint8_t)alphabet[v >> 12 & 63];
		out[k++] = i + 1 < n ? (uint8_t)alphabet[v >> 6 & 63] : '=';
		out[k++] = i + 2 < n ? (uint8_t)alphabet[v & 63] : '=';
		if (i % 57 == 54) {
			out[k++] = '\r';
			out[k++] = '\n';
		}
	}
	return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct base64 whole = { 0 }, pieces = { 0 }, back = { 0 };
	uint8_t *a, *b, *e;
	size_t n, k = 0, cut;

	if (len < 1)
		return 0;
	cut = 1 + data[0] % 32;
	data++;
	len--;
	a = malloc(len / 4 * 3 + 3);
	b = malloc(len / 4 * 3 + 3 + len / cut + 3);
	e = malloc(len * 2 + 8);
	CHECK(a && b && e);
	n = base64_feed(&whole, data, len, a);
	CHECK(n <= len / 4 * 3 + 3);
	for (size_t i = 0; i < len; i += cut)
		k += base64_feed(&pieces, data + i, len - i < cut ? len - i : cut, b + k);
	CHECK(n == k && memcmp(a, b, n) == 0);
	n = encode(data, len, e);
	free(a);
	a = malloc(n / 4 * 3 + 3);
	CHECK(a);
	CHECK(base64_feed(&back, e, n, a) == len && memcmp(a, data, len) == 0);
	free(a);
	free(b);
	free(e);
	return 0;
}
