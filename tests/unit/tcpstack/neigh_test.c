/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP and ND: both roles, probing, expiry, conflicts, bounds, and answers by route. */
#include "lab.h"

static const uint8_t other_mac[6] = { 2, 0, 0, 0, 0, 0x66 };
static const struct ip_addr unspecified;
static const struct ip_addr all_nodes = { { 0xff, 2, [15] = 1 } };

static struct ip_addr neighbour(struct lab *l, unsigned host)
{
	return l->v4 ? lab_addr4(192, 0, 2, host) : lab_addr6(0, host);
}

/* A question of somebody on the link about `target`. */
static struct frame question(
    struct lab *l, const uint8_t mac[6], struct ip_addr src, struct ip_addr target)
{
	if (l->v4)
		return lab_arp(l, ARP_REQUEST, mac,
		    ip_addr_eq(&src, &unspecified) ? lab_addr4(0, 0, 0, 0) : src, target);
	struct ip_addr m = { { 0xff, 2, [11] = 1, [12] = 0xff } };
	memcpy(m.b + 13, target.b + 13, 3);
	return lab_nd(l, ND_NS, 0, mac, src, m, target,
	    ip_addr_eq(&src, &unspecified) ? 0 : ND_OPT_SOURCE_LL);
}

static struct frame answer(struct lab *l, const uint8_t mac[6], struct ip_addr who)
{
	if (l->v4)
		return lab_arp(l, ARP_REPLY, mac, who, l->own);
	return lab_nd(l, ND_NA, 0x60000000, mac, who, l->own, who, ND_OPT_TARGET_LL);
}

/* An unasked announcement to all. */
static struct frame announcement(struct lab *l, const uint8_t mac[6], struct ip_addr who)
{
	if (l->v4)
		return lab_arp(l, ARP_REQUEST, mac, who, who);
	return lab_nd(l, ND_NA, 0x20000000, mac, who, all_nodes, who, ND_OPT_TARGET_LL);
}

static void put(struct lab *l, struct frame f)
{
	lab_in(l, &f, 1);
}

enum sent { NOTHING, ASKS, ANSWERS, PROBES, ANNOUNCES };

/* What frame i of the output is, and about whom; dst MAC must be `mac` unless NULL. */
static enum sent sent_is(struct lab *l, unsigned i, struct ip_addr *ret_target, const uint8_t *mac)
{
	const struct frame *f = &l->out.tx[i];
	const uint8_t *p = f->data + 14;

	if (mac)
		assert_memory_equal(f->data, mac, 6);
	assert_memory_equal(f->data + 6, lab_mac, 6);
	if (rd16(f->data + 12) == ETH_TYPE_ARP) {
		struct ip_addr sender = ip_addr_from_v4(p + 14), target = ip_addr_from_v4(p + 24);
		*ret_target = rd16(p + 6) == ARP_REPLY ? sender : target;
		assert_memory_equal(p + 8, lab_mac, 6);
		if (rd16(p + 6) == ARP_REPLY)
			return ANSWERS;
		if (rd32(sender.b + 12) == 0)
			return PROBES;
		return ip_addr_eq(&sender, &target) ? ANNOUNCES : ASKS;
	}
	if (rd16(f->data + 12) != ETH_TYPE_IP6 || p[6] != PROTO_ICMP6)
		return NOTHING;
	unsigned len = rd16(p + 4);
	assert_int_equal(p[7], 255);
	assert_int_equal(
	    csum_fold(csum_add(csum_pseudo6(p + 8, p + 24, PROTO_ICMP6, len), p + 40, len)), 0xffff);
	*ret_target = ip_addr_from_v6(p + 48);
	if (p[40] == ND_NS)
		return memcmp(p + 8, unspecified.b, 16) ? ASKS : PROBES;
	return p[44] & 0x40 ? ANSWERS : ANNOUNCES;
}

static unsigned count_sent(struct lab *l, enum sent what, struct ip_addr about)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->out.n_tx; i++) {
		struct ip_addr t = unspecified;
		n += sent_is(l, i, &t, NULL) == what && ip_addr_eq(&t, &about);
	}
	return n;
}

static void answers_questions_about_us(void **state)
{
	struct lab *l = *state;
	struct ip_addr t;

	put(l, question(l, other_mac, neighbour(l, 50), l->own));
	assert_int_equal(l->out.n_tx, 1);
	assert_int_equal(sent_is(l, 0, &t, other_mac), ANSWERS);
	assert_true(ip_addr_eq(&t, &l->own));
	lab_out_free(l);
	put(l, question(l, other_mac, neighbour(l, 50), neighbour(l, 51)));
	assert_int_equal(l->out.n_tx, 0);
}

