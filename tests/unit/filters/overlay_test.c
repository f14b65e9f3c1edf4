/* SPDX-License-Identifier: BSD-3-Clause */
/* The run-time table: precedence, ends, bounds, and readers beside a writer. */
#include "fixture.h"
#include "overlay.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum { NOW = 1000000 };

static const uint8_t key[16] = "overlay's secret";

struct rig {
	struct overlay *o;
	uint8_t kinds[OVERLAY_LISTS];
	uint8_t friends, blocked, slow;
};

static void rig_begin(struct rig *r, uint32_t entries)
{
	memset(r, 0, sizeof(*r));
	r->o = overlay_new(entries, key);
	assert_non_null(r->o);
	r->friends = (uint8_t)overlay_list(r->o, "friends");
	r->blocked = (uint8_t)overlay_list(r->o, "blocked");
	r->slow = (uint8_t)overlay_list(r->o, "slow");
	r->kinds[r->friends] = VERDICT_PASS;
	r->kinds[r->blocked] = VERDICT_REFUSE;
	r->kinds[r->slow] = VERDICT_TARPIT;
}

static void rig_end(struct rig *r)
{
	r->o = overlay_free(r->o);
}

static struct overlay_entry entry4(uint32_t addr, unsigned len, uint8_t list, uint32_t expires_s)
{
	struct overlay_entry e = { .len = (uint8_t)len, .list = list, .expires_s = expires_s };

	client4(e.addr, addr);
	return e;
}

static struct overlay_entry ban4(uint32_t addr, unsigned len, uint32_t expires_s, unsigned origin)
{
	struct overlay_entry e = entry4(addr, len, OVERLAY_BAN, expires_s);

	e.kind = VERDICT_REFUSE;
	e.origin = (uint8_t)origin;
	return e;
}

static int put(struct rig *r, struct overlay_entry e)
{
	return overlay_put(r->o, &e, NOW, NULL);
}

static struct overlay_hit look(const struct rig *r, const uint8_t client[16], uint8_t compiled)
{
	struct overlay_hit hit;

	overlay_judge(r->o, r->kinds, (const uint8_t(*)[16])client, &compiled, 1, NOW, &hit);
	return hit;
}

static struct overlay_hit look4(const struct rig *r, uint32_t addr, uint8_t compiled)
{
	uint8_t c[16];

	client4(c, addr);
	return look(r, c, compiled);
}

static void empty_table_says_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, 16);
	assert_true(overlay_is_empty(r.o));
	assert_int_equal(look4(&r, 0xc0000207, 0).kind, VERDICT_NONE);
	assert_int_equal(put(&r, entry4(0xc0000207, 32, r.blocked, 0)), OVERLAY_ADDED);
	assert_false(overlay_is_empty(r.o));
	assert_int_equal(look4(&r, 0xc0000207, 0).kind, VERDICT_REFUSE);
	assert_int_equal(overlay_remove(r.o, entry4(0xc0000207, 32, 0, 0).addr, 32, r.blocked), 0);
	assert_true(overlay_is_empty(r.o));
	assert_int_equal(look4(&r, 0xc0000207, 0).kind, VERDICT_NONE);
	rig_end(&r);
}

