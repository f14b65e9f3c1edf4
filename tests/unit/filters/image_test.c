/* SPDX-License-Identifier: BSD-3-Clause */
/* The file form: what is written is read back, and what is cut, altered or foreign is refused. */
#include "image.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Stands in for SHA-256: the library only compares what its caller computes. */
static void hash(const void *data, size_t len, uint8_t ret[IMAGE_HASH_LEN])
{
	const uint8_t *p = data;
	uint64_t h[4] = { 1, 2, 3, 4 };

	for (size_t i = 0; i < len; i++)
		h[i % 4] = (h[i % 4] ^ p[i]) * 0x100000001b3ull + h[(i + 1) % 4];
	memcpy(ret, h, IMAGE_HASH_LEN);
}

struct file {
	uint8_t *p;
	size_t len;
};

static const char settings[100] = "settings", strings[5000] = "strings";

static struct file file_make(void)
{
	const struct image_part parts[] = { { IMAGE_SETTINGS, settings, sizeof(settings) },
		{ IMAGE_STRINGS, strings, sizeof(strings) }, { IMAGE_ADDRESSES, "", 0 } };
	struct image_header h;
	struct file f;

	assert_int_equal(image_describe(parts, 3, 42, hash, &h), 0);
	f.len = h.file_size;
	f.p = aligned_alloc(IMAGE_PAGE, (f.len + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE);
	memset(f.p, 0, f.len);
	memcpy(f.p, &h, sizeof(h));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(h.parts[i].offset % IMAGE_PAGE, 0);
		memcpy(f.p + h.parts[i].offset, parts[i].base, parts[i].len);
	}
	return f;
}

static int file_open(const struct file *f)
{
	struct image_part parts[IMAGE_MAX_PARTS];
	const char *error = NULL;
	unsigned n = 99;
	uint32_t epoch = 99;
	int r = image_open_file(f->p, f->len, hash, parts, &n, &epoch, &error);

	if (r < 0) {
		assert_non_null(error);
		assert_int_equal(n, 99); /* untouched on failure */
		assert_int_equal(epoch, 99);
	}
	return r;
}

static void test_round_trip(void **state)
{
	struct file f = file_make();
	struct image_part parts[IMAGE_MAX_PARTS];
	const char *error;
	unsigned n;
	uint32_t epoch;

	(void)state;
	assert_int_equal(image_open_file(f.p, f.len, hash, parts, &n, &epoch, &error), 0);
	assert_int_equal(n, 3);
	assert_int_equal(epoch, 42);
	assert_int_equal(parts[1].kind, IMAGE_STRINGS);
	assert_int_equal(parts[1].len, sizeof(strings));
	assert_memory_equal(parts[1].base, strings, sizeof(strings));
	free(f.p);
}

static void test_every_altered_byte(void **state)
{
	struct file f = file_make();
	const struct image_header *h = (const void *)f.p;

	(void)state;
	for (size_t i = 0; i < f.len; i++) {
		bool between = i >= sizeof(*h);

		for (unsigned k = 0; k < 3; k++)
			if (i >= h->parts[k].offset && i - h->parts[k].offset < h->parts[k].size)
				between = false;

		f.p[i] ^= 1;
		assert_int_equal(file_open(&f), between ? 0 : -EBADMSG);
		f.p[i] ^= 1;
	}
	free(f.p);
}

static void test_every_length(void **state)
{
	struct file f = file_make();
	size_t len = f.len;

	(void)state;
	for (f.len = 0; f.len < len; f.len += f.len < 600 ? 1 : 97)
		assert_int_equal(file_open(&f), -EBADMSG);
	f.len = len;
	assert_int_equal(file_open(&f), 0);
	free(f.p);
}

/* Offsets that lie, under a header whose own hash is right. */
static void test_lying_header(void **state)
{
	static const struct {
		uint64_t offset, size;
	} lies[] = { { 0, 100 }, { 100, 100 }, { IMAGE_PAGE, UINT64_MAX }, { 1ull << 40, 100 },
		{ UINT64_MAX - IMAGE_PAGE + 1, 100 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct file f = file_make();
		struct image_header *h = (void *)f.p;

		h->parts[0].offset = lies[i].offset;
		h->parts[0].size = lies[i].size;
		hash(h, offsetof(struct image_header, sha256), h->sha256);
		assert_int_equal(file_open(&f), -EBADMSG);
		free(f.p);
	}
}

static void test_describe_bounds(void **state)
{
	struct image_part parts[IMAGE_MAX_PARTS + 1] = { { IMAGE_SETTINGS, "", 0 },
		{ IMAGE_SETTINGS, "", 0 } };
	struct image_header h;

	(void)state;
	assert_int_equal(image_describe(parts, 2, 1, hash, &h), -EINVAL);
	assert_int_equal(image_describe(parts, IMAGE_MAX_PARTS + 1, 1, hash, &h), -EINVAL);
	parts[1].kind = IMAGE_N_KINDS;
	assert_int_equal(image_describe(parts, 2, 1, hash, &h), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_altered_byte),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_lying_header),
		cmocka_unit_test(test_describe_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
