/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DATA stream: the first byte chooses the policy, the second how the rest is cut. The same
 * message comes out however it was cut, to backend and scanner alike, and a strict reader of what
 * went to the backend finds no end and no bare line end in it.
 */
#include "fuzz.h"

#include "dataplane/smtp.h"

#include <string.h>

struct out {
	uint8_t *forward, *plain;
	size_t n_forward, n_plain, used;
	struct smtp_data d;
};

static void feed(
    struct out *o, const uint8_t *in, size_t len, enum smtp_data_policy policy, unsigned seed)
{
	o->forward = malloc(2 * len + 8);
	o->plain = malloc(2 * len + 8);
	CHECK(o->forward && o->plain);
	o->n_forward = o->n_plain = o->used = 0;
	smtp_data_init(&o->d, policy);
	while (o->used < len && !o->d.ended) {
		size_t piece = len - o->used, n_forward, n_plain;

		if (seed) {
			seed = seed * 1103515245u + 12345u;
			size_t wanted = 1 + (seed >> 16) % (seed & 0x8000 ? 4 : 90);

			piece = wanted < piece ? wanted : piece;
		}
		uint8_t *forward = malloc(2 * piece + 8), *plain = malloc(2 * piece + 8);
		uint8_t *copy = malloc(piece);

		CHECK(forward && plain && copy);
		memcpy(copy, in + o->used, piece);
		size_t used =
		    smtp_data_feed(&o->d, copy, piece, forward, &n_forward, plain, &n_plain);

		CHECK(used == piece || (o->d.ended && used < piece));
		CHECK(n_forward <= 2 * piece + 8 && n_plain <= 2 * piece + 8);
		CHECK(o->n_forward + n_forward <= 2 * len + 8);
		memcpy(o->forward + o->n_forward, forward, n_forward);
		memcpy(o->plain + o->n_plain, plain, n_plain);
		o->n_forward += n_forward;
		o->n_plain += n_plain;
		o->used += used;
		free(copy);
		free(forward);
		free(plain);
	}
}

static void out_fini(struct out *o)
{
	free(o->forward);
	free(o->plain);
}

/* Where the first CR LF . CR LF stands whose first CR follows no CR; len: nowhere. */
static size_t find_end(const uint8_t *in, size_t len)
{
	for (size_t i = 0; i + 3 <= len; i++) {
		if (memcmp(in + i, ".\r\n", 3) != 0)
			continue;
		if (i == 0 ||
		    (i >= 2 && memcmp(in + i - 2, "\r\n", 2) == 0 && (i == 2 || in[i - 3] != '\r')))
			return i;
	}
	return len;
}

/* The scanner's text is what a strict server would read from the backend's stream. */
static void same_message(const struct out *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n_forward; i++) {
		const uint8_t *p = o->forward + i;

		CHECK(*p != '\r' || i + 1 == o->n_forward || p[1] == '\n');
		CHECK(*p != '\n' || (i > 0 && p[-1] == '\r'));
		if (*p == '.' && (i == 0 || p[-1] == '\n')) {
			CHECK(i + 1 < o->n_forward && p[1] != '\r' && p[1] != '\n');
			continue;
		}
		CHECK(n < o->n_plain && o->plain[n] == *p);
		n++;
	}
	CHECK(n == o->n_plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct out whole, pieces;

	if (len < 2)
		return 0;
	enum smtp_data_policy policy = data[0] % 4;
	unsigned seed = data[1] + 1u;

	data += 2;
	len -= 2;
	feed(&whole, data, len, policy, 0);
	feed(&pieces, data, len, policy, seed);
	CHECK(whole.used == pieces.used && whole.n_forward == pieces.n_forward);
	CHECK(whole.n_plain == pieces.n_plain);
	CHECK(memcmp(whole.forward, pieces.forward, whole.n_forward) == 0);
	CHECK(memcmp(whole.plain, pieces.plain, whole.n_plain) == 0);
	CHECK(whole.d.ended == pieces.d.ended && whole.d.bare == pieces.d.bare);
	CHECK(whole.d.size == pieces.d.size && whole.d.received == pieces.d.received);
	CHECK(whole.d.in_header == pieces.d.in_header);

	if (policy == SMTP_DATA_CHUNKS) {
		CHECK(whole.used == len && whole.n_forward == len && whole.d.size == len);
		CHECK(memcmp(whole.forward, data, len) == 0);
		CHECK(memcmp(whole.plain, data, len) == 0);
	} else {
		size_t end = find_end(data, len);

		CHECK(whole.d.ended == (end < len));
		CHECK(whole.used == (end < len ? end + 3 : len));
		same_message(&whole);
		if (!whole.d.bare) {
			/* Byte for byte, save the two that may still be held back. */
			CHECK(whole.n_forward <= end && whole.n_forward + 2 >= end);
			CHECK(memcmp(whole.forward, data, whole.n_forward) == 0);
		}
		if (policy == SMTP_DATA_NORMALIZE || !whole.d.bare) {
			CHECK(whole.d.size == whole.n_plain);
			CHECK(!whole.d.ended || whole.n_forward == 0 ||
			      whole.forward[whole.n_forward - 1] == '\n');
		}
	}
	out_fini(&whole);
	out_fini(&pieces);
	return 0;
}
