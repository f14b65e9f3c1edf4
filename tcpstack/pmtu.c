/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path MTU (RFC 1191, RFC 8201): 1,024 destinations, four ways to a set, the entry that expires
 * first gives way. A table of its own rather than a field of the connection, because the next
 * connection to the same backend or client wants to know too.
 *
 * IPv4 below 552 is taken as 552 and sent without DF: a forged message must not be able to cut
 * mail into 28-byte pieces, and a path that is truly narrower fragments in the network.
 */
#include "ip_half.h"
#include "pmtu.h"

static struct pmtu_entry *set_of(const struct stack *st, const struct ip_addr *dst)
{
	struct addr_words w = addr_words(dst);
	uint64_t h = (w.hi * 0x9e3779b97f4a7c15ull + w.lo) * 0xd6e8feb86659fd93ull;

	return st->ip->pmtu->sets[h >> 56];
}

_Static_assert(PMTU_SETS == 1 << 8, "set_of");

uint16_t pmtu_get(const struct stack *st, const struct ip_addr *dst)
{
	if (!st->ip->pmtu->used)
		return 0;
	const struct pmtu_entry *e = set_of(st, dst);
	for (unsigned i = 0; i < PMTU_WAYS; i++) {
		if (e[i].expires_ns > st->ip->now_ns && ip_addr_eq(&e[i].dst, dst))
			return e[i].mtu;
	}
	return 0;
}

void pmtu_lower(struct stack *st, const struct ip_addr *dst, uint16_t mtu, uint64_t now_ns)
{
	struct pmtu_entry *e = set_of(st, dst), *best = &e[0];
	uint16_t floor = ip_addr_is_v4(dst) ? PMTU_FLOOR4 : PMTU_FLOOR6;

	if (mtu < floor)
		mtu = floor;
	for (unsigned i = 0; i < PMTU_WAYS; i++) {
		if (e[i].expires_ns && ip_addr_eq(&e[i].dst, dst)) {
			best = &e[i];
			break;
		}
		if (e[i].expires_ns < best->expires_ns)
			best = &e[i];
	}
	/* Messages only ever lower what is known; it rises again by expiry. */
	if (best->expires_ns > now_ns && ip_addr_eq(&best->dst, dst) && best->mtu < mtu)
		return;
	*best = (struct pmtu_entry){ *dst, now_ns + PMTU_LIFE_S * 1000000000ull, mtu };
	st->ip->pmtu->used++;
	st->ip->neigh.generation++;
	count(st, STACK_pmtu_lowered);
}
