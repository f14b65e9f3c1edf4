/* SPDX-License-Identifier: BSD-3-Clause */
/* When a client is banned, for how long, and when its prefix is. */
#include "bans.h"
#include "fixture.h"

enum { NOW = 1000000 };

static const uint8_t key[16] = "secret of bans..";
static const struct bans_settings set = { .threshold = 300,
	.window_s = 3600,
	.first_s = 600,
	.longest_s = 4000,
	.remember_s = 86400,
	.prefix_hosts = 4,
	.good_s = 7 * 86400 };

static struct ban bans[2];

static unsigned offend(struct bans *b, uint32_t addr, uint32_t points, uint32_t now_s)
{
	uint8_t c[16];

	client4(c, addr);
	return bans_offence(b, &set, c, points, now_s, NULL, NULL, bans);
}

static void the_threshold_bans(void **state)
{
	struct bans *b = bans_new(100, key);
	uint8_t c[16];

	(void)state;
	client4(c, 0xc0000207);
	assert_int_equal(offend(b, 0xc0000207, 299, NOW), 0);
	assert_int_equal(offend(b, 0xc0000208, 299, NOW), 0); /* another one */
	assert_int_equal(offend(b, 0xc0000207, 1, NOW), 1);
	assert_memory_equal(bans[0].addr, c, 16);
	assert_int_equal(bans[0].len, 32);
	assert_int_equal(bans[0].expires_s, NOW + 600);
	assert_int_equal(offend(b, 0xc0000207, 1000, NOW + 5), 0); /* it is banned already */
	bans_free(b);
}

static void points_leak_away(void **state)
{
	struct bans *b = bans_new(100, key);

	(void)state;
	for (unsigned day = 0; day < 100; day++)
		assert_int_equal(offend(b, 0xc0000207, 299, NOW + day * 86400), 0);
	assert_int_equal(offend(b, 0xc0000209, 200, NOW), 0);
	assert_int_equal(offend(b, 0xc0000209, 249, NOW + 1800), 0); /* 200 - 150 + 249 */
	assert_int_equal(offend(b, 0xc0000209, 1, NOW + 1800), 1);
	bans_free(b);
}

static void repeats_double_up_to_the_longest(void **state)
{
	static const uint32_t lengths[] = { 600, 1200, 2400, 4000, 4000 };
	struct bans *b = bans_new(100, key);
	uint32_t now_s = NOW;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(offend(b, 0xc0000207, 300, now_s), 1);
		assert_int_equal(bans[0].expires_s, now_s + lengths[i]);
		assert_int_equal(bans[0].repeats, i);
		now_s = bans[0].expires_s + 10;
	}
	now_s += set.remember_s + 1; /* forgotten by then */
	assert_int_equal(offend(b, 0xc0000207, 300, now_s), 1);
	assert_int_equal(bans[0].expires_s, now_s + 600);
	bans_forgive(b, bans[0].addr);
	assert_int_equal(offend(b, 0xc0000207, 300, now_s + 1), 1);
	assert_int_equal(bans[0].repeats, 0);
	bans_free(b);
}

static void enough_hosts_ban_their_prefix(void **state)
{
	struct bans *b = bans_new(1000, key);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(offend(b, 0xc0000201 + i, 300, NOW), 1);
	assert_int_equal(offend(b, 0xc0000301, 300, NOW), 1);       /* of another /24 */
	assert_int_equal(offend(b, 0xc0000201, 300, NOW + 601), 1); /* those before have ended */
	assert_int_equal(offend(b, 0xc0000202, 300, NOW + 601), 1);
	assert_int_equal(offend(b, 0xc0000203, 300, NOW + 601), 1);
	assert_int_equal(offend(b, 0xc0000204, 300, NOW + 601), 2);
	assert_int_equal(bans[1].len, 24);
	assert_int_equal(bans[1].addr[14], 2);
	assert_int_equal(bans[1].addr[15], 0);
	assert_int_equal(bans[1].expires_s, NOW + 601 + 600);
	assert_int_equal(offend(b, 0xc0000205, 300, NOW + 602), 1); /* once */
	bans_free(b);
}

static void the_same_host_again_is_one_host(void **state)
{
	struct bans *b = bans_new(1000, key);
	uint32_t now_s = NOW;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(offend(b, 0xc0000201, 300, now_s), 1);
		now_s = bans[0].expires_s;
	}
	bans_free(b);
}

static bool is_exempt(void *arg, const uint8_t addr[16], unsigned len)
{
	unsigned *asked = arg;

	++*asked;
	assert_int_equal(len, 64);
	assert_int_equal(addr[15], 0);
	return true;
}

static void the_good_keep_their_prefix(void **state)
{
	struct bans *b = bans_new(1000, key);
	unsigned asked = 0;
	uint8_t c[16];

	(void)state;
	client4(c, 0xc00002fe);
	bans_good(b, c, NOW);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(offend(b, 0xc0000201 + i, 300, NOW + 1), 1);
	assert_int_equal(offend(b, 0xc0000231, 300, NOW + set.good_s), 1); /* others' bans ended */
	for (unsigned i = 0; i < 20; i++) { /* the caller knows an allow list */
		client6(c, 7, (uint16_t)(i + 1));
		assert_int_equal(bans_offence(b, &set, c, 300, NOW, is_exempt, &asked, bans), 1);
		assert_int_equal(bans[0].len, 128);
	}
	assert_int_equal(asked, 17);
	bans_free(b);
}

static void memory_is_bounded_and_keeps_the_worst(void **state)
{
	struct bans *b = bans_new(64, key);
	unsigned again = 0;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		assert_in_range(offend(b, 0x0a000001 + i * 256, 300, NOW), 1, 2);
	for (unsigned i = 0; i < 100000; i++) /* a crowd with little against it */
		offend(b, 0xc6120000 + i, 1, NOW + 1);
	assert_true(bans_forgotten(b) > 90000);
	for (unsigned i = 0; i < 16; i++) /* remembered: longer this time */
		again += offend(b, 0x0a000001 + i * 256, 300, NOW + 700) && bans[0].repeats == 1;
	assert_in_range(again, 12, 16);
	bans_free(b);
}

static void off_by_threshold(void **state)
{
	const struct bans_settings off = { .threshold = 0 };
	struct bans *b = bans_new(64, key);
	uint8_t c[16];

	(void)state;
	client4(c, 0xc0000201);
	assert_int_equal(bans_offence(b, &off, c, UINT32_MAX, NOW, NULL, NULL, bans), 0);
	bans_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_threshold_bans),
		cmocka_unit_test(points_leak_away),
		cmocka_unit_test(repeats_double_up_to_the_longest),
		cmocka_unit_test(enough_hosts_ban_their_prefix),
		cmocka_unit_test(the_same_host_again_is_one_host),
		cmocka_unit_test(the_good_keep_their_prefix),
		cmocka_unit_test(memory_is_bounded_and_keeps_the_worst),
		cmocka_unit_test(off_by_threshold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
