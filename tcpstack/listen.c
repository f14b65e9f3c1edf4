/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything before a connection exists: SYNs are judged in bulk and answered by a cookie, and
 * segments of no connection either prove one or are turned away. No state is made for anybody but
 * a place in the SYN ring, and every segment sent here is capped or in answer to a proven cookie.
 *
 * SYNs and the rest go through in passes over a burst (look up, judge, hash in lanes, answer) so
 * that neither the policy's tables nor SipHash is asked for one packet at a time.
 */
#include "ip_half.h"

/* Index of the listener that serves an own address and port, or -1. */
static int listener_find(const struct stack *st, const struct packet *pkt)
{
	const struct stack_config *c = &st->config;

	if (!pkt->dst_own || c->addrs[pkt->own_index].reserved_for_connect)
		return -1;
	for (unsigned i = 0; i < c->n_listeners; i++) {
		const struct stack_listener *l = &c->listeners[i];
		if (l->port == pkt->dst_port && (l->any || ip_addr_eq(&l->addr, &pkt->dst)))
			return (int)i;
	}
	return -1;
}

/* ---- SYN ---- */

struct syn {
	struct packet *pkt;
	uint64_t hash;
	uint8_t listener;
	uint8_t verdict;
	uint8_t refuse_class;
};

static bool synack_allowed(
    struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	if (__builtin_expect(
		ratelimit_take(&st->ip->cap_synack, prefix_key(&pkt->src, pkt->v4), now_ns), 1))
		return true;
	count(st, STACK_synack_capped);
	out_drop(out, pkt->frame);
	return false;
}

static void synack_reply(struct stack *st, const struct packet *pkt, uint32_t iss, uint16_t window,
    bool ts, bool wscale, bool sack, uint64_t now_ns, struct frame_out *out)
{
	enum { NOPS = TCP_OPT_NOP << 24 | TCP_OPT_NOP << 16, SACK_OK = TCP_OPT_SACK_OK << 8 | 2 };
	struct reply_path path;
	struct reply r;
	unsigned n = 1;

	reply_route(st, &pkt->src, pkt->v4, now_ns, &path); /* netif 0 where there is none: unsent */
	unsigned mss = st->ip->netifs[path.netif].mtu - (pkt->v4 ? IP4_LEN : IP6_LEN) - TCP_LEN;
	r.opts[0] = htobe32((uint32_t)TCP_OPT_MSS << 24 | 4 << 16 | mss);
	if (ts) {
		r.opts[1] = htobe32((sack ? SACK_OK << 16 : NOPS) | TCP_OPT_TS << 8 | 10);
		r.opts[2] = htobe32(cookie_ts_make(ts_clock(now_ns), wscale, pkt->opt.wscale, sack));
		r.opts[3] = htobe32(pkt->opt.ts_val);
		n = 4;
	} else if (sack) {
		r.opts[1] = htobe32(NOPS | SACK_OK);
		n = 2;
	}
	if (wscale)
		r.opts[n++] = htobe32((uint32_t)TCP_OPT_NOP << 24 | TCP_OPT_WSCALE << 16 | 3 << 8 |
				      st->ip->rcv_wscale);
	r.seq = iss;
	r.ack =
	    pkt->seq + 1; /* data on a SYN is not taken: it comes again (RFC 7413 is not spoken) */
	r.window = window;
	r.flags = TCP_SYN | TCP_ACK;
	r.n_opts = (uint8_t)n;
	r.payload = NULL;
	r.payload_len = 0;
	r.payload_sum = 0;
	if (reply_tcp_via(st, pkt, &path, &r, out))
		count(st, STACK_synack_tx);
}

static void syn_go_on(struct stack *st, const struct syn *s, uint64_t now_ns, struct frame_out *out)
{
	const struct packet *pkt = s->pkt;
	const struct tcp_options *o = &pkt->opt;
	struct synring_entry e = {
		.isn = pkt->seq,
		.ts_recent = o->ts_val,
		.src_port = pkt->src_port,
		.word = synring_word(pkt->own_index, s->listener,
		    o->mss ? (o->mss > 16383 ? 16383 : o->mss) : cookie_mss(pkt->v4, 1),
		    o->has_wscale ? o->wscale : 15, o->sack_ok, o->has_ts),
	};

	memcpy(e.src, pkt->src.b, 16);
	bool kept = synring_put(&st->ip->ring, s->hash, &e, now_ns);
	if (!kept)
		count(st, STACK_synring_full);
	/* Without a place in the ring only what the timestamp can carry is agreed to. */
	bool options = kept || o->has_ts;
	synack_reply(st, pkt, cookie_make(s->hash, cookie_mss_index(pkt->v4, o->mss)),
	    st->ip->synack_window, o->has_ts, options && o->has_wscale, options && o->sack_ok,
	    now_ns, out);
}

