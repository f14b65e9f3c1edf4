/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tarpit-memory, tarpit-scale: clients held by the whole product, each through a real handshake and
 * session until it shrinks to its record.
 *
 *   memory: resident bytes of the process per held client, from before the first to after the last
 *           and a round of drips: whatever grew is counted.
 *   scale:  a byte to each per pace, and its ACK 100 ms later (when the record is cold again). The
 *           share of a core is the cycles of worker_turn() in the worker's own time; lateness is a
 *           client's time between two bytes beyond the pace; the refuse rate is that of a worker that
 *           does nothing but serve these and listed clients, beside one without the held ones.
 *           No port: frames are built and taken from memory.
 *
 *	bench-tarpit [--json] [--windows N] [--clients N] [--scale] [-6]
 */
#include "listed.h"
#include "loop.h"
#include "meter.h"
#include "report.h"

#include "filters/image_write.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ACK_DELAY_NS = 100000000,
	ACKS_MAX = 1 << 20,
	IDLE_TURN_NS = 16000,
	LATE_TURN_NS = 2000,
	LATE_BUCKETS = 100000
};

static const uint64_t PACE_NS = 10000000000ull;

/* What is needed to build the ACK of a drip again: the numbers of its segment. */
struct pending {
	uint64_t due_ns;
	uint8_t remote[16];
	uint32_t seq, ack;
	uint16_t port;
};

struct bench {
	struct loop *l;
	uint32_t clients;
	bool v6, dripping, measure;
	struct pending *acks;
	unsigned ack_head, ack_tail;
	uint32_t *last_us;           /* of each client's drip, by its number */
	uint64_t late[LATE_BUCKETS]; /* by 10 us */
	uint64_t drips, n_late, refused;
};

