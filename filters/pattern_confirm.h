/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Confirmation: what Hyperscan found with HS_FLAG_PREFILTER is only a candidate; PCRE2 reads the
 * whole expression, look-around and back-references too, and decides. Backtracking can take longer
 * than the age of the universe, so it is bounded four times: steps, nesting, heap, and a stop
 * function that is asked every few steps (the caller's clock; nothing here knows one). At a bound
 * the answer is CONFIRM_COSTLY, which counts as not confirmed: nobody's mail is refused because an
 * expression was too slow for it.
 *
 * Never on a worker core: a service thread has one confirm_set per pattern set (the compile cache,
 * read-only once made, which comes and goes with it) and one confirm_room of its own. No JIT: it wants pages that are writable
 * and executable, and its step counts are coarse. (Rejected: a time-out by signal; and only the
 * step limit, as one step of a greedy repeat may walk the whole text.)
 */
#ifndef POSTERN_FILTERS_PATTERN_CONFIRM_H
#define POSTERN_FILTERS_PATTERN_CONFIRM_H

#include "pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum confirm_answer {
	CONFIRM_NO,
	CONFIRM_YES,
	CONFIRM_COSTLY, /* a bound was met: counts as not confirmed */
	CONFIRM_OPEN,   /* what follows the text may decide otherwise: not confirmed either */
	CONFIRM_N_ANSWERS
};

struct confirm_limits {
	uint32_t steps;    /* of backtracking, one text */
	uint32_t depth;    /* of nesting */
	uint32_t heap_kib; /* of one match */
};
extern const struct confirm_limits confirm_limits_default; /* 1,000,000; 1,000; 4,096 */

/* Asked every CONFIRM_STRIDE steps; true: enough. */
typedef bool confirm_stop(void *arg);
enum { CONFIRM_STRIDE = 64 };

struct confirm_expression; /* one expression, compiled; read-only: any number of threads */
struct confirm_room;       /* what a match needs; one thread */
struct confirm_set;        /* every CONFIRM expression of a pattern set */

struct confirm_counts {
	uint64_t answers[CONFIRM_N_ANSWERS];
	uint64_t bytes;
};

/* flags: enum pattern_expression_flags, CONFIRM itself without effect. -EINVAL: PCRE2 cannot
 * compile it; why (NUL-terminated, may be NULL) says so. -ENOMEM. */
int confirm_expression_new(const char *source, uint8_t flags,
    struct confirm_expression **ret_expression, char *why, size_t room);
struct confirm_expression *confirm_expression_free(struct confirm_expression *e);

int confirm_room_new(const struct confirm_limits *limits, struct confirm_room **ret_room);
struct confirm_room *confirm_room_free(struct confirm_room *room);
const struct confirm_counts *confirm_counts(const struct confirm_room *room);

/* stop may be NULL. The same answer for the same arguments, as long as stop says false. */
enum confirm_answer confirm_match(const struct confirm_expression *e, struct confirm_room *room,
    const void *text, size_t len, confirm_stop *stop, void *arg);
/* The same of the beginning of a text: YES and NO hold whatever follows, save that NO is of these bytes. */
enum confirm_answer confirm_match_head(const struct confirm_expression *e,
    struct confirm_room *room, const void *text, size_t len, confirm_stop *stop, void *arg);

/* -EINVAL: an expression that PCRE2 cannot compile (why names its rule); -ENOMEM. */
int confirm_set_new(
    const struct pattern_set *patterns, struct confirm_set **ret_set, char *why, size_t room);
struct confirm_set *confirm_set_free(struct confirm_set *set);
/* Of pattern_hits.confirm; NULL: that expression is not one to be confirmed. */
const struct confirm_expression *confirm_set_get(const struct confirm_set *set, unsigned expression);
/* Of an open pattern set; lives as long. NULL: nothing of it is confirmed. */
const struct confirm_set *pattern_confirm_set(const struct pattern_set *patterns);

/* ---- a message (pattern_confirm_message.c) ---- */

enum { CONFIRM_CANDIDATES = 2 * PATTERN_MAX_CONFIRM /* of one message: files and emergency */ };

struct confirm_candidate {
	const struct pattern_set *set;
	uint16_t expression;
	uint8_t answer; /* enum confirm_answer */
};

/* What was scanned, as far as it is at hand. */
struct confirm_message {
	const uint8_t *bytes;
	size_t len;
	bool stuffed;                  /* dots at line starts are doubled (RFC 5321 4.5.2) */
	bool cut;                      /* the message goes on behind it */
	uint64_t depth, decoded_depth; /* struct pattern_limits */
	const uint8_t *lines;          /* of HELO and ENVELOPE: confirm_line_put() */
	size_t lines_len;
};

/* Adds a line; returns the bytes taken of `room`, 0: it does not fit. */
size_t confirm_line_put(
    uint8_t *to, size_t room, enum pattern_zone zone, const void *text, size_t len);

/* Takes messages apart as pattern_message does and shows PCRE2 the texts that Hyperscan saw: lines
 * each by itself, streams whole. One thread; memory for messages of so many bytes is taken at once,
 * longer ones are cut. */
struct confirm_reader;
int confirm_reader_new(
    const struct confirm_limits *limits, size_t bytes, struct confirm_reader **ret_reader);
struct confirm_reader *confirm_reader_free(struct confirm_reader *reader);
const struct confirm_counts *confirm_reader_counts(const struct confirm_reader *reader);
/* Fills in the answers; at most CONFIRM_CANDIDATES. stop may be NULL: steps alone are the bound. */
void confirm_read(struct confirm_reader *reader, const struct confirm_message *message,
    struct confirm_candidate *candidates, unsigned n, confirm_stop *stop, void *arg);

#endif