static void syn_trap(
    struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct ip_half *ip = st->ip;
	uint32_t iss = cookie_trap(&ip->cookies, ip->cookies.key, pkt->v4, &pkt->src, &pkt->dst,
	    pkt->src_port, pkt->dst_port, pkt->seq, cookie_epoch(now_ns) / COOKIE_TRAP_EPOCHS);

	ip->trap_until_ns = now_ns + 2ull * COOKIE_TRAP_EPOCHS * COOKIE_EPOCH_S * 1000000000u;
	synack_reply(st, pkt, iss, 0, false, false, false, now_ns, out);
}

/* Answers those of one family whose verdict needs a hash. */
static void syns_answer(
    struct stack *st, struct syn *syns, unsigned n, bool v4, uint64_t now_ns, struct frame_out *out)
{
	struct ip_half *ip = st->ip;
	struct cookie_batch b;
	uint32_t epoch = cookie_epoch(now_ns);
	unsigned k = 0;

	b.n = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct packet *p = syns[i].pkt;
		if (p->v4 != v4)
			continue;
		ratelimit_prefetch(&ip->cap_synack, prefix_key(&p->src, v4));
		cookie_batch_add(&b, v4, &p->src, &p->dst, p->src_port, p->dst_port, p->seq, epoch);
	}
	if (!b.n)
		return;
	cookie_batch_run(&ip->cookies, ip->cookies.key, &b, v4);
	for (unsigned i = 0; i < n; i++) {
		if (syns[i].pkt->v4 != v4)
			continue;
		syns[i].hash = b.hash[k++];
		if (syns[i].verdict == SYN_GO_ON)
			synring_prefetch(&ip->ring, syns[i].hash);
	}
	for (unsigned i = 0; i < n; i++) {
		struct syn *s = &syns[i];
		if (s->pkt->v4 != v4)
			continue;
		if (!synack_allowed(st, s->pkt, now_ns, out))
			continue;
		if (s->verdict == SYN_GO_ON)
			syn_go_on(st, s, now_ns, out);
		else /* MSS alone (DESIGN): nothing else is needed for one segment */
			synack_reply(st, s->pkt,
			    cookie_make(s->hash, COOKIE_MSS_INDEXES + s->refuse_class),
			    ip->synack_window, false, false, false, now_ns, out);
	}
}

void listen_syns(struct stack *st, struct packet *const *pkts, unsigned n, bool conns,
    uint64_t now_ns, struct frame_out *out)
{
	struct syn_judgement judge[SIPHASH_LANES];
	struct syn syns[SIPHASH_LANES];
	unsigned m = 0;

	for (unsigned i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		int l = listener_find(st, p);
		if (l < 0) {
			/* Not for a listener: a connection of the client role (simultaneous open), or
			 * nobody's. */
			if (conn_input(st, p, now_ns, out))
				out_drop(out, p->frame);
			else if (p->dst_own)
				reply_rst(st, p, now_ns, out);
			else {
				count(st, STACK_ip_dst_other);
				out_drop(out, p->frame);
			}
			continue;
		}
		syns[m].pkt = p;
		syns[m].listener = (uint8_t)l;
		judge[m].src = p->src;
		judge[m].dst = p->dst;
		judge[m].src_port = p->src_port;
		judge[m].dst_port = p->dst_port;
		judge[m].listener = st->config.listeners[l].id;
		judge[m].verdict = SYN_GO_ON;
		judge[m].refuse_class = 0;
		m++;
	}
	if (!m)
		return;
	st->counters[STACK_syn_rx] += m;
	st->host.judge_syns(st->host.arg, judge, m);
	struct packet *going_on[SIPHASH_LANES];
	unsigned left = 0, v6 = 0, n_going_on = 0;
	for (unsigned i = 0; conns && i < m; i++) {
		if (judge[i].verdict == SYN_GO_ON)
			going_on[n_going_on++] = syns[i].pkt;
	}
	conn_prefetch(st, going_on, n_going_on);
	for (unsigned i = 0; i < m; i++) {
		struct packet *p = syns[i].pkt;
		struct syn s = { p, 0, syns[i].listener, judge[i].verdict, judge[i].refuse_class };
		switch ((enum syn_verdict)s.verdict) {
		case SYN_GO_ON:
			/* A flow that exists answers for itself, unless its TIME-WAIT may be reused. */
			if (conns && !p->no_flow && !conn_timewait_reuse(st, p, now_ns) &&
			    conn_input(st, p, now_ns, out)) {
				out_drop(out, p->frame);
				continue;
			}
			if (st->ip->tarpit.count)
				tarpit_forget(st, p);
			break;
		case SYN_REFUSE:
			if (s.refuse_class >= STACK_REFUSE_CLASSES)
				s.refuse_class = 0;
			break;
		case SYN_TRAP:
			count(st, STACK_syn_trapped);
			if (synack_allowed(st, p, now_ns, out))
				syn_trap(st, p, now_ns, out);
			continue;
		case SYN_RESET:
			count(st, STACK_syn_reset);
			reply_rst(st, p, now_ns, out);
			continue;
		case SYN_DROP:
		default:
			count(st, STACK_syn_dropped);
			out_drop(out, p->frame);
			continue;
		}
		v6 += !p->v4;
		syns[left++] = s;
	}
	if (left > v6)
		syns_answer(st, syns, left, true, now_ns, out);
	if (v6)
		syns_answer(st, syns, left, false, now_ns, out);
}

