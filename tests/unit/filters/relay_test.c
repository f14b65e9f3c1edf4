/* SPDX-License-Identifier: BSD-3-Clause */
/* The relay matrix: who is internal, whose sender it is, and what each cell says. */
#include "fixture.h"

#include "relay.h"

static void begin(struct fixture *f)
{
	struct policy_relay *r;
	char text[NAMES_MAX_LEN + 1];
	enum name_kind kind;
	int hosts, senders;

	fixture_begin(f);
	assert_int_equal(image_writer_domain(f->w, "example.org", DOMAIN_EXACT, 0, 0), 0);
	hosts = image_writer_set(f->w);
	senders = image_writer_set(f->w);
	assert_null(nameset_read(".inside.example", false, &kind, text));
	assert_int_equal(image_writer_name(f->w, (unsigned)hosts, kind, text, 0), 0);
	assert_null(nameset_read("lists.example", false, &kind, text));
	assert_int_equal(image_writer_name(f->w, (unsigned)senders, kind, text, 0), 0);
	r = &image_writer_settings(f->w)->relay;
	r->internal_hosts = (uint16_t)hosts;
	r->own_senders = (uint16_t)senders;
	r->outbound_pool = 0;
	r->n_internal = 2;
	client4(r->internal[0].addr, 0xc6336400);
	r->internal[0].prefix_len = 25;
	client6(r->internal[1].addr, 5, 0);
	r->internal[1].prefix_len = 48;
	fixture_open(f);
}

static void test_sources(void **state)
{
	struct fixture f;
	struct facts facts = { 0 };

	(void)state;
	begin(&f);
	client4(facts.client, 0xc633647f);
	assert_int_equal(relay_source(f.p, &facts), RELAY_INTERNAL);
	client4(facts.client, 0xc6336480);
	assert_int_equal(relay_source(f.p, &facts), RELAY_EXTERNAL);
	client6(facts.client, 5, 77);
	assert_int_equal(relay_source(f.p, &facts), RELAY_INTERNAL);
	client6(facts.client, 6, 77);
	assert_int_equal(relay_source(f.p, &facts), RELAY_EXTERNAL);
	facts.host_name = text_of("mail.inside.example");
	assert_int_equal(relay_source(f.p, &facts), RELAY_INTERNAL);
	facts.host_name = text_of("mail.inside.example.evil.test");
	assert_int_equal(relay_source(f.p, &facts), RELAY_EXTERNAL);
	fixture_end(&f);
}

static void test_senders(void **state)
{
	static const struct {
		const char *mail;
		enum relay_sender sender;
	} rows[] = {
		{ "", RELAY_NULL },
		{ "user@example.org", RELAY_OURS },
		{ "User@EXAMPLE.org.", RELAY_OURS },
		{ "news@lists.example", RELAY_OURS },
		{ "user@other.example", RELAY_OTHER },
		{ "user@sub.example.org", RELAY_OTHER },
		{ "user%other.example@example.org", RELAY_OTHER },
		{ "other.example!user@example.org", RELAY_OTHER },
		{ "postmaster", RELAY_OTHER },
	};
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct facts facts = { .mail = text_of(rows[i].mail) };

		if (relay_sender(f.p, &facts) != rows[i].sender)
			fail_msg("%s", rows[i].mail);
	}
	fixture_end(&f);
}

static void test_default_matrix(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (unsigned sender = 0; sender < RELAY_N_SENDERS; sender++) {
		assert_int_equal(
		    relay_action(f.p, RELAY_EXTERNAL, sender, RELAY_SERVED), RELAY_ACCEPT);
		assert_int_equal(
		    relay_action(f.p, RELAY_INTERNAL, sender, RELAY_SERVED), RELAY_ACCEPT);
		assert_int_equal(
		    relay_action(f.p, RELAY_EXTERNAL, sender, RELAY_NOT_SERVED), RELAY_REFUSE);
	}
	assert_int_equal(
	    relay_action(f.p, RELAY_INTERNAL, RELAY_OURS, RELAY_NOT_SERVED), RELAY_ACCEPT);
	assert_int_equal(
	    relay_action(f.p, RELAY_INTERNAL, RELAY_OTHER, RELAY_NOT_SERVED), RELAY_REFUSE);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_default_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
