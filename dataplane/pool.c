/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools of objects of one size; see pool.h. */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { CACHE_LINE = 64 };

int pool_init(struct pool *p, size_t object_size, uint32_t total)
{
	size_t size = (object_size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
	size_t bytes = size * total;
	void *m = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (m == MAP_FAILED)
		return -ENOMEM;
	*p = (struct pool){ .memory = m, .object_size = size, .bytes = bytes, .total = total };
	return 0;
}

void pool_fini(struct pool *p)
{
	if (p->memory)
		munmap(p->memory, p->bytes ? p->bytes : 1);
	*p = (struct pool){ 0 };
}

void *pool_get(struct pool *p)
{
	void *object = p->free;

	if (object)
		memcpy(&p->free, object, sizeof(p->free));
	else if (p->fresh < p->total)
		object = p->memory + p->object_size * p->fresh++;
	else
		return NULL;
	p->used++;
	return object;
}

void pool_put(struct pool *p, void *object)
{
	assert(p->used > 0);
	memcpy(object, &p->free, sizeof(p->free));
	p->free = object;
	p->used--;
}
