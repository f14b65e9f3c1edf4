/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A crowd that comes to be held: millions of clients as seen from the wire, 16 bytes each. Every one
 * shakes hands, acknowledges the first line and then each byte it is fed, and checks that byte and
 * when it came. Raw frames and no stack: what a client has to know stands in the frame it answers.
 *
 *	number n        even: IPv4, odd: IPv6; k = n / 2
 *	slow            198.18.0.0/15 + k, 2001:db8:c00::/40, the /64 number k
 *	fast (n < fast) 203.0.113.0/25 + k, 2001:db8:d00::/40, the /64 number k
 */
#ifndef POSTERN_BENCH_CROWD_H
#define POSTERN_BENCH_CROWD_H

#include "gen.h"

enum {
	CROWD_MAX = 16000000,
	CROWD_LATE_BUCKETS = 100000, /* of 100 us */
};

enum crowd_class { CROWD_SLOW, CROWD_FAST, CROWD_CLASSES };

struct crowd_config {
	uint32_t n, fast, at_once;       /* clients, those of the fast list, handshakes under way */
	uint32_t pace_ms[CROWD_CLASSES]; /* as the appliance's lists say */
	const char *text;                /* what each is told, again and again */
	uint8_t mac[6];                  /* ours */
};

struct crowd_told {
	uint64_t held;      /* have had their first line whole */
	uint64_t bytes;     /* fed one at a time, whenever */
	uint64_t in_window; /* of them, since crowd_measure() */
	uint64_t again;     /* bytes that came twice: an ACK was lost, or late */
	uint64_t gone;      /* reset or ended by the appliance */
	uint64_t wrong;   /* bytes, or whole lines, that are not the text; or out of their order */
	uint64_t retried; /* SYNs and ACKs sent again */
	uint64_t skipped; /* gaps of two paces and more: the byte between was lost on the way */
	uint32_t unfed;   /* without a byte since crowd_measure() */
	uint32_t whole;   /* fast ones that were fed the text to its end */
	double late_ms[CROWD_CLASSES][3]; /* median, 99th percentile, worst: a gap beyond or below the pace */
};

struct crowd;

/* NULL: no memory, or more than CROWD_MAX. */
struct crowd *crowd_new(const struct crowd_config *config);
struct crowd *crowd_free(struct crowd *c);

/* A frame for one of the crowd: true, and it was rewritten into its answer (*ret_send) or wants to be
 * freed. False: it is for somebody else. */
bool crowd_input(struct crowd *c, struct frame *f, uint64_t now_ns, bool *ret_send);
/* The next handshake to begin or to mend, into f. False: none is due. */
bool crowd_output(struct crowd *c, struct frame *f, uint64_t now_ns);
bool crowd_full(const struct crowd *c); /* all have come, and are held or gone */
bool crowd_held(const struct crowd *c); /* all, now */
/* From now on bytes are timed. */
void crowd_measure(struct crowd *c);
void crowd_tell(const struct crowd *c, struct crowd_told *ret_told);

#endif
