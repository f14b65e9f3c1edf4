/* SPDX-License-Identifier: BSD-3-Clause */
/* The TIME-WAIT table: a pool, a FIFO, and the flow table's entries. */
#include "timewait.h"

#include "conn.h"

#include <errno.h>
#include <stdlib.h>

int timewait_init(struct timewait *tw, uint32_t max, uint32_t msl_ms)
{
	struct tw_entry *entries =
	    aligned_alloc(64, (((size_t)max + 1) * sizeof(*entries) + 63) & ~(size_t)63);

	if (!entries)
		return -ENOMEM;
	*tw = (struct timewait){
		.entries = entries,
		.max = max,
		.length_ns = (uint64_t)msl_ms * 2 * 1000000u,
	};
	return 0;
}

void timewait_fini(struct timewait *tw)
{
	free(tw->entries);
	tw->entries = NULL;
}

static uint32_t index_of(const struct timewait *tw, const struct tw_entry *e)
{
	return (uint32_t)(e - tw->entries);
}

static void fifo_append(struct timewait *tw, struct tw_entry *e)
{
	uint32_t i = index_of(tw, e);

	e->prev = tw->newest;
	e->next = 0;
	if (tw->newest)
		tw->entries[tw->newest].next = i;
	else
		tw->oldest = i;
	tw->newest = i;
}

static void fifo_remove(struct timewait *tw, struct tw_entry *e)
{
	if (e->prev)
		tw->entries[e->prev].next = e->next;
	else
		tw->oldest = e->next;
	if (e->next)
		tw->entries[e->next].prev = e->prev;
	else
		tw->newest = e->prev;
}

struct tw_entry *timewait_add(struct timewait *tw, struct flow_table *flows,
    const struct flow_key *key, uint64_t now_ns, bool *ret_evicted)
{
	struct tw_entry *e;
	uint32_t i;

	*ret_evicted = tw->used == tw->max;
	if (*ret_evicted)
		timewait_remove(tw, flows, &tw->entries[tw->oldest]);
	i = tw->free_head;
	if (i)
		tw->free_head = tw->entries[i].next;
	else
		i = ++tw->fresh;
	tw->used++;
	e = &tw->entries[i];
	*e = (struct tw_entry){ .key = *key, .since_ns = now_ns };
	e->expires_ns = now_ns + tw->length_ns;
	fifo_append(tw, e);
	flow_insert(flows, key->hash, i | FLOW_TIMEWAIT);
	return e;
}

void timewait_remove(struct timewait *tw, struct flow_table *flows, struct tw_entry *e)
{
	uint32_t i = index_of(tw, e);

	flow_remove(flows, e->key.hash, i | FLOW_TIMEWAIT);
	fifo_remove(tw, e);
	e->next = tw->free_head;
	tw->free_head = i;
	tw->used--;
}

void timewait_restart(struct timewait *tw, struct tw_entry *e, uint64_t now_ns)
{
	fifo_remove(tw, e);
	fifo_append(tw, e);
	e->expires_ns = now_ns + tw->length_ns;
}

void timewait_expire(struct timewait *tw, struct flow_table *flows, uint64_t now_ns, unsigned limit)
{
	while (tw->oldest && limit-- > 0 && tw->entries[tw->oldest].expires_ns <= now_ns)
		timewait_remove(tw, flows, &tw->entries[tw->oldest]);
}

uint64_t timewait_deadline(const struct timewait *tw)
{
	return tw->oldest ? tw->entries[tw->oldest].expires_ns : UINT64_MAX;
}
