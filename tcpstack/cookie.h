/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN cookies (RFC 4987 3.6): what an ISN says, and what a timestamp says beside it (private).
 *
 *	 31                            3 2   0
 *	+-------------------------------+-----+   index 0-5: the peer's MSS, family's own table
 *	|        29 bits of MAC         |  i  |   index 6, 7: refuse class 0, 1; 2 (see below)
 *	+-------------------------------+-----+
 *
 * MAC: SipHash-2-4 over addresses, ports, client ISN and epoch (64 s; the current and the previous
 * are tried). One hash gives 64 bits: bits 0-28 are the MAC of indexes 0-5, bits 29-57 that of 6
 * and 7, bits 58-60 are XORed onto the index. Whoever holds a refuse cookie therefore knows nothing
 * of the bits that would open a connection: with one MAC for all eight indexes, ACKing cookie - 6
 * would turn a refusal into a session.
 *
 * Refuse class 2 is index 6 with every bit of its MAC turned: three bits have no room for a ninth index.
 * Whoever holds a cookie of class 0 can make one of class 2, and hears the other text. Rejected: one MSS
 * fewer, for which honest clients would pay.
 *
 * A trap's ISN is all 32 bits of another hash (its own mark in the message, epochs of 68 minutes,
 * so that a trapped client's window probes are recognised for an hour): no ACK of it verifies as a
 * cookie, so a trap never opens.
 *
 * TSval of a SYN-ACK: the millisecond clock with its low 6 bits replaced by wscale (4 bits, 15:
 * none), SACK (1) and a spare 1, taken 64 lower where that would lie in the future: options only
 * ever lower a TSval, so no later segment fails PAWS.
 */
#ifndef POSTERN_TCPSTACK_COOKIE_H
#define POSTERN_TCPSTACK_COOKIE_H

#include "packet.h"
#include "siphash_lanes.h"

enum {
	COOKIE_MSS_INDEXES = 6,
	COOKIE_INDEXES = COOKIE_MSS_INDEXES + STACK_REFUSE_CLASSES,
	COOKIE_TURNED = 8, /* from here on an index is two less, with its MAC turned */
	COOKIE_EPOCH_S = 64,
	COOKIE_TRAP_EPOCHS = 64, /* one epoch of traps: 68 minutes */
};

struct cookie_keys {
	uint8_t key[16], previous[16];
	uint64_t rotated_ns; /* 0: never */
	siphash_lanes_fn *hash;
};

/* One message for the lanes. */
struct cookie_batch {
	uint64_t words[6][SIPHASH_LANES];
	uint64_t hash[SIPHASH_LANES];
	unsigned n;
};

static inline uint32_t cookie_epoch(uint64_t now_ns)
{
	return (uint32_t)(now_ns / (COOKIE_EPOCH_S * 1000000000ull));
}

/* True while cookies of the key before the last rotation are still good. */
static inline bool cookie_previous_valid(const struct cookie_keys *k, uint64_t now_ns)
{
	return k->rotated_ns && cookie_epoch(now_ns) - cookie_epoch(k->rotated_ns) <= 2;
}

void cookie_init(struct cookie_keys *k, const uint8_t key[16]);
void cookie_rotate(struct cookie_keys *k, const uint8_t key[16], uint64_t now_ns);

static inline void cookie_batch_add(struct cookie_batch *b, bool v4, const struct ip_addr *src,
    const struct ip_addr *dst, uint16_t src_port, uint16_t dst_port, uint32_t isn, uint32_t epoch)
{
	unsigned i = b->n++;
	uint64_t ports_isn = (uint64_t)isn << 32 | (uint32_t)src_port << 16 | dst_port;

	if (v4) {
		uint32_t s, d;
		memcpy(&s, src->b + 12, 4);
		memcpy(&d, dst->b + 12, 4);
		b->words[0][i] = (uint64_t)d << 32 | s;
		b->words[1][i] = ports_isn;
		b->words[2][i] = 20ull << 56 | epoch;
	} else {
		memcpy(&b->words[0][i], src->b, 8);
		memcpy(&b->words[1][i], src->b + 8, 8);
		memcpy(&b->words[2][i], dst->b, 8);
		memcpy(&b->words[3][i], dst->b + 8, 8);
		b->words[4][i] = ports_isn;
		b->words[5][i] = 44ull << 56 | epoch;
	}
}

/* Hashes a batch of one family. */
void cookie_batch_run(
    const struct cookie_keys *k, const uint8_t key[16], struct cookie_batch *b, bool v4);
/* One hash, the slow way: SYN-ACKs sent again, traps. */
uint64_t cookie_hash(const struct cookie_keys *k, const uint8_t key[16], bool v4,
    const struct ip_addr *src, const struct ip_addr *dst, uint16_t src_port, uint16_t dst_port,
    uint32_t isn, uint32_t epoch);
/* The ISN of a trap, by trap epoch (cookie_epoch() / COOKIE_TRAP_EPOCHS). */
uint32_t cookie_trap(const struct cookie_keys *k, const uint8_t key[16], bool v4,
    const struct ip_addr *src, const struct ip_addr *dst, uint16_t src_port, uint16_t dst_port,
    uint32_t isn, uint32_t trap_epoch);

static inline uint32_t cookie_make(uint64_t hash, unsigned index)
{
	const uint32_t mask = 0x1fffffffu;
	uint32_t mac = (uint32_t)(index < COOKIE_MSS_INDEXES ? hash : hash >> 29) & mask;
	unsigned turned = index >= COOKIE_TURNED;

	mac ^= mask & -turned;
	index -= 2 * turned;
	return mac << 3 | (index ^ (hash >> 58 & 7));
}

/* The index of a cookie that this hash made, or -1. */
static inline int cookie_check(uint64_t hash, uint32_t cookie)
{
	unsigned index = (cookie ^ (unsigned)(hash >> 58)) & 7;

	if (cookie_make(hash, index) == cookie)
		return (int)index;
	index += 2;
	return index >= COOKIE_TURNED && index < COOKIE_INDEXES && cookie_make(hash, index) == cookie
		   ? (int)index
		   : -1;
}

/* Largest index whose MSS the peer can take; mss 0: no option (RFC 9293 3.7.1: 536, 1220). */
unsigned cookie_mss_index(bool v4, uint16_t mss);
uint16_t cookie_mss(bool v4, unsigned index);

/* TSval that carries options; has_wscale false: none. */
uint32_t cookie_ts_make(uint32_t clock_ms, bool has_wscale, unsigned wscale, bool sack);
/* Reads them back from an echo; false when it cannot be one of ours of the last two epochs. */
bool cookie_ts_read(
    uint32_t clock_ms, uint32_t echo, bool *ret_has_wscale, uint8_t *ret_wscale, bool *ret_sack);

#endif
