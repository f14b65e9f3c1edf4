/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who has which MAC address: ARP (RFC 826, 5227) and Neighbour Discovery (RFC 4861, 4862), one
 * table and one state machine for both (private).
 *
 * The latest answer to each unresolved neighbour is held and sent when it has answered (RFC 1122
 * 2.3.2.2, RFC 4861 7.2.2); connections are told by conn_neighbour_known() and send again.
 *
 * Slots are stable while an entry lives; when one is given to another address, or changes its MAC,
 * the table's generation moves and every ip_path resolves anew.
 */
#ifndef POSTERN_TCPSTACK_NEIGH_H
#define POSTERN_TCPSTACK_NEIGH_H

#include "stack.h"

enum { NEIGH_NONE = 0xffff };

enum neigh_state {
	NEIGH_FREE,
	NEIGH_INCOMPLETE, /* asked for, no answer yet */
	NEIGH_FAILED,     /* three questions unanswered; asked again at leisure while wanted */
	NEIGH_REACHABLE,  /* from here on the MAC is valid */
	NEIGH_STALE,
	NEIGH_DELAY, /* used while stale: a question is due soon */
	NEIGH_PROBE, /* unicast questions under way */
};

struct neigh_entry {
	struct ip_addr addr;
	uint64_t due_ns;  /* next thing to do; UINT64_MAX: nothing */
	uint64_t used_ns; /* last time a packet was sent to it */
	uint8_t mac[6];
	uint16_t next; /* in its hash chain, or in the free list */
	uint8_t state; /* enum neigh_state */
	uint8_t netif;
	uint8_t probes;
	bool pinned;   /* a gateway: never let go */
	uint16_t held; /* 1 + index of the answer held for it; 0: none */
};

/* Any stateless answer fits: headers, 24 bytes of options, a refusal's text. */
enum { NEIGH_HELD_MAX = 40 + 20 + 24 + STACK_REFUSE_TEXT_MAX };

struct neigh_held {
	uint16_t slot; /* the neighbour; NEIGH_NONE: free */
	uint16_t len;
	uint16_t next_free;
	bool v4;
	uint8_t l3[NEIGH_HELD_MAX];
};

/* One per own address: probing, announcing, conflicts. */
struct neigh_own {
	uint64_t due_ns;
	uint64_t defended_ns, conflict_ns;
	uint8_t steps; /* of the start sequence done */
	bool conflict;
	uint8_t other_mac[6];
};

struct neigh_table {
	struct neigh_entry *entries;
	uint16_t *heads; /* by hash */
	uint32_t n, n_heads;
	uint16_t free;
	uint32_t used, incomplete;
	uint32_t generation;
	struct neigh_held *held; /* as many as may be unresolved */
	uint16_t n_held, held_free;
	bool resolved; /* someone answered since neigh_release() */
	uint64_t next_due_ns;
	uint64_t ask_window_ns; /* questions to new neighbours are capped per second */
	uint32_t ask_count;
	struct neigh_own own[STACK_MAX_ADDRS];
};

int neigh_init(struct neigh_table *t, uint32_t max, uint64_t now_ns);
void neigh_fini(struct neigh_table *t);

/* The entry of an address, made INCOMPLETE when unknown; NEIGH_NONE when the share of the table
 * that unanswered questions may fill is used up. */
uint16_t neigh_get(struct stack *st, unsigned netif, const struct ip_addr *addr, uint64_t now_ns);
uint16_t neigh_find(const struct neigh_table *t, unsigned netif, const struct ip_addr *addr);
void neigh_pin(struct neigh_table *t, uint16_t slot);

static inline bool neigh_usable(const struct neigh_entry *e)
{
	return e->state >= NEIGH_REACHABLE;
}

void neigh_doubt(struct neigh_table *t, struct neigh_entry *e, uint64_t now_ns);

/* Notes that a packet goes to it: a stale entry gets probed, a failed one asked for again. */
static inline void neigh_used(struct neigh_table *t, struct neigh_entry *e, uint64_t now_ns)
{
	e->used_ns = now_ns;
	if (__builtin_expect(e->state == NEIGH_STALE, 0))
		neigh_doubt(t, e, now_ns);
}

/* Keeps an IP packet, the latest only, until the neighbour of this slot is known. Every buffer in
 * use: dropped, counted. */
void neigh_hold(struct stack *st, uint16_t slot, bool v4, const uint8_t *l3, unsigned len);
/* Sends what was held for those who have answered; true: someone did since the last call. */
bool neigh_release(struct stack *st, struct frame_out *out);

/* Received ARP or ND; the frame is answered in place or dropped. */
void neigh_arp_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out);
void neigh_nd_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out);

/* Questions, probes and announcements that are due, expiry. */
void neigh_output(struct stack *st, uint64_t now_ns, struct frame_out *out);

#endif
