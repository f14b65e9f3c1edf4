/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP/IP stack of one worker: Ethernet, ARP/ND, IPv4/IPv6, ICMP, TCP (RFC 9293).
 *
 * Driven by frames and time only. It reads no clock, opens no socket, starts no thread and knows
 * no NIC. One instance belongs to one worker and is touched by that worker's thread alone; no
 * function here is safe to call from another thread, and none blocks.
 *
 * A turn:
 *
 *	stack_input(st, frames, n, now_ns, out);        judge SYNs, answer what needs no state,
 *	                                                feed connections
 *	while ((c = stack_next_ready(st))) ...          the caller reads, writes, closes
 *	stack_output(st, now_ns, out);                  timers that are due, then everything queued
 *	deadline = stack_next_deadline(st);             when the next turn is wanted
 *
 * Nothing here calls the owner back in the middle of TCP processing, save the bulk SYN judgement:
 * connections with something to tell are queued and handed out by stack_next_ready(). So an owner
 * can close any connection at any time without re-entrancy.
 *
 * Ownership of frames: all frames given to stack_input() are the stack's from then on, and each
 * leaves in `out` exactly once, to send or to free. Payload is copied into the stack's own chunks,
 * so a received buffer never outlives its turn: the port's pool cannot be drained by a peer that
 * does not read. (DESIGN allows keeping received buffers; a copy costs about 40 ns per KiB and
 * removes the accounting, so no buffer is kept.)
 *
 * Memory: everything is allocated in stack_new() from the limits in struct stack_config; later
 * calls allocate nothing. At each bound stands a named behaviour and a counter (counters.def).
 *
 * Time: now_ns is nanoseconds since the Unix epoch, never decreasing. The shell disciplines it.
 *
 * Errors: functions that can fail return 0 or -errno and leave ret_ outputs untouched on failure.
 */
#ifndef POSTERN_TCPSTACK_H
#define POSTERN_TCPSTACK_H

#include "frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- addresses ---- */

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2); network order. */
struct ip_addr {
	_Alignas(8) uint8_t b[16];
};

static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

static inline bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* `v4` points to four bytes in network order. */
static inline struct ip_addr ip_addr_from_v4(const void *v4)
{
	/* Two whole words, so that a reader of the next instruction need not wait for pieces. */
	const uint8_t tail[4] = { 0, 0, 0xff, 0xff };
	uint32_t half[2];
	uint64_t word[2] = { 0, 0 };
	struct ip_addr a;
	memcpy(&half[0], tail, 4);
	memcpy(&half[1], v4, 4);
	memcpy(&word[1], half, 8);
	memcpy(a.b, word, 16);
	return a;
}

static inline struct ip_addr ip_addr_from_v6(const void *v6)
{
	struct ip_addr a;
	memcpy(a.b, v6, 16);
	return a;
}

/* ---- configuration, fixed for the life of a stack unless a setter exists ---- */

enum {
	STACK_MAX_PORTS = 8,
	STACK_MAX_NETIFS = 16, /* a netif is a port, or a VLAN on one */
	STACK_MAX_ADDRS = 64,  /* own addresses, all netifs together */
	STACK_MAX_ROUTES = 64,
	STACK_MAX_LISTENERS = 16,
	STACK_REFUSE_CLASSES = 3, /* the cookie marks them */
	STACK_REFUSE_TEXT_MAX = 512,
};

/* What a port can do, as proven at start by the shell. */
struct stack_port {
	uint8_t mac[6];
	uint16_t mtu;     /* bytes of IP packet */
	uint16_t tx_caps; /* FRAME_TX_* that may be set */
	bool vlan_insert; /* the port inserts FRAME_VLAN; else the stack writes the tag itself */
};

struct stack_netif {
	uint8_t port;
	uint16_t vlan; /* 0: untagged */
};

struct stack_ip {
	struct ip_addr addr;
	uint8_t prefix_len; /* 0-32 for IPv4, 0-128 for IPv6; the connected route */
	uint8_t netif;
	bool reserved_for_connect; /* no listener answers on it: a worker's own address toward backends */
};

