/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IMAGE_PATTERNS part, byte for byte: this header, then arrays and serialised databases at
 * 64-byte aligned offsets from its start. Little endian, no pointers. Written by
 * control/compile_patterns.c, checked and read by pattern_set.c; a change raises
 * PATTERN_LAYOUT. Rules stand before the metas that name them, so one pass evaluates all.
 */
#ifndef POSTERN_FILTERS_PATTERN_LAYOUT_H
#define POSTERN_FILTERS_PATTERN_LAYOUT_H

#include "pattern.h"

#define PATTERN_MAGIC 0x3154544150545350ull /* "PSTPATT1" */

enum {
	PATTERN_LAYOUT = 1,
	PATTERN_ALIGN = 64,
	PATTERN_MAX_CODE = 1 << 20, /* operations of all metas */
	PATTERN_META_DEPTH = 32,    /* values on a meta's stack */
	PATTERN_MAX_DATABASES = PATTERN_N_ZONES + PATTERN_MAX_HEADERS,
};

struct pattern_header {
	uint64_t magic;
	uint32_t layout, size; /* of this struct */
	uint64_t len;          /* of the part */
	uint32_t n_rules, n_expressions, n_databases, n_code;
	uint64_t rules_off, expressions_off, databases_off, code_off;
	uint64_t strings_off, strings_len; /* zero-terminated; the first one empty */
};

struct pattern_rule_row {
	uint32_t name; /* offset into the strings */
	int32_t weight;
	uint32_t first_code, n_code; /* of a meta */
	uint8_t action, flags;       /* enum verdict_kind, enum pattern_rule_flags */
	uint8_t reserved[2];
};

struct pattern_expression_row {
	uint32_t header, source; /* strings */
	uint32_t line;
	uint16_t rule;
	uint8_t zone, flags;
};

/* Expressions are grouped by database: it reports 0 to n_expressions - 1, counted from
 * first_expression, so that an unchanged group gives the same bytes wherever it stands. */
struct pattern_database_row {
	uint32_t zone;
	uint32_t header; /* string, lower case; FIELD alone */
	uint32_t first_expression, n_expressions;
	uint64_t off, len;
};

/* A stack machine over 0 and 1 (and sums of them); leaves one value, hit if not 0. */
enum pattern_op {
	PATTERN_OP_NUMBER, /* pushes arg */
	PATTERN_OP_RULE, /* pushes 1 if rule arg is hit, else 0; arg is below the meta's own index */
	PATTERN_OP_NOT,
	PATTERN_OP_AND,
	PATTERN_OP_OR,
	PATTERN_OP_ADD,
	PATTERN_OP_SUB,
	PATTERN_OP_MUL,
	PATTERN_OP_GT,
	PATTERN_OP_GE,
	PATTERN_OP_LT,
	PATTERN_OP_LE,
	PATTERN_OP_EQ,
	PATTERN_OP_NE,
	PATTERN_N_OPS
};

struct pattern_code {
	uint32_t op; /* enum pattern_op */
	int32_t arg;
};

/* Zones whose text passes as a stream; the others are lines, each scanned by itself. */
static inline bool pattern_zone_streams(enum pattern_zone zone)
{
	return zone == PATTERN_HEADER || zone == PATTERN_BODY || zone == PATTERN_TEXT;
}

#endif
