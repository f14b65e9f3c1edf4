/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet path: bursts of mbufs seen as bursts of struct frame. Forty bytes are written a frame
 * (1 to 2.5 ns); the mbuf itself is touched only where the driver has just written it. Embedding
 * struct frame in the mbuf's private area would spare the copy but put every frame on a cache
 * line of its own, and arrays are what the stack sorts.
 */
#include "hw_internal.h"

#include <rte_ip.h>
#include <rte_mbuf_dyn.h>
#include <rte_prefetch.h>
#include <unistd.h>

/* The sum over a segment and its own checksum, in one's complement. */
static bool zero(uint16_t sum)
{
	return sum == 0 || sum == 0xffff;
}

/* Checks in software what the port called good; false: it was not. */
static bool verified(const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	unsigned type = (unsigned)data[12] << 8 | data[13];

	if (m->data_len < 14 + 40)
		return true;
	if (type == RTE_ETHER_TYPE_IPV4) {
		const struct rte_ipv4_hdr *ip = (const void *)(data + 14);
		unsigned len = rte_ipv4_hdr_len(ip);

		if (len < 20 || 14u + rte_be_to_cpu_16(ip->total_length) > m->data_len ||
		    rte_be_to_cpu_16(ip->total_length) < len + 20)
			return true;
		if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD &&
		    rte_raw_cksum(ip, len) != 0xffff)
			return false;
		if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_GOOD ||
		    ip->next_proto_id != IPPROTO_TCP ||
		    (ip->fragment_offset & rte_cpu_to_be_16(0x3fff)))
			return true;
		return zero(rte_ipv4_udptcp_cksum(ip, (const uint8_t *)ip + len));
	}
	if (type == RTE_ETHER_TYPE_IPV6 &&
	    (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
		const struct rte_ipv6_hdr *ip = (const void *)(data + 14);

		if (ip->proto != IPPROTO_TCP ||
		    54u + rte_be_to_cpu_16(ip->payload_len) > m->data_len)
			return true;
		return zero(rte_ipv6_udptcp_cksum(ip, ip + 1));
	}
	return true;
}

