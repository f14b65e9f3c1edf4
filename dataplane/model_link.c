/* SPDX-License-Identifier: BSD-3-Clause */
/* A binary heap by (arrival, order of sending): equal arrivals keep their order. */
#include "model_link.h"

#include "model_mail.h" /* model_random() */

#include <stdlib.h>
#include <string.h>

struct under_way {
	uint64_t at_ns;
	uint64_t order;
	struct frame frame;
};

struct model_link {
	struct model_link_config config;
	struct memframes *frames;
	uint64_t random, sent;
	unsigned n;
	struct under_way heap[];
};

struct model_link *model_link_new(const struct model_link_config *config, struct memframes *frames)
{
	unsigned max = config->max ? config->max : 4096;
	struct model_link *l = malloc(sizeof(*l) + max * sizeof(l->heap[0]));
	if (!l)
		return NULL;
	l->config = *config;
	l->config.max = max;
	l->frames = frames;
	l->random = config->seed;
	l->sent = 0;
	l->n = 0;
	return l;
}

struct model_link *model_link_free(struct model_link *l)
{
	if (!l)
		return NULL;
	for (unsigned i = 0; i < l->n; i++)
		memframes_put(l->frames, &l->heap[i].frame, 1);
	free(l);
	return NULL;
}

static bool before(const struct under_way *a, const struct under_way *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(struct under_way *a, struct under_way *b)
{
	struct under_way t = *a;
	*a = *b;
	*b = t;
}

static void put(struct model_link *l, const struct frame *f, uint64_t now_ns)
{
	if (l->n == l->config.max) {
		memframes_put(l->frames, f, 1);
		return;
	}
	uint64_t jitter = l->config.jitter_ns ? model_random(&l->random) % l->config.jitter_ns : 0;
	unsigned i = l->n++;
	l->heap[i] = (struct under_way){ now_ns + l->config.delay_ns + jitter, l->sent++, *f };
	for (; i > 0 && before(&l->heap[i], &l->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&l->heap[i], &l->heap[(i - 1) / 2]);
}

static bool chance(struct model_link *l, uint16_t per_mille)
{
	return per_mille && model_random(&l->random) % 1000 < per_mille;
}

/* One bit of an IP packet: what no FCS covers is what happens inside a router, to packets. (ARP has
 * no checksum of its own, so a flipped bit there would be believed by anyone.) */
static void corrupt(struct model_link *l, const struct frame *f)
{
	uint64_t r = model_random(&l->random);
	bool ip = f->len > 34 && ((f->data[12] == 0x08 && f->data[13] == 0x00) ||
				     (f->data[12] == 0x86 && f->data[13] == 0xdd));
	if (ip)
		f->data[14 + r % (f->len - 14u)] ^= (uint8_t)(1u << ((r >> 32) & 7));
}

void model_link_send(struct model_link *l, const struct frame *frames, unsigned n, uint64_t now_ns)
{
	for (unsigned i = 0; i < n; i++) {
		struct frame twin;
		if (l->config.tap)
			l->config.tap(l->config.tap_arg, &frames[i], now_ns);
		if (chance(l, l->config.loss)) {
			memframes_put(l->frames, &frames[i], 1);
			continue;
		}
		if (chance(l, l->config.duplicate) && memframes_get(l->frames, 0, &twin)) {
			memcpy(twin.data, frames[i].data, frames[i].len);
			twin.len = frames[i].len;
			twin.flags = frames[i].flags;
			twin.vlan = frames[i].vlan;
			put(l, &twin, now_ns);
		}
		if (chance(l, l->config.corrupt))
			corrupt(l, &frames[i]);
		put(l, &frames[i], now_ns);
	}
}

uint64_t model_link_next(const struct model_link *l)
{
	return l->n ? l->heap[0].at_ns : UINT64_MAX;
}

unsigned model_link_receive(
    struct model_link *l, uint64_t now_ns, uint8_t port, struct frame *frames, unsigned n)
{
	unsigned got = 0;
	while (got < n && l->n && l->heap[0].at_ns <= now_ns) {
		frames[got] = l->heap[0].frame;
		frames[got].port = port;
		frames[got].flags &= FRAME_VLAN;
		got++;
		l->heap[0] = l->heap[--l->n];
		for (unsigned i = 0;;) {
			unsigned least = i, left = 2 * i + 1;
			if (left < l->n && before(&l->heap[left], &l->heap[least]))
				least = left;
			if (left + 1 < l->n && before(&l->heap[left + 1], &l->heap[least]))
				least = left + 1;
			if (least == i)
				break;
			swap(&l->heap[i], &l->heap[least]);
			i = least;
		}
	}
	return got;
}
