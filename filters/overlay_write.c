/* SPDX-License-Identifier: BSD-3-Clause */
/* The overlay's writer (overlay.h): one thread at a time. What a reader may see is stored last. */
#include "overlay_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_ROW UINT32_MAX

/* A prefix as the table has it. */
struct place {
	uint64_t hi, lo;
	unsigned len129;
	bool v4;
};

static void *touched(size_t n, size_t size)
{
	size_t bytes = (n * size + 63) & ~(size_t)63;
	void *p = aligned_alloc(64, bytes);

	if (p)
		memset(p, 0, bytes); /* now: no page fault on the packet path */
	return p;
}

struct overlay *overlay_new(uint32_t entries, const uint8_t key[16])
{
	struct overlay *o;
	size_t rows;

	if (entries == 0 || entries > OVERLAY_MAX_ENTRIES)
		return NULL;
	o = touched(1, sizeof(*o));
	if (!o)
		return NULL;
	memcpy(o->key, key, sizeof(o->key));
	o->capacity = entries;
	o->n_buckets = entries * 2 / 7 + 2; /* seven rows in ten are used */
	rows = (size_t)o->n_buckets * OVERLAY_ROWS;
	o->heads = touched(o->n_buckets, sizeof(*o->heads));
	o->buckets = touched(o->n_buckets, sizeof(*o->buckets));
	o->notes = touched(rows, sizeof(*o->notes));
	o->ending.rows = touched(entries, sizeof(uint32_t));
	o->bans.rows = touched(entries, sizeof(uint32_t));
	o->reasons = touched(OVERLAY_REASONS, sizeof(*o->reasons));
	o->reason_chains = touched(OVERLAY_REASONS, sizeof(uint32_t));
	if (!o->heads || !o->buckets || !o->notes || !o->ending.rows || !o->bans.rows ||
	    !o->reasons || !o->reason_chains)
		return overlay_free(o);
	for (unsigned i = 0; i + 1 < OVERLAY_REASONS; i++)
		o->reasons[i].next = i + 2;
	o->free_reason = 1;
	return o;
}

struct overlay *overlay_free(struct overlay *o)
{
	if (!o)
		return NULL;
	free(o->reason_chains);
	free(o->reasons);
	free(o->bans.rows);
	free(o->ending.rows);
	free(o->notes);
	free(o->buckets);
	free(o->heads);
	free(o);
	return NULL;
}

/* ---- lists ---- */

int overlay_list_find(const struct overlay *o, const char *name)
{
	for (int i = 1; i < OVERLAY_LISTS; i++)
		if (o->names[i][0] && strcmp(o->names[i], name) == 0)
			return i;
	return -ENOENT;
}

int overlay_list(struct overlay *o, const char *name)
{
	size_t len = strlen(name);
	int known = overlay_list_find(o, name), place = -ENOSPC;

	if (len == 0)
		return -EINVAL;
	if (len > OVERLAY_NAME_MAX)
		return -ENAMETOOLONG;
	if (known > 0)
		return known;
	for (int i = OVERLAY_LISTS - 1; i > 0; i--)
		if (o->names[i][0] == '\0' || (place < 0 && !o->by_list[i] && !o->used[i]))
			place = i;
	if (place > 0)
		memcpy(o->names[place], name, len + 1);
	return place;
}

const char *overlay_list_name(const struct overlay *o, unsigned list)
{
	return list < OVERLAY_LISTS ? o->names[list] : "";
}

void overlay_lists_used(struct overlay *o, const bool used[OVERLAY_LISTS])
{
	memcpy(o->used, used, sizeof(o->used));
}

/* ---- reasons, each text once ---- */

static uint32_t text_chain(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return (h ^ h >> 15) % OVERLAY_REASONS;
}

/* Index plus one; 0: no text, or no room for another one. */
static uint16_t reason_take(struct overlay *o, const char *text)
{
	uint32_t *chain, i;

	if (!*text)
		return 0;
	chain = &o->reason_chains[text_chain(text)];
	for (i = *chain; i; i = o->reasons[i - 1].next)
		if (strcmp(o->reasons[i - 1].text, text) == 0)
			break;
	if (!i) {
		i = o->free_reason;
		if (!i) {
			o->reasons_dropped++;
			return 0;
		}
		o->free_reason = o->reasons[i - 1].next;
		memcpy(o->reasons[i - 1].text, text, strlen(text) + 1);
		o->reasons[i - 1].next = *chain;
		*chain = i;
	}
	o->reasons[i - 1].users++;
	return (uint16_t)i;
}

