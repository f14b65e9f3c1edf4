/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a policy: what the writer made opens; what is cut, foreign or out of range does not. */
#include "fixture.h"
#include "policy_view.h"

#include <errno.h>

static struct policy_settings *settings_of(struct fixture *f)
{
	for (unsigned i = 0; i < f->n_parts; i++)
		if (f->parts[i].kind == IMAGE_SETTINGS)
			return (struct policy_settings *)(uintptr_t)f->parts[i].base;
	return NULL;
}

static void *array_of(struct fixture *f, uint32_t offset)
{
	return (char *)settings_of(f) + offset;
}

static int reopen(struct fixture *f)
{
	struct policy *p = NULL;
	const char *error = NULL;
	int r = policy_open(f->parts, f->n_parts, 7, &p, &error);

	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_non_null(error);
		assert_null(p);
	}
	policy_close(p);
	return r;
}

static void fill(struct fixture *f)
{
	struct policy_settings *s;
	uint8_t a[16];
	unsigned list;

	fixture_begin(f);
	s = image_writer_settings(f->w);
	s->host.workers = 2;
	s->host.n_ports = s->host.n_netifs = s->host.n_addrs = s->host.n_routes = 1;
	s->host.n_eal = 1;
	s->host.syn_ring = 1024;
	s->host.addrs[0].worker = -1;
	s->n_listeners = 1;
	assert_int_equal(image_writer_string(f->w, "mx.example.org", &s->smtp.hostname), 0);
	list = fixture_list(f, VERDICT_DROP, 0);
	assert_int_equal(image_writer_v4(f->w, list, 0xcb007100, 24), 0);
	client6(a, 1, 1);
	assert_int_equal(image_writer_v6(f->w, list, a, 48), 0);
	assert_int_equal(image_writer_domain(f->w, "Example.ORG", DOMAIN_EXACT, 0, 3), 0);
	fixture_open(f);
}

static void test_view(void **state)
{
	struct fixture f;

	(void)state;
	fill(&f);
	assert_int_equal(policy_epoch(f.p), 7);
	assert_string_equal(
	    policy_string(f.p, policy_settings(f.p)->smtp.hostname), "mx.example.org");
	assert_string_equal(policy_string(f.p, policy_pool(f.p, 0)->name), "main");
	assert_string_equal(policy_string(f.p, policy_server(f.p, 0)->name), "mail1");
	assert_string_equal(policy_string(f.p, 0), "");
	fixture_end(&f);
}

/* One row per field whose value could lead a reader astray. */
#define BAD(change)                                                                                \
	do {                                                                                       \
		struct fixture f;                                                                  \
		fill(&f);                                                                          \
		struct policy_settings *s = settings_of(&f);                                       \
		assert_non_null(s);                                                                \
		change;                                                                            \
		assert_int_equal(reopen(&f), -EBADMSG);                                            \
		fixture_end(&f);                                                                   \
	} while (0)

