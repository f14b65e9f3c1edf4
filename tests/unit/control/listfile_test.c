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
	enum listfile_form form;
	const char *set;
};

static int entry(void *arg, const struct listfile_item *item)
{
	const struct inet_range *range = &item->range;
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
	int ret = listfile_read(
	    &(struct listfile_source){ path, seen->form, seen->set }, entry, seen, &complaints);
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
	assert_int_equal(
	    listfile_read(&(struct listfile_source){ "/nonexistent/x", LISTFILE_AUTO, NULL }, entry,
		&seen, &complaints),
	    -ENOENT);
	assert_int_equal(listfile_read(&(struct listfile_source){ "/", LISTFILE_AUTO, NULL }, entry,
			     &seen, &complaints),
	    -EINVAL);
	assert_int_equal(complaints.total, 0);
	assert_int_equal(read_text("192.0.2.1\n192.0.2.2\n", 20, &seen, &wrong), -ENOMEM);
	assert_int_equal(seen.n, 1);
	free(wrong);
}

/* ---- other forms ---- */

static void expect(const char *text, enum listfile_form form, const char *set, const char *entries,
    const char *complaints)
{
	struct seen seen = { .form = form, .set = set };
	char *wrong;
	assert_int_equal(read_text(text, strlen(text), &seen, &wrong), 0);
	assert_string_equal(seen.text, entries);
	if (complaints == NULL)
		assert_string_equal(wrong, "");
	else if (strstr(wrong, complaints) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", complaints, wrong);
	free(wrong);
}

static void ipset_files(void **state)
{
	(void)state;
	expect("create bad hash:net family inet hashsize 1024 maxelem 65536 timeout 0 comment\n"
	       "add bad 192.0.2.0/24 timeout 300 comment \"two words\"\n"
	       "add bad 198.51.100.7\n-exist add bad 203.0.113.1-203.0.113.9 packets 4 bytes 99\n"
	       "add -exist bad 2001:db8::/32\n# end\nCOMMIT\n",
	    LISTFILE_AUTO, NULL,
	    "192.0.2.0-192.0.2.255\n198.51.100.7-198.51.100.7\n203.0.113.1-203.0.113.9\n"
	    "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\n",
	    NULL);
	/* one of several sets */
	expect("add a 192.0.2.1\nadd b 192.0.2.2\n", LISTFILE_AUTO, "b", "192.0.2.2-192.0.2.2\n",
	    NULL);
	expect("add a 192.0.2.1\nadd b 192.0.2.2\n", LISTFILE_IPSET, NULL, "192.0.2.1-192.0.2.1\n",
	    "x.list:2:5: \"b\" is a second set in one file: `set` says which is meant");
	/* exceptions */
	expect("add a 192.0.2.0/24\nadd a 192.0.2.128/25 nomatch\n", LISTFILE_AUTO, NULL,
	    "192.0.2.0-192.0.2.127\n", NULL);
}

static void odd_ipset_files(void **state)
{
	(void)state;
	expect("add a 192.0.2.1,tcp:25\n", LISTFILE_AUTO, NULL, "",
	    "is of a set with more than an address or network");
	expect(
	    "add a 192.0.2.1 timeout soon\n", LISTFILE_AUTO, NULL, "", "timeout that is no number");
	expect("add a 192.0.2.1 timeout 99999999999\n", LISTFILE_AUTO, NULL, "",
	    "timeout that is no number");
	expect("add a\n", LISTFILE_AUTO, NULL, "", "x.list:1:1: \"add a\" has no entry");
	expect("add\n", LISTFILE_IPSET, NULL, "", "names no set");
	expect("add a 192.0.2.1 sometimes\n", LISTFILE_AUTO, NULL, "",
	    "\"sometimes\" is no word of an entry");
	expect("add a 192.0.2.1/24\n", LISTFILE_AUTO, NULL, "", "has host bits set");
	expect("add a 192.0.2.1 comment \"unended\n", LISTFILE_AUTO, NULL, "192.0.2.1-192.0.2.1\n",
	    NULL);
	expect("del a 192.0.2.1\n", LISTFILE_IPSET, NULL, "", "is no command that adds to a set");
	expect("192.0.2.1\n", LISTFILE_IPSET, NULL, "", "is no command that adds to a set");
}

static void rbldnsd_files(void **state)
{
	(void)state;
	expect(
	    "$SOA 3600 ns.example hostmaster.example 0 3600 900 604800 3600\n$TTL 2100\n"
	    ":127.0.0.2:Listed, see https://example.org/?$\n; old\n# also\n"
	    "127.0.0.2\n10.2\n192.0.2.8-11\n198.51.100/25 :3:dial-up\n203.0.113.7 a text # here\n"
	    "172.16-172.19\n203.0.113.200:127.0.0.9:near\n10.9.8.\n",
	    LISTFILE_AUTO, NULL,
	    "127.0.0.2-127.0.0.2\n10.2.0.0-10.2.255.255\n192.0.2.8-192.0.2.11\n"
	    "198.51.100.0-198.51.100.127\n203.0.113.7-203.0.113.7\n172.16.0.0-172.19.255.255\n"
	    "203.0.113.200-203.0.113.200\n10.9.8.0-10.9.8.255\n",
	    NULL);
	expect("$TTL 1\n2001:db8:1\n2001:db8::/48 x\n2001:db8:2::7\n2001:db9:/20\n", LISTFILE_AUTO,
	    NULL,
	    "2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff\n"
	    "2001:db8::-2001:db8:0:ffff:ffff:ffff:ffff:ffff\n2001:db8:2::7-2001:db8:2::7\n",
	    "x.list:5:1: \"2001:db9:/20\" has host bits set");
	/* a combined file: names are no addresses */
	expect("$DATASET dnset:names @\nexample.org\n$DATASET ip4trie:ips @\n192.0.2.1\n"
	       "$DATASET ip6trie @\nf00f\n",
	    LISTFILE_AUTO, NULL, "192.0.2.1-192.0.2.1\n", "\"f00f\" is not an address");
	expect("192.0.2.1 guessed by its text\n10.2\n", LISTFILE_AUTO, NULL,
	    "192.0.2.1-192.0.2.1\n10.2.0.0-10.2.255.255\n", NULL);
}

static void exceptions_are_holes(void **state)
{
	(void)state;
	expect("!10.1.2.3\n10\n!10.1/16\n10.1.2\n", LISTFILE_AUTO,
	    NULL, "10.0.0.0-10.0.255.255\n10.1.2.0-10.1.2.2\n10.1.2.4-10.1.2.255\n10.2.0.0-10.255.255.255\n",
	    NULL);
	expect("192.0.2\n!192.0.2\n", LISTFILE_RBLDNSD, NULL, "", NULL); /* equal: the exception */
	expect("192.0.2\n!192.0.2.0-255\n192.0.3\n", LISTFILE_RBLDNSD, NULL,
	    "192.0.3.0-192.0.3.255\n", NULL);
	expect("0/0\n!255.255.255.255\n!0.0.0.0\n", LISTFILE_RBLDNSD, NULL,
	    "0.0.0.1-255.255.255.254\n", NULL);
	expect("$DATASET ip6trie @\n0::/0\n!0::/1\n", LISTFILE_RBLDNSD, NULL,
	    "8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n", NULL);
	expect("! 192.0.2.1\n192.0.2.0/31\n192.0.2.5-9\n!192.0.2.6-7\n", LISTFILE_RBLDNSD, NULL,
	    "192.0.2.0-192.0.2.0\n192.0.2.5-192.0.2.5\n192.0.2.8-192.0.2.9\n", NULL);
}

/* Against every address of a small network, by the rule in words: the most specific entry counts. */
static void exceptions_agree_with_a_plain_model(void **state)
{
	unsigned x = 12345;
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		char text[2048] = "!9.9.9.9\n", *end = text + strlen(text), *wrong;
		int deepest[256];
		bool listed[256] = { false };
		struct seen seen = { .form = LISTFILE_RBLDNSD };
		memset(deepest, -1, sizeof(deepest));
		for (unsigned i = 0; i < 12; i++) {
			x = x * 1664525u + 1013904223u;
			int len = 24 + (int)(x >> 28) % 9;
			unsigned at = (x >> 8 & 255) & (unsigned)(0xff00 >> (len - 24));
			bool except = x >> 20 & 1;
			end += snprintf(end, (size_t)(text + sizeof(text) - end),
			    "%s192.0.2.%u/%d\n", except ? "!" : "", at, len);
			for (unsigned a = at; a < at + (256u >> (len - 24)); a++)
				if (len > deepest[a] || (len == deepest[a] && except)) {
					deepest[a] = len;
					listed[a] = !except;
				}
		}
		assert_int_equal(read_text(text, strlen(text), &seen, &wrong), 0);
		assert_string_equal(wrong, "");
		free(wrong);
		for (const char *line = seen.text; *line != '\0'; line = strchr(line, '\n') + 1) {
			unsigned first, last;
			assert_int_equal(sscanf(line, "192.0.2.%u-192.0.2.%u", &first, &last), 2);
			for (; first <= last; first++) {
				assert_true(listed[first]);
				listed[first] = false; /* none twice */
			}
		}
		for (unsigned a = 0; a < 256; a++)
			assert_false(listed[a]);
	}
}