static void who_asks_is_known(void **state)
{
	struct lab *l = *state;

	l->peer = neighbour(l, 50);
	put(l, question(l, other_mac, l->peer, l->own));
	lab_out_free(l);
	lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	assert_int_equal(l->out.n_tx, 1);
	assert_memory_equal(l->out.tx[0].data, other_mac, 6);
}

static void unknown_neighbour_is_asked_for(void **state)
{
	struct lab *l = *state;
	struct ip_addr t;

	l->peer = neighbour(l, 60);
	lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->counters[STACK_tx_no_neigh], 1);
	lab_turn(l);
	assert_int_equal(l->out.n_tx, 1);
	assert_int_equal(sent_is(l, 0, &t, NULL), ASKS);
	assert_true(ip_addr_eq(&t, &l->peer));
	lab_out_free(l);
	put(l, answer(l, other_mac, l->peer));
	lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	assert_int_equal(l->out.n_tx, 1);
	assert_memory_equal(l->out.tx[0].data, other_mac, 6);
}

/* A question and its answer to whom: the SYN-ACK waits for the MAC, the latest of several. */
static void answer_is_held_until_resolved(void **state)
{
	struct lab *l = *state;

	l->peer = neighbour(l, 60);
	lab_send(l, &(struct lab_seg){ .seq = 100, .flags = TCP_SYN });
	lab_send(l, &(struct lab_seg){ .seq = 200, .flags = TCP_SYN, .src_port = 40001 });
	assert_int_equal(l->counters[STACK_neigh_held_replaced], 1);
	assert_int_equal(l->counters[STACK_synack_tx], 0);
	lab_turn(l);
	lab_out_free(l);
	l->now += 1000000;
	l->n_known = 0;
	put(l, answer(l, lab_gateway_mac, l->peer));
	assert_int_equal(l->out.n_tx, 0);
	lab_turn(l);
	assert_int_equal(l->n_known, 1);
	assert_int_equal(l->out.n_tx, 1);
	struct lab_reply r = lab_reply(l, 0);
	assert_int_equal(r.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(r.ack, 201);
	assert_int_equal(r.dst_port, 40001);
	assert_int_equal(l->counters[STACK_neigh_held_sent], 1);
	lab_out_free(l);
	lab_turn(l); /* once */
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->n_known, 1);
}

static void held_refusal_of_a_stranger_waits_for_the_gateway(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;

	lab_config(&c);
	struct lab *l = lab_new_with(&c, l0->v4, false);
	l->verdict = SYN_REFUSE;
	lab_send(l, &(struct lab_seg){ .seq = 100, .flags = TCP_SYN });
	lab_turn(l);
	lab_out_free(l);
	lab_learn(l);
	lab_turn(l);
	unsigned n = 0;
	for (unsigned i = 0; i < l->out.n_tx; i++)
		n += rd16(l->out.tx[i].data + 12) == (l->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6) &&
		     l->out.tx[i].data[14 + (l->v4 ? 9 : 6)] == PROTO_TCP;
	assert_int_equal(n, 1);
	lab_free(l);
	lab_now = l0;
}

static void held_answer_without_room_goes_soon(void **state)
{
	struct lab *l = *state;

	l->peer = neighbour(l, 60);
	lab_send(l, &(struct lab_seg){ .seq = 100, .flags = TCP_SYN });
	lab_turn(l);
	lab_out_free(l);
	put(l, answer(l, lab_gateway_mac, l->peer));
	l->out.cap_tx = 0;
	lab_turn(l);
	l->out.cap_tx = LAB_FRAMES;
	assert_true(stack_next_deadline(l->st) <= l->now + 10000000);
	l->now += 10000000;
	lab_turn(l);
	assert_int_equal(l->out.n_tx, 1);
	assert_int_equal(lab_reply(l, 0).ack, 101);
}

