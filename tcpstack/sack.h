/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The peer's SACK blocks (RFC 2018) and duplicate reports (RFC 2883) against the ring of records.
 * A record is marked when a block covers it whole; blocks outside of what is outstanding are
 * ignored, so a forged one can mark nothing that was not sent.
 */
#ifndef POSTERN_TCPSTACK_SACK_H
#define POSTERN_TCPSTACK_SACK_H

#include "rack.h"

void sack_process(
    struct tcp_half *half, struct tcp_conn *c, const struct packet *pkt, struct ack_news *news);
/* The peer let go of what it had sacked (RFC 2018 section 8): nothing counts as delivered. */
void sack_forget(struct tcp_half *half, struct tcp_conn *c);

#endif
