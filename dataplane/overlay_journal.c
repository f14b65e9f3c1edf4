/* SPDX-License-Identifier: BSD-3-Clause */
/* The overlay's journal (overlay_journal.h): the file. Its lines are overlay_line.c's. */
#include "overlay_journal.h"

#include "overlay_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };
static const char header[] = "postern overlay journal 1\n";

struct overlay_journal {
	struct overlay *overlay;
	char *path, *new_path, *damaged_path;
	int fd;
	bool broken;         /* the file's end is not what it should be: to be written anew */
	uint64_t size, base; /* bytes: now, and when it was last written anew */
	char *batch;
	size_t n_batch, room;
};

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_folder(const char *path)
{
	char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	int ret = -ENOMEM, fd;

	if (!folder)
		return ret;
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 || fsync(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(folder);
	return ret;
}

static int write_entries(const struct overlay_journal *j, int fd, uint32_t now_s, uint64_t *ret_size)
{
	struct overlay_line line = { .remove = false };
	char *piece = malloc(PIECE);
	uint32_t cursor = 0;
	uint64_t size = 0;
	size_t n = sizeof(header) - 1;
	int ret = piece ? 0 : -ENOMEM;

	if (piece)
		memcpy(piece, header, n);
	while (ret == 0) {
		bool more = overlay_next(j->overlay, &cursor, &line.entry);
		const char *name = overlay_list_name(j->overlay, line.entry.list);

		if (!more || n + OVERLAY_JOURNAL_LINE > PIECE) {
			ret = write_all(fd, piece, n);
			size += n;
			n = 0;
		}
		if (!more)
			break;
		if (line.entry.expires_s && line.entry.expires_s <= now_s)
			continue;
		memcpy(line.list, name, strlen(name) + 1);
		n += overlay_line_write(&line, piece + n, OVERLAY_JOURNAL_LINE);
	}
	free(piece);
	*ret_size = size;
	return ret;
}

static int write_anew(struct overlay_journal *j, uint32_t now_s)
{
	int fd = open(j->new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), ret;
	uint64_t size = 0;

	if (fd < 0)
		return -errno;
	ret = write_entries(j, fd, now_s, &size);
	if (ret == 0 && fsync(fd) != 0)
		ret = -errno;
	if (ret == 0 && rename(j->new_path, j->path) != 0)
		ret = -errno;
	if (ret) {
		close(fd);
		unlink(j->new_path);
		return ret;
	}
	/* from here on the new file is the journal, synced folder or not */
	if (j->fd >= 0)
		close(j->fd);
	j->fd = fd;
	j->size = j->base = size;
	ret = sync_folder(j->path);
	j->broken = ret != 0;
	return ret;
}

static int batch_add(struct overlay_journal *j, const struct overlay_line *line)
{
	if (j->n_batch + OVERLAY_JOURNAL_LINE > j->room) {
		size_t room = j->room ? j->room * 2 : 4096;
		char *more;

		if (room > OVERLAY_JOURNAL_BATCH)
			return -EMSGSIZE;
		more = realloc(j->batch, room);
		if (!more)
			return -ENOMEM;
		j->batch = more;
		j->room = room;
	}
	j->n_batch += overlay_line_write(line, j->batch + j->n_batch, OVERLAY_JOURNAL_LINE);
	return 0;
}

int overlay_journal_put(struct overlay_journal *j, const struct overlay_entry *e)
{
	struct overlay_line line = { .entry = *e };
	const char *name = overlay_list_name(j->overlay, e->list);

	memcpy(line.list, name, strlen(name) + 1);
	return batch_add(j, &line);
}

int overlay_journal_remove(
    struct overlay_journal *j, const uint8_t addr[16], unsigned len, unsigned list)
{
	struct overlay_line line = { .remove = true, .entry = { .len = (uint8_t)len } };
	const char *name = overlay_list_name(j->overlay, list);

	memcpy(line.entry.addr, addr, 16);
	memcpy(line.list, name, strlen(name) + 1);
	return batch_add(j, &line);
}

void overlay_journal_forget(struct overlay_journal *j)
{
	j->n_batch = 0;
}

int overlay_journal_commit(struct overlay_journal *j)
{
	size_t n = j->n_batch;
	int ret;

	j->n_batch = 0;
	if (n == 0)
		return 0;
	if (j->broken) {
		ret = overlay_journal_tidy(j, 0);
		if (ret)
			return ret;
	}
	ret = write_all(j->fd, j->batch, n);
	if (ret == 0 && fdatasync(j->fd) != 0)
		ret = -errno;
	if (ret == 0) {
		j->size += n;
		return 0;
	}
	/* what is there of it must not come back with the next start */
	if (ftruncate(j->fd, (off_t)j->size) != 0 || lseek(j->fd, (off_t)j->size, SEEK_SET) < 0 ||
	    fdatasync(j->fd) != 0)
		j->broken = true;
	return ret;
}

int overlay_journal_tidy(struct overlay_journal *j, uint32_t now_s)
{
	if (!j->broken && j->size <= 2 * j->base + OVERLAY_JOURNAL_SMALL)
		return 0;
	return write_anew(j, now_s);
}

uint64_t overlay_journal_size(const struct overlay_journal *j)
{
	return j->size;
}

/* ---- reading ---- */

struct replay {
	struct overlay *overlay;
	uint32_t now_s;
	uint64_t offset;   /* of what is read next */
	uint64_t good_end; /* behind the last good line */
	unsigned long damaged,
	    damaged_at_good; /* lines; and how many stand before the last good one */
	unsigned long no_room;
	bool headed;
	int last_list; /* the number of the last name */
	char last_name[OVERLAY_NAME_MAX + 1];
};

static int list_number(struct replay *r, const char *name)
{
	if (!*name)
		return OVERLAY_BAN;
	if (strcmp(name, r->last_name) != 0) {
		r->last_list = overlay_list(r->overlay, name);
		memcpy(r->last_name, name, strlen(name) + 1);
	}
	return r->last_list;
}

static void replay_line(struct replay *r, const char *text, size_t len)
{
	struct overlay_line line;
	struct overlay_entry *e = &line.entry;
	int list;

	if (!overlay_line_read(text, len, &line)) {
		r->damaged++;
		return;
	}
	r->good_end = r->offset + len + 1;
	r->damaged_at_good = r->damaged;
	list = list_number(r, line.list);
	if (list < 0) {
		r->no_room++;
		return;
	}
	e->list = (uint8_t)list;
	if (line.remove || (e->expires_s && e->expires_s <= r->now_s))
		(void)overlay_remove(r->overlay, e->addr, e->len, e->list);
	else if (overlay_put(r->overlay, e, r->now_s, NULL) < 0)
		r->no_room++;
}

/* All whole lines; what is behind the last LF is left. -EBADMSG: not ours. */
static int replay_file(struct replay *r, int fd)
{
	char *buf = malloc(PIECE);
	size_t have = 0;
	int ret = buf ? 0 : -ENOMEM;

	while (ret == 0) {
		ssize_t n = read(fd, buf + have, PIECE - have);
		size_t used = 0;
		const char *lf;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		have += (size_t)n;
		while ((lf = memchr(buf + used, '\n', have - used))) {
			size_t len = (size_t)(lf - (buf + used));

			if (r->headed)
				replay_line(r, buf + used, len);
			else if (len + 1 != sizeof(header) - 1 ||
				 memcmp(buf + used, header, len + 1) != 0) {
				ret = -EBADMSG;
				break;
			} else
				r->good_end = sizeof(header) - 1;
			r->headed = true;
			used += len + 1;
			r->offset += len + 1;
		}
		if (ret == 0 && used == 0 && have == PIECE) {
			r->damaged++; /* no line is that long */
			used = have;
			r->offset += have;
		}
		memmove(buf, buf + used, have - used);
		have -= used;
	}
	r->offset += have;
	if (ret == 0 && !r->headed && have) {
		if (have >= sizeof(header) || memcmp(buf, header, have) != 0)
			ret = -EBADMSG;
		r->offset = 0; /* cut short within the header: as good as empty */
	}
	free(buf);
	return ret;
}

static void words_add(char **words, char *more)
{
	char *both = NULL;

	if (*words && more && asprintf(&both, "%s; %s", *words, more) >= 0) {
		free(*words);
		free(more);
		*words = both;
	} else if (!*words)
		*words = more;
	else
		free(more);
}

__attribute__((format(printf, 2, 3))) static void tell(char **words, const char *format, ...)
{
	char *text = NULL;
	__builtin_va_list args;

	__builtin_va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	__builtin_va_end(args);
	words_add(words, text);
}

static int take_up(struct overlay_journal *j, uint32_t now_s, char **words)
{
	struct replay r = { .overlay = j->overlay, .now_s = now_s };
	int ret = replay_file(&r, j->fd);

	if (ret == -EBADMSG)
		tell(words, "%s is no journal of run-time lists: move it away", j->path);
	else if (ret)
		tell(words, "%s cannot be read: %s", j->path, strerror(-ret));
	if (ret)
		return ret;
	if (r.offset == 0)
		return write_anew(j, now_s);
	if (r.no_room)
		tell(words, "%s: %lu entries found no room", j->path, r.no_room);
	if (r.damaged_at_good) {
		tell(words, "%s: %lu damaged lines skipped, the file is kept as %s", j->path,
		    r.damaged_at_good, j->damaged_path);
		unlink(j->damaged_path);
		if (link(j->path, j->damaged_path) != 0)
			return -errno;
		return write_anew(j, now_s);
	}
	if (r.offset > r.good_end) {
		tell(words, "%s: the last %llu bytes are a change cut short; it is left out",
		    j->path, (unsigned long long)(r.offset - r.good_end));
		if (ftruncate(j->fd, (off_t)r.good_end) != 0 || fdatasync(j->fd) != 0)
			return -errno;
	}
	if (lseek(j->fd, (off_t)r.good_end, SEEK_SET) < 0)
		return -errno;
	j->size = r.good_end;
	j->base = sizeof(header) - 1;
	ret = overlay_journal_tidy(j, now_s);
	if (ret) /* a full disk: what was read stands, changes will be refused */
		tell(words, "%s cannot be written anew: %s", j->path, strerror(-ret));
	return 0;
}

int overlay_journal_open(const char *path, struct overlay *o, uint32_t now_s,
    struct overlay_journal **ret_journal, char **ret_words)
{
	struct overlay_journal *j = calloc(1, sizeof(*j));
	char *words = NULL;
	int ret = -ENOMEM;

	*ret_words = NULL;
	if (!j)
		return ret;
	j->fd = -1;
	j->overlay = o;
	j->path = strdup(path);
	if (!j->path || asprintf(&j->new_path, "%s.new", path) < 0 ||
	    asprintf(&j->damaged_path, "%s.damaged", path) < 0)
		goto fail;
	j->fd = open(path, O_RDWR | O_CLOEXEC);
	ret = j->fd >= 0        ? take_up(j, now_s, &words)
	      : errno == ENOENT ? write_anew(j, now_s)
				: -errno;
	if (ret)
		goto fail;
	*ret_words = words;
	*ret_journal = j;
	return 0;
fail:
	if (!words)
		tell(&words, "%s: %s", path, strerror(-ret));
	*ret_words = words;
	overlay_journal_close(j);
	return ret;
}

struct overlay_journal *overlay_journal_close(struct overlay_journal *j)
{
	if (!j)
		return NULL;
	if (j->fd >= 0)
		close(j->fd);
	free(j->batch);
	free(j->damaged_path);
	free(j->new_path);
	free(j->path);
	free(j);
	return NULL;
}
