/* SPDX-License-Identifier: BSD-3-Clause */
/* Country and ASN sets out of a small MaxMind DB that the test writes itself (format 2.0). */
#include "mmdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the writer: a tree of 24-bit records, the data, the metadata ---- */

enum { NODES_MAX = 2000, DATA_AT = 1 << 20 /* marks a record that is data's offset */ };

struct writer {
	uint32_t nodes[NODES_MAX][2]; /* 0: empty; below DATA_AT a node, else DATA_AT + offset */
	uint32_t n_nodes;
	uint8_t data[4096];
	size_t n_data;
	unsigned version;
};

static void put_text(struct writer *w, const char *text)
{
	size_t n = strlen(text);
	assert_true(n < 29);
	w->data[w->n_data++] = (uint8_t)(2 << 5 | n);
	memcpy(w->data + w->n_data, text, n);
	w->n_data += n;
}

static void put_map(struct writer *w, unsigned n)
{
	w->data[w->n_data++] = (uint8_t)(7 << 5 | n);
}

static void put_number(struct writer *w, uint32_t n)
{
	w->data[w->n_data++] = 6 << 5 | 4;
	for (int shift = 24; shift >= 0; shift -= 8)
		w->data[w->n_data++] = (uint8_t)(n >> shift);
}

static void put_short(struct writer *w, unsigned n)
{
	w->data[w->n_data++] = 5 << 5 | 2;
	w->data[w->n_data++] = (uint8_t)(n >> 8);
	w->data[w->n_data++] = (uint8_t)n;
}

static uint32_t country(struct writer *w, const char *code)
{
	uint32_t at = (uint32_t)w->n_data;
	put_map(w, 1);
	put_text(w, "country");
	put_map(w, 1);
	put_text(w, "iso_code");
	put_text(w, code);
	return at;
}

static uint32_t flat_country(struct writer *w, const char *code)
{
	uint32_t at = (uint32_t)w->n_data;
	put_map(w, 1);
	put_text(w, "country_code");
	put_text(w, code);
	return at;
}

static uint32_t system_number(struct writer *w, uint32_t asn)
{
	uint32_t at = (uint32_t)w->n_data;
	put_map(w, 1);
	put_text(w, "autonomous_system_number");
	put_number(w, asn);
	return at;
}

static void begin(struct writer *w, unsigned version)
{
	memset(w, 0, sizeof(*w));
	w->n_nodes = 1;
	w->version = version;
}

/* The record behind the prefix's last bit. In an IPv6 tree IPv4 hangs at ::/96. */
static uint32_t *record(struct writer *w, const char *prefix)
{
	struct inet_net net;
	uint32_t node = 0;
	assert_null(inet_parse_network(prefix, strlen(prefix), &net));
	bool v4 = inet_is_v4(net.addr);
	unsigned first = v4 && w->version == 4 ? 96 : 0, last = net.prefix_len + (v4 ? 96u : 0u);
	if (v4)
		memset(net.addr, 0, 12);
	for (unsigned bit = first;; bit++) {
		uint32_t *r = &w->nodes[node][net.addr[bit / 8] >> (7 - bit % 8) & 1];
		if (bit + 1 == last)
			return r;
		if (*r == 0)
			*r = w->n_nodes++;
		assert_true(w->n_nodes < NODES_MAX && *r < DATA_AT);
		node = *r;
	}
}

static void add(struct writer *w, const char *prefix, uint32_t data)
{
	*record(w, prefix) = DATA_AT + data;
}

static char path[64];

static void finish(struct writer *w)
{
	static const char mark[] = "\xab\xcd\xefMaxMind.com";
	struct writer meta = { .n_data = 0 };
	int fd;
	FILE *f;
	snprintf(path, sizeof(path), "/tmp/postern-mmdb-XXXXXX");
	fd = mkstemp(path);
	f = fdopen(fd, "wb");
	assert_non_null(f);
	for (uint32_t i = 0; i < w->n_nodes; i++)
		for (unsigned side = 0; side < 2; side++) {
			uint32_t r = w->nodes[i][side];
			r = r == 0 ? w->n_nodes : r < DATA_AT ? r : r - DATA_AT + w->n_nodes + 16;
			const uint8_t b[3] = { (uint8_t)(r >> 16), (uint8_t)(r >> 8), (uint8_t)r };
			fwrite(b, 1, 3, f);
		}
	fwrite((const char[16]){ 0 }, 1, 16, f);
	fwrite(w->data, 1, w->n_data, f);
	fwrite(mark, 1, sizeof(mark) - 1, f);
	put_map(&meta, 9);
	put_text(&meta, "binary_format_major_version");
	put_short(&meta, 2);
	put_text(&meta, "binary_format_minor_version");
	put_short(&meta, 0);
	put_text(&meta, "build_epoch");
	meta.data[meta.n_data++] = 1; /* a 64-bit number of one byte: type 9 */
	meta.data[meta.n_data++] = 9 - 7;
	meta.data[meta.n_data++] = 1;
	put_text(&meta, "database_type");
	put_text(&meta, "Test");
	put_text(&meta, "ip_version");
	put_short(&meta, w->version);
	put_text(&meta, "node_count");
	put_number(&meta, w->n_nodes);
	put_text(&meta, "record_size");
	put_short(&meta, 24);
	put_text(&meta, "languages");
	meta.data[meta.n_data++] = 0; /* an array of none: type 11 in a byte of its own */
	meta.data[meta.n_data++] = 11 - 7;
	put_text(&meta, "description");
	put_map(&meta, 0);
	fwrite(meta.data, 1, meta.n_data, f);
	assert_int_equal(fclose(f), 0);
}

