/* SPDX-License-Identifier: BSD-3-Clause */
/* One small good configuration; each case changes one thing in it and states every complaint. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A table of texts, each line as the file has it. */
/* clang-format off */
static const char good[] = "version: 1\n"                                         /* line 1 */
			   "host:\n"                                              /* 2 */
			   "  workers: 2\n"                                       /* 3 */
			   "  ports:\n"                                           /* 4 */
			   "    - {name: outside, device: net_ring0}\n"           /* 5 */
			   "    - {name: inside, device: net_ring1}\n"            /* 6 */
			   "  interfaces:\n"                                      /* 7 */
			   "    - port: outside\n"                                /* 8 */
			   "      addresses: [192.0.2.25/24, \"2001:db8:1::25/64\"]\n" /* 9 */
			   "    - port: inside\n"                                 /* 10 */
			   "      backends_only: true\n"                          /* 11 */
			   "      addresses: [198.51.100.2/24]\n"                 /* 12 */
			   "  routes:\n"                                          /* 13 */
			   "    - {to: default, via: 192.0.2.1}\n"                /* 14 */
			   "smtp:\n"                                              /* 15 */
			   "  hostname: mx.example.org\n"                         /* 16 */
			   "listeners:\n"                                         /* 17 */
			   "  - {name: mx, port: 25}\n"                           /* 18 */
			   "pools:\n"                                             /* 19 */
			   "  - name: main\n"                                     /* 20 */
			   "    servers:\n"                                       /* 21 */
			   "      - {name: mail1, address: 198.51.100.10}\n"      /* 22 */
			   "domains:\n"                                           /* 23 */
			   "  - {domain: example.org, pool: main}\n"              /* 24 */
			   "default_pool: \"\"\n"                                 /* 25 */
			   "lists:\n"                                             /* 26 */
			   "  - {name: blocked, action: refuse, entries: [203.0.113.66]}\n"; /* 27 */

/* clang-format on */

static struct config *parse(const char *text, size_t len, char **ret_complaints)
{
	struct complaints complaints;
	complaints_init(&complaints);
	struct config *c = config_parse("a.yaml", text, len, &complaints);
	*ret_complaints = complaints_text(&complaints);
	complaints_fini(&complaints);
	return c;
}

static void the_good_one_is_read(void **state)
{
	char *wrong;
	struct config *c = parse(good, sizeof(good) - 1, &wrong);
	(void)state;
	assert_string_equal(wrong, "");
	assert_non_null(c);
	free(wrong);
	assert_int_equal(c->host.workers.number, 2);
	assert_int_equal(c->host.ports.n, 2);
	assert_int_equal(c->host.max_connections.number, 65536); /* a default */
	assert_false(c->host.max_connections.given);
	assert_int_equal(c->limits.recipients.number, 1000); /* of a section that is not there */
	const struct config_interface *interfaces = c->host.interfaces.items;
	assert_int_equal(interfaces[1].port_index, 1);
	assert_int_equal(interfaces[1].backends_only.number, 1);
	const struct config_route *routes = c->host.routes.items;
	assert_true(routes[0].is_default);
	assert_int_equal(routes[0].interface_index, 0);
	const struct config_domain *domains = c->domains.items;
	assert_int_equal(domains[0].pool_index, 0);
	assert_int_equal(c->default_pool_index, -1);
	config_free(c);
}

/* clang-format off */
struct wrong_case {
	const char *find, *put; /* the first `find` of the good one becomes `put` */
	const char *complaints;
};

#define NAMES "letters, digits, '-', '_' or '.'"
#define DOMAIN                                                                                         \
	"a domain name: labels of 1 to 63 letters, digits, '-' or '_' with dots between, at most 253 " \
	"characters"

