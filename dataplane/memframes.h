/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames in plain memory, for the shells without NICs: replay, simulation, fuzzing, benchmarks.
 * A fixed number of equal buffers, handed out last in first out. One thread.
 */
#ifndef POSTERN_DATAPLANE_MEMFRAMES_H
#define POSTERN_DATAPLANE_MEMFRAMES_H

#include "tcpstack/frame.h"

#include <stdbool.h>
#include <stdint.h>

struct memframes;

enum { MEMFRAMES_HEADROOM = 64 };

/* n buffers with room for `room` bytes of frame behind the headroom. NULL: no memory. */
struct memframes *memframes_new(unsigned n, uint16_t room);
struct memframes *memframes_free(struct memframes *mf); /* NULL is allowed; returns NULL */

/* Fits struct stack_host.frame_alloc, with the pool as arg. False: none left. */
bool memframes_get(void *mf, uint8_t port, struct frame *ret_frame);
/* Gives back n frames of this pool. Giving one back twice is caught by an assertion. */
void memframes_put(struct memframes *mf, const struct frame *frames, unsigned n);
unsigned memframes_in_use(const struct memframes *mf);

#endif
