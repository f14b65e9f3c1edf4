/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address table: IPv4 hosts and prefixes, IPv6 prefixes and hosts, each to a byte (0: not
 * listed). A read-only view over the ADDRESSES part; the structs here ARE its layout.
 *
 * IPv4 is "cells + exact hash": a 32-byte cell per 64 /24s says where single hosts are, where the
 * prefix value changes and which /24s hold longer prefixes; ranks by popcount lead to the bytes.
 * Hosts lie in 64-byte lines of 20 16-bit tags and 20 values. A bijective mix of the address picks
 * line and tag, and with at least 65,536 lines the pair gives the address back, so a tag that
 * matches is the address and not a guess.
 *
 * IPv6 is a table by the top 20 bits, then static 16-ary trees over the sorted ends of runs: bits
 * 0-31, then bits 32-63, then 64-bit tails for what is longer than /64. A node holds its keys and
 * where each leads, in adjacent lines: one step, one wait, one vector compare. A key counts as
 * passed when it is below the address, so padding with the largest key is never passed. Allocations
 * are dense in few /20s: one with more than ADDRSET_WIDE_OVER runs is a table by bits 20-31 instead
 * of a tree of three or four steps, at no more than three times the bytes. Most pieces lead nowhere
 * but to values: up to 13 runs of them are a leaf, which is one line and the end of the walk.
 *
 * Rejected: DIR-24-8 with blocks (1.5 times the memory), poptrie (slower with hosts), rte_fib (20
 * times the memory), rte_lpm (minutes to build). See README.md for figures.
 */
#ifndef POSTERN_FILTERS_ADDRSET_H
#define POSTERN_FILTERS_ADDRSET_H

#include <stddef.h>
#include <stdint.h>

#define ADDRSET_MAGIC 0x3254455352444441ull /* "ADDRSET2" */

enum {
	ADDRSET_CELLS = 1 << 18,     /* 64 /24s each */
	ADDRSET_MIN_LINES = 1 << 16, /* below, a 16-bit tag would not be exact */
	ADDRSET_MAX_LINES = 1 << 26,
	ADDRSET_LINE_HOSTS = 20,
	ADDRSET_LONG_RUNS = 8,
	ADDRSET_TOP = 1 << 20,
	ADDRSET_WIDE = 1 << 12, /* bits 20-31 */
	ADDRSET_WIDE_OVER = 640,
	ADDRSET_SMALL_KEYS = 3,
	ADDRSET_LEAF_KEYS = 12,
	ADDRSET_NODE_KEYS = 15,
	ADDRSET_TAIL_KEYS = 7,
	ADDRSET_MAX_STEPS = 32, /* of an IPv6 look-up; no image of ours comes near */
};

struct addrset_cell {
	uint64_t hosts; /* bit i: the /24 has hosts in the lines */
	uint64_t change; /* bit i: its prefix value differs from that of the /24 before; bit 0 clear */
	uint64_t longer;     /* bit i: it has prefixes longer than /24, its values are in a long */
	uint32_t value_base; /* of runs: value of the cell's first /24 */
	uint32_t long_base;
};

/* Up to 8 runs within a /24: the last address of each but the last, padded with 255. */
struct addrset_long {
	uint8_t ends[ADDRSET_LONG_RUNS - 1];
	uint8_t values[ADDRSET_LONG_RUNS];
	uint8_t is_block; /* 1: more runs; the first four bytes of ends are the block's index */
};

struct addrset_block {
	uint8_t values[256];
};

struct addrset_line {
	uint16_t tags[ADDRSET_LINE_HOSTS];
	uint8_t values[ADDRSET_LINE_HOSTS]; /* 0: free; filled from the front */
	uint8_t overflow; /* 1: more of this line's hosts are in the spill table */
	uint8_t reserved[3];
};

struct addrset_spill {
	uint32_t addr;
	uint32_t value; /* 0: free */
};

/*
 * Where an IPv6 look-up goes on: type in the top four bits, value or index below. The lowest bit
 * of the types of nodes says which 32 bits of the address are compared: A the first, B the next.
 */
enum addrset_ref_type {
	ADDRSET_REF_VALUE,
	ADDRSET_REF_WIDE, /* in the top table alone */
	ADDRSET_REF_SMALL_A,
	ADDRSET_REF_SMALL_B,
	ADDRSET_REF_LEAF_A,
	ADDRSET_REF_LEAF_B,
	ADDRSET_REF_NODE_A,
	ADDRSET_REF_NODE_B,
	ADDRSET_REF_TAIL_SMALL,
	ADDRSET_REF_TAIL_NODE,
	ADDRSET_N_REF_TYPES
};
#define ADDRSET_REF_SHIFT 28
#define ADDRSET_REF_INDEX ((1u << ADDRSET_REF_SHIFT) - 1)

/* 32-bit keys are stored with the top bit inverted, to be compared as signed words. */
#define ADDRSET_KEY_PAD INT32_MAX

/* Key i is the last address of what refs[i] is about; the last key is padding. An inner node of a
 * tree is the same, its refs lead to nodes of the same type. */
