/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tarpit: one record per held client, no timer of its own.
 *
 * A clock hand sweeps the records, one round per pace, and whoever it passes gets the next byte;
 * so ten million clients at a byte per ten seconds cost a million sequential reads a second, no
 * list, no heap. The index is buckets of one cache line (24-bit record number, 8-bit tag); a record
 * that finds its bucket full goes to the next one and leaves a count behind, so a search ends at
 * the first bucket that nobody went past. 48 bytes and 6 to 13 of index: under 64 for both families.
 *
 * With several paces in use the hand runs at the shortest, and a longer pace is kept to within one
 * round. What the peer sends is acknowledged and thrown away; a lost byte is sent again when its
 * turn comes next. At the bound the oldest is let go, without a word. Rejected: a FIFO per pace and
 * chained buckets (each link is a cache miss: 213 ns a drip against 22).
 *
 * A client whose command is refused is held by the same record. Its text is the owner's, asked for at
 * each drip by a word of the record, so that the last line has the reason and the token of that very
 * session and nothing of it is kept. Rejected: the session with a slow send queue (1,024 bytes a client
 * that is to be worn down, out of the table that honest clients need).
 */
#include "ip_half.h"
#include "siphash.h"

#include <errno.h>
#include <sys/mman.h>

enum {
	/* As many as a turn takes frames in: after a pause what is owed goes out no faster than its
	 * ACKs can come back, and no turn grows long. */
	DRIPS_PER_TURN = 32,
	LOOKS_PER_TURN = 1024,
	WINDOW = 512, /* bytes offered: enough for a command line, too little to hurry */
	AGE_LOOKS = 8,
	LAST_MAX = 2 * STACK_REFUSE_TEXT_MAX, /* a refusal's last bytes, with FIN */
	LAST_AGAIN_MS = 3000,                 /* a refusal's last line is sent again */
	LAST_LIFE_S = 60,                     /* ... so long, and three rounds of the hand */
};

static const uint64_t MS_NS = 1000000u;

/* Zeroed and untouched: what no client ever needs costs nothing. Huge pages where the system has
 * them, since a look-up in a large table is a TLB miss first of all. */
static void *table_alloc(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, bytes, MADV_HUGEPAGE); /* a wish */
	return p;
}

static void table_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

int tarpit_init(struct tarpit *t, uint32_t max, const uint8_t key[16])
{
	*t = (struct tarpit){ 0 };
	if (max > TARPIT_MAX)
		max = TARPIT_MAX;
	for (t->n_buckets = 1; t->n_buckets * 10ull < max;)
		t->n_buckets *= 2;
	t->max = max;
	t->free = UINT32_MAX;
	t->records = table_alloc(max * sizeof(*t->records));
	t->buckets = table_alloc(t->n_buckets * sizeof(*t->buckets));
	if (!t->records || !t->buckets) {
		tarpit_fini(t);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < TARPIT_HASH_WORDS; i++) {
		uint8_t label[8] = { 't', 'a', 'r', 'p', 'i', 't', (uint8_t)i };

		t->hash_key[i] = siphash24(key, label, sizeof(label));
	}
	return 0;
}

void tarpit_fini(struct tarpit *t)
{
	table_free(t->records, t->max * sizeof(*t->records));
	table_free(t->buckets, t->n_buckets * sizeof(*t->buckets));
	t->records = NULL;
	t->buckets = NULL;
}

/* ---- index ---- */

/* NH under secret keys, as in flow.h and for its reasons: who has a record has completed a handshake,
 * and nobody is shown a hash. */
