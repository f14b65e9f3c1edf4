/* SPDX-License-Identifier: BSD-3-Clause */
/* Collected mistakes of an operator (complaints.h). Out of memory drops a text, never the count. */
#include "complaints.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void complaints_init(struct complaints *c)
{
	*c = (struct complaints){ 0 };
}

void complaints_fini(struct complaints *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		free(c->items[i].file);
		free(c->items[i].text);
	}
	*c = (struct complaints){ 0 };
}

void complain(struct complaints *c, const char *file, struct position pos, const char *format, ...)
{
	c->total++;
	if (c->n == COMPLAINTS_MAX)
		return;
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	char *name = strdup(file);
	if (name == NULL) {
		free(text);
		return;
	}
	c->items[c->n++] = (struct complaint){ .file = name, .pos = pos, .text = text };
}

static bool before(const struct complaint *a, const struct complaint *b)
{
	if (strcmp(a->file, b->file) != 0)
		return false;
	return a->pos.line != b->pos.line ? a->pos.line < b->pos.line
					  : a->pos.column < b->pos.column;
}

void complaints_sort(struct complaints *c)
{
	for (unsigned i = 1; i < c->n; i++) {
		struct complaint moved = c->items[i];
		unsigned to = i;
		for (; to > 0 && before(&moved, &c->items[to - 1]); to--)
			c->items[to] = c->items[to - 1];
		c->items[to] = moved;
	}
}

void complaints_print(const struct complaints *c, FILE *to)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct complaint *item = &c->items[i];
		if (item->pos.line == 0)
			fprintf(to, "%s: %s\n", item->file, item->text);
		else
			fprintf(to, "%s:%u:%u: %s\n", item->file, item->pos.line, item->pos.column,
			    item->text);
	}
	if (c->total > c->n)
		fprintf(to, "%lu more mistakes are not shown\n", c->total - c->n);
}

char *complaints_text(const struct complaints *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	if (f == NULL)
		return NULL;
	complaints_print(c, f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

json_t *complaints_json(const struct complaints *c)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < c->n; i++) {
		const struct complaint *item = &c->items[i];
		json_array_append_new(
		    list, json_pack("{s:s+, s:i, s:i, s:o}", "file", item->file, "", "line",
			      (int)item->pos.line, "column", (int)item->pos.column, "message",
			      json_stringn_nocheck(item->text, strlen(item->text))));
	}
	return json_pack("{s:o, s:I}", "errors", list, "total", (json_int_t)c->total);
}
