/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loss detection by time, RACK-TLP (RFC 8985): a segment is lost when one sent sufficiently later
 * has been delivered. "Sufficiently" is a quarter of the least round trip once reordering was
 * seen, and grows with each DSACK. Needs SACK; without it tcp_input.c counts duplicate ACKs
 * (RFC 6582).
 */
#ifndef POSTERN_TCPSTACK_RACK_H
#define POSTERN_TCPSTACK_RACK_H

#include "sendq.h"

/* What one ACK told. */
struct ack_news {
	uint32_t acked;     /* bytes of sequence space below the new snd_una */
	uint32_t delivered; /* the same and newly sacked */
	uint32_t rtt_us;    /* of the newest original transmission delivered; valid with has_rtt */
	bool has_rtt;
	bool dsack;    /* the peer got something twice */
	bool sacked;   /* a block marked something new */
	bool original; /* something delivered had been sent once only */
	bool lost;     /* rack_detect() found losses */
};

/* A record was delivered, cumulatively or by SACK (RFC 8985 6.2 steps 1 to 3). */
void rack_deliver(struct tcp_half *half, struct tcp_conn *c, const struct tx_rec *r,
    const struct packet *pkt, struct ack_news *news);
/* Marks what is lost by now; sets or clears the reordering timer. True when something was. */
bool rack_detect(struct tcp_half *half, struct tcp_conn *c);
/* The peer reported a duplicate: widen the reordering window (6.2 step 4). */
void rack_on_dsack(struct tcp_conn *c);
/* Marks a record lost. */
void rec_mark_lost(struct tcp_conn *c, struct tx_rec *r, uint32_t index);

#endif
