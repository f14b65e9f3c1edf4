/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Longest prefix match over at most 128 routes per family, and "is this address ours?".
 *
 * A sorted array, longest prefix first, both families as 128-bit words: an appliance has a default
 * route, a connected prefix and perhaps a few networks behind other gateways, and the first hit of
 * a short scan beats any tree. Own addresses and the broadcast addresses of own prefixes are asked
 * for twice per frame, so they sit in a small hash.
 */
#include "route.h"

#include <errno.h>

static struct addr_words mask_words(unsigned bits)
{
	struct ip_addr a = { { 0 } };

	for (unsigned i = 0; i < bits; i++)
		a.b[i / 8] |= (uint8_t)(0x80u >> (i % 8));
	return addr_words(&a);
}

_Static_assert(ROUTE_OWN_SLOTS == 1 << 9, "own_hash");
_Static_assert(ROUTE_OWN_SLOTS >= 2 * (2 * STACK_MAX_ADDRS + 1), "own_add always finds a slot");

static void own_add(
    struct route_table *t, const struct ip_addr *a, enum own_kind kind, unsigned index)
{
	struct addr_words w = addr_words(a);
	unsigned i = own_hash(w);

	while (t->own[i].kind != OWN_NONE) {
		if (t->own[i].addr.hi == w.hi && t->own[i].addr.lo == w.lo)
			return;
		i = (i + 1) % ROUTE_OWN_SLOTS;
	}
	t->own_filter |= 1ull << (a->b[15] & 63);
	t->own[i] = (struct own_slot){ w, (uint8_t)kind, (uint8_t)index };
}

static int route_add(struct route_table *t, const struct ip_addr *dst, unsigned prefix_len,
    unsigned netif, const struct ip_addr *via, unsigned index)
{
	bool v4 = ip_addr_is_v4(dst);

	/* The default route of IPv4 is ::ffff:0:0/96 or, as people write it, 0.0.0.0/0. */
	if (prefix_len > (v4 ? 32u : 128u))
		return -EINVAL;
	unsigned len = prefix_len + (v4 ? 96 : 0);
	struct route_entry *r = v4 ? t->r4 : t->r6;
	uint16_t *n = v4 ? &t->n4 : &t->n6;
	unsigned at = 0;

	struct addr_words mask = mask_words(len), net = addr_words(dst);
	net = (struct addr_words){ net.hi & mask.hi, net.lo & mask.lo };
	for (; at < *n && r[at].len >= len; at++) {
		if (r[at].len == len && r[at].net.hi == net.hi && r[at].net.lo == net.lo &&
		    r[at].direct && !via && r[at].netif == netif)
			return 0; /* a second address in the same prefix */
	}
	memmove(r + at + 1, r + at, (*n - at) * sizeof(*r));
	(*n)++;
	r[at] = (struct route_entry){
		.net = net,
		.mask = mask,
		.index = (uint16_t)index,
		.neigh = 0xffff,
		.len = (uint8_t)len,
		.netif = (uint8_t)netif,
		.direct = via == NULL,
	};
	if (via)
		r[at].via = *via;
	return 0;
}

int route_init(struct route_table *t, const struct stack_config *config)
{
	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < config->n_addrs; i++) {
		const struct stack_ip *a = &config->addrs[i];
		if (a->netif >= config->n_netifs)
			return -EINVAL;
		int r = route_add(t, &a->addr, a->prefix_len, a->netif, NULL, 0xffff);
		if (r < 0)
			return r;
		own_add(t, &a->addr, OWN_ADDR, i);
	}
	/* The all-ones address of each IPv4 prefix is a broadcast (RFC 1122 3.2.1.3), and so is
	 * all-zeros by old custom; neither exists in a /31 or /32 (RFC 3021). */
	for (unsigned i = 0; i < config->n_addrs; i++) {
		const struct stack_ip *a = &config->addrs[i];
		if (!ip_addr_is_v4(&a->addr) || a->prefix_len > 30 || a->prefix_len == 0)
			continue;
		struct ip_addr low = a->addr, high = a->addr;
		for (unsigned bit = 96u + a->prefix_len; bit < 128; bit++) {
			low.b[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
			high.b[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
		}
		own_add(t, &low, OWN_BROADCAST, 0);
		own_add(t, &high, OWN_BROADCAST, 0);
	}
	for (unsigned i = 0; i < config->n_routes; i++) {
		const struct stack_route *s = &config->routes[i];
		struct ip_addr dst = s->dst;
		static const struct ip_addr zero;
		if (s->netif >= config->n_netifs)
			return -EINVAL;
		if (s->prefix_len == 0 && ip_addr_eq(&dst, &zero) && ip_addr_is_v4(&s->via))
			dst = ip_addr_from_v4("\0\0\0");
		if (ip_addr_is_v4(&dst) != ip_addr_is_v4(&s->via))
			return -EINVAL;
		int r = route_add(t, &dst, s->prefix_len, s->netif, &s->via, i);
		if (r < 0)
			return r;
	}
	return 0;
}

bool route_on_link(const struct route_table *t, unsigned netif, const struct ip_addr *a)
{
	bool v4 = ip_addr_is_v4(a);
	const struct route_entry *r = v4 ? t->r4 : t->r6;
	unsigned n = v4 ? t->n4 : t->n6;
	struct addr_words w = addr_words(a);

	if (!v4 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
		return true; /* link-local, on every link (RFC 4291 2.5.6) */
	for (unsigned i = 0; i < n; i++) {
		if (r[i].direct && r[i].netif == netif && (w.lo & r[i].mask.lo) == r[i].net.lo &&
		    (w.hi & r[i].mask.hi) == r[i].net.hi)
			return true;
		if (!r[i].direct && r[i].netif == netif && ip_addr_eq(&r[i].via, a))
			return true; /* a gateway is on its link whatever the prefixes say */
	}
	return false;
}
