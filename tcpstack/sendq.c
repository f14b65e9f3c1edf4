/* SPDX-License-Identifier: BSD-3-Clause */
/* The send queue: chunks of bytes and the ring of records over them. */
#include "sendq.h"

enum { DIR_SLOTS = STACK_CHUNK_SIZE / sizeof(uint32_t), DIR_RECS = DIR_SLOTS * TX_PAGE };

static struct tx_rec *page_at(const struct tcp_half *half, uint32_t page)
{
	return (struct tx_rec *)(void *)chunk_at(&half->chunks, page);
}

static uint32_t *dir_at(const struct tcp_half *half, uint32_t page)
{
	return (uint32_t *)(void *)chunk_at(&half->chunks, page);
}

static uint32_t *dir_slot(const struct tcp_half *half, const struct tcp_conn *c, uint32_t i)
{
	return &dir_at(half, c->tx_page)[i / TX_PAGE % DIR_SLOTS];
}

struct tx_rec *sendq_rec(const struct tcp_half *half, struct tcp_conn *c, uint32_t i)
{
	if (c->tx_page == 0)
		return &c->tx_inline[i % TX_INLINE];
	if (!(c->flags & CF_TX_DIR))
		return &page_at(half, c->tx_page)[i % TX_PAGE];
	return &page_at(half, *dir_slot(half, c, i))[i % TX_PAGE];
}

uint32_t sendq_write(struct tcp_half *half, struct tcp_conn *c, const uint8_t *data, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		struct chunk *k = c->snd_tail ? chunk_at(&half->chunks, c->snd_tail) : NULL;
		uint32_t n;

		if (!k || k->end == CHUNK_DATA) {
			uint32_t i = chunk_get(&half->chunks, CHUNK_SEND);

			if (i == 0)
				break;
			if (k)
				k->next = i;
			else
				c->snd_head = i;
			c->snd_tail = i;
			k = chunk_at(&half->chunks, i);
		}
		if (c->snd_cur == 0) {
			c->snd_cur = c->snd_tail;
			c->snd_cur_off = k->end;
		}
		n = min_u32(len - done, CHUNK_DATA - k->end);
		memcpy(k->data + k->end, data + done, n);
		k->end = (uint16_t)(k->end + n);
		done += n;
	}
	c->unsent += done;
	return done;
}

/* One page to a directory of pages: what wrapped around moves to the second. */
static bool grow_to_dir(struct tcp_half *half, struct tcp_conn *c)
{
	uint32_t dir = chunk_get(&half->chunks, CHUNK_SEND), second;
	uint32_t first_page = c->tx_head / TX_PAGE, old = c->tx_page;

	if (dir == 0)
		return false;
	second = chunk_get(&half->chunks, CHUNK_SEND);
	if (second == 0) {
		chunk_put(&half->chunks, dir);
		return false;
	}
	memset(dir_at(half, dir), 0, STACK_CHUNK_SIZE);
	dir_at(half, dir)[first_page % DIR_SLOTS] = old;
	dir_at(half, dir)[(first_page + 1) % DIR_SLOTS] = second;
	for (uint32_t i = 0; i < c->tx_head % TX_PAGE; i++)
		page_at(half, second)[i] = page_at(half, old)[i];
	c->tx_page = dir;
	c->flags |= CF_TX_DIR;
	return true;
}

static bool make_room(struct tcp_half *half, struct tcp_conn *c)
{
	uint32_t tail = c->tx_head + c->tx_count;

	if (c->tx_page == 0) {
		uint32_t page;

		if (c->tx_count < TX_INLINE)
			return true;
		page = chunk_get(&half->chunks, CHUNK_SEND);
		if (page == 0)
			return false;
		for (uint32_t i = c->tx_head; i != tail; i++)
			page_at(half, page)[i % TX_PAGE] = c->tx_inline[i % TX_INLINE];
		c->tx_page = page;
		return true;
	}
	if (!(c->flags & CF_TX_DIR))
		return c->tx_count < TX_PAGE || grow_to_dir(half, c);
	if (c->tx_count >= DIR_RECS - TX_PAGE)
		return false;
	if (*dir_slot(half, c, tail) == 0) {
		uint32_t page = chunk_get(&half->chunks, CHUNK_SEND);

		if (page == 0)
			return false;
		*dir_slot(half, c, tail) = page;
	}
	return true;
}

bool sendq_next(
    struct tcp_half *half, struct tcp_conn *c, uint32_t len, bool fin, struct tx_rec *ret_rec)
{
	assert(len <= c->unsent);
	if (!make_room(half, c))
		return false;
	if (len > 0 && c->snd_cur_off == chunk_at(&half->chunks, c->snd_cur)->end) {
		c->snd_cur = chunk_at(&half->chunks, c->snd_cur)->next;
		c->snd_cur_off = chunk_at(&half->chunks, c->snd_cur)->start;
	}
	*ret_rec = (struct tx_rec){
		.seq = c->snd_nxt,
		.chunk = c->snd_cur,
		.off = c->snd_cur_off,
		.len = (uint16_t)len,
		.fin = fin,
	};
	return true;
}

