/* SPDX-License-Identifier: BSD-3-Clause */
/* Longest prefix, own addresses, broadcast addresses, what is on link. */
#include "lab.h"

static void longest_prefix_wins(void **state)
{
	(void)state;
	static struct route_table t;
	struct stack_config c;
	struct ip_addr a;

	lab_config(&c);
	c.routes[2] = (struct stack_route){ lab_addr4(10, 0, 0, 0), 8, lab_addr4(192, 0, 2, 2), 0 };
	c.routes[3] = (struct stack_route){ lab_addr4(10, 1, 0, 0), 16, lab_addr4(192, 0, 2, 3), 0 };
	c.routes[4] = (struct stack_route){ lab_addr4(10, 1, 2, 3), 32, lab_addr4(192, 0, 2, 4), 0 };
	c.routes[5] = (struct stack_route){ lab_addr6(5, 0), 64, lab_addr6(0, 3), 0 };
	c.routes[6] = (struct stack_route){ lab_addr6(0, 0), 33, lab_addr6(0, 2), 0 };
	c.n_routes = 7;
	assert_int_equal(route_init(&t, &c), 0);
	a = lab_addr4(10, 1, 2, 3);
	assert_int_equal(route_find(&t, &a, true)->index, 4);
	a = lab_addr4(10, 1, 2, 4);
	assert_int_equal(route_find(&t, &a, true)->index, 3);
	a = lab_addr4(10, 2, 2, 4);
	assert_int_equal(route_find(&t, &a, true)->index, 2);
	a = lab_addr4(11, 2, 2, 4);
	assert_int_equal(route_find(&t, &a, true)->index, 0);
	a = lab_addr4(192, 0, 2, 77);
	assert_true(route_find(&t, &a, true)->direct);
	a = lab_addr6(5, 1);
	assert_int_equal(route_find(&t, &a, false)->index, 5);
	a = lab_addr6(6, 1);
	assert_int_equal(route_find(&t, &a, false)->index, 6);
	a = lab_addr6(0, 1);
	assert_true(route_find(&t, &a, false)->direct);
	a.b[0] = 0x30;
	assert_int_equal(route_find(&t, &a, false)->index, 1);
}

static void no_route_is_no_route(void **state)
{
	(void)state;
	struct stack_config c;

	for (unsigned v4 = 0; v4 < 2; v4++) {
		lab_config(&c);
		c.n_routes = 0;
		struct lab *l = lab_new_with(&c, v4, true);
		struct ip_path p;
		assert_int_equal(
		    ip_path_resolve(l->st, &l->peer, l->now, &p), -101 /* ENETUNREACH */);
		lab_send(l, &(struct lab_seg){ .flags = TCP_SYN });
		assert_int_equal(l->out.n_tx, 0);
		assert_int_equal(l->counters[STACK_tx_no_route], 1);
		lab_free(l);
	}
}

static void own_and_broadcast(void **state)
{
	(void)state;
	static struct route_table t;
	struct stack_config c;
	uint8_t index = 99;

	lab_config(&c);
	c.n_addrs = STACK_MAX_ADDRS;
	for (unsigned i = 2; i < STACK_MAX_ADDRS; i++)
		c.addrs[i] = (struct stack_ip){ i % 2 ? lab_addr6(i, 1) : lab_addr4(10, i, 0, 1),
			i % 2 ? 64 : 24, 0, false };
	assert_int_equal(route_init(&t, &c), 0);
	for (unsigned i = 0; i < STACK_MAX_ADDRS; i++) {
		assert_int_equal(route_own(&t, &c.addrs[i].addr, &index), OWN_ADDR);
		assert_int_equal(index, i);
	}
	struct ip_addr a = lab_addr4(192, 0, 2, 255);
	assert_int_equal(route_own(&t, &a, &index), OWN_BROADCAST);
	a = lab_addr4(192, 0, 2, 0);
	assert_int_equal(route_own(&t, &a, &index), OWN_BROADCAST);
	a = lab_addr4(192, 0, 2, 11);
	assert_int_equal(route_own(&t, &a, &index), OWN_NONE);
	assert_true(route_on_link(&t, 0, &a));
	a = lab_addr4(198, 51, 100, 1);
	assert_false(route_on_link(&t, 0, &a));
}

static void small_prefixes_have_no_broadcast(void **state)
{
	(void)state;
	static struct route_table t;
	struct stack_config c;
	uint8_t index;

	lab_config(&c);
	c.addrs[0].addr = lab_addr4(192, 0, 2, 10);
	c.addrs[0].prefix_len = 31;
	assert_int_equal(route_init(&t, &c), 0);
	struct ip_addr a = lab_addr4(192, 0, 2, 11);
	assert_int_equal(route_own(&t, &a, &index), OWN_NONE);
	assert_true(route_on_link(&t, 0, &a));
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	static struct route_table t;
	struct stack_config c;

	lab_config(&c);
	c.addrs[0].prefix_len = 33;
	assert_int_equal(route_init(&t, &c), -22);
	lab_config(&c);
	c.addrs[1].netif = 1;
	assert_int_equal(route_init(&t, &c), -22);
	lab_config(&c);
	c.routes[1].via = lab_addr4(192, 0, 2, 1);
	c.routes[1].dst = lab_addr6(1, 1);
	assert_int_equal(route_init(&t, &c), -22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_prefix_wins),
		cmocka_unit_test(no_route_is_no_route),
		cmocka_unit_test(own_and_broadcast),
		cmocka_unit_test(small_prefixes_have_no_broadcast),
		cmocka_unit_test(nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
