/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `dns`: each mistake is told with file, line and what is allowed; what is right becomes
 * the policy, opened as the dataplane opens it. */
#include "compile.h"

#include "filters/dnslist.h"
#include "filters/nameset.h"
#include "filters/policy.h"
#include "filters/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `dns:` is line 15 */
#define HEAD                                                                                       \
	"version: 1\n"                                                                             \
	"host:\n"                                                                                  \
	"  ports: [{name: a, device: net_ring0}]\n"                                                \
	"  interfaces:\n"                                                                          \
	"    - {port: a, addresses: [192.0.2.25/24]}\n"                                            \
	"  routes: [{to: default, via: 192.0.2.1}]\n"                                              \
	"smtp:\n"                                                                                  \
	"  hostname: mx.example.org\n"                                                             \
	"listeners: [{name: mx, port: 25}]\n"                                                      \
	"pools:\n"                                                                                 \
	"  - name: main\n"                                                                         \
	"    servers: [{name: m1, address: 198.51.100.10}]\n"                                      \
	"domains: [{domain: example.org, pool: main}]\n"                                           \
	"default_pool: \"\"\n"

static struct image *compile(const char *dns, char **ret_wrong)
{
	struct complaints complaints;
	struct image *image = NULL;
	struct config *c;
	char text[4096];
	int len = snprintf(text, sizeof(text), HEAD "%s", dns);

	assert_in_range(len, 1, sizeof(text) - 1);
	complaints_init(&complaints);
	c = config_parse("a.yaml", text, (size_t)len, &complaints);
	*ret_wrong = complaints_text(&complaints);
	if (c && **ret_wrong == '\0') {
		free(*ret_wrong);
		image = image_compile(c, 1, NULL, &complaints);
		*ret_wrong = complaints_text(&complaints);
	}
	config_free(c);
	complaints_fini(&complaints);
	return image;
}

static struct policy *policy_of(const char *dns, struct image **ret_image)
{
	struct policy *p = NULL;
	const char *why = NULL;
	char *wrong;

	*ret_image = compile(dns, &wrong);
	assert_string_equal(wrong, "");
	free(wrong);
	assert_non_null(*ret_image);
	if (policy_open((*ret_image)->parts, (*ret_image)->n_parts, 1, &p, &why) != 0)
		fail_msg("policy_open: %s", why);
	return p;
}

/* ---- mistakes ---- */

#define LIST(rest)                                                                                 \
	"dns:\n"                                                                                   \
	"  recursors: [{address: 127.0.0.1}]\n"                                                    \
	"  lists:\n"                                                                               \
	"    - name: bl\n"                                                                         \
	"      zone: bl.example\n" rest
#define ANSWER_FORM                                                                                \
	"is no answer: write 127.0.0.2, 127.0.0.2-11, 127.0.*.3, 127.0.0.0/24, or 127.0.0.&6 for " \
	"bits of the last octet"