static uint16_t rx_flags(
    const struct hw_port *port, struct hw_queue *queue, const struct rte_mbuf *m)
{
	uint64_t ol = m->ol_flags;
	uint16_t flags = 0;

	if (ol & RTE_MBUF_F_RX_VLAN_STRIPPED)
		flags |= FRAME_VLAN;
	if (!port->rx_csum || queue->distrusted)
		return flags;
	if (queue->proof_left && (ol & (RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD))) {
		queue->proof_left--;
		if (!verified(m)) {
			queue->distrusted = true;
			return flags;
		}
	}
	if ((ol & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		flags |= FRAME_RX_IP_CSUM_GOOD;
	if ((ol & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		flags |= FRAME_RX_L4_CSUM_GOOD;
	if ((ol & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD ||
	    (ol & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		flags |= FRAME_RX_CSUM_BAD;
	return flags;
}

static inline void frame_of(struct rte_mbuf *m, uint8_t port, uint16_t flags, struct frame *f)
{
	f->data = rte_pktmbuf_mtod(m, uint8_t *);
	f->handle = m;
	f->len = m->data_len;
	f->room = (uint16_t)(m->buf_len - m->data_off);
	f->headroom = m->data_off;
	f->vlan = m->vlan_tci;
	f->flags = flags;
	f->tso_mss = 0;
	f->hash = m->ol_flags & RTE_MBUF_F_RX_RSS_HASH ? m->hash.rss : 0;
	f->port = port;
	f->l2_len = f->l3_len = f->l4_len = 0;
}

unsigned hw_rx(struct hw *hw, unsigned port, unsigned queue, struct frame *frames, unsigned n)
{
	struct hw_port *p = &hw->ports[port];
	struct rte_mbuf *m[HW_BURST];
	unsigned got, kept = 0;

	if (queue >= p->n_queues)
		return 0;
	got = rte_eth_rx_burst(p->id, (uint16_t)queue, m, (uint16_t)(n < HW_BURST ? n : HW_BURST));
	for (unsigned i = 0; i < got; i++) {
		uint16_t flags;

		if (i + 3 < got)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + 3], void *));
		/* one segment a frame: scattering is off and a buffer holds the MTU */
		if (unlikely(m[i]->nb_segs != 1)) {
			rte_pktmbuf_free(m[i]);
			continue;
		}
		flags = m[i]->ol_flags ? rx_flags(p, &p->queues[queue], m[i]) : 0;
		frame_of(m[i], (uint8_t)port, flags, &frames[kept++]);
	}
	return kept;
}

static inline void mbuf_of(const struct frame *f, struct rte_mbuf *m)
{
	m->data_off = (uint16_t)(f->data - (uint8_t *)m->buf_addr);
	m->data_len = f->len;
	m->pkt_len = f->len;
	m->ol_flags = 0;
	if (likely(f->flags == 0))
		return;
	if (f->flags & FRAME_VLAN) {
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = f->vlan;
	}
	if (f->flags & (FRAME_TX_IP_CSUM | FRAME_TX_TCP_CSUM | FRAME_TX_TSO)) {
		bool v4 = (f->data[f->l2_len] >> 4) == 4;

		m->tx_offload = 0;
		m->l2_len = f->l2_len;
		m->l3_len = f->l3_len;
		m->l4_len = f->l4_len;
		m->ol_flags |= v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
		if (v4 && (f->flags & FRAME_TX_IP_CSUM))
			m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
		if (f->flags & FRAME_TX_TCP_CSUM)
			m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		if (f->flags & FRAME_TX_TSO) {
			m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
			m->tso_segsz = f->tso_mss;
		}
	}
}

static unsigned send_run(
    struct hw_port *p, unsigned queue, struct rte_mbuf **m, unsigned n, bool offload)
{
	unsigned sent;
	uint16_t q = (uint16_t)queue;
	rte_spinlock_t *lock = NULL;

	if (unlikely(p->tx_locks != NULL)) {
		q = (uint16_t)(queue % p->n_queues);
		lock = &p->tx_locks[q];
		rte_spinlock_lock(lock);
	}
	if (offload) {
		/* a frame the driver would choke on is dropped alone, not all that follow it */
		unsigned ready = 0;

		for (unsigned i = 0; i < n; i++) {
			if (rte_eth_tx_prepare(p->id, q, &m[i], 1) == 1) {
				struct rte_mbuf *swap = m[ready];

				m[ready++] = m[i];
				m[i] = swap;
			}
		}
		sent = rte_eth_tx_burst(p->id, q, m, (uint16_t)ready);
	} else {
		sent = rte_eth_tx_burst(p->id, q, m, (uint16_t)n);
	}
	if (lock)
		rte_spinlock_unlock(lock);
	if (unlikely(sent < n))
		rte_pktmbuf_free_bulk(m + sent, n - sent);
	return n - sent;
}

unsigned hw_tx(struct hw *hw, unsigned queue, struct frame *frames, unsigned n)
{
	struct rte_mbuf *m[HW_BURST];
	unsigned refused = 0;

	for (unsigned i = 0; i < n;) {
		uint8_t port = frames[i].port;
		uint16_t flags = 0;
		unsigned k = 0;

		for (; i < n && k < HW_BURST && frames[i].port == port; i++, k++) {
			m[k] = frames[i].handle;
			flags |= frames[i].flags;
			mbuf_of(&frames[i], m[k]);
		}
		refused += send_run(&hw->ports[port], queue, m, k,
		    (flags & (FRAME_TX_IP_CSUM | FRAME_TX_TCP_CSUM | FRAME_TX_TSO)) != 0);
	}
	return refused;
}

void hw_free(struct hw *hw, struct frame *frames, unsigned n)
{
	struct rte_mbuf *m[HW_BURST];

	(void)hw;
	for (unsigned i = 0; i < n;) {
		unsigned k = 0;

		for (; i < n && k < HW_BURST; i++, k++)
			m[k] = frames[i].handle;
		rte_pktmbuf_free_bulk(m, k);
	}
}

bool hw_alloc(struct hw *hw, unsigned worker, unsigned port, struct frame *ret_frame)
{
	struct hw_worker *w = &hw->workers[worker];
	struct frame_cache *cache = &w->cache;
	struct rte_mbuf *m;

	if (unlikely(cache->n == 0)) {
		if (rte_mempool_get_bulk(w->pool, (void **)cache->m, HW_CACHE_REFILL) == 0)
			cache->n = HW_CACHE_REFILL;
		else if (rte_mempool_get(w->pool, (void **)cache->m) == 0)
			cache->n = 1; /* the last few */
		else
			return false;
	}
	m = cache->m[--cache->n];
	if (cache->n)
		rte_prefetch0(cache->m[cache->n - 1]);
	/* a free mbuf has one reference and one segment; sending sets all the rest */
	ret_frame->data = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
	ret_frame->handle = m;
	ret_frame->len = 0;
	ret_frame->room = (uint16_t)(m->buf_len - RTE_PKTMBUF_HEADROOM);
	ret_frame->headroom = RTE_PKTMBUF_HEADROOM;
	ret_frame->vlan = 0;
	ret_frame->flags = 0;
	ret_frame->tso_mss = 0;
	ret_frame->hash = 0;
	ret_frame->port = (uint8_t)port;
	ret_frame->l2_len = ret_frame->l3_len = ret_frame->l4_len = 0;
	return true;
}

/* ---- from one worker to another ---- */

unsigned hw_hand_over(struct hw *hw, unsigned from, unsigned to, struct frame *frames, unsigned n)
{
	struct rte_ring *ring = hw->rings[from * hw->n_workers + to];
	struct hw_worker *target = &hw->workers[to];
	unsigned taken = 0;

	while (taken < n) {
		struct rte_mbuf *m[HW_BURST];
		unsigned k = 0, put;

		for (; taken + k < n && k < HW_BURST; k++) {
			const struct frame *f = &frames[taken + k];

			m[k] = f->handle;
			/* what the receiver cannot read from the mbuf travels in it */
			m[k]->data_off = (uint16_t)(f->data - (uint8_t *)m[k]->buf_addr);
			m[k]->data_len = f->len;
			m[k]->vlan_tci = f->vlan;
			m[k]->port = hw->ports[f->port].id;
			m[k]->hash.rss = f->hash;
			m[k]->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
			*RTE_MBUF_DYNFIELD(m[k], hw->flags_at, uint16_t *) = f->flags;
		}
		put = rte_ring_sp_enqueue_burst(ring, (void **)m, k, NULL);
		taken += put;
		if (put < k)
			break;
	}
	if (taken) {
		/* the ring's write must be seen before `asleep` is read: see hw_wait() */
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load_explicit(&target->asleep, memory_order_relaxed))
			hw_wake(hw, to);
	}
	return taken;
}

unsigned hw_taken_over(struct hw *hw, unsigned worker, struct frame *frames, unsigned n)
{
	unsigned got = 0;

	for (unsigned from = 0; from < hw->n_workers && got < n; from++) {
		struct rte_ring *ring = hw->rings[from * hw->n_workers + worker];
		struct rte_mbuf *m[HW_BURST];
		unsigned k, want = n - got < HW_BURST ? n - got : HW_BURST;

		if (!ring)
			continue;
		k = rte_ring_sc_dequeue_burst(ring, (void **)m, want, NULL);
		for (unsigned i = 0; i < k; i++)
			frame_of(m[i], hw->index_of[m[i]->port],
			    *RTE_MBUF_DYNFIELD(m[i], hw->flags_at, uint16_t *), &frames[got++]);
	}
	return got;
}
