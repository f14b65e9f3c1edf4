/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Validity: each malformed frame is dropped with its own counter and answered by nothing; then
 * half a million random mutations of good frames, which must neither crash nor lose a frame.
 */
#include "lab.h"

static struct frame good(struct lab *l)
{
	return lab_tcp(l,
	    &(struct lab_seg){ .seq = 1, .flags = TCP_SYN, .opts = lab_linux_syn, .n_opts = 20 });
}

static uint8_t *l3_of(struct frame *f)
{
	return f->data + 14;
}

static uint8_t *l4_of(struct lab *l, struct frame *f)
{
	return f->data + 14 + (l->v4 ? 20 : 40);
}

/* Sends it and expects nothing but this counter. */
static void expect_drop(struct lab *l, struct frame f, enum stack_counter reason)
{
	uint64_t before = l->counters[reason];

	lab_in(l, &f, 1);
	assert_int_equal(l->out.n_tx, 0);
	assert_int_equal(l->counters[reason], before + 1);
	lab_out_free(l);
}

static void expect_answer(struct lab *l, struct frame f)
{
	lab_in(l, &f, 1);
	assert_int_equal(l->out.n_tx, 1);
	lab_out_free(l);
}

static void good_frame_is_answered(void **state)
{
	struct lab *l = *state;

	expect_answer(l, good(l));
}

static void trailing_bytes_are_padding(void **state)
{
	struct lab *l = *state;
	struct frame f = good(l);

	memset(f.data + f.len, 0xa5, 20);
	f.len += 20;
	expect_answer(l, f);
}

static void short_frames(void **state)
{
	struct lab *l = *state;

	for (unsigned len = 0; len < 14 + (l->v4 ? 20u : 40u) + 40; len++) {
		struct frame f = good(l);
		f.len = (uint16_t)len;
		lab_in(l, &f, 1);
		assert_int_equal(l->out.n_tx, 0);
		lab_out_free(l);
	}
}

static void header_longer_than_segment(void **state)
{
	struct lab *l = *state;
	struct frame f = lab_tcp(l, &(struct lab_seg){ .flags = TCP_SYN, .data = "abcd", .len = 4 });

	l4_of(l, &f)[12] = 0x70; /* 28 of 24 bytes */
	lab_csum(&f, 14, l->v4);
	expect_drop(l, f, STACK_tcp_header_bad);
	f = good(l);
	l4_of(l, &f)[12] = 0x40;
	lab_csum(&f, 14, l->v4);
	expect_drop(l, f, STACK_tcp_header_bad);
}

static void wrong_checksum(void **state)
{
	struct lab *l = *state;
	struct frame f = good(l);

	l4_of(l, &f)[17] ^= 1;
	expect_drop(l, f, STACK_tcp_checksum_bad);
	f = good(l);
	l4_of(l, &f)[17] ^= 1;
	f.flags |= FRAME_RX_L4_CSUM_GOOD; /* the port has looked: we do not */
	expect_answer(l, f);
	f = good(l);
	f.flags |= FRAME_RX_CSUM_BAD;
	expect_drop(l, f, STACK_rx_csum_bad);
	if (l->v4) {
		f = good(l);
		l3_of(&f)[10] ^= 0x40;
		expect_drop(l, f, STACK_ip4_checksum_bad);
	}
}

static void port_zero(void **state)
{
	struct lab *l = *state;

	for (unsigned side = 0; side < 4; side += 2) {
		struct frame f = good(l);
		wr16(l4_of(l, &f) + side, 0);
		lab_csum(&f, 14, l->v4);
		expect_drop(l, f, STACK_tcp_port_zero);
	}
}

