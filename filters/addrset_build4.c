/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPv4 half of the builder: one sweep over the sorted prefixes splits hosts from runs; hosts are
 * thrown into the lines, runs are cut into cells and, where they change within a /24, longs.
 */
#include "addrset_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE_LOAD = 13, /* hosts per line of 20, in the mean: 65 % */
	MAX_PROBES = 16,
	MAX_DEPTH = 33,
};

struct run4 {
	uint32_t start;
	uint8_t value;
};

struct host4 {
	uint32_t addr;
	uint8_t value;
};

struct sweep4 {
	struct run4 *runs;
	struct host4 *hosts;
	size_t n_runs, n_hosts;
};

static void run_add(struct sweep4 *s, uint64_t start, uint8_t value)
{
	if (start > UINT32_MAX)
		return;
	if (s->runs[s->n_runs - 1].start == start)
		s->n_runs--;
	if (s->n_runs && s->runs[s->n_runs - 1].value == value)
		return;
	s->runs[s->n_runs++] = (struct run4){ (uint32_t)start, value };
}

static int sweep(const struct addrset_input *in, struct sweep4 *s)
{
	struct {
		uint64_t end; /* first address behind */
		uint8_t value;
	} open[MAX_DEPTH + 1] = { { 1ull << 32, 0 } };
	unsigned depth = 0;
	uint64_t last = UINT64_MAX;

	s->runs = malloc((in->n_v4 * 2 + 1) * sizeof(*s->runs));
	s->hosts = malloc(in->n_v4 * sizeof(*s->hosts));
	if (!s->runs || !s->hosts)
		return -ENOMEM;
	s->runs[0] = (struct run4){ 0, 0 };
	s->n_runs = 1;
	for (size_t i = 0; i < in->n_v4; i++) {
		uint64_t word = in->v4[i].word;
		uint32_t addr = (uint32_t)(word >> 32);
		unsigned len = word >> 24 & 0xff;
		uint8_t value = (uint8_t)word;

		if (word >> 24 == last) /* the same prefix, of lower precedence */
			continue;
		last = word >> 24;
		for (; open[depth].end <= addr; depth--)
			run_add(s, open[depth].end, open[depth - 1].value);
		if (in->allow[open[depth].value] && !in->allow[value])
			continue;
		if (len == 32) {
			if (value != open[depth].value)
				s->hosts[s->n_hosts++] = (struct host4){ addr, value };
			continue;
		}
		run_add(s, addr, value);
		depth++;
		open[depth].end = addr + (1ull << (32 - len));
		open[depth].value = value;
	}
	for (; depth > 0; depth--)
		run_add(s, open[depth].end, open[depth - 1].value);
	return 0;
}

/* The value of a uniform cell is found in the first 256 runs, which are 0..255. */
static int runs_begin(struct addrset_builder *b)
{
	uint8_t *p = addrset_grow(b, ADDRSET_S_RUNS, 256);

	if (!p)
		return -ENOMEM;
	for (unsigned i = 0; i < 256; i++)
		p[i] = (uint8_t)i;
	return 0;
}

static int long_add(
    struct addrset_builder *b, const struct run4 *runs, size_t n_runs, uint32_t slash24)
{
	struct addrset_long *l = addrset_grow(b, ADDRSET_S_LONGS, 1);
	struct addrset_block *block;
	uint32_t index;
	unsigned n = 0;

	if (!l)
		return -ENOMEM;
	/* runs[0] covers the first address */
	while (n < n_runs && (n == 0 || runs[n].start >> 8 == slash24))
		n++;
	if (n <= ADDRSET_LONG_RUNS) {
		for (unsigned i = 0; i < ADDRSET_LONG_RUNS; i++) {
			l->values[i] = runs[i < n ? i : n - 1].value;
			if (i < ADDRSET_LONG_RUNS - 1)
				l->ends[i] = i + 1 < n ? (uint8_t)(runs[i + 1].start - 1) : 255;
		}
		return 0;
	}
	index = (uint32_t)b->sections[ADDRSET_S_BLOCKS].n;
	block = addrset_grow(b, ADDRSET_S_BLOCKS, 1);
	if (!block)
		return -ENOMEM;
	l->is_block = 1;
	memcpy(l->ends, &index, sizeof(index));
	for (unsigned i = 0, r = 0; i < 256; i++) {
		if (r + 1 < n && (uint8_t)runs[r + 1].start == i)
			r++;
		block->values[i] = runs[r].value;
	}
	return 0;
}

