/* SPDX-License-Identifier: BSD-3-Clause */
/* What is compiled is opened again the way the dataplane does, and asked. */
#include "compile.h"

#include "filters/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct image *compile(const char *text, uint32_t epoch, const char *wanted)
{
	struct complaints complaints;
	struct image *image = NULL;
	complaints_init(&complaints);
	struct config *c = config_parse("a.yaml", text, strlen(text), &complaints);
	if (c != NULL)
		image = image_compile(c, epoch, NULL, &complaints);
	char *wrong = complaints_text(&complaints);
	assert_string_equal(wrong, wanted);
	free(wrong);
	config_free(c);
	complaints_fini(&complaints);
	return image;
}

static struct policy *open_policy(const struct image *image)
{
	struct policy *policy = NULL;
	const char *why = NULL;
	if (policy_open(image->parts, image->n_parts, image->header.epoch, &policy, &why) != 0)
		fail_msg("policy_open: %s", why);
	return policy;
}

static struct text text_of(const char *s)
{
	return (struct text){ s, (uint16_t)strlen(s) };
}

static void client(const char *text, uint8_t ret_addr[16])
{
	assert_null(inet_parse_address(text, strlen(text), ret_addr));
}

static void the_example_compiles(void **state)
{
	struct complaints complaints;
	(void)state;
	complaints_init(&complaints);
	struct image *image =
	    image_from_file(POSTERN_EXAMPLES "/appliance.yaml", 7, NULL, &complaints);
	char *wrong = complaints_text(&complaints);
	assert_string_equal(wrong, "");
	assert_non_null(image);
	free(wrong);
	complaints_fini(&complaints);
	assert_int_equal(image->header.epoch, 7);
	struct policy *p = open_policy(image);
	const struct policy_settings *s = policy_settings(p);
	assert_int_equal(policy_epoch(p), 7);
	assert_int_equal(s->host.workers, 1);
	assert_int_equal(s->host.n_ports, 2);
	assert_string_equal(
	    policy_string(p, s->host.ports[1].device), "net_af_packet1,iface=inside");
	assert_int_equal(s->host.n_eal, 4);
	assert_string_equal(policy_string(p, s->host.eal[2]), "512");
	assert_int_equal(s->host.n_netifs, 2);
	assert_int_equal(s->host.n_addrs, 4);
	assert_int_equal(s->host.addrs[0].prefix_len, 24);
	assert_int_equal(s->host.addrs[3].backends_only, 1);
	assert_int_equal(s->host.addrs[3].netif, 1);
	assert_int_equal(s->host.addrs[3].worker, -1);
	assert_int_equal(s->host.n_routes, 2);
	assert_int_equal(s->host.routes[1].prefix_len, 0);
	assert_string_equal(policy_string(p, s->smtp.hostname), "mx.example.org");
	assert_int_equal(s->smtp.bare_newline, BARE_REJECT);
	assert_int_equal(s->limits.message_size, 52428800);
	assert_int_equal(s->n_listeners, 1);
	assert_int_equal(s->listeners[0].any, 1);
	assert_int_equal(s->listeners[0].port, 25);
	assert_int_equal(s->default_pool, -1);
	const struct policy_pool *pool = policy_pool(p, 0);
	assert_int_equal(pool->hello, HELLO_PROXY_V2);
	assert_int_equal(pool->n_servers, 1);
	assert_int_equal(pool->fallback_pool, 0xffff);
	assert_int_equal(policy_server(p, pool->first_server)->port, 25);
	unsigned index, tenant;
	assert_int_equal(policy_route_domain(p, text_of("Example.ORG"), &index, &tenant), 0);
	assert_true(policy_route_domain(p, text_of("sub.example.org"), &index, &tenant) < 0);
	policy_close(p);
	image_free(image);
}

#define HEAD                                                                                       \
	"version: 1\n"                                                                             \
	"host:\n"                                                                                  \
	"  workers: 2\n"                                                                           \
	"  ports: [{name: a, device: net_ring0}]\n"                                                \
	"  interfaces:\n"                                                                          \
	"    - {port: a, addresses: [192.0.2.25/24, \"2001:db8:1::25/64\"]}\n"                     \
	"    - {port: a, backends_only: true, addresses: [192.0.2.26/24, 192.0.2.27/24]}\n"        \
	"  routes: [{to: 198.51.100.0/24, via: 192.0.2.1}, {to: default, via: "                    \
	"\"2001:db8:1::1\"}]\n"                                                                    \
	"smtp: {hostname: mx.example.org, bare_newline: disconnect, starttls: pass}\n"             \
	"listeners: [{name: mx, address: \"2001:db8:1::25\", port: 2525}]\n"                       \
	"pools:\n"                                                                                 \
	"  - {name: one, hello: none, fallback: two, servers: [{name: m1, address: "               \
	"198.51.100.10}]}\n"                                                                       \
	"  - {name: two, hello: xclient, servers: [{name: m2, address: 192.0.2.99, port: 26},"     \
	" {name: m3, address: \"2001:db8:9::1\"}]}\n"                                              \
	"domains: [{domain: example.org, pool: two, subdomains: true}]\n"                          \
	"default_pool: one\n"

