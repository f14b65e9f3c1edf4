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
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

struct tcp_sack_block {
	uint32_t start, end; /* sequence numbers, end exclusive */
};

struct tcp_options {
	bool has_ts, has_wscale, sack_ok;
	uint8_t wscale; /* at most 14 (RFC 7323 2.3) */
	uint8_t n_sack; /* at most 4 */
	uint16_t mss;   /* 0: absent */
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
	bool dst_own; /* dst is an own address; else it is a transparent connection's or nobody's */
	uint8_t own_index; /* which one, in config.addrs; valid with dst_own */
	uint8_t proto;     /* of what starts at l4_off */
	uint8_t l3_off;    /* bytes from frame->data */
	uint16_t l4_off;
	uint16_t l3_len;    /* of the whole IP packet */
	uint32_t flow_hash; /* of flow.h, set by conn_prefetch(); packet_parse() leaves 0: not yet */
	bool no_flow; /* set by conn_prefetch(): belongs to no connection; else to be looked up */
	struct tcp_options opt;
};

/* What a frame turned out to be. Everything but `frame`, l3_off and netif is valid only where the
 * kind says so: addresses and l4 from PACKET_FRAGMENT on, ports and options with PACKET_TCP. */
enum packet_kind {
	PACKET_BAD, /* to drop; *ret_reason is the counter */
	PACKET_ARP,
	PACKET_FRAGMENT, /* a piece of a datagram: frag.c */
	PACKET_ICMP4,
	PACKET_ICMP6,
	PACKET_TCP,
};

struct ip_half;
enum packet_kind packet_parse(const struct ip_half *ip, struct frame *f, struct packet *ret_packet,
    enum stack_counter *ret_reason);
/* The options of a TCP header; false when malformed. Used for quoted and held headers too. */
bool packet_parse_options(const uint8_t *p, unsigned len, struct tcp_options *ret_opt);

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