static int cells_fill(struct addrset_builder *b, const struct sweep4 *s)
{
	struct addrset_cell *cells = addrset_grow(b, ADDRSET_S_CELLS, ADDRSET_CELLS);
	size_t r = 0; /* the run that covers the /24's first address */

	if (!cells || runs_begin(b) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < ADDRSET_CELLS; i++) {
		struct addrset_cell *c = &cells[i];
		uint8_t first = s->runs[r].value, value = first, *run;
		bool own_runs = false;

		c->value_base = first;
		if (r + 1 == s->n_runs || s->runs[r + 1].start >> 14 > i)
			continue; /* uniform; not listed at all: all zeros */
		c->long_base = (uint32_t)b->sections[ADDRSET_S_LONGS].n;
		for (uint32_t k = 0; k < 64; k++) {
			uint32_t slash24 = i << 6 | k;

			while (r + 1 < s->n_runs && s->runs[r + 1].start <= slash24 << 8)
				r++;
			if (r + 1 < s->n_runs && s->runs[r + 1].start >> 8 == slash24) {
				c->longer |= 1ull << k;
				if (long_add(b, &s->runs[r], s->n_runs - r, slash24) < 0)
					return -ENOMEM;
				continue;
			}
			if (s->runs[r].value == value)
				continue;
			value = s->runs[r].value;
			c->change |= 1ull << k;
			run = addrset_grow(b, ADDRSET_S_RUNS, own_runs ? 1 : 2);
			if (!run)
				return -ENOMEM;
			if (!own_runs) {
				c->value_base = (uint32_t)(b->sections[ADDRSET_S_RUNS].n - 2);
				*run++ = first;
				own_runs = true;
			}
			*run = value;
		}
		/* on to the run that covers the next cell's first address */
		while (i + 1 < ADDRSET_CELLS && r + 1 < s->n_runs &&
		       s->runs[r + 1].start <= (i + 1) << 14)
			r++;
	}
	return 0;
}

static int spill_fill(struct addrset_builder *b, const struct host4 *spilled, size_t n)
{
	uint32_t slots = 16;

	while (slots < n * 2)
		slots *= 2;
	for (;; slots *= 2) {
		struct addrset_spill *t;
		uint32_t most = 0;

		b->sections[ADDRSET_S_SPILL].n = 0;
		t = addrset_grow(b, ADDRSET_S_SPILL, slots);
		if (!t)
			return -ENOMEM;
		for (size_t i = 0; i < n; i++) {
			uint32_t mixed = addrset_mix(spilled[i].addr, b->seed), k = 0;

			while (t[(mixed + k) & (slots - 1)].value)
				k++;
			t[(mixed + k) & (slots - 1)] =
			    (struct addrset_spill){ spilled[i].addr, spilled[i].value };
			most = k + 1 > most ? k + 1 : most;
		}
		b->max_probes = most;
		if (most <= MAX_PROBES || slots > n * 64)
			return 0;
	}
}

static int hosts_fill(struct addrset_builder *b, const struct sweep4 *s)
{
	struct addrset_cell *cells = b->sections[ADDRSET_S_CELLS].p;
	size_t n_lines = s->n_hosts / LINE_LOAD + 1, n_spilled = 0;
	struct addrset_line *lines;
	struct host4 *spilled = NULL, *more;
	uint64_t sum = 0;
	int r;

	if (s->n_hosts == 0)
		return 0;
	if (n_lines < ADDRSET_MIN_LINES)
		n_lines = ADDRSET_MIN_LINES;
	if (n_lines > ADDRSET_MAX_LINES)
		n_lines = ADDRSET_MAX_LINES;
	/* the seed depends on all hosts: a feed cannot aim its addresses at one line */
	for (size_t i = 0; i < s->n_hosts; i++)
		sum = (sum ^ s->hosts[i].addr) * 0x9e3779b97f4a7c15ull + (sum >> 29);
	b->seed = (uint32_t)(sum >> 32);
	b->n_hosts = (uint32_t)s->n_hosts;
	lines = addrset_grow(b, ADDRSET_S_LINES, n_lines);
	if (!lines)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_hosts; i++) {
		uint32_t addr = s->hosts[i].addr, mixed = addrset_mix(addr, b->seed);
		struct addrset_line *l = &lines[addrset_line_of(mixed, (uint32_t)n_lines)];
		unsigned k = l->reserved[0]; /* fill, zeroed below */

		cells[addr >> 14].hosts |= 1ull << (addr >> 8 & 63);
		if (k < ADDRSET_LINE_HOSTS) {
			l->tags[k] = (uint16_t)mixed;
			l->values[k] = s->hosts[i].value;
			l->reserved[0]++;
			continue;
		}
		l->overflow = 1;
		if ((n_spilled & (n_spilled - 1)) == 0) {
			more = realloc(spilled, (n_spilled ? n_spilled * 2 : 1) * sizeof(*spilled));
			if (!more) {
				free(spilled);
				return -ENOMEM;
			}
			spilled = more;
		}
		spilled[n_spilled++] = s->hosts[i];
	}
	for (size_t i = 0; i < n_lines; i++)
		lines[i].reserved[0] = 0;
	r = n_spilled ? spill_fill(b, spilled, n_spilled) : 0;
	free(spilled);
	return r;
}

int addrset_build4(struct addrset_builder *b, const struct addrset_input *input)
{
	struct sweep4 s = { .n_runs = 0 };
	int r = sweep(input, &s);

	if (r == 0)
		r = cells_fill(b, &s);
	if (r == 0)
		r = hosts_fill(b, &s);
	free(s.runs);
	free(s.hosts);
	return r;
}
