/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reassembly, for the rare path that fragments TCP without DF. Decisions:
 *
 * - Only TCP, at most 2,048 bytes of it, at most config.max_reasm datagrams at a time; beyond the
 *   bound new ones are dropped and those under way kept, so a flood cannot push out a real one.
 * - Any overlap condemns the whole datagram, in IPv4 as in IPv6 (RFC 5722, RFC 8200 4.5): its
 *   later pieces are dropped too until it expires. An exact duplicate is ignored.
 * - The first piece must hold the whole TCP header (RFC 7112; tiny-fragment attack, RFC 1858), and
 *   each but the last must be a multiple of eight bytes.
 * - The whole datagram is built in the frame of the piece that completed it, so it is parsed,
 *   checked and answered exactly like any other frame.
 *
 * Rejected: dropping every fragment (simpler, but the sender then never learns, and a path that
 * fragments below our MSS loses its mail).
 */
#include "ip_half.h"
#include "frag.h"

#include <errno.h>
#include <stdlib.h>

static const uint64_t SECOND_NS = 1000000000u;

int frag_init(struct frag_table *t, uint32_t n)
{
	t->slots = calloc(n, sizeof(*t->slots));
	t->n = n;
	t->used = 0;
	t->next_due_ns = UINT64_MAX;
	return t->slots ? 0 : -ENOMEM;
}

void frag_fini(struct frag_table *t)
{
	free(t->slots);
	t->slots = NULL;
}

static void slot_free(struct frag_table *t, struct frag_slot *s)
{
	s->expires_ns = 0;
	t->used--;
}

void frag_expire(struct stack *st, uint64_t now_ns)
{
	struct frag_table *t = &st->ip->frags;
	uint64_t next = UINT64_MAX;

	if (now_ns < t->next_due_ns)
		return;
	for (uint32_t i = 0; i < t->n; i++) {
		struct frag_slot *s = &t->slots[i];
		if (!s->expires_ns)
			continue;
		if (now_ns >= s->expires_ns) {
			count(st, STACK_frag_timeout);
			slot_free(t, s);
		} else if (s->expires_ns < next) {
			next = s->expires_ns;
		}
	}
	t->next_due_ns = next;
}

static struct frag_slot *slot_get(
    struct stack *st, const struct packet *pkt, uint32_t id, uint64_t now_ns)
{
	struct frag_table *t = &st->ip->frags;
	struct frag_slot *free_slot = NULL;

	for (uint32_t i = 0; i < t->n; i++) {
		struct frag_slot *s = &t->slots[i];
		if (s->expires_ns && now_ns >= s->expires_ns) {
			count(st, STACK_frag_timeout);
			slot_free(t, s);
		}
		if (!s->expires_ns)
			free_slot = free_slot ? free_slot : s;
		else if (s->id == id && ip_addr_eq(&s->src, &pkt->src) &&
			 ip_addr_eq(&s->dst, &pkt->dst))
			return s;
	}
	if (!free_slot) {
		count(st, STACK_frag_table_full);
		return NULL;
	}
	memset(free_slot, 0, offsetof(struct frag_slot, data));
	free_slot->src = pkt->src;
	free_slot->dst = pkt->dst;
	free_slot->id = id;
	free_slot->expires_ns = now_ns + (pkt->v4 ? FRAG_LIFE4_S : FRAG_LIFE6_S) * SECOND_NS;
	if (free_slot->expires_ns < t->next_due_ns)
		t->next_due_ns = free_slot->expires_ns;
	t->used++;
	return free_slot;
}

static bool poison(struct stack *st, struct frag_slot *s)
{
	s->poisoned = true;
	count(st, STACK_frag_overlap);
	return false;
}

static bool refuse(struct stack *st, enum stack_counter reason)
{
	count(st, reason);
	return false;
}

/* Marks [off, off + len) as had; returns how many of its units were there already. */
static unsigned mark(struct frag_slot *s, unsigned off, unsigned len)
{
	unsigned had = 0;

	for (unsigned u = off / 8; u < (off + len + 7) / 8; u++) {
		had += s->have[u / 64] >> (u % 64) & 1;
		s->have[u / 64] |= 1ull << (u % 64);
	}
	return had;
}

static bool complete(const struct frag_slot *s)
{
	unsigned units = 0;

	if (!s->total)
		return false;
	for (unsigned i = 0; i < FRAG_BYTES / 8 / 64; i++)
		units += (unsigned)__builtin_popcountll(s->have[i]);
	return units == (s->total + 7u) / 8;
}

/* Ethernet and IP headers stay, extension headers go: they have been judged. */
static bool rebuild(struct stack *st, const struct packet *pkt, const struct frag_slot *s)
{
	struct frame *f = pkt->frame;
	unsigned hdr = pkt->v4 ? IP4_LEN : IP6_LEN;
	uint8_t *l3 = f->data + pkt->l3_off;

	if (pkt->l3_off + hdr + s->total > f->room)
		return refuse(st, STACK_frag_too_big);
	memcpy(ip_write(l3, pkt->v4, &pkt->src, &pkt->dst, PROTO_TCP, s->total, pkt->ttl, true),
	    s->data, s->total);
	f->len = (uint16_t)(pkt->l3_off + hdr + s->total);
	f->flags &= FRAME_VLAN;
	count(st, STACK_frag_reassembled);
	return true;
}

bool frag_input(struct stack *st, const struct packet *pkt, uint64_t now_ns)
{
	const uint8_t *l3 = pkt->frame->data + pkt->l3_off;
	unsigned off, len = pkt->payload_len;
	bool more;
	uint32_t id;

	count(st, STACK_frag_rx);
	if (!pkt->dst_own)
		return refuse(st, STACK_ip_dst_other);
	if (pkt->proto != PROTO_TCP)
		return refuse(st, STACK_frag_not_tcp);
	if (pkt->v4) {
		off = (rd16(l3 + 6) & IP4_OFFSET_MASK) * 8u;
		more = rd16(l3 + 6) & IP4_MF;
		id = rd16(l3 + 4);
	} else {
		const uint8_t *e = pkt->payload - 8;
		off = rd16(e + 2) & 0xfff8u;
		more = rd16(e + 2) & 1;
		id = rd32(e + 4);
	}
	if (!len || (more && len % 8))
		return refuse(st, STACK_frag_bad);
	if (off + len > FRAG_BYTES)
		return refuse(st, STACK_frag_too_big);
	if (off == 0 ? len < TCP_LEN || (pkt->payload[12] >> 4) * 4u > len : off < TCP_LEN)
		return refuse(st, STACK_frag_tiny);

	struct frag_slot *s = slot_get(st, pkt, id, now_ns);
	if (!s)
		return false;
	if (s->poisoned)
		return refuse(st, STACK_frag_overlap);
	if (s->total && (off + len > s->total || (!more && off + len != s->total)))
		return poison(st, s);
	if (!more) {
		for (unsigned u = (off + len + 7) / 8; u < FRAG_BYTES / 8; u++) {
			if (s->have[u / 64] >> (u % 64) & 1)
				return poison(st, s); /* it goes on past its own end */
		}
	}
	unsigned had = mark(s, off, len);
	if (had) {
		if (had == (len + 7) / 8 && memcmp(s->data + off, pkt->payload, len) == 0)
			return false; /* a duplicate */
		return poison(st, s);
	}
	memcpy(s->data + off, pkt->payload, len);
	if (!more)
		s->total = (uint16_t)(off + len);
	if (!complete(s))
		return false;
	bool ok = rebuild(st, pkt, s);
	slot_free(&st->ip->frags, s);
	return ok;
}