/* ---- what belongs to no connection ---- */

enum proof { PROOF_NONE, PROOF_GO_ON, PROOF_REFUSE, PROOF_REFUSE_END };

/* What a segment proves, given the hash of its tuple with ISN = seq - 1. */
static enum proof proof_of(
    const struct stack *st, const struct packet *p, uint64_t hash, unsigned *ret_index)
{
	int index = cookie_check(hash, p->ack - 1);

	if (index >= 0) {
		*ret_index = (unsigned)index;
		return index < COOKIE_MSS_INDEXES ? PROOF_GO_ON : PROOF_REFUSE;
	}
	for (unsigned c = 0; c < STACK_REFUSE_CLASSES; c++) {
		const struct refusal *t = &st->ip->refusals[c];
		uint32_t cookie = cookie_make(hash, COOKIE_MSS_INDEXES + c),
			 end = p->ack - cookie - 2;
		if (end == t->len || (t->previous_len && end == t->previous_len)) {
			*ret_index = COOKIE_MSS_INDEXES + c;
			return PROOF_REFUSE_END;
		}
	}
	return PROOF_NONE;
}

/* Nothing known yet, or a connection to open of which the SYN ring may tell more. */
static bool is_unsettled(const struct stack *st, const struct other *o)
{
	return o->proof == PROOF_NONE || (o->proof == PROOF_GO_ON && !o->ring && st->ip->ring.count);
}

static void find_in_ring(struct stack *st, struct other *o, uint64_t hash, uint64_t now_ns)
{
	const struct packet *p = o->pkt;

	o->ring = synring_find(
	    &st->ip->ring, hash, &p->src, p->src_port, p->own_index, p->seq - 1, now_ns);
}

/* Hashes those of one family under one key and epoch and notes what they prove; returns how many
 * of them are left unsettled. */
static unsigned others_prove_by(
    struct stack *st, struct other *o, unsigned n, bool v4, const uint8_t key[16], uint32_t epoch)
{
	struct cookie_batch b;
	struct other *hashed[SIPHASH_LANES];
	unsigned unsettled = 0;

	b.n = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct packet *p = o[i].pkt;
		if (!p || o[i].listener < 0 || p->v4 != v4 || !is_unsettled(st, &o[i]))
			continue;
		hashed[b.n] = &o[i];
		cookie_batch_add(
		    &b, v4, &p->src, &p->dst, p->src_port, p->dst_port, p->seq - 1, epoch);
	}
	if (!b.n)
		return 0;
	cookie_batch_run(&st->ip->cookies, key, &b, v4);
	for (unsigned i = 0; i < b.n; i++) {
		struct other *h = hashed[i];
		const struct packet *p = h->pkt;
		h->hash = b.hash[i];
		if (h->proof == PROOF_NONE && (p->flags & (TCP_ACK | TCP_RST)) == TCP_ACK)
			h->proof = (uint8_t)proof_of(st, p, b.hash[i], &h->index);
		unsettled += is_unsettled(st, h);
	}
	return unsettled;
}

