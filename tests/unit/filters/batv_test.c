/* SPDX-License-Identifier: BSD-3-Clause */
/* Tags of bounce addresses: told from other addresses, checked by key and day. */
#include "batv.h"
#include "sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { DAY = 86400, TODAY = 20454 /* days since 1970 */, NOW = TODAY * DAY };

static struct text text(const char *s)
{
	return (struct text){ s, (uint16_t)strlen(s) };
}

static struct policy_batv_key key(unsigned number, const char *secret)
{
	struct policy_batv_key k = { .number = (uint8_t)number, .len = (uint8_t)strlen(secret) };

	memcpy(k.secret, secret, k.len);
	return k;
}

/* RFC 2202 3 */
static void test_hmac(void **state)
{
	static const char *const want[] = { "b617318655057264e28bc0b6fb378c8ef146be00",
		"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" };
	uint8_t mac[SHA1_BYTES], first[20];
	char hex[2 * SHA1_BYTES + 1];

	(void)state;
	memset(first, 0x0b, sizeof(first));
	for (unsigned i = 0; i < 2; i++) {
		if (i == 0)
			hmac_sha1(first, 20, "Hi There", 8, mac);
		else
			hmac_sha1("Jefe", 4, "what do ya want for nothing?", 28, mac);
		for (unsigned j = 0; j < SHA1_BYTES; j++)
			snprintf(hex + 2 * j, 3, "%02x", mac[j]);
		assert_string_equal(hex, want[i]);
	}
}

static void test_bare(void **state)
{
	static const char *const same[] = { "user@example.org", "prvs=user@example.org",
		"prvs=0123abcdez=user@example.org", "prvs=a123abcdef=user@example.org",
		"prvs=0123abcdef=@example.org", "prvs=0123abcdef=" };
	struct text bare;

	(void)state;
	for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_int_equal(batv_bare(text(same[i])).len, strlen(same[i]));
	bare = batv_bare(text("PRVS=0123ABCDEF=User@example.org"));
	assert_int_equal(bare.len, 16);
	assert_memory_equal(bare.p, "User@example.org", 16);
	bare = batv_bare((struct text){ NULL, 0 });
	assert_int_equal(bare.len, 0);
}

static enum batv_result check(const struct policy_batv_key *keys, unsigned n,
    const struct policy_batv_key *by, unsigned day, const char *address)
{
	char tag[11], path[64];

	batv_tag(by, day, text(address), tag);
	snprintf(path, sizeof(path), "prvs=%s=%s", tag, address);
	return batv_check(keys, n, text(path), NOW);
}

static void test_check(void **state)
{
	struct policy_batv_key keys[] = { key(0, "old secret"), key(3, "secret") };
	struct policy_batv_key wrong = key(3, "another"), missing = key(5, "secret");

	(void)state;
	assert_int_equal(batv_check(keys, 2, text("u@example.org"), NOW), BATV_NONE);
	assert_int_equal(check(keys, 2, &keys[1], TODAY + 7, "u@example.org"), BATV_GOOD);
	assert_int_equal(check(keys, 2, &keys[0], TODAY, "U@Example.org"), BATV_GOOD);
	assert_int_equal(check(keys, 2, &keys[1], TODAY - 1, "u@example.org"), BATV_EXPIRED);
	assert_int_equal(check(keys, 2, &keys[1], TODAY + 8, "u@example.org"), BATV_EXPIRED);
	assert_int_equal(check(keys, 2, &wrong, TODAY, "u@example.org"), BATV_FORGED);
	assert_int_equal(check(keys, 2, &missing, TODAY, "u@example.org"), BATV_FORGED);
	assert_int_equal(check(NULL, 0, &wrong, TODAY, "u@example.org"), BATV_UNKNOWN);
	assert_int_equal(check(NULL, 0, &wrong, TODAY - 1, "u@example.org"), BATV_EXPIRED);
}

/* DDD wraps after 999. */
static void test_wrap(void **state)
{
	struct policy_batv_key k = key(1, "secret");
	char tag[11], path[64];

	(void)state;
	batv_tag(&k, 20002, text("u@example.org"), tag);
	assert_memory_equal(tag, "1002", 4);
	snprintf(path, sizeof(path), "prvs=%s=u@example.org", tag);
	assert_int_equal(batv_check(&k, 1, text(path), 19998u * DAY), BATV_GOOD);
	assert_int_equal(batv_check(&k, 1, text(path), 20003u * DAY), BATV_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
