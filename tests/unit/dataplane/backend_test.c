/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which server takes the next session: state, weight, limits, drain, words, changes of policy. Queues,
 * retries and health over real connections: tests/smtp/pool_*.
 */
#include "backend.h"

#include "filters/image.h"
#include "filters/image_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
	struct worker w;
	struct stats_worker stats;
	struct image_writer *image;
	struct policy *policy;
	uint32_t epoch;
};

static const struct policy_server plain = { .port = 25, .weight = 1, .max_connections = 100 };

/* A policy with one pool per array that ends in weight 0; addresses are 198.51.100.<first byte>. */
struct want {
	uint8_t address, weight;
	uint32_t max_connections;
};

static void load(
    struct fixture *f, const char *const *names, const struct want *const *pools, unsigned n)
{
	struct image_part parts[IMAGE_MAX_PARTS];
	unsigned n_parts;
	const char *error;

	policy_close(f->policy);
	image_writer_free(f->image);
	f->image = image_writer_new();
	for (unsigned i = 0; i < n; i++) {
		struct policy_pool pool = { .max_waiting = 10, .fallback_pool = 0xffff };

		for (const struct want *s = pools[i]; s->weight; s++) {
			struct policy_server ps = plain;
			struct ip_addr a = ip_addr_from_v4((uint8_t[4]){ 198, 51, 100, s->address });
			int index;

			ps.weight = s->weight;
			ps.max_connections = s->max_connections;
			memcpy(ps.addr, a.b, 16);
			image_writer_string(f->image, "s", &ps.name);
			index = image_writer_server(f->image, &ps);
			if (pool.n_servers++ == 0)
				pool.first_server = (uint32_t)index;
		}
		image_writer_string(f->image, names[i], &pool.name);
		image_writer_pool(f->image, &pool);
	}
	assert_int_equal(image_writer_finish(f->image, parts, &n_parts, &error), 0);
	assert_int_equal(policy_open(parts, n_parts, ++f->epoch, &f->policy, &error), 0);
	f->w.policy = f->policy;
	f->w.set = policy_settings(f->policy);
	backends_update(&f->w);
}