static void mistakes_are_told(void **state)
{
	static const struct {
		const char *dns, *wrong; /* all of it; ending in `*`: how it begins */
	} rows[] = {
		{ "dns:\n  recursors: [{port: 53}]\n",
		    "a.yaml:16:15: dns.recursors.address is missing; allowed: *" },
		{ "dns:\n  recursors: [{address: ns.example.net}]\n",
		    "a.yaml:16:25: dns.recursors.address: \"ns.example.net\" is not an address*" },
		{ "dns:\n  recursors: [{address: 127.0.0.1, port: 70000}]\n",
		    "a.yaml:16:42: dns.recursors.port: \"70000\" is out of range; allowed: a "
		    "number "
		    "from 1 to 65535\n" },
		{ "dns:\n  lists: [{name: bl}]\n",
		    "a.yaml:16:11: dns.lists.zone is missing; allowed: a domain name*" },
		{ LIST("      kind: grey\n"),
		    "a.yaml:20:13: dns.lists.kind: \"grey\" is not one of the words; allowed: "
		    "spam, "
		    "dynamic, bad-admin, backscatter, white or country\n" },
		{ LIST("      probe: maybe\n"), "a.yaml:20:14: dns.lists.probe: \"maybe\" is not "
						"one of the words; allowed: auto, "
						"both, unlisted or none\n" },
		{ LIST("      late: wait\n"), "a.yaml:20:13: dns.lists.late: \"wait\" is not one "
					      "of the words; allowed: open or "
					      "defer\n" },
		{ LIST("      timeout_ms: 99\n"),
		    "a.yaml:20:19: dns.lists.timeout_ms: \"99\" is out of range; allowed: a number "
		    "from 100 to 30000\n" },
		{ LIST("      timeout_ms: 30001\n"), "a.yaml:20:19: dns.lists.timeout_ms: "
						     "\"30001\" is out of range; allowed: a number "
						     "from 100 to 30000\n" },
		{ LIST("      answers: [127.0.0.2, 127.0.0]\n"),
		    "a.yaml:20:28: dns.lists.answers: \"127.0.0\" " ANSWER_FORM "\n" },
		{ LIST("      answers: [192.0.2.1]\n"),
		    "a.yaml:20:17: dns.lists.answers: \"192.0.2.1\" does not lie in 127.0.0.0/8, "
		    "so it "
		    "could never be a listing (RFC 5782 2.1)\n" },
		{ LIST("      kind: white\n      action: refuse\n"),
		    "a.yaml:21:15: dns.lists.action: \"refuse\" for a white list; allowed: score, "
		    "pass, "
		    "mark\n" },
		{ LIST("    - {name: bl, zone: other.example}\n"),
		    "a.yaml:20:14: dns.lists.name: \"bl\"*" },
		{ "dns:\n  spf_forwarders: [\"a b.example.net\"]\n",
		    "a.yaml:16:20: dns.spf_forwarders: \"a b.example.net\": *" },
		{ "checks:\n  helo_ours: {action: refuse}\n",
		    "a.yaml:16:23: checks.helo_*.action: \"refuse\": a HELO name refuses nobody by "
		    "itself (RFC 5321 4.1.4); allowed: score, mark\n" },
		{ "dns:\n  cache: 32\n", "a.yaml:16:3: unknown key \"cache\" in dns; allowed: *" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].wrong);
		bool begins = rows[i].wrong[len - 1] == '*';
		struct image *image;
		char *wrong;

		image = compile(rows[i].dns, &wrong);
		if (image)
			fail_msg("row %u: nothing wrong", i);
		if (begins ? strncmp(wrong, rows[i].wrong, len - 1) != 0
			   : strcmp(wrong, rows[i].wrong) != 0)
			fail_msg("row %u:\n%s\nnot\n%s", i, wrong, rows[i].wrong);
		assert_non_null(strstr(wrong, ": ")); /* and it says what to do */
		free(wrong);
	}
}

/* More than the facts have bits for. */
static void lists_have_a_bound(void **state)
{
	char dns[4096] = "dns:\n  lists:\n";
	size_t at = strlen(dns);
	struct image *image;
	char *wrong;

	(void)state;
	for (unsigned i = 0; i <= POLICY_MAX_DNS_LISTS; i++)
		at += (size_t)snprintf(
		    dns + at, sizeof(dns) - at, "    - {name: l%u, zone: l%u.example}\n", i, i);
	image = compile(dns, &wrong);
	assert_null(image);
	assert_non_null(strstr(wrong, "a.yaml:"));
	assert_non_null(strstr(wrong, "dns.lists"));
	assert_non_null(strstr(wrong, "32"));
	free(wrong);
	dns[at = (size_t)(strstr(dns, "    - {name: l32") - dns)] = '\0';
	image = compile(dns, &wrong);
	assert_string_equal(wrong, "");
	assert_non_null(image);
	free(wrong);
	image_free(image);
}

/* ---- what it becomes ---- */

static void a_list_becomes_a_row_and_a_rule(void **state)
{
	static const uint8_t two[4] = { 127, 0, 0, 2 }, six[4] = { 127, 0, 0, 6 },
			     ten[4] = { 127, 0, 0, 10 };
	const struct policy_dns_list *list;
	const struct policy_rule *rule;
	const struct policy_dns *dns;
	struct image *image;
	struct policy *p = policy_of(LIST("      kind: bad-admin\n"
					  "      family: both\n"
					  "      answers: [127.0.0.2, \"127.0.0.&4\"]\n"
					  "      timeout_ms: 1234\n"
					  "      late: defer\n"
					  "      state: 25%\n"
					  "      weight: 150\n"
					  "      action: refuse\n"
					  "    - {name: wl, zone: wl.example, kind: white, "
					  "state: off, action: pass, weight: -200}\n"),
	    &image);

	(void)state;
	dns = &policy_settings(p)->dns;
	assert_int_equal(dns->n_lists, 2);
	list = &dns->lists[0];
	rule = policy_rule(p, list->rule);
	assert_string_equal(policy_string(p, list->name), "bl");
	assert_string_equal(policy_string(p, list->zone), "bl.example");
	assert_string_equal(policy_string(p, rule->name), "dns.bl");
	assert_int_equal(list->kind, DNS_LIST_BAD_ADMIN);
	assert_int_equal(list->families, DNS_V4 | DNS_V6);
	assert_int_equal(list->timeout_ms, 1234);
	assert_int_equal(list->late, DNS_LATE_DEFER);
	assert_int_equal(dnslist_judge(list, &two, 1), DNSLIST_HIT);
	assert_int_equal(dnslist_judge(list, &six, 1), DNSLIST_HIT);
	assert_int_equal(dnslist_judge(list, &ten, 1), DNSLIST_MISS);
	assert_int_equal(rule->kind, RULE_DNS);
	assert_int_equal(rule->reason, REASON_DNS_LISTED);
	assert_int_equal(rule->state, RULE_ENFORCE);
	assert_int_equal(rule->share, 25);
	assert_int_equal(rule->weight, 150);
	assert_int_equal(rule->action, VERDICT_REFUSE);
	rule = policy_rule(p, dns->lists[1].rule);
	assert_int_equal(dns->lists[1].kind, DNS_LIST_WHITE);
	assert_int_equal(dns->lists[1].families, DNS_V4); /* the defaults */
	assert_int_equal(dns->lists[1].late, DNS_LATE_OPEN);
	assert_int_equal(rule->state, RULE_OFF);
	assert_int_equal(rule->action, VERDICT_PASS);
	assert_int_equal(rule->weight, -200);
	policy_close(p);
	image_free(image);
}

