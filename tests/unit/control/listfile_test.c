/* SPDX-License-Identifier: BSD-3-Clause */
#include "listfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct seen {
	char text[2048];
	size_t len;
	unsigned long n;
	bool quiet;
	int stop_with;
};

static int entry(void *arg, const struct inet_range *range)
{
	struct seen *seen = arg;
	char first[INET_TEXT_MAX], last[INET_TEXT_MAX];
	seen->n++;
	if (seen->quiet)
		return seen->stop_with;
	inet_print(range->first, first);
	inet_print(range->last, last);
	seen->len += (size_t)snprintf(
	    seen->text + seen->len, sizeof(seen->text) - seen->len, "%s-%s\n", first, last);
	return seen->stop_with;
}

/* Reads `text` as the file x.list of a folder made for it; complaints name it by its full path,
 * which is cut off again. */
static int read_text(const char *text, size_t len, struct seen *seen, char **ret_complaints)
{
	char folder[] = "/tmp/postern-listfile-XXXXXX", path[64];
	struct complaints complaints;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/x.list", folder);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	complaints_init(&complaints);
	int ret = listfile_read(path, entry, seen, &complaints);
	for (unsigned i = 0; i < complaints.n; i++) {
		assert_string_equal(complaints.items[i].file, path);
		free(complaints.items[i].file);
		complaints.items[i].file = strdup("x.list");
	}
	*ret_complaints = complaints_text(&complaints);
	complaints_fini(&complaints);
	unlink(path);
	rmdir(folder);
	return ret;
}

static void reads_every_form(void **state)
{
	static const char text[] = "# a list\n\n192.0.2.1\n  192.0.2.0/25   # with a word\r\n"
				   "192.0.2.7-192.0.2.9\n\t2001:db8::/32\n203.0.113.1";
	struct seen seen = { 0 };
	char *wrong;
	(void)state;
	assert_int_equal(read_text(text, sizeof(text) - 1, &seen, &wrong), 0);
	assert_string_equal(wrong, "");
	assert_string_equal(seen.text,
	    "192.0.2.1-192.0.2.1\n192.0.2.0-192.0.2.127\n192.0.2.7-192.0.2.9\n"
	    "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\n203.0.113.1-203.0.113.1\n");
	free(wrong);
}

static void names_line_and_column_and_reads_on(void **state)
{
	static const char text[] = "192.0.2.1\n192.0.2.1/24\n  nonsense\n192.0.2.5\n1\0\n";
	struct seen seen = { 0 };
	char *wrong;
	(void)state;
	assert_int_equal(read_text(text, sizeof(text) - 1, &seen, &wrong), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(wrong,
	    "x.list:2:1: \"192.0.2.1/24\" has host bits set (bits right of the prefix length); "
	    "allowed: an "
	    "address, a prefix without host bits, or a range first-last\n"
	    "x.list:3:3: \"nonsense\" is not an address (four numbers 0-255 with dots and no "
	    "leading zeros, "
	    "or IPv6); allowed: an address, a prefix without host bits, or a range first-last\n"
	    "x.list:5:1: \"1?\" is not an address; allowed: an address, a prefix without host "
	    "bits, or a "
	    "range first-last\n");
	free(wrong);
}

static void long_lines_and_many_mistakes_are_bounded(void **state)
{
	size_t len = 600000 + 3 * 40 + 10;
	char *text = malloc(len + 1), *wrong;
	struct seen seen = { .quiet = true };
	(void)state;
	memset(text, 'x', 600000); /* longer than a piece, too */
	size_t at = 600000;
	text[at++] = '\n';
	for (unsigned i = 0; i < 40; i++) {
		memcpy(text + at, "??\n", 3);
		at += 3;
	}
	memcpy(text + at, "192.0.2.1", 9);
	at += 9;
	assert_int_equal(read_text(text, at, &seen, &wrong), 0);
	assert_int_equal(seen.n, 1);
	assert_memory_equal(wrong, "x.list:1:1: \"xxxx", 17);
	assert_non_null(strstr(wrong, "is a line of more than 1024 characters"));
	assert_non_null(strstr(wrong, "x.list:20:1: "));
	assert_null(strstr(wrong, "x.list:21:1: "));
	assert_non_null(strstr(wrong, "21 more mistakes are not shown"));
	free(wrong);
	free(text);
}

static void longest_line_is_read_and_pieces_meet(void **state)
{
	/* 40,000 lines of 16 bytes: lines lie across the border of two pieces */
	size_t n = 40000;
	char *text = malloc(n * 16 + 2000), *wrong;
	struct seen seen = { .quiet = true };
	size_t at = 0;
	(void)state;
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, 17, "198.51.%03u.%03u \n",
		    100 + (unsigned)(i / 100 % 100), 100 + (unsigned)(i % 100));
	memset(text + at, ' ', LISTFILE_LINE_MAX);
	memcpy(text + at, "192.0.2.1", 9);
	at += LISTFILE_LINE_MAX;
	text[at++] = '\n';
	assert_int_equal(read_text(text, at, &seen, &wrong), 0);
	assert_string_equal(wrong, "");
	assert_int_equal(seen.n, n + 1);
	free(wrong);
	free(text);
}

static void a_missing_file_and_a_stop_are_told(void **state)
{
	struct complaints complaints;
	struct seen seen = { .quiet = true, .stop_with = -ENOMEM };
	char *wrong;
	(void)state;
	complaints_init(&complaints);
	assert_int_equal(listfile_read("/nonexistent/x", entry, &seen, &complaints), -ENOENT);
	assert_int_equal(listfile_read("/", entry, &seen, &complaints), -EINVAL);
	assert_int_equal(complaints.total, 0);
	assert_int_equal(read_text("192.0.2.1\n192.0.2.2\n", 20, &seen, &wrong), -ENOMEM);
	assert_int_equal(seen.n, 1);
	free(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_form),
		cmocka_unit_test(names_line_and_column_and_reads_on),
		cmocka_unit_test(long_lines_and_many_mistakes_are_bounded),
		cmocka_unit_test(longest_line_is_read_and_pieces_meet),
		cmocka_unit_test(a_missing_file_and_a_stop_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
