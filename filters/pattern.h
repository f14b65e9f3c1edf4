/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Patterns: Hyperscan over everything that streams past. A pattern part (IMAGE_PATTERNS, layout in
 * pattern_layout.h, made by control/compile_patterns) holds rules, the expressions that hit them,
 * metas (logic over rules) and one database per zone. Three objects, from long-lived to short:
 *
 *	pattern_set        one per part; opened off the worker cores, read-only from then on
 *	pattern_workspace  one per (set, worker): scratch, message states and streams, all taken
 *	                   before use and off the worker; only that worker touches it
 *	pattern_message    one per message in flight, from its workspace's pool; it pins the part
 *
 * A message is pushed in as unstuffed bytes in any pieces; whatever the pieces, the hits are those
 * of one scan of the whole. The rule of the folder: a message that could not be scanned (Hyperscan
 * error, no state or stream left) is never a clean one: it carries `failed`, and the caller turns
 * that into the counted verdict `patterns-failed`.
 *
 * Rejected: one database over everything (twice the work: a subject expression would run over the
 * body), Hyperscan's stream allocator (a process-wide hook; streams are opened ahead and reset),
 * and a match callback into the caller (the order of matches depends on the pieces; the set of
 * rules hit does not).
 */
#ifndef POSTERN_FILTERS_PATTERN_H
#define POSTERN_FILTERS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PATTERN_MAX_RULES = 8192, /* metas included */
	PATTERN_MAX_EXPRESSIONS = 65536,
	PATTERN_MAX_NAME = 64,          /* bytes of a rule's name */
	PATTERN_MAX_EXPRESSION = 16000, /* bytes of one expression's source */
	PATTERN_MAX_HEADERS = 256,      /* header names with expressions of their own */
	PATTERN_MAX_HITS = 64,          /* rules one message reports; beyond: counted in n_more */
	PATTERN_MAX_CONFIRM = 16, /* expressions one message has confirmed; beyond: they count as
				     not hit, n_unconfirmed says how many */
};

/* What an expression looks at; control/patterns.h describes the text of each. */
enum pattern_zone {
	PATTERN_HELO,
	PATTERN_ENVELOPE,
	PATTERN_HEADER, /* the header block as a stream */
	PATTERN_FIELD,  /* the value of a header field, by name; `subject` is one of them */
	PATTERN_BODY,   /* the body as sent, and text parts again transfer-decoded */
	PATTERN_TEXT,   /* what a person reads: decoded, without HTML tags, white space squeezed */
	PATTERN_URL,    /* host part of URLs, lower case */
	PATTERN_URI,    /* whole URLs as written */
	PATTERN_N_ZONES
};

extern const char *const pattern_zone_words[PATTERN_N_ZONES]; /* "helo", ..., "header:" for FIELD */

enum pattern_rule_flags {
	PATTERN_RULE_META = 1u << 0,
	PATTERN_RULE_TERM =
	    1u << 1, /* neither score nor action: only metas ask for it, never a hit */
	/* of pattern_rule_get() alone: all its expressions look at HELO name or envelope, and none
	 * has to be confirmed, so pattern_line() tells all there is to it */
	PATTERN_RULE_LINES = 1u << 2,
};

/* One rule; texts live as long as the set. */
struct pattern_rule {
	const char *name;
	int32_t weight; /* hundredths of a point */
	uint8_t action; /* enum verdict_kind; NONE: scores only */
	uint32_t flags; /* enum pattern_rule_flags */
};

enum pattern_expression_flags {
	PATTERN_CASELESS = 1u << 0,  /* i */
	PATTERN_DOTALL = 1u << 1,    /* s */
	PATTERN_MULTILINE = 1u << 2, /* m */
	PATTERN_EXTENDED = 1u << 3,  /* x */
	PATTERN_LITERAL = 1u << 4,   /* "..." and not /.../ */
	PATTERN_WORD = 1u << 5,      /* a literal between word boundaries */
	PATTERN_CONFIRM = 1u << 6,   /* a match of Hyperscan is only a candidate: PCRE2 decides */
};

/* One expression, as confirmation and reports need it. `source` of LITERAL is its plain bytes. */
struct pattern_expression {
	uint16_t rule;
	uint8_t zone;       /* enum pattern_zone */
	uint8_t flags;      /* enum pattern_expression_flags */
	const char *header; /* lower case; FIELD alone, else "" */
	const char *source; /* kept for CONFIRM alone, else "" */
	uint32_t line;      /* of its file */
};

struct pattern_set;
struct pattern_workspace;
struct pattern_message;

/*
 * Opens a part: every offset checked, databases deserialised (milliseconds to seconds: never on a
 * worker core). The part's bytes must outlive the set. -EBADMSG with a sentence in ret_error:
 * damaged, or its databases are for another machine; -ENOMEM.
 */
int pattern_open(const void *base, size_t len, struct pattern_set **ret_set, const char **ret_error);
struct pattern_set *pattern_close(struct pattern_set *set); /* no workspace of it may be left */

unsigned pattern_n_rules(const struct pattern_set *set);
void pattern_rule_get(const struct pattern_set *set, unsigned rule, struct pattern_rule *ret_rule);
unsigned pattern_n_expressions(const struct pattern_set *set);
void pattern_expression_get(
    const struct pattern_set *set, unsigned expression, struct pattern_expression *ret_expression);
/* The set looks at anything in this zone (a caller need not ask or feed otherwise). */
bool pattern_has_zone(const struct pattern_set *set, enum pattern_zone zone);
bool pattern_has_message(const struct pattern_set *set); /* any zone of headers or body */

