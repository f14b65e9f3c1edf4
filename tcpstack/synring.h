/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of recent SYNs: what cookies forget (private).
 *
 * SMTP servers speak first: an honest client whose handshake ACK is lost would wait for a banner
 * for ever under pure cookies. So each SYN judged `go on` gets, where one is free, a place of 32
 * bytes: its SYN-ACK is sent again after 1, 3 and 7 s, and its options are known in full.
 */
#ifndef POSTERN_TCPSTACK_SYNRING_H
#define POSTERN_TCPSTACK_SYNRING_H

#include "packet.h"

struct synring_entry {
	uint8_t src[16];
	uint32_t isn;       /* the client's */
	uint32_t ts_recent; /* its TSval */
	uint16_t src_port;
	uint16_t born; /* in units of 8 ms */
	union {
		struct {
			uint32_t own : 6, listener : 4, mss : 14, wscale : 4 /* 15: none */,
			    sack : 1, ts : 1, sent : 2;
		};
		uint32_t word; /* all of them, for synring_word() */
	};
};

_Static_assert(sizeof(struct synring_entry) == 32, "64 k of them are 2 MiB");
_Static_assert(STACK_MAX_ADDRS <= 64 && STACK_MAX_LISTENERS <= 16, "they fit their bits");

/* The small fields at once: compilers build bit-fields by narrow stores and a stalling wide load. */
static inline uint32_t synring_word(
    unsigned own, unsigned listener, unsigned mss, unsigned wscale, bool sack, bool ts)
{
	return own | listener << 6 | mss << 10 | wscale << 24 | (uint32_t)sack << 28 |
	       (uint32_t)ts << 29;
}

struct synring {
	struct synring_entry *entries;
	uint64_t *taken; /* bitmap */
	uint32_t n, count;
	uint64_t next_due_ns;
	uint64_t sweep_min_ns; /* earliest thing due that the sweep under way has seen */
	uint64_t swept_ns;     /* start of the last sweep */
	uint32_t hand;         /* word of the bitmap; at its end: no sweep under way */
};

enum { SYNRING_LIFE_MS = 8000 };

int synring_init(struct synring *r, uint32_t n);
void synring_fini(struct synring *r);

/* A place for a SYN in one of the two slots that its cookie's hash names. False: both are taken by
 * others (the cookie alone serves). The same SYN again keeps its place. */
bool synring_put(struct synring *r, uint64_t hash, const struct synring_entry *e, uint64_t now_ns);
/* The entry of exactly this client and ISN; NULL: none. */
struct synring_entry *synring_find(const struct synring *r, uint64_t hash,
    const struct ip_addr *src, uint16_t src_port, unsigned own, uint32_t isn, uint64_t now_ns);
void synring_remove(struct synring *r, struct synring_entry *e);
uint64_t synring_born_ns(const struct synring_entry *e, uint64_t now_ns);

/* The next entry whose SYN-ACK is due again, at most a slice of the ring at a time; NULL: none now.
 * The caller sends it; the entry is marked sent. Entries past their life leave by the way. */
struct synring_entry *synring_due(struct synring *r, uint64_t now_ns);
uint64_t synring_deadline(const struct synring *r);

static inline void synring_prefetch(const struct synring *r, uint64_t hash)
{
	__builtin_prefetch(&r->entries[(hash >> 32) & (r->n - 1) & ~1u], 1);
}

#endif
