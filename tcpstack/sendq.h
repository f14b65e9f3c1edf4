/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The send queue of a connection: bytes in chunks, and a ring of records of what was sent.
 *
 * The ring grows from two records in the connection, to one page of 128 from the chunk pool, to a
 * directory of 512 pages; it shrinks back when it empties. Being contiguous and sorted, a SACK
 * block is found by binary search. A record is never split in the ring: a retransmission under a
 * smaller segment size is cut on its way out.
 */
#ifndef POSTERN_TCPSTACK_SENDQ_H
#define POSTERN_TCPSTACK_SENDQ_H

#include "conn.h"

/* Copies bytes in; returns how many the pool had room for. */
uint32_t sendq_write(struct tcp_half *half, struct tcp_conn *c, const uint8_t *data, uint32_t len);

struct tx_rec *sendq_rec(const struct tcp_half *half, struct tcp_conn *c, uint32_t i);
/* The record that sending the next `len` unsent bytes would make; false: the pool has no room for
 * another record. Nothing has changed until it is committed, after its segment has left. */
bool sendq_next(
    struct tcp_half *half, struct tcp_conn *c, uint32_t len, bool fin, struct tx_rec *ret_rec);
void sendq_commit(struct tcp_half *half, struct tcp_conn *c, const struct tx_rec *r);
/* Ring index of the first record at or after seq; tx_head + tx_count when there is none. */
uint32_t sendq_find(const struct tcp_half *half, struct tcp_conn *c, uint32_t seq);
/* Forgets the first record, or its bytes before `una`; its chunks are given back. */
void sendq_pop(struct tcp_half *half, struct tcp_conn *c);
void sendq_trim(struct tcp_half *half, struct tcp_conn *c, struct tx_rec *r, uint32_t una);
/* Everything is given back. */
void sendq_clear(struct tcp_half *half, struct tcp_conn *c);
/* Points seg's pieces at `len` bytes from byte `skip` of the record. */
void sendq_gather(const struct tcp_half *half, const struct tx_rec *r, uint32_t skip, uint32_t len,
    struct tcp_segment *seg);

static inline uint32_t rec_span(const struct tx_rec *r)
{
	return (uint32_t)r->len + r->fin + r->syn;
}

static inline uint32_t rec_end(const struct tx_rec *r)
{
	return r->seq + rec_span(r);
}

#endif