static void reason_drop(struct overlay *o, uint16_t i)
{
	uint32_t *at;

	if (!i || --o->reasons[i - 1].users)
		return;
	for (at = &o->reason_chains[text_chain(o->reasons[i - 1].text)]; *at != i;)
		at = &o->reasons[*at - 1].next;
	*at = o->reasons[i - 1].next;
	o->reasons[i - 1].next = o->free_reason;
	o->free_reason = i;
}

/* ---- rows ---- */

static struct overlay_row *row_at(const struct overlay *o, uint32_t row)
{
	return &o->buckets[row / OVERLAY_ROWS].rows[row % OVERLAY_ROWS];
}

static uint64_t word_at(const struct overlay *o, uint32_t row)
{
	return atomic_load_explicit(&row_at(o, row)->word, memory_order_relaxed);
}

static int place_of(const uint8_t addr[16], unsigned len, struct place *ret)
{
	struct place p = { overlay_load64(addr), overlay_load64(addr + 8), len, false };

	p.v4 = overlay_v4(p.hi, p.lo);
	if (len > (p.v4 ? 32 : 128))
		return -EINVAL;
	p.len129 += p.v4 ? 96 : 0;
	if ((p.hi & ~overlay_mask_hi(p.len129)) || (p.lo & ~overlay_mask_lo(p.len129)))
		return -EINVAL;
	*ret = p;
	return 0;
}

static struct place place_at(const struct overlay *o, uint32_t row)
{
	const struct overlay_row *r = row_at(o, row);
	struct place p = {
		.hi = atomic_load_explicit(&r->hi, memory_order_relaxed),
		.lo = atomic_load_explicit(&r->lo, memory_order_relaxed),
		.len129 = overlay_word_len(word_at(o, row)),
	};

	p.v4 = overlay_v4(p.hi, p.lo) && p.len129 >= 96;
	return p;
}

static struct overlay_hash hash_of(const struct overlay *o, const struct place *p)
{
	return overlay_hash(o, p->hi, p->lo, p->len129);
}

static uint32_t next_bucket(const struct overlay *o, uint32_t b)
{
	return b + 1 == o->n_buckets ? 0 : b + 1;
}

static uint32_t find(const struct overlay *o, const struct place *p, unsigned list)
{
	struct overlay_hash h = hash_of(o, p);
	unsigned reach = atomic_load_explicit(&o->heads[h.bucket], memory_order_relaxed) & 0xff;

	for (uint32_t b = h.bucket; reach; reach--, b = next_bucket(o, b))
		for (uint32_t row = b * OVERLAY_ROWS; row < (b + 1) * OVERLAY_ROWS; row++) {
			const struct overlay_row *r = row_at(o, row);
			uint64_t word = word_at(o, row);

			if ((word & 0xff) == p->len129 + 1 && overlay_word_list(word) == list &&
			    atomic_load_explicit(&r->lo, memory_order_relaxed) == p->lo &&
			    atomic_load_explicit(&r->hi, memory_order_relaxed) == p->hi)
				return row;
		}
	return NO_ROW;
}

static void count_len(struct overlay *o, const struct place *p, int delta)
{
	uint32_t *n = p->v4 ? &o->by_len4[p->len129 - 96] : &o->by_len6[p->len129];
	unsigned word = p->v4 ? 0 : 1 + p->len129 / 64;
	uint64_t bit = 1ull << (p->v4 ? p->len129 - 96 : p->len129 % 64);
	uint64_t lens = atomic_load_explicit(&o->lens[word], memory_order_relaxed);

	*n += (uint32_t)delta;
	lens = *n ? lens | bit : lens & ~bit;
	atomic_store_explicit(&o->lens[word], lens, memory_order_release);
}

/* ---- heaps ---- */

static void heap_set(struct overlay *o, struct overlay_heap *h, uint32_t at, uint32_t row)
{
	h->rows[at] = row;
	o->notes[row].heap = at + 1;
}

static uint32_t ends(const struct overlay *o, uint32_t row)
{
	return overlay_word_expires(word_at(o, row));
}

static void heap_settle(struct overlay *o, struct overlay_heap *h, uint32_t at, uint32_t row)
{
	uint32_t key = ends(o, row);

	for (; at && ends(o, h->rows[(at - 1) / 2]) > key; at = (at - 1) / 2)
		heap_set(o, h, at, h->rows[(at - 1) / 2]);
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && ends(o, h->rows[child + 1]) < ends(o, h->rows[child]))
			child++;
		if (ends(o, h->rows[child]) >= key)
			break;
		heap_set(o, h, at, h->rows[child]);
		at = child;
	}
	heap_set(o, h, at, row);
}

