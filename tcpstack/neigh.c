/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The neighbour table and its one state machine, after RFC 4861 7.3.2, for ARP and ND alike.
 *
 * IPv4 gets the probing of IPv6 because a gateway that changed its MAC must not cost minutes. Own
 * addresses are used at once and probed meanwhile (as RFC 4429 allows for IPv6): an appliance that
 * comes back after a restart should not add seconds of silence; the shell asks for conflicts
 * during its first seconds and refuses to start on one. Rejected: a queue of packets per
 * unresolved neighbour; the latest stateless answer is held, and TCP sends again when told.
 *
 * Bounds: the table is full: the oldest unused entry that is no gateway is let go. Unanswered
 * questions fill a quarter of it at most and 256 a second are begun, so a scan that spoofs on-link
 * sources neither floods the link nor flushes the table.
 */
#include "ip_half.h"
#include "neigh_wire.h"

#include <errno.h>
#include <stdlib.h>

static const uint64_t SECOND_NS = 1000000000u;

enum {
	REACHABLE_S = 30, /* RFC 4861 10 */
	DELAY_S = 5,
	UNUSED_S = 600,
	FAILED_S = 3,
	MAX_PROBES = 3,
	ASKS_PER_S = 256,
	PROBES4 = 3, /* RFC 5227 1.1 */
	PROBES6 = 1, /* RFC 4862 5.1 */
	ANNOUNCE = 2,
	DEFEND_S = 10,
	CONFLICT_S = 60,
};

static unsigned neigh_hash(const struct neigh_table *t, unsigned netif, const struct ip_addr *a)
{
	struct addr_words w = addr_words(a);
	uint64_t h = (w.hi * 0x9e3779b97f4a7c15ull + w.lo + netif) * 0xd6e8feb86659fd93ull;

	return (unsigned)(h >> 32) & (t->n_heads - 1);
}

int neigh_init(struct neigh_table *t, uint32_t max, uint64_t now_ns)
{
	*t = (struct neigh_table){ 0 };
	if (max < 16)
		max = 16;
	if (max > NEIGH_NONE)
		max = NEIGH_NONE;
	t->n = max;
	for (t->n_heads = 1; t->n_heads < max;)
		t->n_heads *= 2;
	t->entries = calloc(max, sizeof(*t->entries));
	t->heads = malloc(t->n_heads * sizeof(*t->heads));
	t->n_held = (uint16_t)(max / 4);
	t->held = calloc(t->n_held, sizeof(*t->held));
	if (!t->entries || !t->heads || !t->held) {
		neigh_fini(t);
		return -ENOMEM;
	}
	memset(t->heads, 0xff, t->n_heads * sizeof(*t->heads));
	for (uint32_t i = 0; i < max; i++)
		t->entries[i].next = (uint16_t)(i + 1 < max ? i + 1 : NEIGH_NONE);
	for (unsigned i = 0; i < t->n_held; i++) {
		t->held[i].slot = NEIGH_NONE;
		t->held[i].next_free = (uint16_t)(i + 1 < t->n_held ? i + 1 : NEIGH_NONE);
	}
	t->generation = 1;
	t->next_due_ns = now_ns;
	for (unsigned i = 0; i < STACK_MAX_ADDRS; i++)
		t->own[i].due_ns = now_ns;
	return 0;
}

void neigh_fini(struct neigh_table *t)
{
	free(t->entries);
	free(t->held);
	free(t->heads);
	*t = (struct neigh_table){ 0 };
}

static void set_due(struct neigh_table *t, struct neigh_entry *e, uint64_t due_ns)
{
	e->due_ns = due_ns;
	if (due_ns < t->next_due_ns)
		t->next_due_ns = due_ns;
}

