/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Multicast Listener Discovery, the listener's side (RFC 3810, RFC 2710): the solicited-node groups
 * of own IPv6 addresses are reported at start, once more after a second, and to whoever queries.
 * Without it a switch that snoops MLD withholds the very solicitations by which we are found (RFC
 * 4862 5.4.2), and nothing tells but the silence.
 *
 * An answer names all groups of the interface, also when one was asked for: at most a second's worth
 * of queries is merged into it, so what a stranger can provoke is a report a second. Rejected: the
 * timers per group of RFC 3810 6.2, which buy only shorter reports. A query from an MLDv1 router is
 * answered by MLDv1 reports. The source is a link-local own address, or :: (RFC 3810 5.2.13).
 */
#include "ip_half.h"
#include "checksum.h"

static const uint64_t SECOND_NS = 1000000000u;

enum {
	REPORTS = 2,          /* at start: the robustness variable's default */
	RECORDS = 24,         /* in a report: 536 bytes, within any MTU */
	MAX_DELAY_MS = 10000, /* RFC 3810 9.3 */
	HOPOPT_LEN = 8,
	RECORD_LEN = 20,
	MLD1_LEN = 24,
	MODE_IS_EXCLUDE = 2,   /* "I listen to this group", as an answer */
	CHANGE_TO_EXCLUDE = 4, /* ... as news */
};

