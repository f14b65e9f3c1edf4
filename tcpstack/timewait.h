/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TIME-WAIT: what is left of a connection for two segment lifetimes, 88 bytes instead of a struct
 * tcp_conn. All entries wait equally long, so they are a FIFO and need no timer; at the bound the
 * oldest is let go. They share the flow table with the connections.
 *
 * RST is ignored here (RFC 1337: it would assassinate the state that protects the next
 * connection). A new SYN may take over under RFC 6191.
 */
#ifndef POSTERN_TCPSTACK_TIMEWAIT_H
#define POSTERN_TCPSTACK_TIMEWAIT_H

#include "flow.h"

struct tw_entry {
	struct flow_key key;
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_recent, ts_offset;
	uint32_t last_ack_tick; /* answers to stray segments are spaced */
	uint32_t prev, next;    /* FIFO, by index; free list by next */
	uint16_t window;        /* as on the wire */
	bool timestamps;
	uint64_t since_ns, expires_ns;
};

struct timewait {
	struct tw_entry *entries; /* [0] is never used */
	uint32_t max, used, fresh, free_head, oldest, newest;
	uint64_t length_ns;
};

int timewait_init(struct timewait *tw, uint32_t max, uint32_t msl_ms);
void timewait_fini(struct timewait *tw);
/* A blank entry, newest of the FIFO, in the flow table under its key; lets the oldest go at the
 * bound (ret_evicted). The caller fills the rest. */
struct tw_entry *timewait_add(struct timewait *tw, struct flow_table *flows,
    const struct flow_key *key, uint64_t now_ns, bool *ret_evicted);
void timewait_remove(struct timewait *tw, struct flow_table *flows, struct tw_entry *e);
/* The two lifetimes start again (a FIN was seen again). */
void timewait_restart(struct timewait *tw, struct tw_entry *e, uint64_t now_ns);
/* Lets go what has waited long enough, at most `limit`. */
void timewait_expire(struct timewait *tw, struct flow_table *flows, uint64_t now_ns, unsigned limit);
uint64_t timewait_deadline(const struct timewait *tw); /* UINT64_MAX: none */

#endif
