/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One direction of a model link: delay, jitter (and so reordering), loss, duplication, corruption,
 * all drawn from one seed. Bounded like a router's queue: beyond `max` frames the tail is dropped.
 */
#ifndef POSTERN_DATAPLANE_MODEL_LINK_H
#define POSTERN_DATAPLANE_MODEL_LINK_H

#include "memframes.h"

struct model_link_config {
	uint64_t seed;
	uint64_t delay_ns, jitter_ns;
	uint16_t loss, duplicate, corrupt; /* in 1/1000 of the frames */
	unsigned max;                      /* frames under way; 0: 4,096 */
	/* Sees each frame given in, before chance has its say; for captures. May be NULL. */
	void (*tap)(void *arg, const struct frame *f, uint64_t now_ns);
	void *tap_arg;
};

struct model_link;

struct model_link *model_link_new(const struct model_link_config *config, struct memframes *frames);
struct model_link *model_link_free(struct model_link *l); /* gives back what is under way */

/* Takes n frames over. */
void model_link_send(struct model_link *l, const struct frame *frames, unsigned n, uint64_t now_ns);
/* When the next one arrives; UINT64_MAX: none is under way. */
uint64_t model_link_next(const struct model_link *l);
/* Those that have arrived, at most n, in order of arrival; `port` is set in each. */
unsigned model_link_receive(
    struct model_link *l, uint64_t now_ns, uint8_t port, struct frame *frames, unsigned n);

#endif
