/* SPDX-License-Identifier: BSD-3-Clause */
/* The image on disk and its hashes (compile.h): written beside, synced, renamed. */
#include "compile.h"
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void image_sha256(const void *data, size_t len, uint8_t ret_sha256[IMAGE_HASH_LEN])
{
	unsigned out = 0;
	/* without SHA-256 there is no name for any part: nothing sensible can go on */
	if (EVP_Digest(data, len, ret_sha256, &out, EVP_sha256(), NULL) != 1 ||
	    out != IMAGE_HASH_LEN)
		abort();
}

void image_hex(const uint8_t sha256[IMAGE_HASH_LEN], char ret_hex[IMAGE_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (unsigned i = 0; i < IMAGE_HASH_LEN; i++) {
		ret_hex[2 * i] = digits[sha256[i] >> 4];
		ret_hex[2 * i + 1] = digits[sha256[i] & 15];
	}
	ret_hex[IMAGE_HEX_LEN] = '\0';
}

int image_load(const char *path, struct image **ret_image, const char **ret_why)
{
	struct image *image = calloc(1, sizeof(*image));
	struct stat st;
	uint32_t epoch;
	int ret = 0;
	*ret_why = "the file cannot be read";
	if (image == NULL)
		return -ENOMEM;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		ret = -errno;
		goto failed;
	}
	image->map_len = (size_t)st.st_size;
	image->map = mmap(NULL, image->map_len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image->map == MAP_FAILED) {
		image->map = NULL;
		ret = -errno;
		goto failed;
	}
	ret = image_open_file(image->map, image->map_len, image_sha256, image->parts,
	    &image->n_parts, &epoch, ret_why);
	if (ret != 0)
		goto failed;
	memcpy(&image->header, image->map, sizeof(image->header));
	close(fd);
	*ret_image = image;
	return 0;
failed:
	if (fd >= 0)
		close(fd);
	image_free(image);
	return ret;
}

int image_renumber(struct image *image, uint32_t epoch)
{
	return image_describe(image->parts, image->n_parts, epoch, image_sha256, &image->header);
}

bool image_same(const struct image *a, const struct image *b)
{
	bool same = a->n_parts == b->n_parts;
	for (unsigned i = 0; i < a->n_parts && same; i++)
		same = a->header.parts[i].kind == b->header.parts[i].kind &&
		       memcmp(a->header.parts[i].sha256, b->header.parts[i].sha256,
			   IMAGE_HASH_LEN) == 0;
	return same;
}

/* The file has its size already: pages of zeros, most of a sparse address table, stay holes. */
static int write_at(int fd, const void *data, size_t len, uint64_t offset)
{
	static const unsigned char zeros[IMAGE_PAGE];
	const unsigned char *p = data;
	while (len != 0) {
		size_t step = len < sizeof(zeros) ? len : sizeof(zeros);
		ssize_t n = (ssize_t)step;
		if (memcmp(p, zeros, step) != 0)
			n = pwrite(fd, p, step, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash + 1 - path));
	int ret = folder == NULL ? -ENOMEM : state_sync_folder(folder);
	free(folder);
	return ret;
}

int image_save(const struct image *image, const char *path)
{
	char *beside = NULL;
	int ret = 0;
	if (asprintf(&beside, "%s.new.XXXXXX", path) < 0)
		return -ENOMEM;
	int fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		goto out;
	}
	if (fchmod(fd, 0640) != 0 || ftruncate(fd, (off_t)image->header.file_size) != 0)
		ret = -errno;
	if (ret == 0)
		ret = write_at(fd, &image->header, sizeof(image->header), 0);
	for (unsigned i = 0; i < image->n_parts && ret == 0; i++)
		ret = write_at(
		    fd, image->parts[i].base, image->parts[i].len, image->header.parts[i].offset);
	if (ret == 0 && fsync(fd) != 0)
		ret = -errno;
	if (close(fd) != 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(beside, path) != 0)
		ret = -errno;
	if (ret != 0)
		unlink(beside);
	else
		ret = sync_folder_of(path);
out:
	free(beside);
	return ret;
}
