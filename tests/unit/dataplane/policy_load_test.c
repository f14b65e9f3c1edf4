/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies from memfds and files: what is refused, what is shared, what is left after a refusal. */
#include "policy_load.h"

#include "filters/image_write.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };

static char dir[] = "/tmp/policy_load_test.XXXXXX";
static char path[64];
static struct image_writer *writer;
static struct image_part parts[IMAGE_MAX_PARTS];
static unsigned n_parts;
static struct part_offer offers[IMAGE_MAX_PARTS];
static struct policy_store *store;

/* A part as the manager hands it over. */
static int memfd_of(const void *data, size_t len, int seals)
{
	int fd = memfd_create("part", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int setup(void **state)
{
	const struct policy_server server = { .port = 25,
		.weight = 1,
		.max_connections = 10,
		.addr = { [10] = 0xff, 0xff, 198, 51, 100, 10 } };
	const struct policy_pool pool = { .n_servers = 1, .fallback_pool = 0xffff };
	const char *error;

	(void)state;
	writer = image_writer_new();
	if (!writer || !mkdtemp(dir) || image_writer_server(writer, &server) < 0 ||
	    image_writer_pool(writer, &pool) < 0)
		return -1;
	image_writer_settings(writer)->default_pool = 0;
	if (image_writer_finish(writer, parts, &n_parts, &error) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/policy.image", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	writer = image_writer_free(writer);
	return rmdir(dir);
}

static int each_setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_parts; i++) {
		offers[i].kind = parts[i].kind;
		offers[i].size = parts[i].len;
		policy_sha256(parts[i].base, parts[i].len, offers[i].sha256);
		offers[i].fd = memfd_of(parts[i].base, parts[i].len, ALL_SEALS);
	}
	return policy_store_new(dir, &store);
}

static int each_teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_parts; i++)
		close(offers[i].fd);
	store = policy_store_free(store);
	return 0;
}

static void count(const uint8_t sha256[IMAGE_HASH_LEN], void *arg)
{
	(void)sha256;
	++*(unsigned *)arg;
}

static unsigned held(void)
{
	unsigned n = 0;

	policy_store_parts(store, count, &n);
	return n;
}

static struct generation *take(uint32_t epoch)
{
	struct generation *gen = NULL;
	char *error = NULL;

	assert_int_equal(policy_store_take(store, epoch, offers, n_parts, &gen, &error), LOAD_OK);
	return gen;
}

static void refused(enum load_error want)
{
	struct generation *gen = NULL;
	char *error = NULL;
	unsigned before = held();

	assert_int_equal(policy_store_take(store, 1, offers, n_parts, &gen, &error), want);
	assert_null(gen);
	assert_non_null(error);
	assert_int_equal(held(), before);
	free(error);
}

static void parts_are_shared_and_freed_with_the_last_user(void **state)
{
	struct generation *one, *two;

	(void)state;
	one = take(1);
	assert_int_equal(policy_epoch(one->policy), 1);
	assert_int_equal(held(), n_parts);
	assert_true(generation_same(one, offers, n_parts));
	for (unsigned i = 0; i < n_parts; i++)
		offers[i].fd = (close(offers[i].fd), -1);
	two = take(2);
	assert_int_equal(held(), n_parts);
	generation_put(store, one);
	assert_int_equal(policy_settings(two->policy)->n_servers, 1);
	generation_put(store, two);
	assert_int_equal(held(), 0);
	refused(LOAD_MISSING_PART);
}

static void a_part_without_seals_is_refused(void **state)
{
	static const int missing[] = { F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL };
	int pipes[2];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		close(offers[1].fd);
		offers[1].fd = memfd_of(parts[1].base, parts[1].len, ALL_SEALS & ~missing[i]);
		refused(LOAD_BAD_FD);
	}
	close(offers[1].fd);
	assert_int_equal(pipe(pipes), 0);
	offers[1].fd = pipes[0];
	refused(LOAD_BAD_FD);
	close(pipes[1]);
}

static void size_and_hash_must_agree(void **state)
{
	(void)state;
	offers[0].size++;
	refused(LOAD_BAD_FD);
	offers[0].size--;
	offers[1].sha256[5] ^= 1;
	refused(LOAD_BAD_HASH);
	offers[1].sha256[5] ^= 1;
	offers[0].kind = IMAGE_ADDRESSES;
	refused(LOAD_BAD_IMAGE);
}