static void held_answers_have_bounds(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;

	lab_config(&c);
	c.max_neigh = 32;
	struct lab *l = lab_new_with(&c, l0->v4, true);
	for (unsigned i = 0; i < 8; i++) { /* a quarter of the table, as many as there are buffers */
		l->peer = neighbour(l, 100 + i);
		lab_send(l, &(struct lab_seg){ .seq = i, .flags = TCP_SYN });
	}
	assert_int_equal(l->st->ip->neigh.held_free, NEIGH_NONE);
	/* A gateway that is gone comes on top: no buffer is left for it. */
	uint16_t gw = neigh_find(&l->st->ip->neigh, 0, &l->gateway);
	neigh_hold(l->st, gw, l->v4, l->out.drop[0].data + 14, 40);
	assert_int_equal(l->counters[STACK_neigh_held_full], 1);
	for (unsigned i = 0; i < 50; i++) { /* nobody answers: all are let go */
		l->now += 100000000u;
		lab_turn(l);
	}
	assert_true(l->counters[STACK_neigh_held_dropped] >= 8);
	assert_int_equal(l->counters[STACK_neigh_held_sent], 0);
	unsigned n = 0;
	for (uint16_t h = l->st->ip->neigh.held_free; h != NEIGH_NONE; n++)
		h = l->st->ip->neigh.held[h].next_free;
	assert_int_equal(n, 8);
	lab_free(l);
	lab_now = l0;
}

