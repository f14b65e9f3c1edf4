/* SPDX-License-Identifier: BSD-3-Clause */
/* The manifest and the file form of an image (image.h): made and checked over plain memory. */
#include "image.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(struct image_entry) == 56, "image entry");
_Static_assert(sizeof(struct image_header) == 512, "image header");
_Static_assert(offsetof(struct image_header, sha256) == 480, "image header hash");

static bool kind_known(uint32_t kind)
{
	return kind >= IMAGE_SETTINGS && kind < IMAGE_N_KINDS;
}

int image_describe(const struct image_part *parts, unsigned n_parts, uint32_t epoch,
    image_hash_fn *hash, struct image_header *ret_header)
{
	struct image_header h;
	uint64_t end = sizeof(h);

	if (n_parts > IMAGE_MAX_PARTS)
		return -EINVAL;
	memset(&h, 0, sizeof(h));
	h.magic = IMAGE_MAGIC;
	h.layout = IMAGE_LAYOUT;
	h.epoch = epoch;
	h.n_parts = n_parts;
	for (unsigned i = 0; i < n_parts; i++) {
		for (unsigned k = 0; k < i; k++)
			if (parts[k].kind == parts[i].kind)
				return -EINVAL;
		if (!kind_known(parts[i].kind))
			return -EINVAL;
		h.parts[i].kind = parts[i].kind;
		h.parts[i].offset = (end + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
		h.parts[i].size = parts[i].len;
		hash(parts[i].base, parts[i].len, h.parts[i].sha256);
		end = h.parts[i].offset + parts[i].len;
	}
	h.file_size = end;
	hash(&h, offsetof(struct image_header, sha256), h.sha256);
	*ret_header = h;
	return 0;
}

int image_check_header(const void *base, size_t len, image_hash_fn *hash, const char **ret_error)
{
	const struct image_header *h = base;
	uint8_t sha256[IMAGE_HASH_LEN];
	const char *error;

	error = "policy image: shorter than its header";
	if (len < sizeof(*h))
		goto bad;
	error = "policy image: not an image of Postern's policy";
	if ((uintptr_t)base % 8 != 0 || h->magic != IMAGE_MAGIC)
		goto bad;
	error = "policy image: another layout than this version's; compile it again";
	if (h->layout != IMAGE_LAYOUT)
		goto bad;
	error = "policy image: header altered or half-written";
	hash(h, offsetof(struct image_header, sha256), sha256);
	if (memcmp(sha256, h->sha256, sizeof(sha256)) != 0)
		goto bad;
	error = "policy image: too many parts";
	if (h->n_parts > IMAGE_MAX_PARTS)
		goto bad;
	error = "policy image: a part of unknown or doubled kind";
	for (unsigned i = 0; i < h->n_parts; i++) {
		if (!kind_known(h->parts[i].kind))
			goto bad;
		for (unsigned k = 0; k < i; k++)
			if (h->parts[k].kind == h->parts[i].kind)
				goto bad;
	}
	return 0;
bad:
	*ret_error = error;
	return -EBADMSG;
}

int image_check_part(const struct image_entry *entry, const void *base, size_t len,
    image_hash_fn *hash, const char **ret_error)
{
	uint8_t sha256[IMAGE_HASH_LEN];

	if (len != entry->size) {
		*ret_error = "policy image: a part has not the size its manifest says";
		return -EBADMSG;
	}
	hash(base, len, sha256);
	if (memcmp(sha256, entry->sha256, sizeof(sha256)) != 0) {
		*ret_error = "policy image: a part is not the one its manifest names (hash)";
		return -EBADMSG;
	}
	return 0;
}

int image_open_file(const void *base, size_t len, image_hash_fn *hash,
    struct image_part ret_parts[IMAGE_MAX_PARTS], unsigned *ret_n_parts, uint32_t *ret_epoch,
    const char **ret_error)
{
	const struct image_header *h = base;
	struct image_part parts[IMAGE_MAX_PARTS];
	int r = image_check_header(base, len, hash, ret_error);

	if (r < 0)
		return r;
	if (h->file_size != len) {
		*ret_error = "policy image: cut short, or followed by something else";
		return -EBADMSG;
	}
	for (unsigned i = 0; i < h->n_parts; i++) {
		const struct image_entry *e = &h->parts[i];

		if (e->offset % IMAGE_PAGE != 0 || e->offset < sizeof(*h) || e->offset > len ||
		    e->size > len - e->offset) {
			*ret_error = "policy image: a part lies outside the file";
			return -EBADMSG;
		}
		parts[i].kind = e->kind;
		parts[i].base = (const char *)base + e->offset;
		parts[i].len = e->size;
		r = image_check_part(e, parts[i].base, parts[i].len, hash, ret_error);
		if (r < 0)
			return r;
	}
	memcpy(ret_parts, parts, h->n_parts * sizeof(parts[0]));
	*ret_n_parts = h->n_parts;
	*ret_epoch = h->epoch;
	return 0;
}
