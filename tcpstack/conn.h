/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * struct tcp_conn, laid out by cache line, and struct tcp_half, all of TCP of one worker.
 *
 * Sequence numbers are absolute; `unread` and `unsent` count bytes. Links are 32-bit indexes into
 * the connection array and chunks are indexes into the pool: half the size of pointers. Deadlines
 * are 32-bit ticks of the timing wheel (0: not set); one wheel entry a connection is armed at the
 * earliest of them and re-armed lazily, so pushing a time-out back costs a store.
 *
 * What was sent and not acknowledged is a ring of 16-byte records (sendq.h): RACK needs the time
 * of each transmission, SACK a place for its marks. Two records lie in the connection itself,
 * which is all an SMTP dialogue needs; more live in pages from the chunk pool.
 */
#ifndef POSTERN_TCPSTACK_CONN_H
#define POSTERN_TCPSTACK_CONN_H

#include "chunk.h"
#include "flow.h"
#include "pace.h"
#include "stack.h"
#include "timer.h"
#include "timewait.h"

#include <assert.h>

enum tcp_state {
	TCP_CLOSED, /* ended; the owner still holds the handle, or an RST is to leave */
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED, /* by simultaneous open only: the server role starts established */
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSING,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
};

/* One transmission that may have to be repeated. */
struct tx_rec {
	uint32_t seq;
	uint32_t xmit_us; /* of the latest transmission, low 32 bits */
	uint32_t chunk : 25, sacked : 1, lost : 1, retrans : 1, ever : 1, fin : 1, syn : 1;
	uint16_t len; /* payload bytes */
	uint16_t off; /* of seq in the chunk's data[] */
};

_Static_assert(sizeof(struct tx_rec) == 16, "128 records fill a chunk");

enum conn_flag {
	CF_TS = 1u << 0, /* timestamps negotiated */
	CF_SACK = 1u << 1,
	CF_CLIENT = 1u << 2, /* made by tcp_connect() */
	CF_ORPHAN = 1u << 3, /* tcp_close() was called */
	CF_KEEPALIVE = 1u << 4,
	CF_FIN_QUEUED = 1u << 5, /* FIN follows the unsent bytes */
	CF_FIN_SENT = 1u << 6,
	CF_FIN_RCVD = 1u << 7,
	CF_ACK_NOW = 1u << 8,      /* the next output carries an ACK */
	CF_RST = 1u << 9,          /* send RST, then the connection is gone */
	CF_WANT_WRITE = 1u << 10,  /* tcp_write() took less than asked */
	CF_TELL_SENT = 1u << 11,   /* something was written since TCP_EV_SENT was last told */
	CF_TX_DIR = 1u << 12,      /* tx_page is a directory of pages */
	CF_PERSIST = 1u << 13,     /* rto_at drives zero-window probes */
	CF_PROBED = 1u << 14,      /* a probe byte at snd_nxt is out, without a record */
	CF_TLP = 1u << 15,         /* a tail loss probe is out, up to tlp_end */
	CF_TLP_RETRANS = 1u << 16, /* ... and it was a retransmission */
	CF_REO_TIMER = 1u << 17,   /* probe_at is RACK's reordering timer, not the probe time-out */
	CF_REO_SEEN = 1u << 18,    /* RFC 8985 6.2 step 3 */
	CF_DSACK = 1u << 19,       /* dsack_* is to be reported */
	CF_UNDO = 1u << 20,        /* undo_* holds what a spurious recovery restores */
	CF_LOST_DATA = 1u << 21,   /* orphan: something arrived that nobody reads */
	CF_FORCE = 1u << 22,       /* persist time-out: send what fits, however little */
	CF_UNHASHED = 1u << 23,    /* not in the flow table any more */
	CF_V4 = 1u << 24,
	CF_WND_HELD = 1u << 25,     /* the pool is short: window kept back, to be looked at again */
	CF_FRTO_1 = 1u << 26,       /* RFC 5682: first ACK after the time-out awaited */
	CF_FRTO_2 = 1u << 27,       /* ... second */
	CF_STALLED = 1u << 28,      /* on `stalled`: the next hop is unresolved */
	CF_CWND_LIMITED = 1u << 29, /* cwnd was what stopped the last output */
	CF_NEXT_NOW = 1u << 30,     /* F-RTO: new data before retransmissions */
	CF_KEEP_PROBE = 1u << 31,   /* a keep-alive is to be sent */
};

/* Lists a connection may be on; LINK_OUT also serves `stalled`. LINK_MEMORY: it holds data out of
 * order, or waits for the pool (CF_WND_HELD, CF_WANT_WRITE). */
