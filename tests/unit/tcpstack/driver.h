/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drives the TCP half alone: segments go in as values, what it would emit comes out as values, and
 * time moves by hand. The driver stands in for the IP half at its two functions, ip_path_resolve()
 * and ip_emit_tcp(), so a test reads "at time T send this, expect that".
 *
 * Sequence numbers are relative: `seq` counts from the peer's SYN (1 is its first byte), `ack` from
 * ours. A connection is put in any state by one call of td_make().
 */
#ifndef POSTERN_TESTS_TCPSTACK_DRIVER_H
#define POSTERN_TESTS_TCPSTACK_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conn.h"

enum { TD_MAX_OUT = 4096, TD_MAX_PAYLOAD = 9000, TD_KEPT_PAYLOAD = 1600 };

struct td_seg {
	uint8_t flags;
	uint32_t seq, ack; /* absolute */
	uint16_t window;
	struct tcp_options opt;
	uint32_t len;
	uint8_t data[TD_KEPT_PAYLOAD];
};

struct td_options {
	bool v6;
	bool ts, sack;
	bool wscale;
	uint8_t peer_wscale;
	uint16_t peer_mss;          /* 0: the option was absent */
	uint16_t peer_window;       /* 0: 65,535 */
	uint16_t mtu;               /* 0: 1,500 */
	struct stack_config config; /* bounds; 0 takes a small default */
};

struct td {
	struct stack st;
	uint64_t counters[STACK_N_COUNTERS];
	struct td_options o;
	uint64_t now_ns;
	struct tcp_conn *c;
	struct ip_addr local, remote;
	uint16_t local_port, remote_port;
	uint32_t iss, irs;  /* ours, the peer's */
	uint32_t peer_ts;   /* the peer's clock at time 0 */
	bool omit_ts;       /* the next segments carry no timestamp */
	uint32_t ts_val;    /* if not 0: the next segment's TSval */
	struct td_seg *out; /* ring of what was emitted and not yet looked at */
	unsigned out_head, n_out;
	enum emit_status status;                             /* what emission returns */
	unsigned frames_left;                                /* then EMIT_NO_FRAME */
	void (*tap)(struct td *d, const struct td_seg *seg); /* instead of the ring, for pairs */
	void *tap_arg;
	unsigned events; /* collected by td_events() */
};

/* ---- life ---- */
struct td *td_new(const struct td_options *o);
struct td *td_free(struct td *d);
/* A stack of its own with a connection in this state, nothing left to look at. enum tcp_state, or
 * TD_TIME_WAIT. */
enum { TD_TIME_WAIT = 100 };
struct td *td_make(int state, const struct td_options *o);

/* ---- the peer ---- */
struct td_in {
	uint8_t flags;
	uint32_t seq, ack; /* relative */
	uint32_t len;
	const void *data; /* NULL: a pattern that follows from the sequence number */
	bool zero_window;
	uint16_t window;        /* 0: as the options say */
	struct tcp_options opt; /* SACK blocks relative to ours; MSS and so on of SYNs */
};
void td_input(struct td *d, const struct td_in *in);
#define td_send(d, ...) td_input((d), &(const struct td_in){ __VA_ARGS__ })
/* A bare ACK, and data with one. */
void td_ack(struct td *d, uint32_t seq, uint32_t ack);
void td_data(struct td *d, uint32_t seq, uint32_t len, uint32_t ack);
/* False: the stack did not know the flow. */
bool td_input_known(struct td *d, const struct td_in *in);
bool td_connect(struct td *d); /* begins the client role: d->c is in SYN-SENT, the SYN is looked at */

/* ---- time ---- */
void td_output(struct td *d);              /* the end of a turn */
void td_run_ms(struct td *d, uint32_t ms); /* turns at every deadline until then */

/* ---- what came out ---- */
struct td_seg td_expect_at(struct td *d, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len,
    const char *file, int line);
#define td_expect(d, flags, seq, ack, len)                                                         \
	td_expect_at((d), (flags), (seq), (ack), (len), __FILE__, __LINE__)
void td_expect_none_at(struct td *d, const char *file, int line);
#define td_expect_none(d) td_expect_none_at((d), __FILE__, __LINE__)
void td_forget_output(struct td *d);
unsigned td_events(struct td *d); /* all events since the last call */
void td_state_at(struct td *d, int state, const char *file, int line);
#define td_expect_state(d, state) td_state_at((d), (state), __FILE__, __LINE__)
uint8_t td_pattern(uint32_t at); /* byte at this stream offset */

/* A test for each family: NAME_v4 and NAME_v6, told apart by td_family(). */
extern const int td_families[2];
#define TD_BOTH(test)                                                                              \
	{ #test "_v4", test, NULL, NULL, (void *)(uintptr_t)&td_families[0] },                     \
	{                                                                                          \
#test "_v6", test, NULL, NULL, (void *)(uintptr_t)&td_families[1]                  \
	}
static inline int td_family(void **state) /* 1: IPv6 */
{
	return *(const int *)*state;
}

#endif