static const struct wrong_case schema_cases[] = {
	{ "  workers: 2", "  wrokers: 2",
	    "a.yaml:3:3: unknown key \"wrokers\" in host; allowed: workers, eal, max_connections, buffer_mib, "
	    "max_tarpit, syn_ring, idle_sleep_max_us, ports, interfaces, routes\n" },
	{ "  workers: 2", "  workers: 0",
	    "a.yaml:3:12: host.workers: \"0\" is out of range; allowed: a number from 1 to 64\n" },
	{ "  workers: 2", "  workers: 65",
	    "a.yaml:3:12: host.workers: \"65\" is out of range; allowed: a number from 1 to 64\n" },
	{ "  workers: 2", "  workers: 99999999999999999999",
	    "a.yaml:3:12: host.workers: \"99999999999999999999\" is out of range; allowed: a number from 1 to "
	    "64\n" },
	{ "  workers: 2", "  workers: two",
	    "a.yaml:3:12: host.workers: \"two\" is not a plain decimal number; allowed: a number from 1 to "
	    "64\n" },
	{ "  workers: 2", "  workers: \"2\"",
	    "a.yaml:3:12: host.workers: \"2\" is a text in quotes, not a number; allowed: a number from 1 to "
	    "64\n" },
	{ "  workers: 2", "  workers: 0x2",
	    "a.yaml:3:12: host.workers: \"0x2\" is not a plain decimal number; allowed: a number from 1 to "
	    "64\n" },
	{ "  workers: 2", "  workers:",
	    "a.yaml:3:11: host.workers has no value; allowed: a number from 1 to 64\n" },
	{ "  workers: 2", "  workers: [2]",
	    "a.yaml:3:12: host.workers is a list; allowed: a number from 1 to 64\n" },
	{ "  workers: 2", "  workers: 2\n  syn_ring: 1000",
	    "a.yaml:4:13: host.syn_ring: \"1000\" is not a power of two; allowed: a power of two from 64 to "
	    "16777216\n" },
	{ "  workers: 2", "  workers: 2\n  workers: 1",
	    "a.yaml:4:3: key \"workers\" stands twice in this section; allowed: once (the first is in line "
	    "3)\n" },
	{ "version: 1", "version: 2", "a.yaml:1:10: version: \"2\" is out of range; allowed: 1\n" },
	{ "backends_only: true", "backends_only: yes",
	    "a.yaml:11:22: host.interfaces.backends_only: \"yes\" is neither true nor false; allowed: true or "
	    "false\n" },
	{ "  hostname: mx.example.org", "  hostname: mx..example.org",
	    "a.yaml:16:13: smtp.hostname: \"mx..example.org\" has an empty label; allowed: " DOMAIN "\n" },
	{ "  hostname: mx.example.org", "  banner: ESMTP",
	    "a.yaml:16:3: smtp.hostname is missing; allowed: " DOMAIN "\n" },
	{ "smtp:\n  hostname: mx.example.org\n", "",
	    "a.yaml:1:1: smtp is missing; allowed: a section with hostname, banner, contact_url, bare_newline, "
	    "starttls, starttls_max_score, add_received, greet_delay_ms, inspection_window, window_quota, "
	    "command_timeout_ms, data_timeout_ms, condemned_timeout_ms\n" },
	{ "  hostname: mx.example.org", "  hostname: mx.example.org\n  starttls: maybe",
	    "a.yaml:17:13: smtp.starttls: \"maybe\" is not one of the words; allowed: off or pass\n" },
	{ "  hostname: mx.example.org", "  hostname: mx.example.org\n  banner: \"a\\r\\nb\"",
	    "a.yaml:17:11: smtp.banner: \"a??b\" has a character that is not printable ASCII; allowed: "
	    "printable ASCII, 0 to 200 characters\n" },
	{ "  hostname: mx.example.org", "  hostname: mx.example.org\n  greet_delay_ms: 30000",
	    "a.yaml:17:19: smtp.greet_delay_ms: \"30000\" is out of range; allowed: a number from 0 to "
	    "29999\n" },
	{ "name: mail1", "name: \"mail 1\"",
	    "a.yaml:22:16: pools.servers.name: \"mail 1\" has a character that no name may have; allowed: 1 to "
	    "47 " NAMES "\n" },
	{ "192.0.2.25/24", "192.0.2.25",
	    "a.yaml:9:19: host.interfaces.addresses: \"192.0.2.25\" has no prefix length (address/length, as "
	    "192.0.2.25/24); allowed: address/length, as 192.0.2.25/24 or 2001:db8:1::25/64\n"
	    "a.yaml:14:26: host.routes.via: \"192.0.2.1\" is not on a connected prefix; allowed: an address "
	    "within a prefix of host.interfaces.addresses\n" },
	{ "192.0.2.25/24", "192.0.2.25/33",
	    "a.yaml:9:19: host.interfaces.addresses: \"192.0.2.25/33\" has a prefix length other than 0 to 32; "
	    "allowed: address/length, as 192.0.2.25/24 or 2001:db8:1::25/64\n"
	    "a.yaml:14:26: host.routes.via: \"192.0.2.1\" is not on a connected prefix; allowed: an address "
	    "within a prefix of host.interfaces.addresses\n" },
	{ "to: default", "to: 203.0.113.1/24",
	    "a.yaml:14:12: host.routes.to: \"203.0.113.1/24\" has host bits set (bits right of the prefix "
	    "length); allowed: default, or a prefix without host bits, as 198.51.100.0/24 or "
	    "2001:db8::/32\n" },
	{ "[203.0.113.66]", "[203.0.113.66, 203.0.113.300, 203.0.113.1/24, 203.0.113.9-203.0.113.1]",
	    "a.yaml:27:61: lists.entries: \"203.0.113.300\" is not an address (four numbers 0-255 with dots and "
	    "no leading zeros, or IPv6); allowed: an address, a prefix without host bits, or a range "
	    "first-last\n"
	    "a.yaml:27:76: lists.entries: \"203.0.113.1/24\" has host bits set (bits right of the prefix "
	    "length); allowed: an address, a prefix without host bits, or a range first-last\n"
	    "a.yaml:27:92: lists.entries: \"203.0.113.9-203.0.113.1\" is a range that ends before it begins; "
	    "allowed: an address, a prefix without host bits, or a range first-last\n" },
	{ "    servers:\n      - {name: mail1, address: 198.51.100.10}\n", "",
	    "a.yaml:20:5: pools.servers is missing; allowed: a list of 1 to 1024 entries, each a section with "
	    "name, address, port, weight, max_connections\n" },
	{ "      - {name: mail1, address: 198.51.100.10}\n", "      []\n",
	    "a.yaml:22:7: pools.servers has 0 entries; allowed: 1 to 1024\n" },
};