enum conn_list_id { LINK_OUT, LINK_READY, LINK_MEMORY, N_LINKS };
/* An orphan has no events: `orphans` uses the same links. */
#define LINK_ORPHAN LINK_READY

struct conn_link {
	uint32_t prev, next; /* index; 0: none. Not on a list: prev == its own index */
};

struct conn_list {
	uint32_t head, tail;
};

enum { CA_OPEN, CA_RECOVERY, CA_LOSS };

enum { TX_INLINE = 2, TX_PAGE = STACK_CHUNK_SIZE / sizeof(struct tx_rec) };

struct tcp_conn {
	/* line 0: found by, and compared with every segment */
	struct flow_key key;
	uint32_t rcv_nxt, snd_una, snd_nxt;
	uint32_t snd_wnd; /* bytes, scaled */
	uint32_t flags;   /* enum conn_flag */
	uint8_t state;    /* enum tcp_state */
	uint8_t events;   /* enum tcp_event, not told yet */
	uint16_t mss;     /* payload bytes of a full segment, timestamps taken off */

	/* line 1: receiving */
	uint32_t rcv_adv;   /* right edge ever offered; never moves left */
	uint32_t rcv_limit; /* bytes that may be unread now: tuned up to rcv_buf, or the owner's */
	uint32_t unread;
	uint32_t rcv_head, rcv_tail;   /* chunks in order */
	uint32_t ooo_head, ooo_recent; /* runs out of order (reasm.c), and the one touched last */
	uint32_t ts_recent, ts_recent_tick;
	uint32_t last_ack_sent;
	uint32_t dsack_start;
	uint32_t tune_read; /* bytes consumed since tune_tick */
	uint16_t dsack_len;
	uint16_t tune_tick; /* low bits */
	uint8_t ooo_runs : 6;
	uint8_t fin_ahead : 1;    /* the peer's FIN came ahead of a hole: fin_low */
	uint8_t window_fixed : 1; /* rcv_limit is the owner's word */
	uint8_t rcv_wscale, snd_wscale;
	uint8_t segs_unacked; /* received since the last ACK */

	/* line 2: sending */
	uint32_t snd_wl1, max_wnd; /* no WL2: an ACK below snd_una updates nothing here */
	uint32_t unsent;
	uint32_t snd_head, snd_tail, snd_cur; /* chunks; snd_cur holds the next unsent byte */
	uint16_t snd_cur_off;                 /* of the next unsent byte in snd_cur */
	uint16_t peer_mss;
	uint32_t tx_head, tx_count; /* ring of records: index of the first, and how many */
	uint32_t tx_page;
	uint32_t rtx_next; /* ring index: nothing before it waits to be sent again */
	uint32_t cwnd, ssthresh;
	uint32_t retransmits; /* segments sent again, ever */

	/* line 3: round trips and loss */
	uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
	uint32_t sacked_bytes, lost_bytes, retrans_bytes;
	uint32_t rack_xmit_us, rack_end, rack_rtt_us;
	uint32_t fack;     /* right edge of what was ever delivered */
	uint32_t sk_start; /* [sk_start, fack) is known to be marked throughout */
	uint32_t recover;  /* snd_nxt when recovery began */
	uint32_t undo_cwnd;

	/* line 4 */
	struct tx_rec tx_inline[TX_INLINE];
	uint32_t undo_ts; /* our TSval at the first retransmission */
	uint32_t tlp_end;
	uint32_t ts_offset;
	uint16_t undo_retrans; /* retransmissions not yet proven needless by DSACK */
	uint16_t n_sacked;
	uint8_t ca_state : 2;
	uint8_t paced : 1; /* pace.h */
	uint8_t held : 1;  /* nothing new before the interval is over */
	uint8_t backoff : 4;
	uint8_t dupacks, reo_mult;
	uint8_t keep_probes : 4, dup_acks_owed : 4;
	uint8_t reo_persist;
	uint8_t syn_ttl;
	uint16_t fin_low; /* low bits of that FIN's number: less than 64 Ki ahead of rcv_nxt */

	/* line 5: time, lists, owner */
	uint32_t rto_at, probe_at, delack_at, life_at, keep_at;
	uint32_t tick_rx, tick_tx; /* last segment received, last data sent */
	uint32_t tick_opened;
	uint16_t listener;
	uint16_t tick_challenge; /* of the last challenge ACK, in 128 ticks; 0: none */
	uint32_t self; /* own index: conns[0].user is the half (tcp_peek() is given no stack) */
	struct conn_link link[N_LINKS];

