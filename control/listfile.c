/* SPDX-License-Identifier: BSD-3-Clause */
/* Address list files (listfile.h). */
#include "listfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, QUOTED = 40 };

struct listfile {
	const char *path;
	listfile_entry *entry;
	void *arg;
	struct complaints *complaints;
	unsigned line;
	unsigned long mistakes;
};

static void mistake(
    struct listfile *f, unsigned column, const char *text, size_t len, const char *wrong)
{
	struct position pos = { f->line, column };
	char clean[QUOTED + 1];
	size_t n = len < QUOTED ? len : QUOTED;
	if (++f->mistakes > COMPLAINTS_MAX_PER_FILE) {
		f->complaints->total++;
		return;
	}
	for (size_t i = 0; i < n; i++)
		clean[i] = text[i] >= 0x20 && text[i] <= 0x7e && text[i] != '"' ? text[i] : '?';
	clean[n] = '\0';
	complain(f->complaints, f->path, pos,
	    "\"%s%s\" %s; allowed: an address, a prefix without host bits, or a range first-last",
	    clean, n < len ? "..." : "", wrong);
}

static int read_line(struct listfile *f, const char *line, size_t len)
{
	const char *start = line, *comment = len == 0 ? NULL : memchr(line, '#', len), *end;
	struct inet_range range;
	f->line++;
	end = comment == NULL ? line + len : comment;
	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	if (start == end)
		return 0;
	const char *wrong = inet_parse_range(start, (size_t)(end - start), &range);
	if (wrong == NULL)
		return f->entry(f->arg, &range);
	mistake(f, (unsigned)(start - line) + 1, start, (size_t)(end - start), wrong);
	return 0;
}

int listfile_read(const char *path, listfile_entry *entry, void *arg, struct complaints *complaints)
{
	struct listfile f = { path, entry, arg, complaints, 0, 0 };
	struct stat st;
	bool skipping = false, end = false;
	size_t have = 0;
	int ret = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	char *buf = malloc(PIECE);
	if (buf == NULL) {
		ret = -ENOMEM;
		goto out;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		ret = -EINVAL;
		goto out;
	}
	while (!end && ret == 0) {
		ssize_t n = read(fd, buf + have, PIECE - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ret = -errno;
			break;
		}
		end = n == 0;
		have += (size_t)n;
		size_t used = 0;
		while (used < have && ret == 0) {
			const char *line = buf + used, *lf = memchr(line, '\n', have - used);
			size_t len = lf == NULL ? have - used : (size_t)(lf - line);
			if (lf == NULL && !end && len <= LISTFILE_LINE_MAX)
				break; /* the rest of it is in the next piece */
			if (skipping)
				skipping = lf == NULL;
			else if (len > LISTFILE_LINE_MAX + 1) {
				f.line++;
				mistake(&f, 1, line, len, "is a line of more than 1024 characters");
				skipping = lf == NULL;
			} else {
				ret = read_line(&f, line, len);
			}
			used += len + (lf == NULL ? 0 : 1);
		}
		memmove(buf, buf + used, have - used);
		have -= used;
	}
out:
	free(buf);
	close(fd);
	return ret;
}
