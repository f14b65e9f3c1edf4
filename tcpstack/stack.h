/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the stack (private): who does what, and the one struct that ties the parts together.
 *
 *	frame -> packet.c (valid values) -> input.c (burst sorted by kind)
 *	   SYN              -> listen.c   judged in bulk, cookie.c, synring.c, answered in place
 *	   known flow       -> conn.c     (flow.c finds it) tcp_input.c, sack.c, rack.c, cc.c
 *	   tarpitted flow   -> tarpit.c
 *	   ACK of a cookie  -> listen.c   refusal in place, or conn_from_cookie()
 *	   otherwise        -> a capped RST built from the segment's own header
 *	connection -> tcp_output.c -> emit.c (headers, checksums or offloads, route and neighbour)
 */
#ifndef POSTERN_TCPSTACK_STACK_H
#define POSTERN_TCPSTACK_STACK_H

#include "packet.h"

/* ---- offered by the IP half (input.c, emit.c, route.c, neigh.c ...) to the TCP half ---- */

/* Where segments of a connection leave: resolved once, checked by generation on each use. */
struct ip_path {
	uint8_t netif;
	bool v4;
	uint16_t neigh;      /* slot of the next hop in neigh.c */
	uint32_t generation; /* of routes and neighbours when resolved */
	uint16_t mtu;        /* path MTU now, bytes of IP packet */
};

/* One segment to send. Options are written in the fixed order TS, SACK (or MSS, WS, SACK_OK, TS on
 * SYNs). Payload is gathered from at most 8 pieces and copied into the frame. */
struct tcp_segment {
	const struct ip_addr *src, *dst;
	uint16_t src_port, dst_port;
	uint32_t seq, ack;
	uint16_t window; /* as on the wire */
	uint8_t flags;
	struct tcp_options opt;
	unsigned n_pieces;
	struct {
		const uint8_t *p;
		uint16_t len;
	} pieces[8];
};

enum emit_status {
	EMIT_SENT,
	EMIT_NO_FRAME, /* out of frames or out->tx is full: try again next turn */
	EMIT_NO_NEIGH, /* next hop unresolved, asked for: wait for conn_neighbour_known() */
	EMIT_NO_ROUTE,
};

int ip_path_resolve(struct stack *st, const struct ip_addr *dst, uint64_t now_ns,
    struct ip_path *ret_path); /* -ENETUNREACH */
enum emit_status ip_emit_tcp(struct stack *st, struct ip_path *path, const struct tcp_segment *seg,
    uint64_t now_ns, struct frame_out *out);
/* Path MTU of a destination after ICMP (RFC 1191, RFC 8201), 0: the interface's. */
uint16_t pmtu_get(const struct stack *st, const struct ip_addr *dst);
enum { PMTU_FLOOR4 = 552, PMTU_FLOOR6 = 1280 };

/* ---- offered by the TCP half (conn.c ...) to the IP half ---- */

/* A segment for an existing connection or TIME-WAIT entry: true when it was one and has been dealt
 * with. The frame stays the caller's (payload is copied out). */
bool conn_input(struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out);

/* Prefetch what conn_input() will touch, for a whole burst: buckets, then connections. Optional, but
 * it also sets pkt->no_flow: until the burst makes a connection, conn_input() need not be asked. */
void conn_prefetch(const struct stack *st, struct packet *const *pkts, unsigned n);

/* The ACK that proved a cookie, or hit a SYN ring entry: make the connection, then process the
 * segment's payload and flags as its first. What was negotiated comes from the ring entry, or from
 * the timestamp, or is the bare minimum. -ENOBUFS: conn table full (the caller answers RST). */
struct conn_seed {
	uint32_t iss, irs;
	uint16_t peer_mss;
	bool timestamps, sack;
	bool has_wscale; /* window scaling in both directions */
	uint8_t snd_wscale, rcv_wscale;
	uint32_t ts_offset; /* our TSval = ms clock + offset (see cookie.c) */
	uint16_t listener;
	uint64_t syn_ns; /* 0: unknown (cookie alone) */
};
int conn_from_cookie(struct stack *st, const struct packet *pkt, const struct conn_seed *seed,
    uint64_t now_ns, struct frame_out *out);

/* A SYN whose flow is in TIME-WAIT: true when it may start anew (RFC 6191: newer timestamp, or a
 * higher sequence number); the entry is then gone. Else the caller lets conn_input() answer. */
bool conn_timewait_reuse(struct stack *st, const struct packet *syn, uint64_t now_ns);

/* ICMP errors about a segment of ours, already matched to a flow by addresses and ports; seq is
 * from the quoted header. Soft errors are counted only; "too big" lowers the path MTU when seq is
 * within what is outstanding (RFC 5927). */
enum icmp_event { ICMP_SOFT, ICMP_HARD, ICMP_TOO_BIG };
bool conn_icmp(struct stack *st, const struct ip_addr *local, uint16_t local_port,
    const struct ip_addr *remote, uint16_t remote_port, uint32_t seq, enum icmp_event ev,
    uint16_t mtu, uint64_t now_ns); /* true: seq is outstanding, so the error is believable */

/* For tarpit.c: what a record needs of a connection that has nothing unacknowledged, unsent or
 * unread (else -EAGAIN, untouched); the connection is gone afterwards, without a segment. */
struct conn_remains {
	struct ip_addr local, remote;
	uint16_t local_port, remote_port;
	uint32_t snd_nxt, rcv_nxt;
	uint32_t snd_wnd; /* bytes */
	bool timestamps;
	uint32_t ts_offset, ts_recent;
};
int conn_shrink(struct stack *st, struct tcp_conn *c, struct conn_remains *ret_remains);

/* A next hop was resolved: those whose segment met EMIT_NO_NEIGH send with the next output. */
void conn_neighbour_known(struct stack *st);
/* Timers that are due and everything queued to send; called by stack_output(). */
void conn_output(struct stack *st, uint64_t now_ns, struct frame_out *out);
uint64_t conn_next_deadline(const struct stack *st);

/* Init and fini of the TCP half's tables; allocated from config's bounds. */
struct tcp_half;
int tcp_half_new(const struct stack_config *config, uint64_t now_ns, struct tcp_half **ret_half);
struct tcp_half *tcp_half_free(struct tcp_half *half);
void tcp_half_usage(const struct tcp_half *half, struct stack_usage *ret_usage);

/* Init and fini of the IP half's tables. */
struct ip_half;
int ip_half_new(const struct stack_config *config, uint64_t now_ns, struct ip_half **ret_half);
struct ip_half *ip_half_free(struct ip_half *half);

/* ---- the stack ---- */

struct stack {
	struct stack_config config; /* defaults filled in */
	struct stack_host host;
	uint64_t *counters; /* STACK_N_COUNTERS */
	struct ip_half *ip;
	struct tcp_half *tcp;
	bool quiet, ceded; /* stack_share() */
};

static inline void count(struct stack *st, enum stack_counter counter)
{
	st->counters[counter]++;
}

/* Milliseconds of the timestamp clock (RFC 7323 5.4), shared by cookies and connections. */
static inline uint32_t ts_clock(uint64_t now_ns)
{
	return (uint32_t)(now_ns / 1000000u);
}

#endif
