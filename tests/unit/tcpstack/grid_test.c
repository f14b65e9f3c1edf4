/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every event in every state of the TCP half: what is answered and which state follows (RFC 9293
 * 3.10.7 with RFC 5961). One test a cell and family, named STATE_EVENT_v4 and _v6. LISTEN and
 * the cookie's SYN-RECEIVED are the IP half's (listen_test.c).
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>

enum event {
	SYN,
	SYN_ACK,
	SYN_FIN,
	BARE_ACK,
	BAD_ACK,
	DATA,
	DATA_LEFT,
	DATA_RIGHT,
	OVERLAP,
	FIN,
	FIN_DATA,
	RST_IN_SEQUENCE,
	RST_IN_WINDOW,
	RST_OUTSIDE,
	URG,
	N_EVENTS
};

static const char *const event_names[N_EVENTS] = { "syn", "syn_ack", "syn_fin", "bare_ack",
	"bad_ack", "data_in_window", "data_left", "data_right", "overlap", "fin", "fin_with_data",
	"rst_in_sequence", "rst_in_window", "rst_outside", "urg" };

/* What is sent at once, and what the ACK number has advanced by at the end of 40 ms. */
enum reply { NOTHING, ACK, DELAYED, RESET, SYNACK, UNKNOWN };

struct cell {
	enum reply reply;
	uint32_t advance; /* of our ACK number over what it was */
	int state;        /* afterwards */
};

struct row {
	const char *name;
	int state;
	uint32_t peer_next; /* relative sequence number the peer would send next */
	uint32_t una, nxt;  /* ours */
	struct cell cells[N_EVENTS];
};

#define SAME(s)                                                                                    \
	{                                                                                          \
		NOTHING, 0, s                                                                      \
	}
#define ACKED(s)                                                                                   \
	{                                                                                          \
		ACK, 0, s                                                                          \
	}