static const struct wrong_case check_cases[] = {
	{ "name: inside", "name: outside",
	    "a.yaml:6:14: host.ports.name: \"outside\" is taken; allowed: each once (the first is in line "
	    "5)\n"
	    "a.yaml:10:13: host.interfaces.port: there is no port \"inside\"; allowed: outside, outside\n" },
	{ "device: net_ring1", "device: net_ring0",
	    "a.yaml:6:30: host.ports.device: \"net_ring0\" is taken; allowed: each once (the first is in line "
	    "5)\n" },
	{ "- port: inside", "- port: middle",
	    "a.yaml:10:13: host.interfaces.port: there is no port \"middle\"; allowed: inside, outside\n" },
	{ "- port: inside\n      backends_only: true", "- port: outside\n      backends_only: false",
	    "a.yaml:10:13: host.interfaces: port \"outside\" with vlan 0 is configured already (line 8); "
	    "allowed: one interface for each port, vlan and backends_only\n" },
	{ "[198.51.100.2/24]", "[198.51.100.2/24, 192.0.2.25/24]",
	    "a.yaml:12:36: host.interfaces.addresses: \"192.0.2.25/24\" is ours already (line 9); allowed: each "
	    "address once\n" },
	{ "[198.51.100.2/24]", "[198.51.100.2/24, 192.0.2.26/24]",
	    "a.yaml:12:36: host.interfaces.addresses: the prefix of \"192.0.2.26/24\" overlaps that of "
	    "\"192.0.2.25/24\" on another interface (line 9); allowed: a prefix is connected to one "
	    "interface\n" },
	{ "[198.51.100.2/24]", "[198.51.100.255/24]",
	    "a.yaml:12:19: host.interfaces.addresses: \"198.51.100.255/24\" is its prefix's own network or "
	    "broadcast address; allowed: an address between the two\n" },
	{ "[198.51.100.2/24]", "[198.51.100.2/24, \"ff02::1/64\", 127.0.0.1/8]",
	    "a.yaml:12:36: host.interfaces.addresses: \"ff02::1/64\" is a multicast address; allowed: an "
	    "address of one host\n"
	    "a.yaml:12:50: host.interfaces.addresses: \"127.0.0.1/8\" is a loopback address; allowed: an "
	    "address of one host\n" },
	{ "via: 192.0.2.1}", "via: 203.0.113.1}",
	    "a.yaml:14:26: host.routes.via: \"203.0.113.1\" is not on a connected prefix; allowed: an address "
	    "within a prefix of host.interfaces.addresses\n" },
	{ "via: 192.0.2.1}", "via: 192.0.2.25}",
	    "a.yaml:14:26: host.routes.via: \"192.0.2.25\" is our own address; allowed: another host's on a "
	    "connected prefix\n" },
	{ "via: 192.0.2.1}", "via: 192.0.2.1}\n    - {to: default, via: 192.0.2.2}",
	    "a.yaml:15:12: host.routes.to: \"default\" has a route already (line 14); allowed: one for each "
	    "destination and family\n" },
	{ "to: default, via: 192.0.2.1}", "to: \"2001:db8::/32\", via: 192.0.2.1}",
	    "a.yaml:14:34: host.routes.via: \"192.0.2.1\" is of another family than \"2001:db8::/32\"; allowed: "
	    "a gateway of the destination's family\n" },
	{ "  hostname: mx.example.org", "  hostname: mx.example.org\n  window_quota: 100",
	    "a.yaml:17:17: smtp.window_quota: 100 is less than one inspection_window; allowed: 65536 or "
	    "more\n" },
	{ "  hostname: mx.example.org", "  hostname: mx.example.org\n  contact_url: example.org",
	    "a.yaml:17:16: smtp.contact_url: \"example.org\" is not a URL; allowed: https://..., http://... or "
	    "mailto:...\n" },
	{ "listeners:", "rates: [{name: a, of: prefix, at_once: 5}]\nlisteners:",
	    "a.yaml:17:40: rates.at_once: limits of: sender, sender-domain, recipient, recipient-domain or "
	    "bounces; connections at once of a prefix are limits.connections and "
	    "limits.prefix_connections\n" },
	{ "listeners:", "rates: [{name: a, of: sender, count: unknown, at_once: 5}]\nlisteners:",
	    "a.yaml:17:56: rates.at_once: limits messages; allowed: count: messages\n" },
	{ "listeners:", "rates: [{name: a, of: recipient, per_hour: 9, at_once: 5}]\nlisteners:",
	    "a.yaml:17:56: rates.at_once: is a rate of its own, with a reason of its own; write per_minute "
	    "and per_hour into another\n" },
	{ "listeners:", "limits: {connections: 9000}\nlisteners:",
	    "a.yaml:17:23: limits.prefix_connections: 5000 is less than limits.connections of a single "
	    "address; allowed: 9000 or more\n" },
	{ "{name: mx, port: 25}", "{name: mx, address: 192.0.2.99}",
	    "a.yaml:18:25: listeners.address: \"192.0.2.99\" is not ours; allowed: any, or one of "
	    "host.interfaces.addresses\n" },
	{ "{name: mx, port: 25}", "{name: mx, address: 198.51.100.2}",
	    "a.yaml:18:25: listeners.address: \"198.51.100.2\" is backends_only; allowed: any, or an address "
	    "that is not\n" },
	{ "{name: mx, port: 25}", "{name: mx, port: 25}\n  - {name: mx, address: 192.0.2.25, port: 25}",
	    "a.yaml:19:12: listeners.name: \"mx\" is taken; allowed: each once (the first is in line 18)\n"
	    "a.yaml:19:43: listeners.port: 25 on this address is listener \"mx\"'s (line 18); allowed: an "
	    "address and port once, `any` being all addresses\n" },
	{ "- port: outside\n", "- port: outside\n      backends_only: true\n",
	    "a.yaml:19:5: listeners.address: every address of ours is backends_only; allowed: at least one "
	    "that is not\n" },
	{ "  - name: main\n", "  - name: main\n    fallback: main\n",
	    "a.yaml:21:15: pools.fallback: \"main\" is this pool; allowed: another pool, or \"\" for none\n" },
	{ "  - name: main\n", "  - name: main\n    fallback: spool\n",
	    "a.yaml:21:15: pools.fallback: there is no pool \"spool\"; allowed: main\n" },
	{ "pool: main}", "pool: mian}",
	    "a.yaml:24:33: domains.pool: there is no pool \"mian\"; allowed: main\n" },
	{ "default_pool: \"\"", "default_pool: other",
	    "a.yaml:25:15: default_pool: there is no pool \"other\"; allowed: main\n" },
	{ "pool: main}", "pool: main}\n  - {domain: EXAMPLE.org, pool: main}",
	    "a.yaml:25:14: domains.domain: \"example.org\" is taken; allowed: each once (the first is in line "
	    "24)\n" },
	{ "198.51.100.10}", "203.0.113.10, max_connections: 1}",
	    "a.yaml:22:63: pools.servers.max_connections: 1 for 2 workers; allowed: at least one each\n" },
	{ "198.51.100.10}", "\"2001:db8:9::1\"}",
	    "a.yaml:22:32: pools.servers.address: no way leads to \"2001:db8:9::1\"; allowed: an address on a "
	    "connected prefix or behind one of host.routes\n" },
	{ "198.51.100.10}", "198.51.100.2}",
	    "a.yaml:22:32: pools.servers.address: \"198.51.100.2\" is our own; allowed: the mail server's\n" },
	{ "198.51.100.10}", "198.51.100.10}\n      - {name: mail1, address: 198.51.100.10}",
	    "a.yaml:23:16: pools.servers.name: \"mail1\" is taken; allowed: each once (the first is in line "
	    "22)\n"
	    "a.yaml:23:32: pools.servers.address: \"198.51.100.10\" with port 25 is server \"mail1\" already "
	    "(line 22); allowed: once in a pool\n" },
	{ "lists:\n", "lists:\n  - {name: blocked, action: pass}\n",
	    "a.yaml:28:12: lists.name: \"blocked\" is taken; allowed: each once (the first is in line 27)\n" },
};

