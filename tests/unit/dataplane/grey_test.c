/* SPDX-License-Identifier: BSD-3-Clause */
/* The store thread as its users see it: acknowledged is durable, also when it is killed. */
#include "grey.h"
#include "store_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { T0 = 1700000000, DAY = 86400 };

static _Atomic uint32_t now_s = T0;

static uint32_t clock_s(void *arg)
{
	(void)arg;
	return atomic_load(&now_s);
}

static const struct policy_grey settings = {
	.delay_s = 300,
	.retry_window_s = 4 * 3600,
	.life_s = 36 * DAY,
	.white_life_s = 90 * DAY,
	.trap_s = DAY,
	.white_after = 3,
};

static int set_up(void **state)
{
	atomic_store(&now_s, T0);
	return folder_make(state);
}

static struct grey *opened(uint32_t capacity, unsigned ring)
{
	struct grey_config c = { .path = path,
		.capacity = capacity,
		.n_producers = 2,
		.ring_notes = ring,
		.settings = settings,
		.now_s = clock_s };
	struct grey *g = NULL;
	char *error = NULL;

	if (grey_new(&c, &g, &error) != 0)
		fail_msg("%s", error);
	assert_null(error);
	return g;
}

/* Keys that any process makes again from a number. */
static struct greylist_keys keys_of(uint64_t i)
{
	struct greylist_keys k;

	i++;
	k.triplet = (i * 0x9e3779b97f4a7c15ull ^ i << 7) | 1;
	k.pool = (i * 0xd6e8feb86659fd93ull ^ i << 11) | 1;
	return k;
}

static struct grey_note note_of(uint64_t i, uint8_t kind)
{
	struct grey_note n = { .keys = keys_of(i), .now_s = atomic_load(&now_s), .kind = kind };
	char from[64];

	snprintf(from, sizeof(from), "user%llu@example.org", (unsigned long long)i);
	grey_note_text(&n, "192.0.2.0/24", (struct text){ from, (uint16_t)strlen(from) },
	    (struct text){ "to@example.net", 14 });
	return n;
}

static void put(struct grey *g, unsigned producer, uint64_t i, uint8_t kind)
{
	struct grey_note n = note_of(i, kind);

	while (!grey_put(g, producer, &n))
		poll(NULL, 0, 1);
}

static void until_durable(struct grey *g, unsigned producer, uint64_t n)
{
	for (unsigned ms = 0; grey_durable(g, producer) < n; ms++) {
		if (ms > 20000)
			fail_msg("not durable after 20 s");
		poll(NULL, 0, 1);
	}
}

static enum greylist_answer answer(struct grey *g, uint64_t i, uint32_t at_s)
{
	struct greylist_keys k = keys_of(i);

	return greylist_judge(grey_index(g), &k, at_s, &settings);
}

static void test_survives_a_restart(void **state)
{
	struct grey *g = opened(1000, 0);
	uint8_t secret[16];

	(void)state;
	memcpy(secret, grey_secret(g), 16);
	put(g, 0, 1, GREY_TRIED);
	put(g, 1, 2, GREY_ACCEPTED);
	put(g, 1, 3, GREY_TRAPPED);
	for (unsigned i = 0; i < 3; i++)
		put(g, 0, 4, GREY_ACCEPTED);
	put(g, 0, 5, GREY_TRIED);
	put(g, 0, 5, GREY_ACCEPTED); /* moves from one table to the other */
	until_durable(g, 0, 6);
	until_durable(g, 1, 2);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(answer(g, 1, T0 + 300), GREYLIST_PASSED);
		assert_int_equal(answer(g, 2, T0 + 300), GREYLIST_KNOWN);
		assert_int_equal(answer(g, 3, T0 + 300), GREYLIST_TRAP);
		assert_int_equal(answer(g, 4, T0 + 300), GREYLIST_WHITE);
		assert_int_equal(answer(g, 5, T0 + 300), GREYLIST_KNOWN);
		assert_int_equal(answer(g, 6, T0 + 300), GREYLIST_FIRST);
		grey_free(g);
		g = opened(1000, 0);
	}
	assert_memory_equal(grey_secret(g), secret, 16);
	grey_free(g);
}

