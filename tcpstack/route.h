/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Own addresses, connected prefixes and static routes (private).
 */
#ifndef POSTERN_TCPSTACK_ROUTE_H
#define POSTERN_TCPSTACK_ROUTE_H

#include "tcpstack.h"

enum { ROUTE_MAX = STACK_MAX_ROUTES + STACK_MAX_ADDRS, ROUTE_OWN_SLOTS = 512 };

/* Addresses as two native words, so that a masked compare is two instructions. */
struct addr_words {
	uint64_t hi, lo;
};

static inline struct addr_words addr_words(const struct ip_addr *a)
{
	struct addr_words w;
	memcpy(&w, a->b, sizeof(w));
	return w;
}

struct route_entry {
	struct addr_words net, mask;
	struct ip_addr via; /* unless direct */
	uint16_t index;     /* in config.routes; 0xffff: a connected prefix */
	uint16_t neigh;     /* pinned slot of the gateway; unless direct */
	uint8_t len;        /* bits of 128 */
	uint8_t netif;
	bool direct;
};

enum own_kind { OWN_NONE, OWN_ADDR, OWN_BROADCAST };

struct own_slot {
	_Alignas(32) struct addr_words addr;
	uint8_t kind; /* enum own_kind */
	uint8_t index;
};

struct route_table {
	uint16_t n4, n6;
	struct route_entry r4[ROUTE_MAX], r6[ROUTE_MAX]; /* longest prefix first */
	uint64_t own_filter; /* a bit per low six bits of the last byte: most strangers end here */
	struct own_slot own[ROUTE_OWN_SLOTS];
};

/* -EINVAL: a prefix length, netif or gateway that cannot be. */
int route_init(struct route_table *t, const struct stack_config *config);
/* True when `a` lies in a connected prefix of that netif. */
bool route_on_link(const struct route_table *t, unsigned netif, const struct ip_addr *a);

/* ---- asked for each frame, hence inline ---- */

static inline unsigned own_hash(struct addr_words w)
{
	uint64_t h = (w.hi * 0x9e3779b97f4a7c15ull + w.lo) * 0xd6e8feb86659fd93ull;
	return (unsigned)(h >> 55); /* ROUTE_OWN_SLOTS is 2^9 */
}

/* What an address is to us; ret_index (an index into config.addrs) only with OWN_ADDR. */
static inline enum own_kind route_own(
    const struct route_table *t, const struct ip_addr *a, uint8_t *ret_index)
{
	struct addr_words w = addr_words(a);

	if (!(t->own_filter >> (w.lo >> 56 & 63) & 1))
		return OWN_NONE;
	const struct own_slot *s = &t->own[own_hash(w)];
	while (s->kind != OWN_NONE && (s->addr.hi != w.hi || s->addr.lo != w.lo))
		s = s + 1 < t->own + ROUTE_OWN_SLOTS ? s + 1 : t->own;
	if (s->kind == OWN_ADDR)
		*ret_index = s->index;
	return s->kind;
}

/* NULL: no route. */
static inline const struct route_entry *route_find(
    const struct route_table *t, const struct ip_addr *dst, bool v4)
{
	const struct route_entry *r = v4 ? t->r4 : t->r6;
	unsigned n = v4 ? t->n4 : t->n6;
	struct addr_words w = addr_words(dst);

	for (unsigned i = 0; i < n; i++) {
		if ((w.lo & r[i].mask.lo) == r[i].net.lo && (w.hi & r[i].mask.hi) == r[i].net.hi)
			return &r[i];
	}
	return NULL;
}

#endif