static void every_length_of_both_families_holds_its_addresses_alone(void **state)
{
	(void)state;
	for (unsigned v4 = 0; v4 < 2; v4++)
		for (unsigned len = 0; len <= (v4 ? 32u : 128u); len++) {
			struct rig r;
			struct overlay_entry e = { .len = (uint8_t)len };
			uint8_t c[16];
			unsigned first = v4 ? 96 : 0;

			rig_begin(&r, 16);
			e.list = r.blocked;
			if (v4)
				client4(c, 0xc6336407);
			else
				client6(c, 0xbeef, 7);
			memcpy(e.addr, c, 16);
			for (unsigned bit = first + len; bit < 128; bit++)
				e.addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
			assert_int_equal(put(&r, e), OVERLAY_ADDED);
			assert_int_equal(look(&r, c, 0).kind, VERDICT_REFUSE);
			assert_int_equal(look(&r, c, 0).len, len);
			if (first + len < 128) { /* the last address of it */
				for (unsigned bit = first + len; bit < 128; bit++)
					c[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
				assert_int_equal(look(&r, c, 0).kind, VERDICT_REFUSE);
			}
			if (len) { /* outside by the prefix's last bit */
				unsigned bit = first + len - 1;

				c[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
				assert_int_equal(look(&r, c, 0).kind, VERDICT_NONE);
			}
			/* the other family is another space */
			if (v4)
				client6(c, 0xbeef, 7);
			else
				client4(c, 0xc6336407);
			assert_int_equal(look(&r, c, 0).kind, VERDICT_NONE);
			rig_end(&r);
		}
}

static void allow_beats_and_then_the_more_specific(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, 16);
	put(&r, entry4(0xc0000200, 24, r.blocked, 0));
	put(&r, entry4(0xc0000207, 32, r.slow, 0));
	assert_int_equal(look4(&r, 0xc0000207, 0).kind, VERDICT_TARPIT);
	assert_int_equal(look4(&r, 0xc0000207, 0).list, r.slow);
	assert_int_equal(look4(&r, 0xc0000208, 0).kind, VERDICT_REFUSE);
	put(&r, entry4(0xc0000000, 8, r.friends, 0)); /* less specific, yet it allows */
	assert_int_equal(look4(&r, 0xc0000207, 0).kind, VERDICT_PASS);
	assert_int_equal(look4(&r, 0xc0000207, 0).list, r.friends);
	r.kinds[r.friends] = VERDICT_NONE; /* a policy without that list */
	assert_int_equal(look4(&r, 0xc0000207, 0).kind, VERDICT_TARPIT);
	rig_end(&r);
}

static void of_one_prefix_the_more_severe(void **state)
{
	struct rig r;
	struct overlay_entry ban;

	(void)state;
	rig_begin(&r, 16);
	put(&r, entry4(0xc0000207, 32, r.slow, 0));
	ban = ban4(0xc0000207, 32, NOW + 60, OVERLAY_OPERATOR);
	ban.kind = VERDICT_DROP;
	put(&r, ban);
	put(&r, entry4(0xc0000207, 32, r.blocked, 0));
	assert_int_equal(look4(&r, 0xc0000207, 0).kind, VERDICT_DROP);
	assert_int_equal(look4(&r, 0xc0000207, 0).list, OVERLAY_BAN);
	rig_end(&r);
}

static void a_lifted_listing(void **state)
{
	struct rig r;
	struct overlay_entry e;

	(void)state;
	rig_begin(&r, 16);
	e = entry4(0xc0000207, 32, r.blocked, 0);
	e.lifts = true;
	assert_int_equal(put(&r, e), OVERLAY_ADDED);
	assert_true(look4(&r, 0xc0000207, r.blocked).lifted);
	assert_false(look4(&r, 0xc0000207, r.slow).lifted); /* of another list */
	assert_false(look4(&r, 0xc0000207, 0).lifted);
	assert_false(look4(&r, 0xc0000208, r.blocked).lifted);
	assert_int_equal(look4(&r, 0xc0000207, r.blocked).kind, VERDICT_NONE);
	put(&r, ban4(0xc0000200, 24, 0, OVERLAY_OPERATOR)); /* lifts the list's word, not others' */
	assert_true(look4(&r, 0xc0000207, r.blocked).lifted);
	assert_int_equal(look4(&r, 0xc0000207, r.blocked).kind, VERDICT_REFUSE);
	e.lifts = false; /* one of both: the listing takes the place of its lifting */
	assert_int_equal(put(&r, e), OVERLAY_CHANGED);
	assert_false(look4(&r, 0xc0000207, r.blocked).lifted);
	rig_end(&r);
}

static void ends_are_met_at_once_and_swept_in_steps(void **state)
{
	struct rig r;
	struct overlay_hit hit;
	uint8_t c[16], none = 0;

	(void)state;
	rig_begin(&r, 64);
	for (unsigned i = 0; i < 20; i++)
		put(&r, entry4(0xc0000200 + i, 32, r.blocked, NOW + 20 - i));
	put(&r, entry4(0xc0000300, 24, r.blocked, 0));
	client4(c, 0xc0000200 + 5);
	overlay_judge(r.o, r.kinds, (const uint8_t(*)[16])c, &none, 1, NOW + 14, &hit);
	assert_int_equal(hit.kind, VERDICT_REFUSE);
	overlay_judge(r.o, r.kinds, (const uint8_t(*)[16])c, &none, 1, NOW + 15, &hit);
	assert_int_equal(hit.kind, VERDICT_NONE);
	assert_int_equal(overlay_sweep(r.o, NOW, 100), 0);
	assert_int_equal(overlay_sweep(r.o, NOW + 15, 4), 4);
	assert_int_equal(overlay_sweep(r.o, NOW + 15, 100), 11);
	assert_int_equal(overlay_counts(r.o).entries, 6);
	assert_int_equal(overlay_sweep(r.o, UINT32_MAX, 100), 5); /* what never ends stays */
	rig_end(&r);
}

static void full_refuses_operators_and_lets_bans_go(void **state)
{
	struct rig r;
	struct overlay_entry e, gone;

	(void)state;
	rig_begin(&r, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(put(&r, entry4(0xc0000200 + i, 32, r.blocked, 0)), OVERLAY_ADDED);
	assert_int_equal(put(&r, entry4(0xc0000300, 32, r.blocked, 0)), -ENOSPC);
	assert_int_equal(put(&r, ban4(0xc0000300, 32, NOW + 9, OVERLAY_AUTOMATIC)), -ENOSPC);
	assert_int_equal(put(&r, entry4(0xc0000200, 32, r.blocked, NOW + 1)), OVERLAY_CHANGED);
	assert_int_equal(overlay_remove(r.o, entry4(0xc0000201, 32, 0, 0).addr, 32, r.blocked), 0);
	assert_int_equal(overlay_remove(r.o, entry4(0xc0000202, 32, 0, 0).addr, 32, r.blocked), 0);
	assert_int_equal(put(&r, ban4(0xc0000401, 32, NOW + 50, OVERLAY_AUTOMATIC)), OVERLAY_ADDED);
	assert_int_equal(put(&r, ban4(0xc0000402, 32, NOW + 40, OVERLAY_AUTOMATIC)), OVERLAY_ADDED);
	e = ban4(0xc0000403, 32, NOW + 60, OVERLAY_AUTOMATIC);
	assert_int_equal(overlay_put(r.o, &e, NOW, &gone), OVERLAY_EVICTED);
	assert_memory_equal(gone.addr, entry4(0xc0000402, 32, 0, 0).addr, 16);
	assert_int_equal(look4(&r, 0xc0000402, 0).kind, VERDICT_NONE);
	assert_int_equal(look4(&r, 0xc0000401, 0).kind, VERDICT_REFUSE);
	assert_int_equal(put(&r, ban4(0xc0000404, 32, NOW + 5, OVERLAY_AUTOMATIC)), -ENOSPC);
	assert_int_equal(put(&r, entry4(0xc0000405, 32, r.blocked, 0)), OVERLAY_EVICTED);
	assert_int_equal(look4(&r, 0xc0000401, 0).kind, VERDICT_NONE);
	assert_int_equal(overlay_counts(r.o).evicted, 3);
	assert_int_equal(overlay_counts(r.o).automatic, 1);
	/* what has expired goes first */
	e = ban4(0xc0000406, 32, NOW + 90, OVERLAY_AUTOMATIC);
	assert_int_equal(overlay_put(r.o, &e, NOW + 2, NULL), OVERLAY_ADDED);
	assert_int_equal(look4(&r, 0xc0000403, 0).kind, VERDICT_REFUSE);
	rig_end(&r);
}

static void nonsense_is_refused(void **state)
{
	struct rig r;
	struct overlay_entry e;

	(void)state;
	rig_begin(&r, 8);
	assert_int_equal(put(&r, entry4(0xc0000201, 24, r.blocked, 0)), -EINVAL); /* host bits */
	assert_int_equal(put(&r, entry4(0xc0000200, 33, r.blocked, 0)), -EINVAL);
	assert_int_equal(put(&r, entry4(0xc0000200, 32, 77, 0)), -EINVAL); /* no such list */
	e = ban4(0xc0000200, 32, 0, OVERLAY_OPERATOR);
	e.kind = VERDICT_PASS;
	assert_int_equal(put(&r, e), -EINVAL);
	e = ban4(0xc0000200, 32, 0, OVERLAY_AUTOMATIC); /* without end */
	assert_int_equal(put(&r, e), -EINVAL);
	assert_int_equal(overlay_remove(r.o, e.addr, 32, r.blocked), -ENOENT);
	assert_int_equal(overlay_remove(r.o, e.addr, 200, r.blocked), -ENOENT);
	assert_null(overlay_new(0, key));
	assert_null(overlay_new(OVERLAY_MAX_ENTRIES + 1, key));
	assert_true(overlay_is_empty(r.o));
	rig_end(&r);
}

static void numbers_of_lists(void **state)
{
	struct rig r;
	bool used[OVERLAY_LISTS] = { false };
	char name[64];
	int number;

	(void)state;
	rig_begin(&r, 8);
	assert_int_equal(overlay_list(r.o, "blocked"), r.blocked);
	assert_int_equal(overlay_list(r.o, ""), -EINVAL);
	memset(name, 'x', 48);
	name[48] = '\0';
	assert_int_equal(overlay_list(r.o, name), -ENAMETOOLONG);
	for (unsigned i = 4; i < OVERLAY_LISTS; i++) {
		snprintf(name, sizeof(name), "list%u", i);
		assert_int_equal(overlay_list(r.o, name), i);
		used[i] = true;
	}
	used[r.friends] = true;
	overlay_lists_used(r.o, used);
	put(&r, entry4(0xc0000207, 32, r.blocked, 0));
	number = overlay_list(r.o, "newcomer"); /* slow has neither entries nor a policy */
	assert_int_equal(number, r.slow);
	assert_int_equal(overlay_list_find(r.o, "slow"), -ENOENT);
	assert_string_equal(overlay_list_name(r.o, (unsigned)number), "newcomer");
	put(&r, entry4(0xc0000207, 32, (uint8_t)number, 0));
	assert_int_equal(overlay_list(r.o, "one more"), -ENOSPC);
	rig_end(&r);
}

static void what_was_said_is_told(void **state)
{
	struct rig r;
	struct overlay_entry e, got;
	uint32_t cursor = 0;
	unsigned n = 0;

	(void)state;
	rig_begin(&r, 100);
	e = (struct overlay_entry){ .len = 48,
		.list = r.slow,
		.origin = OVERLAY_IMPORT,
		.created_s = NOW - 5,
		.expires_s = NOW + 77,
		.reason = "ticket 4711" };
	client6(e.addr, 0xfeed, 0);
	put(&r, e);
	assert_int_equal(overlay_get(r.o, e.addr, 48, r.slow, &got), 0);
	assert_memory_equal(&got, &e, sizeof(e));
	for (unsigned i = 0; i < 99; i++)
		put(&r, ban4(0x0a000000 + i, 32, NOW + i + 1, OVERLAY_OPERATOR));
	while (overlay_next(r.o, &cursor, &got))
		n++;
	assert_int_equal(n, 100);
	rig_end(&r);
}

static void reasons_are_kept_once_and_bounded(void **state)
{
	struct rig r;
	struct overlay_entry e, got;

	(void)state;
	rig_begin(&r, OVERLAY_REASONS + 100);
	for (unsigned i = 0; i < OVERLAY_REASONS + 50; i++) {
		e = entry4(0x0a000000 + i, 32, r.blocked, 0);
		snprintf(e.reason, sizeof(e.reason), "reason %u", i);
		assert_int_equal(put(&r, e), OVERLAY_ADDED);
	}
	assert_int_equal(overlay_counts(r.o).reasons_dropped, 50);
	overlay_get(r.o, e.addr, 32, r.blocked, &got);
	assert_string_equal(got.reason, "");
	e = entry4(0x0a000000, 32, r.blocked, 0); /* its reason is free for another one */
	assert_int_equal(put(&r, e), OVERLAY_CHANGED);
	e = entry4(0x0a000000 + OVERLAY_REASONS, 32, r.blocked, 0);
	memcpy(e.reason, "new", 4);
	assert_int_equal(put(&r, e), OVERLAY_CHANGED);
	overlay_get(r.o, e.addr, 32, r.blocked, &got);
	assert_string_equal(got.reason, "new");
	assert_int_equal(overlay_counts(r.o).reasons_dropped, 50);
	rig_end(&r);
}

static uint32_t lcg(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 8;
}

/* Against a plain array, through many rounds of adding, changing and removing at full load. */
static void agrees_with_a_plain_model(void **state)
{
	enum { N = 3000, SPACE = 4096 };
	static uint8_t model[SPACE]; /* 0: nothing, else kind */
	struct rig r;
	uint32_t x = 7;

	(void)state;
	rig_begin(&r, N);
	memset(model, 0, sizeof(model));
	for (unsigned i = 0, n = 0; i < 200000; i++) {
		unsigned at = lcg(&x) % SPACE;
		struct overlay_entry e = ban4(0xc6120000 + at * 77, 32, 0, OVERLAY_OPERATOR);

		if (lcg(&x) % 16 < 9) {
			int want = model[at] ? OVERLAY_CHANGED : n < N ? OVERLAY_ADDED : -ENOSPC;

			e.kind = (uint8_t)(VERDICT_REFUSE + lcg(&x) % 4);
			assert_int_equal(put(&r, e), want);
			n += want == OVERLAY_ADDED;
			if (want >= 0)
				model[at] = e.kind;
		} else {
			assert_int_equal(
			    overlay_remove(r.o, e.addr, 32, OVERLAY_BAN), model[at] ? 0 : -ENOENT);
			n -= model[at] != 0;
			model[at] = 0;
		}
		assert_int_equal(overlay_counts(r.o).entries, n);
	}
	for (unsigned at = 0; at < SPACE; at++)
		assert_int_equal(look4(&r, 0xc6120000 + at * 77, 0).kind, model[at]);
	rig_end(&r);
}

/*
 * A writer that adds, changes, removes; readers that must always find what stays, and must find
 * with each address only the kind that the writer ever gives it.
 */
struct stress {
	struct rig r;
	atomic_bool over;
	atomic_ulong looks, wrong, missing;
};
enum { STAY = 64, COME_AND_GO = 512 };

static uint8_t kind_of(unsigned i)
{
	return (uint8_t)(VERDICT_REFUSE + i % 5);
}

static void *read_along(void *arg)
{
	struct stress *s = arg;
	static const uint8_t none[64];
	uint8_t clients[64][16];
	struct overlay_hit hits[64];
	uint32_t x = 1;

	while (!atomic_load(&s->over)) {
		unsigned who[64];

		for (unsigned i = 0; i < 64; i++) {
			who[i] = lcg(&x) % (STAY + COME_AND_GO);
			client4(clients[i], 0x0a000000 + who[i]);
		}
		overlay_judge(
		    s->r.o, s->r.kinds, (const uint8_t(*)[16])clients, none, 64, NOW, hits);
		for (unsigned i = 0; i < 64; i++) {
			if (hits[i].kind == VERDICT_NONE && who[i] < STAY)
				atomic_fetch_add(&s->missing, 1);
			if (hits[i].kind != VERDICT_NONE && hits[i].kind != kind_of(who[i]))
				atomic_fetch_add(&s->wrong, 1);
		}
		atomic_fetch_add(&s->looks, 64);
	}
	return NULL;
}

static void readers_beside_a_writer(void **state)
{
	static struct stress s;
	pthread_t readers[2];
	uint32_t x = 99;

	(void)state;
	memset(&s, 0, sizeof(s));
	rig_begin(&s.r, STAY + COME_AND_GO / 2);
	for (unsigned i = 0; i < STAY; i++) {
		struct overlay_entry e = ban4(0x0a000000 + i, 32, 0, OVERLAY_OPERATOR);

		e.kind = kind_of(i);
		put(&s.r, e);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_along, &s), 0);
	for (unsigned long i = 0; i < 300000 || atomic_load(&s.looks) < 100000; i++) {
		unsigned who = lcg(&x) % (STAY + COME_AND_GO);
		struct overlay_entry e = ban4(0x0a000000 + who, 32,
		    lcg(&x) % 2 ? NOW + 1 + lcg(&x) % 99 : 0, OVERLAY_OPERATOR);

		e.kind = kind_of(who);
		if (who < STAY || lcg(&x) % 2)
			put(&s.r, e); /* -ENOSPC now and then */
		else
			overlay_remove(s.r.o, e.addr, 32, OVERLAY_BAN);
	}
	atomic_store(&s.over, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(s.wrong, 0);
	assert_int_equal(s.missing, 0);
	rig_end(&s.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_table_says_nothing),
		cmocka_unit_test(every_length_of_both_families_holds_its_addresses_alone),
		cmocka_unit_test(allow_beats_and_then_the_more_specific),
		cmocka_unit_test(of_one_prefix_the_more_severe),
		cmocka_unit_test(a_lifted_listing),
		cmocka_unit_test(ends_are_met_at_once_and_swept_in_steps),
		cmocka_unit_test(full_refuses_operators_and_lets_bans_go),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(numbers_of_lists),
		cmocka_unit_test(what_was_said_is_told),
		cmocka_unit_test(reasons_are_kept_once_and_bounded),
		cmocka_unit_test(agrees_with_a_plain_model),
		cmocka_unit_test(readers_beside_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
