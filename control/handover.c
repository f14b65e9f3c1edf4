/* SPDX-License-Identifier: BSD-3-Clause */
/* An image as `policy.load` carries it (handover.h). */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool holds(const json_t *held, const char *hex)
{
	for (size_t i = 0; i < json_array_size(held); i++) {
		const char *one = json_string_value(json_array_get(held, i));
		if (one != NULL && strcmp(one, hex) == 0)
			return true;
	}
	return false;
}

bool handover_holds_all(const struct image *image, const json_t *held)
{
	for (unsigned i = 0; i < image->n_parts; i++) {
		char hex[IMAGE_HEX_LEN + 1];
		image_hex(image->header.parts[i].sha256, hex);
		if (!holds(held, hex))
			return false;
	}
	return true;
}

/* The file descriptor, or -errno. */
static int seal(const struct image_part *part)
{
	const unsigned char *p = part->base;
	size_t left = part->len;
	int ret;
	int fd = memfd_create("postern-policy-part", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	while (left != 0) {
		ssize_t n = write(fd, p, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto failed;
		p += n;
		left -= (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
failed:
	ret = -errno;
	close(fd);
	return ret;
}

int handover_make(const struct image *image, const json_t *held, struct handover *ret_handover)
{
	struct handover h = { 0 };
	json_t *parts = json_array();
	for (unsigned i = 0; i < image->n_parts; i++) {
		char hex[IMAGE_HEX_LEN + 1];
		int index = -1;
		image_hex(image->header.parts[i].sha256, hex);
		if (!holds(held, hex)) {
			int fd = seal(&image->parts[i]);
			if (fd < 0) {
				json_decref(parts);
				handover_fini(&h);
				return fd;
			}
			index = (int)h.n_fds;
			h.fds[h.n_fds++] = fd;
		}
		json_array_append_new(parts,
		    json_pack("{s:i, s:s, s:I, s:i}", "kind", (int)image->parts[i].kind, "sha256",
			hex, "size", (json_int_t)image->parts[i].len, "fd", index));
	}
	h.params = json_pack("{s:I, s:o}", "epoch", (json_int_t)image->header.epoch, "parts", parts);
	*ret_handover = h;
	return 0;
}

void handover_fini(struct handover *h)
{
	json_decref(h->params);
	for (unsigned i = 0; i < h->n_fds; i++)
		close(h->fds[i]);
	*h = (struct handover){ 0 };
}
