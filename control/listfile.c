/* SPDX-License-Identifier: BSD-3-Clause */
/* Address list files: lines, the plain form, and which form a file is in (listfile.h). */
#include "listfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, QUOTED = 40 };

const char *const listfile_form_words[] = { "auto", "plain", "ipset", "rbldnsd", NULL };

static bool looks_like_another_form(const char *text, size_t len)
{
	size_t n = 0;
	while (n < len && text[n] != '\0' && strchr("0123456789.-", text[n]) != NULL)
		n++;
	return n == len || strchr("!:;$", *text) != NULL ||
	       (len > 4 && memcmp(text, "add ", 4) == 0);
}

void listfile_mistake(
    struct listfile *f, const char *line, const char *text, size_t len, const char *wrong)
{
	static const char *const allowed[] = {
		[LISTFILE_AUTO] = "an address, a prefix without host bits, or a range first-last",
		[LISTFILE_PLAIN] = "an address, a prefix without host bits, or a range first-last",
		[LISTFILE_IPSET] =
		    "what `ipset save` writes: add SET ADDRESS|PREFIX|RANGE [timeout N] "
		    "[comment \"...\"] [nomatch]",
		[LISTFILE_RBLDNSD] =
		    "an rbldnsd entry: address, prefix, leading octets or groups, range, "
		    "each with ! before it for an exception",
	};
	struct position pos = { f->line, (unsigned)(text - line) + 1 };
	char clean[QUOTED + 1];
	size_t n = len < QUOTED ? len : QUOTED;
	if (++f->mistakes > COMPLAINTS_MAX_PER_FILE) {
		f->complaints->total++;
		return;
	}
	for (size_t i = 0; i < n; i++)
		clean[i] = text[i] >= 0x20 && text[i] <= 0x7e && text[i] != '"' ? text[i] : '?';
	clean[n] = '\0';
	complain(f->complaints, f->source->path, pos, "\"%s%s\" %s; allowed: %s%s", clean,
	    n < len ? "..." : "", wrong, allowed[f->form],
	    f->source->form != LISTFILE_AUTO ? ""
	    : f->form != LISTFILE_PLAIN      ? " (the form was guessed: `format` says it for sure)"
	    : looks_like_another_form(text, len)
		? " (read as a plain list: a file of ipset or rbldnsd "
		  "wants `format`)"
		: "");
}

static size_t word_len(const char *text, size_t len)
{
	size_t n = 0;
	while (n < len && text[n] != ' ' && text[n] != '\t')
		n++;
	return n;
}

/* By the first line that is no comment. */
static enum listfile_form form_of(const char *text, size_t len)
{
	static const char *const ipset[] = { "create", "add", "-N", "-A", "flush", "-exist", "-!" };
	size_t n = word_len(text, len);
	struct inet_range range;
	for (size_t i = 0; i < sizeof(ipset) / sizeof(ipset[0]); i++)
		if (strlen(ipset[i]) == n && memcmp(ipset[i], text, n) == 0)
			return LISTFILE_IPSET;
	if (strchr("$:!;", text[0]) != NULL)
		return LISTFILE_RBLDNSD;
	if (n < len && inet_parse_range(text, len, &range) != NULL &&
	    inet_parse_range(text, n, &range) == NULL)
		return LISTFILE_RBLDNSD; /* an address and a text */
	return LISTFILE_PLAIN;
}

static int read_line(struct listfile *f, const char *line, size_t len)
{
	const char *text = line, *end = line + len;
	f->line++;
	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	if (text < end && f->form <= LISTFILE_PLAIN) {
		const char *comment = memchr(text, '#', (size_t)(end - text));
		end = comment == NULL ? end : comment;
	}
	while (end > text && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	if (text == end || *text == '#')
		return 0;
	size_t n = (size_t)(end - text);
	if (f->form == LISTFILE_AUTO)
		f->form = form_of(text, n);
	if (f->form == LISTFILE_IPSET)
		return listfile_ipset_line(f, line, text, n);
	if (f->form == LISTFILE_RBLDNSD)
		return listfile_rbldnsd_line(f, line, text, n);
	struct listfile_item item = { .comment = "" };
	const char *wrong = inet_parse_range(text, n, &item.range);
	if (wrong == NULL)
		return f->entry(f->arg, &item);
	listfile_mistake(f, line, text, n, wrong);
	return 0;
}

static int read_lines(struct listfile *f, int fd)
{
	bool skipping = false, end = false;
	size_t have = 0;
	int ret = 0;
	char *buf = malloc(PIECE);
	if (buf == NULL)
		return -ENOMEM;
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
				f->line++;
				listfile_mistake(
				    f, line, line, len, "is a line of more than 1024 characters");
				skipping = lf == NULL;
			} else {
				ret = read_line(f, line, len);
			}
			used += len + (lf == NULL ? 0 : 1);
		}
		memmove(buf, buf + used, have - used);
		have -= used;
	}
	free(buf);
	return ret;
}

int listfile_read(const struct listfile_source *source, listfile_entry *entry, void *arg,
    struct complaints *complaints)
{
	struct listfile f = { .source = source,
		.entry = entry,
		.arg = arg,
		.complaints = complaints,
		.form = source->form };
	struct stat st;
	int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;
	if (fd < 0)
		return -errno;
	ret = fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ? -EINVAL : read_lines(&f, fd);
	if (ret == 0)
		ret = listfile_hand_on(&f);
	free(f.kept);
	free(f.texts);
	close(fd);
	return ret;
}