struct stack_route {
	struct ip_addr dst; /* masked */
	uint8_t prefix_len; /* 0-32 or 0-128; 0 is the default route of that family */
	struct ip_addr via; /* gateway, on a connected prefix */
	uint8_t netif;
};

struct stack_listener {
	bool any;            /* every own address that is not reserved_for_connect */
	struct ip_addr addr; /* else this one */
	uint16_t port;
	uint16_t id; /* given back by tcp_listener() */
};

struct stack_secrets {
	uint8_t cookie_key[16]; /* SYN cookies; may be shared among boxes */
	uint8_t isn_key[16];    /* RFC 6528, client role and TIME-WAIT reuse */
	uint8_t hash_key[16];   /* flow table, SYN ring */
};

struct stack_config {
	uint16_t n_ports, n_netifs, n_addrs, n_routes, n_listeners;
	struct stack_port ports[STACK_MAX_PORTS];
	struct stack_netif netifs[STACK_MAX_NETIFS];
	struct stack_ip addrs[STACK_MAX_ADDRS];
	struct stack_route routes[STACK_MAX_ROUTES];
	struct stack_listener listeners[STACK_MAX_LISTENERS];
	struct stack_secrets secrets;

	/* bounds; 0 takes the default in brackets */
	uint32_t max_conns; /* [65,536] beyond: refused by RST, counted conn_table_full; an eighth is
				* tcp_connect()'s alone */
	uint32_t max_timewait; /* [16,384] beyond: the oldest is let go */
	uint32_t max_chunks;   /* [65,536] of STACK_CHUNK_SIZE bytes; beyond: windows close */
	uint32_t syn_ring;   /* [65,536] entries, a power of two; beyond: the cookie alone serves */
	uint32_t max_tarpit; /* [65,536] beyond: the oldest is let go */
	uint32_t max_neigh;  /* [1,024] beyond: the oldest unused is let go */
	uint32_t max_reasm;  /* [64] datagrams of fragments under way; beyond: dropped, counted */
	uint32_t rcv_buf;    /* [65,535] bytes a connection may have unread */
	uint32_t snd_buf;    /* [65,535] bytes a connection may have unacknowledged or unsent */

	/* ports taken by tcp_connect(): first, first + step, ... <= last, so that return traffic
	 * can be steered to this worker by (port - first) modulo step */
	uint16_t ephemeral_first, ephemeral_last, ephemeral_step;

	/* caps on answers that a stranger can provoke, per /24 (/64) of the address answered, per
	 * second; 0 takes the default in brackets */
	uint32_t cap_rst;    /* [100] */
	uint32_t cap_icmp;   /* [100] */
	uint32_t cap_synack; /* [100,000] */
	uint32_t msl_ms;     /* [30,000] TIME-WAIT lasts two of them */
	/* ARP and ND where several workers share an address and a port: each must be handed every
	 * such frame and learns and asks for itself, but only the one worker that is not a follower
	 * answers, probes and announces. */
	bool neigh_follower;
	uint32_t user_timeout_ms; /* [300,000] unacknowledged data or a closed window for longer ends it */
	uint32_t keepalive_ms; /* [120,000] idle time before a keep-alive, where asked for */
};

enum { STACK_CHUNK_SIZE = 2048 };

/* ---- what the stack asks of its owner ---- */

enum syn_verdict {
	SYN_GO_ON,  /* cookie, and a place in the SYN ring */
	SYN_DROP,   /* nothing is said */
	SYN_RESET,  /* RST, within the cap */
	SYN_REFUSE, /* cookie of a refuse class; its ACK gets the class's text and FIN, no state */
	SYN_TRAP,   /* cookie with window 0; silence afterwards, no state */
};

struct syn_judgement {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port; /* host order */
	uint16_t listener;           /* its id */
	uint8_t verdict;             /* to fill: enum syn_verdict */
	uint8_t refuse_class;        /* to fill with SYN_REFUSE: below STACK_REFUSE_CLASSES */
};