static uint64_t hash_of(const struct tarpit *t, const uint8_t remote[16], uint16_t remote_port,
    uint16_t local_port, uint8_t own)
{
	const uint64_t *k = t->hash_key;
	uint64_t r[2], rest = (uint64_t)own << 32 | (uint32_t)remote_port << 16 | local_port;

	memcpy(r, remote, 16);
	unsigned __int128 nh = (unsigned __int128)(r[0] + k[0]) * (r[1] + k[1]) +
			       (unsigned __int128)(rest + k[2]) * k[3];
	uint64_t h = (uint64_t)nh ^ (uint64_t)(nh >> 64) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

static uint64_t record_hash(const struct tarpit *t, const struct tarpit_record *r)
{
	return hash_of(t, r->remote, r->remote_port, r->local_port, r->own);
}

static uint8_t tag_of(uint64_t hash)
{
	uint8_t tag = (uint8_t)(hash >> 56);

	return tag ? tag : 1;
}

static uint32_t slot_get(const struct tarpit_bucket *k, unsigned slot)
{
	const uint8_t *p = k->index[slot];

	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static void slot_put(struct tarpit_bucket *k, unsigned slot, uint32_t index, uint8_t tag)
{
	uint8_t *p = k->index[slot];

	p[0] = (uint8_t)index;
	p[1] = (uint8_t)(index >> 8);
	p[2] = (uint8_t)(index >> 16);
	k->tag[slot] = tag;
}

/* Slots whose tag this is, a bit each, and perhaps some above the first whose tag it is not. */
static uint32_t slots_tagged(const struct tarpit_bucket *k, uint8_t tag)
{
	const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
	uint64_t x, y, wanted = tag * ones;

	_Static_assert(TARPIT_SLOTS == 15, "two words that share a byte");
	memcpy(&x, k->tag, 8);
	memcpy(&y, k->tag + 7, 8);
	x ^= wanted;
	y ^= wanted;
	x = (x - ones) & ~x & highs;
	y = (y - ones) & ~y & highs;
	/* the high bit of each byte, gathered: the product of each pair lands in a bit of its own */
	return (uint32_t)(((x >> 7) * 0x0102040810204080u) >> 56) |
	       (uint32_t)(((y >> 7) * 0x0102040810204080u) >> 56) << 7;
}

static void index_add(struct tarpit *t, uint32_t index)
{
	uint64_t h = record_hash(t, &t->records[index]);
	uint32_t b = (uint32_t)h & (t->n_buckets - 1);

	for (;; b = (b + 1) & (t->n_buckets - 1)) {
		struct tarpit_bucket *k = &t->buckets[b];
		uint32_t unused = slots_tagged(k, 0);

		if (unused) {
			slot_put(k, (unsigned)__builtin_ctz(unused), index + 1, tag_of(h));
			return;
		}
		k->passed++;
	}
}

static void index_remove(struct tarpit *t, uint32_t index)
{
	uint64_t h = record_hash(t, &t->records[index]);
	uint32_t b = (uint32_t)h & (t->n_buckets - 1);

	for (;; b = (b + 1) & (t->n_buckets - 1)) {
		struct tarpit_bucket *k = &t->buckets[b];

		for (uint32_t left = slots_tagged(k, tag_of(h)); left; left &= left - 1) {
			unsigned slot = (unsigned)__builtin_ctz(left);

			if (slot_get(k, slot) == index + 1) {
				slot_put(k, slot, 0, 0);
				return;
			}
		}
		k->passed--;
	}
}

static uint64_t packet_hash(const struct tarpit *t, const struct packet *pkt)
{
	return hash_of(t, pkt->src.b, pkt->src_port, pkt->dst_port, pkt->own_index);
}

uint64_t tarpit_prefetch_bucket(const struct stack *st, const struct packet *pkt)
{
	const struct tarpit *t = &st->ip->tarpit;
	uint64_t h = packet_hash(t, pkt);

	__builtin_prefetch(&t->buckets[(uint32_t)h & (t->n_buckets - 1)]);
	return h;
}

void tarpit_prefetch_record(const struct stack *st, uint64_t hash)
{
	const struct tarpit *t = &st->ip->tarpit;
	const struct tarpit_bucket *k = &t->buckets[(uint32_t)hash & (t->n_buckets - 1)];

	for (uint32_t left = slots_tagged(k, tag_of(hash)); left; left &= left - 1) {
		uint32_t index = slot_get(k, (unsigned)__builtin_ctz(left));

		if (!index)
			continue;
		/* more than half of the records lie in two lines */
		const struct tarpit_record *r = &t->records[index - 1];
		__builtin_prefetch(r, 1);
		__builtin_prefetch((const uint8_t *)(r + 1) - 1, 1);
	}
}

static struct tarpit_record *record_find(
    const struct tarpit *t, const struct packet *pkt, uint64_t h)
{
	uint32_t b = (uint32_t)h & (t->n_buckets - 1);

	for (;; b = (b + 1) & (t->n_buckets - 1)) {
		const struct tarpit_bucket *k = &t->buckets[b];

		for (uint32_t left = slots_tagged(k, tag_of(h)); left; left &= left - 1) {
			uint32_t index = slot_get(k, (unsigned)__builtin_ctz(left));

			if (!index)
				continue;
			struct tarpit_record *r = &t->records[index - 1];
			if (r->remote_port == pkt->src_port && r->local_port == pkt->dst_port &&
			    r->own == pkt->own_index && memcmp(r->remote, pkt->src.b, 16) == 0)
				return r;
		}
		if (!k->passed)
			return NULL;
	}
}

static void record_free(struct tarpit *t, struct tarpit_record *r)
{
	uint32_t index = (uint32_t)(r - t->records);

	index_remove(t, index);
	r->live = 0;
	r->snd_nxt = t->free;
	t->free = index;
	if (!--t->count)
		t->round_ns = 0; /* the next client sets the pace anew */
}

/* ---- coming in ---- */

static uint32_t record_new(struct stack *st, uint64_t now_ns)
{
	struct tarpit *t = &st->ip->tarpit;

	if (t->free == UINT32_MAX && t->top == t->max) {
		/* Slots are used in turn, so the oldest is near where the last one was found. */
		uint16_t now_s = (uint16_t)(now_ns / 1000000000u);
		uint32_t best = t->oldest % t->max;
		for (uint32_t i = 1; i < AGE_LOOKS && i < t->max; i++) {
			uint32_t k = (t->oldest + i) % t->max;
			if ((uint16_t)(now_s - t->records[k].born_s) >
			    (uint16_t)(now_s - t->records[best].born_s))
				best = k;
		}
		t->oldest = (t->oldest + 1) % t->max;
		record_free(t, &t->records[best]);
		count(st, STACK_tarpit_let_go);
	}
	if (t->free == UINT32_MAX)
		return t->top++;
	uint32_t index = t->free;
	t->free = t->records[index].snd_nxt;
	return index;
}

static struct tarpit_record *adopt(struct stack *st, const struct conn_remains *r,
    unsigned own_index, unsigned text_id, uint32_t pace_ms, uint64_t now_ns)
{
	struct tarpit *t = &st->ip->tarpit;
	uint32_t pace = pace_ms / 10 ? pace_ms / 10 : 1;
	uint32_t index = record_new(st, now_ns);

	if (pace > 0xffff)
		pace = 0xffff;
	struct tarpit_record rec = {
		.snd_nxt = r->snd_nxt,
		.rcv_nxt = r->rcv_nxt,
		.ts_recent = r->ts_recent,
		.due_ms = ts_clock(now_ns),
		.remote_port = r->remote_port,
		.local_port = r->local_port,
		.pace_10ms = (uint16_t)pace,
		.born_s = (uint16_t)(now_ns / 1000000000u),
		.own = (uint8_t)own_index,
		.text = text_id & (TARPIT_TEXTS - 1),
		.live = 1,
		.ts = r->timestamps,
		.closed = r->snd_wnd == 0,
	};
	memcpy(rec.remote, r->remote.b, 16);
	t->records[index] = rec;
	index_add(t, index);
	if (!t->count++) {
		t->hand_ns = now_ns;
		t->spare = 0;
	}
	if (!t->round_ns || pace * 10 * MS_NS < t->round_ns)
		t->round_ns = pace * 10 * MS_NS;
	count(st, STACK_tarpit_shrunk);
	return &t->records[index];
}

void tarpit_adopt(struct stack *st, const struct conn_remains *r, unsigned own_index,
    unsigned text_id, uint32_t pace_ms, uint64_t now_ns)
{
	adopt(st, r, own_index, text_id, pace_ms, now_ns);
}

int stack_set_tarpit_text(struct stack *st, unsigned text_id, const char *text, size_t len)
{
	if (text_id >= TARPIT_TEXTS || !len || len > 0xffff)
		return -EINVAL;
	st->ip->tarpit.texts[text_id].p = text;
	st->ip->tarpit.texts[text_id].len = (uint16_t)len;
	return 0;
}

static int shrink(struct stack *st, struct tcp_conn *c, unsigned text_id, uint32_t pace_ms,
    struct tarpit_record **ret_record)
{
	struct conn_remains r;
	struct tcp_info info;
	uint8_t own;

	tcp_get_info(c, &info);
	if (route_own(&st->ip->routes, &info.local, &own) != OWN_ADDR)
		return -EINVAL; /* a transparent connection: not a client of ours to hold */
	int err = conn_shrink(st, c, &r);
	if (err < 0)
		return err;
	*ret_record = adopt(st, &r, own, text_id, pace_ms, st->ip->now_ns);
	return 0;
}

int tcp_shrink_to_tarpit(struct stack *st, struct tcp_conn *c, unsigned text_id, uint32_t pace_ms)
{
	struct tarpit_record *r;

	if (text_id >= TARPIT_TEXTS || !st->ip->tarpit.texts[text_id].len)
		return -EINVAL;
	return shrink(st, c, text_id, pace_ms, &r);
}

void stack_set_refused_hold(struct stack *st, uint32_t seconds)
{
	st->ip->tarpit.hold_s =
	    (uint16_t)(seconds < REFUSED_HOLD_MAX_S ? seconds : REFUSED_HOLD_MAX_S);
}

int tcp_hold_refused(
    struct stack *st, struct tcp_conn *c, unsigned text_id, uint32_t pace_ms, uint32_t note)
{
	uint32_t most_ms = st->ip->tarpit.hold_s * 250u;
	struct tarpit_record *r;

	if (text_id >= TARPIT_TEXTS || !st->host.refused_text || note >> TARPIT_NOTE_BITS)
		return -EINVAL;
	if (pace_ms > most_ms) /* the end comes with a drip */
		pace_ms = most_ms;
	int err = shrink(st, c, text_id, pace_ms, &r);
	if (err < 0)
		return err;
	r->note = note & ((1u << TARPIT_NOTE_BITS) - 1);
	r->refused = 1;
	return 0;
}

/* ---- segments of held clients ---- */

void stack_set_tarpit_ages(
    struct stack *st, uint64_t (*ages)[TARPIT_PACES][TARPIT_AGES], unsigned n_texts)
{
	st->ip->tarpit.ages = ages;
	st->ip->tarpit.n_ages = n_texts;
}

unsigned tarpit_pace_row(uint32_t pace_ms)
{
	unsigned row = 0;

	while (row < TARPIT_PACES - 1 && pace_ms >= 250u << row)
		row++;
	return row;
}

unsigned tarpit_age_column(uint64_t seconds)
{
	unsigned column = 0;

	while (column < TARPIT_AGES - 1 && seconds >= 1ull << column)
		column++;
	return column;
}

static uint16_t age_s(const struct tarpit_record *r, uint64_t now_ns)
{
	return (uint16_t)((uint16_t)(now_ns / 1000000000u) - r->born_s);
}

/* The client has gone by itself. */
static void record_left(struct stack *st, struct tarpit_record *r, uint64_t now_ns)
{
	struct tarpit *t = &st->ip->tarpit;

	if (r->ending) { /* it has waited for its refusal */
		if (!r->done)
			count(st, STACK_tarpit_refused_lost);
		record_free(t, r);
		return;
	}
	if (t->ages && r->text < t->n_ages)
		t->ages[r->text][tarpit_pace_row(r->pace_10ms * 10u)]
		       [tarpit_age_column(age_s(r, now_ns))]++;
	record_free(t, r);
	count(st, STACK_tarpit_left);
}

void tarpit_forget(struct stack *st, const struct packet *pkt)
{
	struct tarpit *t = &st->ip->tarpit;
	struct tarpit_record *r = record_find(t, pkt, packet_hash(t, pkt));

	if (r)
		record_free(t, r);
}

bool tarpit_input(struct stack *st, const struct packet *pkt, uint64_t hash, uint64_t now_ns,
    struct frame_out *out)
{
	struct tarpit *t = &st->ip->tarpit;
	struct tarpit_record *r = pkt->dst_own ? record_find(t, pkt, hash) : NULL;

	if (!r)
		return false;
	if (pkt->flags & TCP_RST) {
		/* Only the exact number, lest anyone free our guests (RFC 5961 3.2). */
		if (pkt->seq == r->rcv_nxt) {
			record_left(st, r, now_ns);
		}
		out_drop(out, pkt->frame);
		return true;
	}
	bool fin = pkt->flags & TCP_FIN;
	uint32_t end = pkt->seq + pkt->payload_len + fin;
	bool expected = pkt->seq == r->rcv_nxt && end == r->rcv_nxt;
	if (pkt->flags & TCP_ACK && pkt->ack == r->snd_nxt) {
		r->unacked = 0;
	} else if (pkt->flags & TCP_ACK && r->ending && !r->done &&
		   pkt->ack - r->snd_nxt <= LAST_MAX) {
		r->snd_nxt = pkt->ack;
		r->unacked = 0;
		r->done = 1;
		count(st, STACK_tarpit_refused);
	}
	if (seq_leq(pkt->seq, r->rcv_nxt)) {
		r->closed = pkt->window == 0;
		if (r->ts && pkt->opt.has_ts && seq_leq(r->ts_recent, pkt->opt.ts_val))
			r->ts_recent = pkt->opt.ts_val;
		if (seq_lt(r->rcv_nxt, end))
			r->rcv_nxt = end;
		else
			fin = false;
	} else {
		fin = false; /* something is missing before it */
	}
	if (expected) { /* an ACK alone */
		out_drop(out, pkt->frame);
		return true;
	}
	struct reply a = {
		.seq = r->snd_nxt,
		.ack = r->rcv_nxt,
		.window = WINDOW,
		.flags = TCP_ACK,
	};
	if (r->ts)
		reply_ts(&a, ts_clock(now_ns), r->ts_recent);
	if (fin && r->done) {
		record_free(&st->ip->tarpit, r);
	} else if (fin && !r->ending) { /* else our last line is on its way, and with it our FIN */
		a.flags |= TCP_FIN;
		record_left(st, r, now_ns);
	}
	reply_tcp(st, pkt, &a, now_ns, out);
	return true;
}

/* ---- drips ---- */

/* One segment of a record, from `seq` on. EMIT_NO_ROUTE: no way to it now, its turn comes again. */
static enum emit_status feed(struct stack *st, const struct tarpit_record *r, uint32_t seq,
    const void *data, uint16_t len, uint8_t flags, uint64_t now_ns, struct frame_out *out)
{
	struct ip_addr remote = ip_addr_from_v6(r->remote);
	struct tcp_segment seg;
	struct ip_path path;

	if (ip_path_resolve(st, &remote, now_ns, &path) < 0)
		return EMIT_NO_ROUTE;
	seg.src = &st->config.addrs[r->own].addr;
	seg.dst = &remote;
	seg.src_port = r->local_port;
	seg.dst_port = r->remote_port;
	seg.seq = seq;
	seg.ack = r->rcv_nxt;
	seg.window = WINDOW;
	seg.flags = flags;
	seg.opt = (struct tcp_options){
		.has_ts = r->ts, .ts_val = ts_clock(now_ns), .ts_ecr = r->ts_recent
	};
	seg.n_pieces = 1;
	seg.pieces[0].p = data;
	seg.pieces[0].len = len;
	return ip_emit_tcp(st, &path, &seg, now_ns, out);
}

/* The owner's words for a client that is refused. */
static uint16_t words(const struct stack *st, const struct tarpit_record *r, bool last,
    uint64_t now_ns, char text[STACK_REFUSE_TEXT_MAX])
{
	uint64_t since_ns = now_ns - age_s(r, now_ns) * 1000000000ull;

	return (uint16_t)st->host.refused_text(
	    st->host.arg, r->note, since_ns, last, text, STACK_REFUSE_TEXT_MAX);
}

/* Where in its text the byte stands that is sent next, or again. */
static uint16_t place(const struct tarpit_record *r, uint16_t len)
{
	uint16_t at = r->at < len ? r->at : 0; /* the text was replaced by a shorter one */

	if (r->unacked)
		at = (uint16_t)(at ? at - 1 : len - 1);
	return at;
}

static bool drip(struct stack *st, struct tarpit_record *r, uint64_t now_ns, struct frame_out *out)
{
	const char *text = st->ip->tarpit.texts[r->text].p;
	uint16_t len = st->ip->tarpit.texts[r->text].len, at;
	char line[STACK_REFUSE_TEXT_MAX];

	if (r->refused) {
		len = words(st, r, false, now_ns, line);
		text = line;
	}
	if (!len)
		return true;
	at = place(r, len);
	enum emit_status s =
	    feed(st, r, r->snd_nxt - r->unacked, text + at, 1, TCP_ACK | TCP_PSH, now_ns, out);
	if (s == EMIT_NO_FRAME)
		return false;
	if (s != EMIT_SENT)
		return true;
	if (r->unacked) {
		count(st, STACK_tarpit_again);
	} else {
		r->unacked = 1;
		r->snd_nxt++;
		r->at = at + 1 == len ? 0 : (uint16_t)(at + 1);
	}
	count(st, STACK_tarpit_drips);
	return true;
}

/* The rest of the line that goes on, the last line, and FIN. */
static bool last_line(
    struct stack *st, struct tarpit_record *r, uint64_t now_ns, struct frame_out *out)
{
	char text[LAST_MAX];
	uint16_t len = words(st, r, false, now_ns, text), n = 0;

	if (len && (r->at || r->unacked)) {
		uint16_t at = place(r, len);

		n = (uint16_t)(len - at);
		memmove(text, text + at, n);
	}
	n = (uint16_t)(n + words(st, r, true, now_ns, text + n));
	r->ending = 1;
	return feed(st, r, r->snd_nxt - r->unacked, text, n, TCP_ACK | TCP_PSH | TCP_FIN, now_ns,
		   out) != EMIT_NO_FRAME;
}

/* The record's turn, when the hand passes it. False: no frame, the hand waits here. */
static bool turn(struct stack *st, struct tarpit_record *r, uint32_t now_ms, uint64_t now_ns,
    struct frame_out *out)
{
	const struct tarpit *t = &st->ip->tarpit;

	if (r->ending || (r->refused && age_s(r, now_ns) >= t->hold_s)) {
		if (age_s(r, now_ns) > t->hold_s + LAST_LIFE_S + 3 * t->round_ns / 1000000000u) {
			r->ending = 1;
			record_left(st, r, now_ns);
			return true;
		}
		r->due_ms = now_ms + LAST_AGAIN_MS;
		return r->closed || r->done || last_line(st, r, now_ns, out);
	}
	if (!r->closed && !drip(st, r, now_ns, out))
		return false;
	r->due_ms = now_ms + r->pace_10ms * 10u;
	return true;
}

void tarpit_output(struct stack *st, uint64_t now_ns, struct frame_out *out)
{
	struct tarpit *t = &st->ip->tarpit;

	if (!t->count)
		return;
	uint64_t slept_ns = now_ns - t->hand_ns, whole = t->round_ns * t->top;
	uint64_t more = slept_ns < t->round_ns ? slept_ns * t->top : whole;
	/* At most a round, whatever was slept through: nobody gets two bytes at once. */
	t->spare = t->spare < whole && more < whole - t->spare ? t->spare + more : whole;
	t->hand_ns = now_ns;
	if (t->spare < t->round_ns)
		return;
	/* A step is round_ns / top, which need not be whole nanoseconds. */
	uint64_t steps = t->spare / t->round_ns;
	if (steps > LOOKS_PER_TURN)
		steps = LOOKS_PER_TURN;
	uint32_t now_ms = ts_clock(now_ns), slack_ms = (uint32_t)(t->round_ns / (8 * MS_NS));
	uint64_t done = 0;
	for (unsigned drips = 0; done < steps && drips < DRIPS_PER_TURN; done++) {
		if (t->hand >= t->top)
			t->hand = 0;
		struct tarpit_record *r = &t->records[t->hand];
		__builtin_prefetch(r + 8);
		if (r->live && (!r->closed || r->refused) && seq_leq(r->due_ms, now_ms + slack_ms)) {
			if (!turn(st, r, now_ms, now_ns, out))
				break; /* no frame: the hand waits here */
			drips++;
		}
		t->hand++;
	}
	t->spare -= done * t->round_ns;
}

uint64_t tarpit_deadline(const struct tarpit *t)
{
	if (!t->count)
		return UINT64_MAX;
	uint64_t wait_ns = t->round_ns > t->spare ? (t->round_ns - t->spare) / t->top : 0;
	/* Steps far below a millisecond are taken together. */
	return t->hand_ns + (wait_ns > MS_NS ? wait_ns : t->spare < 4 * MS_NS * t->top ? MS_NS : 0);
}
