/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a configuration file whole, bounded, and hands it to the schema and the checks. */
#include "config.h"
#include "schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_FILE_MAX = 64 * 1024 * 1024 };

struct config *config_parse(
    const char *path, const char *text, size_t len, struct complaints *complaints)
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
		config_check(c, complaints);
	if (c->arena.failed)
		complain(complaints, path, (struct position){ 0, 0 }, "no memory");
	complaints_sort(complaints);
	return complaints->total == before ? c : config_free(c);
}

struct config *config_read(const char *path, struct complaints *complaints)
{
	const struct position whole = { 0, 0 };
	struct config *c = NULL;
	char *text = NULL;
	struct stat st;
	/* a FIFO in its place must not hang the manager */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		complain(complaints, path, whole, "cannot be opened: %s", strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		complain(complaints, path, whole, "is not a file");
		goto out;
	}
	if (st.st_size > CONFIG_FILE_MAX) {
		complain(complaints, path, whole,
		    "is larger than 64 MiB; allowed: long lists in files of their own "
		    "(lists.file)");
		goto out;
	}
	size_t size = (size_t)st.st_size, len = 0;
	text = malloc(size + 1);
	if (text == NULL) {
		complain(complaints, path, whole, "no memory");
		goto out;
	}
	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain(complaints, path, whole, "cannot be read: %s", strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	c = config_parse(path, text, len, complaints);
out:
	free(text);
	close(fd);
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