static void test_out_of_range(void **state)
{
	const uint32_t far = 1u << 30;

	(void)state;
	BAD(s->layout++);
	BAD(s->size--);
	BAD(s->host.n_ports = POLICY_MAX_PORTS + 1);
	BAD(s->host.n_netifs = POLICY_MAX_NETIFS + 1);
	BAD(s->host.n_addrs = POLICY_MAX_ADDRS + 1);
	BAD(s->host.n_routes = POLICY_MAX_ROUTES + 1);
	BAD(s->host.n_eal = POLICY_MAX_EAL + 1);
	BAD(s->n_listeners = POLICY_MAX_LISTENERS + 1);
	BAD(s->n_pools = POLICY_MAX_POOLS + 1);
	BAD(s->n_servers = POLICY_MAX_SERVERS + 1);
	BAD(s->n_domains = POLICY_MAX_DOMAINS + 1);
	BAD(s->grey.rule = s->n_rules);
	BAD(s->grey.rule_trapped = s->n_rules);
	BAD(s->grey.rule_spamtrap = UINT32_MAX);
	BAD(s->grey.capacity = UINT32_MAX);
	BAD(s->n_lists = POLICY_MAX_LISTS + 1);
	BAD(s->n_domains++); /* the index was made for fewer */
	BAD(s->pools_off = far);
	BAD(s->pools_off++);
	BAD(s->servers_off = far);
	BAD(s->domains_off = UINT32_MAX - 3);
	BAD(s->lists_off = 0);
	BAD(s->host.ports[0].name = far);
	BAD(s->host.ports[0].device = far);
	BAD(s->host.eal[0] = far);
	BAD(s->host.netifs[0].port = 1);
	BAD(s->host.netifs[0].vlan = 4095);
	BAD(s->host.addrs[0].netif = 1);
	BAD(s->host.addrs[0].prefix_len = 129);
	BAD(s->host.addrs[0].worker = 2);
	BAD(s->host.addrs[0].worker = -2);
	BAD(s->host.addrs[0].backends_only = 2);
	BAD(client4(s->host.addrs[0].addr, 1); s->host.addrs[0].prefix_len = 33);
	BAD(s->host.routes[0].netif = 1);
	BAD(s->host.routes[0].prefix_len = 129);
	BAD(s->host.syn_ring = 1000);
	BAD(s->smtp.hostname = far);
	BAD(s->smtp.banner = far);
	BAD(s->smtp.contact_url = far);
	BAD(s->smtp.bare_newline = 3);
	BAD(s->smtp.starttls = 2);
	BAD(s->smtp.add_received = 2);
	BAD(s->listeners[0].name = far);
	BAD(s->listeners[0].any = 2);
	BAD(s->default_pool = 1);
	BAD(s->default_pool = -2);
	BAD(((struct policy_server *)array_of(&f, s->servers_off))->name = far);
	BAD(((struct policy_pool *)array_of(&f, s->pools_off))->name = far);
	BAD(((struct policy_pool *)array_of(&f, s->pools_off))->hello = 3);
	BAD(((struct policy_pool *)array_of(&f, s->pools_off))->n_servers = 2);
	BAD(((struct policy_pool *)array_of(&f, s->pools_off))->first_server = UINT32_MAX);
	BAD(((struct policy_pool *)array_of(&f, s->pools_off))->fallback_pool = 1);
	BAD(((struct policy_domain *)array_of(&f, s->domains_off))->name = far);
	BAD(((struct policy_domain *)array_of(&f, s->domains_off))->pool = 1);
	BAD(((struct policy_domain *)array_of(&f, s->domains_off))->kind = 2);
	BAD(((struct policy_list *)array_of(&f, s->lists_off))->name = far);
	BAD(((struct policy_list *)array_of(&f, s->lists_off))->verdict = VERDICT_GREY);
	BAD(((struct policy_list *)array_of(&f, s->lists_off))->verdict = VERDICT_N_KINDS);
	BAD(((struct policy_list *)array_of(&f, s->lists_off))->verify_share = 101);
	BAD(((struct policy_list *)array_of(&f, s->lists_off))->reason = REASON_N);
	BAD(((struct policy_list *)array_of(&f, s->lists_off))->pool = 1);
	BAD(s->n_lists = 0);                   /* the table still names one */
	BAD(f.parts[0].kind = IMAGE_PATTERNS); /* the settings are missing */
	BAD(f.parts[2].kind = IMAGE_PATTERNS); /* an address table is none */
	BAD(f.parts[0].kind = IMAGE_N_KINDS);
	BAD(f.parts[0].kind = IMAGE_STRINGS); /* twice, and no settings */
	BAD(f.parts[0].base = (const char *)f.parts[0].base + 8);
	BAD(f.n_parts--); /* the domain index, last */
	BAD(f.n_parts = 1);
	BAD(f.n_parts = 0);
	BAD(f.parts[1].len--; ((char *)(uintptr_t)f.parts[1].base)[f.parts[1].len - 1] = 'x');
	BAD(f.parts[1].len = 0);
	BAD(((char *)(uintptr_t)f.parts[1].base)[0] = 'x');
}

static void test_cut_short(void **state)
{
	struct fixture f;

	(void)state;
	fill(&f);
	for (unsigned i = 0; i < f.n_parts; i++) {
		size_t len = f.parts[i].len;

		if (f.parts[i].kind == IMAGE_STRINGS)
			continue; /* zeros at the end: a shorter one may be whole */
		for (size_t cut = 0; cut < len; cut += cut < 2048 ? 7 : len / 50 + 1) {
			if (f.parts[i].kind == IMAGE_SETTINGS && cut > len - 64)
				break; /* only padding is cut */
			f.parts[i].len = cut;
			assert_int_equal(reopen(&f), -EBADMSG);
		}
		f.parts[i].len = len;
	}
	assert_int_equal(reopen(&f), 0);
	fixture_end(&f);
}

