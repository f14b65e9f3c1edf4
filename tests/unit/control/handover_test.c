/* SPDX-License-Identifier: BSD-3-Clause */
#include "handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(void **state)
{
	struct complaints complaints;
	complaints_init(&complaints);
	*state = image_from_file(POSTERN_EXAMPLES "/appliance.yaml", 3, NULL, &complaints);
	complaints_fini(&complaints);
	return *state == NULL ? -1 : 0;
}

static int drop(void **state)
{
	image_free(*state);
	return 0;
}

static void every_part_is_sealed_and_whole(void **state)
{
	const struct image *image = *state;
	struct handover h;
	assert_int_equal(handover_make(image, NULL, &h), 0);
	const json_t *parts = json_object_get(h.params, "parts");
	assert_int_equal(json_integer_value(json_object_get(h.params, "epoch")), 3);
	assert_int_equal(json_array_size(parts), image->n_parts);
	assert_int_equal(h.n_fds, image->n_parts);
	for (unsigned i = 0; i < image->n_parts; i++) {
		const json_t *part = json_array_get(parts, i);
		int fd = h.fds[json_integer_value(json_object_get(part, "fd"))];
		struct stat st;
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, image->parts[i].len);
		assert_int_equal(json_integer_value(json_object_get(part, "size")), st.st_size);
		assert_int_equal(
		    json_integer_value(json_object_get(part, "kind")), image->parts[i].kind);
		assert_int_equal(fcntl(fd, F_GET_SEALS) &
				     (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
		void *copy = malloc(image->parts[i].len);
		assert_int_equal(pread(fd, copy, image->parts[i].len, 0), image->parts[i].len);
		uint8_t sha256[IMAGE_HASH_LEN];
		char hex[IMAGE_HEX_LEN + 1];
		image_sha256(copy, image->parts[i].len, sha256);
		image_hex(sha256, hex);
		assert_string_equal(json_string_value(json_object_get(part, "sha256")), hex);
		free(copy);
	}
	handover_fini(&h);
}

static void what_is_held_is_not_sent(void **state)
{
	const struct image *image = *state;
	struct handover h;
	char hex[IMAGE_HEX_LEN + 1];
	json_t *held = json_array();
	image_hex(image->header.parts[1].sha256, hex);
	json_array_append_new(held, json_string(hex));
	json_array_append_new(held, json_integer(7)); /* not a hash: passed over */
	assert_false(handover_holds_all(image, held));
	assert_int_equal(handover_make(image, held, &h), 0);
	assert_int_equal(h.n_fds, image->n_parts - 1);
	const json_t *parts = json_object_get(h.params, "parts");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(parts, 0), "fd")), 0);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(parts, 1), "fd")), -1);
	handover_fini(&h);
	for (unsigned i = 0; i < image->n_parts; i++) {
		image_hex(image->header.parts[i].sha256, hex);
		json_array_append_new(held, json_string(hex));
	}
	assert_true(handover_holds_all(image, held));
	json_decref(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_part_is_sealed_and_whole, make, drop),
		cmocka_unit_test_setup_teardown(what_is_held_is_not_sent, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
