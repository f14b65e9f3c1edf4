/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs of data out of order. */
#include "reasm.h"

uint32_t chain_append(struct stack *st, uint32_t *head, uint32_t *tail, const uint8_t *data,
    uint32_t len, enum chunk_use use)
{
	struct chunk_pool *pool = &st->tcp->chunks;
	uint32_t done = 0;

	while (done < len) {
		struct chunk *k = *tail ? chunk_at(pool, *tail) : NULL;
		uint32_t n;

		if (!k || k->end == CHUNK_DATA) {
			uint32_t i = chunk_get(pool, use);

			if (i == 0 && use == CHUNK_IN_ORDER && conn_relieve_pressure(st))
				i = chunk_get(pool, use);
			if (i == 0) {
				count(st, STACK_chunks_exhausted);
				break;
			}
			if (k)
				k->next = i;
			else
				*head = i;
			*tail = i;
			k = chunk_at(pool, i);
		}
		n = min_u32(len - done, CHUNK_DATA - k->end);
		memcpy(k->data + k->end, data + done, n);
		k->end = (uint16_t)(k->end + n);
		done += n;
	}
	return done;
}

static struct chunk *run_at(const struct tcp_half *half, uint32_t run)
{
	return chunk_at(&half->chunks, run);
}

/* Takes the second of two touching or overlapping neighbours into the first. */
static void merge_next(struct tcp_half *half, struct tcp_conn *c, uint32_t run)
{
	struct chunk *r = run_at(half, run), *n = run_at(half, r->run_next);
	uint32_t next = r->run_next, overlap = r->run_end - n->run_seq;

	r->run_next = n->run_next;
	c->ooo_runs--;
	if (c->ooo_recent == next)
		c->ooo_recent = run;
	if (seq_leq(n->run_end, r->run_end)) { /* nothing new in it */
		chunk_put_list(&half->chunks, next);
		return;
	}
	r->run_end = n->run_end;
	{
		uint32_t n_tail = n->run_tail;

		while (overlap > 0) {
			struct chunk *k = chunk_at(&half->chunks, next);
			uint32_t m = min_u32(overlap, (uint32_t)(k->end - k->start));
			uint32_t after = k->next;

			k->start = (uint16_t)(k->start + m);
			overlap -= m;
			if (k->start < k->end)
				break;
			chunk_put(&half->chunks, next);
			next = after;
		}
		chunk_at(&half->chunks, r->run_tail)->next = next;
		r->run_tail = n_tail;
	}
}

/* A run of its own between `before` (0: the head) and what follows. */
static uint32_t run_insert(struct stack *st, struct tcp_conn *c, uint32_t before, uint32_t seq,
    const uint8_t *data, uint32_t len)
{
	struct tcp_half *half = st->tcp;
	uint32_t head = 0, tail = 0, *link, done;

	if (c->ooo_runs == REASM_MAX_RUNS) {
		count(st, STACK_reasm_runs_full);
		return 0;
	}
	done = chain_append(st, &head, &tail, data, len, CHUNK_OUT_OF_ORDER);
	if (done == 0)
		return 0;
	link = before ? &run_at(half, before)->run_next : &c->ooo_head;
	run_at(half, head)->run_seq = seq;
	run_at(half, head)->run_end = seq + done;
	run_at(half, head)->run_tail = tail;
	run_at(half, head)->run_next = *link;
	*link = head;
	c->ooo_runs++;
	return head;
}

bool reasm_add(struct stack *st, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
    uint32_t len, bool *ret_duplicate)
{
	struct tcp_half *half = st->tcp;
	uint32_t at = 0, next = c->ooo_head;

	*ret_duplicate = false;
	if (c->ooo_recent && seq_leq(run_at(half, c->ooo_recent)->run_seq, seq)) {
		at = c->ooo_recent;
		next = run_at(half, at)->run_next;
	}
	while (next && seq_leq(run_at(half, next)->run_seq, seq)) {
		at = next;
		next = run_at(half, at)->run_next;
	}
	/* `at` is the last run that begins at or before seq. */
	if (at && seq_leq(seq, run_at(half, at)->run_end)) {
		struct chunk *r = run_at(half, at);
		uint32_t known = r->run_end - seq, done;

		c->ooo_recent = at;
		if (known >= len) {
			*ret_duplicate = true;
			return true;
		}
		done = chain_append(
		    st, &at, &r->run_tail, data + known, len - known, CHUNK_OUT_OF_ORDER);
		if (done == 0)
			return false;
		r->run_end += done;
	} else {
		at = run_insert(st, c, at, seq, data, len);
		if (at == 0)
			return false;
		c->ooo_recent = at;
	}
	while (run_at(half, at)->run_next &&
	       seq_leq(run_at(half, run_at(half, at)->run_next)->run_seq, run_at(half, at)->run_end))
		merge_next(half, c, at);
	conn_list_append(half, &half->memory, c, LINK_MEMORY);
	return true;
}

uint32_t reasm_advance(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;
	uint32_t moved = 0;

	while (c->ooo_head && seq_leq(run_at(half, c->ooo_head)->run_seq, c->rcv_nxt)) {
		uint32_t run = c->ooo_head, overlap;
		struct chunk *r = run_at(half, run);
		uint32_t tail = r->run_tail, end = r->run_end;

		overlap = c->rcv_nxt - r->run_seq;
		c->ooo_head = r->run_next;
		c->ooo_runs--;
		if (c->ooo_recent == run)
			c->ooo_recent = 0;
		if (seq_leq(end, c->rcv_nxt)) {
			chunk_put_list(&half->chunks, run);
			continue;
		}
		while (overlap > 0) {
			struct chunk *k = chunk_at(&half->chunks, run);
			uint32_t m = min_u32(overlap, (uint32_t)(k->end - k->start));
			uint32_t after = k->next;

			k->start = (uint16_t)(k->start + m);
			overlap -= m;
			if (k->start < k->end)
				break;
			chunk_put(&half->chunks, run);
			run = after;
		}
		if (c->rcv_tail)
			chunk_at(&half->chunks, c->rcv_tail)->next = run;
		else
			c->rcv_head = run;
		c->rcv_tail = tail;
		moved += end - c->rcv_nxt;
		c->unread += end - c->rcv_nxt;
		c->rcv_nxt = end;
	}
	if (c->ooo_head == 0)
		conn_leave_memory_list(half, c);
	return moved;
}

void reasm_clear(struct stack *st, struct tcp_conn *c)
{
	struct tcp_half *half = st->tcp;

	while (c->ooo_head) {
		uint32_t run = c->ooo_head;

		c->ooo_head = run_at(half, run)->run_next;
		chunk_put_list(&half->chunks, run);
	}
	c->ooo_runs = 0;
	c->ooo_recent = 0;
	conn_leave_memory_list(half, c);
}

unsigned reasm_sack_blocks(const struct tcp_half *half, const struct tcp_conn *c,
    struct tcp_sack_block *ret_blocks, unsigned max)
{
	unsigned n = 0;

	if (c->ooo_recent && n < max) {
		const struct chunk *r = run_at(half, c->ooo_recent);

		ret_blocks[n++] = (struct tcp_sack_block){ r->run_seq, r->run_end };
	}
	for (uint32_t run = c->ooo_head; run && n < max; run = run_at(half, run)->run_next) {
		if (run != c->ooo_recent)
			ret_blocks[n++] = (struct tcp_sack_block){ run_at(half, run)->run_seq,
				run_at(half, run)->run_end };
	}
	return n;
}