/*
 * Bytes overwritten at random: the image opens or does not, and whatever opens can be asked
 * anything. Reading outside shows under AddressSanitizer, since each part is its own allocation.
 */
static void test_random_damage(void **state)
{
	uint64_t rng = 1;
	unsigned opened = 0, refused = 0;

	(void)state;
	for (unsigned round = 0; round < 800; round++) {
		static struct fixture f;
		static uint8_t clients[128][16];
		static struct verdict verdicts[128];
		struct facts facts = { .rcpt = { "a@example.org", 13 } };
		const char *error;
		struct policy *p;
		uint8_t saved[4096];
		unsigned part, n_hits;
		size_t window, len;
		uint8_t *base;

		if (round == 0) {
			unsigned list;

			fixture_begin(&f);
			list = fixture_list(&f, VERDICT_DROP, 0);
			for (unsigned i = 0; i < 3000; i++) {
				uint8_t a[16];

				client6(a, (uint16_t)(i / 40), (uint16_t)(i * 7));
				a[9] = (uint8_t)(i % 3);
				image_writer_v4(f.w, list, 0xcb007100 + i * 5, 32 - i % 3 * 2);
				image_writer_v6(f.w, list, a, i % 2 ? 128 : 64 + i % 64);
				a[6] = (uint8_t)i;
				image_writer_v6(f.w, list, a, 56);
			}
			image_writer_domain(f.w, "example.org", DOMAIN_SUBDOMAINS, 0, 0);
			fixture_open(&f);
		}
		rng = rng * 6364136223846793005ull + 1442695040888963407ull;
		part = (unsigned)(rng >> 33) % f.n_parts;
		base = (uint8_t *)(uintptr_t)f.parts[part].base;
		len = f.parts[part].len;
		/* mostly where the structure is: the first pages, and the last */
		window = (rng >> 40) % 3 == 0 ? 0 : (rng >> 42) % len;
		if ((rng >> 50) % 3 == 0)
			window = len;
		if (window + sizeof(saved) > len)
			window = len > sizeof(saved) ? len - sizeof(saved) : 0;
		memcpy(saved, base + window, len < sizeof(saved) ? len : sizeof(saved));
		n_hits = 1 + (rng >> 55) % 8;
		for (unsigned i = 0; i < n_hits; i++) {
			size_t room = len < sizeof(saved) ? len : sizeof(saved);

			rng = rng * 6364136223846793005ull + 1442695040888963407ull;
			base[window + (rng >> 33) % room] =
			    rng >> 20 & 1 ? (uint8_t)(rng >> 24) : 0xff;
		}
		if (policy_open(f.parts, f.n_parts, 1, &p, &error) == 0) {
			unsigned pool, tenant;

			opened++;
			for (unsigned i = 0; i < 128; i++) {
				if (i % 2)
					client4(clients[i],
					    0xcb007100 + (uint32_t)(rng >> 30) % 15000 + i);
				else
					client6(clients[i], (uint16_t)(i + (rng >> 30) % 75),
					    (uint16_t)(i * 7));
				clients[i][9] = i % 2 ? 0 : (uint8_t)(i % 3);
				if (i % 2 == 0)
					clients[i][6] = (uint8_t)(rng >> 35 & i);
			}
			policy_judge_syns(p, (const uint8_t(*)[16])clients, 128, 0, verdicts);
			for (unsigned i = 0; i < 128; i++)
				assert_true(verdicts[i].kind < VERDICT_N_KINDS);
			policy_judge(p, PHASE_RCPT, &facts, &(struct tally){ 0 });
			policy_route_domain(p, text_of("a.b.example.org"), &pool, &tenant);
			policy_close(p);
		} else {
			refused++;
		}
		memcpy(base + window, saved, len < sizeof(saved) ? len : sizeof(saved));
		if (round == 799)
			fixture_end(&f);
	}
	/* the damage was neither always harmless nor always noticed */
	assert_true(opened > 50);
	assert_true(refused > 50);
}

