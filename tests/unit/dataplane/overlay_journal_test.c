/* SPDX-License-Identifier: BSD-3-Clause */
/* The overlay's journal: what is acknowledged is there again, whatever byte the file ends at. */
#include "overlay_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 1000, ENTRIES = 3000 };

static const uint8_t key[16] = "journal's secret";
static char dir[] = "/tmp/overlay_journal_test.XXXXXX";
static char path[80], other[80];

struct rig {
	struct overlay *o;
	struct overlay_journal *j;
	char *words;
};

static void rig_open(struct rig *r, const char *file, uint32_t now_s)
{
	r->o = overlay_new(ENTRIES, key);
	assert_non_null(r->o);
	assert_int_equal(overlay_journal_open(file, r->o, now_s, &r->j, &r->words), 0);
}

static void rig_close(struct rig *r)
{
	free(r->words);
	overlay_journal_close(r->j);
	overlay_free(r->o);
}

static struct overlay_entry entry(struct overlay *o, const char *list, unsigned i)
{
	struct overlay_entry e = { .len = 32,
		.created_s = NOW,
		.origin = OVERLAY_OPERATOR,
		.addr = { [10] = 0xff, 0xff, 192, 0, (uint8_t)(i >> 8), (uint8_t)i } };

	if (*list)
		e.list = (uint8_t)overlay_list(o, list);
	else
		e.kind = VERDICT_TRAP;
	return e;
}

static int put(struct rig *r, const struct overlay_entry *e)
{
	int ret = overlay_journal_put(r->j, e);

	if (ret == 0)
		ret = overlay_journal_commit(r->j);
	if (ret == 0)
		assert_true(overlay_put(r->o, e, NOW, NULL) >= 0);
	return ret;
}

static int drop(struct rig *r, const struct overlay_entry *e)
{
	int ret = overlay_journal_remove(r->j, e->addr, e->len, e->list);

	if (ret == 0)
		ret = overlay_journal_commit(r->j);
	if (ret == 0)
		assert_int_equal(overlay_remove(r->o, e->addr, e->len, e->list), 0);
	return ret;
}

/* The same entries, lists by name. */
static bool same(struct overlay *a, struct overlay *b)
{
	struct overlay_entry e, f;
	uint32_t cursor = 0, n = 0;

	while (overlay_next(a, &cursor, &e)) {
		int list = e.list ? overlay_list_find(b, overlay_list_name(a, e.list)) : 0;

		n++;
		if (list < 0 || overlay_get(b, e.addr, e.len, (unsigned)list, &f) != 0)
			return false;
		f.list = e.list;
		if (memcmp(&e, &f, sizeof(e)) != 0)
			return false;
	}
	return n == overlay_counts(b).entries;
}

static void remove_files(void)
{
	char name[120];

	unlink(path);
	unlink(other);
	snprintf(name, sizeof(name), "%s.damaged", path);
	unlink(name);
}