static const struct row rows[] = {
	{ "syn_sent", TCP_SYN_SENT, 0, 0, 1,
	    { [SYN] = { SYNACK, 1, TCP_SYN_RECEIVED },
		[SYN_ACK] = { ACK, 1, TCP_ESTABLISHED },
		[SYN_FIN] = { SYNACK, 1, TCP_SYN_RECEIVED },
		[BARE_ACK] = SAME(TCP_SYN_SENT),
		[BAD_ACK] = { RESET, 0, TCP_SYN_SENT },
		[DATA] = SAME(TCP_SYN_SENT),
		[DATA_LEFT] = SAME(TCP_SYN_SENT),
		[DATA_RIGHT] = SAME(TCP_SYN_SENT),
		[OVERLAP] = SAME(TCP_SYN_SENT),
		[FIN] = SAME(TCP_SYN_SENT),
		[FIN_DATA] = SAME(TCP_SYN_SENT),
		[RST_IN_SEQUENCE] = SAME(TCP_CLOSED),
		[RST_IN_WINDOW] = SAME(TCP_SYN_SENT), /* its ACK is not of our SYN */
		[RST_OUTSIDE] = SAME(TCP_SYN_SENT),   /* without ACK */
		[URG] = SAME(TCP_SYN_SENT) } },
	{ "syn_received", TCP_SYN_RECEIVED, 1, 0, 1,
	    { [SYN] = ACKED(TCP_SYN_RECEIVED),
		[SYN_ACK] = SAME(TCP_ESTABLISHED),
		[SYN_FIN] = ACKED(TCP_SYN_RECEIVED),
		[BARE_ACK] = SAME(TCP_ESTABLISHED),
		[BAD_ACK] = { RESET, 0, TCP_SYN_RECEIVED },
		[DATA] = { DELAYED, 100, TCP_ESTABLISHED },
		[DATA_LEFT] = ACKED(TCP_SYN_RECEIVED),
		[DATA_RIGHT] = ACKED(TCP_SYN_RECEIVED),
		[OVERLAP] = { ACK, 50, TCP_ESTABLISHED },
		[FIN] = { ACK, 1, TCP_CLOSE_WAIT },
		[FIN_DATA] = { ACK, 101, TCP_CLOSE_WAIT },
		[RST_IN_SEQUENCE] = SAME(TCP_CLOSED),
		[RST_IN_WINDOW] = ACKED(TCP_SYN_RECEIVED),
		[RST_OUTSIDE] = SAME(TCP_SYN_RECEIVED),
		[URG] = { DELAYED, 100, TCP_ESTABLISHED } } },
#define OPEN_ROW(name, s, una, nxt, after_fin)                                                      \
	{                                                                                           \
		name, s, 1, una, nxt,                                                               \
		{                                                                                   \
			[SYN] = ACKED(s), [SYN_ACK] = ACKED(s), [SYN_FIN] = ACKED(s),               \
			[BARE_ACK] = SAME(s), [BAD_ACK] = ACKED(s), [DATA] = { DELAYED, 100, s },   \
			[DATA_LEFT] = ACKED(s), [DATA_RIGHT] = ACKED(s),                            \
			[OVERLAP] = { ACK, 50, s }, [FIN] = { ACK, 1, after_fin },                  \
			[FIN_DATA] = { ACK, 101, after_fin }, [RST_IN_SEQUENCE] = SAME(TCP_CLOSED), \
			[RST_IN_WINDOW] = ACKED(s), [RST_OUTSIDE] = SAME(s), [URG] = {              \
				DELAYED,                                                            \
				100,                                                                \
				s                                                                   \
			}                                                                           \
		}                                                                                   \
	}
	OPEN_ROW("established", TCP_ESTABLISHED, 1, 1, TCP_CLOSE_WAIT),
	OPEN_ROW("fin_wait_1", TCP_FIN_WAIT_1, 1, 2, TCP_CLOSING),
	OPEN_ROW("fin_wait_2", TCP_FIN_WAIT_2, 2, 2, TD_TIME_WAIT),
/* After the peer's FIN nothing it sends is taken; what claims sequence numbers is answered. */
#define FINISHED_ROW(name, s, una, nxt)                                                                \
	{                                                                                              \
		name, s, 2, una, nxt,                                                                  \
		{                                                                                      \
			[SYN] = ACKED(s), [SYN_ACK] = ACKED(s), [SYN_FIN] = ACKED(s),                  \
			[BARE_ACK] = SAME(s), [BAD_ACK] = ACKED(s), [DATA] = ACKED(s),                 \
			[DATA_LEFT] = ACKED(s), [DATA_RIGHT] = ACKED(s), [OVERLAP] = ACKED(s),         \
			[FIN] = ACKED(s), [FIN_DATA] = ACKED(s), [RST_IN_SEQUENCE] = SAME(TCP_CLOSED), \
			[RST_IN_WINDOW] = ACKED(s), [RST_OUTSIDE] = SAME(s), [URG] = ACKED(s)          \
		}                                                                                      \
	}
	FINISHED_ROW("closing", TCP_CLOSING, 1, 2),
	FINISHED_ROW("close_wait", TCP_CLOSE_WAIT, 1, 1),
	FINISHED_ROW("last_ack", TCP_LAST_ACK, 1, 2),
	{ "time_wait", TD_TIME_WAIT, 2, 2, 2,
	    { [SYN] = ACKED(TD_TIME_WAIT),
		[SYN_ACK] = ACKED(TD_TIME_WAIT),
		[SYN_FIN] = ACKED(TD_TIME_WAIT),
		[BARE_ACK] = SAME(TD_TIME_WAIT),
		[BAD_ACK] = ACKED(TD_TIME_WAIT),
		[DATA] = ACKED(TD_TIME_WAIT),
		[DATA_LEFT] = ACKED(TD_TIME_WAIT),
		[DATA_RIGHT] = ACKED(TD_TIME_WAIT),
		[OVERLAP] = ACKED(TD_TIME_WAIT),
		[FIN] = ACKED(TD_TIME_WAIT),
		[FIN_DATA] = ACKED(TD_TIME_WAIT), /* RFC 1337: */
		[RST_IN_SEQUENCE] = SAME(TD_TIME_WAIT),
		[RST_IN_WINDOW] = SAME(TD_TIME_WAIT),
		[RST_OUTSIDE] = SAME(TD_TIME_WAIT),
		[URG] = ACKED(TD_TIME_WAIT) } },
#define GONE                                                                                       \
	{                                                                                          \
		UNKNOWN, 0, TCP_CLOSED                                                             \
	}
	{ "closed", TCP_CLOSED, 1, 1, 1,
	    { GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE,
		GONE } },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct td_in event_segment(const struct row *r, enum event e)
{
	uint32_t p = r->peer_next,
		 ack = r->state == TCP_SYN_SENT || r->state == TCP_SYN_RECEIVED ? 1 : r->una;
	bool past_fin = p == 2;
	uint32_t fin = past_fin ? p - 1 : p; /* the same FIN again */

	switch (e) {
	case SYN: return (struct td_in){ .flags = TCP_SYN, .seq = p };
	case SYN_ACK:
		return (struct td_in){ .flags = TCP_SYN | TCP_ACK,
			.ack = ack,
			.seq = r->state == TCP_SYN_RECEIVED ? 0 : p };
	case SYN_FIN: return (struct td_in){ .flags = TCP_SYN | TCP_FIN, .seq = p };
	case BARE_ACK: return (struct td_in){ .flags = TCP_ACK, .seq = p, .ack = ack };
	case BAD_ACK: return (struct td_in){ .flags = TCP_ACK, .seq = p, .ack = r->nxt + 1000 };
	case DATA: return (struct td_in){ .flags = TCP_ACK, .seq = p, .len = 100, .ack = ack };
	case DATA_LEFT:
		return (struct td_in){ .flags = TCP_ACK, .seq = p - 100, .len = 100, .ack = ack };
	case DATA_RIGHT:
		return (struct td_in){ .flags = TCP_ACK, .seq = p + 70000, .len = 100, .ack = ack };
	case OVERLAP:
		return (struct td_in){ .flags = TCP_ACK, .seq = p - 50, .len = 100, .ack = ack };
	case FIN: return (struct td_in){ .flags = TCP_FIN | TCP_ACK, .seq = fin, .ack = ack };
	case FIN_DATA:
		return (struct td_in){ .flags = TCP_FIN | TCP_ACK,
			.ack = ack,
			.len = 100,
			.seq = past_fin ? fin - 100 : fin };
	case RST_IN_SEQUENCE:
		return (struct td_in){ .flags = TCP_RST | TCP_ACK, .seq = p, .ack = ack };
	case RST_IN_WINDOW:
		if (r->state == TCP_SYN_SENT)
			return (struct td_in){ .flags = TCP_RST | TCP_ACK, .ack = 1000 };
		return (struct td_in){ .flags = TCP_RST, .seq = p + 10 };
	case RST_OUTSIDE: return (struct td_in){ .flags = TCP_RST, .seq = p + 70000 };
	default:
		return (
		    struct td_in){ .flags = TCP_ACK | TCP_URG, .seq = p, .len = 100, .ack = ack };
	}
}

static void expect_state(struct td *d, int state)
{
	struct tw_entry *e;
	struct tcp_conn *c = conn_find(d->st.tcp, &d->c->key, &e);

	if (state == TD_TIME_WAIT) {
		assert_non_null(e);
		return;
	}
	assert_null(e);
	assert_int_equal(d->c->state, state);
	assert_ptr_equal(c, state == TCP_CLOSED ? NULL : d->c);
}

static void run_cell(const struct row *r, enum event e, bool v6)
{
	const struct cell *cell = &r->cells[e];
	struct td *d = td_make(r->state, &(struct td_options){ .v6 = v6 });
	struct td_in in = event_segment(r, e);
	bool known = td_input_known(d, &in);

	td_output(d);
	assert_int_equal(known, cell->reply != UNKNOWN);
	switch (cell->reply) {
	case NOTHING:
	case UNKNOWN: break;
	case ACK: td_expect(d, TCP_ACK, r->nxt, r->peer_next + cell->advance, 0); break;
	case DELAYED:
		td_expect_none(d);
		td_run_ms(d, 41);
		td_expect(d, TCP_ACK, r->nxt, r->peer_next + cell->advance, 0);
		break;
	case RESET: td_expect(d, TCP_RST, in.ack, 0, 0); break;
	case SYNACK: td_expect(d, TCP_SYN | TCP_ACK, 0, 1, 0); break;
	}
	td_expect_none(d);
	expect_state(d, cell->state);
	td_free(d);
}

struct cell_id {
	unsigned row, event;
	bool v6;
	char name[64];
};

static void test_cell(void **state)
{
	const struct cell_id *id = *state;

	run_cell(&rows[id->row], (enum event)id->event, id->v6);
}

int main(void)
{
	static struct cell_id ids[N_ROWS * N_EVENTS * 2];
	static struct CMUnitTest tests[N_ROWS * N_EVENTS * 2];

	for (unsigned i = 0; i < N_ROWS * N_EVENTS * 2; i++) {
		ids[i].row = i / 2 / N_EVENTS;
		ids[i].event = i / 2 % N_EVENTS;
		ids[i].v6 = i % 2;
		snprintf(ids[i].name, sizeof(ids[i].name), "%s_%s_v%d", rows[ids[i].row].name,
		    event_names[ids[i].event], ids[i].v6 ? 6 : 4);
		tests[i] = (struct CMUnitTest){ ids[i].name, test_cell, NULL, NULL, &ids[i] };
	}
	return cmocka_run_group_tests_name("grid", tests, NULL, NULL);
}
