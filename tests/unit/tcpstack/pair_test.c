/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two stacks back to back over a link that loses, reorders, doubles and delays by a seed: bytes
 * must arrive unchanged, both ends must close, and time and retransmissions stay within bounds.
 */
#include "driver.h"

#include <stdlib.h>

enum { LINK_SLOTS = 16384 };

struct in_flight {
	uint64_t at_ns;
	struct td *to;
	struct td_seg seg;
};

struct link {
	uint64_t now_ns, delay_ns, jitter_ns;
	uint64_t rng;
	unsigned loss_permille, dup_permille;
	unsigned queue_limit; /* segments under way in each direction */
	struct in_flight *slots[LINK_SLOTS];
	unsigned n, dropped;
	uint64_t carried;
	struct td *end[2];
};

static uint32_t rng_next(struct link *l)
{
	l->rng ^= l->rng << 13;
	l->rng ^= l->rng >> 7;
	l->rng ^= l->rng << 17;
	return (uint32_t)(l->rng >> 16);
}

static bool chance(struct link *l, unsigned permille)
{
	return rng_next(l) % 1000 < permille;
}

/* A binary heap by time; each segment is a nanosecond later than the one before it. */
static void heap_push(struct link *l, struct in_flight *f)
{
	unsigned i = l->n++;

	assert_true(l->n <= LINK_SLOTS);
	while (i > 0 && l->slots[(i - 1) / 2]->at_ns > f->at_ns) {
		l->slots[i] = l->slots[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	l->slots[i] = f;
}

static struct in_flight *heap_pop(struct link *l)
{
	struct in_flight *top = l->slots[0], *last = l->slots[--l->n];
	unsigned i = 0;

	for (;;) {
		unsigned k = 2 * i + 1;

		if (k >= l->n)
			break;
		if (k + 1 < l->n && l->slots[k + 1]->at_ns < l->slots[k]->at_ns)
			k++;
		if (last->at_ns <= l->slots[k]->at_ns)
			break;
		l->slots[i] = l->slots[k];
		i = k;
	}
	l->slots[i] = last;
	return top;
}

static void carry(struct td *d, const struct td_seg *seg)
{
	struct link *l = d->tap_arg;
	unsigned copies = 1 + chance(l, l->dup_permille);

	if (chance(l, l->loss_permille) || l->n >= l->queue_limit) {
		l->dropped++;
		return;
	}
	while (copies-- > 0) {
		struct in_flight *f = malloc(sizeof(*f));

		assert_non_null(f);
		f->to = l->end[d == l->end[0]];
		f->seg = *seg;
		f->at_ns = l->now_ns + l->delay_ns + l->carried++ % 1048576; /* order is kept */
		if (l->jitter_ns)
			f->at_ns += rng_next(l) % l->jitter_ns;
		heap_push(l, f);
	}
}

static void deliver(struct link *l)
{
	struct in_flight *f = heap_pop(l);
	struct td *d = f->to;
	struct packet pkt = {
		.src = d->remote,
		.dst = d->local,
		.src_port = d->remote_port,
		.dst_port = d->local_port,
		.seq = f->seg.seq,
		.ack = f->seg.ack,
		.window = f->seg.window,
		.payload_len = (uint16_t)f->seg.len,
		.payload = f->seg.data,
		.flags = f->seg.flags,
		.ttl = 64,
		.v4 = !d->o.v6,
		.opt = f->seg.opt,
	};

	(void)conn_input(&d->st, &pkt, l->now_ns, NULL);
	free(f);
}

struct run {
	unsigned loss, dup;
	uint32_t delay_ms, jitter_ms;
	uint32_t bytes;
	bool ts, sack, v6;
	unsigned queue_limit;
	uint32_t buf;
};

/* One end writes `bytes` of the pattern and closes; the other echoes nothing, reads, and closes. */
static void transfer(const struct run *r, uint64_t seed, uint64_t *ret_ns, unsigned *ret_rtx)
{
	struct td_options o = { .v6 = r->v6,
		.ts = r->ts,
		.sack = r->sack,
		.wscale = true,
		.config = { .rcv_buf = r->buf, .snd_buf = r->buf, .max_chunks = 16384 } };
	struct link l = { .rng = seed * 0x9e3779b97f4a7c15u + 1,
		.loss_permille = r->loss,
		.dup_permille = r->dup,
		.delay_ns = (uint64_t)r->delay_ms * 1000000 / 2,
		.jitter_ns = (uint64_t)r->jitter_ms * 1000000,
		.queue_limit = r->queue_limit ? r->queue_limit : LINK_SLOTS };
	struct td *a = td_new(&o), *b = td_new(&o);
	uint32_t written = 0, got = 0;
	uint64_t begin_ns = a->now_ns, limit_ns = begin_ns + 600ull * 1000000000;
	bool a_done = false, b_done = false;
	struct ip_addr swap;

	l.end[0] = a;
	l.end[1] = b;
	l.now_ns = begin_ns;
	a->tap = b->tap = carry;
	a->tap_arg = b->tap_arg = &l;
	assert_true(td_connect(a));
	/* The other end opens to the same flow: a simultaneous open, so no listener is needed. */
	swap = b->local;
	b->local = b->remote;
	b->remote = swap;
	b->st.config.addrs[0].addr = b->local;
	b->st.config.ephemeral_first = b->st.config.ephemeral_last = 25;
	{
		struct tcp_connect req = {
			.src = b->local, .dst = b->remote, .dst_port = a->local_port
		};

		assert_int_equal(tcp_connect(&b->st, &req, b->now_ns, &b->c), 0);
		b->c->flags = a->c->flags;
		b->local_port = 25;
		b->remote_port = a->local_port;
	}
	while (!(a_done && b_done)) {
		uint64_t next_ns = l.n ? l.slots[0]->at_ns : UINT64_MAX;

		for (int i = 0; i < 2; i++) {
			uint64_t at = conn_next_deadline(&l.end[i]->st);

			next_ns = at < next_ns ? at : next_ns;
		}
		assert_true(next_ns != UINT64_MAX);
		l.now_ns = next_ns > l.now_ns ? next_ns : l.now_ns;
		if (l.now_ns > limit_ns)
			fail_msg("seed %u: stuck at %u of %u bytes, %u read", (unsigned)seed,
			    written, r->bytes, got);
		while (l.n && l.slots[0]->at_ns <= l.now_ns)
			deliver(&l);
		for (int i = 0; i < 2; i++) {
			struct td *d = l.end[i];
			struct tcp_conn *c;
			unsigned events;

			d->now_ns = l.now_ns;
			while ((c = stack_next_ready(&d->st, &events)) != NULL) {
				assert_false(events & (TCP_EV_RESET | TCP_EV_TIMEOUT));
				if (i == 1 && events & TCP_EV_EOF) {
					b_done = true;
				} else if (i == 0 && events & TCP_EV_EOF) {
					a_done = true;
				}
				if (i == 0 && events & (TCP_EV_OPEN | TCP_EV_WRITE)) {
					while (written < r->bytes) {
						uint8_t block[4096];
						uint32_t n =
						    min_u32(sizeof(block), r->bytes - written);

						for (uint32_t k = 0; k < n; k++)
							block[k] = td_pattern(written + k);
						n = (uint32_t)tcp_write(&d->st, c, block, n);
						if (n == 0)
							break;
						written += n;
					}
					if (written == r->bytes)
						tcp_shutdown(&d->st, c);
				}
				if (i == 1) {
					const uint8_t *p;
					size_t n;

					while ((n = tcp_peek(c, &p)) > 0) {
						for (size_t k = 0; k < n; k++)
							if (p[k] != td_pattern(got + (uint32_t)k))
								fail_msg("seed %u: byte %u differs",
								    (unsigned)seed, got);
						got += (uint32_t)n;
						tcp_consume(&d->st, c, n);
					}
					if (events & TCP_EV_EOF)
						tcp_shutdown(&d->st, c);
				}
			}
			conn_output(&d->st, l.now_ns, NULL);
		}
	}
	assert_int_equal(got, r->bytes);
	*ret_ns = l.now_ns - begin_ns;
	*ret_rtx = a->c->retransmits;
	tcp_close(&a->st, a->c);
	tcp_close(&b->st, b->c);
	while (l.n)
		free(heap_pop(&l));
	td_free(a);
	td_free(b);
}

static void lossless_transfer_is_bound_by_the_window(void **state)
{
	uint64_t ns;
	unsigned rtx;
	const int v6 = td_family(state);
	/* 8 MiB at 40 ms and 4 MiB of buffer: slow start, then a window a round trip. */
	transfer(&(struct run){ .delay_ms = 40,
		     .bytes = 8u << 20,
		     .ts = true,
		     .sack = true,
		     .v6 = v6,
		     .buf = 4u << 20 },
	    1, &ns, &rtx);
	assert_int_equal(rtx, 1); /* the SYN, said again with the ACK of the other's */
	assert_in_range(ns / 1000000, 80, 40 * 20);
}

static void seeded(const struct run *base, unsigned seeds, unsigned max_ms, unsigned max_rtx)
{
	for (unsigned seed = 1; seed <= seeds; seed++) {
		struct run r = *base;
		uint64_t ns;
		unsigned rtx;

		r.v6 = seed & 1;
		r.ts = seed & 2;
		r.sack = seed % 5 != 0;
		transfer(&r, seed, &ns, &rtx);
		if (ns / 1000000 > max_ms || rtx > max_rtx)
			fail_msg("seed %u: %u ms, %u retransmissions", seed,
			    (unsigned)(ns / 1000000), rtx);
	}
}

static void small_dialogue_survives_loss(void **state)
{
	(void)state;
	seeded(&(struct run){ .loss = 50, .delay_ms = 20, .bytes = 4000, .buf = 65535 }, 300, 30000,
	    60);
}

static void bulk_survives_loss(void **state)
{
	(void)state;
	seeded(&(struct run){ .loss = 20, .delay_ms = 40, .bytes = 400000, .buf = 262144 }, 40,
	    60000, 120);
}

static void bulk_survives_reordering_and_duplicates(void **state)
{
	(void)state;
	seeded(
	    &(struct run){
		.dup = 50, .loss = 5, .delay_ms = 40, .jitter_ms = 15, .bytes = 400000, .buf = 262144 },
	    40, 60000, 300);
}

static void bulk_survives_a_short_queue(void **state)
{
	(void)state;
	seeded(&(struct run){ .queue_limit = 40, .delay_ms = 40, .bytes = 1000000, .buf = 1u << 20 },
	    10, 60000, 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TD_BOTH(lossless_transfer_is_bound_by_the_window),
		cmocka_unit_test(small_dialogue_survives_loss),
		cmocka_unit_test(bulk_survives_loss),
		cmocka_unit_test(bulk_survives_reordering_and_duplicates),
		cmocka_unit_test(bulk_survives_a_short_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