static void words_become_what_the_dataplane_knows(void **state)
{
	struct image *image = compile(HEAD, 1, "");
	struct policy *p = open_policy(image);
	const struct policy_settings *s = policy_settings(p);
	unsigned index, tenant;
	(void)state;
	/* interfaces that differ in backends_only alone are one netif; an address for each worker
	 */
	assert_int_equal(s->host.n_netifs, 1);
	assert_int_equal(s->host.n_addrs, 4);
	assert_int_equal(s->host.addrs[0].worker, -1);
	assert_int_equal(s->host.addrs[2].worker, 0);
	assert_int_equal(s->host.addrs[3].worker, 1);
	assert_int_equal(s->host.routes[0].prefix_len, 24);
	assert_int_equal(s->smtp.bare_newline, BARE_DISCONNECT);
	assert_int_equal(s->smtp.starttls, STARTTLS_PASS);
	assert_int_equal(s->listeners[0].any, 0);
	assert_int_equal(s->listeners[0].port, 2525);
	assert_int_equal(s->listeners[0].addr[15], 0x25);
	assert_int_equal(s->n_pools, 2);
	assert_int_equal(s->n_servers, 3);
	assert_int_equal(policy_pool(p, 0)->hello, HELLO_NONE);
	assert_int_equal(policy_pool(p, 0)->fallback_pool, 1);
	assert_int_equal(policy_pool(p, 1)->hello, HELLO_XCLIENT);
	assert_int_equal(policy_pool(p, 1)->first_server, 1);
	assert_int_equal(policy_pool(p, 1)->n_servers, 2);
	assert_int_equal(policy_server(p, 1)->port, 26);
	assert_int_equal(policy_route_domain(p, text_of("a.b.example.org"), &index, &tenant), 0);
	assert_int_equal(index, 1);
	assert_int_equal(policy_route_domain(p, text_of("example.net"), &index, &tenant), 0);
	assert_int_equal(index, 0);
	policy_close(p);
	image_free(image);
}

static void lists_become_verdicts(void **state)
{
	static const struct {
		const char *client;
		enum verdict_kind verdict;
	} cases[] = {
		{ "203.0.113.1", VERDICT_PASS },
		{ "203.0.113.2", VERDICT_DROP },
		{ "203.0.113.9", VERDICT_TARPIT },
		{ "203.0.113.12", VERDICT_NONE },
		{ "198.51.100.77", VERDICT_REFUSE },
		{ "198.51.100.78", VERDICT_NONE },
		{ "2001:db8:bad::7", VERDICT_TRAP },
		{ "2001:db8:bae::7", VERDICT_NONE },
		{ "2001:db8:cab::1", VERDICT_RESET },
	};
	char folder[] = "/tmp/postern-compile-XXXXXX", list[64], text[4096];
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(list, sizeof(list), "%s/x.list", folder);
	FILE *f = fopen(list, "w");
	assert_non_null(f);
	fputs("198.51.100.77 # from a file\n", f);
	assert_int_equal(fclose(f), 0);
	snprintf(text, sizeof(text),
	    HEAD "lists:\n"
		 "  - {name: l1, action: pass, entries: [203.0.113.1]}\n"
		 "  - {name: l2, action: drop, entries: [203.0.113.0/29]}\n"
		 "  - {name: l3, action: tarpit, tarpit_pace_ms: 700, entries: "
		 "[203.0.113.8-203.0.113.11]}\n"
		 "  - {name: l4, action: refuse, verify_share: 3, file: %s}\n"
		 "  - {name: l5, action: trap, entries: [\"2001:db8:bad::/48\"]}\n"
		 "  - {name: l6, action: reset, entries: [\"2001:db8:cab::1\"]}\n",
	    list);
	struct image *image = compile(text, 1, "");
	struct policy *p = open_policy(image);
	assert_int_equal(image->n_addresses, 6);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t addr[16];
		client(cases[i].client, addr);
		const struct policy_list *l = policy_list_of(p, addr, 0);
		enum verdict_kind verdict = l == NULL ? VERDICT_NONE : l->verdict;
		if (verdict != cases[i].verdict)
			fail_msg("%s: %s", cases[i].client, verdict_words[verdict]);
	}
	uint8_t syn[1][16];
	struct verdict verdict;
	client("203.0.113.2", syn[0]);
	policy_judge_syns(p, (const uint8_t(*)[16])syn, 1, 0, &verdict);
	assert_int_equal(verdict.kind, VERDICT_DROP);
	assert_int_equal(verdict.reason, REASON_LISTED);
	uint8_t addr[16];
	client("203.0.113.9", addr);
	assert_int_equal(policy_list_of(p, addr, 0)->tarpit_pace_ms, 700);
	client("198.51.100.77", addr);
	assert_int_equal(policy_list_of(p, addr, 0)->verify_share, 3);
	policy_close(p);
	image_free(image);
	unlink(list);
	rmdir(folder);
}

