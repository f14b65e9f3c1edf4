/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorted names of one kind (names.h). */
#include "names.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool names_init(struct names *names, struct arena *arena, size_t cap)
{
	*names = (struct names){ .cap = cap };
	names->items = arena_take(arena, cap + 1, sizeof(*names->items));
	return names->items != NULL;
}

void names_add(struct names *names, const struct config_value *value, const char *text, size_t index)
{
	if (!value->given || *text == '\0') {
		names->gaps = true;
		return;
	}
	assert(names->n < names->cap);
	names->items[names->n++] = (struct name){ text, value->pos, index };
}

static int compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->text, y->text);
	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

void names_sort(
    struct names *names, const char *key, const char *file, struct complaints *complaints)
{
	qsort(names->items, names->n, sizeof(*names->items), compare);
	for (size_t i = 1, first = 0; i < names->n; i++) {
		const struct name *name = &names->items[i];
		if (strcmp(names->items[first].text, name->text) != 0) {
			first = i;
			continue;
		}
		complain(complaints, file, name->pos,
		    "%s: \"%s\" is taken; allowed: each once (the first is in line %u)", key,
		    name->text, names->items[first].pos.line);
	}
}

long names_find(const struct names *names, const char *text)
{
	size_t low = 0, high = names->n;
	while (low < high) { /* the first of equals */
		size_t middle = low + (high - low) / 2;
		if (strcmp(names->items[middle].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == names->n || strcmp(names->items[low].text, text) != 0)
		return -1;
	return (long)names->items[low].index;
}

long names_resolve(const struct names *names, const struct config_value *reference, const char *key,
    const char *what, const char *file, struct complaints *complaints)
{
	if (!reference->given || *reference->text == '\0')
		return -1;
	long index = names_find(names, reference->text);
	if (index >= 0 || names->gaps)
		return index;
	char known[256];
	size_t len = 0;
	known[0] = '\0';
	for (size_t i = 0; i < names->n && len + 64 < sizeof(known); i++) {
		int n = snprintf(known + len, sizeof(known) - len, "%s%s", i == 0 ? "" : ", ",
		    names->items[i].text);
		len += n > 0 ? (size_t)n : 0;
		if (len + 64 >= sizeof(known) && i + 1 < names->n)
			snprintf(known + len, sizeof(known) - len, ", ...");
	}
	complain(complaints, file, reference->pos, "%s: there is no %s \"%s\"; allowed: %s", key,
	    what, reference->text, *known == '\0' ? "none is configured" : known);
	return -1;
}