static void odd_rbldnsd_files(void **state)
{
	static const struct {
		const char *text, *wrong;
	} rows[] = {
		{ "256.1\n", "is no IPv4 address" },
		{ "1.2.3.4.5\n", "is no IPv4 address" },
		{ "1..2\n", "is no IPv4 address" },
		{ "!\n", "has no address" },
		{ "10.2-10.2.3\n", "is a range of two kinds of ends" },
		{ "10.9-10.2\n", "is a range that ends before it begins" },
		{ "10.2.3.1/24\n", "has host bits set" },
		{ "10/33\n", "prefix length other than 0 to 32" },
		{ "example.org\n", "is no IPv4 address" },
		{ "2001:db8::zz\n", "is not an IPv6 address" },
		{ "1:2:3:4:5:6:7:8:9\n", "is not an IPv6 address" },
		{ "-\n", "is no IPv4 address" },
		{ "10.1/\n", "prefix length" },
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].text, LISTFILE_RBLDNSD, NULL, "", rows[i].wrong);
	/* what the guess was is said where it may be wrong */
	expect("10.2\n", LISTFILE_AUTO, NULL, "", "a file of ipset or rbldnsd wants `format`");
}

static int see_more(void *arg, const struct listfile_item *item)
{
	char *text = arg;
	snprintf(text + strlen(text), 100, "%u %s;", item->timeout_s, item->comment);
	return 0;
}