static void classes_of_shaping(void **state)
{
	(void)state;
	struct image *image = compile(HEAD
	    "shaping:\n  classes:\n"
	    "  - {name: slow, from_score: 300, pace_bytes: 2, pace_ms: 700, stutter_ms: 9000, "
	    "window_bytes: 4096}\n"
	    "  - {name: all}\n",
	    1, "");
	struct policy *p = open_policy(image);
	const struct policy_shape *shape = &policy_settings(p)->shape;

	assert_int_equal(shape->teaser, 0);
	assert_int_equal(shape->n_classes, 2);
	assert_string_equal(policy_string(p, shape->classes[0].name), "slow");
	assert_int_equal(shape->classes[0].from_score, 300);
	assert_int_equal(shape->classes[0].pace_bytes, 2);
	assert_int_equal(shape->classes[0].pace_ms, 700);
	assert_int_equal(shape->classes[0].stutter_ms, 9000);
	assert_int_equal(shape->classes[0].window_bytes, 4096);
	assert_int_equal(shape->classes[1].pace_bytes, 0);
	policy_close(p);
	image_free(image);
}

static void shaping_that_cannot_work_is_named(void **state)
{
	(void)state;
	assert_null(compile(HEAD "shaping: {teaser: true}\n", 1,
	    "a.yaml:16:19: shaping.teaser: nothing would be between it and the greeting; allowed: "
	    "true "
	    "with smtp.greet_delay_ms above 0, or false\n"));
	assert_null(compile(HEAD "shaping:\n  classes:\n  - {name: x, window_bytes: 100}\n", 1,
	    "a.yaml:18:29: shaping.classes.window_bytes: a command line would not fit into "
	    "\"100\"; "
	    "allowed: 0, or a number from 4096\n"));
}

static void a_list_file_that_is_not_there_is_named(void **state)
{
	(void)state;
	assert_null(compile(HEAD "lists:\n  - {name: l1, action: drop, file: nonexistent/x.list}\n",
	    1,
	    "a.yaml:17:36: lists.file: \"nonexistent/x.list\" cannot be read: No such file or "
	    "directory; "
	    "allowed: a readable file, beside the configuration unless its path is absolute\n"));
}

static void the_same_gives_the_same_parts_whatever_the_epoch(void **state)
{
	struct image *a = compile(HEAD, 1, ""), *b = compile("# a comment\n" HEAD, 2, "");
	struct image *c = compile(HEAD "limits: {errors: 21}\n", 1, "");
	(void)state;
	assert_true(image_same(a, b));
	assert_false(image_same(a, c));
	/* one number differs: the other parts are not sent again */
	unsigned same = 0;
	for (unsigned i = 0; i < a->n_parts; i++)
		same += memcmp(a->header.parts[i].sha256, c->header.parts[i].sha256,
			    IMAGE_HASH_LEN) == 0;
	assert_int_equal(same, a->n_parts - 1);
	assert_int_equal(image_renumber(b, 9), 0);
	assert_int_equal(b->header.epoch, 9);
	image_free(a);
	image_free(b);
	image_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_compiles),
		cmocka_unit_test(words_become_what_the_dataplane_knows),
		cmocka_unit_test(lists_become_verdicts),
		cmocka_unit_test(classes_of_shaping),
		cmocka_unit_test(shaping_that_cannot_work_is_named),
		cmocka_unit_test(a_list_file_that_is_not_there_is_named),
		cmocka_unit_test(the_same_gives_the_same_parts_whatever_the_epoch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
