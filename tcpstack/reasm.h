/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data out of order: contiguous runs, each a chain of chunks whose first holds the run's header,
 * linked by rising sequence number. Bounds: 32 runs a connection, the receive window, and three
 * quarters of the chunk pool; beyond, the segment is dropped (the peer sends it again). Under
 * pressure runs are the first memory let go, which RFC 2018 section 8 allows: SACK is advice.
 *
 * A tree was rejected: a sender mostly appends to the run it touched last, and that is a hint.
 */
#ifndef POSTERN_TCPSTACK_REASM_H
#define POSTERN_TCPSTACK_REASM_H

#include "conn.h"

enum { REASM_MAX_RUNS = 32 };

/* Keeps [seq, seq + len), all of it beyond rcv_nxt and within the window. False: dropped at a
 * bound. ret_duplicate: all of it was here already. */
bool reasm_add(struct stack *st, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
    uint32_t len, bool *ret_duplicate);
/* Moves what has become contiguous with rcv_nxt to the queue in order; returns how many bytes. */
uint32_t reasm_advance(struct stack *st, struct tcp_conn *c);
void reasm_clear(struct stack *st, struct tcp_conn *c);
/* SACK blocks, the run touched last first; returns how many. */
unsigned reasm_sack_blocks(const struct tcp_half *half, const struct tcp_conn *c,
    struct tcp_sack_block *ret_blocks, unsigned max);
/* Appends to a chain of chunks; returns how many bytes the pool had room for. */
uint32_t chain_append(struct stack *st, uint32_t *head, uint32_t *tail, const uint8_t *data,
    uint32_t len, enum chunk_use use);

#endif
