/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN cookies; the layout and its reasons are in cookie.h. Addresses, ports, ISN and epoch go into
 * the message as they are; the length byte of SipHash's last word parts the families (20, 44) and
 * traps (21, 45).
 */
#include "cookie.h"

static const uint16_t mss4[COOKIE_MSS_INDEXES] = { 64, 536, 1220, 1360, 1440, 1460 };
static const uint16_t mss6[COOKIE_MSS_INDEXES] = { 64, 1220, 1280, 1360, 1420, 1440 };

void cookie_init(struct cookie_keys *k, const uint8_t key[16])
{
	memcpy(k->key, key, 16);
	memset(k->previous, 0, 16);
	k->rotated_ns = 0;
	k->hash = siphash_lanes_select();
}

void cookie_rotate(struct cookie_keys *k, const uint8_t key[16], uint64_t now_ns)
{
	memcpy(k->previous, k->key, 16);
	memcpy(k->key, key, 16);
	k->rotated_ns = now_ns;
}

void cookie_batch_run(
    const struct cookie_keys *k, const uint8_t key[16], struct cookie_batch *b, bool v4)
{
	unsigned n_words = v4 ? 3 : 6;

	/* The last vector reads lanes nobody filled; their results are never looked at. */
	for (unsigned i = b->n; i % 8; i++) {
		for (unsigned w = 0; w < n_words; w++)
			b->words[w][i] = 0;
	}
	k->hash(key, b->words, n_words, b->n, b->hash);
}

static uint64_t hash_one(const struct cookie_keys *k, const uint8_t key[16], bool v4,
    const struct ip_addr *src, const struct ip_addr *dst, uint16_t src_port, uint16_t dst_port,
    uint32_t isn, uint32_t epoch, uint64_t mark)
{
	struct cookie_batch b;

	b.n = 0;
	cookie_batch_add(&b, v4, src, dst, src_port, dst_port, isn, epoch);
	b.words[v4 ? 2 : 5][0] += mark << 56;
	cookie_batch_run(k, key, &b, v4);
	return b.hash[0];
}

uint64_t cookie_hash(const struct cookie_keys *k, const uint8_t key[16], bool v4,
    const struct ip_addr *src, const struct ip_addr *dst, uint16_t src_port, uint16_t dst_port,
    uint32_t isn, uint32_t epoch)
{
	return hash_one(k, key, v4, src, dst, src_port, dst_port, isn, epoch, 0);
}

uint32_t cookie_trap(const struct cookie_keys *k, const uint8_t key[16], bool v4,
    const struct ip_addr *src, const struct ip_addr *dst, uint16_t src_port, uint16_t dst_port,
    uint32_t isn, uint32_t trap_epoch)
{
	return (uint32_t)hash_one(k, key, v4, src, dst, src_port, dst_port, isn, trap_epoch, 1);
}

unsigned cookie_mss_index(bool v4, uint16_t mss)
{
	const uint16_t *table = v4 ? mss4 : mss6;
	unsigned i = COOKIE_MSS_INDEXES - 1;

	if (!mss)
		return 1; /* the family's default stands there */
	while (i && table[i] > mss)
		i--;
	return i;
}

uint16_t cookie_mss(bool v4, unsigned index)
{
	return (v4 ? mss4 : mss6)[index];
}

uint32_t cookie_ts_make(uint32_t clock_ms, bool has_wscale, unsigned wscale, bool sack)
{
	uint32_t v = (clock_ms & ~63u) | (has_wscale ? wscale : 15) | (sack ? 16 : 0);

	return seq_lt(clock_ms, v) ? v - 64 : v;
}

bool cookie_ts_read(
    uint32_t clock_ms, uint32_t echo, bool *ret_has_wscale, uint8_t *ret_wscale, bool *ret_sack)
{
	/* Two epochs, and the 127 by which an option may have lowered it. */
	if (clock_ms - echo > 2u * COOKIE_EPOCH_S * 1000 + 127)
		return false;
	*ret_has_wscale = (echo & 15) != 15;
	*ret_wscale = *ret_has_wscale ? echo & 15 : 0;
	*ret_sack = echo & 16;
	return true;
}