	struct index_timer timer;
	struct ip_path path;
	void *user;
};

_Static_assert(
    sizeof(struct tcp_conn) <= 384, "six cache lines; with a session at most 1,024 bytes");

struct tcp_half {
	uint64_t now_ns; /* of the call under way */
	uint32_t now_us, tick;
	struct tcp_conn *conns;  /* conns[0] is never used */
	struct conn_pace *paces; /* by the same index */
	uint32_t max_conns, free_head, fresh, n_conns;
	uint32_t max_servers; /* places for the server role while clients' share is kept */
	uint32_t n_clients, max_orphans, n_orphans;
	struct conn_list out, stalled, ready, memory;
	struct conn_list orphans;  /* oldest first */
	uint64_t stalled_until_ns; /* when `stalled` is tried again */
	uint64_t port_counter;     /* RFC 6056 */
	bool out_full;             /* the last output stopped for want of frames */
	bool hungry;               /* something on `memory` waits for the pool */
	struct chunk_pool chunks;
	struct flow_table flows;
	struct timewait tw;
	struct index_wheel wheel;
	struct wheel owner_wheel;
};

/* A flow table index with this bit is a TIME-WAIT entry. */
#define FLOW_TIMEWAIT 0x80000000u

enum {
	DELACK_MS = 40,
	FIN_WAIT2_MS = 60000,
	CHALLENGE_MS = 500,
	KEEPALIVE_PROBES = 8,
	KEEPALIVE_STEP_MS = 15000,
	STALL_MS = 200, /* a next hop that could not even be asked for */
	FEED_MS = 1,    /* between looks at who waits for memory */
	FEED_LOOKS = 64,
	FEED_LEAST = 3,       /* free chunks that are worth waking a writer: a long reply fits */
	MSS_DEFAULT_V4 = 536, /* RFC 9293 3.7.1 */
	MSS_DEFAULT_V6 = 1220,
	MTU_FLOOR_V4 = 552, /* no believable path is narrower (RFC 1191 section 7) */
	MTU_FLOOR_V6 = 1280,
	TIMERS_PER_TURN = 256,
	SEGMENTS_PER_TURN = 64, /* of one connection */
	CLIENT_SHARE = 8,       /* an eighth of max_conns is kept for tcp_connect() */
	ORPHAN_SHARE = 4,       /* at most a quarter of max_conns are orphans */
	PORT_TRIES = 64,        /* local ports looked at for one connect */
};

/* ---- time ---- */

static inline void half_clock(struct tcp_half *half, uint64_t now_ns)
{
	half->now_ns = now_ns;
	half->now_us = (uint32_t)(now_ns / 1000);
	half->tick = (uint32_t)(now_ns >> WHEEL_SHIFT);
}

/* A deadline so many microseconds from now, rounded up; never 0. */
static inline uint32_t tick_after_us(const struct tcp_half *half, uint64_t us)
{
	uint32_t t =
	    (uint32_t)((half->now_ns + us * 1000 + ((1u << WHEEL_SHIFT) - 1)) >> WHEEL_SHIFT);

	return t ? t : 1;
}

static inline uint32_t tick_after_ms(const struct tcp_half *half, uint64_t ms)
{
	return tick_after_us(half, ms * 1000);
}

static inline bool tick_due(const struct tcp_half *half, uint32_t t)
{
	return t != 0 && (int32_t)(half->tick - t) >= 0;
}

/* ---- lists ---- */

static inline uint32_t conn_index(const struct tcp_half *half, const struct tcp_conn *c)
{
	(void)half;
	return c->self;
}

/* For functions that are given no stack. */
static inline const struct tcp_half *conn_half(const struct tcp_conn *c)
{
	return (c - c->self)->user;
}

static inline bool conn_listed(
    const struct tcp_half *half, const struct tcp_conn *c, enum conn_list_id id)
{
	return c->link[id].prev != conn_index(half, c);
}

void conn_list_append(struct tcp_half *half, struct conn_list *list, struct tcp_conn *c,
    enum conn_list_id id); /* already on it: nothing happens */
void conn_list_remove(struct tcp_half *half, struct conn_list *list, struct tcp_conn *c,
    enum conn_list_id id); /* not on it: nothing happens */

/* Off the memory list, unless something keeps it there. */
void conn_leave_memory_list(struct tcp_half *half, struct tcp_conn *c);

/* ---- life (conn.c) ---- */

