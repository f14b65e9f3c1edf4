/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sketch of each message on its way (filters/digest.h), for the waves that the notes' thread looks
 * for: what is read in it, its URL hosts and its subject. Only observes: with every place taken a
 * message goes unsketched (counted), and nothing about it changes.
 */
#ifndef POSTERN_DATAPLANE_SKETCH_H
#define POSTERN_DATAPLANE_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct relay;
struct sketch;

enum { SKETCHES = 1024 /* messages under way at once, per worker */ };

int sketches_init(struct worker *w); /* -ENOMEM */
void sketches_fini(struct worker *w);

/* A body begins; where policy looks for waves. */
void sketch_begin(struct worker *w, struct relay *r);
/* Unstuffed bytes. */
void sketch_feed(struct relay *r, const uint8_t *p, size_t n);
/* The message is over or refused: told in a note, if it was long enough to resemble anything. */
void sketch_end(struct worker *w, struct relay *r);

#endif
