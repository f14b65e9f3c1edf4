/* SPDX-License-Identifier: BSD-3-Clause */
/* quoted-printable: bounded, the same however cut, and what was encoded comes back. */
#include "fuzz.h"

#include "filters/mime.h"

#include <stdbool.h>
#include <string.h>

static size_t decode(const uint8_t *in, size_t n, size_t cut, uint8_t *out)
{
	struct quoted_printable q = { 0 };
	size_t k = 0;

	for (size_t i = 0; i < n; i += cut)
		k += quoted_printable_feed(&q, in + i, n - i < cut ? n - i : cut, out + k);
	return k + quoted_printable_end(&q, out + k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	uint8_t *a, *b, *e;
	size_t n, k = 0, cut;

	if (len < 2)
		return 0;
	cut = 1 + data[0] % 16;
	data++;
	len--;
	a = malloc(len + 4);
	b = malloc(len + 4);
	e = malloc(len * 6);
	CHECK(a && b && e);
	n = decode(data, len, len, a);
	CHECK(n <= len && n == decode(data, len, cut, b) && memcmp(a, b, n) == 0);
	for (size_t i = 0; i < len; i++) {
		bool safe = data[i] > ' ' && data[i] != '=' && data[i] < 0x7f;

		if (!safe) {
			e[k++] = '=';
			e[k++] = (uint8_t)hex[data[i] >> 4];
			e[k++] =
			    (uint8_t)hex[(data[i] & 15) + ((data[i] & 15) > 9 && i % 2 ? 6 : 0)];
		} else {
			e[k++] = data[i];
		}
		if (i % 20 == 19) {
			memcpy(e + k, "=\r\n", 3);
			k += 3;
		}
	}
	free(a);
	a = malloc(k + 4);
	CHECK(a);
	CHECK(decode(e, k, cut, a) == len && memcmp(a, data, len) == 0);
	free(a);
	free(b);
	free(e);
	return 0;
}
