/* SPDX-License-Identifier: BSD-3-Clause */
/* Reassembly against a plain array: random pieces, overlapping and repeated, in random order. */
#include "driver.h"

#include "reasm.h"

#include <stdlib.h>

static void random_pieces_make_the_same_bytes(void **state)
{
	enum { TOTAL = 30000 };
	uint32_t x = 12345;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct td_options o = { .v6 = round & 1, .sack = true, .peer_mss = 1460 };
		struct td *d = td_make(TCP_ESTABLISHED, &o);
		uint32_t read = 0;

		for (int i = 0; i < 20000 && d->c->rcv_nxt - d->irs < 1 + TOTAL; i++) {
			uint32_t next = d->c->rcv_nxt - d->irs, at, len;
			const uint8_t *p;
			size_t n;

			x = x * 1664525 + 1013904223;
			at = next + (x >> 8) % 9000;
			len = 1 + (x >> 4) % 1400;
			if (i % 9 == 0)
				at = next > 300 ? next - 300 : 1;
			if (at > TOTAL)
				continue;
			len = len > 1 + TOTAL - at ? 1 + TOTAL - at : len;
			td_data(d, at, len, 1);
			td_forget_output(d);
			while ((n = tcp_peek(d->c, &p)) > 0) {
				for (size_t k = 0; k < n; k++)
					assert_int_equal(p[k], td_pattern(read + (uint32_t)k));
				read += (uint32_t)n;
				tcp_consume(&d->st, d->c, n);
			}
		}
		assert_int_equal(read, TOTAL);
		assert_int_equal(d->c->ooo_runs, 0);
		assert_int_equal(d->st.tcp->chunks.used, 0);
		td_free(d);
	}
}

static void neighbours_become_one_run(void **state)
{
	struct td_options o = { .sack = true, .peer_mss = 1460 };
	struct td *d = td_make(TCP_ESTABLISHED, &o);
	struct td_seg s;

	(void)state;
	td_data(d, 1001, 500, 1);
	td_data(d, 2001, 500, 1);
	td_data(d, 3001, 500, 1);
	assert_int_equal(d->c->ooo_runs, 3);
	td_forget_output(d);
	td_data(d, 1201, 1900, 1); /* overlaps all three */
	s = td_expect(d, TCP_ACK, 1, 1, 0);
	assert_int_equal(d->c->ooo_runs, 1);
	assert_int_equal(s.opt.n_sack, 1);
	assert_int_equal(s.opt.sack[0].start - d->irs, 1001);
	assert_int_equal(s.opt.sack[0].end - d->irs, 3501);
	td_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_pieces_make_the_same_bytes),
		cmocka_unit_test(neighbours_become_one_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
