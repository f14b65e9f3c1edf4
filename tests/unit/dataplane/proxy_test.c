/* SPDX-License-Identifier: BSD-3-Clause */
/* PROXY v2 headers and XCLIENT lines, byte for byte. */
#include "proxy.h"
#include "smtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t v4_client[16] = { [10] = 0xff, 0xff, 192, 0, 2, 7 };
static const uint8_t v4_server[16] = { [10] = 0xff, 0xff, 192, 0, 2, 25 };
static const uint8_t v6_client[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 };

static struct proxy_client client_of(const uint8_t client[16], const uint8_t server[16])
{
	struct proxy_client c = {
		.client_port = 40000,
		.server_port = 25,
		.esmtp = true,
		.helo = "a+b.example",
		.helo_len = 11,
	};

	memcpy(c.client, client, 16);
	memcpy(c.server, server, 16);
	return c;
}

static void tcp4_header(void **state)
{
	static const uint8_t want[] = { 0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49,
		0x54, 0x0a, 0x21, 0x11, 0, 12, 192, 0, 2, 7, 192, 0, 2, 25, 0x9c, 0x40, 0, 25 };
	struct proxy_client c = client_of(v4_client, v4_server);
	uint8_t buf[PROXY_V2_MAX];

	(void)state;
	assert_int_equal(proxy_v2(buf, &c), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

static void tlvs_carry_token_and_verdict(void **state)
{
	struct proxy_client c = client_of(v4_client, v4_server);
	uint8_t buf[PROXY_V2_MAX];
	size_t n;

	(void)state;
	c.token = "ABC";
	c.verdict = "mark LISTED";
	n = proxy_v2(buf, &c);
	assert_int_equal(n, 28 + 6 + 14);
	assert_int_equal(buf[14] << 8 | buf[15], n - 16);
	assert_memory_equal(buf + 28,
	    "\xe0\x00\x03"
	    "ABC\xe1\x00\x0bmark LISTED",
	    20);
}

static void a_family_that_differs_makes_tcp6(void **state)
{
	struct proxy_client c = client_of(v6_client, v4_server);
	uint8_t buf[PROXY_V2_MAX];

	(void)state;
	assert_int_equal(proxy_v2(buf, &c), 16 + 36);
	assert_int_equal(buf[13], 0x21);
	assert_memory_equal(buf + 16, v6_client, 16);
	assert_memory_equal(buf + 32, v4_server, 16);
}

static void local_header(void **state)
{
	uint8_t buf[PROXY_V2_MAX];

	(void)state;
	assert_int_equal(proxy_v2_local(buf), 16);
	assert_memory_equal(buf + 12, "\x20\x00\x00\x00", 4);
}

static void long_tlv_texts_stay_in_the_buffer(void **state)
{
	struct proxy_client c = client_of(v6_client, v6_client);
	uint8_t buf[PROXY_V2_MAX];
	char big[300];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	c.token = c.verdict = big;
	assert_int_equal(proxy_v2(buf, &c), 16 + 36 + 2 * 63);
}

static void xclient_names_what_is_offered(void **state)
{
	struct proxy_client c = client_of(v4_client, v4_server);
	char buf[XCLIENT_MAX + 1];
	size_t n;

	(void)state;
	n = proxy_xclient(
	    buf, XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_PROTO | XCLIENT_HELO, &c);
	buf[n] = 0;
	assert_string_equal(buf, "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=40000 PROTO=ESMTP"
				 " HELO=a+2Bb.example\r\n");
	n = proxy_xclient(buf, XCLIENT_ADDR | XCLIENT_DESTADDR | XCLIENT_DESTPORT, &c);
	buf[n] = 0;
	assert_string_equal(buf, "XCLIENT ADDR=192.0.2.7 DESTADDR=192.0.2.25 DESTPORT=25\r\n");
	c = client_of(v6_client, v4_server);
	n = proxy_xclient(buf, XCLIENT_ADDR, &c);
	buf[n] = 0;
	assert_string_equal(buf, "XCLIENT ADDR=IPV6:2001:db8::7\r\n");
}

static void a_helo_too_long_for_the_line_is_left_out(void **state)
{
	struct proxy_client c = client_of(v4_client, v4_server);
	char buf[XCLIENT_MAX + 1], helo[255];
	size_t n;

	(void)state;
	memset(helo, '+', sizeof(helo));
	c.helo = helo;
	c.helo_len = sizeof(helo);
	n = proxy_xclient(buf, XCLIENT_ADDR | XCLIENT_HELO, &c);
	buf[n] = 0;
	assert_string_equal(buf, "XCLIENT ADDR=192.0.2.7\r\n");
	memset(helo, 'a', sizeof(helo));
	n = proxy_xclient(buf, UINT32_MAX, &c);
	assert_true(n <= XCLIENT_MAX);
	assert_memory_equal(buf + n - 5, "aaa\r\n", 5);
}

static void a_helo_cannot_inject(void **state)
{
	struct proxy_client c = client_of(v4_client, v4_server);
	char buf[XCLIENT_MAX + 1];
	size_t n;

	(void)state;
	c.helo = "x\r\nQUIT A=B";
	c.helo_len = 11;
	n = proxy_xclient(buf, XCLIENT_HELO, &c);
	buf[n] = 0;
	assert_string_equal(buf, "XCLIENT HELO=x+0D+0AQUIT+20A+3DB\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp4_header),
		cmocka_unit_test(tlvs_carry_token_and_verdict),
		cmocka_unit_test(a_family_that_differs_makes_tcp6),
		cmocka_unit_test(local_header),
		cmocka_unit_test(long_tlv_texts_stay_in_the_buffer),
		cmocka_unit_test(xclient_names_what_is_offered),
		cmocka_unit_test(a_helo_too_long_for_the_line_is_left_out),
		cmocka_unit_test(a_helo_cannot_inject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
