/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of one configuration (arena.h). */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 64 * 1024 };

struct arena_block {
	struct arena_block *next;
	_Alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){ 0 };
}

void arena_fini(struct arena *a)
{
	struct arena_block *block = a->blocks;
	while (block != NULL) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
	*a = (struct arena){ 0 };
}

void *arena_take(struct arena *a, size_t n, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	if (n != 0 && size > (SIZE_MAX / 2) / n) {
		a->failed = true;
		return NULL;
	}
	size_t want = (n * size + align - 1) / align * align;
	if (a->blocks == NULL || a->size - a->used < want) {
		size_t room = want > ARENA_BLOCK ? want : ARENA_BLOCK;
		struct arena_block *block = malloc(sizeof(*block) + room);
		if (block == NULL) {
			a->failed = true;
			return NULL;
		}
		block->next = a->blocks;
		a->blocks = block;
		a->size = room;
		a->used = 0;
	}
	void *p = a->blocks->bytes + a->used;
	a->used += want;
	memset(p, 0, want);
	return p;
}

char *arena_text(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_take(a, len + 1, 1);
	if (copy != NULL && len != 0)
		memcpy(copy, text, len);
	return copy;
}