static void held_echo(void **state)
{
	struct lab *l = *state;
	struct frame f = lab_frame(l);
	struct ip_addr who = neighbour(l, 60);
	unsigned hdr = l->v4 ? 20 : 40;

	memcpy(f.data, lab_mac, 6);
	memcpy(f.data + 6, lab_gateway_mac, 6);
	wr16(f.data + 12, l->v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	uint8_t *p = ip_write(
	    f.data + 14, l->v4, &who, &l->own, l->v4 ? PROTO_ICMP : PROTO_ICMP6, 16, 64, true);
	memset(p, 0, 16);
	p[0] = l->v4 ? ICMP4_ECHO : ICMP6_ECHO;
	p[15] = 0x5a;
	uint64_t sum = l->v4 ? 0 : csum_pseudo6(who.b, l->own.b, PROTO_ICMP6, 16);
	st16(p + 2, csum_finish(csum_add(sum, p, 16)));
	f.len = (uint16_t)(14 + hdr + 16);
	put(l, f);
	lab_turn(l);
	lab_out_free(l);
	put(l, answer(l, other_mac, who));
	lab_turn(l);
	assert_int_equal(l->out.n_tx, 1);
	assert_memory_equal(l->out.tx[0].data, other_mac, 6);
	p = l->out.tx[0].data + 14 + hdr;
	assert_int_equal(p[0], l->v4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY);
	assert_int_equal(p[15], 0x5a);
}

static void three_questions_then_failed(void **state)
{
	struct lab *l = *state;
	unsigned asked = 0;

	l->peer = neighbour(l, 60);
	lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	for (unsigned i = 0; i < 60; i++) {
		lab_turn(l);
		asked += count_sent(l, ASKS, l->peer);
		lab_out_free(l);
		l->now += 100000000u;
	}
	/* Three, a pause, and the end: nobody wants it any more. The SYN ring gives up at 8 s. */
	assert_in_range(asked, 3, 6);
	assert_true(l->counters[STACK_neigh_failed] >= 1);
	for (unsigned i = 0; i < 200; i++) {
		l->now += 100000000u;
		lab_turn(l);
	}
	assert_int_equal(neigh_find(&l->st->ip->neigh, 0, &l->peer), NEIGH_NONE);
}

static void gateway_is_asked_at_start_and_watched(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;
	unsigned route = l0->v4 ? 0 : 1, asked = 0;

	lab_config(&c);
	struct lab *l = lab_new_with(&c, l0->v4, false);
	assert_false(stack_route_reachable(l->st, route));
	lab_turn(l);
	assert_int_equal(count_sent(l, ASKS, l->gateway), 1);
	lab_learn(l);
	assert_true(stack_route_reachable(l->st, route));
	lab_out_free(l);
	for (unsigned i = 0; i < 400; i++) { /* 40 s: reachable runs out, it is asked by unicast */
		l->now += 100000000u;
		lab_turn(l);
		for (unsigned k = 0; k < l->out.n_tx; k++) {
			struct ip_addr t = unspecified;
			if (sent_is(l, k, &t, NULL) == ASKS && ip_addr_eq(&t, &l->gateway)) {
				assert_memory_equal(l->out.tx[k].data, lab_gateway_mac, 6);
				asked++;
			}
		}
		lab_out_free(l);
	}
	assert_int_equal(asked, 3);
	assert_false(stack_route_reachable(l->st, route)); /* and counts as gone when silent */
	put(l, answer(l, other_mac, l->gateway));          /* another machine has taken its place */
	assert_true(stack_route_reachable(l->st, route));
	lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	assert_memory_equal(l->out.tx[0].data, other_mac, 6);
	lab_free(l);
	lab_now = l0;
}

static void start_probes_then_announces(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;
	unsigned probes = 0, announces = 0;

	lab_config(&c);
	struct lab *l = lab_new_with(&c, l0->v4, false);
	for (unsigned i = 0; i < 100; i++) {
		lab_turn(l);
		assert_true(!announces || !count_sent(l, PROBES, l->own));
		probes += count_sent(l, PROBES, l->own);
		announces += count_sent(l, ANNOUNCES, l->own);
		lab_out_free(l);
		l->now += 100000000u;
	}
	assert_int_equal(probes, l->v4 ? 3 : 1);
	assert_int_equal(announces, 2);
	lab_free(l);
	lab_now = l0;
}

static void conflict_at_start(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;
	uint8_t mac[6] = { 0 };
	unsigned index = l0->v4 ? 0 : 1;

	lab_config(&c);
	for (unsigned how = 0; how < 2; how++) {
		struct lab *l = lab_new_with(&c, l0->v4, false);
		if (l->v4 || how)
			lab_turn(l);
		else
			l->now += 1;
		assert_false(stack_address_conflict(l->st, index, mac));
		if (how == 0) /* both probe at the same time */
			put(l, question(l, other_mac, unspecified, l->own));
		else /* it was there before */
			put(l, announcement(l, other_mac, l->own));
		assert_true(stack_address_conflict(l->st, index, mac));
		assert_memory_equal(mac, other_mac, 6);
		lab_out_free(l);
		lab_free(l);
	}
	lab_now = l0;
}

static void conflict_later_is_defended_once_in_10_s(void **state)
{
	struct lab *l = *state;
	uint8_t mac[6];
	unsigned index = l->v4 ? 0 : 1, announces = 0;

	for (unsigned i = 0; i < 50; i++) {
		put(l, announcement(l, other_mac, l->own));
		lab_turn(l);
		announces += count_sent(l, ANNOUNCES, l->own);
		lab_out_free(l);
		l->now += 100000000u;
	}
	assert_int_equal(announces, 1);
	assert_true(stack_address_conflict(l->st, index, mac));
	put(l, announcement(l, lab_mac, l->own)); /* our own voice, looped back, is none */
	for (unsigned i = 0; i < 700; i++) {
		l->now += 100000000u;
		lab_turn(l);
	}
	assert_false(stack_address_conflict(l->st, index, mac)); /* over after a minute of quiet */
}

static void probe_of_our_address_is_answered(void **state)
{
	struct lab *l = *state;
	struct ip_addr t = unspecified;

	put(l, question(l, other_mac, unspecified, l->own));
	assert_int_equal(l->out.n_tx, 1);
	assert_int_equal(sent_is(l, 0, &t, NULL), l->v4 ? ANSWERS : ANNOUNCES);
	assert_true(ip_addr_eq(&t, &l->own));
}

static void follower_learns_but_does_not_answer(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;

	lab_config(&c);
	c.neigh_follower = true;
	struct lab *l = lab_new_with(&c, l0->v4, true);
	put(l, question(l, other_mac, neighbour(l, 50), l->own));
	assert_int_equal(l->out.n_tx, 0);
	l->peer = neighbour(l, 50);
	lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	assert_int_equal(l->out.n_tx, 1);
	lab_free(l);
	lab_now = l0;
}

static void off_link_claims_are_ignored(void **state)
{
	struct lab *l = *state;

	put(l, question(l, other_mac, l->peer, l->own));
	assert_int_equal(l->counters[STACK_neigh_off_link], 1);
	assert_int_equal(neigh_find(&l->st->ip->neigh, 0, &l->peer), NEIGH_NONE);
}

static void unasked_answers_make_no_entry(void **state)
{
	struct lab *l = *state;
	struct ip_addr who = neighbour(l, 61);

	put(l, answer(l, other_mac, who));
	put(l, announcement(l, other_mac, who));
	assert_int_equal(neigh_find(&l->st->ip->neigh, 0, &who), NEIGH_NONE);
}

static void malformed_messages(void **state)
{
	struct lab *l = *state;

	for (unsigned i = 0; i < 7; i++) {
		struct frame f = question(l, other_mac, neighbour(l, 50), l->own);
		uint8_t *p = f.data + 14, *n = p + 40;
		if (l->v4) {
			static const uint8_t at[7] = { 1, 3, 4, 5, 7, 8, 0 };
			p[at[i]] = i == 5 ? 3 : 0x77;
		} else {
			if (i == 0)
				p[7] = 254; /* from beyond the link */
			else if (i == 1)
				n[1] = 1;
			else if (i == 2)
				n[8] = 0xff;
			else if (i == 3)
				n[25] = 0;
			else if (i == 4)
				n[25] = 9;
			else if (i == 5)
				n[26] |= 1;
			else
				wr16(p + 4, 16), f.len = 14 + 40 + 16;
			unsigned len = rd16(p + 4);
			wr16(n + 2, 0);
			st16(n + 2, csum_finish(csum_add(
					csum_pseudo6(p + 8, p + 24, PROTO_ICMP6, len), n, len)));
		}
		put(l, f);
		assert_int_equal(l->out.n_tx, 0);
	}
	assert_int_equal(l->counters[l->v4 ? STACK_arp_bad : STACK_nd_bad], 7);
}

static void router_messages_are_ignored(void **state)
{
	struct lab *l = *state;
	struct frame f =
	    lab_nd(l, 134, 0, other_mac, lab_addr6(0, 66), all_nodes, lab_addr6(0, 1), 0);

	put(l, f);
	assert_int_equal(l->counters[STACK_nd_ignored], 1);
}

static void table_has_bounds(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;

	lab_config(&c);
	c.max_neigh = 32;
	struct lab *l = lab_new_with(&c, l0->v4, true);
	for (unsigned i = 0; i < 100; i++) {
		l->peer = neighbour(l, 100 + i);
		lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	}
	/* Questions fill a quarter at most. */
	assert_true(l->st->ip->neigh.used <= 8 + 2);
	assert_true(l->counters[STACK_neigh_ask_capped] >= 90);
	lab_out_free(l);
	for (unsigned i = 0; i < 100; i++) {
		put(l, question(l, other_mac, neighbour(l, 100 + i), l->own));
		l->now += 1000000;
		lab_out_free(l);
	}
	struct stack_usage u;
	stack_usage(l->st, &u);
	assert_int_equal(u.neigh, 32);
	assert_true(l->counters[STACK_neigh_evicted] >= 60);
	assert_true(stack_route_reachable(l->st, l->v4 ? 0 : 1)); /* gateways stay */
	lab_free(l);
	lab_now = l0;
}

static void answers_go_by_route(void **state)
{
	struct lab *l0 = *state;
	struct stack_config c;
	static const uint8_t second_mac[6] = { 2, 0, 0, 0, 0, 0x22 };

	lab_config(&c);
	c.routes[2] =
	    (struct stack_route){ lab_addr4(198, 51, 100, 0), 24, lab_addr4(192, 0, 2, 2), 0 };
	c.routes[3] = (struct stack_route){ lab_addr6(0x99, 0), 64, lab_addr6(0, 2), 0 };
	c.n_routes = 4;
	struct lab *l = lab_new_with(&c, l0->v4, true);
	put(l, answer(l, second_mac, neighbour(l, 2)));
	/* It came from the default gateway, and goes back by the longer prefix. */
	lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
	assert_int_equal(l->out.n_tx, 1);
	assert_memory_equal(l->out.tx[0].data, second_mac, 6);
	lab_free(l);
	lab_now = l0;
}

#define BOTH(fn) LAB_TEST4(#fn "_v4", fn), LAB_TEST6(#fn "_v6", fn)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(answers_questions_about_us),
		BOTH(who_asks_is_known),
		BOTH(unknown_neighbour_is_asked_for),
		BOTH(answer_is_held_until_resolved),
		BOTH(held_refusal_of_a_stranger_waits_for_the_gateway),
		BOTH(held_answer_without_room_goes_soon),
		BOTH(held_answers_have_bounds),
		BOTH(held_echo),
		BOTH(three_questions_then_failed),
		BOTH(gateway_is_asked_at_start_and_watched),
		BOTH(start_probes_then_announces),
		BOTH(conflict_at_start),
		BOTH(conflict_later_is_defended_once_in_10_s),
		BOTH(probe_of_our_address_is_answered),
		BOTH(follower_learns_but_does_not_answer),
		BOTH(off_link_claims_are_ignored),
		BOTH(unasked_answers_make_no_entry),
		BOTH(malformed_messages),
		LAB_TEST6("router_messages_are_ignored", router_messages_are_ignored),
		BOTH(table_has_bounds),
		BOTH(answers_go_by_route),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
