/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled databases on disk (patterns_cache.h). */
#include "patterns_cache.h"

#include "compile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE_LIMIT = 1 << 30 };

static bool read_all(int fd, char *to, size_t n)
{
	while (n > 0) {
		ssize_t k = read(fd, to, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		to += k;
		n -= (size_t)k;
	}
	return true;
}

static bool write_all(int fd, const void *from, size_t n)
{
	const char *p = from;

	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

int patterns_cache_get(
    const char *dir, const uint8_t key[IMAGE_HASH_LEN], char **ret_bytes, size_t *ret_len)
{
	char name[IMAGE_HEX_LEN + 1], *bytes = NULL;
	uint8_t hash[IMAGE_HASH_LEN], real[IMAGE_HASH_LEN];
	struct stat st;
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, r;
	size_t len;

	if (dirfd < 0)
		return -errno;
	image_hex(key, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? -errno : -EBADMSG;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= IMAGE_HASH_LEN ||
	    st.st_size > SIZE_LIMIT)
		goto out;
	len = (size_t)st.st_size - IMAGE_HASH_LEN;
	bytes = malloc(len);
	if (!bytes || !read_all(fd, (char *)hash, sizeof(hash)) || !read_all(fd, bytes, len))
		goto out;
	image_sha256(bytes, len, real);
	if (memcmp(hash, real, sizeof(hash)) != 0)
		goto out;
	utimensat(dirfd, name, NULL, 0); /* used now, says trim */
	*ret_bytes = bytes;
	*ret_len = len;
	bytes = NULL;
	r = 0;
out:
	free(bytes);
	if (fd >= 0)
		close(fd);
	close(dirfd);
	return r;
}

void patterns_cache_put(
    const char *dir, const uint8_t key[IMAGE_HASH_LEN], const char *bytes, size_t len)
{
	char name[IMAGE_HEX_LEN + 1], temporary[IMAGE_HEX_LEN + 8];
	uint8_t hash[IMAGE_HASH_LEN];
	int dirfd, fd;
	bool good;

	mkdir(dir, 0700);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return;
	image_hex(key, name);
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	image_sha256(bytes, len, hash);
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	good = fd >= 0 && write_all(fd, hash, sizeof(hash)) && write_all(fd, bytes, len);
	if (fd >= 0 && close(fd) != 0)
		good = false;
	if (!good || renameat(dirfd, temporary, dirfd, name) != 0)
		unlinkat(dirfd, temporary, 0);
	close(dirfd);
}

struct used {
	struct timespec when;
	char name[IMAGE_HEX_LEN + 8];
};

static int older(const void *a, const void *b)
{
	const struct used *x = a, *y = b;

	if (x->when.tv_sec != y->when.tv_sec)
		return x->when.tv_sec < y->when.tv_sec ? -1 : 1;
	return x->when.tv_nsec < y->when.tv_nsec ? -1 : x->when.tv_nsec > y->when.tv_nsec;
}

void patterns_cache_trim(const char *dir)
{
	enum { LOOK_AT = 4 * PATTERNS_CACHE_FILES };
	struct used *files = calloc(LOOK_AT, sizeof(*files));
	DIR *d = opendir(dir);
	const struct dirent *e;
	size_t n = 0;

	while (files && d && n < LOOK_AT && (e = readdir(d))) {
		size_t len = strlen(e->d_name);
		struct stat st;

		if (len < IMAGE_HEX_LEN || len >= sizeof(files->name) ||
		    strspn(e->d_name, "0123456789abcdef") != IMAGE_HEX_LEN ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		files[n].when = st.st_mtim;
		memcpy(files[n++].name, e->d_name, len + 1);
	}
	if (n > PATTERNS_CACHE_FILES) {
		qsort(files, n, sizeof(*files), older);
		for (size_t i = 0; i < n - PATTERNS_CACHE_FILES; i++)
			unlinkat(dirfd(d), files[i].name, 0);
	}
	if (d)
		closedir(d);
	free(files);
}
