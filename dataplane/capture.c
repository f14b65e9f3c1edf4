/* SPDX-License-Identifier: BSD-3-Clause */
/* See capture.h. */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct slot {
	uint64_t time_ns;
	uint32_t len; /* of the frame; what is kept of it is at most CAPTURE_SNAP */
	uint16_t port;
	bool outward;
	uint8_t data[CAPTURE_SNAP];
};

struct ring {
	_Alignas(64) atomic_uint head; /* written by the worker */
	atomic_ullong lost;
	_Alignas(64) atomic_uint tail; /* written by the writer */
	struct slot slots[CAPTURE_SLOTS];
};

struct capture {
	struct capture_bounds bounds;
	unsigned n_workers;
	struct ring *rings;
	uint64_t (*now_ns)(void);
	FILE *file;
	pthread_t thread;
	atomic_bool stop, over;
	atomic_ullong packets, bytes;
	const char *why; /* written before `over` */
};

/* ---- which frames ---- */

static bool in_prefix(const struct capture_bounds *b, const uint8_t addr[16])
{
	unsigned bytes = b->prefix_len / 8, bits = b->prefix_len % 8;

	if (memcmp(addr, b->addr, bytes) != 0)
		return false;
	return bits == 0 || (addr[bytes] ^ b->addr[bytes]) >> (8 - bits) == 0;
}

bool capture_fits(const struct capture_bounds *b, const uint8_t *data, size_t len)
{
	uint8_t from[16] = { [10] = 0xff, 0xff }, to[16] = { [10] = 0xff, 0xff };
	size_t at = 12;
	unsigned type;

	if (len < 14)
		return false;
	type = (unsigned)data[at] << 8 | data[at + 1];
	if (type == 0x8100 && len >= 18) { /* a tag the port leaves on */
		at += 4;
		type = (unsigned)data[at] << 8 | data[at + 1];
	}
	at += 2;
	if (type == 0x0800 && len >= at + 20) {
		memcpy(from + 12, data + at + 12, 4);
		memcpy(to + 12, data + at + 16, 4);
	} else if (type == 0x86dd && len >= at + 40) {
		memcpy(from, data + at + 8, 16);
		memcpy(to, data + at + 24, 16);
	} else {
		return false;
	}
	return in_prefix(b, from) || in_prefix(b, to);
}

void capture_put(struct capture *c, unsigned worker, const struct frame *frames, unsigned n,
    bool outward, uint64_t now_ns)
{
	struct ring *r = &c->rings[worker];
	unsigned head = atomic_load_explicit(&r->head, memory_order_relaxed);
	unsigned room =
	    CAPTURE_SLOTS - (head - atomic_load_explicit(&r->tail, memory_order_acquire));
	unsigned long long lost = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct frame *f = &frames[i];
		struct slot *s = &r->slots[head % CAPTURE_SLOTS];

		if (!capture_fits(&c->bounds, f->data, f->len))
			continue;
		if (room == 0) {
			lost++;
			continue;
		}
		s->time_ns = now_ns;
		s->len = f->len;
		s->port = f->port;
		s->outward = outward;
		memcpy(s->data, f->data, f->len < CAPTURE_SNAP ? f->len : CAPTURE_SNAP);
		head++;
		room--;
	}
	if (lost)
		atomic_fetch_add_explicit(&r->lost, lost, memory_order_relaxed);
	atomic_store_explicit(&r->head, head, memory_order_release);
}

/* ---- the file: pcapng, in this machine's byte order as the format allows ---- */

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6, LINK_ETHERNET = 1 };

static void put(struct capture *c, const void *data, size_t len)
{
	if (fwrite(data, 1, len, c->file) == len)
		atomic_fetch_add_explicit(&c->bytes, len, memory_order_relaxed);
}

static void put_head(struct capture *c)
{
	/* a section of unknown length; one Ethernet interface whose times are in ns (option 9) */
	const struct {
		uint32_t type, len, magic;
		uint16_t major, minor;
		int64_t section;
		uint32_t len_again;
	} __attribute__((packed)) section = { BLOCK_SECTION, 28, 0x1a2b3c4d, 1, 0, -1, 28 };
	const struct {
		uint32_t type, len;
		uint16_t link, reserved;
		uint32_t snap;
		uint16_t option, option_len;
		uint8_t resolution, pad[3];
		uint32_t end, len_again;
	} __attribute__((packed))
	interface = { BLOCK_INTERFACE, 32, LINK_ETHERNET, 0, CAPTURE_SNAP, 9, 1, 9, { 0 }, 0, 32 };
	_Static_assert(sizeof(section) == 28 && sizeof(interface) == 32, "as pcapng has them");

	put(c, &section, sizeof(section));
	put(c, &interface, sizeof(interface));
}