void sendq_commit(struct tcp_half *half, struct tcp_conn *c, const struct tx_rec *r)
{
	uint32_t len = r->len;

	*sendq_rec(half, c, c->tx_head + c->tx_count) = *r;
	c->tx_count++;
	c->unsent -= len;
	c->snd_nxt += rec_span(r);
	while (len > 0) {
		struct chunk *k = chunk_at(&half->chunks, c->snd_cur);
		uint32_t n = min_u32(len, (uint32_t)(k->end - c->snd_cur_off));

		c->snd_cur_off = (uint16_t)(c->snd_cur_off + n);
		len -= n;
		if (len > 0) {
			c->snd_cur = k->next;
			c->snd_cur_off = chunk_at(&half->chunks, c->snd_cur)->start;
		}
	}
}

uint32_t sendq_find(const struct tcp_half *half, struct tcp_conn *c, uint32_t seq)
{
	uint32_t low = 0, high = c->tx_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (seq_lt(sendq_rec(half, c, c->tx_head + mid)->seq, seq))
			low = mid + 1;
		else
			high = mid;
	}
	return c->tx_head + low;
}

/* Acknowledged bytes leave the front of the chunk list. */
static void release_bytes(struct tcp_half *half, struct tcp_conn *c, uint32_t n)
{
	while (n > 0) {
		uint32_t i = c->snd_head;
		struct chunk *k = chunk_at(&half->chunks, i);
		uint32_t m = min_u32(n, (uint32_t)(k->end - k->start));

		k->start = (uint16_t)(k->start + m);
		n -= m;
		if (k->start < k->end)
			break;
		c->snd_head = k->next;
		if (c->snd_cur == i) {
			c->snd_cur = k->next;
			c->snd_cur_off = c->snd_cur ? chunk_at(&half->chunks, c->snd_cur)->start : 0;
		}
		if (c->snd_tail == i)
			c->snd_tail = 0;
		chunk_put(&half->chunks, i);
	}
}

static void release_ring(struct tcp_half *half, struct tcp_conn *c)
{
	if (c->tx_page == 0)
		return;
	if (c->flags & CF_TX_DIR) {
		for (uint32_t i = 0; i < DIR_SLOTS; i++) {
			if (dir_at(half, c->tx_page)[i])
				chunk_put(&half->chunks, dir_at(half, c->tx_page)[i]);
		}
	}
	chunk_put(&half->chunks, c->tx_page);
	c->tx_page = 0;
	c->flags &= ~(uint32_t)CF_TX_DIR;
}

void sendq_pop(struct tcp_half *half, struct tcp_conn *c)
{
	uint32_t i = c->tx_head, len = sendq_rec(half, c, i)->len;

	c->tx_head++;
	c->tx_count--;
	if (c->flags & CF_TX_DIR && c->tx_head % TX_PAGE == 0) {
		chunk_put(&half->chunks, *dir_slot(half, c, i));
		*dir_slot(half, c, i) = 0;
	}
	release_bytes(half, c, len);
	if (c->tx_count == 0)
		release_ring(half, c);
}

void sendq_trim(struct tcp_half *half, struct tcp_conn *c, struct tx_rec *r, uint32_t una)
{
	uint32_t n = una - r->seq, left;

	if (n > 0 && r->syn) {
		r->syn = 0;
		r->seq++;
		n--;
	}
	n = min_u32(n, r->len);
	r->seq += n;
	r->len = (uint16_t)(r->len - n);
	for (left = n; left > 0;) {
		struct chunk *k = chunk_at(&half->chunks, r->chunk);
		uint32_t m = min_u32(left, (uint32_t)(k->end - r->off));

		r->off = (uint16_t)(r->off + m);
		left -= m;
		if (r->off == k->end && (left > 0 || r->len > 0)) {
			r->chunk = k->next;
			r->off = chunk_at(&half->chunks, r->chunk)->start;
		}
	}
	release_bytes(half, c, n);
}

void sendq_clear(struct tcp_half *half, struct tcp_conn *c)
{
	release_ring(half, c);
	chunk_put_list(&half->chunks, c->snd_head);
	c->snd_head = c->snd_tail = c->snd_cur = 0;
	c->tx_count = 0;
	c->unsent = 0;
	c->sacked_bytes = c->lost_bytes = c->retrans_bytes = 0;
}

void sendq_gather(const struct tcp_half *half, const struct tx_rec *r, uint32_t skip, uint32_t len,
    struct tcp_segment *seg)
{
	uint32_t i = r->chunk, off = r->off;

	seg->n_pieces = 0;
	while (len > 0) {
		const struct chunk *k = chunk_at(&half->chunks, i);
		uint32_t n = k->end - off;

		if (skip >= n) {
			skip -= n;
		} else {
			off += skip;
			n = min_u32(n - skip, len);
			skip = 0;
			assert(seg->n_pieces < sizeof(seg->pieces) / sizeof(seg->pieces[0]));
			seg->pieces[seg->n_pieces].p = k->data + off;
			seg->pieces[seg->n_pieces++].len = (uint16_t)n;
			len -= n;
		}
		i = k->next;
		if (i)
			off = chunk_at(&half->chunks, i)->start;
	}
}
