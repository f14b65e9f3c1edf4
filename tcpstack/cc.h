/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Congestion control: NewReno (RFC 5681) with an initial window of ten segments (RFC 6928) and
 * byte counting (RFC 3465).
 *
 * CUBIC was rejected: our bulk runs from us to backends over short paths, where CUBIC is in its
 * Reno-friendly region anyway, and toward clients we send replies. The other half of a bulk
 * transfer is the sender's congestion control, not ours. Everything that would differ is here.
 */
#ifndef POSTERN_TCPSTACK_CC_H
#define POSTERN_TCPSTACK_CC_H

#include "conn.h"

void cc_init(struct tcp_conn *c);
/* New data acknowledged, outside of recovery. */
void cc_on_ack(struct tcp_conn *c, uint32_t acked);
/* Loss found by RACK or duplicate ACKs: once a round trip. */
void cc_on_loss(struct tcp_conn *c);
void cc_on_rto(struct tcp_conn *c);
/* What was kept before the first reduction comes back (RFC 4015). */
void cc_undo(struct tcp_conn *c);
/* Nothing was sent for longer than the time-out (RFC 5681 4.1). */
void cc_on_idle(struct tcp_conn *c);

#endif