static void ends_and_comments_come_along(void **state)
{
	char path[] = "/tmp/postern-listfile-XXXXXX", text[256] = "";
	static const char file[] =
	    "add a 192.0.2.0/24 timeout 600 comment \"ticket 7\"\nadd a 10.0.0.0/8\n"
	    "add a 192.0.2.9 nomatch\n";
	struct complaints complaints;
	(void)state;
	int fd = mkstemp(path);
	assert_int_equal(write(fd, file, sizeof(file) - 1), sizeof(file) - 1);
	close(fd);
	complaints_init(&complaints);
	assert_int_equal(listfile_read(&(struct listfile_source){ path, LISTFILE_AUTO, NULL },
			     see_more, text, &complaints),
	    0);
	assert_string_equal(text, "0 ;600 ticket 7;600 ticket 7;");
	complaints_fini(&complaints);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_form),
		cmocka_unit_test(names_line_and_column_and_reads_on),
		cmocka_unit_test(long_lines_and_many_mistakes_are_bounded),
		cmocka_unit_test(longest_line_is_read_and_pieces_meet),
		cmocka_unit_test(a_missing_file_and_a_stop_are_told),
		cmocka_unit_test(ipset_files),
		cmocka_unit_test(odd_ipset_files),
		cmocka_unit_test(rbldnsd_files),
		cmocka_unit_test(exceptions_are_holes),
		cmocka_unit_test(exceptions_agree_with_a_plain_model),
		cmocka_unit_test(odd_rbldnsd_files),
		cmocka_unit_test(ends_and_comments_come_along),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