/* What the SYN ring knows of those whose hash was taken last. */
static void others_ring(struct stack *st, struct other *o, unsigned n, uint64_t now_ns)
{
	for (unsigned i = 0; i < n && st->ip->ring.count; i++) {
		if (o[i].pkt && o[i].listener >= 0 && !o[i].ring && is_unsettled(st, &o[i]))
			synring_prefetch(&st->ip->ring, o[i].hash);
	}
	for (unsigned i = 0; i < n && st->ip->ring.count; i++) {
		if (o[i].pkt && o[i].listener >= 0 && !o[i].ring && is_unsettled(st, &o[i]))
			find_in_ring(st, &o[i], o[i].hash, now_ns);
	}
}

/* Both families under another key or epoch, and what the ring knows then. */
static void others_prove(struct stack *st, struct other *o, unsigned n, const uint8_t key[16],
    uint32_t epoch, uint64_t now_ns)
{
	unsigned left = others_prove_by(st, o, n, true, key, epoch);

	left += others_prove_by(st, o, n, false, key, epoch);
	if (left)
		others_ring(st, o, n, now_ns);
}

/* A trapped client's ACKs and window probes: the former's ISN is seq - 1, the latter's seq. */
static bool is_trapped(struct stack *st, const struct packet *p, uint64_t now_ns, uint32_t *ret_isn)
{
	struct ip_half *ip = st->ip;
	uint32_t epoch = cookie_epoch(now_ns) / COOKIE_TRAP_EPOCHS;

	if (now_ns >= ip->trap_until_ns || !(p->flags & TCP_ACK))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		uint32_t isn = p->seq - (i & 1 ? 0 : 1);
		if (cookie_trap(&ip->cookies, ip->cookies.key, p->v4, &p->src, &p->dst, p->src_port,
			p->dst_port, isn, epoch - i / 2) == p->ack - 1) {
			*ret_isn = isn;
			return true;
		}
	}
	return false;
}

/* Silence for an ACK; a window of zero for whoever probes or sends; nothing ever opens. */
static void trap_answer(
    struct stack *st, const struct packet *p, uint32_t isn, uint64_t now_ns, struct frame_out *out)
{
	struct reply r = { .seq = p->ack, .ack = isn + 1, .window = 0, .flags = TCP_ACK };

	count(st, STACK_trap_held);
	if (p->flags & (TCP_RST | TCP_FIN | TCP_SYN) || (!p->payload_len && p->seq == isn + 1) ||
	    !ratelimit_take(&st->ip->cap_rst, prefix_key(&p->src, p->v4), now_ns)) {
		out_drop(out, p->frame);
		return;
	}
	reply_tcp(st, p, &r, now_ns, out);
}

static void open_connection(
    struct stack *st, struct other *o, uint64_t now_ns, struct frame_out *out)
{
	struct packet *p = o->pkt;
	struct conn_seed seed = {
		.iss = p->ack - 1,
		.irs = p->seq - 1,
		.peer_mss = cookie_mss(p->v4, o->index),
		.listener = st->config.listeners[o->listener].id,
	};
	const struct synring_entry *e = o->ring;

	if (e) {
		seed.peer_mss = e->mss;
		seed.timestamps = e->ts && p->opt.has_ts;
		seed.has_wscale = e->wscale != 15;
		seed.snd_wscale = seed.has_wscale ? e->wscale : 0;
		seed.sack = e->sack;
		seed.syn_ns = synring_born_ns(e, now_ns);
	} else if (p->opt.has_ts && cookie_ts_read(ts_clock(now_ns), p->opt.ts_ecr,
					&seed.has_wscale, &seed.snd_wscale, &seed.sack)) {
		seed.timestamps = true;
	}
	if (seed.has_wscale)
		seed.rcv_wscale = st->ip->rcv_wscale;
	int r = conn_from_cookie(st, p, &seed, now_ns, out);
	if (r < 0) {
		count(st, STACK_conn_refused_full);
		reply_rst(st, p, now_ns, out);
	} else {
		count(st, STACK_cookie_good);
		out_drop(out, p->frame);
	}
	if (o->ring)
		synring_remove(&st->ip->ring, o->ring);
}