/* How much of a message is looked at; what lies deeper is not (the message is not failed). */
struct pattern_limits {
	uint32_t messages;      /* in flight, per worker */
	uint64_t depth;         /* bytes of a message, raw */
	uint64_t decoded_depth; /* bytes of decoded text */
};
extern const struct pattern_limits pattern_limits_default; /* 10,000; 256 KiB; 256 KiB */

/* Everything a worker needs for this set. Off the worker. -ENOMEM. */
int pattern_workspace_new(const struct pattern_set *set, const struct pattern_limits *limits,
    struct pattern_workspace **ret_workspace);
struct pattern_workspace *pattern_workspace_free(struct pattern_workspace *ws);
/* Messages open on it: the pins of the part. Read by the publisher, written by the worker. */
unsigned pattern_workspace_open(const struct pattern_workspace *ws);
/* Its messages are to end soon; asked by their worker, said by another thread. */
void pattern_workspace_condemn(struct pattern_workspace *ws);
bool pattern_workspace_condemned(const struct pattern_workspace *ws);
const struct pattern_set *pattern_workspace_set(const struct pattern_workspace *ws);
size_t pattern_workspace_bytes(const struct pattern_workspace *ws); /* of its pools, for budgets */
const struct pattern_limits *pattern_workspace_limits(const struct pattern_workspace *ws);
/* Pins the part as a message does: somebody off the worker reads it. Its worker says both. */
void pattern_workspace_hold(struct pattern_workspace *ws);
void pattern_workspace_let_go(struct pattern_workspace *ws);

/* What a message hit. */
struct pattern_hits {
	bool failed;     /* could not be scanned: the other fields say nothing then */
	uint16_t n;      /* rules below, ascending, terms left out; beyond
			    PATTERN_MAX_HITS those with an action first */
	uint16_t n_more; /* hit, but found no room */
	/* metas take what waits for confirmation as not hit: pattern_message_settle() before the end,
	 * or pattern_confirmed() afterwards */
	uint16_t n_confirm; /* expressions whose candidates PCRE2 has to judge */
	uint16_t n_unconfirmed;
	uint16_t rule[PATTERN_MAX_HITS];
	uint16_t confirm[PATTERN_MAX_CONFIRM];
};

/* Why scans failed, and what bounds were met; written by the worker alone. */
struct pattern_counts {
	uint64_t messages, lines; /* scanned */
	uint64_t bytes;           /* raw, of messages */
	uint64_t failed_state;    /* no message state left in the pool */
	uint64_t failed_scan;     /* an error of Hyperscan */
	uint64_t too_deep;        /* messages longer than the depth */
	uint64_t mime_bounded;    /* messages that met a bound of mime.h */
	uint64_t hits_cut;        /* messages with more than PATTERN_MAX_HITS rules */
	uint64_t confirm_cut;
};
const struct pattern_counts *pattern_counts(const struct pattern_workspace *ws);

/*
 * One line by itself (HELO name, an envelope address): what it hits at once, metas not evaluated.
 * zone: HELO or ENVELOPE (the text then begins with "from:" or "to:").
 */
void pattern_line(struct pattern_workspace *ws, enum pattern_zone zone, const void *text,
    size_t len, struct pattern_hits *ret_hits);

/* NULL: the pool is empty, counted; the message is `patterns-failed`. */
struct pattern_message *pattern_message_begin(struct pattern_workspace *ws);
struct pattern_workspace *pattern_message_workspace(const struct pattern_message *m);
/* Makes HELO and envelope known to the metas of this message; any time before the end. True: it
 * holds a candidate, so who has candidates confirmed keeps it. */
bool pattern_message_line(
    struct pattern_message *m, enum pattern_zone zone, const void *text, size_t len);
/* Header and body bytes, unstuffed. False: failed, feeding on is allowed and does nothing. */
bool pattern_message_feed(struct pattern_message *m, const void *bytes, size_t len);
/* What is hit so far, metas included, as if the message ended here; the message goes on. For the
 * end of the inspection window: metas with a negation may change their mind later. */
void pattern_message_peek(struct pattern_message *m, struct pattern_hits *ret_hits);
/* A rule without a negation in it that refuses was hit: worth a peek. Cheap. */
bool pattern_message_hot(const struct pattern_message *m);
/* Candidates that PCRE2 has yet to judge; lent until the next call. */
unsigned pattern_message_candidates(
    const struct pattern_message *m, const uint16_t **ret_expressions);
/* It has judged one of them: hit, or a candidate no more. */
void pattern_message_settle(struct pattern_message *m, uint16_t expression, bool hit);
/* The whole message was fed: what matches at ends is found now. Optional before the end, needed
 * before pattern_message_bits() for confirmation. */
void pattern_message_finish(struct pattern_message *m);
/* The whole message was fed. Gives the message back. */
void pattern_message_end(struct pattern_message *m, struct pattern_hits *ret_hits);
/* The same without a result: the client went away. NULL is allowed. */
void pattern_message_drop(struct pattern_message *m);

/*
 * After confirmation: evaluates the message's rules again with the expressions that PCRE2 found
 * true. `hits` is what the end gave; expressions of `hits->confirm` that are not in `confirmed`
 * were false. Pure; any thread. hit_bits is the copy from pattern_message_bits().
 */
void pattern_confirmed(const struct pattern_set *set, const uint64_t *hit_bits,
    const uint16_t *confirmed, unsigned n_confirmed, struct pattern_hits *ret_hits);
/* Copies the rules' bits (64 a word, pattern_n_rules() of them), metas not evaluated; between
 * pattern_message_finish() and pattern_message_end(). */
void pattern_message_bits(const struct pattern_message *m, uint64_t *ret_bits);

#endif