static void four_generations_are_the_most(void **state)
{
	struct generation *gens[POLICY_MAX_GENERATIONS];

	(void)state;
	for (unsigned i = 0; i < POLICY_MAX_GENERATIONS; i++)
		gens[i] = take(i + 1);
	refused(LOAD_BUSY);
	generation_put(store, gens[0]);
	gens[0] = take(9);
	for (unsigned i = 0; i < POLICY_MAX_GENERATIONS; i++)
		generation_put(store, gens[i]);
}

static void write_image(void)
{
	struct generation *gen = take(5);
	char *error = NULL;

	assert_int_equal(policy_store_write(store, gen, &error), 0);
	generation_put(store, gen);
}

static int read_image(struct generation **ret_gen)
{
	char *error = NULL;
	int rc = policy_store_read(store, NULL, ret_gen, &error);

	if (rc) {
		assert_non_null(error);
		assert_non_null(strstr(error, path));
		free(error);
		assert_int_equal(held(), 0);
	}
	return rc;
}

static void the_last_image_survives(void **state)
{
	struct generation *gen = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(read_image(&gen), -ENOENT);
	write_image();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	assert_int_equal(read_image(&gen), 0);
	assert_int_equal(gen->epoch, 5);
	assert_true(generation_same(gen, offers, n_parts));
	generation_put(store, gen);
}

static void every_cut_of_a_file_is_refused(void **state)
{
	struct generation *gen = NULL;
	struct stat st;

	(void)state;
	write_image();
	assert_int_equal(stat(path, &st), 0);
	for (off_t len = st.st_size - 1; len >= 0; len -= len > 600 ? 97 : 1) {
		assert_int_equal(truncate(path, len), 0);
		assert_int_equal(read_image(&gen), -EBADMSG);
	}
}

static void every_altered_byte_is_refused(void **state)
{
	struct generation *gen = NULL;
	struct image_header header;
	int fd;

	(void)state;
	write_image();
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	/* the header, and the bytes of each part; not the padding between */
	for (unsigned region = 0; region <= header.n_parts; region++) {
		off_t first = region ? (off_t)header.parts[region - 1].offset : 0;
		off_t size = region ? (off_t)header.parts[region - 1].size : (off_t)sizeof(header);

		for (off_t at = first; at<first + size; at += size> 2000 ? size / 50 : 7) {
			uint8_t byte, other;

			assert_int_equal(pread(fd, &byte, 1, at), 1);
			other = byte ^ 0x20;
			assert_int_equal(pwrite(fd, &other, 1, at), 1);
			assert_int_equal(read_image(&gen), -EBADMSG);
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
	}
	close(fd);
	assert_int_equal(read_image(&gen), 0);
	generation_put(store, gen);
}

static void a_failed_write_leaves_the_old_image(void **state)
{
	struct policy_store *nowhere;
	struct generation *gen = take(6);
	char *error = NULL;

	(void)state;
	assert_int_equal(policy_store_new("/nonexistent", &nowhere), 0);
	assert_int_equal(policy_store_write(nowhere, gen, &error), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent"));
	free(error);
	policy_store_free(nowhere);
	generation_put(store, gen);
}

/* Made by a manager without root, then by anybody. */
static void a_part_of_the_managers_user_is_taken(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* to be another takes root */
	close(offers[0].fd);
	assert_int_equal(seteuid(65534), 0);
	offers[0].fd = memfd_of(parts[0].base, parts[0].len, ALL_SEALS);
	assert_int_equal(seteuid(0), 0);
	refused(LOAD_BAD_FD);
	policy_store_trust(store, 65534);
	generation_put(store, take(1));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, each_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_image_survives),
		TEST(parts_are_shared_and_freed_with_the_last_user),
		TEST(a_part_without_seals_is_refused),
		TEST(a_part_of_the_managers_user_is_taken),
		TEST(size_and_hash_must_agree),
		TEST(four_generations_are_the_most),
		TEST(every_cut_of_a_file_is_refused),
		TEST(every_altered_byte_is_refused),
		TEST(a_failed_write_leaves_the_old_image),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