static int setup(void **state)
{
	struct fixture *f = aligned_alloc(64, sizeof(*f));

	assert_non_null(f);
	memset(f, 0, sizeof(*f));
	f->w.stats = &f->stats;
	f->w.counters = f->stats.counters + STATS_AT_BRAIN;
	f->w.config.n_workers = 1;
	LIST_INIT(&f->w.all_relays);
	assert_int_equal(backends_new(&f->w, &f->w.backends), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	backends_free(f->w.backends);
	policy_close(f->policy);
	image_writer_free(f->image);
	free(f);
	return 0;
}

static const char *const one_name[] = { "main" };
static const char *const two_names[] = { "main", "other" };
static const struct smtp_words no_words = { 0 };

static struct server *pick(struct fixture *f, unsigned pool, uint64_t avoid)
{
	struct server *s = NULL;

	return backend_choose(&f->w, pool, avoid, &s) == BACKEND_PICKED ? s : NULL;
}

static void connections_follow_the_weights(void **state)
{
	static const struct want servers[] = { { 1, 1, 100 }, { 2, 3, 100 }, { 0 } };
	const struct want *pools[] = { servers };
	struct fixture *f = *state;
	unsigned of[3] = { 0 };

	load(f, one_name, pools, 1);
	for (unsigned i = 0; i < 40; i++) {
		struct server *s = pick(f, 0, 0);

		assert_non_null(s);
		backend_take(&f->w, s);
		of[s->addr[15]]++;
	}
	assert_int_equal(of[1], 10);
	assert_int_equal(of[2], 30);
}

static void up_comes_before_unknown_and_down_never(void **state)
{
	static const struct want servers[] = { { 1, 1, 100 }, { 2, 1, 100 }, { 3, 1, 100 }, { 0 } };
	const struct want *pools[] = { servers };
	struct fixture *f = *state;
	struct server *a, *b, *c;

	load(f, one_name, pools, 1);
	a = pick(f, 0, 6);
	b = pick(f, 0, 5);
	c = pick(f, 0, 3);
	assert_int_equal(a->addr[15] * 100 + b->addr[15] * 10 + c->addr[15], 123);
	backend_learned(&f->w, b, &no_words);
	for (unsigned i = 0; i < 6; i++) {
		assert_ptr_equal(pick(f, 0, 0), b);
		backend_take(&f->w, b);
	}
	backend_failed(&f->w, b);
	backend_failed(&f->w, a);
	assert_ptr_equal(pick(f, 0, 0), c);
	backends_drain_server(&f->w, 2, true);
	assert_null(pick(f, 0, 0));
	assert_int_equal(backend_choose(&f->w, 0, 0, &a), BACKEND_NOBODY);
	backends_drain_server(&f->w, 2, false);
	assert_ptr_equal(pick(f, 0, 0), c);
}

static void an_answered_ehlo_is_up_but_does_not_revive(void **state)
{
	static const struct want servers[] = { { 1, 1, 100 }, { 2, 1, 100 }, { 0 } };
	const struct want *pools[] = { servers };
	struct fixture *f = *state;
	struct server *a, *b;

	load(f, one_name, pools, 1);
	a = pick(f, 0, 2);
	b = pick(f, 0, 1);
	backends_stats(&f->w);
	assert_int_equal(f->stats.servers[0].state, SERVER_UNKNOWN);
	backend_answered(&f->w, a);
	backends_stats(&f->w);
	assert_int_equal(f->stats.servers[0].state, SERVER_UP);
	assert_int_equal(f->stats.servers[1].state, SERVER_UNKNOWN);
	assert_int_equal(backends_words(&f->w).words, 0); /* a check's to learn */
	backend_failed(&f->w, b);
	backend_answered(&f->w, b);
	assert_int_equal(b->state, SERVER_DOWN);
}

static void the_limit_is_this_workers_share(void **state)
{
	static const struct want servers[] = { { 1, 1, 5 }, { 0 } };
	const struct want *pools[] = { servers };
	struct fixture *f = *state;
	struct server *s, *other;

	f->w.config.n_workers = 3; /* two, two, one */
	load(f, one_name, pools, 1);
	s = pick(f, 0, 0);
	backend_take(&f->w, s);
	backend_take(&f->w, s);
	assert_int_equal(backend_choose(&f->w, 0, 0, &other), BACKEND_BUSY);
	backend_release(&f->w, s);
	assert_ptr_equal(pick(f, 0, 0), s);
	assert_int_equal(backend_choose(&f->w, 7, 0, &other), BACKEND_NOBODY);
}

/* The share of `worker` in the k-th server of pool 0. */
static uint32_t share(struct fixture *f, unsigned worker, unsigned k)
{
	uint64_t others = ~(1ull << k);
	struct server *s = NULL;
	uint32_t n = 0;

	f->w.config.index = worker;
	backends_update(&f->w);
	while (n < 1000 && backend_choose(&f->w, 0, others, &s) == BACKEND_PICKED) {
		backend_take(&f->w, s);
		n++;
	}
	if (n == 1000)
		n = s->share; /* too many to count out */
	while (s && s->active > 0)
		backend_release(&f->w, s);
	return n;
}

static void shares_add_up_to_the_limit(void **state)
{
	static const struct want servers[] = { { 1, 1, 5 }, { 2, 1, 3 }, { 3, 1, UINT32_MAX },
		{ 4, 1, 16 }, { 0 } };
	const struct want *pools[] = { servers };
	struct fixture *f = *state;

	for (unsigned n = 1; n <= 16; n++) {
		f->w.config.n_workers = n;
		load(f, one_name, pools, 1);
		for (unsigned k = 0; k < 4; k++) {
			uint64_t sum = 0;

			for (unsigned worker = 0; worker < n; worker++)
				sum += share(f, worker, k);
			assert_int_equal(sum, servers[k].max_connections);
		}
	}
	/* who has none of one server has some of another, and does not wait for the first */
	f->w.config.n_workers = 16;
	load(f, one_name, pools, 1);
	for (unsigned worker = 0, without = 0; worker < 16; worker++) {
		struct server *s;
		uint32_t none = share(f, worker, 0) == 0;

		without += none;
		assert_int_equal(share(f, worker, 3), 1);
		if (none)
			assert_int_equal(backend_choose(&f->w, 0, ~1ull, &s), BACKEND_NOBODY);
		if (worker == 15)
			assert_int_equal(without, 11);
	}
}

static void nobody_is_left_without_a_connection(void **state)
{
	static const struct want servers[] = { { 1, 1, 1 }, { 2, 1, 1 }, { 0 } };
	const struct want *pools[] = { servers };
	struct fixture *f = *state;

	f->w.config.n_workers = 4;
	load(f, one_name, pools, 1);
	for (unsigned worker = 0; worker < 4; worker++)
		assert_int_equal(share(f, worker, 0) + share(f, worker, 1), 1);
}

static void words_are_those_common_to_all_in_reach(void **state)
{
	static const struct want first[] = { { 1, 1, 9 }, { 2, 1, 9 }, { 0 } };
	static const struct want second[] = { { 3, 1, 9 }, { 0 } };
	const struct want *pools[] = { first, second };
	const struct smtp_words big = { .words = SMTP_WORD_DSN | SMTP_WORD_8BITMIME, .size = 3000 };
	const struct smtp_words small = { .words = SMTP_WORD_DSN | SMTP_WORD_SMTPUTF8,
		.size = 2000 };
	struct fixture *f = *state;
	struct server *a, *b, *c;

	load(f, two_names, pools, 2);
	a = pick(f, 0, 2);
	b = pick(f, 0, 1);
	c = pick(f, 1, 0);
	assert_int_equal(backends_words(&f->w).words, 0);
	backend_learned(&f->w, a, &big);
	backend_learned(&f->w, c, &small);
	assert_int_equal(backends_words(&f->w).words, 0); /* b was not asked yet */
	backend_failed(&f->w, b);                         /* and now cannot serve before it is */
	assert_int_equal(backends_words(&f->w).words, SMTP_WORD_DSN);
	assert_int_equal(backends_words(&f->w).size, 2000);
	backend_failed(&f->w, c); /* may come back at any time: its words still count */
	assert_int_equal(backends_words(&f->w).words, SMTP_WORD_DSN);
}

static void servers_keep_what_is_known_of_them_over_a_new_policy(void **state)
{
	static const struct want before[] = { { 1, 1, 9 }, { 2, 1, 9 }, { 0 } };
	static const struct want after[] = { { 2, 1, 9 }, { 4, 1, 9 }, { 0 } };
	static const struct want spare[] = { { 5, 1, 9 }, { 0 } };
	static const char *const names[] = { "spare", "main" };
	const struct want *old[] = { before }, *new[] = { spare, after };
	struct fixture *f = *state;
	struct server *gone, *kept;

	load(f, one_name, old, 1);
	gone = pick(f, 0, 2);
	kept = pick(f, 0, 1);
	backend_take(&f->w, gone);
	backend_learned(&f->w, kept, &no_words);
	load(f, names, new, 2);
	assert_ptr_equal(pick(f, 1, 2), kept);
	assert_int_equal(kept->state, SERVER_UP);
	assert_int_equal(kept->index, 1);
	assert_int_equal(kept->pool, 1);
	assert_int_equal(gone->index, BACKEND_NONE);
	assert_true(gone->in_use); /* until its last session ends */
	backend_release(&f->w, gone);
	assert_false(gone->in_use);
}

static void a_source_address_is_of_the_servers_network(void **state)
{
	struct fixture *f = *state;
	struct stack_config *c = &f->w.config.stack;
	struct ip_addr near = ip_addr_from_v4((uint8_t[4]){ 198, 51, 100, 9 });
	struct ip_addr far = ip_addr_from_v4((uint8_t[4]){ 203, 0, 113, 9 });
	struct ip_addr v6 = { .b = { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 } }, src;

	c->addrs[0] = (struct stack_ip){ .addr = ip_addr_from_v4((uint8_t[4]){ 192, 0, 2, 25 }),
		.prefix_len = 24 };
	c->addrs[1] =
	    (struct stack_ip){ .addr = { .b = { 0xfe, 0x80, [15] = 1 } }, .prefix_len = 64 };
	c->addrs[2] = (struct stack_ip){ .addr = ip_addr_from_v4((uint8_t[4]){ 198, 51, 100, 2 }),
		.prefix_len = 24,
		.reserved_for_connect = true };
	c->n_addrs = 3;
	assert_true(backend_source(&f->w, near.b, &src));
	assert_int_equal(src.b[15], 2);
	assert_true(backend_source(&f->w, far.b, &src));
	assert_int_equal(src.b[15], 2);
	assert_false(backend_source(&f->w, v6.b, &src)); /* link-local reaches no other network */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(connections_follow_the_weights),
		CASE(up_comes_before_unknown_and_down_never),
		CASE(an_answered_ehlo_is_up_but_does_not_revive),
		CASE(the_limit_is_this_workers_share),
		CASE(shares_add_up_to_the_limit),
		CASE(nobody_is_left_without_a_connection),
		CASE(words_are_those_common_to_all_in_reach),
		CASE(servers_keep_what_is_known_of_them_over_a_new_policy),
		CASE(a_source_address_is_of_the_servers_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