static struct overlay_heap *heap_of(struct overlay *o, uint32_t row)
{
	return o->notes[row].origin == OVERLAY_AUTOMATIC ? &o->bans : &o->ending;
}

static void heap_add(struct overlay *o, uint32_t row)
{
	struct overlay_heap *h = heap_of(o, row);

	if (ends(o, row))
		heap_settle(o, h, h->n++, row);
}

static void heap_drop(struct overlay *o, uint32_t row)
{
	struct overlay_heap *h = heap_of(o, row);
	uint32_t at = o->notes[row].heap, last;

	if (!at)
		return;
	o->notes[row].heap = 0;
	last = h->rows[--h->n];
	if (last != row)
		heap_settle(o, h, at - 1, last);
}

/* ---- adding, removing ---- */

/* What the home's entries reach into, and their filter, counted anew. */
static void head_renew(struct overlay *o, uint32_t home)
{
	unsigned reach = atomic_load_explicit(&o->heads[home], memory_order_relaxed) & 0xff;
	uint32_t head = 0, b = home;

	for (unsigned k = 1; k <= reach; k++, b = next_bucket(o, b))
		for (uint32_t row = b * OVERLAY_ROWS; row < (b + 1) * OVERLAY_ROWS; row++) {
			struct place p;
			struct overlay_hash h;

			if (word_at(o, row) == 0)
				continue;
			p = place_at(o, row);
			h = hash_of(o, &p);
			if (h.bucket == home)
				head = (head & ~0xffu) | h.filter | k;
		}
	atomic_store_explicit(&o->heads[home], head, memory_order_release);
}

static void row_free(struct overlay *o, uint32_t row)
{
	struct place p = place_at(o, row);
	struct overlay_note *note = &o->notes[row];

	heap_drop(o, row);
	o->n--;
	o->by_list[overlay_word_list(word_at(o, row))]--;
	o->automatic -= note->origin == OVERLAY_AUTOMATIC;
	reason_drop(o, note->reason);
	note->reason = 0;
	atomic_store_explicit(&row_at(o, row)->word, 0, memory_order_release);
	head_renew(o, hash_of(o, &p).bucket);
	count_len(o, &p, -1);
}

static uint32_t row_take(struct overlay *o, const struct place *p)
{
	struct overlay_hash h = hash_of(o, p);
	uint32_t b = h.bucket, head = atomic_load_explicit(&o->heads[b], memory_order_relaxed);

	for (unsigned k = 1; k <= OVERLAY_MAX_REACH && k <= o->n_buckets; k++, b = next_bucket(o, b))
		for (uint32_t row = b * OVERLAY_ROWS; row < (b + 1) * OVERLAY_ROWS; row++) {
			unsigned reach = head & 0xff;

			if (word_at(o, row) != 0)
				continue;
			head = (head & ~0xffu) | h.filter | (k > reach ? k : reach);
			atomic_store_explicit(&o->heads[h.bucket], head, memory_order_release);
			/* released, so that who reads these sees that the row was free */
			atomic_store_explicit(&row_at(o, row)->hi, p->hi, memory_order_release);
			atomic_store_explicit(&row_at(o, row)->lo, p->lo, memory_order_release);
			o->notes[row].turn++;
			return row;
		}
	return NO_ROW;
}

static void tell(const struct overlay *o, uint32_t row, struct overlay_entry *ret)
{
	const struct overlay_note *note = &o->notes[row];
	struct place p = place_at(o, row);
	uint64_t word = word_at(o, row), hi = __builtin_bswap64(p.hi), lo = __builtin_bswap64(p.lo);

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->addr, &hi, 8);
	memcpy(ret->addr + 8, &lo, 8);
	ret->len = (uint8_t)(p.len129 - (p.v4 ? 96 : 0));
	ret->list = (uint8_t)overlay_word_list(word);
	ret->kind = (uint8_t)overlay_word_kind(word);
	ret->lifts = overlay_word_lifts(word);
	ret->origin = note->origin;
	ret->created_s = note->created_s;
	ret->expires_s = overlay_word_expires(word);
	if (note->reason)
		memcpy(ret->reason, o->reasons[note->reason - 1].text, sizeof(ret->reason));
}

static bool expired(const struct overlay *o, const struct overlay_heap *h, uint32_t now_s)
{
	return h->n && ends(o, h->rows[0]) <= now_s;
}

