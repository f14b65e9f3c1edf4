/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded reassembly of fragmented TCP segments (private). */
#ifndef POSTERN_TCPSTACK_FRAG_H
#define POSTERN_TCPSTACK_FRAG_H

#include "packet.h"

enum {
	FRAG_BYTES = 2048, /* of L4, reassembled: no peer that heeds our MSS sends more */
	FRAG_LIFE4_S = 15, /* RFC 791 3.2 */
	FRAG_LIFE6_S = 60, /* RFC 8200 4.5 */
};

struct frag_slot {
	struct ip_addr src, dst;
	uint64_t expires_ns;                /* 0: free */
	uint64_t have[FRAG_BYTES / 8 / 64]; /* a bit per eight bytes */
	uint32_t id;
	uint16_t total; /* bytes of L4; 0: the last piece has not come */
	bool poisoned;  /* an overlap was seen: all its pieces are dropped until it expires */
	uint8_t data[FRAG_BYTES];
};

struct frag_table {
	struct frag_slot *slots;
	uint32_t n, used;
	uint64_t next_due_ns;
};

int frag_init(struct frag_table *t, uint32_t n);
void frag_fini(struct frag_table *t);

struct stack;
/* Takes a piece. True: the datagram is whole and now stands in this frame, as if it had come
 * unfragmented; parse it again. False: the frame is the caller's to drop. */
bool frag_input(struct stack *st, const struct packet *pkt, uint64_t now_ns);
void frag_expire(struct stack *st, uint64_t now_ns);

#endif