static void test_route_domain(void **state)
{
	struct policy_pool second = { .n_servers = 1, .fallback_pool = 0xffff };
	unsigned pool, tenant;
	struct fixture f;
	char deep[256];

	(void)state;
	fixture_begin(&f);
	assert_int_equal(image_writer_pool(f.w, &second), 1);
	image_writer_domain(f.w, "example.org", DOMAIN_EXACT, 0, 1);
	image_writer_domain(f.w, "example.org", DOMAIN_SUBDOMAINS, 1, 2);
	image_writer_domain(f.w, "b.example.org", DOMAIN_SUBDOMAINS, 0, 3);
	image_writer_domain(f.w, "only.example.net", DOMAIN_EXACT, 1, 4);
	fixture_open(&f);

	assert_int_equal(policy_route_domain(f.p, text_of("eXample.Org"), &pool, &tenant), 0);
	assert_int_equal(pool * 10 + tenant, 1);
	assert_int_equal(policy_route_domain(f.p, text_of("x.example.org"), &pool, &tenant), 0);
	assert_int_equal(pool * 10 + tenant, 12);
	/* `subdomains` is not the name itself: its parent's serves b.example.org */
	assert_int_equal(policy_route_domain(f.p, text_of("b.example.org"), &pool, &tenant), 0);
	assert_int_equal(pool * 10 + tenant, 12);
	/* the longest parent */
	assert_int_equal(policy_route_domain(f.p, text_of("a.x.b.example.org"), &pool, &tenant), 0);
	assert_int_equal(pool * 10 + tenant, 3);
	assert_int_equal(policy_route_domain(f.p, text_of("only.example.net"), &pool, &tenant), 0);
	pool = 77;
	assert_int_equal(
	    policy_route_domain(f.p, text_of("x.only.example.net"), &pool, &tenant), -ENOENT);
	assert_int_equal(
	    policy_route_domain(f.p, text_of("notexample.org"), &pool, &tenant), -ENOENT);
	assert_int_equal(policy_route_domain(f.p, text_of("org"), &pool, &tenant), -ENOENT);
	assert_int_equal(policy_route_domain(f.p, text_of("example.org."), &pool, &tenant), -ENOENT);
	assert_int_equal(policy_route_domain(f.p, text_of("."), &pool, &tenant), -ENOENT);
	assert_int_equal(pool, 77); /* untouched */
	/* a zero byte is no way out of a comparison */
	assert_int_equal(
	    policy_route_domain(f.p, (struct text){ "example.org\0x", 13 }, &pool, &tenant),
	    -ENOENT);
	/* bare <Postmaster>: the default pool, else pool 0 */
	assert_int_equal(policy_route_domain(f.p, text_of(""), &pool, &tenant), 0);
	assert_int_equal(pool, 0);
	/* as many labels as fit, and a name beyond 255 bytes */
	memset(deep, 'a', sizeof(deep));
	for (unsigned i = 1; i < 240; i += 2)
		deep[i] = '.';
	memcpy(deep + 240, "example.org", 12);
	assert_int_equal(policy_route_domain(f.p, text_of(deep), &pool, &tenant), 0);
	assert_int_equal(pool * 10 + tenant, 12);
	memset(deep, 'a', sizeof(deep));
	assert_int_equal(
	    policy_route_domain(f.p, (struct text){ deep, 256 }, &pool, &tenant), -ENOENT);
	fixture_end(&f);

	fixture_begin(&f);
	image_writer_pool(f.w, &second);
	image_writer_settings(f.w)->default_pool = 1;
	fixture_open(&f);
	assert_int_equal(policy_route_domain(f.p, text_of("anything.example"), &pool, &tenant), 0);
	assert_int_equal(pool, 1);
	assert_int_equal(policy_route_domain(f.p, text_of(""), &pool, &tenant), 0);
	assert_int_equal(pool, 1);
	fixture_end(&f);
}

static void test_many_domains(void **state)
{
	enum { N = 100000 };
	struct fixture f;
	char name[64];

	(void)state;
	fixture_begin(&f);
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		assert_true(image_writer_domain(f.w, name, DOMAIN_EXACT, 0, i % 1000) >= 0);
	}
	fixture_open(&f);
	for (unsigned i = 0; i < N; i++) {
		unsigned pool, tenant;

		snprintf(name, sizeof(name), "D%u.example", i);
		assert_int_equal(policy_route_domain(f.p, text_of(name), &pool, &tenant), 0);
		assert_int_equal(tenant, i % 1000);
	}
	assert_int_equal(
	    policy_route_domain(f.p, text_of("d100000.example"), &(unsigned){ 0 }, &(unsigned){ 0 }),
	    -ENOENT);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_route_domain),
		cmocka_unit_test(test_many_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