static void set_state(struct neigh_table *t, struct neigh_entry *e, enum neigh_state state)
{
	bool was = e->state == NEIGH_INCOMPLETE || e->state == NEIGH_FAILED;
	bool is = state == NEIGH_INCOMPLETE || state == NEIGH_FAILED;

	t->incomplete += (uint32_t)is - (uint32_t)was;
	e->state = (uint8_t)state;
}

static void held_put(struct neigh_table *t, struct neigh_entry *e)
{
	struct neigh_held *h = &t->held[e->held - 1];

	h->slot = NEIGH_NONE;
	h->next_free = t->held_free;
	t->held_free = (uint16_t)(e->held - 1);
	e->held = 0;
}

static void held_drop(struct stack *st, struct neigh_entry *e)
{
	if (e->held) {
		held_put(&st->ip->neigh, e);
		count(st, STACK_neigh_held_dropped);
	}
}

static void entry_free(struct stack *st, uint16_t slot)
{
	struct neigh_table *t = &st->ip->neigh;
	struct neigh_entry *e = &t->entries[slot];
	uint16_t *link = &t->heads[neigh_hash(t, e->netif, &e->addr)];

	held_drop(st, e);
	while (*link != slot)
		link = &t->entries[*link].next;
	*link = e->next;
	set_state(t, e, NEIGH_FREE);
	e->next = t->free;
	t->free = slot;
	t->used--;
	t->generation++;
}

uint16_t neigh_find(const struct neigh_table *t, unsigned netif, const struct ip_addr *addr)
{
	uint16_t slot = t->heads[neigh_hash(t, netif, addr)];

	for (; slot != NEIGH_NONE; slot = t->entries[slot].next) {
		const struct neigh_entry *e = &t->entries[slot];
		if (e->netif == netif && ip_addr_eq(&e->addr, addr))
			break;
	}
	return slot;
}

static bool evict(struct stack *st)
{
	struct neigh_table *t = &st->ip->neigh;
	uint16_t oldest = NEIGH_NONE;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct neigh_entry *e = &t->entries[i];
		if (e->state == NEIGH_FREE || e->pinned)
			continue;
		if (oldest == NEIGH_NONE || e->used_ns < t->entries[oldest].used_ns)
			oldest = (uint16_t)i;
	}
	if (oldest == NEIGH_NONE)
		return false;
	entry_free(st, oldest);
	return true;
}

static uint16_t entry_new(
    struct stack *st, unsigned netif, const struct ip_addr *addr, uint64_t now_ns)
{
	struct neigh_table *t = &st->ip->neigh;

	if (t->free == NEIGH_NONE) {
		if (!evict(st))
			return NEIGH_NONE;
		count(st, STACK_neigh_evicted);
	}
	uint16_t slot = t->free;
	struct neigh_entry *e = &t->entries[slot];
	t->free = e->next;
	uint16_t *head = &t->heads[neigh_hash(t, netif, addr)];
	*e = (struct neigh_entry){
		.addr = *addr,
		.due_ns = UINT64_MAX,
		.used_ns = now_ns,
		.next = *head,
		.netif = (uint8_t)netif,
	};
	*head = slot;
	t->used++;
	return slot;
}

uint16_t neigh_get(struct stack *st, unsigned netif, const struct ip_addr *addr, uint64_t now_ns)
{
	struct neigh_table *t = &st->ip->neigh;
	uint16_t slot = neigh_find(t, netif, addr);

	if (slot != NEIGH_NONE)
		return slot;
	if (now_ns - t->ask_window_ns >= SECOND_NS) {
		t->ask_window_ns = now_ns;
		t->ask_count = 0;
	}
	if (t->incomplete >= t->n / 4 || t->ask_count >= ASKS_PER_S) {
		count(st, STACK_neigh_ask_capped);
		return NEIGH_NONE;
	}
	t->ask_count++;
	slot = entry_new(st, netif, addr, now_ns);
	if (slot != NEIGH_NONE) {
		set_state(t, &t->entries[slot], NEIGH_INCOMPLETE);
		set_due(t, &t->entries[slot], now_ns);
	}
	return slot;
}