static void policy(void *arg, struct policy_settings *s, struct image_writer *w)
{
	struct policy_list held = { .verdict = VERDICT_TARPIT,
		.reason = REASON_LISTED,
		.pool = -1,
		.tarpit_pace_ms = 10000 };
	const struct bench *b = arg;

	s->limits = (struct policy_limits){ .message_size = 1 << 20, .recipients = 100 };
	listed_add(w, 1000000);
	image_writer_string(w, "held", &held.name);
	unsigned index = (unsigned)image_writer_list(w, &held);
	(void)b;
	/* more specific than the block list, and beside it: 2001:db8:bae::/48 */
	image_writer_v4(w, index, 0xc6120000, 16);
	image_writer_v6(w, index, (const uint8_t[16]){ 0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xae }, 48);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned tcp_at(const struct bench *b)
{
	return 14 + (b->v6 ? 40 : 20);
}

/* The client's number, from address and port as gen_syn() chose them: kept by port and source. */
static uint32_t number_of(const struct bench *b, const uint8_t *addr, uint16_t port)
{
	uint32_t source = get32(b->v6 ? addr + 4 : addr + 12) & 0xffff;
	/* port - 1024 = 7 n mod 60000 and source = n mod 65536 */
	uint32_t m =
	    (uint32_t)(((uint64_t)(port - 1024) * 17143) % 60000); /* 7 * 17143 = 1 mod 60000 */
	/* n = source + 65536 k with n = m mod 60000: 5536 k = m - source mod 60000; both are even: by 32 */
	uint32_t d = (m + 120000 - source % 60000) % 60000;
	uint32_t k = (uint32_t)((uint64_t)(d / 32) * 737 % 1875); /* 173 * 737 = 1 mod 1875 */

	return source + 65536 * k;
}

static void note_drip(struct bench *b, const struct frame *f)
{
	struct loop *l = b->l;
	const uint8_t *tcp = f->data + tcp_at(b), *addr = f->data + 14 + (b->v6 ? 24 : 16);
	struct pending *p = &b->acks[b->ack_tail & (ACKS_MAX - 1)];
	uint8_t remote[16] = { 0 };

	memcpy(b->v6 ? remote : remote + 12, addr, b->v6 ? 16 : 4);
	b->drips++;
	if (b->ack_tail - b->ack_head < ACKS_MAX) {
		*p = (struct pending){ .due_ns = l->now_ns + ACK_DELAY_NS,
			.seq = get32(tcp + 4),
			.ack = get32(tcp + 8),
			.port = (uint16_t)(tcp[2] << 8 | tcp[3]) };
		memcpy(p->remote, remote, 16);
		b->ack_tail++;
	}
	uint32_t n = number_of(b, remote, (uint16_t)(tcp[2] << 8 | tcp[3]));
	if (n >= b->clients)
		return;
	uint64_t us = l->now_ns / 1000;
	uint32_t gap = (uint32_t)us - b->last_us[n];
	if (b->measure && b->last_us[n]) {
		uint32_t pace = (uint32_t)(PACE_NS / 1000);
		uint32_t late = (gap > pace ? gap - pace : pace - gap) / 10;
		b->late[late < LATE_BUCKETS ? late : LATE_BUCKETS - 1]++;
		b->n_late++;
	}
	b->last_us[n] = (uint32_t)us ? (uint32_t)us : 1;
}

static bool heard(struct loop *l, struct frame *f)
{
	struct bench *b = l->arg;
	const char *text;
	unsigned what = gen_heard(&l->gen, f, &text), flags = what >> 16 & 0x17, len = what & 0xffff;

	if (b->dripping && flags == 0x10 && len == 1) {
		note_drip(b, f);
		return false;
	}
	if (b->dripping) { /* a refused one */
		bool more = gen_answer(&l->gen, f);

		if (more)
			l->back[l->n_back++] = *f;
		return more;
	}
	if (flags == 0x12 || len > 0) { /* the handshake's end; the line's */
		gen_say(&l->gen, f, "", 0);
		l->back[l->n_back++] = *f;
		return true;
	}
	return false;
}

static uint64_t held(const struct bench *b)
{
	struct stack_usage u;

	stack_usage(worker_stack(b->l->worker), &u);
	return u.tarpit;
}

/* All come, shake hands, and are held, but for the few whose /24 or host the block list names itself. */
static bool hold_all(struct bench *b)
{
	struct loop *l = b->l;
	struct frame in[LOOP_BURST];
	uint64_t last = 0;
	unsigned idle = 0;

	l->gen.plain = true;
	while (held(b) < b->clients && idle < 1000) {
		unsigned n = loop_back(l, in, LOOP_BURST);

		while (n < LOOP_BURST && l->gen.next < b->clients &&
		       memframes_get(l->frames, 0, &in[n]))
			gen_syn(&l->gen, &in[n++]);
		loop_turn(l, in, n, n ? 0 : 1000000);
		idle = held(b) == last && l->gen.next == b->clients ? idle + 1 : 0;
		last = held(b);
	}
	if (last > b->clients - b->clients / 100 - 1)
		return true;
	fprintf(stderr, "bench-tarpit: %llu of %u clients are held\n", (unsigned long long)last,
	    b->clients);
	return false;
}

/* ---- memory ---- */

static int memory(struct bench *b, bool json)
{
	struct report report = { .claim = b->v6 ? "tarpit-memory-v6" : "tarpit-memory",
		.unit = "bytes/client",
		.baseline_name = "allowed",
		.target_ratio = 1,
		.lists = 1000000,
		.rules = 2,
		.events = true };
	uint64_t before = loop_rss();

	if (!hold_all(b))
		return 1;
	uint64_t after = loop_rss();
	report_add(&report, (double)(after - before) / (double)held(b), 64);
	report_print(&report, json);
	return 0;
}

/* ---- scale ---- */

static bool next_ack(struct bench *b, struct frame *f)
{
	struct loop *l = b->l;
	struct pending *p = &b->acks[b->ack_head & (ACKS_MAX - 1)];
	uint8_t *ip = f->data + 14, *tcp = f->data + tcp_at(b);

	if (b->ack_head == b->ack_tail || p->due_ns > l->now_ns)
		return false;
	/* the drip as it was, for gen_say() to turn round */
	memset(f->data, 0, tcp_at(b) + 20);
	f->data[12] = b->v6 ? 0x86 : 0x08;
	f->data[13] = b->v6 ? 0xdd : 0;
	ip[0] = b->v6 ? 0x60 : 0x45;
	if (b->v6) {
		ip[5] = 21;
		ip[6] = 6;
		ip[7] = 64;
	} else {
		ip[3] = 41;
		ip[8] = 64;
		ip[9] = 6;
	}
	memcpy(ip + (b->v6 ? 8 : 12), l->gen.dst, b->v6 ? 16 : 4);
	memcpy(ip + (b->v6 ? 24 : 16), b->v6 ? p->remote : p->remote + 12, b->v6 ? 16 : 4);
	tcp[1] = 25;
	tcp[2] = (uint8_t)(p->port >> 8);
	tcp[3] = (uint8_t)p->port;
	for (unsigned i = 0; i < 4; i++) {
		tcp[4 + i] = (uint8_t)(p->seq >> (24 - 8 * i));
		tcp[8 + i] = (uint8_t)(p->ack >> (24 - 8 * i));
	}
	tcp[12] = 5 << 4;
	tcp[13] = 0x18;
	gen_say(&l->gen, f, "", 0);
	b->ack_head++;
	return true;
}

enum load { HELD = 1, REFUSED = 2, FINE = 4 /* short turns, as a shell that spins has them */ };

/* The worker's own time goes on by `for_ns` under a load. Returns its busy share. */
static double run_for(struct bench *b, uint64_t for_ns, unsigned load, uint64_t *ret_refused)
{
	struct loop *l = b->l;
	struct frame in[LOOP_BURST];
	uint64_t end = l->now_ns + for_ns, start = l->now_ns, busy = l->busy,
		 done = l->gen.completed;

	while (l->now_ns < end) {
		unsigned n = 0;

		while (load & HELD && n < LOOP_BURST && memframes_get(l->frames, 0, &in[n])) {
			if (!next_ack(b, &in[n])) {
				memframes_put(l->frames, &in[n], 1);
				break;
			}
			n++;
		}
		n += loop_back(l, in + n, LOOP_BURST - n); /* our ARP is answered in any load */
		if (load & REFUSED) {
			while (n < LOOP_BURST && memframes_get(l->frames, 0, &in[n]))
				gen_syn(&l->gen, &in[n++]);
		}
		loop_turn(l, in, n, load & REFUSED ? 0 : load & FINE ? LATE_TURN_NS : IDLE_TURN_NS);
	}
	if (ret_refused)
		*ret_refused = l->gen.completed - done;
	return (double)(l->busy - busy) / l->cycles_per_ns / (double)(l->now_ns - start);
}

static double percentile(const struct bench *b, double p)
{
	uint64_t sum = 0, want = (uint64_t)((double)b->n_late * p);

	for (unsigned i = 0; i < LATE_BUCKETS; i++) {
		sum += b->late[i];
		if (sum >= want)
			return i * 0.01;
	}
	return LATE_BUCKETS * 0.01;
}

static int scale(struct bench *b, unsigned windows, bool json)
{
	const char *claims[2][3] = { { "tarpit-scale-cpu", "tarpit-scale-late",
					 "tarpit-scale-refuse" },
		{ "tarpit-scale-cpu-v6", "tarpit-scale-late-v6", "tarpit-scale-refuse-v6" } };
	struct report cpu = { .claim = claims[b->v6][0],
		.unit = "% of a core",
		.baseline_name = "allowed, drips and ACKs (10 each)",
		.target_ratio = 1,
		.lists = 1000000,
		.rules = 2,
		.events = true };
	struct report late = cpu, refuse = cpu;
	struct bench alone = { .clients = 1, .v6 = b->v6, .dripping = true };
	struct loop_config config = { .v6 = b->v6, .max_tarpit = 1, .policy = policy, .arg = &alone };

	late.claim = claims[b->v6][1];
	late.unit = "ms p99";
	late.baseline_name = "allowed";
	refuse.claim = claims[b->v6][2];
	refuse.unit = "sessions/s";
	refuse.baseline_name = "without held clients";
	refuse.more_is_better = true;
	refuse.target_ratio = 0.8;
	b->acks = calloc(ACKS_MAX, sizeof(*b->acks));
	b->last_us = calloc(b->clients, sizeof(*b->last_us));
	alone.l = loop_new(&config);
	if (!b->acks || !b->last_us || !alone.l || !hold_all(b)) {
		loop_free(alone.l);
		return 1;
	}
	b->dripping = true;
	b->l->gen.plain = alone.l->gen.plain = false;
	alone.l->heard = heard;
	alone.l->arg = &alone;
	/* the refused ones are those of the block list that are not held */
	uint8_t *src = b->l->gen.src;
	src[b->v6 ? 5 : 1] = b->v6 ? 0xad : 0x13;
	memcpy(alone.l->gen.src, src, 16);
	run_for(b, PACE_NS + PACE_NS / 10, HELD, NULL); /* one round to spread them */
	run_for(&alone, 100000000, REFUSED, NULL);
	b->measure = true;
	for (unsigned i = 0; i < windows; i++) {
		uint64_t with = 0, without = 0, span = 500000000;

		report_add(&cpu, 100 * run_for(b, PACE_NS / windows * 11 / 10, HELD, NULL), 20);
		b->measure = false;
		run_for(&alone, span, REFUSED, &without);
		run_for(b, span, HELD | REFUSED, &with);
		report_add(&refuse, (double)with * 1e9 / (double)span,
		    (double)without * 1e9 / (double)span);
		b->measure = true;
	}
	/* a round without anything between, for the lateness */
	memset(b->last_us, 0, b->clients * sizeof(*b->last_us));
	memset(b->late, 0, sizeof(b->late));
	b->n_late = 0;
	run_for(b, 2 * PACE_NS + PACE_NS / 100, HELD | FINE, NULL);
	report_add(&late, percentile(b, 0.99), 2);
	report_print(&cpu, json);
	report_print(&late, json);
	report_print(&refuse, json);
	loop_free(alone.l);
	free(b->acks);
	free(b->last_us);
	return b->n_late ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
		{ "windows", required_argument, NULL, 'w' },
		{ "clients", required_argument, NULL, 'c' }, { "scale", no_argument, NULL, 's' },
		{ 0 } };
	static struct bench b = { .clients = 10000000 };
	bool json = false, scaled = false;
	unsigned windows = 5;
	int o, ret;

	while ((o = getopt_long(argc, argv, "6", options, NULL)) != -1) {
		switch (o) {
		case 'j': json = true; break;
		case 'w': windows = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'c': b.clients = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 's': scaled = true; break;
		case '6': b.v6 = true; break;
		default:
			fprintf(stderr, "usage: bench-tarpit [--json] [--windows N] [--clients N] "
					"[--scale] [-6]\n");
			return 2;
		}
	}
	struct loop_config config = {
		.v6 = b.v6, .max_tarpit = b.clients, .max_conns = 4096, .policy = policy, .arg = &b
	};
	b.l = loop_new(&config);
	if (!b.l)
		return 2;
	if (b.v6)
		b.l->gen.src[5] = 0xae;
	b.l->heard = heard;
	b.l->arg = &b;
	ret = scaled ? scale(&b, windows ? windows : 1, json) : memory(&b, json);
	loop_free(b.l);
	return ret;
}