static void options(void **state)
{
	struct lab *l = *state;
	static const struct {
		uint8_t o[12];
		bool ok;
	} rows[] = {
		{ { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, true },
		{ { 253, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0 }, true }, /* unknown, skipped */
		{ { 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 }, true }, /* after the end nothing counts */
		{ { 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, false }, /* zero length */
		{ { 253, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
		{ { 253, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, false }, /* beyond the header */
		{ { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2 }, false },    /* kind at the very end */
		{ { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4 }, false },
		{ { 2, 3, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, false }, /* MSS of another length */
		{ { 8, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, false },
		{ { 3, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, false },
		{ { 4, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, false },
		{ { 5, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, false },
		{ { 2, 4, 5, 0xb4, 3, 3, 14, 1, 1, 1, 1, 0 }, true },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame f = lab_tcp(
		    l, &(struct lab_seg){ .flags = TCP_SYN, .opts = rows[i].o, .n_opts = 12 });
		if (rows[i].ok)
			expect_answer(l, f);
		else
			expect_drop(l, f, STACK_tcp_options_bad);
	}
}

static void wscale_is_at_most_14(void **state)
{
	(void)state;
	struct tcp_options o;
	static const uint8_t ws[4] = { 3, 3, 200, 0 };

	assert_true(packet_parse_options(ws, 4, &o));
	assert_int_equal(o.wscale, 14);
}

static void sack_blocks(void **state)
{
	(void)state;
	struct tcp_options o;
	uint8_t p[36] = { 1, 1, 5, 34 };

	for (unsigned i = 0; i < 8; i++)
		wr32(p + 4 + 4 * i, 100 * (i + 1));
	assert_true(packet_parse_options(p, 36, &o));
	assert_int_equal(o.n_sack, 4);
	assert_int_equal(o.sack[3].start, 700);
	assert_int_equal(o.sack[3].end, 800);
}

/* The whole-layout match and the loop must agree; the loop is forced by a NOP in front. */
static void known_layouts_equal_the_loop(void **state)
{
	(void)state;
	uint8_t p[24] = { 1, 1, 1, 1 };
	struct tcp_options a, b;

	memcpy(p + 4, lab_linux_syn, 20);
	assert_true(packet_parse_options(lab_linux_syn, 20, &a));
	assert_true(packet_parse_options(p, 24, &b));
	assert_true(a.mss == b.mss && a.mss == 1460 && a.wscale == b.wscale && a.wscale == 7);
	assert_true(a.has_ts && b.has_ts && a.ts_val == b.ts_val && a.ts_val == 0x1234 &&
		    a.sack_ok && b.sack_ok);
}

static void source_addresses(void **state)
{
	struct lab *l = *state;
	struct ip_addr bad4[] = { lab_addr4(127, 0, 0, 1), lab_addr4(224, 0, 0, 1),
		lab_addr4(0, 0, 0, 0), lab_addr4(255, 255, 255, 255), lab_addr4(192, 0, 2, 255),
		lab_addr4(192, 0, 2, 0) };
	struct ip_addr bad6[] = { { { [15] = 1 } }, { { 0 } }, { { 0xff, 2, [15] = 1 } },
		lab_addr4(198, 51, 100, 1) };
	struct ip_addr keep = l->peer;

	for (unsigned i = 0; i < (l->v4 ? 6 : 4); i++) {
		l->peer = l->v4 ? bad4[i] : bad6[i];
		expect_drop(l, good(l), STACK_ip_src_bad);
	}
	l->peer = l->own;
	expect_drop(l, good(l), STACK_ip_land);
	l->peer = keep;
}

static void destination_addresses(void **state)
{
	struct lab *l = *state;
	struct ip_addr keep = l->own;

	l->own = l->v4 ? lab_addr4(224, 0, 0, 1) : (struct ip_addr){ { 0xff, 2, [15] = 1 } };
	expect_drop(l, good(l), STACK_ip_dst_multicast);
	l->own = l->v4 ? lab_addr4(127, 0, 0, 1) : (struct ip_addr){ { [15] = 1 } };
	expect_drop(l, good(l), STACK_ip_dst_multicast);
	if (l->v4) {
		l->own = lab_addr4(255, 255, 255, 255);
		expect_drop(l, good(l), STACK_ip_dst_multicast);
		l->own = lab_addr4(192, 0, 2, 255);
		expect_drop(l, good(l), STACK_ip_dst_other);
	}
	l->own = l->v4 ? lab_addr4(192, 0, 2, 99) : lab_addr6(0, 99);
	expect_drop(l, good(l), STACK_ip_dst_other);
	l->own = keep;
}

static void link_layer_addresses(void **state)
{
	struct lab *l = *state;
	struct frame f = good(l);

	f.data[5] ^= 1;
	expect_drop(l, f, STACK_rx_other_mac);
	f = good(l);
	f.data[6] |= 1;
	expect_drop(l, f, STACK_rx_other_mac);
	f = good(l);
	memset(f.data, 0xff, 6);
	expect_drop(l, f, STACK_ip_dst_multicast);
}

static void header_fields(void **state)
{
	struct lab *l = *state;
	struct frame f = good(l);

	if (l->v4) {
		l3_of(&f)[0] = 0x55;
		expect_drop(l, f, STACK_ip4_header_bad);
		f = good(l);
		l3_of(&f)[0] = 0x44;
		expect_drop(l, f, STACK_ip4_header_bad);
		f = good(l);
		wr16(l3_of(&f) + 2, 2000);
		expect_drop(l, f, STACK_ip4_header_bad);
	} else {
		l3_of(&f)[0] = 0x40;
		expect_drop(l, f, STACK_ip6_header_bad);
		f = good(l);
		wr16(l3_of(&f) + 4, 2000);
		expect_drop(l, f, STACK_ip6_header_bad);
	}
	f = good(l);
	wr16(f.data + 12, 0x88cc);
	expect_drop(l, f, STACK_rx_ethertype_unknown);
	f = good(l);
	if (l->v4) {
		l3_of(&f)[9] = 17;
		wr16(l3_of(&f) + 10, 0);
		st16(l3_of(&f) + 10, csum_finish(csum_add(0, l3_of(&f), 20)));
	} else {
		l3_of(&f)[6] = 17;
	}
	expect_drop(l, f, STACK_ip_proto_unknown);
}

static void ip4_options(void **state)
{
	struct lab *l = *state;
	static const uint8_t rows[][4] = { { 1, 1, 1, 1 }, { 148, 4, 0, 0 }, { 131, 3, 4, 0 },
		{ 137, 3, 4, 0 }, { 7, 9, 4, 0 }, { 7, 0, 0, 0 } };
	static const int drops[] = { -1, -1, STACK_ip4_source_route, STACK_ip4_source_route,
		STACK_ip4_header_bad, STACK_ip4_header_bad };

	for (unsigned i = 0; i < 6; i++) {
		struct frame f = good(l);
		uint8_t *p = l3_of(&f);
		memmove(p + 24, p + 20, 40);
		memcpy(p + 20, rows[i], 4);
		p[0] = 0x46;
		wr16(p + 2, 64);
		f.len += 4;
		lab_csum(&f, 14, true);
		if (drops[i] < 0)
			expect_answer(l, f);
		else
			expect_drop(l, f, (enum stack_counter)drops[i]);
	}
}

/* Puts extension headers (a multiple of eight bytes) between IPv6 and TCP. */
static struct frame with_ext(struct lab *l, unsigned first, const uint8_t *ext, unsigned len)
{
	struct frame f = good(l);
	uint8_t *p = l3_of(&f);

	memmove(p + 40 + len, p + 40, 40);
	memcpy(p + 40, ext, len);
	p[6] = (uint8_t)first;
	wr16(p + 4, (uint16_t)(40 + len));
	f.len = (uint16_t)(f.len + len);
	return f;
}

static void ip6_extension_headers(void **state)
{
	struct lab *l = *state;
	static const uint8_t pad[8] = { 6, 0, 1, 4, 0, 0, 0, 0 };
	static const uint8_t skip[8] = { 6, 0, 0x1e, 4, 0, 0, 0, 0 };
	static const uint8_t discard[8] = { 6, 0, 0x5e, 4, 0, 0, 0, 0 };
	static const uint8_t overlong[8] = { 6, 0, 1, 9, 0, 0, 0, 0 };
	static const uint8_t longer[8] = { 6, 200, 1, 4, 0, 0, 0, 0 };
	static const uint8_t rh0[8] = { 6, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t rh4_done[8] = { 6, 0, 4, 0, 0, 0, 0, 0 };
	static const uint8_t rh4_left[8] = { 6, 0, 4, 1, 0, 0, 0, 0 };
	static const uint8_t atomic[8] = { 6, 0, 0, 0, 1, 2, 3, 4 };
	static const uint8_t chain[16] = { 60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0 };
	static const uint8_t late_hop[16] = { 0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0 };
	uint8_t many[80];

	expect_answer(l, with_ext(l, PROTO_HOPOPT, pad, 8));
	expect_answer(l, with_ext(l, PROTO_DSTOPT, pad, 8));
	expect_answer(l, with_ext(l, PROTO_DSTOPT, skip, 8));
	expect_answer(l, with_ext(l, PROTO_ROUTING, rh4_done, 8));
	expect_answer(l, with_ext(l, PROTO_FRAGMENT, atomic, 8));
	expect_answer(l, with_ext(l, PROTO_HOPOPT, chain, 16));
	expect_drop(l, with_ext(l, PROTO_ROUTING, rh0, 8), STACK_ip6_rh0);
	expect_drop(l, with_ext(l, PROTO_ROUTING, rh4_left, 8), STACK_ip6_ext_bad);
	expect_drop(l, with_ext(l, PROTO_DSTOPT, discard, 8), STACK_ip6_ext_bad);
	expect_drop(l, with_ext(l, PROTO_DSTOPT, overlong, 8), STACK_ip6_ext_bad);
	expect_drop(l, with_ext(l, PROTO_DSTOPT, longer, 8), STACK_ip6_ext_bad);
	expect_drop(l, with_ext(l, PROTO_DSTOPT, late_hop, 16), STACK_ip6_ext_bad);
	for (unsigned i = 0; i < 80; i += 8) {
		memcpy(many + i, pad, 8);
		many[i] = i == 72 ? 6 : PROTO_DSTOPT;
	}
	expect_drop(l, with_ext(l, PROTO_DSTOPT, many, 80), STACK_ip6_ext_bad);
}

/* ---- VLAN ---- */

static struct lab *vlan_lab(bool v4, bool insert)
{
	struct stack_config c;

	lab_config(&c);
	c.netifs[0].vlan = 42;
	c.ports[0].vlan_insert = insert;
	return lab_new_with(&c, v4, false);
}

static struct frame tag(struct frame f, unsigned tci)
{
	memmove(f.data - 4, f.data, 12);
	f.data -= 4;
	f.headroom -= 4;
	f.room += 4;
	f.len += 4;
	wr16(f.data + 12, ETH_TYPE_VLAN);
	wr16(f.data + 14, (uint16_t)tci);
	return f;
}

static void vlan_in_and_out(void **state)
{
	(void)state;
	for (unsigned v4 = 0; v4 < 2; v4++) {
		for (unsigned insert = 0; insert < 2; insert++) {
			struct lab *l = vlan_lab(v4, insert);
			struct frame f[2] = { lab_arp(l, ARP_REPLY, lab_gateway_mac,
						  lab_addr4(192, 0, 2, 1), lab_addr4(192, 0, 2, 10)),
				lab_nd(l, ND_NA, 0x60000000, lab_gateway_mac, lab_addr6(0, 1),
				    lab_addr6(0, 10), lab_addr6(0, 1), ND_OPT_TARGET_LL) };
			f[0] = tag(f[0], 42);
			f[1] = tag(f[1], 42);
			lab_in(l, f, 2);
			lab_out_free(l);
			for (unsigned form = 0; form < 2;
			     form++) { /* tag in the frame; taken off by the port */
				struct frame s = good(l);
				if (form == 0)
					s = tag(s, 0x6000 | 42);
				else
					s.flags |= FRAME_VLAN, s.vlan = 42;
				lab_in(l, &s, 1);
				assert_int_equal(l->out.n_tx, 1);
				const struct frame *o = &l->out.tx[0];
				if (insert) {
					assert_true(o->flags & FRAME_VLAN);
					assert_int_equal(o->vlan, 42);
					assert_int_equal(
					    rd16(o->data + 12), v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
				} else {
					assert_int_equal(rd16(o->data + 12), ETH_TYPE_VLAN);
					assert_int_equal(rd16(o->data + 14), 42);
				}
				lab_out_free(l);
			}
			expect_drop(l, good(l), STACK_rx_vlan_unknown); /* untagged: no such netif */
			expect_drop(l, tag(good(l), 43), STACK_rx_vlan_unknown);
			lab_free(l);
		}
	}
}

static void priority_tag_is_untagged(void **state)
{
	struct lab *l = *state;

	expect_answer(l, tag(good(l), 0xe000));
}

/* ---- hostile ---- */

static void random_mutations(void **state)
{
	struct lab *l = *state;
	uint64_t r = 88172645463325252ull;

	l->conns = 1;
	for (unsigned i = 0; i < 250000; i++) {
		struct frame f;
		unsigned kind = (unsigned)(r >> 20) % 8;
		if (kind == 0)
			f = lab_arp(l, ARP_REQUEST, lab_gateway_mac, lab_addr4(192, 0, 2, 1),
			    lab_addr4(192, 0, 2, 10));
		else if (kind == 1)
			f = lab_nd(l, ND_NS, 0, lab_gateway_mac, lab_addr6(0, 1), lab_addr6(0, 10),
			    lab_addr6(0, 10), 1);
		else
			f = lab_tcp(l, &(struct lab_seg){ .seq = 1,
					   .flags = (uint8_t)(r >> 30),
					   .opts = lab_linux_syn,
					   .n_opts = 20,
					   .data = "0123456789",
					   .len = 10 });
		unsigned n = 1 + (unsigned)(r >> 40) % 4;
		for (unsigned k = 0; k < n; k++) {
			r ^= r << 13;
			r ^= r >> 7;
			r ^= r << 17;
			f.data[(r >> 8) % f.len] = (uint8_t)r;
		}
		if (r & 1)
			f.len = (uint16_t)((r >> 16) % (f.len + 1u));
		f.room = f.len; /* nothing may be read or written beyond it */
		uint8_t *exact = malloc(f.len ? f.len : 1);
		memcpy(exact, f.data, f.len);
		free(f.handle);
		f.handle = f.data = exact;
		if (r & 2)
			f.flags |= FRAME_RX_L4_CSUM_GOOD | FRAME_RX_IP_CSUM_GOOD;
		l->now += 1000000;
		lab_in(l, &f, 1);
		if (i % 64 == 0)
			lab_turn(l);
		lab_out_free(l);
	}
}

#define BOTH(fn) LAB_TEST4(#fn "_v4", fn), LAB_TEST6(#fn "_v6", fn)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(good_frame_is_answered),
		BOTH(trailing_bytes_are_padding),
		BOTH(short_frames),
		BOTH(header_longer_than_segment),
		BOTH(wrong_checksum),
		BOTH(port_zero),
		BOTH(options),
		cmocka_unit_test(wscale_is_at_most_14),
		cmocka_unit_test(sack_blocks),
		cmocka_unit_test(known_layouts_equal_the_loop),
		BOTH(source_addresses),
		BOTH(destination_addresses),
		BOTH(link_layer_addresses),
		BOTH(header_fields),
		LAB_TEST4("ip4_options", ip4_options),
		LAB_TEST6("ip6_extension_headers", ip6_extension_headers),
		cmocka_unit_test(vlan_in_and_out),
		BOTH(priority_tag_is_untagged),
		BOTH(random_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