void neigh_pin(struct neigh_table *t, uint16_t slot)
{
	t->entries[slot].pinned = true;
}

/* A stale entry was used: a question is due soon (RFC 4861 7.3.3). */
void neigh_doubt(struct neigh_table *t, struct neigh_entry *e, uint64_t now_ns)
{
	set_state(t, e, NEIGH_DELAY);
	set_due(t, e, now_ns + DELAY_S * SECOND_NS);
}

void neigh_hold(struct stack *st, uint16_t slot, bool v4, const uint8_t *l3, unsigned len)
{
	struct neigh_table *t = &st->ip->neigh;
	struct neigh_entry *e = &t->entries[slot];

	if (len > NEIGH_HELD_MAX || (!e->held && t->held_free == NEIGH_NONE)) {
		count(st, STACK_neigh_held_full);
		return;
	}
	if (e->held) {
		count(st, STACK_neigh_held_replaced);
	} else {
		e->held = (uint16_t)(t->held_free + 1);
		t->held_free = t->held[e->held - 1].next_free;
	}
	struct neigh_held *h = &t->held[e->held - 1];
	h->slot = slot;
	h->v4 = v4;
	h->len = (uint16_t)len;
	memcpy(h->l3, l3, len);
}

bool neigh_release(struct stack *st, struct frame_out *out)
{
	struct neigh_table *t = &st->ip->neigh;

	if (__builtin_expect(!t->resolved, 1))
		return false;
	t->resolved = false;
	for (unsigned i = 0; i < t->n_held; i++) {
		struct neigh_held *h = &t->held[i];
		struct frame f;
		if (h->slot == NEIGH_NONE || !neigh_usable(&t->entries[h->slot]))
			continue;
		struct neigh_entry *e = &t->entries[h->slot];
		if (!l3_frame_alloc(st, e->netif, h->len, out, &f)) {
			t->resolved = true; /* the rest soon, see neigh_output() */
			break;
		}
		uint8_t *l3 =
		    l2_write(st->ip, &f, e->netif, e->mac, h->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
		memcpy(l3, h->l3, h->len);
		out_tx(st, out, &f);
		count(st, STACK_neigh_held_sent);
		held_put(t, e);
	}
	return true;
}

void neigh_learn(
    struct stack *st, uint16_t slot, const uint8_t mac[6], enum neigh_news news, uint64_t now_ns)
{
	struct neigh_table *t = &st->ip->neigh;
	struct neigh_entry *e = &t->entries[slot];
	bool changed = !neigh_usable(e) || memcmp(e->mac, mac, 6) != 0;

	if (news == NEIGH_NEWS_WEAK && neigh_usable(e) && changed) {
		/* An advertisement without the override flag: doubt, but keep (RFC 4861 7.2.5). */
		if (e->state == NEIGH_REACHABLE) {
			set_state(t, e, NEIGH_STALE);
			set_due(t, e, now_ns + UNUSED_S * SECOND_NS);
		}
		return;
	}
	memcpy(e->mac, mac, 6);
	e->probes = 0;
	if (news == NEIGH_NEWS_CONFIRMED) {
		set_state(t, e, NEIGH_REACHABLE);
		set_due(t, e, now_ns + REACHABLE_S * SECOND_NS);
	} else if (changed) {
		set_state(t, e, NEIGH_STALE);
		set_due(t, e, now_ns + UNUSED_S * SECOND_NS);
	}
	if (changed) {
		t->generation++;
		t->resolved = true;
	}
}

void neigh_heard(struct stack *st, unsigned netif, const struct ip_addr *addr, const uint8_t mac[6],
    enum neigh_news news, bool make, uint64_t now_ns)
{
	struct neigh_table *t = &st->ip->neigh;

	if (!route_on_link(&st->ip->routes, netif, addr)) {
		count(st, STACK_neigh_off_link);
		return;
	}
	uint16_t slot = neigh_find(t, netif, addr);
	if (slot == NEIGH_NONE && make)
		slot = entry_new(st, netif, addr, now_ns);
	if (slot != NEIGH_NONE)
		neigh_learn(st, slot, mac, news, now_ns);
}

/* ---- own addresses ---- */

static unsigned own_probes(const struct ip_addr *a)
{
	return ip_addr_is_v4(a) ? PROBES4 : PROBES6;
}

bool neigh_own_heard(struct stack *st, unsigned own_index, const uint8_t other_mac[6],
    bool asks_only, uint64_t now_ns)
{
	struct neigh_table *t = &st->ip->neigh;
	struct neigh_own *o = &t->own[own_index];
	const struct stack_ip *a = &st->config.addrs[own_index];
	bool probing = o->steps < own_probes(&a->addr);

	if (memcmp(other_mac, st->ip->netifs[a->netif].mac, 6) == 0)
		return false; /* ourselves: another worker, or a looping switch */
	if (asks_only && !probing)
		return false; /* it probes an address that we hold: the answer tells it so */
	count(st, STACK_addr_conflict);
	o->conflict = true;
	o->conflict_ns = now_ns;
	memcpy(o->other_mac, other_mac, 6);
	if (probing || st->config.neigh_follower)
		return true;
	/* Defend, but not in a war: once in ten seconds (RFC 5227 2.4 c). */
	if (!o->defended_ns || now_ns - o->defended_ns >= DEFEND_S * SECOND_NS) {
		o->defended_ns = now_ns;
		o->steps = (uint8_t)(own_probes(&a->addr) + ANNOUNCE - 1);
		o->due_ns = now_ns;
		t->next_due_ns = now_ns;
	}
	return true;
}

bool neigh_own_answers(const struct stack *st, unsigned own_index)
{
	const struct neigh_own *o = &st->ip->neigh.own[own_index];

	if (st->config.neigh_follower)
		return false;
	return !o->conflict || o->steps >= own_probes(&st->config.addrs[own_index].addr);
}

static void own_step(struct stack *st, unsigned i, uint64_t now_ns, struct frame_out *out)
{
	struct neigh_own *o = &st->ip->neigh.own[i];
	const struct stack_ip *a = &st->config.addrs[i];
	unsigned probes = own_probes(&a->addr);

	if (o->conflict && now_ns - o->conflict_ns >= CONFLICT_S * SECOND_NS) {
		o->conflict = false;
		if (o->steps < probes)
			o->steps = 0; /* lost while probing: try again */
	}
	if (o->conflict && o->steps < probes) {
		o->due_ns = o->conflict_ns + CONFLICT_S * SECOND_NS;
		return;
	}
	if (o->steps < probes + ANNOUNCE) {
		bool sent = ip_addr_is_v4(&a->addr) ? arp_send_own(st, i, o->steps < probes, out)
						    : nd_send_own(st, i, o->steps < probes, out);
		if (!sent) { /* no frame now: soon again */
			o->due_ns = now_ns + SECOND_NS / 10;
			return;
		}
		o->steps++;
	}
	if (o->steps < probes + ANNOUNCE)
		o->due_ns = now_ns + (o->steps < probes ? 1 : 2) * SECOND_NS;
	else
		o->due_ns = o->conflict ? o->conflict_ns + CONFLICT_S * SECOND_NS : UINT64_MAX;
}

bool stack_address_conflict(const struct stack *st, unsigned addr_index, uint8_t ret_other_mac[6])
{
	if (addr_index >= st->config.n_addrs || !st->ip->neigh.own[addr_index].conflict)
		return false;
	memcpy(ret_other_mac, st->ip->neigh.own[addr_index].other_mac, 6);
	return true;
}

bool stack_route_reachable(const struct stack *st, unsigned route_index)
{
	const struct route_table *r = &st->ip->routes;

	for (unsigned i = 0; i < r->n4; i++) {
		if (r->r4[i].index == route_index)
			return neigh_usable(&st->ip->neigh.entries[r->r4[i].neigh]);
	}
	for (unsigned i = 0; i < r->n6; i++) {
		if (r->r6[i].index == route_index)
			return neigh_usable(&st->ip->neigh.entries[r->r6[i].neigh]);
	}
	return false;
}

/* ---- time ---- */

/* Asks once; false when no frame could be had. */
static bool ask(struct stack *st, const struct neigh_entry *e, struct frame_out *out)
{
	const uint8_t *mac = e->state == NEIGH_PROBE ? e->mac : NULL;

	return ip_addr_is_v4(&e->addr) ? arp_send_request(st, e->netif, &e->addr, mac, out)
				       : nd_send_solicit(st, e->netif, &e->addr, mac, out);
}

static void entry_step(struct stack *st, uint16_t slot, uint64_t now_ns, struct frame_out *out)
{
	struct neigh_table *t = &st->ip->neigh;
	struct neigh_entry *e = &t->entries[slot];

	switch ((enum neigh_state)e->state) {
	case NEIGH_FREE: return;
	case NEIGH_REACHABLE:
		set_state(t, e, NEIGH_STALE);
		e->due_ns = now_ns + UNUSED_S * SECOND_NS;
		if (e->pinned) /* gateways are watched all the time */
			neigh_used(t, e, now_ns);
		return;
	case NEIGH_STALE:
		if (now_ns - e->used_ns >= UNUSED_S * SECOND_NS && !e->pinned)
			entry_free(st, slot);
		else
			e->due_ns = now_ns + UNUSED_S * SECOND_NS;
		return;
	case NEIGH_FAILED:
		if (!e->pinned && now_ns - e->used_ns > FAILED_S * SECOND_NS) {
			entry_free(st, slot);
			return;
		}
		set_state(t, e, NEIGH_INCOMPLETE);
		e->probes = 0;
		break;
	case NEIGH_DELAY:
		set_state(t, e, NEIGH_PROBE);
		e->probes = 0;
		break;
	case NEIGH_INCOMPLETE:
	case NEIGH_PROBE: break;
	}
	if (e->probes >= MAX_PROBES) {
		if (e->state == NEIGH_PROBE)
			t->generation++; /* its MAC is not to be used any more */
		set_state(t, e, NEIGH_FAILED);
		held_drop(st, e);
		count(st, STACK_neigh_failed);
		e->due_ns = now_ns + FAILED_S * SECOND_NS;
		return;
	}
	if (ask(st, e, out)) {
		e->probes++;
		e->due_ns = now_ns + SECOND_NS;
	} else {
		e->due_ns = now_ns + SECOND_NS / 10;
	}
}

void neigh_output(struct stack *st, uint64_t now_ns, struct frame_out *out)
{
	struct neigh_table *t = &st->ip->neigh;
	uint64_t next = t->resolved ? now_ns + SECOND_NS / 100 : UINT64_MAX;

	if (now_ns < t->next_due_ns && !t->resolved)
		return;
	for (unsigned i = 0; i < st->config.n_addrs && !st->config.neigh_follower; i++) {
		if (now_ns >= t->own[i].due_ns)
			own_step(st, i, now_ns, out);
		if (t->own[i].due_ns < next)
			next = t->own[i].due_ns;
	}
	for (uint32_t i = 0; i < t->n; i++) {
		struct neigh_entry *e = &t->entries[i];
		if (e->state == NEIGH_FREE)
			continue;
		if (now_ns >= e->due_ns)
			entry_step(st, (uint16_t)i, now_ns, out);
		if (e->state != NEIGH_FREE && e->due_ns < next)
			next = e->due_ns;
	}
	t->next_due_ns = next;
}