/* One row less. False: nothing may go. */
static int make_room(struct overlay *o, const struct overlay_entry *entry, uint32_t now_s,
    struct overlay_entry *ret_evicted)
{
	if (o->n < o->capacity)
		return OVERLAY_ADDED;
	if (overlay_sweep(o, now_s, 1))
		return OVERLAY_ADDED;
	if (o->bans.n == 0)
		return -ENOSPC;
	o->evicted++;
	if (entry->origin == OVERLAY_AUTOMATIC && entry->expires_s <= ends(o, o->bans.rows[0]))
		return -ENOSPC; /* it is the first to end itself */
	if (ret_evicted)
		tell(o, o->bans.rows[0], ret_evicted);
	row_free(o, o->bans.rows[0]);
	return OVERLAY_EVICTED;
}

static bool sensible(const struct overlay *o, const struct overlay_entry *e)
{
	bool ban = e->list == OVERLAY_BAN;

	if (e->origin >= OVERLAY_N_ORIGINS || (!ban && o->names[e->list][0] == '\0'))
		return false;
	if (ban && (e->lifts || e->kind < VERDICT_REFUSE || e->kind >= VERDICT_N_KINDS))
		return false;
	if (memchr(e->reason, '\0', sizeof(e->reason)) == NULL)
		return false;
	return e->origin != OVERLAY_AUTOMATIC || e->expires_s != 0;
}

int overlay_put(struct overlay *o, const struct overlay_entry *e, uint32_t now_s,
    struct overlay_entry *ret_evicted)
{
	struct place p;
	struct overlay_note *note;
	uint32_t row;
	uint16_t reason;
	int ret = OVERLAY_CHANGED;

	if (!sensible(o, e) || place_of(e->addr, e->len, &p) != 0)
		return -EINVAL;
	row = find(o, &p, e->list);
	if (row == NO_ROW) {
		ret = make_room(o, e, now_s, ret_evicted);
		if (ret < 0)
			return ret;
		row = row_take(o, &p);
		if (row == NO_ROW)
			return -ENOSPC;
		o->n++;
		o->by_list[e->list]++;
		count_len(o, &p, 1);
	} else {
		heap_drop(o, row);
		o->automatic -= o->notes[row].origin == OVERLAY_AUTOMATIC;
	}
	note = &o->notes[row];
	reason = reason_take(o, e->reason);
	reason_drop(o, note->reason);
	note->reason = reason;
	note->origin = e->origin;
	note->created_s = e->created_s;
	o->automatic += e->origin == OVERLAY_AUTOMATIC;
	atomic_store_explicit(&row_at(o, row)->word,
	    overlay_word(p.len129, e->list, e->list == OVERLAY_BAN ? e->kind : 0, e->lifts,
		note->turn, e->expires_s),
	    memory_order_release);
	heap_add(o, row);
	return ret;
}

int overlay_remove(struct overlay *o, const uint8_t addr[16], unsigned len, unsigned list)
{
	struct place p;
	uint32_t row = place_of(addr, len, &p) == 0 ? find(o, &p, list) : NO_ROW;

	if (row == NO_ROW)
		return -ENOENT;
	row_free(o, row);
	return 0;
}

int overlay_get(const struct overlay *o, const uint8_t addr[16], unsigned len, unsigned list,
    struct overlay_entry *ret_entry)
{
	struct place p;
	uint32_t row = place_of(addr, len, &p) == 0 ? find(o, &p, list) : NO_ROW;

	if (row == NO_ROW)
		return -ENOENT;
	tell(o, row, ret_entry);
	return 0;
}

unsigned overlay_sweep(struct overlay *o, uint32_t now_s, unsigned steps)
{
	unsigned n = 0;

	for (; n < steps; n++) {
		if (expired(o, &o->ending, now_s))
			row_free(o, o->ending.rows[0]);
		else if (expired(o, &o->bans, now_s))
			row_free(o, o->bans.rows[0]);
		else
			break;
	}
	return n;
}

bool overlay_next(const struct overlay *o, uint32_t *cursor, struct overlay_entry *ret_entry)
{
	uint32_t rows = o->n_buckets * OVERLAY_ROWS;

	for (uint32_t row = *cursor; row < rows; row++)
		if (word_at(o, row)) {
			tell(o, row, ret_entry);
			*cursor = row + 1;
			return true;
		}
	*cursor = rows;
	return false;
}

struct overlay_counts overlay_counts(const struct overlay *o)
{
	return (struct overlay_counts){ o->n, o->capacity, o->automatic, o->evicted,
		o->reasons_dropped };
}
