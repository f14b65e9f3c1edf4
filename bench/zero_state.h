/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The baseline of the `refuse` claim: the least program that sends the same frames. No policy, no
 * statistics, no events, no timers, no routes: SipHash cookies, one table look-up per SYN, checksums
 * in software both ways, the refusal and FIN in one segment. With `bare` set it neither looks up nor
 * verifies checksums: cookie and reply, nothing else.
 */
#ifndef POSTERN_BENCH_ZERO_STATE_H
#define POSTERN_BENCH_ZERO_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct zero_state {
	bool v6, bare;
	uint64_t key[2];
	uint8_t *listed; /* 2^24 bytes by the address's first 24 bits: 1 M prefixes, one load */
	char text[256];
	uint16_t text_len;
};

enum { ZERO_BURST = 32 };

int zero_state_init(struct zero_state *z, bool v6, const char *text);
void zero_state_fini(struct zero_state *z);
/* Frames of one burst, rewritten in place. len[i] is 0 afterwards where nothing is sent. */
void zero_state_burst(struct zero_state *z, uint8_t *const *data, uint16_t *len, unsigned n);

#endif
