/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries kept to the end of the file, and exceptions cut out of them. Entries are taken apart into
 * prefixes, which either hold each other or have nothing in common: so one walk over them in order,
 * with a stack of those that hold the present one, finds for each stretch the most specific.
 */
#include "listfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int listfile_keep(struct listfile *f, const struct inet_range *range, bool except,
    uint32_t timeout_s, const char *comment, size_t comment_len)
{
	struct listfile_kept kept = { *range, except, timeout_s, 0 };
	if (f->n_kept == LISTFILE_KEPT_MAX)
		return -E2BIG;
	if (f->n_kept == f->room) {
		size_t room = f->room == 0 ? 1024 : f->room * 2;
		struct listfile_kept *more = realloc(f->kept, room * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		f->kept = more;
		f->room = room;
	}
	if (f->texts_room - f->n_texts < comment_len + 2) {
		size_t room = f->texts_room == 0 ? 65536 : f->texts_room * 2;
		char *more = room > UINT32_MAX ? NULL : realloc(f->texts, room);
		if (more == NULL)
			return -ENOMEM;
		f->texts = more;
		f->texts_room = room;
		if (f->n_texts == 0)
			f->texts[f->n_texts++] = '\0'; /* offset 0: no comment */
	}
	if (comment_len != 0) {
		kept.comment = (uint32_t)f->n_texts;
		memcpy(f->texts + f->n_texts, comment, comment_len);
		f->texts[f->n_texts + comment_len] = '\0';
		f->n_texts += comment_len + 1;
	}
	f->n_exceptions += except;
	f->kept[f->n_kept++] = kept;
	return 0;
}

struct piece {
	struct inet_net net;
	uint32_t of; /* index into kept */
};

struct cutting {
	struct listfile *f;
	struct piece *pieces;
	size_t n, room;
	uint32_t of;
};

static int add_piece(void *arg, const struct inet_net *net)
{
	struct cutting *c = arg;
	if (c->n == c->room) {
		size_t room = c->room == 0 ? 1024 : c->room * 2;
		struct piece *more = realloc(c->pieces, room * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		c->pieces = more;
		c->room = room;
	}
	c->pieces[c->n++] = (struct piece){ *net, c->of };
	return 0;
}

static unsigned bits_of(const struct inet_net *net)
{
	return net->prefix_len + (inet_is_v4(net->addr) ? 96u : 0u);
}

/* IPv4 first; holders before what they hold, entries before exceptions of the same prefix. */
static int by_place(const void *a, const void *b, void *arg)
{
	const struct piece *x = a, *y = b;
	const struct listfile_kept *kept = arg;
	int order = (int)inet_is_v4(y->net.addr) - (int)inet_is_v4(x->net.addr);
	if (order == 0)
		order = memcmp(x->net.addr, y->net.addr, 16);
	if (order == 0)
		order = (int)bits_of(&x->net) - (int)bits_of(&y->net);
	if (order == 0)
		order = (int)kept[x->of].except - (int)kept[y->of].except;
	return order != 0 ? order : x->of < y->of ? -1 : 1;
}

static bool step(uint8_t addr[16], int by)
{
	for (int i = 15; i >= 0; i--) {
		addr[i] = (uint8_t)(addr[i] + by);
		if (addr[i] != (by > 0 ? 0x00 : 0xff))
			return true;
	}
	return false; /* past the end of all addresses */
}

static int hand_on_one(
    struct listfile *f, const struct listfile_kept *kept, const struct inet_range *range)
{
	struct listfile_item item = { *range, kept->timeout_s,
		kept->comment == 0 ? "" : f->texts + kept->comment };
	return f->entry(f->arg, &item);
}

/* The stretch from `at` to `last` belongs to the piece. */
static int give(
    struct cutting *c, const struct piece *piece, const uint8_t at[16], const uint8_t last[16])
{
	const struct listfile_kept *kept = &c->f->kept[piece->of];
	struct inet_range range;
	if (kept->except || memcmp(at, last, 16) > 0)
		return 0;
	memcpy(range.first, at, 16);
	memcpy(range.last, last, 16);
	return hand_on_one(c->f, kept, &range);
}

static int walk(struct cutting *c)
{
	enum {
		DEEPEST = 130
	}; /* lengths of prefixes, each held by a shorter one, and equal ones merged */
	const struct piece *stack[DEEPEST];
	uint8_t at[16] = { 0 }; /* what is before it is given */
	unsigned depth = 0;
	bool over = false;
	int ret = 0;
	for (size_t i = 0; i <= c->n && ret == 0; i++) {
		const struct piece *next = i < c->n ? &c->pieces[i] : NULL;
		while (depth != 0 && ret == 0) {
			const struct piece *top = stack[depth - 1];
			struct inet_range holds = inet_net_range(&top->net);
			if (next != NULL && inet_is_v4(next->net.addr) == inet_is_v4(top->net.addr) &&
			    memcmp(next->net.addr, holds.last, 16) <= 0) {
				uint8_t before[16];
				memcpy(before, next->net.addr, 16);
				if (step(before, -1))
					ret = give(c, top, at, before);
				break;
			}
			if (!over)
				ret = give(c, top, at, holds.last);
			memcpy(at, holds.last, 16);
			over = !step(at, 1);
			depth--;
		}
		if (next == NULL || ret != 0)
			break;
		memcpy(at, next->net.addr, 16);
		over = false;
		if (depth != 0 && bits_of(&stack[depth - 1]->net) == bits_of(&next->net))
			stack[depth - 1] = next; /* the same prefix again: the later one counts */
		else
			stack[depth++] = next;
	}
	return ret;
}

static int cut(struct listfile *f)
{
	struct cutting c = { .f = f };
	int ret = 0;
	for (; c.of < f->n_kept && ret == 0; c.of++)
		ret = inet_range_nets(&f->kept[c.of].range, add_piece, &c);
	if (ret == 0 && c.n != 0) {
		qsort_r(c.pieces, c.n, sizeof(*c.pieces), by_place, f->kept);
		ret = walk(&c);
	}
	free(c.pieces);
	return ret;
}

int listfile_hand_on(struct listfile *f)
{
	int ret = 0;
	if (f->n_exceptions != 0)
		return cut(f);
	for (size_t i = 0; i < f->n_kept && ret == 0; i++)
		ret = hand_on_one(f, &f->kept[i], &f->kept[i].range);
	return ret;
}