static void bad_ack(struct stack *st, struct other *o, uint64_t now_ns, struct frame_out *out)
{
	const struct packet *p = o->pkt;
	uint32_t isn;

	if (p->flags & TCP_SYN && p->flags & TCP_FIN && !(p->flags & TCP_ACK) &&
	    listener_find(st, p) >= 0) {
		count(st, STACK_syn_fin);
		out_drop(out, p->frame);
		return;
	}
	if (o->listener >= 0 && p->flags & TCP_ACK) {
		if (is_trapped(st, p, now_ns, &isn)) {
			trap_answer(st, p, isn, now_ns, out);
			return;
		}
		count(st, STACK_cookie_bad);
		tally_add(&st->ip->bad_acks, prefix_key(&p->src, p->v4), now_ns);
	}
	reply_rst(st, p, now_ns, out);
}

/* A RST that names the next sequence number ends a half-open handshake (RFC 9293 3.10.7.4): no
 * SYN-ACK is sent again to someone who never asked. */
static void other_rst(struct stack *st, struct other *o, struct frame_out *out)
{
	if (o->ring) {
		synring_remove(&st->ip->ring, o->ring);
		count(st, STACK_synring_reset);
	}
	out_drop(out, o->pkt->frame);
}

void listen_others_begin(struct stack *st, struct others *others, struct packet *const *pkts,
    unsigned n, uint64_t now_ns, struct frame_out *out)
{
	struct ip_half *ip = st->ip;
	struct other *o = others->o + others->n;
	unsigned m = 0, v6 = 0;

	for (unsigned i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		if (!p->dst_own) {
			count(st, STACK_ip_dst_other);
			out_drop(out, p->frame);
			continue;
		}
		int l = listener_find(st, p);
		bool interesting = p->flags & TCP_RST ? ip->ring.count != 0
						      : (p->flags & (TCP_ACK | TCP_SYN)) == TCP_ACK;
		o[m].pkt = p;
		o[m].ring = NULL;
		o[m].index = 0;
		o[m].proof = PROOF_NONE;
		o[m].listener = (int8_t)(interesting ? l : -1);
		v6 += !p->v4;
		m++;
	}
	others->n += m;
	/* The current epoch settles nearly everything; the rest waits for what the tarpit knows. */
	if (m > v6)
		others_prove_by(st, o, m, true, ip->cookies.key, cookie_epoch(now_ns));
	if (v6)
		others_prove_by(st, o, m, false, ip->cookies.key, cookie_epoch(now_ns));
	/* Asked after the cookies: those who are refused without state need not pay for it. */
	for (unsigned i = 0; i < m && ip->tarpit.count; i++) {
		if (o[i].proof == PROOF_NONE || o[i].proof == PROOF_GO_ON)
			o[i].tarpit = tarpit_prefetch_bucket(st, o[i].pkt);
	}
}

/* Refusals leave, and held clients' segments. Returns how many segments are left. */
static unsigned others_leave(
    struct stack *st, struct other *o, unsigned n, uint64_t now_ns, struct frame_out *out)
{
	bool tarpit = st->ip->tarpit.count;
	unsigned left = n;

	for (unsigned i = 0; i < n && tarpit; i++) {
		if (o[i].proof == PROOF_NONE || o[i].proof == PROOF_GO_ON)
			tarpit_prefetch_record(st, o[i].tarpit);
	}
	for (unsigned i = 0; i < n; i++) {
		if (o[i].proof == PROOF_REFUSE)
			refuse_send(st, o[i].pkt, o[i].index - COOKIE_MSS_INDEXES, now_ns, out);
		else if (o[i].proof == PROOF_REFUSE_END)
			refuse_finish(st, o[i].pkt, now_ns, out);
		else
			continue;
		o[i].pkt = NULL;
		left--;
	}
	for (unsigned i = 0; i < n && tarpit && left; i++) {
		if (o[i].pkt && tarpit_input(st, o[i].pkt, o[i].tarpit, now_ns, out)) {
			o[i].pkt = NULL;
			left--;
		}
	}
	return left;
}

void listen_others_end(
    struct stack *st, struct others *others, uint64_t now_ns, struct frame_out *out)
{
	struct ip_half *ip = st->ip;
	struct other *o = others->o;
	unsigned m = others->n;
	uint32_t epoch = cookie_epoch(now_ns);
	bool opened = false;

