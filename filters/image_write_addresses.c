/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of an image: prefixes and ranges as they are given, the table at the end. */
#include "image_write_private.h"

#include "address_form.h"
#include "addrset_build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int image_writer_v4(
    struct image_writer *w, unsigned list, uint32_t addr_host_order, unsigned prefix_len)
{
	struct addrset_entry4 *e;

	if (list >= w->lists.n || prefix_len > 32)
		return -EINVAL;
	e = image_array_add(&w->v4, sizeof(*e), 1);
	if (!e)
		return -ENOMEM;
	*e = addrset_entry4(addr_host_order, prefix_len, 0, (uint8_t)(list + 1));
	return 0;
}

int image_writer_v6(
    struct image_writer *w, unsigned list, const uint8_t addr[16], unsigned prefix_len)
{
	struct addrset_entry6 *e;

	if (list >= w->lists.n || prefix_len > 128)
		return -EINVAL;
	e = image_array_add(&w->v6, sizeof(*e), 1);
	if (!e)
		return -ENOMEM;
	*e = addrset_entry6(addr, prefix_len, 0, (uint8_t)(list + 1));
	return 0;
}

int image_writer_prefix(
    struct image_writer *w, unsigned list, const uint8_t addr[16], unsigned prefix_len)
{
	if (!address_is_v4(addr))
		return image_writer_v6(w, list, addr, prefix_len);
	return image_writer_v4(w, list,
	    (uint32_t)addr[12] << 24 | (uint32_t)addr[13] << 16 | (uint32_t)addr[14] << 8 | addr[15],
	    prefix_len);
}

int image_writer_v4_range(struct image_writer *w, unsigned list, uint32_t first, uint32_t last)
{
	uint64_t at = first;

	if (list >= w->lists.n || first > last)
		return -EINVAL;
	while (at <= last) { /* the largest aligned block that fits */
		unsigned bits = at ? (unsigned)__builtin_ctzll(at) : 32;
		int r;

		if (bits > 32)
			bits = 32;
		while (at + (1ull << bits) - 1 > last)
			bits--;
		r = image_writer_v4(w, list, (uint32_t)at, 32 - bits);
		if (r < 0)
			return r;
		at += 1ull << bits;
	}
	return 0;
}

typedef unsigned __int128 u128;

static u128 u128_load(const uint8_t p[16])
{
	u128 v = 0;

	for (unsigned i = 0; i < 16; i++)
		v = v << 8 | p[i];
	return v;
}

int image_writer_v6_range(
    struct image_writer *w, unsigned list, const uint8_t first[16], const uint8_t last[16])
{
	u128 at = u128_load(first), end = u128_load(last);

	if (list >= w->lists.n || at > end)
		return -EINVAL;
	for (;;) {
		unsigned bits = 0;
		uint8_t addr[16];
		u128 block;
		int r;

		while (bits < 128 && !(at >> bits & 1) &&
		       (bits == 127 ? end == ~(u128)0 : at + (((u128)1 << (bits + 1)) - 1) <= end))
			bits++;
		for (unsigned i = 0; i < 16; i++)
			addr[i] = (uint8_t)(at >> (120 - 8 * i));
		r = image_writer_v6(w, list, addr, 128 - bits);
		if (r < 0)
			return r;
		block = bits == 128 ? ~(u128)0 : ((u128)1 << bits) - 1;
		if (end - at == block)
			return 0;
		at += block + 1;
	}
}

/* Precedence among lists that name the same prefix: allow, then severity, then the first made. */
static void list_orders(const struct image_writer *w, uint8_t order[256], bool allow[256])
{
	const struct policy_list *lists = w->lists.p;

	for (unsigned i = 0; i < w->lists.n; i++) {
		unsigned before = 0;

		allow[i + 1] = lists[i].verdict == VERDICT_PASS;
		for (unsigned k = 0; k < w->lists.n; k++) {
			bool k_allow = lists[k].verdict == VERDICT_PASS;

			if (k_allow != allow[i + 1])
				before += k_allow;
			else if (lists[k].verdict != lists[i].verdict)
				before += lists[k].verdict > lists[i].verdict;
			else
				before += k < i;
		}
		order[i + 1] = (uint8_t)before;
	}
}

int image_write_addresses(struct image_writer *w, size_t *ret_len)
{
	struct addrset_input in = {
		.v4 = w->v4.p,
		.v6 = w->v6.p,
		.n_v4 = w->v4.n,
		.n_v6 = w->v6.n,
	};
	uint8_t order[256] = { 0 };
	int r;

	list_orders(w, order, in.allow);
	for (size_t i = 0; i < in.n_v4; i++)
		in.v4[i].word |= (uint64_t)order[in.v4[i].word & 0xff] << 16;
	for (size_t i = 0; i < in.n_v6; i++)
		in.v6[i].rest |= (uint32_t)order[in.v6[i].rest & 0xff] << 8;
	r = addrset_build(&in, &w->made[IMAGE_ADDRESSES], ret_len);
	if (r == -E2BIG)
		snprintf(w->error, sizeof(w->error), "too many addresses for one table");
	return r;
}