static bool is_link_local(const struct ip_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* The groups of a netif, each once; returns how many. */
static unsigned groups_of(
    const struct stack *st, unsigned netif, struct ip_addr ret_groups[STACK_MAX_ADDRS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < st->config.n_addrs; i++) {
		const struct stack_ip *a = &st->config.addrs[i];
		if (a->netif != netif || ip_addr_is_v4(&a->addr))
			continue;
		struct ip_addr g = { { 0xff, 0x02, [11] = 0x01, [12] = 0xff } };
		memcpy(g.b + 13, a->addr.b + 13, 3);
		unsigned k = 0;
		while (k < n && !ip_addr_eq(&ret_groups[k], &g))
			k++;
		if (k == n)
			ret_groups[n++] = g;
	}
	return n;
}

/* An ICMPv6 message behind a router alert (RFC 2711), hop limit 1. */
static bool send_message(struct stack *st, unsigned netif, const struct ip_addr *dst,
    const uint8_t *body, unsigned len, struct frame_out *out)
{
	static const uint8_t alert[HOPOPT_LEN] = { PROTO_ICMP6, 0, 5, 2, 0, 0, 1, 0 };
	struct ip_addr src = { { 0 } };
	uint8_t mac[6] = { 0x33, 0x33 };
	struct frame f;

	for (unsigned i = 0; i < st->config.n_addrs; i++) {
		const struct stack_ip *a = &st->config.addrs[i];
		if (a->netif == netif && !ip_addr_is_v4(&a->addr) && is_link_local(&a->addr))
			src = a->addr;
	}
	if (!l3_frame_alloc(st, netif, IP6_LEN + HOPOPT_LEN + len, out, &f))
		return false;
	memcpy(mac + 2, dst->b + 12, 4);
	uint8_t *l3 = l2_write(st->ip, &f, netif, mac, ETH_TYPE_IP6);
	uint8_t *p = ip_write(l3, false, &src, dst, PROTO_HOPOPT, HOPOPT_LEN + len, 1, true);
	memcpy(p, alert, HOPOPT_LEN);
	p += HOPOPT_LEN;
	memcpy(p, body, len);
	st16(p + 2, csum_finish(csum_add(csum_pseudo6(src.b, dst->b, PROTO_ICMP6, len), p, len)));
	count(st, STACK_mld_tx);
	return out_tx(st, out, &f);
}

static bool report2(struct stack *st, unsigned netif, const struct ip_addr *groups, unsigned n,
    unsigned type, struct frame_out *out)
{
	static const struct ip_addr mld2_routers = { { 0xff, 0x02, [15] = 0x16 } };
	uint8_t body[8 + RECORDS * RECORD_LEN];
	bool sent = true;

	for (unsigned at = 0; at < n && sent; at += RECORDS) {
		unsigned k = n - at < RECORDS ? n - at : RECORDS;
		memset(body, 0, sizeof(body));
		body[0] = MLD2_REPORT;
		wr16(body + 6, (uint16_t)k);
		for (unsigned i = 0; i < k; i++) {
			body[8 + i * RECORD_LEN] = (uint8_t)type;
			memcpy(body + 8 + i * RECORD_LEN + 4, groups[at + i].b, 16);
		}
		sent = send_message(st, netif, &mld2_routers, body, 8 + k * RECORD_LEN, out);
	}
	return sent;
}

static bool report1(struct stack *st, unsigned netif, const struct ip_addr *groups, unsigned n,
    struct frame_out *out)
{
	uint8_t body[MLD1_LEN] = { MLD1_REPORT };
	bool sent = true;

	for (unsigned i = 0; i < n && sent; i++) {
		memcpy(body + 8, groups[i].b, 16);
		sent = send_message(st, netif, &groups[i], body, MLD1_LEN, out);
	}
	return sent;
}

static void netif_step(struct stack *st, unsigned netif, uint64_t now_ns, struct frame_out *out)
{
	struct mld_netif *m = &st->ip->mld[netif];
	struct ip_addr groups[STACK_MAX_ADDRS];
	unsigned n = groups_of(st, netif, groups);
	bool news = m->reports < REPORTS;

	m->due_ns = UINT64_MAX;
	if (n == 0)
		return;
	bool sent =
	    m->v1 ? report1(st, netif, groups, n, out)
		  : report2(st, netif, groups, n, news ? CHANGE_TO_EXCLUDE : MODE_IS_EXCLUDE, out);
	if (!sent) { /* no frame now: soon again */
		m->due_ns = now_ns + SECOND_NS / 10;
		return;
	}
	m->sent_ns = now_ns;
	if (news && ++m->reports < REPORTS)
		m->due_ns = now_ns + SECOND_NS;
}

void mld_init(struct ip_half *ip, uint64_t now_ns)
{
	for (unsigned i = 0; i < STACK_MAX_NETIFS; i++)
		ip->mld[i].due_ns = i < ip->n_netifs ? now_ns : UINT64_MAX;
	ip->mld_due_ns = now_ns;
}

void mld_output(struct stack *st, uint64_t now_ns, struct frame_out *out)
{
	struct ip_half *ip = st->ip;

	if (now_ns < ip->mld_due_ns)
		return;
	ip->mld_due_ns = UINT64_MAX;
	for (unsigned i = 0; i < ip->n_netifs && !st->config.neigh_follower; i++) {
		if (now_ns >= ip->mld[i].due_ns)
			netif_step(st, i, now_ns, out);
		if (ip->mld[i].due_ns < ip->mld_due_ns)
			ip->mld_due_ns = ip->mld[i].due_ns;
	}
}

/* RFC 3810 6.2: from a link-local router, within the link, with a router alert. */
static bool query_ok(const struct packet *pkt)
{
	const uint8_t *p = pkt->frame->data + pkt->l3_off, *e = p + IP6_LEN;

	if (!is_link_local(&pkt->src) || pkt->ttl != 1 || p[6] != PROTO_HOPOPT ||
	    pkt->payload_len < MLD1_LEN || (pkt->payload_len > MLD1_LEN && pkt->payload_len < 28))
		return false;
	/* packet.c has seen that the options are whole */
	for (unsigned i = 2, len = (e[1] + 1u) * 8; i + 1 < len; i += e[i] == 0 ? 1 : 2u + e[i + 1]) {
		if (e[i] == 5)
			return e[i + 1] == 2;
	}
	return false;
}

static uint32_t delay_ms(const struct packet *pkt)
{
	uint32_t code = rd16(pkt->payload + 4);

	if (pkt->payload_len > MLD1_LEN && code >= 0x8000) /* RFC 3810 5.1.3 */
		code = ((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3);
	return code < MAX_DELAY_MS ? code : MAX_DELAY_MS;
}

void mld_input(struct stack *st, struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	struct mld_netif *m = &st->ip->mld[pkt->netif];
	struct ip_addr groups[STACK_MAX_ADDRS], asked;
	unsigned n, k = 0;

	count(st, STACK_mld_rx);
	if (pkt->payload[0] != MLD_QUERY || st->config.neigh_follower)
		goto drop; /* reports of others are routers' business */
	if (!query_ok(pkt)) {
		count(st, STACK_mld_bad);
		goto drop;
	}
	asked = ip_addr_from_v6(pkt->payload + 8);
	if (asked.b[0] != 0) { /* about one group; none named: about all */
		n = groups_of(st, pkt->netif, groups);
		while (k < n && !ip_addr_eq(&groups[k], &asked))
			k++;
		if (k == n)
			goto drop;
	}
	/* Spread over the time that the querier allows, by what differs among listeners. */
	uint32_t max = delay_ms(pkt);
	uint64_t mix = (now_ns ^ rd32(st->ip->netifs[pkt->netif].mac + 2)) * 0x9e3779b97f4a7c15ull;
	uint64_t due = now_ns + ((mix >> 40) * max >> 24) * (SECOND_NS / 1000);
	if (m->sent_ns && due < m->sent_ns + SECOND_NS) {
		count(st, STACK_mld_merged);
		due = m->sent_ns + SECOND_NS;
	}
	m->v1 = pkt->payload_len == MLD1_LEN;
	if (due < m->due_ns)
		m->due_ns = due;
	if (m->due_ns < st->ip->mld_due_ns)
		st->ip->mld_due_ns = m->due_ns;
drop:
	out_drop(out, pkt->frame);
}