static void put_packet(struct capture *c, const struct slot *s)
{
	static const uint8_t zeros[4];
	uint32_t kept = s->len < CAPTURE_SNAP ? s->len : CAPTURE_SNAP, pad = -kept & 3;
	const struct {
		uint32_t type, len, interface, high, low, kept, whole;
	} head = { BLOCK_PACKET, 32 + kept + pad + 12, 0, (uint32_t)(s->time_ns >> 32),
		(uint32_t)s->time_ns, kept, s->len };
	const struct {
		uint16_t flags, flags_len;
		uint32_t value;
		uint32_t end;
		uint32_t len_again;
	} tail = { 2, 4, s->outward ? 2 : 1, 0, head.len };

	put(c, &head, sizeof(head));
	put(c, s->data, kept);
	put(c, zeros, pad);
	put(c, &tail, sizeof(tail));
	atomic_fetch_add_explicit(&c->packets, 1, memory_order_relaxed);
}

static const char *bound_met(struct capture *c)
{
	if (ferror(c->file))
		return "disk";
	if (atomic_load(&c->packets) >= c->bounds.packets)
		return "packets";
	if (atomic_load(&c->bytes) >= c->bounds.bytes)
		return "bytes";
	return NULL;
}

/* What the rings hold; NULL, or the bound that was met. */
static const char *drain(struct capture *c, bool *ret_any)
{
	const char *why = NULL;

	for (unsigned i = 0; i < c->n_workers && !why; i++) {
		struct ring *r = &c->rings[i];
		unsigned head = atomic_load_explicit(&r->head, memory_order_acquire);
		unsigned tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

		for (; tail != head && !why; tail++) {
			put_packet(c, &r->slots[tail % CAPTURE_SLOTS]);
			*ret_any = true;
			why = bound_met(c);
		}
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
	return why;
}

static void *writer(void *arg)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	struct capture *c = arg;
	const char *why = NULL;

	while (!why) {
		bool any = false, stop = atomic_load(&c->stop);
		bool late = c->now_ns() >= c->bounds.end_ns;

		why = drain(c, &any);
		if (!why && late)
			why = "time";
		if (!why && stop)
			why = "stopped";
		if (!why && !any)
			nanosleep(&pause, NULL);
	}
	if (fclose(c->file) != 0)
		why = "disk";
	c->file = NULL;
	c->why = why;
	atomic_store(&c->over, true);
	return NULL;
}

/* ---- life ---- */

int capture_new(const char *path, unsigned n_workers, const struct capture_bounds *bounds,
    uint64_t (*now_ns)(void), struct capture **ret_capture)
{
	struct capture *c = calloc(1, sizeof(*c));
	sigset_t all, before;
	int fd = -1, rc = -ENOMEM;

	if (!c)
		return rc;
	c->bounds = *bounds;
	c->n_workers = n_workers;
	c->now_ns = now_ns;
	c->rings = aligned_alloc(64, n_workers * sizeof(struct ring));
	if (!c->rings)
		goto failed;
	for (unsigned i = 0; i < n_workers; i++) {
		atomic_init(&c->rings[i].head, 0);
		atomic_init(&c->rings[i].tail, 0);
		atomic_init(&c->rings[i].lost, 0);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !(c->file = fdopen(fd, "w"))) {
		rc = -errno;
		goto failed;
	}
	fd = -1;
	put_head(c);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = -pthread_create(&c->thread, NULL, writer, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		goto failed;
	*ret_capture = c;
	return 0;
failed:
	if (c->file)
		fclose(c->file);
	if (fd >= 0)
		close(fd);
	free(c->rings);
	free(c);
	return rc;
}

void capture_stop(struct capture *c)
{
	atomic_store(&c->stop, true);
}

struct capture *capture_free(struct capture *c)
{
	if (!c)
		return NULL;
	capture_stop(c);
	pthread_join(c->thread, NULL);
	free(c->rings);
	free(c);
	return NULL;
}

void capture_look(struct capture *c, struct capture_state *ret_state)
{
	struct capture_state s = { 0 };

	s.over = atomic_load(&c->over);
	s.why = s.over ? c->why : NULL;
	s.packets = atomic_load(&c->packets);
	s.bytes = atomic_load(&c->bytes);
	for (unsigned i = 0; i < c->n_workers; i++)
		s.lost += atomic_load(&c->rings[i].lost);
	*ret_state = s;
}
