/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS answers as servers write them, and as liars do. */
#include "dnsmsg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static uint8_t msg[65536];
static size_t len;

static void b(const char *bytes, size_t n)
{
	memcpy(msg + len, bytes, n);
	len += n;
}
#define B(literal) b(literal, sizeof(literal) - 1)

/* Header and question: "bl.example" of a type; the name stands at 12. */
static void begin(unsigned rcode, unsigned type, unsigned answers, unsigned authority)
{
	len = 0;
	b((const char[]){ 0, 1, (char)0x81, (char)(0x80 | rcode), 0, 1, 0, (char)answers, 0,
	      (char)authority, 0, 0 },
	    12);
	B("\2bl\7example\0\0");
	msg[len++] = (uint8_t)type;
	B("\0\1");
}

static void record(unsigned type, unsigned ttl_s, const char *data, size_t n)
{
	B("\xc0\x0c\0");
	msg[len++] = (uint8_t)type;
	B("\0\1\0\0");
	b((const char[]){ (char)(ttl_s >> 8), (char)ttl_s, (char)(n >> 8), (char)n }, 4);
	b(data, n);
}
#define RECORD(type, ttl_s, literal) record(type, ttl_s, literal, sizeof(literal) - 1)

static void addresses_and_the_least_life(void **state)
{
	struct dns_answer a;
	unsigned at = 0, n;

	(void)state;
	begin(0, DNS_A, 2, 0);
	RECORD(DNS_A, 300, "\x7f\0\0\2");
	RECORD(DNS_A, 60, "\x7f\0\0\4");
	assert_int_equal(dnsmsg_read(msg, len, "BL.example", DNS_A, &a), 0);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.ttl_s, 60);
	assert_int_equal(a.n, 2);
	assert_memory_equal(dns_next(&a, &at, &n), "\x7f\0\0\2", 4);
	assert_memory_equal(dns_next(&a, &at, &n), "\x7f\0\0\4", 4);
	assert_null(dns_next(&a, &at, &n));
}

static void behind_an_alias(void **state)
{
	struct dns_answer a;

	(void)state;
	begin(0, DNS_A, 2, 0);
	RECORD(DNS_CNAME, 30, "\1x\xc0\x0f");
	B("\1X\xc0\x0f\0\1\0\1\0\0\1\0\0\4\x7f\0\0\2");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.ttl_s, 30);
	/* a record of another name is nobody's answer */
	begin(0, DNS_A, 1, 0);
	B("\1x\xc0\x0f\0\1\0\1\0\0\1\0\0\4\x7f\0\0\2");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), 0);
	assert_int_equal(a.status, DNS_NODATA);
	/* an alias of itself */
	begin(0, DNS_A, 1, 0);
	RECORD(DNS_CNAME, 30, "\xc0\x0c");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), -EBADMSG);
}

static void negative_life_by_the_soa(void **state)
{
	struct dns_answer a;

	(void)state;
	begin(3, DNS_A, 0, 1);
	RECORD(DNS_SOA, 900, "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x3c");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), 0);
	assert_int_equal(a.status, DNS_NXDOMAIN);
	assert_int_equal(a.ttl_s, 60);
	begin(0, DNS_A, 0, 0);
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), 0);
	assert_int_equal(a.status, DNS_NODATA);
	assert_int_equal(a.ttl_s, 0);
	begin(2, DNS_A, 0, 0);
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), 0);
	assert_int_equal(a.status, DNS_FAILED);
}

static void names_and_texts(void **state)
{
	struct dns_answer a;
	unsigned at = 0, n;

	(void)state;
	begin(0, DNS_MX, 2, 0);
	RECORD(DNS_MX, 60, "\0\12\4MAIL\xc0\x0c");
	RECORD(DNS_MX, 60, "\0\0\0");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_MX, &a), 0);
	assert_memory_equal(dns_next(&a, &at, &n), "\0\12mail.bl.example", 17);
	assert_int_equal(n, 17);
	assert_non_null(dns_next(&a, &at, &n));
	assert_int_equal(n, 2);

	begin(0, DNS_TXT, 1, 0);
	RECORD(DNS_TXT, 60, "\6v=spf1\5 -all");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_TXT, &a), 0);
	at = 0;
	assert_memory_equal(dns_next(&a, &at, &n), "v=spf1 -all", 11);

	/* an odd name in a PTR is no name: it could hide a dot or an escape */
	begin(0, DNS_PTR, 2, 0);
	RECORD(DNS_PTR, 60, "\5a.b-c\0");
	RECORD(DNS_PTR, 60, "\2ok\xc0\x0f");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_PTR, &a), 0);
	assert_int_equal(a.n, 1);
	at = 0;
	assert_memory_equal(dns_next(&a, &at, &n), "ok.example", 10);
}

static void too_many_records_are_cut(void **state)
{
	struct dns_answer a;
	char text[257];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = (char)255;
	begin(0, DNS_TXT, 60, 0);
	for (unsigned i = 0; i < 60; i++)
		record(DNS_TXT, 60, text, 256);
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_TXT, &a), 0);
	assert_true(a.cut);
	assert_int_equal(a.n, DNS_DATA_MAX / 257);
}

static void what_is_no_answer_is_refused(void **state)
{
	struct dns_answer a;
	size_t whole;

	(void)state;
	begin(0, DNS_A, 1, 0);
	RECORD(DNS_A, 300, "\x7f\0\0\2");
	whole = len;
	for (len = 0; len < whole; len++)
		assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), -EBADMSG);
	assert_int_equal(dnsmsg_read(msg, whole, "other.example", DNS_A, &a), -EBADMSG);
	assert_int_equal(dnsmsg_read(msg, whole, "bl.example", DNS_AAAA, &a), -EBADMSG);
	msg[2] = 1; /* a question */
	assert_int_equal(dnsmsg_read(msg, whole, "bl.example", DNS_A, &a), -EBADMSG);
	/* a name that points to itself */
	begin(0, DNS_A, 1, 0);
	B("\xc0\x1c\0\1\0\1\0\0\1\0\0\4\x7f\0\0\2");
	assert_int_equal(dnsmsg_read(msg, len, "bl.example", DNS_A, &a), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_and_the_least_life),
		cmocka_unit_test(behind_an_alias),
		cmocka_unit_test(negative_life_by_the_soa),
		cmocka_unit_test(names_and_texts),
		cmocka_unit_test(too_many_records_are_cut),
		cmocka_unit_test(what_is_no_answer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