/* ---- reading ---- */

static int seen(void *arg, const struct inet_range *range)
{
	char *text = arg, first[INET_TEXT_MAX], last[INET_TEXT_MAX];
	inet_print(range->first, first);
	inet_print(range->last, last);
	snprintf(text + strlen(text), 160, "%s-%s\n", first, last);
	return 0;
}

static int read_file(const struct mmdb_wanted *wanted, char *text, char why[256])
{
	*text = *why = '\0';
	int ret = mmdb_read(path, wanted, seen, text, why);
	return ret;
}

static const char *const de[] = { "DE" }, *const de_fr[] = { "DE", "FR" };

static void countries_of_both_families(void **state)
{
	struct writer w;
	char text[2048], why[256];
	(void)state;
	begin(&w, 6);
	uint32_t d = country(&w, "DE"), f = country(&w, "FR"), x = flat_country(&w, "DE");
	add(&w, "192.0.2.0/24", d);
	add(&w, "198.51.100.0/25", f);
	add(&w, "198.51.100.128/25", d);
	add(&w, "203.0.113.7/32", x);
	add(&w, "2001:db8::/33", d);
	add(&w, "2001:db8:8000::/33", f);
	finish(&w);
	assert_int_equal(read_file(&(struct mmdb_wanted){ de, 1, NULL, 0 }, text, why), 0);
	assert_string_equal(text, "192.0.2.0-192.0.2.255\n198.51.100.128-198.51.100.255\n"
				  "203.0.113.7-203.0.113.7\n"
				  "2001:db8::-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff\n");
	assert_int_equal(read_file(&(struct mmdb_wanted){ de_fr, 2, NULL, 0 }, text, why), 0);
	assert_non_null(strstr(text, "198.51.100.0-198.51.100.127\n"));
	unlink(path);
}

static void ways_into_the_ipv4_tree_are_not_walked_twice(void **state)
{
	struct writer w;
	char text[2048], why[256];
	uint32_t node = 0;
	(void)state;
	begin(&w, 6);
	add(&w, "192.0.2.0/24", country(&w, "DE"));
	for (unsigned i = 0; i < 96; i++)
		node = w.nodes[node][0];
	*record(&w, "2002::/16") = node; /* 6to4, as MaxMind's own files have it */
	*record(&w, "2001::/32") = node;
	finish(&w);
	assert_int_equal(read_file(&(struct mmdb_wanted){ de, 1, NULL, 0 }, text, why), 0);
	assert_string_equal(text, "192.0.2.0-192.0.2.255\n");
	unlink(path);
}

static void systems_of_an_ipv4_file(void **state)
{
	static const uint32_t asns[] = { 64500, 4200000000u };
	struct writer w;
	char text[2048], why[256];
	(void)state;
	begin(&w, 4);
	add(&w, "192.0.2.0/24", system_number(&w, 64500));
	add(&w, "198.51.100.0/24", system_number(&w, 64501));
	add(&w, "203.0.113.0/24", system_number(&w, 4200000000u));
	finish(&w);
	assert_int_equal(read_file(&(struct mmdb_wanted){ NULL, 0, asns, 2 }, text, why), 0);
	assert_string_equal(text, "192.0.2.0-192.0.2.255\n203.0.113.0-203.0.113.255\n");
	/* a file of systems knows no countries */
	assert_int_equal(read_file(&(struct mmdb_wanted){ de, 1, NULL, 0 }, text, why), -EBADMSG);
	assert_non_null(strstr(why, "has no field country.iso_code"));
	unlink(path);
}

static void files_that_are_none(void **state)
{
	char text[64], why[256];
	(void)state;
	snprintf(path, sizeof(path), "/nonexistent/x.mmdb");
	assert_int_equal(read_file(&(struct mmdb_wanted){ de, 1, NULL, 0 }, text, why), -ENOENT);
	snprintf(path, sizeof(path), "/tmp/postern-mmdb-XXXXXX");
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "192.0.2.1\n", 10), 10);
	close(fd);
	assert_int_equal(read_file(&(struct mmdb_wanted){ de, 1, NULL, 0 }, text, why), -EBADMSG);
	assert_non_null(strstr(why, "is no sound MaxMind DB"));
	unlink(path);
}

/* Whatever byte is wrong: an error or another answer, never a read outside. */
static void damaged_files_end(void **state)
{
	struct writer w;
	char text[65536], why[256], bytes[8192];
	(void)state;
	begin(&w, 4);
	add(&w, "192.0.2.0/28", country(&w, "DE"));
	finish(&w);
	FILE *f = fopen(path, "rb");
	size_t n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		f = fopen(path, "wb");
		bytes[i] ^= 0x55;
		fwrite(bytes, 1, n, f);
		fclose(f);
		bytes[i] ^= 0x55;
		int ret = read_file(&(struct mmdb_wanted){ de, 1, NULL, 0 }, text, why);
		assert_true(ret == 0 || ret == -EBADMSG);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(countries_of_both_families),
		cmocka_unit_test(ways_into_the_ipv4_tree_are_not_walked_twice),
		cmocka_unit_test(systems_of_an_ipv4_file),
		cmocka_unit_test(files_that_are_none),
		cmocka_unit_test(damaged_files_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
