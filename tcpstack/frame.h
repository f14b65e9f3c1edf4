/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * struct frame: one Ethernet frame as every layer of Postern sees it.
 *
 * The shell (live, replay, simulation, fuzzer, benchmark) owns the buffers and lends them to a
 * worker turn. One segment a frame: buffers are sized to the MTU and LRO is off. In the live shell
 * a frame is an mbuf seen through this struct; `handle` is the mbuf.
 *
 * This header is plain data, libc only, and is the one header of ours that hw/ may include.
 */
#ifndef POSTERN_TCPSTACK_FRAME_H
#define POSTERN_TCPSTACK_FRAME_H

#include <stdint.h>

enum frame_flags {
	/* set by the shell on received frames */
	FRAME_RX_IP_CSUM_GOOD = 1u << 0, /* the port verified the IPv4 header checksum */
	FRAME_RX_L4_CSUM_GOOD = 1u << 1, /* the port verified the TCP checksum */
	FRAME_RX_CSUM_BAD = 1u << 2,     /* the port found a checksum wrong */
	FRAME_VLAN = 1u << 3, /* `vlan` is valid: stripped on receive, to insert on send */
	/* set by the stack on frames to send, only where frame_caps of the port allow it */
	FRAME_TX_IP_CSUM = 1u << 4, /* the port fills the IPv4 header checksum */
	FRAME_TX_TCP_CSUM =
	    1u << 5, /* the port fills the TCP checksum; the pseudo-header sum is in place */
	FRAME_TX_TSO = 1u << 6, /* the port cuts the segment by `tso_mss` */
};

struct frame {
	uint8_t *data;     /* first byte of the Ethernet header */
	void *handle;      /* the shell's buffer, opaque */
	uint16_t len;      /* bytes of the frame, no FCS */
	uint16_t room;     /* bytes from `data` to the end of the buffer; len <= room */
	uint16_t headroom; /* bytes free before `data` */
	uint16_t vlan;     /* TCI, host order; valid with FRAME_VLAN */
	uint16_t flags;    /* enum frame_flags */
	uint16_t tso_mss;  /* bytes, with FRAME_TX_TSO */
	uint32_t hash;     /* RSS hash, or the software one that stands in for it */
	uint8_t port;      /* index of the port it came from or is to leave by */
	uint8_t l2_len;    /* bytes, set with the TX flags */
	uint8_t l3_len;    /* bytes, set with the TX flags */
	uint8_t l4_len;    /* bytes, set with FRAME_TX_TSO */
};

_Static_assert(sizeof(struct frame) == 40, "struct frame is passed in arrays; keep it small");

#endif