static void probes_follow_the_kind(void **state)
{
	static const struct {
		const char *words;
		enum policy_dns_probe probe;
	} rows[] = {
		{ "", DNS_PROBE_BOTH },
		{ ", kind: white", DNS_PROBE_BOTH },
		{ ", kind: country", DNS_PROBE_UNLISTED },
		{ ", kind: country, probe: both", DNS_PROBE_BOTH },
		{ ", probe: unlisted", DNS_PROBE_UNLISTED },
		{ ", probe: none", DNS_PROBE_NONE },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct image *image;
		struct policy *p;
		char dns[256];

		snprintf(dns, sizeof(dns), "dns:\n  lists: [{name: a, zone: a.example%s}]\n",
		    rows[i].words);
		p = policy_of(dns, &image);
		assert_int_equal(policy_settings(p)->dns.lists[0].probe, rows[i].probe);
		policy_close(p);
		image_free(image);
	}
}

static void the_rest_of_the_section(void **state)
{
	struct text host = { "out.forward.example.net", 23 };
	const struct policy_dns *dns;
	struct image *image;
	struct policy *p =
	    policy_of("dns:\n"
		      "  recursors: [{address: 127.0.0.1}, {address: \"::1\", port: 5353}]\n"
		      "  host: false\n"
		      "  spf_timeout_ms: 20001\n"
		      "  spf_forwarders: [.forward.example.net]\n"
		      "  probe_interval_s: 77\n",
		&image);

	(void)state;
	dns = &policy_settings(p)->dns;
	assert_int_equal(dns->n_recursors, 2);
	assert_int_equal(dns->recursors[0].addr[12], 127);
	assert_int_equal(dns->recursors[0].port, 53);
	assert_int_equal(dns->recursors[1].addr[15], 1);
	assert_int_equal(dns->recursors[1].port, 5353);
	assert_false(dns->host);
	assert_true(dns->sender && dns->spf);
	assert_int_equal(dns->spf_timeout_ms, 20001);
	assert_int_equal(dns->sender_timeout_ms, 5000);
	assert_int_equal(dns->probe_interval_s, 77);
	assert_int_equal(dns->attempts, 3);
	assert_true(nameset_find(policy_namesets(p), dns->forwarders, host, 1, NULL));
	host.len -= 4;
	assert_false(nameset_find(policy_namesets(p), dns->forwarders, host, 1, NULL));
	policy_close(p);
	image_free(image);
}

/* Sessions outlive a policy: rows that mean something else have another version, and only they. */
static void the_version_tells_whether_rows_are_the_same(void **state)
{
	static const struct {
		const char *words;
		bool same;
	} rows[] = {
		{ "zone: a.example", true },
		{ "zone: a.example, weight: 300, state: shadow, timeout_ms: 500", true },
		{ "zone: a.example, probe: none", true },
		{ "zone: b.example", false },
		{ "zone: a.example, kind: white", false },
		{ "zone: a.example, answers: [127.0.0.3]", false },
		{ "zone: a.example}, {name: b, zone: b.example", false },
	};
	uint32_t first = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct image *image;
		struct policy *p;
		char dns[256];

		snprintf(dns, sizeof(dns), "dns:\n  lists: [{name: a, %s}]\n", rows[i].words);
		p = policy_of(dns, &image);
		if (i == 0)
			first = policy_settings(p)->dns.version;
		assert_int_equal(policy_settings(p)->dns.version == first, rows[i].same);
		policy_close(p);
		image_free(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(lists_have_a_bound),
		cmocka_unit_test(a_list_becomes_a_row_and_a_rule),
		cmocka_unit_test(probes_follow_the_kind),
		cmocka_unit_test(the_rest_of_the_section),
		cmocka_unit_test(the_version_tells_whether_rows_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
