/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy that is refused leaves no trace: not in force, not on disk, no drain moved. */
#include "live.h"

#include "filters/image_write.h"

#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- in place of the ports and of live_setup.c ---- */

static unsigned wakes;

void hw_wake(struct hw *hw, unsigned worker)
{
	(void)hw, (void)worker;
	wakes++;
}
uint64_t hw_now_ns(void)
{
	return 1;
}
const char *live_version(void)
{
	return "test";
}
int live_restart_prints(const struct policy *policy, struct live_restart *ret_prints)
{
	(void)policy, (void)ret_prints;
	return -1;
}
void live_restart_difference(
    const struct live_restart *a, const struct live_restart *b, char *ret_keys, size_t size)
{
	(void)a, (void)b, (void)ret_keys, (void)size;
}

/* ---- policies whose servers change places ---- */

static char dir[] = "/tmp/live_control_test.XXXXXX";
static char image_path[64], stats_path[64];
static struct live live;
static sem_t freed, go;

static void free_slowly(struct generation *gen, void *arg)
{
	(void)arg;
	generation_put(live.store, gen);
	sem_post(&freed);
	sem_wait(&go);
}

static int add_server(struct image_writer *writer, uint8_t host, const char *name)
{
	struct policy_server s = { .port = 25,
		.weight = 1,
		.max_connections = 10,
		.addr = { [10] = 0xff, 0xff, 198, 51, 100, host } };

	return image_writer_string(writer, name, &s.name) ? -1 : image_writer_server(writer, &s);
}

/* The epoch's parts, as memfds; the servers stand in another order in every second one. */
static unsigned offer(uint32_t epoch, struct part_offer *ret_offers)
{
	const struct policy_pool pool = { .n_servers = 2, .fallback_pool = 0xffff };
	struct image_writer *writer = image_writer_new();
	struct image_part parts[IMAGE_MAX_PARTS];
	const char *why;
	unsigned n;

	add_server(writer, epoch & 1 ? 10 : 11, epoch & 1 ? "a" : "b");
	add_server(writer, epoch & 1 ? 11 : 10, epoch & 1 ? "b" : "a");
	assert_true(image_writer_pool(writer, &pool) >= 0);
	image_writer_settings(writer)->default_pool = 0;
	assert_int_equal(image_writer_finish(writer, parts, &n, &why), 0);
	for (unsigned i = 0; i < n; i++) {
		int fd = memfd_create("part", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		assert_int_equal(write(fd, parts[i].base, parts[i].len), (ssize_t)parts[i].len);
		assert_int_equal(
		    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
		    0);
		ret_offers[i] =
		    (struct part_offer){ .kind = parts[i].kind, .size = parts[i].len, .fd = fd };
		policy_sha256(parts[i].base, parts[i].len, ret_offers[i].sha256);
	}
	image_writer_free(writer);
	return n;
}

/* policy.load as the manager calls it: "" or the error's word. */
static const char *load(uint32_t epoch)
{
	static struct control_error error;
	const struct control_method *m = live_methods;
	struct part_offer offers[IMAGE_MAX_PARTS];
	json_t *list = json_array(), *params, *result;
	int fds[IMAGE_MAX_PARTS];
	unsigned n = offer(epoch, offers);

	for (unsigned i = 0; i < n; i++) {
		char text[2 * IMAGE_HASH_LEN + 1];

		for (unsigned k = 0; k < IMAGE_HASH_LEN; k++)
			snprintf(text + 2 * k, 3, "%02x", offers[i].sha256[k]);
		fds[i] = offers[i].fd;
		json_array_append_new(
		    list, json_pack("{s:i,s:s,s:I,s:i}", "kind", (int)offers[i].kind, "sha256",
			      text, "size", (json_int_t)offers[i].size, "fd", (int)i));
	}
	params = json_pack("{s:I,s:o}", "epoch", (json_int_t)epoch, "parts", list);
	while (strcmp(m->name, "policy.load") != 0)
		m++;
	result = m->call(&live, params, fds, n, &error);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	json_decref(params);
	if (!result)
		return error.code;
	json_decref(result);
	return "";
}

static uint32_t epoch_on_disk(void)
{
	struct policy_store *store;
	struct generation *gen;
	char *error = NULL;
	uint32_t epoch;

	assert_int_equal(policy_store_new(dir, &store), 0);
	assert_int_equal(policy_store_read(store, NULL, &gen, &error), 0);
	epoch = gen->epoch;
	generation_put(store, gen);
	policy_store_free(store);
	return epoch;
}

static int setup(void **state)
{
	struct stats_name names[1] = { { .name = "one" } };
	struct part_offer offers[IMAGE_MAX_PARTS];
	const uint8_t key[16] = { 0 };
	char *error = NULL;
	unsigned n;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(image_path, sizeof(image_path), "%s/policy.image", dir);
	snprintf(stats_path, sizeof(stats_path), "%s/stats", dir);
	sem_init(&freed, 0, 0);
	sem_init(&go, 0, 0);
	live.n_workers = 1;
	live.workers[0] = aligned_alloc(64, sizeof(struct live_worker));
	if (!live.workers[0])
		return -1;
	memset(live.workers[0], 0, sizeof(struct live_worker));
	if (policy_store_new(dir, &live.store) != 0 ||
	    stats_file_new(stats_path, 1, names, 1, &live.stats, &error) != 0 ||
	    events_new(NULL, 1 << 20, 1, live.stats, key, &live.events, &error) != 0)
		return -1;
	n = offer(1, offers);
	if (policy_store_take(live.store, 1, offers, n, &live.running, &error) != LOAD_OK)
		return -1;
	for (unsigned i = 0; i < n; i++)
		close(offers[i].fd);
	return publish_new(1, live.running, free_slowly, NULL, &live.publish);
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i++)
		sem_post(&go);
	publish_free(live.publish);
	events_free(live.events);
	stats_file_free(live.stats, stats_path);
	policy_store_free(live.store);
	free(live.workers[0]);
	unlink(image_path);
	return rmdir(dir);
}

static bool drained(unsigned server)
{
	return atomic_load(&live.workers[0]->drained[server]);
}

static void a_refused_policy_leaves_no_trace(void **state)
{
	struct generation *before;
	unsigned orders;

	(void)state;
	atomic_store(&live.workers[0]->drained[0], true); /* "a" */
	assert_string_equal(load(2), "");
	assert_true(!drained(0) && drained(1)); /* it stands second now */
	assert_int_equal(epoch_on_disk(), 2);
	assert_true(wakes > 0);
	sem_wait(&freed); /* epoch 1 is being freed from here on: it keeps its place */
	assert_string_equal(load(3), "");
	assert_string_equal(load(4), "");
	assert_true(!drained(0) && drained(1));
	before = live.running;
	orders = atomic_load(&live.workers[0]->orders);

	assert_string_equal(load(5), "busy");
	assert_ptr_equal(live.running, before);
	assert_ptr_equal(publish_get(live.publish), before);
	assert_int_equal(epoch_on_disk(), 4);
	assert_true(!drained(0) && drained(1));
	assert_int_equal(atomic_load(&live.workers[0]->orders), orders);

	/* with a place free the same one is taken; epoch 2's turn to be freed shows that one is */
	sem_post(&go);
	sem_wait(&freed);
	assert_string_equal(load(5), "");
	assert_int_equal(epoch_on_disk(), 5);
	assert_true(drained(0) && !drained(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_policy_leaves_no_trace),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
