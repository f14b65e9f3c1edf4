/* SPDX-License-Identifier: BSD-3-Clause */
/* The words for verdicts (DESIGN.md) and the reasons behind them. Plain data, any thread. */
#ifndef POSTERN_FILTERS_VERDICT_H
#define POSTERN_FILTERS_VERDICT_H

#include <stdint.h>

/* In order of severity: of two verdicts for one phase the later word here wins, save that an
 * allow list ends the argument with `pass`. */
enum verdict_kind {
	VERDICT_NONE,   /* no opinion: the next check is asked */
	VERDICT_PASS,   /* trusted: no later check is asked */
	VERDICT_MARK,   /* goes on, with a header that says why */
	VERDICT_GREY,   /* 450 4.7.1, come back later (greylist) */
	VERDICT_DEFER,  /* 4yz */
	VERDICT_REFUSE, /* 5yz; at SYN: refused without state */
	VERDICT_TARPIT, /* one small record, fed a byte at a time */
	VERDICT_TRAP,   /* handshake, then silence */
	VERDICT_RESET,
	VERDICT_DROP,
	VERDICT_N_KINDS
};

extern const char *const verdict_words[VERDICT_N_KINDS];

/* Where in a session a check is asked. */
enum phase {
	PHASE_SYN,     /* address only, read-only tables: the source may be spoofed */
	PHASE_CONNECT, /* the cookie is proven */
	PHASE_HELO,
	PHASE_MAIL,
	PHASE_RCPT,
	PHASE_DATA, /* at DATA or the first BDAT */
	PHASE_BODY, /* end of the inspection window or of the message */
	PHASE_N
};

extern const char *const phase_words[PHASE_N]; /* lower case, as logs and metrics print them */

/* One row per reason in reasons.def: counter, reply, log word and documentation. */
enum reason {
#define REASON(name, code, enhanced, text, doc) REASON_##name,
#include "reasons.def"
#undef REASON
	REASON_N
};

struct reason_info {
	const char *name;     /* as in reasons.def; logs and metrics print it in lower case */
	uint16_t code;        /* default SMTP reply code; 0: nothing is said */
	const char *enhanced; /* RFC 3463 code, "" where code is 0 */
	const char *text;     /* default reply text */
	const char *doc;      /* one sentence for the documentation */
};
extern const struct reason_info reason_infos[REASON_N];

struct verdict {
	uint8_t kind;    /* enum verdict_kind */
	uint8_t phase;   /* enum phase in which it was reached */
	uint16_t reason; /* enum reason */
	union {
		int32_t score; /* sum of what the checks scored so far, in hundredths of a point */
		uint32_t rule; /* PHASE_SYN in bulk: the number of the rule (rules.h), 0: none */
	};
};

#endif