static char *slurp(const char *name, size_t *ret_len)
{
	char *text = malloc(1 << 20);
	FILE *f = fopen(name, "rb");

	assert_non_null(f);
	*ret_len = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static void spill(const char *name, const char *text, size_t len)
{
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void what_was_committed_is_there_again(void **state)
{
	struct rig a, b;
	struct overlay_entry e;

	(void)state;
	remove_files();
	rig_open(&a, path, NOW);
	assert_null(a.words);
	e = entry(a.o, "blocked", 7);
	memcpy(e.reason, "ticket 47 \"x\"", 14);
	e.expires_s = NOW + 600;
	assert_int_equal(put(&a, &e), 0);
	e = entry(a.o, "", 8);
	e.origin = OVERLAY_AUTOMATIC;
	e.expires_s = NOW + 5;
	assert_int_equal(put(&a, &e), 0);
	e = entry(a.o, "friends", 9);
	e.lifts = true;
	assert_int_equal(put(&a, &e), 0);
	e = (struct overlay_entry){ .addr = { 0x20, 0x01, 0x0d, 0xb8 }, .len = 32, .list = e.list };
	assert_int_equal(put(&a, &e), 0);
	e.len = 33;
	assert_int_equal(put(&a, &e), 0);
	assert_int_equal(drop(&a, &e), 0);
	rig_open(&b, path, NOW);
	assert_null(b.words);
	assert_int_equal(overlay_counts(b.o).entries, 4);
	assert_true(same(a.o, b.o));
	rig_close(&b);
	rig_open(&b, path, NOW + 5); /* the ban is over by now */
	assert_int_equal(overlay_counts(b.o).entries, 3);
	rig_close(&b);
	rig_close(&a);
}

static void cut_at_each_byte_loses_nothing_acknowledged(void **state)
{
	struct overlay *after[40];
	size_t ends[40], len;
	struct rig a, b;
	struct overlay_entry e;
	char *text;
	unsigned n = 0;

	(void)state;
	remove_files();
	rig_open(&a, path, NOW);
	after[n] = overlay_new(ENTRIES, key);
	ends[n++] = overlay_journal_size(a.j);
	for (unsigned step = 0; step < 12; step++) {
		uint32_t cursor = 0;

		e = entry(a.o, step % 3 ? "blocked" : "", step % 5);
		e.created_s += step;
		if (step == 7 || step == 10)
			assert_int_equal(drop(&a, &e), 0);
		else
			assert_int_equal(put(&a, &e), 0);
		after[n] = overlay_new(ENTRIES, key);
		while (overlay_next(a.o, &cursor, &e)) {
			if (e.list)
				e.list =
				    (uint8_t)overlay_list(after[n], overlay_list_name(a.o, e.list));
			assert_true(overlay_put(after[n], &e, NOW, NULL) >= 0);
		}
		ends[n++] = overlay_journal_size(a.j);
	}
	text = slurp(path, &len);
	assert_int_equal(len, ends[n - 1]);
	for (size_t cut = 0; cut <= len; cut++) {
		unsigned want = 0;

		while (want + 1 < n && ends[want + 1] <= cut)
			want++;
		spill(other, text, cut);
		rig_open(&b, other, NOW);
		assert_true(same(after[want], b.o));
		assert_int_equal(b.words != NULL, cut > ends[0] && cut != ends[want]);
		/* and it goes on from there */
		e = entry(b.o, "slow", 1);
		assert_int_equal(put(&b, &e), 0);
		rig_close(&b);
		rig_open(&b, other, NOW);
		assert_null(b.words);
		assert_int_equal(
		    overlay_counts(b.o).entries, overlay_counts(after[want]).entries + 1);
		rig_close(&b);
	}
	free(text);
	while (n--)
		overlay_free(after[n]);
	rig_close(&a);
}

static void a_damaged_line_is_skipped_and_kept(void **state)
{
	struct rig a, b;
	struct overlay_entry e;
	char *text, name[120];
	size_t len;

	(void)state;
	remove_files();
	rig_open(&a, path, NOW);
	for (unsigned i = 0; i < 5; i++) {
		e = entry(a.o, "blocked", i);
		assert_int_equal(put(&a, &e), 0);
	}
	rig_close(&a);
	text = slurp(path, &len);
	*strstr(text, "192.0.0.2") = '8';
	spill(path, text, len);
	free(text);
	rig_open(&b, path, NOW);
	assert_non_null(strstr(b.words, "1 damaged lines skipped"));
	assert_int_equal(overlay_counts(b.o).entries, 4);
	snprintf(name, sizeof(name), "%s.damaged", path);
	assert_int_equal(access(name, F_OK), 0);
	rig_close(&b);
	rig_open(&b, path, NOW); /* it was written anew without it */
	assert_null(b.words);
	assert_int_equal(overlay_counts(b.o).entries, 4);
	rig_close(&b);
}

static void another_file_is_left_alone(void **state)
{
	struct overlay *o = overlay_new(ENTRIES, key);
	struct overlay_journal *j;
	char *words, *text;
	size_t len;

	(void)state;
	remove_files();
	spill(path, "my letters\nto her\n", 18);
	assert_int_equal(overlay_journal_open(path, o, NOW, &j, &words), -EBADMSG);
	assert_non_null(strstr(words, "is no journal"));
	free(words);
	text = slurp(path, &len);
	assert_int_equal(len, 18);
	free(text);
	overlay_free(o);
}

static void written_anew_once_it_has_doubled(void **state)
{
	struct rig a, b;
	struct overlay_entry e;
	uint64_t largest = 0;

	(void)state;
	remove_files();
	rig_open(&a, path, NOW);
	for (unsigned i = 0; i < 20000; i++) {
		e = entry(a.o, "blocked", i % 10);
		e.created_s = i;
		assert_int_equal(overlay_journal_put(a.j, &e), 0);
		if (i % 100 == 99)
			assert_int_equal(overlay_journal_commit(a.j), 0);
		assert_true(overlay_put(a.o, &e, NOW, NULL) >= 0);
		if (i % 100 == 99)
			assert_int_equal(overlay_journal_tidy(a.j, NOW), 0);
		if (overlay_journal_size(a.j) > largest)
			largest = overlay_journal_size(a.j);
	}
	assert_true(largest < OVERLAY_JOURNAL_SMALL * 3 / 2);
	rig_open(&b, path, NOW);
	assert_true(same(a.o, b.o));
	rig_close(&b);
	rig_close(&a);
}

/* A full disk, by the limit of a file's size. */
static void a_failed_write_leaves_no_trace(void **state)
{
	struct rlimit before, small;
	struct rig a, b;
	struct overlay_entry e;

	(void)state;
	remove_files();
	rig_open(&a, path, NOW);
	e = entry(a.o, "blocked", 1);
	assert_int_equal(put(&a, &e), 0);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = overlay_journal_size(a.j) + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	e = entry(a.o, "blocked", 2);
	assert_int_equal(put(&a, &e), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(overlay_counts(a.o).entries, 1);
	rig_open(&b, path, NOW);
	assert_null(b.words);
	assert_true(same(a.o, b.o));
	rig_close(&b);
	e = entry(a.o, "blocked", 3);
	assert_int_equal(put(&a, &e), 0);
	rig_open(&b, path, NOW);
	assert_true(same(a.o, b.o));
	rig_close(&b);
	rig_close(&a);
}

static void a_batch_is_bounded_and_can_be_forgotten(void **state)
{
	struct rig a, b;
	struct overlay_entry e;
	unsigned n = 0;

	(void)state;
	remove_files();
	rig_open(&a, path, NOW);
	e = entry(a.o, "blocked", 1);
	while (overlay_journal_put(a.j, &e) == 0)
		n++;
	assert_in_range(n, OVERLAY_JOURNAL_BATCH / OVERLAY_JOURNAL_LINE, 200000);
	overlay_journal_forget(a.j);
	assert_int_equal(overlay_journal_commit(a.j), 0);
	rig_open(&b, path, NOW);
	assert_int_equal(overlay_counts(b.o).entries, 0);
	rig_close(&b);
	rig_close(&a);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	signal(SIGXFSZ, SIG_IGN);
	snprintf(path, sizeof(path), "%s/overlay.journal", dir);
	snprintf(other, sizeof(other), "%s/other.journal", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	remove_files();
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_committed_is_there_again),
		cmocka_unit_test(cut_at_each_byte_loses_nothing_acknowledged),
		cmocka_unit_test(a_damaged_line_is_skipped_and_kept),
		cmocka_unit_test(another_file_is_left_alone),
		cmocka_unit_test(written_anew_once_it_has_doubled),
		cmocka_unit_test(a_failed_write_leaves_no_trace),
		cmocka_unit_test(a_batch_is_bounded_and_can_be_forgotten),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
