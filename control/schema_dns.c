/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `dns`: its rows, its checks, its compilation (filters/policy_dns.h). */
#include "names.h"
#include "schema.h"

#include "filters/dnslist.h"
#include "filters/image_write.h"
#include "filters/nameset.h"
#include "filters/policy.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

/* Their order is that of the enums in filters/policy_dns.h. */
static const char *const words_kind[] = { "spam", "dynamic", "bad-admin", "backscatter", "white",
	"country", NULL };
static const char *const words_probe[] = { "auto", "both", "unlisted", "none", NULL };
static const char *const words_late[] = { "open", "defer", NULL };
static const char *const words_family[] = { "ipv4", "ipv6", "both", NULL };
static const uint8_t families[] = { DNS_V4, DNS_V6, DNS_V4 | DNS_V6 };
static const char *const words_action[] = { "score", "pass", "mark", "defer", "refuse", "tarpit",
	NULL };
static const uint8_t actions[] = { VERDICT_NONE, VERDICT_PASS, VERDICT_MARK, VERDICT_DEFER,
	VERDICT_REFUSE, VERDICT_TARPIT };

/* clang-format off */
#define SECTION_STRUCT config_recursor
static const struct schema_key recursor_keys[] = {
	{ "address", SCHEMA_ADDRESS, SCHEMA_REQUIRED, AT(address), .doc = "Of a recursor that we may ask." },
	{ "port", SCHEMA_NUMBER, 0, AT(port), 1, 65535, .def = "53", .doc = "UDP and TCP port." },
};
static const struct schema_section recursor_section = { sizeof(struct config_recursor),
	COUNT(recursor_keys), recursor_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_dns_list
static const struct schema_key list_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 47,
	    .doc = "Name of the list; its rule is dns.NAME." },
	{ "zone", SCHEMA_HOSTNAME, SCHEMA_REQUIRED, AT(zone), 1, POLICY_DNS_ZONE_MAX,
	    .doc = "The zone that is asked: the address reversed goes in front (RFC 5782)." },
	{ "kind", SCHEMA_WORD, 0, AT(kind), .def = "spam", .words = words_kind,
	    .doc = "What the list says of an address; white and country are no accusation, and backscatter counts "
		   "for the null sender alone." },
	{ "family", SCHEMA_WORD, 0, AT(family), .def = "ipv4", .words = words_family,
	    .doc = "Clients it is asked about." },
	{ "answers", SCHEMA_TEXT, SCHEMA_MANY, AT(answers), 0, POLICY_MAX_DNS_ANSWERS,
	    .doc = "Answers that count: 127.0.0.2, 127.0.0.2-11, 127.0.*.3, 127.0.0.0/24, or 127.0.0.&6 for "
		   "bits of the last octet. None named: every listing counts. Answers in 127.255.255.0/24 and "
		   "outside 127.0.0.0/8 never do." },
	{ "probe", SCHEMA_WORD, 0, AT(probe), .def = "auto", .words = words_probe,
	    .doc = "Test points it must get right to be asked (RFC 5782 5): both, 127.0.0.2 listed and 127.0.0.1 "
		   "not; unlisted, 127.0.0.1 not; none, believed until it answers with errors; auto, unlisted for "
		   "kind: country and both for others." },
	{ "timeout_ms", SCHEMA_NUMBER, 0, AT(timeout_ms), 100, 30000, .def = "3000",
	    .unit = "milliseconds", .doc = "How long its answer is waited for, at RCPT at the latest." },
	{ "late", SCHEMA_WORD, 0, AT(late), .def = "open", .words = words_late,
	    .doc = "Without an answer in time: open, as if not listed; defer, 451 to RCPT." },
	{ "state", SCHEMA_STATE, 0, AT(state), .def = "enforce",
	    .doc = "off; shadow: counted and told, not done; 25%: done for that share of clients, "
		   "shadow for the rest; enforce." },
	{ "weight", SCHEMA_NUMBER, 0, AT(weight), -100000, 100000, .def = "0",
	    .unit = "hundredths of a point", .doc = "Added to the score of who is listed; negative for a white list." },
	{ "action", SCHEMA_WORD, 0, AT(action), .def = "score", .words = words_action,
	    .doc = "What a listing leads to by itself; score: nothing but its weight; pass: nothing later is asked." },
};
static const struct schema_section list_section = { sizeof(struct config_dns_list),
	COUNT(list_keys), list_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_dns
static const struct schema_key dns_keys[] = {
	{ "recursors", SCHEMA_SECTION, SCHEMA_MANY, AT(recursors), 0, POLICY_MAX_RECURSORS,
	    .section = &recursor_section,
	    .doc = "Whom we ask, the first that is up first. None: everything by name service is off." },
	{ "lists", SCHEMA_SECTION, SCHEMA_MANY, AT(lists), 0, POLICY_MAX_DNS_LISTS,
	    .section = &list_section, .doc = "DNS lists, black and white." },
	{ "host", SCHEMA_BOOL, 0, AT(host), .def = "true",
	    .doc = "Look up clients' names, confirmed by the names' own addresses." },
	{ "host_timeout_ms", SCHEMA_NUMBER, 0, AT(host_timeout_ms), 100, 30000, .def = "5000",
	    .unit = "milliseconds", .doc = "How long a name is waited for." },
	{ "sender", SCHEMA_BOOL, 0, AT(sender), .def = "true",
	    .doc = "Look up whether senders' domains take mail." },
	{ "sender_timeout_ms", SCHEMA_NUMBER, 0, AT(sender_timeout_ms), 100, 30000, .def = "5000",
	    .unit = "milliseconds", .doc = "How long that is waited for." },
	{ "spf", SCHEMA_BOOL, 0, AT(spf), .def = "true", .doc = "Evaluate SPF at MAIL (RFC 7208)." },
	{ "spf_timeout_ms", SCHEMA_NUMBER, 0, AT(spf_timeout_ms), 100, 30000, .def = "20000",
	    .unit = "milliseconds", .doc = "Then temperror; RFC 7208 4.6.4 wants 20 s at least." },
	{ "spf_forwarders", SCHEMA_TEXT, SCHEMA_MANY, AT(spf_forwarders), 0, 10000,
	    .doc = "Hosts by confirmed name (forward.example.org, .example.net) whose mail SPF does not fail." },
	{ "cache_mib", SCHEMA_NUMBER, 0, AT(cache_mib), 1, DNS_CACHE_MIB_MAX, .def = "32", .unit = "MiB",
	    .doc = "Answers kept, of about 100 bytes each." },
	{ "max_ttl_s", SCHEMA_NUMBER, 0, AT(max_ttl_s), 1, 604800, .def = "86400", .unit = "seconds",
	    .doc = "Answers are kept as long as they say, and no longer than this." },
	{ "max_negative_ttl_s", SCHEMA_NUMBER, 0, AT(max_negative_ttl_s), 1, 86400, .def = "3600",
	    .unit = "seconds", .doc = "The same for `there is none`." },
	{ "attempt_ms", SCHEMA_NUMBER, 0, AT(attempt_ms), 50, 30000, .def = "1500",
	    .unit = "milliseconds", .doc = "A recursor's time for one name; then another is asked." },
	{ "attempts", SCHEMA_NUMBER, 0, AT(attempts), 1, 10, .def = "3",
	    .doc = "How often a name is asked for, over all recursors." },
	{ "probe_interval_s", SCHEMA_NUMBER, 0, AT(probe_interval_s), 10, 86400, .def = "600",
	    .unit = "seconds",
	    .doc = "Between two looks at a list's test points (dns.lists.probe); "
		   "a list that fails is suspended and looked at more often." },
	{ "accepted_percent", SCHEMA_NUMBER, 0, AT(accepted_percent), 0, 100, .def = "50", .unit = "percent",
	    .doc = "A list is suspended when the mail servers take mail of so many of the sessions it named; "
		   "0: never." },
	{ "accepted_least", SCHEMA_NUMBER, 0, AT(accepted_least), 1, 1000, .def = "20", .unit = "sessions",
	    .doc = "... and of at least so many." },
};
const struct schema_section dns_schema = { sizeof(struct config_dns), COUNT(dns_keys), dns_keys };
#undef SECTION_STRUCT
/* clang-format on */

static void check_answers(
    const struct config *c, const struct config_dns_list *list, struct complaints *complaints)
{
	const struct config_value *answers = list->answers.items;
	struct policy_dns_answer answer;

	for (size_t i = 0; i < list->answers.n; i++) {
		const char *wrong =
		    answers[i].wrong ? NULL : dnslist_parse_answer(answers[i].text, &answer);

		if (wrong)
			complain(complaints, c->path, answers[i].pos,
			    "dns.lists.answers: \"%s\" %s", answers[i].text, wrong);
	}
}

/* RFC 5321 4.1.4: a HELO name by itself refuses nobody (P16). */
static void check_helo_scores(const struct config *c, struct complaints *complaints)
{
	static const unsigned helo[] = { CHECK_helo_no_dot, CHECK_helo_bare_address,
		CHECK_helo_ours, CHECK_helo_foreign_literal, CHECK_helo_differs };

	for (size_t i = 0; i < COUNT(helo); i++) {
		const struct config_value *action = &c->checks.check[helo[i]].action;

		if (action->number > 1)
			complain(complaints, c->path, action->pos,
			    "checks.helo_*.action: \"%s\": a HELO name refuses nobody by itself "
			    "(RFC "
			    "5321 4.1.4); allowed: score, mark",
			    action->text);
	}
}

void config_check_dns(struct config *c, struct complaints *complaints)
{
	const struct config_dns_list *lists = c->dns.lists.items;
	const struct config_value *forwarders = c->dns.spf_forwarders.items;
	char text[NAMES_MAX_LEN + 1];
	enum name_kind kind;
	struct names names;

	check_helo_scores(c, complaints);
	if (!names_init(&names, &c->arena, c->dns.lists.n))
		return;
	for (size_t i = 0; i < c->dns.lists.n; i++) {
		names_add(&names, &lists[i].name, lists[i].name.text, i);
		check_answers(c, &lists[i], complaints);
		if (lists[i].kind.number == DNS_LIST_WHITE && lists[i].action.number > 2)
			complain(complaints, c->path, lists[i].action.pos,
			    "dns.lists.action: \"%s\" for a white list; allowed: score, pass, mark",
			    lists[i].action.text);
	}
	names_sort(&names, "dns.lists.name", c->path, complaints);
	for (size_t i = 0; i < c->dns.spf_forwarders.n; i++) {
		const char *wrong = forwarders[i].wrong
					? NULL
					: nameset_read(forwarders[i].text, false, &kind, text);

		if (wrong)
			complain(complaints, c->path, forwarders[i].pos,
			    "dns.spf_forwarders: \"%s\": %s", forwarders[i].text, wrong);
	}
}

/* ---- compilation ---- */

static uint32_t mix(uint32_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 0x01000193u;
	return h;
}

static uint8_t probe_of(const struct config_dns_list *list)
{
	if (list->probe.number > 0) /* the words behind `auto` are those of the policy */
		return (uint8_t)(list->probe.number - 1);
	return list->kind.number == DNS_LIST_COUNTRY ? DNS_PROBE_UNLISTED : DNS_PROBE_BOTH;
}

static int compile_list(
    const struct config_dns_list *from, struct image_writer *w, struct policy_dns *dns)
{
	struct policy_dns_list *to = &dns->lists[dns->n_lists];
	const struct config_value *answers = from->answers.items;
	struct policy_rule rule = {
		.weight = (int32_t)from->weight.number,
		.reason = REASON_DNS_LISTED,
		.kind = RULE_DNS,
		.action = actions[from->action.number],
		.state = from->state.number == STATE_OFF      ? RULE_OFF
			 : from->state.number == STATE_SHADOW ? RULE_SHADOW
							      : RULE_ENFORCE,
		.share = from->state.number > 0 && from->state.number < 100
			     ? (uint8_t)from->state.number
			     : 0,
		.index = dns->n_lists,
	};
	char name[64];
	int r;

	snprintf(name, sizeof(name), "dns.%s", from->name.text);
	r = image_writer_string(w, name, &rule.name);
	if (r == 0)
		r = image_writer_string(w, from->name.text, &to->name);
	if (r == 0)
		r = image_writer_string(w, from->zone.text, &to->zone);
	if (r == 0)
		r = image_writer_rule(w, &rule);
	if (r < 0)
		return r;
	to->rule = (uint32_t)r;
	to->timeout_ms = (uint32_t)from->timeout_ms.number;
	to->kind = (uint8_t)from->kind.number;
	to->late = (uint8_t)from->late.number;
	to->probe = probe_of(from);
	to->families = families[from->family.number];
	for (size_t i = 0; i < from->answers.n; i++)
		dnslist_parse_answer(answers[i].text, &to->answers[to->n_answers++]);
	dns->version = mix(dns->version, from->name.text, strlen(from->name.text) + 1);
	dns->version = mix(dns->version, from->zone.text, strlen(from->zone.text) + 1);
	dns->version = mix(dns->version, &to->kind, 4);
	dns->version = mix(dns->version, to->answers, sizeof(to->answers));
	dns->n_lists++;
	return 0;
}

static int compile_forwarders(
    const struct config_items *from, struct image_writer *w, struct policy_dns *dns)
{
	const struct config_value *names = from->items;
	char text[NAMES_MAX_LEN + 1];
	enum name_kind kind;
	int r;

	if (from->n == 0)
		return 0;
	r = image_writer_set(w);
	if (r < 0)
		return r;
	dns->forwarders = (uint32_t)r;
	r = 0;
	for (size_t i = 0; i < from->n && r == 0; i++)
		if (nameset_read(names[i].text, false, &kind, text) == NULL)
			r = image_writer_name(w, dns->forwarders, kind, text, 0);
	return r;
}

int compile_dns(const struct config *c, struct image_writer *writer)
{
	const struct config_dns *from = &c->dns;
	const struct config_recursor *recursors = from->recursors.items;
	const struct config_dns_list *lists = from->lists.items;
	struct policy_dns *to = &image_writer_settings(writer)->dns;
	int r = 0;

	to->version = 0x811c9dc5u;
	to->cache_mib = (uint32_t)from->cache_mib.number;
	to->max_ttl_s = (uint32_t)from->max_ttl_s.number;
	to->max_negative_ttl_s = (uint32_t)from->max_negative_ttl_s.number;
	to->attempt_ms = (uint32_t)from->attempt_ms.number;
	to->attempts = (uint32_t)from->attempts.number;
	to->host_timeout_ms = (uint32_t)from->host_timeout_ms.number;
	to->sender_timeout_ms = (uint32_t)from->sender_timeout_ms.number;
	to->spf_timeout_ms = (uint32_t)from->spf_timeout_ms.number;
	to->probe_interval_s = (uint32_t)from->probe_interval_s.number;
	to->accepted_percent = (uint32_t)from->accepted_percent.number;
	to->accepted_least = (uint32_t)from->accepted_least.number;
	to->host = from->host.number != 0;
	to->sender = from->sender.number != 0;
	to->spf = from->spf.number != 0;
	for (size_t i = 0; i < from->recursors.n; i++) {
		struct policy_recursor *recursor = &to->recursors[to->n_recursors++];

		memcpy(recursor->addr, recursors[i].address.net.addr, 16);
		recursor->port = (uint16_t)recursors[i].port.number;
	}
	for (size_t i = 0; i < from->lists.n && r == 0; i++)
		r = compile_list(&lists[i], writer, to);
	return r ? r : compile_forwarders(&from->spf_forwarders, writer, to);
}
