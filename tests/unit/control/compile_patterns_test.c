/* SPDX-License-Identifier: BSD-3-Clause */
/* The compiler of patterns: what is refused and why, and the cache of databases. */
#include "compile_patterns.h"

#include "compile.h"
#include "patterns_cache.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];
static struct complaints complaints;
static unsigned progressed;

static void progress(void *arg, unsigned done, unsigned total, const char *what)
{
	(void)arg;
	progressed++;
	assert_int_equal(done, progressed);
	assert_true(done <= total && *what);
}

static size_t compile(const char *text, enum patterns_platform platform, void **ret_part,
    struct patterns_report *report)
{
	struct patterns_options options = { dir, platform, progress, NULL };
	struct patterns p;
	size_t len = 0;

	complaints_fini(&complaints);
	patterns_init(&p);
	assert_int_equal(patterns_parse(&p, "t", NULL, text, strlen(text), &complaints), 0);
	assert_true(patterns_finish(&p, &complaints));
	progressed = 0;
	assert_int_equal(patterns_compile(&p, &options, &complaints, ret_part, &len, report), 0);
	patterns_fini(&p);
	return len;
}

static const char text[] = "body:/a+b/ name=A\nheader:X:/c/ name=C\nbody:\"(d\" name=D\n";

static void test_cache(void **state)
{
	struct patterns_report r;
	void *first, *second;
	size_t len, again;

	(void)state;
	len = compile(text, PATTERNS_NATIVE, &first, &r);
	assert_int_equal(r.compiled, 3);
	assert_int_equal(r.databases, 2);
	assert_int_equal(r.from_cache, 0);
	assert_int_equal(r.bytes, len);
	assert_true(r.stream_bytes > 0);
	assert_int_equal(progressed, 2);
	again = compile(text, PATTERNS_NATIVE, &second, &r);
	assert_int_equal(r.from_cache, 2);
	assert_int_equal(len, again);
	assert_memory_equal(first, second, len); /* the same input, the same bytes */
	free(second);
	/* another expression in another zone in front: the others are not compiled again */
	compile("helo:/h/ name=H\nbody:/a+b/ name=A\nheader:X:/c/ name=C\nbody:\"(d\" name=D\n",
	    PATTERNS_NATIVE, &second, &r);
	assert_int_equal(r.from_cache, 2);
	assert_int_equal(r.databases, 3);
	free(second);
	/* for another CPU everything is */
	compile(text, PATTERNS_SSE, &second, &r);
	assert_int_equal(r.from_cache, 0);
	free(second);
	free(first);
}

/* A file cut short, or with a byte changed, is a miss. */
static void test_damaged(void **state)
{
	struct patterns_report r;
	DIR *d = opendir(dir);
	struct dirent *e;
	void *part;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[512];
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		f = fopen(path, "r+");
		assert_non_null(f);
		fseek(f, 100, SEEK_SET);
		fputc('x', f);
		fputc('y', f);
		fclose(f);
	}
	closedir(d);
	compile(text, PATTERNS_NATIVE, &part, &r);
	assert_int_equal(r.from_cache, 0);
	free(part);
}

static void test_trim(void **state)
{
	uint8_t key[IMAGE_HASH_LEN] = { 0 };
	char *bytes = NULL;
	size_t len;

	(void)state;
	for (unsigned i = 0; i < PATTERNS_CACHE_FILES + 20; i++) {
		key[0] = (uint8_t)i;
		key[1] = (uint8_t)(i >> 8);
		patterns_cache_put(dir, key, "x", 1);
	}
	patterns_cache_trim(dir);
	assert_int_equal(patterns_cache_get(dir, key, &bytes, &len), 0);
	assert_int_equal(len, 1);
	free(bytes);
	unsigned n = 0;
	for (unsigned i = 0; i < PATTERNS_CACHE_FILES + 20; i++) {
		key[0] = (uint8_t)i;
		key[1] = (uint8_t)(i >> 8);
		if (patterns_cache_get(dir, key, &bytes, &len) == 0) {
			free(bytes);
			n++;
		}
	}
	assert_in_range(n, PATTERNS_CACHE_FILES - 20, PATTERNS_CACHE_FILES);
	assert_int_equal(patterns_cache_get("/nonexistent", key, &bytes, &len), -ENOENT);
}

static void test_refused(void **state)
{
	struct patterns_report r;
	void *part;

	(void)state;
	compile("body:/good/ name=A\n\nbody:/(?<!a)b/ name=B\nsubject:/x(?=y)/ name=B\n"
		"body:/(a)\\1/ name=D confirm\nbody:/[/ name=E confirm\n",
	    PATTERNS_NATIVE, &part, &r);
	assert_int_equal(r.compiled, 1);
	assert_int_equal(r.confirm, 1);
	assert_int_equal(r.refused, 3);
	assert_int_equal(complaints.n, 3);
	assert_string_equal(complaints.items[0].file, "t");
	assert_int_equal(complaints.items[0].pos.line, 3);
	assert_non_null(strstr(complaints.items[0].text, "pattern B: Hyperscan: "));
	assert_non_null(strstr(complaints.items[0].text, "confirm may help"));
	assert_int_equal(complaints.items[2].pos.line, 6);
	assert_null(strstr(complaints.items[2].text, "confirm may help"));
	free(part);
}

static void test_try(void **state)
{
	struct patterns_expression e = { .zone = PATTERN_BODY, .source = "(?<!a)b", .len = 7 };
	char why[200] = "";

	(void)state;
	assert_int_equal(patterns_try(&e, why, sizeof(why)), -EINVAL);
	assert_true(why[0]);
	e.flags = PATTERN_CONFIRM;
	assert_int_equal(patterns_try(&e, why, sizeof(why)), 0);
	e = (struct patterns_expression){ .flags = PATTERN_LITERAL, .source = "[(*", .len = 3 };
	assert_int_equal(patterns_try(&e, why, sizeof(why)), 0);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/postern-cache-XXXXXX");
	complaints_init(&complaints);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	(void)state;
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	complaints_fini(&complaints);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_try),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
