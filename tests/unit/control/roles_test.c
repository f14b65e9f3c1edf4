/* SPDX-License-Identifier: BSD-3-Clause */
#include "roles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void the_greatest_role_counts(void **state)
{
	struct roles roles;
	const uint32_t groups[] = { 50, 60 };
	(void)state;
	roles_init(&roles, 999);
	assert_int_equal(roles_add(&roles, ROLE_VIEWER, "1000"), 0);
	assert_int_equal(roles_add(&roles, ROLE_OPERATOR, "@60"), 0);
	assert_int_equal(roles_add(&roles, ROLE_VIEWER, "@50"), 0);
	assert_int_equal(roles_judge(&roles, 1000, NULL, 0), ROLE_VIEWER);
	assert_int_equal(roles_judge(&roles, 1000, groups, 1), ROLE_VIEWER);
	assert_int_equal(roles_judge(&roles, 1000, groups, 2), ROLE_OPERATOR);
	assert_int_equal(roles_judge(&roles, 1001, groups, 2), ROLE_OPERATOR);
	assert_int_equal(roles_judge(&roles, 1001, NULL, 0), ROLE_NONE);
	assert_int_equal(
	    roles_judge(&roles, 60, NULL, 0), ROLE_NONE); /* a group's number is no user's */
	assert_int_equal(roles_judge(&roles, 0, NULL, 0), ROLE_ADMIN);
	assert_int_equal(roles_judge(&roles, 999, NULL, 0), ROLE_ADMIN);
}

static void names_are_resolved_and_bounded(void **state)
{
	struct roles roles;
	(void)state;
	roles_init(&roles, 999);
	assert_int_equal(roles_add(&roles, ROLE_ADMIN, "@root"), 0);
	assert_int_equal(roles_add(&roles, ROLE_ADMIN, "root"), 0);
	assert_int_equal(roles_add(&roles, ROLE_ADMIN, "no-such-user-here"), -ENOENT);
	assert_int_equal(roles_add(&roles, ROLE_ADMIN, "@no-such-group-here"), -ENOENT);
	assert_int_equal(roles_add(&roles, ROLE_ADMIN, ""), -ENOENT);
	assert_int_equal(roles_add(&roles, ROLE_ADMIN, "12x"), -ENOENT);
	assert_int_equal(roles_add(&roles, ROLE_ADMIN, "4294967295"), -ENOENT);
	while (roles.n < ROLES_MAX_RULES)
		assert_int_equal(roles_add(&roles, ROLE_VIEWER, "1"), 0);
	assert_int_equal(roles_add(&roles, ROLE_VIEWER, "1"), -ENOSPC);
}

static void a_peer_is_who_the_kernel_says(void **state)
{
	struct roles roles;
	uint32_t uid = 4711;
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	roles_init(&roles, geteuid());
	assert_int_equal(roles_of_peer(&roles, pair[0], &uid), ROLE_ADMIN);
	assert_int_equal(uid, geteuid());
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(roles_of_peer(&roles, -1, &uid), ROLE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_greatest_role_counts),
		cmocka_unit_test(names_are_resolved_and_bounded),
		cmocka_unit_test(a_peer_is_who_the_kernel_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
