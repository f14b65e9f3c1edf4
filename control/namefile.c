/* SPDX-License-Identifier: BSD-3-Clause */
/* See namefile.h. */
#include "namefile.h"

#include "filters/image_write.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "2026-12-31" to the first second after that day; 0: it is none. */
static uint32_t end_of_day(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	time_t t;

	if (rest == NULL || *rest != '\0' || strlen(text) != 10)
		return 0;
	t = timegm(&tm) + 86400;
	return t <= 0 || t > UINT32_MAX ? 0 : (uint32_t)t;
}

const char *namefile_entry(
    struct image_writer *writer, unsigned set, bool pairs, const char *text, size_t len)
{
	char entry[NAMEFILE_LINE_MAX + 1], name[NAMES_MAX_LEN + 1];
	enum name_kind kind;
	uint32_t expires_s = 0;
	if (len > NAMEFILE_LINE_MAX)
		return "is longer than 1,024 characters";
	memcpy(entry, text, len);
	entry[len] = '\0';
	if (strlen(entry) != len)
		return "has a byte 0";
	char *until = strstr(entry, "until=");
	if (until == entry)
		return "names nothing in front of until=";
	if (until != NULL && until > entry && isspace((unsigned char)until[-1])) {
		expires_s = end_of_day(until + strlen("until="));
		if (expires_s == 0)
			return "has no date behind until= (allowed: until=2026-12-31)";
		while (until > entry && isspace((unsigned char)until[-1]))
			*--until = '\0';
	}
	const char *wrong = nameset_read(entry, pairs, &kind, name);
	if (wrong != NULL)
		return wrong;
	switch (image_writer_name(writer, set, kind, name, expires_s)) {
	case 0: return NULL;
	case -E2BIG: return "is a pattern with * or ? too many (allowed: 1024 in all)";
	default: return "finds no memory";
	}
}

static int read_file(struct image_writer *writer, unsigned set, bool pairs, const char *path,
    struct complaints *complaints)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	unsigned number = 0;
	if (file == NULL)
		return -errno;
	while ((n = getline(&line, &room, file)) >= 0) {
		number++;
		size_t len = strcspn(line, "#\r\n");
		size_t start = strspn(line, " \t");
		if (len < (size_t)n && line[len] == '\0')
			len = (size_t)n; /* a byte 0: told as one */
		while (len > start && isspace((unsigned char)line[len - 1]))
			len--;
		if (start >= len)
			continue;
		const char *wrong = namefile_entry(writer, set, pairs, line + start, len - start);
		if (wrong != NULL)
			complain(complaints, path, (struct position){ number, (unsigned)start + 1 },
			    "\"%.*s\" %s; allowed: %s", (int)(len - start < 60 ? len - start : 60),
			    line + start, wrong,
			    pairs ? "a sender and a recipient, each user@example.org, example.org, "
				    ".example.org, user@, <> or *"
				  : "user@example.org, example.org, .example.org, user@, <> or a "
				    "pattern "
				    "with * and ?");
	}
	int ret = ferror(file) ? -EIO : 0;
	free(line);
	fclose(file);
	return ret;
}

int namefile_set(struct image_writer *writer, const struct config *config, const char *key,
    const struct config_items *entries, const struct config_value *file, bool pairs,
    struct complaints *complaints)
{
	const struct config_value *values = entries == NULL ? NULL : entries->items;
	int set = image_writer_set(writer);
	if (set < 0)
		return set;
	for (size_t i = 0; values != NULL && i < entries->n; i++) {
		const char *wrong = namefile_entry(
		    writer, (unsigned)set, pairs, values[i].text, strlen(values[i].text));
		if (wrong != NULL && !values[i].wrong)
			complain(complaints, config->path, values[i].pos, "%s: \"%s\" %s", key,
			    values[i].text, wrong);
	}
	if (file == NULL || *file->text == '\0')
		return set;
	char *path = config_beside(config, file->text);
	int ret = path == NULL ? -ENOMEM : read_file(writer, (unsigned)set, pairs, path, complaints);
	free(path);
	if (ret == -ENOMEM)
		return ret;
	if (ret < 0)
		complain(complaints, config->path, file->pos,
		    "%s: the file \"%s\" cannot be read: %s; allowed: a readable file, beside the "
		    "configuration unless its path is absolute",
		    key, file->text, strerror(-ret));
	return set;
}
