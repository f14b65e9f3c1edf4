/* SPDX-License-Identifier: BSD-3-Clause */
/* What is committed is there after the next opening; nothing else is. */
#include "store.h"
#include "store_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct store *opened(void)
{
	struct store *s = NULL;
	char *error = NULL;

	if (store_open(path, 1000, &s, &error) != 0)
		fail_msg("%s", error);
	return s;
}

static struct store_record record(uint64_t key, uint8_t state, uint32_t time_s)
{
	struct store_record r = {
		.key = key, .entry = { time_s, 2, state }, .tenant = 7, .cut = true
	};

	r.len = (uint16_t)snprintf(
	    r.text, sizeof(r.text), "pool%c%llu@example.org%cto", 0, (unsigned long long)key, 0);
	r.len++;
	return r;
}

static void write_one(struct store *s, struct store_record r)
{
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_write(s, &r), 0);
	assert_int_equal(store_commit(s), 0);
}

struct seen {
	struct store_record rows[64];
	unsigned n, cap;
};

static bool see(void *arg, const struct store_record *r)
{
	struct seen *s = arg;

	s->rows[s->n++] = *r;
	return s->n < s->cap;
}

static unsigned all(struct store *s, struct seen *ret_seen)
{
	struct store_position at = { 0 };

	*ret_seen = (struct seen){ .cap = 64 };
	assert_int_equal(store_walk(s, &at, 1000, see, ret_seen), 0);
	assert_int_equal(at.table, 2);
	return ret_seen->n;
}

static void test_committed_is_there(void **state)
{
	struct store *s = opened();
	struct store_record r = record(77, GREYLIST_ACCEPTED, 1000),
			    p = record(3, GREYLIST_PENDING, 9);
	uint8_t secret[16];
	struct seen seen;

	(void)state;
	memcpy(secret, store_secret(s), 16);
	write_one(s, r);
	write_one(s, p);
	assert_int_equal(store_begin(s), 0);
	r.key = 78;
	assert_int_equal(store_write(s, &r), 0);
	store_abort(s);
	store_close(s);

	s = opened();
	assert_memory_equal(store_secret(s), secret, 16);
	assert_int_equal(all(s, &seen), 2);
	assert_int_equal(seen.rows[0].key, 77);
	assert_int_equal(seen.rows[0].entry.time_s, 1000);
	assert_int_equal(seen.rows[0].entry.passes, 2);
	assert_int_equal(seen.rows[0].entry.state, GREYLIST_ACCEPTED);
	assert_int_equal(seen.rows[0].tenant, 7);
	assert_true(seen.rows[0].cut && !seen.rows[0].pool);
	assert_int_equal(seen.rows[0].len, r.len);
	assert_memory_equal(seen.rows[0].text, r.text, r.len);
	assert_int_equal(seen.rows[1].key, 3);
	store_close(s);
}

static void test_erase(void **state)
{
	struct store *s = opened();
	struct store_record a = record(1, GREYLIST_ACCEPTED, 5), p = record(2, GREYLIST_PENDING, 6);
	struct greylist_entry other = { 7, 0, GREYLIST_PENDING };
	struct seen seen;

	(void)state;
	write_one(s, a);
	write_one(s, p);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_erase(s, 1, &a.entry), 0);
	assert_int_equal(store_erase(s, 2, &other), 0); /* filed elsewhere: stays */
	assert_int_equal(store_erase(s, 99, &a.entry), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(all(s, &seen), 1);
	assert_int_equal(seen.rows[0].key, 2);
	store_close(s);
}

static void test_pages_and_order(void **state)
{
	struct store *s = opened();
	struct store_position at = { 0 };
	uint64_t told[20];
	unsigned n = 0, pages = 0;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	for (uint64_t k = 1; k <= 20; k++) {
		struct store_record r = record(
		    k, k <= 5 ? GREYLIST_WHITELISTED : GREYLIST_PENDING, (uint32_t)(1000 - k));
		assert_int_equal(store_write(s, &r), 0);
	}
	assert_int_equal(store_commit(s), 0);
	while (at.table < 2) {
		struct seen seen = { .cap = 3 };

		assert_int_equal(store_walk(s, &at, 7, see, &seen), 0);
		for (unsigned i = 0; i < seen.n; i++)
			told[n++] = seen.rows[i].key;
		if (++pages == 3) { /* what changes between two pages moves nothing */
			struct store_record r = record(900, GREYLIST_PENDING, 1);
			write_one(s, r);
		}
		assert_in_range(n, 0, 20);
	}
	assert_int_equal(n, 20);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(told[i], i + 1); /* by key */
	for (unsigned i = 5; i < 20; i++)
		assert_int_equal(told[i], 25 - i); /* the oldest first */
	store_close(s);
}

static void test_one_owner(void **state)
{
	struct store *s = opened(), *second = (void *)1;
	char *error = NULL;

	(void)state;
	assert_int_equal(store_open(path, 1000, &second, &error), -EBUSY);
	assert_non_null(strstr(error, "in use"));
	assert_ptr_equal(second, (void *)1);
	free(error);
	store_close(s);
	store_close(opened());
}

static void test_foreign_file(void **state)
{
	struct store *s = NULL;
	char *error = NULL, junk[8192];
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	(void)state;
	memset(junk, 'x', sizeof(junk));
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	assert_int_equal(store_open(path, 1000, &s, &error), -EBADMSG);
	assert_non_null(error);
	free(error);
}

static void test_file_is_allocated(void **state)
{
	struct store *s = opened();
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, store_usage(s).map_bytes);
	assert_true((uint64_t)st.st_blocks * 512 >= store_usage(s).map_bytes);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(store_is_tight(s));
	store_close(s);
}

static void test_missing_folder(void **state)
{
	struct store *s = NULL;
	char *error = NULL;

	(void)state;
	assert_int_equal(store_open("/tmp/no/such/folder/grey.mdb", 1000, &s, &error), -ENOENT);
	assert_non_null(error);
	free(error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_committed_is_there, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_erase, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_pages_and_order, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_one_owner, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_foreign_file, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_file_is_allocated, folder_make, folder_remove),
		cmocka_unit_test(test_missing_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
