/* SPDX-License-Identifier: BSD-3-Clause */
/* Inspection windows; see window.h. */
#include "window.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int window_pool_init(struct window_pool *wp, size_t bytes)
{
	uint32_t n = (uint32_t)(bytes / EXTENT_SIZE);
	struct pool extents;
	int r;

	if (n < 32)
		return -EINVAL;
	r = pool_init(&extents, sizeof(struct extent), n);
	if (r < 0)
		return r;
	*wp = (struct window_pool){ .extents = extents, .reserve = n / 8 };
	return 0;
}

void window_pool_fini(struct window_pool *wp)
{
	pool_fini(&wp->extents);
}

uint32_t window_pool_left(const struct window_pool *wp)
{
	uint32_t left = wp->extents.total - wp->extents.used;

	return left > wp->reserve ? left - wp->reserve : 0;
}

bool window_pool_low(const struct window_pool *wp)
{
	return window_pool_left(wp) < (wp->extents.total - wp->reserve) / 4;
}

struct extent *extent_get(struct window_pool *wp)
{
	struct extent *e = pool_get(&wp->extents);

	if (e) {
		e->next = NULL;
		e->off = e->len = 0;
	}
	return e;
}

struct extent *extent_put(struct window_pool *wp, struct extent *e)
{
	if (e)
		pool_put(&wp->extents, e);
	return NULL;
}

size_t window_room(const struct window_pool *wp, const struct window *w)
{
	size_t room = (size_t)window_pool_left(wp) * EXTENT_BYTES;

	if (w->tail)
		room += EXTENT_BYTES - w->tail->off - w->tail->len;
	return room;
}

size_t window_append(struct window_pool *wp, struct window *w, const uint8_t *data, size_t len)
{
	size_t taken = 0;

	while (taken < len) {
		struct extent *e = w->tail;
		size_t n;

		if (!e || e->off + e->len == EXTENT_BYTES) {
			if (window_pool_left(wp) == 0)
				break;
			e = extent_get(wp);
			if (w->tail)
				w->tail->next = e;
			else
				w->head = e;
			w->tail = e;
			w->extents++;
		}
		n = EXTENT_BYTES - e->off - e->len;
		if (n > len - taken)
			n = len - taken;
		memcpy(e->data + e->off + e->len, data + taken, n);
		e->len += (uint16_t)n;
		taken += n;
	}
	w->bytes += (uint32_t)taken;
	return taken;
}

bool window_prepend(struct window_pool *wp, struct window *w, const uint8_t *data, size_t len)
{
	struct extent *e = len <= EXTENT_BYTES ? extent_get(wp) : NULL;

	if (!e)
		return false;
	memcpy(e->data, data, len);
	e->off = 0;
	e->len = (uint16_t)len;
	e->next = w->head;
	w->head = e;
	if (!w->tail)
		w->tail = e;
	w->bytes += (uint32_t)len;
	w->extents++;
	return true;
}

size_t window_peek(const struct window *w, const uint8_t **ret_data)
{
	if (!w->head)
		return 0;
	*ret_data = w->head->data + w->head->off;
	return w->head->len;
}

void window_consume(struct window_pool *wp, struct window *w, size_t n)
{
	struct extent *e = w->head;

	assert(n == 0 || (e && n <= e->len));
	if (n == 0)
		return;
	e->off += (uint16_t)n;
	e->len -= (uint16_t)n;
	w->bytes -= (uint32_t)n;
	if (e->len == 0) {
		w->head = e->next;
		if (!w->head)
			w->tail = NULL;
		w->extents--;
		extent_put(wp, e);
	}
}

void window_clear(struct window_pool *wp, struct window *w)
{
	while (w->head)
		window_consume(wp, w, w->head->len);
}
