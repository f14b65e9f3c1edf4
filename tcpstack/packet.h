/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A received TCP segment as valid values: nothing downstream looks at raw header bytes again.
 * Made by packet_parse() from a frame whose every length, checksum and option has been checked;
 * whoever fails leaves a counted reason. Payload points into the frame, which lives for the turn.
 */
#ifndef POSTERN_TCPSTACK_PACKET_H
#define POSTERN_TCPSTACK_PACKET_H

#include "tcpstack.h"

enum tcp_flag {
	TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_URG = 0x20,
	TCP_ECE = 0x40, TCP_CWR = 0x80,
};

struct tcp_sack_block {
	uint32_t start, end; /* sequence numbers, end exclusive */
};

struct tcp_options {
	bool has_ts, has_wscale, sack_ok;
	uint8_t wscale;   /* at most 14 (RFC 7323 2.3) */
	uint8_t n_sack;   /* at most 4 */
	uint16_t mss;     /* 0: absent */
	uint32_t ts_val, ts_ecr;
	struct tcp_sack_block sack[4];
};

struct packet {
	struct frame *frame; /* to be rewritten in place for an answer, or dropped */
	struct ip_addr src, dst;
	uint32_t seq, ack; /* host order */
	uint16_t src_port, dst_port;
	uint16_t window; /* unscaled */
	uint16_t payload_len;
	const uint8_t *payload;
	uint8_t flags; /* enum tcp_flag */
	uint8_t ttl, tos;
	uint8_t netif; /* it came in by */
	bool v4;
	uint8_t l3_off, l4_off; /* bytes from frame->data */
	uint32_t flow_hash; /* of flow.c, set by conn_prefetch(); packet_parse() leaves 0: not yet */
	struct tcp_options opt;
};

/* Sequence numbers, modulo 2^32 (RFC 9293 3.4). */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

#endif
