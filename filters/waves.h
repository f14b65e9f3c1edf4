/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waves: the same content from many addresses. Messages whose sketches (digest.h) share a band, or
 * that share a URL host first seen not long ago, belong to one wave; a wave is told of when enough
 * networks (/24, /64) sent it. Newsletters come from few networks and phishing from many, which is
 * why networks are counted and not messages.
 *
 * Bounded: fixed tables taken by waves_new(). A band's place is taken by the band seen least
 * recently of its bucket; of all waves, when there is no free row, the one seen longest ago goes. Pure,
 * time is an argument, one thread.
 */
#ifndef POSTERN_FILTERS_WAVES_H
#define POSTERN_FILTERS_WAVES_H

#include "digest.h"

enum {
	WAVES_CLIENTS = 64, /* addresses kept of a wave, for a ban */
	WAVES_TEXT = 96,
	WAVES_WORDS = 4, /* hosts and subjects kept of a wave, for a pattern */
};

/* A host, or a subject whose runs of digits are each one 0, and of how many of the wave's messages. */
struct wave_word {
	uint32_t messages;
	char text[WAVES_TEXT];
};

struct wave_message {
	uint8_t client[16];
	const char *subject, *sender,
	    *host; /* zero-terminated; host: of the first URL, "" for none */
};

struct wave {
	uint32_t id; /* from 1; never used again */
	uint32_t first_s, last_s;
	uint32_t messages;
	uint32_t networks;          /* distinct /24 and /64, estimated beyond 64 */
	uint64_t seen[8];           /* private: which networks, by hash */
	uint32_t mins[DIGEST_MINS]; /* of the first message */
	bool told;
	uint8_t n_clients;
	char subject[WAVES_TEXT], sender[WAVES_TEXT], host[WAVES_TEXT]; /* of the latest message */
	uint8_t clients[WAVES_CLIENTS][16];                             /* the first ones */
	struct wave_word hosts[WAVES_WORDS], subjects[WAVES_WORDS]; /* the first; messages 0: none */
};

struct waves;

/* rows: waves kept at once. told_at: networks from which on a wave is told of. life_s: a wave not
 * seen for so long is over. NULL: no memory. */
struct waves *waves_new(uint32_t rows, uint32_t told_at, uint32_t life_s);
struct waves *waves_free(struct waves *w);
void waves_set(struct waves *w, uint32_t told_at, uint32_t life_s);

/* A message. Returns the wave that is to be told of just now, NULL otherwise. */
const struct wave *waves_take(
    struct waves *w, const struct digest *d, const struct wave_message *m, uint32_t now_s);

/* Calls fn for each wave that is not over, of at least `networks`, the largest first; at most `max`. */
void waves_each(struct waves *w, uint32_t networks, unsigned max, uint32_t now_s,
    void (*fn)(void *arg, const struct wave *wave), void *arg);
const struct wave *waves_find(const struct waves *w, uint32_t id); /* NULL: gone */
/* How many messages of other waves that are not over had that host, or that subject; every message
 * begins or joins one. A lower bound: of a wave the first few are kept. */
uint32_t waves_elsewhere(
    const struct waves *w, uint32_t id, const char *host, const char *subject, uint32_t now_s);

#endif
