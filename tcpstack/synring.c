/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of recent SYNs. Two slots, one cache line, per hash; an entry younger than 8 s is never
 * overwritten, so what was promised in its SYN-ACK (window scale, SACK without timestamps) is kept.
 *
 * Time: no list and no wheel. A bitmap of taken slots is swept when something is due, a slice per
 * call; at 64 k entries all taken a sweep reads 2 MiB, about 0.3 ms in slices of 30 us, at most
 * twenty times a second, and an idle ring costs nothing. Rejected: a FIFO per time-out (8 more
 * bytes an entry, and it bounds handshakes per second instead of those under way).
 */
#include "synring.h"

#include <errno.h>
#include <stdlib.h>

static const uint64_t MS_NS = 1000000u;

enum {
	SLICE_WORDS = 64,    /* 4,096 slots a call */
	SWEEP_PAUSE_MS = 50, /* between two sweeps' starts */
	BORN_MS = 8,
};

/* After the first SYN-ACK: 1, 3 and 7 s; then the end of its life. */
static const uint32_t again_ms[4] = { 1000, 3000, 7000, SYNRING_LIFE_MS };

int synring_init(struct synring *r, uint32_t n)
{
	*r = (struct synring){ 0 };
	if (n < 64)
		n = 64;
	r->entries = aligned_alloc(64, n * sizeof(*r->entries));
	r->taken = calloc(n / 64, sizeof(*r->taken));
	if (!r->entries || !r->taken) {
		synring_fini(r);
		return -ENOMEM;
	}
	memset(r->entries, 0, n * sizeof(*r->entries)); /* touched now, not under load */
	r->n = n;
	r->hand = n / 64;
	r->next_due_ns = UINT64_MAX;
	return 0;
}

void synring_fini(struct synring *r)
{
	free(r->entries);
	free(r->taken);
	r->entries = NULL;
	r->taken = NULL;
}

static uint32_t age_ms(const struct synring_entry *e, uint64_t now_ns)
{
	return (uint32_t)(uint16_t)((uint16_t)(now_ns / (BORN_MS * MS_NS)) - e->born) * BORN_MS;
}

static bool is_taken(const struct synring *r, uint32_t slot)
{
	return r->taken[slot / 64] >> (slot % 64) & 1;
}

static bool same(const struct synring_entry *a, const struct synring_entry *b)
{
	return a->isn == b->isn && a->src_port == b->src_port && a->own == b->own &&
	       memcmp(a->src, b->src, 16) == 0;
}

bool synring_put(struct synring *r, uint64_t hash, const struct synring_entry *e, uint64_t now_ns)
{
	uint32_t first = (uint32_t)(hash >> 32) & (r->n - 1) & ~1u, slot = UINT32_MAX;

	for (uint32_t s = first; s < first + 2; s++) {
		if (!is_taken(r, s)) {
			slot = slot == UINT32_MAX ? s : slot;
			continue;
		}
		if (same(&r->entries[s], e)) {
			r->entries[s].ts_recent = e->ts_recent;
			return true;
		}
		if (age_ms(&r->entries[s], now_ns) >= SYNRING_LIFE_MS) {
			synring_remove(r, &r->entries[s]);
			slot = slot == UINT32_MAX ? s : slot;
		}
	}
	if (slot == UINT32_MAX)
		return false;
	struct synring_entry *n = &r->entries[slot];
	*n = *e;
	n->born = (uint16_t)(now_ns / (BORN_MS * MS_NS));
	n->sent = 0;
	r->taken[slot / 64] |= 1ull << (slot % 64);
	r->count++;
	uint64_t due = now_ns + again_ms[0] * MS_NS;
	if (due < r->next_due_ns)
		r->next_due_ns = due;
	if (due < r->sweep_min_ns)
		r->sweep_min_ns = due;
	return true;
}

struct synring_entry *synring_find(const struct synring *r, uint64_t hash,
    const struct ip_addr *src, uint16_t src_port, unsigned own, uint32_t isn, uint64_t now_ns)
{
	uint32_t first = (uint32_t)(hash >> 32) & (r->n - 1) & ~1u;

	for (uint32_t s = first; s < first + 2; s++) {
		struct synring_entry *e = &r->entries[s];
		if (is_taken(r, s) && e->isn == isn && e->src_port == src_port && e->own == own &&
		    memcmp(e->src, src->b, 16) == 0 && age_ms(e, now_ns) < SYNRING_LIFE_MS + 1000)
			return e;
	}
	return NULL;
}

void synring_remove(struct synring *r, struct synring_entry *e)
{
	uint32_t slot = (uint32_t)(e - r->entries);

	if (!is_taken(r, slot))
		return;
	r->taken[slot / 64] &= ~(1ull << (slot % 64));
	r->count--;
	if (!r->count) {
		r->next_due_ns = UINT64_MAX;
		r->hand = r->n / 64;
	}
}

uint64_t synring_born_ns(const struct synring_entry *e, uint64_t now_ns)
{
	return now_ns - now_ns % (BORN_MS * MS_NS) - age_ms(e, now_ns) * MS_NS;
}

struct synring_entry *synring_due(struct synring *r, uint64_t now_ns)
{
	uint32_t words = r->n / 64;

	if (now_ns < r->next_due_ns)
		return NULL;
	if (r->hand == words) {
		if (now_ns - r->swept_ns < SWEEP_PAUSE_MS * MS_NS && r->swept_ns)
			return NULL;
		r->hand = 0;
		r->swept_ns = now_ns;
		r->sweep_min_ns = UINT64_MAX;
	}
	for (uint32_t end = r->hand + SLICE_WORDS; r->hand < words && r->hand < end; r->hand++) {
		for (uint64_t w = r->taken[r->hand]; w; w &= w - 1) {
			struct synring_entry *e =
			    &r->entries[r->hand * 64 + (uint32_t)__builtin_ctzll(w)];
			uint32_t age = age_ms(e, now_ns);
			if (age >= SYNRING_LIFE_MS) {
				synring_remove(r, e);
				if (!r->count)
					return NULL;
				continue;
			}
			if (e->sent < 3 && age >= again_ms[e->sent]) {
				e->sent++; /* this word is looked at again: the hand stays */
				return e;
			}
			uint64_t due = synring_born_ns(e, now_ns) + again_ms[e->sent] * MS_NS;
			if (due < r->sweep_min_ns)
				r->sweep_min_ns = due;
		}
	}
	if (r->hand == words) /* what was born meanwhile is in sweep_min_ns too */
		r->next_due_ns = r->sweep_min_ns;
	return NULL;
}

uint64_t synring_deadline(const struct synring *r)
{
	if (r->hand != r->n / 64)
		return r->count ? 0 : UINT64_MAX; /* a sweep under way: at once */
	if (r->next_due_ns == UINT64_MAX || !r->swept_ns)
		return r->next_due_ns;
	uint64_t pause = r->swept_ns + SWEEP_PAUSE_MS * MS_NS;
	return r->next_due_ns > pause ? r->next_due_ns : pause;
}
