/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The builder's frame: entries, growing sections, and putting the part together. What is IPv4 and
 * what is IPv6 lie in addrset_build4.c and addrset_build6.c. Both sort, sweep with a stack of the
 * prefixes that are open (so that precedence is decided once) and write runs of equal value.
 */
#include "addrset_build.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct addrset_entry4 addrset_entry4(uint32_t addr, unsigned len, uint8_t order, uint8_t value)
{
	uint32_t mask = len ? UINT32_MAX << (32 - len) : 0;

	return (struct addrset_entry4){ .word = (uint64_t)(addr & mask) << 32 | (uint64_t)len << 24 |
						(uint64_t)order << 16 | value };
}

struct addrset_entry6 addrset_entry6(
    const uint8_t addr[16], unsigned len, uint8_t order, uint8_t value)
{
	struct addrset_entry6 e;

	memcpy(&e.hi, addr, 8);
	memcpy(&e.lo, addr + 8, 8);
	e.hi = be64toh(e.hi) & (len == 0 ? 0 : len >= 64 ? UINT64_MAX : UINT64_MAX << (64 - len));
	e.lo = be64toh(e.lo) & (len <= 64 ? 0 : UINT64_MAX << (128 - len));
	e.rest = (uint32_t)len << 16 | (uint32_t)order << 8 | value;
	return e;
}

void *addrset_grow(struct addrset_builder *b, enum addrset_section section, size_t n)
{
	struct addrset_buffer *buf = &b->sections[section];
	size_t size = addrset_section_size[section];
	char *p;

	if (n > buf->cap - buf->n) {
		size_t cap = buf->n + n > buf->cap * 2 ? buf->n + n : buf->cap * 2;

		p = realloc(buf->p, cap * size + 1);
		if (!p)
			return NULL;
		buf->p = p;
		buf->cap = cap;
	}
	p = (char *)buf->p + buf->n * size;
	memset(p, 0, n * size);
	buf->n += n;
	return p;
}

static int assemble(const struct addrset_builder *b, void **ret_base, size_t *ret_len)
{
	struct addrset_header h = {
		.magic = ADDRSET_MAGIC,
		.n_hosts = b->n_hosts,
		.n_runs6 = b->n_runs6,
		.seed = b->seed,
		.max_probes = b->max_probes,
	};
	uint64_t end = (sizeof(h) + 63) & ~63ull;
	char *base;

	for (unsigned i = 0; i < ADDRSET_N_SECTIONS; i++) {
		h.sections[i].offset = end;
		h.sections[i].n = b->sections[i].n;
		end = (end + b->sections[i].n * addrset_section_size[i] + 63) & ~63ull;
	}
	h.size = end;
	base = aligned_alloc(64, end);
	if (!base)
		return -ENOMEM;
	memset(base, 0, h.sections[0].offset);
	memcpy(base, &h, sizeof(h));
	for (unsigned i = 0; i < ADDRSET_N_SECTIONS; i++) {
		uint64_t size = h.sections[i].n * addrset_section_size[i];
		uint64_t next = i + 1 < ADDRSET_N_SECTIONS ? h.sections[i + 1].offset : end;

		if (size)
			memcpy(base + h.sections[i].offset, b->sections[i].p, size);
		memset(base + h.sections[i].offset + size, 0, next - h.sections[i].offset - size);
	}
	*ret_base = base;
	*ret_len = end;
	return 0;
}

/* LSD radix sort by the bytes of the word that differ: ten million in well under a second, where
 * qsort() takes two. */
static int sort4(struct addrset_entry4 *v, size_t n)
{
	struct addrset_entry4 *from = v, *to, *other;
	uint64_t differ = 0;
	bool sorted = true;

	for (size_t i = 1; i < n; i++) {
		differ |= v[i].word ^ v[0].word;
		sorted &= v[i - 1].word <= v[i].word;
	}
	if (sorted)
		return 0;
	other = malloc(n * sizeof(*other));
	if (!other)
		return -ENOMEM;
	to = other;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		size_t at[256] = { 0 }, sum = 0;
		struct addrset_entry4 *swap = from;

		if ((differ >> shift & 0xff) == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			at[from[i].word >> shift & 0xff]++;
		for (unsigned k = 0; k < 256; k++) {
			size_t count = at[k];

			at[k] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i].word >> shift & 0xff]++] = from[i];
		from = to;
		to = swap;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
	free(other);
	return 0;
}

static int compare6(const void *a, const void *b)
{
	const struct addrset_entry6 *x = a, *y = b;

	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->rest < y->rest ? -1 : x->rest > y->rest;
}

static void sort6(struct addrset_entry6 *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare6(&v[i - 1], &v[i]) > 0) {
			qsort(v, n, sizeof(*v), compare6);
			return;
		}
}

int addrset_build(struct addrset_input *input, void **ret_base, size_t *ret_len)
{
	struct addrset_builder b = { .n_hosts = 0 };
	int r = 0;

	if (input->n_v4) {
		r = sort4(input->v4, input->n_v4);
		if (r == 0)
			r = addrset_build4(&b, input);
	}
	if (r == 0 && input->n_v6) {
		sort6(input->v6, input->n_v6);
		r = addrset_build6(&b, input);
	}
	if (r == 0)
		r = assemble(&b, ret_base, ret_len);
	for (unsigned i = 0; i < ADDRSET_N_SECTIONS; i++)
		free(b.sections[i].p);
	return r;
}