static void test_the_end_writes_what_waits(void **state)
{
	enum { N = 3000 };
	struct grey *g = opened(10000, 4096);

	(void)state;
	for (uint64_t i = 0; i < N; i++)
		put(g, i & 1, i, GREY_TRIED);
	grey_free(g);
	g = opened(10000, 0);
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(answer(g, i, T0 + 1), GREYLIST_EARLY);
	grey_free(g);
}

/* A child notes without end and tells how far it is acknowledged; it is killed in between. */
static void child(int to)
{
	struct grey *g = opened(1000000, 0);
	uint64_t done = 0, told = 0;

	for (;;) {
		for (unsigned k = 0; k < 64; k++, done++) {
			struct grey_note n =
			    note_of(done, done % 7 == 3 ? GREY_ACCEPTED : GREY_TRIED);

			if (!grey_put(g, 0, &n))
				break;
		}
		if (grey_durable(g, 0) != told) {
			told = grey_durable(g, 0);
			if (write(to, &told, sizeof(told)) != sizeof(told))
				_exit(1);
		}
	}
}

static void test_kill_loses_nothing_acknowledged(void **state)
{
	uint64_t all = 0;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		uint64_t durable = 0, word;
		unsigned messages = 1 + round * 3 % 11;
		struct grey *g;
		int pipes[2];
		pid_t pid;

		unlink(path);
		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		if (pid == 0)
			child(pipes[1]);
		close(pipes[1]);
		/* killed behind the n-th acknowledgement, wherever it stands then */
		for (unsigned i = 0; i < messages; i++)
			if (read(pipes[0], &word, sizeof(word)) == sizeof(word))
				durable = word;
		usleep(round * 700);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		while (read(pipes[0], &word, sizeof(word)) == sizeof(word))
			durable = word; /* acknowledged before it died */
		close(pipes[0]);
		assert_true(durable > 0);
		g = opened(1000000, 0);
		for (uint64_t i = 0; i < durable; i++)
			if (answer(g, i, T0 + 300) != (i % 7 == 3 ? GREYLIST_KNOWN : GREYLIST_PASSED))
				fail_msg("round %u: note %llu of %llu is lost", round,
				    (unsigned long long)i, (unsigned long long)durable);
		grey_free(g);
		all += durable;
	}
	print_message("%llu acknowledged notes, none lost\n", (unsigned long long)all);
}

static void test_full_ring(void **state)
{
	struct grey *g = opened(100000, 64);
	struct grey_stats s;
	uint64_t taken = 0, lost = 0;

	(void)state;
	for (uint64_t i = 0; i < 50000; i++) {
		struct grey_note n = note_of(i, GREY_TRIED);

		if (grey_put(g, 0, &n))
			taken++;
		else
			lost++;
	}
	assert_true(lost > 0);
	until_durable(g, 0, taken);
	grey_stats(g, &s);
	assert_int_equal(s.ring_full, lost);
	assert_int_equal(s.notes, taken);
	assert_int_equal(s.counts.entries[GREYLIST_PENDING], taken);
	assert_int_equal(s.usage.records, taken);
	grey_free(g);
}

static void test_file_follows_the_index(void **state)
{
	enum { N = 20000 };
	struct grey *g = opened(1000, 0);
	struct grey_stats s;

	(void)state;
	put(g, 0, N, GREY_ACCEPTED);
	for (uint64_t i = 0; i < N; i++)
		put(g, 0, i, GREY_TRIED);
	until_durable(g, 0, N + 1);
	grey_stats(g, &s);
	assert_int_equal(s.usage.records, s.counts.entries[GREYLIST_PENDING] + 2);
	assert_in_range(s.usage.records, 1000, s.counts.slots);
	assert_true(s.counts.displaced[GREYLIST_PENDING] > 0);
	assert_int_equal(answer(g, N, T0 + 1), GREYLIST_KNOWN);
	grey_free(g);
	g = opened(100, 0); /* a smaller index lets go of the same in the file */
	grey_stats(g, &s);
	assert_int_equal(s.usage.records,
	    s.counts.entries[GREYLIST_PENDING] + s.counts.entries[GREYLIST_ACCEPTED]);
	assert_in_range(s.usage.records, 100, s.counts.slots);
	assert_int_equal(answer(g, N, T0 + 1), GREYLIST_KNOWN);
	grey_free(g);
}