struct stack_host {
	void *arg;
	/* A fresh buffer to send: data, room, headroom and handle set; false when the pool is empty
	 * (counted; the segment is sent by a later turn). */
	bool (*frame_alloc)(void *arg, uint8_t port, struct frame *ret_frame);
	/* Judges the SYNs of a burst in bulk. Must not call the stack. */
	void (*judge_syns)(void *arg, struct syn_judgement *syns, unsigned n);
	/* What a client hears that is held by tcp_hold_refused() since `since_ns`: a line that goes on
	 * ("550-...") and ends in CR LF, or the last one. Returns its bytes, at most `cap`. NULL: nobody
	 * is held so. Must not call the stack. */
	size_t (*refused_text)(
	    void *arg, uint32_t note, uint64_t since_ns, bool last, char *text, size_t cap);
};

/* Where frames go at the end of a turn. The arrays are the shell's; it sends tx[0..n_tx) in
 * order, frees what a port refuses and all of drop[0..n_drop), and zeroes the counts.
 * drop must hold every frame given in. When tx is full, state-less answers are dropped (counted
 * tx_out_full) and connections wait for the next turn. */
struct frame_out {
	struct frame *tx;
	struct frame *drop;
	unsigned n_tx, cap_tx;
	unsigned n_drop, cap_drop;
};

/* ---- life of a stack ---- */

struct stack;

/* counters: STACK_N_COUNTERS words, written by this worker alone, read by anyone (relaxed). */
int stack_new(const struct stack_config *config, const struct stack_host *host, uint64_t *counters,
    uint64_t now_ns, struct stack **ret_stack);
struct stack *stack_free(struct stack *st); /* NULL is allowed; returns NULL */

void stack_input(
    struct stack *st, struct frame *frames, unsigned n, uint64_t now_ns, struct frame_out *out);
void stack_output(struct stack *st, uint64_t now_ns, struct frame_out *out);
uint64_t stack_next_deadline(const struct stack *st); /* ns; UINT64_MAX: none */

/* The reply of a refuse class: one text that ends in CR LF, sent with FIN in one segment after
 * the handshake's ACK (RFC 7504). Copied; its checksum is computed once. A text longer than
 * STACK_REFUSE_TEXT_MAX: -EMSGSIZE. The owner renews it when its token changes (once a minute). */
int stack_set_refusal(struct stack *st, unsigned refuse_class, const char *text, size_t len);

/* Cookie and token secrets rotate while running: the previous key is still tried for two epochs. */
/*
 * Two stacks on one address: one hands over to the other, and for a while each sees all frames.
 * STACK_QUIET: segments that belong to no connection here may be the other's, so they are not answered.
 * STACK_CEDED: quiet, and ARP, ND and echo are the other's duty; SYNs are its owner's to drop.
 */
enum stack_sharing { STACK_ALONE, STACK_QUIET, STACK_CEDED };
void stack_share(struct stack *st, enum stack_sharing how);
void stack_set_cookie_key(struct stack *st, const uint8_t key[16]);

/* True while an own address is in use elsewhere on the link (RFC 5227, RFC 4862 5.4): the shell
 * reports it at start. ret_other_mac says who. */
bool stack_address_conflict(const struct stack *st, unsigned addr_index, uint8_t ret_other_mac[6]);
/* True once the gateway of route i has answered ARP or ND. */
bool stack_route_reachable(const struct stack *st, unsigned route_index);

struct stack_usage {
	uint32_t conns, timewait, tarpit, chunks_used, chunks_max, neigh;
};
void stack_usage(const struct stack *st, struct stack_usage *ret_usage);

/* ---- connections ---- */

struct tcp_conn;