static const struct wrong_case yaml_cases[] = {
	{ "version: 1\n", "version: [1\n",
	    "a.yaml:2:5: not YAML: did not find expected ',' or ']', while parsing a flow sequence begun in "
	    "line 1; allowed: YAML 1.1 in UTF-8\n" },
	{ "  workers: 2", "\tworkers: 2",
	    "a.yaml:3:1: not YAML: found character that cannot start any token, while scanning for the next "
	    "token begun in line 3; allowed: YAML 1.1 in UTF-8\n" },
	{ "  workers: 2", "  workers: \xff",
	    "a.yaml:3:12: not YAML: invalid leading UTF-8 octet; allowed: YAML 1.1 in UTF-8\n" },
	{ "lists:\n", "---\nlists:\n", "a.yaml:27:1: a second YAML document; allowed: one in a file\n" },
};

/* clang-format on */

static void check_cases_of(const struct wrong_case *cases, size_t n)
{
	unsigned bad = 0;
	for (size_t i = 0; i < n; i++) {
		const char *at = strstr(good, cases[i].find);
		char text[8192], *wrong;
		assert_non_null(at);
		int len = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good,
		    cases[i].put, at + strlen(cases[i].find));
		struct config *c = parse(text, (size_t)len, &wrong);
		if (strcmp(wrong, cases[i].complaints) != 0) {
			print_error(
			    "with `%s`:\n%swanted:\n%s", cases[i].put, wrong, cases[i].complaints);
			bad++;
		}
		assert_null(c);
		free(wrong);
	}
	assert_int_equal(bad, 0);
}