	if (!others_leave(st, o, m, now_ns, out))
		return;
	others_ring(st, o, m, now_ns);
	others_prove(st, o, m, ip->cookies.key, epoch - 1, now_ns);
	if (__builtin_expect(cookie_previous_valid(&ip->cookies, now_ns), 0)) {
		others_prove(st, o, m, ip->cookies.previous, epoch, now_ns);
		others_prove(st, o, m, ip->cookies.previous, epoch - 1, now_ns);
	}
	for (unsigned i = 0; i < m; i++) {
		struct packet *p = o[i].pkt;
		if (!p)
			continue;
		/* A connection that this very burst opened answers for its other segments. */
		if (opened && conn_input(st, p, now_ns, out)) {
			out_drop(out, p->frame);
			continue;
		}
		if (p->flags & TCP_RST) {
			other_rst(st, &o[i], out);
			continue;
		}
		switch ((enum proof)o[i].proof) {
		case PROOF_GO_ON:
			if (!o[i].ring &&
			    tally_over(&ip->bad_acks, prefix_key(&p->src, p->v4), now_ns)) {
				count(st, STACK_cookie_distrusted);
				reply_rst(st, p, now_ns, out);
				break;
			}
			open_connection(st, &o[i], now_ns, out);
			opened = true;
			break;
		case PROOF_REFUSE:
			refuse_send(st, p, o[i].index - COOKIE_MSS_INDEXES, now_ns, out);
			break;
		case PROOF_REFUSE_END: refuse_finish(st, p, now_ns, out); break;
		case PROOF_NONE: bad_ack(st, &o[i], now_ns, out); break;
		}
	}
}

/* ---- SYN-ACKs sent again ---- */

static void synack_again(
    struct stack *st, const struct synring_entry *e, uint64_t now_ns, struct frame_out *out)
{
	struct ip_half *ip = st->ip;
	struct ip_addr src = ip_addr_from_v6(e->src), dst = st->config.addrs[e->own].addr;
	const struct stack_listener *l = &st->config.listeners[e->listener];
	bool v4 = ip_addr_is_v4(&src);
	uint64_t born_ns = synring_born_ns(e, now_ns);
	const uint8_t *key = ip->cookies.rotated_ns && born_ns < ip->cookies.rotated_ns
				 ? ip->cookies.previous
				 : ip->cookies.key;
	struct ip_path path;

	if (!ratelimit_take(&ip->cap_synack, prefix_key(&src, v4), now_ns)) {
		count(st, STACK_synack_capped);
		return;
	}
	if (ip_path_resolve(st, &src, now_ns, &path) < 0)
		return;
	uint64_t hash = cookie_hash(
	    &ip->cookies, key, v4, &src, &dst, e->src_port, l->port, e->isn, cookie_epoch(born_ns));
	bool wscale = e->wscale != 15;
	struct tcp_segment seg = {
		.src = &dst,
		.dst = &src,
		.src_port = l->port,
		.dst_port = e->src_port,
		.seq = cookie_make(hash, cookie_mss_index(v4, (uint16_t)e->mss)),
		.ack = e->isn + 1,
		.window = ip->synack_window,
		.flags = TCP_SYN | TCP_ACK,
		.opt = {
			.mss = (uint16_t)(ip->netifs[path.netif].mtu - (v4 ? IP4_LEN : IP6_LEN) - TCP_LEN),
			.has_wscale = wscale,
			.wscale = ip->rcv_wscale,
			.sack_ok = e->sack,
			.has_ts = e->ts,
			.ts_val = cookie_ts_make(ts_clock(now_ns), wscale, e->wscale, e->sack),
			.ts_ecr = e->ts_recent,
		},
	};
	if (ip_emit_tcp(st, &path, &seg, now_ns, out) == EMIT_SENT)
		count(st, STACK_synack_again);
}

void listen_output(struct stack *st, uint64_t now_ns, struct frame_out *out)
{
	enum { AGAIN_PER_TURN = 64 };
	struct synring_entry *e;

	for (unsigned i = 0; i < AGAIN_PER_TURN && (e = synring_due(&st->ip->ring, now_ns)); i++)
		synack_again(st, e, now_ns, out);
}

void stack_set_cookie_key(struct stack *st, const uint8_t key[16])
{
	cookie_rotate(&st->ip->cookies, key, st->ip->now_ns);
}
