/* SPDX-License-Identifier: BSD-3-Clause */
/* See image_map.h. */
#include "image_map.h"

#include "filters/image.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void sha256(const void *data, size_t len, uint8_t ret_sha256[IMAGE_HASH_LEN])
{
	EVP_Digest(data, len, ret_sha256, NULL, EVP_sha256(), NULL);
}

struct policy *image_map_policy(
    const char *program, const char *file, void **ret_map, size_t *ret_len)
{
	struct image_part parts[IMAGE_MAX_PARTS];
	struct policy *policy = NULL;
	const char *error = NULL;
	unsigned n_parts;
	uint32_t epoch;
	struct stat sb;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &sb) < 0 || sb.st_size == 0) {
		fprintf(stderr, "%s: %s: %s\n", program, file,
		    fd < 0 ? strerror(errno) : "an empty file");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	void *map = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		fprintf(stderr, "%s: %s: %s\n", program, file, strerror(errno));
		return NULL;
	}
	int e = image_open_file(map, (size_t)sb.st_size, sha256, parts, &n_parts, &epoch, &error);
	if (e == 0)
		e = policy_open(parts, n_parts, epoch, &policy, &error);
	if (e == 0 && policy_settings(policy)->n_listeners == 0) {
		error = "the policy has no listener";
		policy = policy_close(policy);
		e = -EINVAL;
	}
	if (e < 0) {
		fprintf(stderr, "%s: %s: %s; make it with postern-compile\n", program, file,
		    error ? error : strerror(-e));
		munmap(map, (size_t)sb.st_size);
		return NULL;
	}
	*ret_map = map;
	*ret_len = (size_t)sb.st_size;
	return policy;
}