struct addrset_small {
	int32_t ends[ADDRSET_SMALL_KEYS + 1];
	uint32_t refs[ADDRSET_SMALL_KEYS + 1];
};

/* No padding is needed: passing all keys leads to the last value. */
struct addrset_leaf {
	int32_t ends[ADDRSET_LEAF_KEYS];
	uint8_t values[ADDRSET_LEAF_KEYS + 1];
	uint8_t reserved[3];
};

struct addrset_node {
	int32_t ends[ADDRSET_NODE_KEYS + 1];
	uint32_t refs[ADDRSET_NODE_KEYS + 1];
};

struct addrset_wide {
	uint32_t refs[ADDRSET_WIDE];
};

struct addrset_tail_small {
	uint64_t ends[ADDRSET_SMALL_KEYS]; /* padded with UINT64_MAX */
	uint8_t values[ADDRSET_SMALL_KEYS + 1];
	uint8_t reserved[4];
};

struct addrset_tail_node {
	uint64_t ends[ADDRSET_TAIL_KEYS + 1]; /* padded with UINT64_MAX */
	uint32_t refs[ADDRSET_TAIL_KEYS + 1];
	uint32_t reserved[8];
};

_Static_assert(sizeof(struct addrset_cell) == 32, "cell");
_Static_assert(sizeof(struct addrset_long) == 16, "long");
_Static_assert(sizeof(struct addrset_line) == 64, "line");
_Static_assert(sizeof(struct addrset_small) == 32, "small");
_Static_assert(sizeof(struct addrset_leaf) == 64, "leaf");
_Static_assert(sizeof(struct addrset_node) == 128, "node");
_Static_assert(sizeof(struct addrset_tail_small) == 32, "small tail");
_Static_assert(sizeof(struct addrset_tail_node) == 128, "tail node");

enum addrset_section {
	ADDRSET_S_CELLS, /* ADDRSET_CELLS, or 0: no IPv4 at all */
	ADDRSET_S_RUNS,  /* bytes; the first 256 are 0..255, so that a uniform cell needs none */
	ADDRSET_S_LONGS,
	ADDRSET_S_BLOCKS,
	ADDRSET_S_LINES, /* 0, or ADDRSET_MIN_LINES to ADDRSET_MAX_LINES */
	ADDRSET_S_SPILL, /* 0 or a power of two */
	ADDRSET_S_TOP,   /* uint32_t; ADDRSET_TOP, or 0: no IPv6 at all */
	ADDRSET_S_WIDES,
	ADDRSET_S_SMALLS,
	ADDRSET_S_LEAVES,
	ADDRSET_S_NODES,
	ADDRSET_S_TAIL_SMALLS,
	ADDRSET_S_TAIL_NODES,
	ADDRSET_N_SECTIONS
};
extern const uint32_t addrset_section_size[ADDRSET_N_SECTIONS]; /* bytes of one element */

struct addrset_header {
	uint64_t magic;
	uint64_t size;    /* of the part */
	uint32_t n_hosts; /* for people */
	uint32_t n_runs6;
	uint32_t seed;       /* of the hosts' mix */
	uint32_t max_probes; /* in the spill table */
	struct {
		uint64_t offset; /* multiple of 64 */
		uint64_t n;      /* elements */
	} sections[ADDRSET_N_SECTIONS];
};

/* The view. */
struct addrset {
	const struct addrset_cell *cells; /* NULL: no IPv4 */
	const uint8_t *runs;
	const struct addrset_long *longs;
	const struct addrset_block *blocks;
	const struct addrset_line *lines;
	const struct addrset_spill *spill;
	uint32_t n_lines, seed, spill_mask, max_probes;
	const uint32_t *top; /* NULL: no IPv6 */
	const struct addrset_wide *wides;
	const struct addrset_small *smalls;
	const struct addrset_leaf *leaves;
	const struct addrset_node *nodes;
	const struct addrset_tail_small *tail_smalls;
	const struct addrset_tail_node *tail_nodes;
};

/* Checks everything in the part (see policy_open()). base: 64-byte aligned. -EBADMSG and a
 * sentence. Values above max_value are refused. */
int addrset_open(const void *base, size_t len, unsigned max_value, struct addrset *ret_set,
    const char **ret_error);

/* Looks n addresses up (as in facts.client) in stages over bursts of 64, each stage prefetching for
 * the next. A single look-up costs hundreds of ns, in bulk tens. */
void addrset_find(
    const struct addrset *set, const uint8_t (*clients)[16], unsigned n, uint8_t *ret_values);

/* A bijection of the 32-bit words. */
static inline uint32_t addrset_mix(uint32_t addr, uint32_t seed)
{
	uint32_t x = addr ^ seed;

	x ^= x >> 16;
	x *= 0x7feb352d;
	x ^= x >> 15;
	x *= 0x846ca68b;
	x ^= x >> 16;
	return x;
}

static inline uint32_t addrset_line_of(uint32_t mixed, uint32_t n_lines)
{
	return (uint32_t)(((uint64_t)mixed * n_lines) >> 32);
}

#endif
