/* SPDX-License-Identifier: BSD-3-Clause */
/* Round-trip estimate and retransmission time-out, RFC 6298, in microseconds. */
#ifndef POSTERN_TCPSTACK_RTT_H
#define POSTERN_TCPSTACK_RTT_H

#include "conn.h"

enum {
	RTO_INITIAL_US = 1000000,
	RTO_MIN_US = 200000,
	RTO_MAX_US = 60000000,
};

void rtt_init(struct tcp_conn *c);
void rtt_sample(struct tcp_conn *c, uint32_t rtt_us);
/* The time-out now, with back-off. */
uint32_t rtt_rto_us(const struct tcp_conn *c);

#endif