static void each_value_is_held_against_its_row(void **state)
{
	(void)state;
	check_cases_of(schema_cases, sizeof(schema_cases) / sizeof(schema_cases[0]));
}

static void references_and_conflicts_are_found(void **state)
{
	(void)state;
	check_cases_of(check_cases, sizeof(check_cases) / sizeof(check_cases[0]));
}

static void what_is_not_yaml_names_its_place(void **state)
{
	(void)state;
	check_cases_of(yaml_cases, sizeof(yaml_cases) / sizeof(yaml_cases[0]));
}

static void an_empty_file_and_another_root_are_refused(void **state)
{
	static const struct {
		const char *text, *complaints;
	} cases[] = {
		{ "", "a.yaml:1:1: the file is empty; allowed: a configuration, begun by `version: "
		      "1`\n" },
		{ "# nothing\n", "a.yaml:1:1: the file is empty; allowed: a configuration, begun "
				 "by `version: 1`\n" },
		{ "- a\n",
		    "a.yaml:1:1: the file is a list; allowed: a section with version, preset, "
		    "host, smtp, limits, " }, /* ... and whatever sections there are by now */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *wrong;
		assert_null(parse(cases[i].text, strlen(cases[i].text), &wrong));
		assert_memory_equal(wrong, cases[i].complaints, strlen(cases[i].complaints));
		free(wrong);
	}
}

