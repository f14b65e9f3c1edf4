/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a configuration file whole, bounded, and hands it to the schema and the checks. */
#include "config.h"
#include "override.h"
#include "schema.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_FILE_MAX = 64 * 1024 * 1024 };

struct config *config_parse(
    const char *path, const char *text, size_t len, struct complaints *complaints)
{
	return config_parse_with(path, text, len, NULL, complaints);
}

struct config *config_parse_with(const char *path, const char *text, size_t len,
    const json_t *overrides, struct complaints *complaints)
{
	struct config *c = calloc(1, sizeof(*c));
	unsigned long before = complaints->total;
	if (c == NULL) {
		complain(complaints, path, (struct position){ 0, 0 }, "no memory");
		return NULL;
	}
	arena_init(&c->arena);
	c->path = arena_text(&c->arena, path, strlen(path));
	bool whole = schema_read(path, text, len, &c->arena, complaints, c);
	if (whole && !c->arena.failed)
		overrides_apply(c, overrides, complaints);
	if (whole && !c->arena.failed)
		config_check(c, complaints);
	if (c->arena.failed)
		complain(complaints, path, (struct position){ 0, 0 }, "no memory");
	complaints_sort(complaints);
	return complaints->total == before ? c : config_free(c);
}

int config_text(const char *path, char **ret_text, size_t *ret_len, struct complaints *complaints)
{
	const struct position whole = { 0, 0 };
	int ret = state_read(path, CONFIG_FILE_MAX, ret_text, ret_len);
	if (ret == -EINVAL)
		complain(complaints, path, whole, "is not a file");
	else if (ret == -EFBIG)
		complain(complaints, path, whole,
		    "is larger than 64 MiB; allowed: long lists in files of their own "
		    "(lists.file)");
	else if (ret != 0)
		complain(complaints, path, whole, "cannot be opened: %s", strerror(-ret));
	return ret;
}

struct config *config_read(const char *path, struct complaints *complaints)
{
	char *text = NULL;
	size_t len = 0;
	if (config_text(path, &text, &len, complaints) != 0)
		return NULL;
	struct config *c = config_parse(path, text, len, complaints);
	free(text);
	return c;
}

struct config *config_free(struct config *c)
{
	if (c != NULL)
		arena_fini(&c->arena);
	free(c);
	return NULL;
}

char *config_beside(const struct config *c, const char *file)
{
	const char *slash = strrchr(c->path, '/');
	char *path = NULL;
	int folder = slash == NULL || *file == '/' ? 0 : (int)(slash + 1 - c->path);
	return asprintf(&path, "%.*s%s", folder, c->path, file) < 0 ? NULL : path;
}