enum tcp_event {
	TCP_EV_OPEN = 1u << 0,   /* the handshake is complete (server or client role) */
	TCP_EV_READ = 1u << 1,   /* new bytes to read */
	TCP_EV_EOF = 1u << 2,    /* the peer sent FIN and all before it was queued for reading */
	TCP_EV_WRITE = 1u << 3,  /* room to write again, after tcp_write() took less than asked */
	TCP_EV_SENT = 1u << 4,   /* everything written has been acknowledged */
	TCP_EV_RESET = 1u << 5,  /* the connection has ended: the peer reset it */
	TCP_EV_TIMEOUT = 1u << 6 /* the connection has ended: user time-out, or connect unanswered */
};

/* The next connection with something to tell and what it is; NULL when there is none. After
 * RESET or TIMEOUT the handle stays valid, and unread bytes readable, until tcp_close(). */
struct tcp_conn *stack_next_ready(struct stack *st, unsigned *ret_events);

/* Opaque owner pointer; NULL on a fresh connection. */
void *tcp_user(const struct tcp_conn *c);
void tcp_set_user(struct tcp_conn *c, void *user);

/* Unread bytes in order: the first contiguous run. Returns its length, 0 when there is none. */
size_t tcp_peek(struct tcp_conn *c, const uint8_t **ret_data);
size_t tcp_unread(const struct tcp_conn *c);
/* Bytes done with; the window opens accordingly. n <= tcp_unread(). */
void tcp_consume(struct stack *st, struct tcp_conn *c, size_t n);

/* Queues a copy; returns how many bytes were taken (send buffer or chunk budget may be short).
 * Sent by the next stack_output(), small writes of a turn together. */
size_t tcp_write(struct stack *st, struct tcp_conn *c, const void *data, size_t len);
size_t tcp_write_space(const struct stack *st, const struct tcp_conn *c);
/* The owner has found less space than it needs: TCP_EV_WRITE as after a tcp_write() that took less. */
void tcp_want_write(struct stack *st, struct tcp_conn *c);
size_t tcp_unsent_or_unacked(const struct tcp_conn *c);

/* FIN after what is queued; reading goes on. */
void tcp_shutdown(struct stack *st, struct tcp_conn *c);
/* The owner lets go: what is queued is still delivered, then FIN and TIME-WAIT without an owner;
 * what arrives meanwhile is answered by RST (RFC 9293 3.6.1) if it was not read. The handle is
 * gone; no event follows. Beyond a quarter of max_conns such orphans the oldest is reset. */
void tcp_close(struct stack *st, struct tcp_conn *c);
/* RST now, handle gone. */
void tcp_abort(struct stack *st, struct tcp_conn *c);

/* The most bytes that may be unread (shaping by class; <= rcv_buf; 0 closes the window once what
 * was offered is used up, never shrinking it: RFC 9293 3.8.6). */
void tcp_set_window(struct stack *st, struct tcp_conn *c, uint32_t bytes);
/* New bytes leave `bytes` at a time (at most 65,535), one lot per interval (at most 30 s); a lot not
 * used up is not saved. 0: off, and what was queued leaves with the next output. What is sent again,
 * ACKs and FIN are not held; tcp_close() takes the pace off. */
void tcp_set_pace(struct stack *st, struct tcp_conn *c, uint32_t bytes, uint32_t interval_ms);
/* Keep-alive probes when idle (relayed sessions). */
void tcp_set_keepalive(struct stack *st, struct tcp_conn *c, bool on);

struct tcp_connect {
	struct ip_addr src; /* an own address, or with `transparent` any */
	struct ip_addr dst;
	uint16_t dst_port;
	bool transparent; /* src is the client's address (the network routes it back to us) */
	void *user;
	uint32_t timeout_ms; /* 0: 30,000 */
};
/* -EADDRNOTAVAIL: no free port among the 64 looked at (the next connect looks at others); -ENETUNREACH: no route; -ENOBUFS: table full. */
int tcp_connect(
    struct stack *st, const struct tcp_connect *req, uint64_t now_ns, struct tcp_conn **ret_conn);