static void test_expired_leaves_the_file(void **state)
{
	struct grey *g = opened(1000, 0);
	struct grey_stats s;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		put(g, 0, i, GREY_TRIED);
	put(g, 0, 100, GREY_ACCEPTED);
	until_durable(g, 0, 101);
	atomic_store(&now_s, T0 + 4 * 3600 + 1);
	for (unsigned ms = 0; ms < 10000; ms++) { /* the sweep comes round by itself */
		grey_stats(g, &s);
		if (s.usage.records == 2)
			break;
		poll(NULL, 0, 1);
	}
	assert_int_equal(s.usage.records, 2);
	assert_int_equal(s.counts.expired, 100);
	grey_free(g);
	atomic_store(&now_s, T0 + 37 * DAY);
	g = opened(1000, 0); /* expired while nobody looked */
	grey_stats(g, &s);
	assert_int_equal(s.usage.records, 0);
	grey_free(g);
}

static void test_nearly_full_file_lets_the_oldest_go(void **state)
{
	enum { N = 330000, CAPACITY = 200000 };
	struct grey *g = opened(CAPACITY, 0);
	struct grey_stats s;
	struct grey_note n = { .kind = GREY_TRIED, .len = GREY_NOTE_TEXT };

	(void)state;
	memset(n.text, 'x', sizeof(n.text) - 1);
	n.text[60] = n.text[120] = '\0';
	put(g, 1, N, GREY_ACCEPTED);
	until_durable(g, 1, 1);
	for (uint64_t i = 0; i < N; i++) {
		n.keys = keys_of(i);
		n.now_s = T0 + (uint32_t)(i / 1000);
		while (!grey_put(g, 0, &n))
			poll(NULL, 0, 1);
	}
	until_durable(g, 0, N);
	grey_stats(g, &s);
	assert_true(s.let_go > 0);
	assert_int_equal(s.failed_commits, 0);
	assert_int_equal(s.usage.records, s.counts.entries[GREYLIST_PENDING] + 2);
	assert_true(s.usage.used_bytes + (64 << 20) < s.usage.map_bytes + (4 << 20));
	assert_int_equal(answer(g, 0, T0 + 400), GREYLIST_FIRST);
	assert_int_equal(answer(g, N - 1, T0 + N / 1000 + 300), GREYLIST_PASSED);
	assert_int_equal(answer(g, N, T0 + 1), GREYLIST_KNOWN);
	grey_free(g);
}

static void test_failing_disk_acknowledges_nothing(void **state)
{
	struct grey *g = opened(1000, 64);
	struct rlimit was, small;
	struct grey_stats s;
	struct store_record r = { .key = 5, .entry = { T0, 1, GREYLIST_ACCEPTED }, .len = 3 };
	uint64_t taken = 0;
	unsigned n;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 4096; /* every page of data lies behind */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned ms = 0; ms < 1000; ms++) {
		struct grey_note note = note_of(taken, GREY_TRIED);

		if (grey_put(g, 0, &note))
			taken++;
		poll(NULL, 0, 1);
	}
	assert_int_equal(grey_durable(g, 0), 0);
	assert_in_range(taken, 64, 64 + 64); /* one batch, and a full ring */
	grey_stats(g, &s);
	assert_true(s.failed_commits > 0 && s.error < 0 && s.ring_full > 0);
	assert_int_equal(grey_add(g, &r, 1, &n), s.error);
	assert_int_equal(grey_del(g, keys_of(0).triplet, NULL), s.error);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	until_durable(g, 0, taken);
	grey_free(g);
	g = opened(1000, 0);
	for (uint64_t i = 0; i < taken; i++)
		assert_int_equal(answer(g, i, T0 + 1), GREYLIST_EARLY);
	grey_free(g);
}