static void aliases_cannot_multiply_without_end(void **state)
{
	/* 250 lists, each an alias of one with 100,000 entries: 25 million values from a small file
	 */
	size_t n = 100000, room = n * 3 + 250 * 60 + sizeof(good) + 100, len = 0;
	char *text = malloc(room), *wrong;
	(void)state;
	const char *lists = strstr(good, "lists:\n");
	len = (size_t)snprintf(text, room, "%.*slists:\n  - {name: l0, action: drop, entries: &a [",
	    (int)(lists - good), good);
	for (size_t i = 0; i < n; i++) {
		memcpy(text + len, "x, ", 3);
		len += 3;
	}
	len += (size_t)snprintf(text + len, room - len, "x]}\n");
	for (unsigned i = 1; i < 250; i++)
		len += (size_t)snprintf(
		    text + len, room - len, "  - {name: l%u, action: drop, entries: *a}\n", i);
	assert_null(parse(text, len, &wrong));
	assert_non_null(strstr(wrong, "more mistakes are not shown"));
	free(wrong);
	free(text);
}

static void every_cut_of_the_file_is_survived(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		char *wrong;
		struct config *c = parse(good, len, &wrong);
		assert_true(c != NULL || *wrong != '\0');
		config_free(c);
		free(wrong);
	}
}

static void files_that_are_none_are_told(void **state)
{
	struct complaints complaints;
	(void)state;
	complaints_init(&complaints);
	assert_null(config_read("/nonexistent/a.yaml", &complaints));
	assert_null(config_read("/", &complaints));
	char *text = complaints_text(&complaints);
	assert_string_equal(text,
	    "/nonexistent/a.yaml: cannot be opened: No such file or directory\n/: is not a file\n");
	free(text);
	complaints_fini(&complaints);
}

static void list_files_lie_beside_the_configuration(void **state)
{
	static const struct {
		const char *config, *file, *path;
	} cases[] = {
		{ "/etc/postern/a.yaml", "x.list", "/etc/postern/x.list" },
		{ "/etc/postern/a.yaml", "/srv/x.list", "/srv/x.list" },
		{ "a.yaml", "x.list", "x.list" },
		{ "d/a.yaml", "../x.list", "d/../x.list" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config c = { .path = cases[i].config };
		char *path = config_beside(&c, cases[i].file);
		assert_string_equal(path, cases[i].path);
		free(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_good_one_is_read),
		cmocka_unit_test(each_value_is_held_against_its_row),
		cmocka_unit_test(references_and_conflicts_are_found),
		cmocka_unit_test(what_is_not_yaml_names_its_place),
		cmocka_unit_test(an_empty_file_and_another_root_are_refused),
		cmocka_unit_test(aliases_cannot_multiply_without_end),
		cmocka_unit_test(every_cut_of_the_file_is_survived),
		cmocka_unit_test(files_that_are_none_are_told),
		cmocka_unit_test(list_files_lie_beside_the_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
