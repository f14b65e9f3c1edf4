/* SPDX-License-Identifier: BSD-3-Clause */
/* See memory.h: its life and its settings. The rest: memory_{key,window,judge,learn,show,save}.c. */
#include "memory_private.h"

#include <stdlib.h>
#include <string.h>

enum {
	METER_WORDS = 2 + sizeof(struct meter) / 8,
	PROFILE_WORDS = 2 + sizeof(struct profile) / 8,
	PAIR_LIFE_S = 60 * 86400, /* a sender that writes every month is no stranger */
};

void memory_defaults(struct policy_memory *s)
{
	*s = (struct policy_memory){
		.burst_floor = 40,
		.burst_percent = 150,
		.stranger_percent = 10,
		.hold_s = 86400,
		.unknown_floor = 10,
		.harvest_unknown = 10,
		.harvest_percent = 50,
		.spread_unknown = 100,
		.known_s = 30 * 86400,
		.unknown_s = 3600,
	};
}

void memory_fill_life(const struct policy_memory *s, uint32_t life_s[KNOWN_N_STATES])
{
	life_s[KNOWN_ABSENT] = 0;
	life_s[KNOWN_UNKNOWN] = s->unknown_s;
	life_s[KNOWN_PAIR] = PAIR_LIFE_S;
	life_s[KNOWN_KNOWN] = s->known_s;
}

struct memory *memory_new(uint32_t capacity, const uint8_t key[16])
{
	struct memory *m = calloc(1, sizeof(*m));
	struct policy_memory defaults;

	if (!m)
		return NULL;
	if (capacity < MEMORY_MIN_CAPACITY)
		capacity = MEMORY_MIN_CAPACITY;
	if (capacity > MEMORY_MAX_CAPACITY)
		capacity = MEMORY_MAX_CAPACITY;
	memcpy(m->key, key, sizeof(m->key));
	memory_defaults(&defaults);
	if (memory_table_init(&m->meters, capacity, METER_WORDS, HOUR_S, 2 * HOUR_S) < 0 ||
	    memory_table_init(
		&m->profiles, capacity / 4, PROFILE_WORDS, WEEK_S, MEMORY_WEEKS * WEEK_S) < 0 ||
	    memory_known_init(&m->known, 4 * capacity) < 0)
		return memory_free(m);
	memory_fill_life(&defaults, m->known.life_s);
	return m;
}

struct memory *memory_free(struct memory *m)
{
	if (m) {
		memory_table_fini(&m->meters);
		memory_table_fini(&m->profiles);
		memory_known_fini(&m->known);
		free(m);
	}
	return NULL;
}

size_t memory_bytes(const struct memory *m)
{
	return sizeof(*m) + memory_table_bytes(&m->meters) + memory_table_bytes(&m->profiles) +
	       memory_known_bytes(&m->known);
}