struct tcp_info {
	struct ip_addr local, remote;
	uint16_t local_port, remote_port;
	uint16_t listener; /* server role: the listener's id */
	uint16_t mss;      /* bytes, what we send at most */
	bool client_role, timestamps, sack;
	uint8_t snd_wscale, rcv_wscale;
	uint8_t syn_ttl; /* of the handshake's segment */
	uint32_t srtt_us;
	uint64_t opened_ns;
	uint32_t retransmits;
};
void tcp_get_info(const struct tcp_conn *c, struct tcp_info *ret_info);

/* ---- tarpit: one record and a timer, fed a byte at a time ---- */

/*
 * Shrinks a connection to a tarpit record of at most 64 bytes, index included. `text` is dripped
 * one byte per pace_ms, then again from its start; it must stay valid and unchanged until
 * stack_tarpit_text_gone() says so, or be static. What the peer sends is acknowledged and thrown
 * away. A lost byte is sent again at the next drip. -EAGAIN: something is unacknowledged or
 * unread; try again on TCP_EV_SENT. On success the handle is gone.
 */
int tcp_shrink_to_tarpit(struct stack *st, struct tcp_conn *c, unsigned text_id, uint32_t pace_ms);
/*
 * The same for a client whose command is being refused: it is fed the line that goes on, again and
 * again, until the time of stack_set_refused_hold() is over; then it gets the rest of that line and the
 * last one with FIN in one segment, which is sent again until it is acknowledged. So a reply of many
 * lines, slow but whole (RFC 5321 4.2.1). text_id: where it is counted when it goes by itself; note: the
 * owner's, of TARPIT_NOTE_BITS.
 */
enum { TARPIT_NOTE_BITS = 29, REFUSED_HOLD_MAX_S = 43200 };
int tcp_hold_refused(
    struct stack *st, struct tcp_conn *c, unsigned text_id, uint32_t pace_ms, uint32_t note);
/* For those held from now on and those held already; at most REFUSED_HOLD_MAX_S. */
void stack_set_refused_hold(struct stack *st, uint32_t seconds);
/* Where to count held clients that went by themselves: [text][pace][age], written by this worker
 * alone. Row of a pace: below 250 ms, 500 ms, 1 s ... 16 s, more. Column of an age: below 1 s, 2 s,
 * 4 s ... 16,384 s, more. NULL: nowhere. */
enum { TARPIT_PACES = 8, TARPIT_AGES = 16 };
void stack_set_tarpit_ages(
    struct stack *st, uint64_t (*ages)[TARPIT_PACES][TARPIT_AGES], unsigned n_texts);
unsigned tarpit_pace_row(uint32_t pace_ms);
unsigned tarpit_age_column(uint64_t seconds);
/* Texts are registered up front; id below 16. Each line should be a continuation such as "220-x\r\n". */
int stack_set_tarpit_text(struct stack *st, unsigned text_id, const char *text, size_t len);

/* ---- timers for the owner: constant-time, millisecond resolution, up to 24 h ---- */

struct stack_timer {
	struct stack_timer *next, **link; /* NULL link: not armed */
	uint64_t deadline_ns;
	void (*fire)(struct stack_timer *t, uint64_t now_ns, void *arg);
};
/* Fired from stack_timers_run() in order of deadline to within a millisecond, arg as given there. */
void stack_timer_set(struct stack *st, struct stack_timer *t, uint64_t deadline_ns);
void stack_timer_cancel(struct stack *st, struct stack_timer *t); /* not armed: allowed */
/* Runs the owner's timers that are due, at most `limit` of them; returns how many ran. Call it
 * between stack_input() and stack_output(). */
unsigned stack_timers_run(struct stack *st, uint64_t now_ns, unsigned limit, void *arg);

/* ---- counters ---- */

enum stack_counter {
#define COUNTER(name, level, text) STACK_##name,
#include "counters.def"
#undef COUNTER
	STACK_N_COUNTERS
};

struct stack_counter_info {
	const char *name;  /* snake_case, as metrics print it */
	const char *level; /* "info", "drop", "error" */
	const char *text;  /* what it counts, with the RFC section where one obliges */
};
extern const struct stack_counter_info stack_counter_infos[STACK_N_COUNTERS];

#endif
