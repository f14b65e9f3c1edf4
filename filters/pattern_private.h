/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the pattern engine share; pattern.h says what the objects are. */
#ifndef POSTERN_FILTERS_PATTERN_PRIVATE_H
#define POSTERN_FILTERS_PATTERN_PRIVATE_H

#include "mime.h"
#include "pattern_layout.h"

#include <hs/hs.h>

enum {
	PATTERN_HEADER_SLOTS = 1024, /* a power of two, over twice PATTERN_MAX_HEADERS */
	PATTERN_GATHER = 8192,       /* bytes of changed fields gathered into one write */
	PATTERN_HOSTS = 4,           /* hosts remembered, so that one named often is scanned once */
	PATTERN_HOST_MAX = 60,
};

/* A database and whose expressions it reports. */
struct pattern_base {
	hs_database_t *db; /* NULL: no expression is in this zone */
	uint32_t first, n;
};

struct pattern_set {
	const struct pattern_header *header;
	const struct pattern_rule_row *rules;
	const struct pattern_expression_row *expressions;
	const struct pattern_database_row *databases;
	const struct pattern_code *code;
	const char *strings;
	unsigned n_words;                           /* of the rules' bits */
	struct pattern_base zones[PATTERN_N_ZONES]; /* save FIELD */
	struct pattern_base fields[PATTERN_MAX_HEADERS];
	const char *field_names[PATTERN_MAX_HEADERS];
	unsigned n_fields;
	uint16_t field_slots[PATTERN_HEADER_SLOTS]; /* index into fields + 1; 0 free */
	bool has_metas;
	uint64_t message_rules[PATTERN_MAX_RULES / 64]; /* bits: a line alone does not tell */
	struct mime_sink sink;                          /* what this set wants of a message */
	struct confirm_set *confirm;                    /* NULL: no expression is confirmed */
};

/* Streams of one use: opened ahead, reset instead of closed. */
struct pattern_streams {
	hs_stream_t **free;
	uint32_t n_free;
};

enum pattern_stream {
	STREAM_HEADER,
	STREAM_FIELDS, /* changed fields, a second time */
	STREAM_BODY,
	STREAM_DECODED,
	STREAM_TEXT,
	STREAM_N
};
extern const uint8_t pattern_stream_zone[STREAM_N];

struct pattern_message {
	struct pattern_workspace *ws;
	uint64_t fed;     /* bytes, raw */
	uint64_t decoded; /* bytes of decoded text */
	uint64_t text;    /* bytes as read */
	bool failed, hot, deep, finished;
	bool candidate; /* lately */
	uint8_t next_host;
	uint16_t n_confirm, n_unconfirmed;
	uint16_t confirm[PATTERN_MAX_CONFIRM];
	hs_stream_t *streams[STREAM_N];
	uint64_t *bits; /* in the workspace, n_words of them */
	struct pattern_message *next_free;
	struct {
		uint8_t len;
		uint8_t name[PATTERN_HOST_MAX];
	} hosts[PATTERN_HOSTS];
	struct mime mime;
};

struct pattern_workspace {
	const struct pattern_set *set;
	hs_scratch_t *scratch;
	struct pattern_message *messages, *free;
	uint64_t *bits, *line_bits;
	struct pattern_streams streams[STREAM_N];
	struct pattern_limits limits;
	struct pattern_counts counts;
	size_t bytes;
	uint32_t n_open;
	bool condemned;
	uint32_t n_gathered;
	struct pattern_message *gathering; /* whose bytes stand in gather[] */
	uint8_t gather[PATTERN_GATHER];
};

/* What a match callback knows. */
struct pattern_scan {
	const struct pattern_set *set;
	const struct pattern_base *base;
	struct pattern_message *m; /* NULL: a line by itself */
	uint64_t *bits;
	bool wrong; /* a database reported what it does not hold */
};
int pattern_matched(
    unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *scan);

/* Database of a header name, any case; NULL: none. */
const struct pattern_base *pattern_field_base(
    const struct pattern_set *set, const uint8_t *name, size_t len);

/* Runs the metas over the bits. */
void pattern_metas(const struct pattern_set *set, uint64_t *bits);
/* Rules hit, terms left out, into ret_hits->rule. */
void pattern_collect(
    const struct pattern_set *set, const uint64_t *bits, struct pattern_hits *ret_hits);
/* A meta's code leaves exactly one value and never reaches outside. */
bool pattern_code_sound(const struct pattern_code *code, uint32_t n, uint32_t below_rule);

/* The sink of messages, all members. */
extern const struct mime_sink pattern_sink;

static inline bool pattern_bit(const uint64_t *bits, unsigned i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static inline void pattern_bit_set(uint64_t *bits, unsigned i)
{
	bits[i / 64] |= 1ull << (i % 64);
}

#endif