/* A blank connection with this key in the flow table; NULL: table full. */
struct tcp_conn *conn_new(struct stack *st, const struct flow_key *key, bool client);
/* Would conn_new() find a place? Counts where not. */
bool conn_room(struct stack *st, bool client);
/* tcp_close() was called and segments are still to be exchanged. */
void conn_orphan(struct stack *st, struct tcp_conn *c);
/* No segment, no event: everything is given back. */
void conn_free(struct stack *st, struct tcp_conn *c);
/* Ended (reset, time-out, closed): out of the flow table, timers off. Freed if nobody holds it,
 * else the events are told. */
void conn_end(struct stack *st, struct tcp_conn *c, unsigned events);
void conn_enter_timewait(struct stack *st, struct tcp_conn *c);
/* Puts an RST in the output; the connection is freed when it has left. */
void conn_abort(struct stack *st, struct tcp_conn *c);
struct tcp_conn *conn_find(
    struct tcp_half *half, const struct flow_key *key, struct tw_entry **ret_tw);
void conn_tell(struct stack *st, struct tcp_conn *c, unsigned events);
void conn_want_output(struct stack *st, struct tcp_conn *c);
/* Arms the wheel at the earliest deadline. */
void conn_rearm(struct tcp_half *half, struct tcp_conn *c);
/* Segment size after options, default and path. */
void conn_set_mss(struct tcp_conn *c);
/* The pool has room again, or a window may open. */
void conn_feed_starved(struct stack *st);
/* Frees out-of-order data, oldest holder first, until an in-order chunk can be had. */
bool conn_relieve_pressure(struct stack *st);
uint8_t conn_wscale_for(uint32_t rcv_buf);

/* ---- tcp_input.c ---- */

void tcp_segment_arrives(
    struct stack *st, struct tcp_conn *c, const struct packet *pkt, struct frame_out *out);

/* ---- tcp_output.c ---- */

/* Sends what may be sent, at most SEGMENTS_PER_TURN (ret_more: that was the limit). May free the
 * connection. */
enum emit_status tcp_transmit(
    struct stack *st, struct tcp_conn *c, struct frame_out *out, bool *ret_more);
/* An RST with this sequence number, at once and without state. */
void tcp_emit_reset(struct stack *st, struct tcp_conn *c, uint32_t seq, struct frame_out *out);
/* True when the right edge could move far enough to be worth a segment. */
bool tcp_window_worth_telling(const struct tcp_half *half, const struct tcp_conn *c);

/* ---- tcp_timer.c ---- */

/* Runs whatever of the connection's deadlines is due. May free it. */
void tcp_timers(struct stack *st, struct tcp_conn *c);
/* The retransmission (or persist) time-out starts anew, or is taken off. */
void tcp_restart_rto(struct stack *st, struct tcp_conn *c);
/* The probe time-out of RFC 8985 7.2, where one is due. */
void tcp_set_probe(struct stack *st, struct tcp_conn *c);

/* ---- tcp_loss.c ---- */

struct ack_news;
void tcp_enter_recovery(struct tcp_half *half, struct tcp_conn *c);
void tcp_enter_loss(struct stack *st, struct tcp_conn *c);
/* What an ACK means for recovery and the congestion window. */
void tcp_loss_on_ack(struct stack *st, struct tcp_conn *c, const struct packet *pkt,
    struct ack_news *news, bool acked_retrans, bool duplicate);

static inline uint32_t conn_inflight(const struct tcp_conn *c)
{
	uint32_t flight = c->snd_nxt - c->snd_una;
	uint32_t gone = c->lost_bytes;

	/* Without SACK each duplicate ACK stands for a segment that left the network. */
	gone += c->flags & CF_SACK ? c->sacked_bytes : (uint32_t)c->dupacks * c->mss;
	return (gone < flight ? flight - gone : 0) + c->retrans_bytes;
}

/* Something is to be sent now, or was and is not acknowledged: what the pace holds back is neither. */
static inline bool conn_outstanding(const struct tcp_conn *c)
{
	return c->tx_count > 0 || (c->unsent > 0 && !c->held);
}

/* Bytes written and not acknowledged, unsent included. */
static inline uint32_t conn_queued(const struct tcp_conn *c)
{
	uint32_t flight = c->snd_nxt - c->snd_una;

	flight -= c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED ? flight != 0 : 0;
	flight -= c->flags & CF_FIN_SENT && flight != 0;
	return flight + c->unsent;
}

/* So much is queued that only ACKs can make room worth a wake-up (TCP_EV_WRITE). */
static inline bool conn_send_full(const struct stack *st, const struct tcp_conn *c)
{
	return conn_queued(c) > st->config.snd_buf - st->config.snd_buf / 4;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

#endif