static void test_show(void **state)
{
	struct grey *g = opened(1000, 0);
	struct grey_query q = { 0 };
	struct store_position at = { 0 };
	struct store_record recs[GREY_PAGE];
	unsigned n, all = 0;

	(void)state;
	for (uint64_t i = 0; i < 60; i++)
		put(g, 0, i, i < 50 ? GREY_TRIED : GREY_ACCEPTED);
	until_durable(g, 0, 60);
	while (at.table < 2) {
		assert_int_equal(grey_show(g, &q, &at, recs, 7, &n), 0);
		assert_in_range(n, 0, 7);
		all += n;
	}
	assert_int_equal(all, 70); /* ten pools */

	q.state = GREYLIST_PENDING;
	snprintf(q.text, sizeof(q.text), "user4");
	at = (struct store_position){ 0 };
	assert_int_equal(grey_show(g, &q, &at, recs, GREY_PAGE, &n), 0);
	assert_int_equal(n, 11);
	for (unsigned i = 0; i < n; i++)
		assert_non_null(strstr(recs[i].text + 13, "user4"));
	q = (struct grey_query){ .pools_only = true };
	at = (struct store_position){ 0 };
	assert_int_equal(grey_show(g, &q, &at, recs, GREY_PAGE, &n), 0);
	assert_int_equal(n, 10);
	assert_string_equal(recs[0].text, "192.0.2.0/24");
	at = (struct store_position){ .table = 9 };
	assert_int_equal(grey_show(g, &q, &at, recs, 1, &n), -EINVAL);
	grey_free(g);
}

static void test_add_and_del(void **state)
{
	struct grey *g = opened(1000, 0);
	struct store_record r = { .key = keys_of(1).pool,
		.entry = { T0, 0, GREYLIST_WHITELISTED },
		.pool = true,
		.len = 16,
		.text = "192.0.2.0/24\0\0" },
			    was;
	unsigned n = 0;

	(void)state;
	assert_int_equal(grey_add(g, &r, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(answer(g, 1, T0), GREYLIST_WHITE);
	grey_free(g);
	g = opened(1000, 0);
	assert_int_equal(answer(g, 1, T0), GREYLIST_WHITE);
	assert_int_equal(grey_del(g, r.key, &was), 0);
	assert_true(was.key == r.key && was.pool && was.entry.state == GREYLIST_WHITELISTED);
	assert_string_equal(was.text, "192.0.2.0/24");
	assert_int_equal(grey_del(g, r.key, NULL), -ENOENT);
	assert_int_equal(answer(g, 1, T0), GREYLIST_FIRST);
	grey_free(g);
	g = opened(1000, 0);
	assert_int_equal(answer(g, 1, T0), GREYLIST_FIRST);
	r.key = 0;
	assert_int_equal(grey_add(g, &r, 1, &n), -EINVAL);
	grey_free(g);
}

static void test_settings_change(void **state)
{
	struct policy_grey longer = settings;
	struct grey *g = opened(1000, 0);

	(void)state;
	longer.white_after = 1;
	grey_settings(g, &longer);
	put(g, 0, 1, GREY_ACCEPTED);
	until_durable(g, 0, 1);
	assert_int_equal(answer(g, 1, T0), GREYLIST_WHITE);
	grey_free(g);
}

static void test_broken_file_is_set_aside(void **state)
{
	struct grey_config c = {
		.path = path, .capacity = 100, .n_producers = 1, .settings = settings
	};
	struct grey *g = NULL;
	char *error = NULL, name[96], junk[8192];
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	struct grey_stats s;

	(void)state;
	memset(junk, 'x', sizeof(junk));
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	assert_int_equal(grey_new(&c, &g, &error), 0);
	assert_non_null(strstr(error, ".broken"));
	free(error);
	grey_stats(g, &s);
	assert_true(s.was_broken);
	snprintf(name, sizeof(name), "%s.broken", path);
	assert_int_equal(access(name, R_OK), 0);
	put(g, 0, 1, GREY_TRIED);
	until_durable(g, 0, 1);
	grey_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_survives_a_restart, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(
		    test_the_end_writes_what_waits, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(
		    test_kill_loses_nothing_acknowledged, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(test_full_ring, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(test_file_follows_the_index, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(test_expired_leaves_the_file, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(
		    test_nearly_full_file_lets_the_oldest_go, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(
		    test_failing_disk_acknowledges_nothing, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(test_show, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(test_add_and_del, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(test_settings_change, set_up, folder_remove),
		cmocka_unit_test_setup_teardown(test_broken_file_is_set_aside, set_up, folder_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
