/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking over: local ports, and what is said where it cannot be. The whole: tests/fault/t_take_over.py. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* of hw/ and of parts that open ports; nothing here comes so far */
void hw_wake(struct hw *hw, unsigned worker)
{
	(void)hw, (void)worker;
}
uint64_t hw_now_ns(void)
{
	return 1;
}
const char *live_version(void)
{
	return "test";
}
int live_restart_prints(const struct policy *policy, struct live_restart *ret_prints)
{
	(void)policy, (void)ret_prints;
	return -1;
}
void live_restart_difference(
    const struct live_restart *a, const struct live_restart *b, char *ret_keys, size_t size)
{
	(void)a, (void)b, (void)ret_keys, (void)size;
}

static void halves_share_no_port(void **state)
{
	struct live *l = calloc(1, sizeof(*l));
	uint16_t low[2], high[2];

	(void)state;
	for (l->n_workers = 1; l->n_workers <= LIVE_MAX_WORKERS; l->n_workers++) {
		l->ports_high = false;
		live_local_ports(l, &low[0], &low[1]);
		l->ports_high = true;
		live_local_ports(l, &high[0], &high[1]);
		assert_int_equal(low[0], LIVE_PORT_FIRST);
		assert_int_equal(low[1] + 1, high[0]);
		assert_int_equal(high[1], LIVE_PORT_LAST);
		/* worker 0's first port in both: steering goes by the remainder */
		assert_int_equal((high[0] - low[0]) % l->n_workers, 0);
		assert_true(low[1] - low[0] > 20000);
	}
	free(l);
}

static void nobody_there_is_an_ordinary_start(void **state)
{
	struct live *l = calloc(1, sizeof(*l));
	char dir[] = "/tmp/take-over-XXXXXX", *error = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	l->run_dir = dir;
	l->predecessor = -1;
	assert_int_equal(live_take_over(l, &error), 0);
	assert_null(error);
	assert_false(l->taken_over);
	assert_false(l->ports_high);
	assert_false(live_predecessor_gone(l));
	rmdir(dir);
	free(l);
}

static json_t *refuse(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	(void)arg, (void)params, (void)fds, (void)n_fds;
	return control_fail(error, "busy", "Not now.");
}

static void a_refusal_is_told(void **state)
{
	static const struct control_method methods[] = { { "hand_over", refuse }, { NULL, NULL } };
	struct live *l = calloc(1, sizeof(*l));
	struct control_server *server;
	char dir[] = "/tmp/take-over-XXXXXX", path[64], *error = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dataplane.sock", dir);
	assert_int_equal(control_server_new(path, methods, NULL, &server, &error), 0);
	l->run_dir = dir;
	l->predecessor = -1;
	assert_true(live_take_over(l, &error) < 0);
	assert_non_null(strstr(error, "Not now."));
	assert_false(l->taken_over);
	free(error);
	control_server_free(server);
	rmdir(dir);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_share_no_port),
		cmocka_unit_test(nobody_there_is_an_ordinary_start),
		cmocka_unit_test(a_refusal_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
