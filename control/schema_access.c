/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections `access` and `relay`: their rows, checks and compilation (filters/access.h, relay.h). */
#include "compile.h"
#include "namefile.h"
#include "names.h"
#include "schema.h"

#include "filters/image_write.h"
#include "filters/relay.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

/* In the order of enum access_kind, of `verdicts` below, of enum relay_action. */
static const char *const words_kind[] = { "host", "sender", "recipient", "pair", NULL };
static const char *const words_rule_action[] = { "pass", "score", "mark", "defer", "refuse",
	"tarpit", NULL };
static const char *const words_relay[] = { "refuse", "defer", "accept", NULL };

static const uint8_t verdicts[] = { VERDICT_PASS, VERDICT_NONE, VERDICT_MARK, VERDICT_DEFER,
	VERDICT_REFUSE, VERDICT_TARPIT };
static const uint16_t reasons[] = { REASON_ACCESS_HOST, REASON_ACCESS_SENDER,
	REASON_ACCESS_RECIPIENT, REASON_ACCESS_PAIR };

/* clang-format off */
#define SECTION_STRUCT config_access
static const struct schema_key access_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 39, .doc = "Name of the rule: access.NAME." },
	{ "kind", SCHEMA_WORD, SCHEMA_REQUIRED, AT(kind), .words = words_kind,
	    .doc = "What is looked for in its entries: the client's forward-confirmed host name, the sender, "
		   "the recipient, or the pair of both." },
	{ "action", SCHEMA_WORD, SCHEMA_REQUIRED, AT(action), .words = words_rule_action,
	    .doc = "pass: no block is asked for this recipient; score: its weight alone; mark; defer (451); "
		   "refuse (550); tarpit: the same a byte at a time (shaping.refusal_s). A pass wins over all; then host, sender, recipient, pair; then the rule "
		   "named first." },
	{ "state", SCHEMA_STATE, 0, AT(state), .def = "enforce",
	    .doc = "off; shadow: counted and told, not done; 25%: done for that share of clients, shadow for "
		   "the rest; enforce." },
	{ "weight", SCHEMA_NUMBER, 0, AT(weight), -100000, 100000, .def = "0",
	    .unit = "hundredths of a point", .doc = "Added to the score when it hits." },
	{ "file", SCHEMA_TEXT, 0, AT(file), 0, 1023, .def = "",
	    .doc = "A file with one entry a line and # comments; beside the configuration unless its path is "
		   "absolute." },
	{ "entries", SCHEMA_TEXT, SCHEMA_MANY, AT(entries), 0, 100000,
	    .doc = "user@example.org, example.org, .example.org (what is below it), user@ (anywhere), <> (the "
		   "null sender) or a pattern with * and ?; with kind pair two of them with a blank between, * "
		   "for any. until=2026-12-31 behind one ends it with that day (UTC)." },
	{ "except", SCHEMA_TEXT, SCHEMA_MANY, AT(except), 0, 100000,
	    .doc = "What the rule never means, written as entries are." },
};
const struct schema_section access_schema = { sizeof(struct config_access),
	COUNT(access_keys), access_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_relay
#define CELL(word, source, sender, recipient, value, text) \
	{ word, SCHEMA_WORD, 0, AT(matrix[source][sender][recipient]), .def = value, \
	    .words = words_relay, .doc = text }
static const struct schema_key relay_keys[] = {
	{ "internal", SCHEMA_NETWORK, SCHEMA_MANY, AT(internal), 0, POLICY_MAX_INTERNAL,
	    .doc = "Prefixes of internal sources; everything else is external." },
	{ "internal_hosts", SCHEMA_TEXT, SCHEMA_MANY, AT(internal_hosts), 0, 1000,
	    .doc = "Host names of internal sources, by forward-confirmed reverse DNS: host.example.org, or "
		   ".example.org for all below it." },
	{ "own_senders", SCHEMA_TEXT, SCHEMA_MANY, AT(own_senders), 0, 100000,
	    .doc = "Senders that are ours besides those of served domains: example.org, .example.org or "
		   "user@example.org." },
	{ "outbound_pool", SCHEMA_NAME, 0, AT(outbound_pool), 0, 47, .def = "",
	    .doc = "The pool that takes mail to domains not served; empty: such mail is refused whatever the "
		   "matrix says." },
	CELL("external_other_to_served", RELAY_EXTERNAL, RELAY_OTHER, RELAY_SERVED, "accept",
	    "External source, foreign sender, served recipient: incoming mail."),
	CELL("external_ours_to_served", RELAY_EXTERNAL, RELAY_OURS, RELAY_SERVED, "accept",
	    "External source, sender of ours, served recipient: forwarded mail, or a forged sender."),
	CELL("external_null_to_served", RELAY_EXTERNAL, RELAY_NULL, RELAY_SERVED, "accept",
	    "External source, null sender, served recipient: bounces (RFC 5321 4.5.5)."),
	CELL("external_other_out", RELAY_EXTERNAL, RELAY_OTHER, RELAY_NOT_SERVED, "refuse",
	    "External source, foreign sender, other recipient: an open relay if accepted."),
	CELL("external_ours_out", RELAY_EXTERNAL, RELAY_OURS, RELAY_NOT_SERVED, "refuse",
	    "External source, sender of ours, other recipient: an open relay if accepted, since a sender is "
	    "easily forged."),
	CELL("external_null_out", RELAY_EXTERNAL, RELAY_NULL, RELAY_NOT_SERVED, "refuse",
	    "External source, null sender, other recipient: an open relay if accepted."),
	CELL("internal_other_to_served", RELAY_INTERNAL, RELAY_OTHER, RELAY_SERVED, "accept",
	    "Internal source, foreign sender, served recipient."),
	CELL("internal_ours_to_served", RELAY_INTERNAL, RELAY_OURS, RELAY_SERVED, "accept",
	    "Internal source, sender of ours, served recipient."),
	CELL("internal_null_to_served", RELAY_INTERNAL, RELAY_NULL, RELAY_SERVED, "accept",
	    "Internal source, null sender, served recipient."),
	CELL("internal_other_out", RELAY_INTERNAL, RELAY_OTHER, RELAY_NOT_SERVED, "refuse",
	    "Internal source, foreign sender, other recipient: a captured machine, mostly."),
	CELL("internal_ours_out", RELAY_INTERNAL, RELAY_OURS, RELAY_NOT_SERVED, "accept",
	    "Internal source, sender of ours, other recipient: outgoing mail."),
	CELL("internal_null_out", RELAY_INTERNAL, RELAY_NULL, RELAY_NOT_SERVED, "accept",
	    "Internal source, null sender, other recipient: outgoing bounces."),
};
const struct schema_section relay_schema = { sizeof(struct config_relay), COUNT(relay_keys),
	relay_keys };
#undef SECTION_STRUCT
/* clang-format on */

void config_check_access(struct config *c, struct complaints *complaints)
{
	const struct config_access *access = c->access.items;
	const struct config_pool *pools = c->pools.items;
	struct names names;

	c->relay.outbound_index = -1;
	for (size_t i = 0; i < c->pools.n && *c->relay.outbound_pool.text != '\0'; i++)
		if (strcmp(pools[i].name.text, c->relay.outbound_pool.text) == 0)
			c->relay.outbound_index = (int)i;
	if (*c->relay.outbound_pool.text != '\0' && c->relay.outbound_index < 0)
		complain(complaints, c->path, c->relay.outbound_pool.pos,
		    "relay.outbound_pool: there is no pool \"%s\"; allowed: a name of pools.name, "
		    "or "
		    "\"\" for none",
		    c->relay.outbound_pool.text);
	if (!names_init(&names, &c->arena, c->access.n))
		return;
	for (size_t i = 0; i < c->access.n; i++)
		names_add(&names, &access[i].name, access[i].name.text, i);
	names_sort(&names, "access.name", c->path, complaints);
}

static int compile_rule(const struct config *c, const struct config_access *from,
    struct image_writer *writer, struct complaints *complaints)
{
	struct policy_rule rule = {
		.weight = (int32_t)from->weight.number,
		.reason = reasons[from->kind.number],
		.kind = RULE_ACCESS,
		.action = verdicts[from->action.number],
	};
	struct policy_access row = { .kind = (uint8_t)from->kind.number, .except = POLICY_NO_SET };
	bool pairs = from->kind.number == ACCESS_PAIR;
	char name[64];
	compile_state(&rule, &from->state);
	snprintf(name, sizeof(name), "access.%s", from->name.text);
	int ret = image_writer_string(writer, name, &rule.name);
	if (ret == 0)
		ret = image_writer_rule(writer, &rule);
	if (ret < 0)
		return ret;
	row.rule = (uint32_t)ret;
	ret = namefile_set(
	    writer, c, "access.entries", &from->entries, &from->file, pairs, complaints);
	if (ret < 0)
		return ret;
	row.set = (uint16_t)ret;
	if (from->except.n != 0) {
		ret = namefile_set(
		    writer, c, "access.except", &from->except, NULL, pairs, complaints);
		if (ret < 0)
			return ret;
		row.except = (uint16_t)ret;
	}
	ret = image_writer_access(writer, &row);
	return ret < 0 ? ret : 0;
}

static int compile_relay(
    const struct config *c, struct image_writer *writer, struct complaints *complaints)
{
	struct policy_relay *relay = &image_writer_settings(writer)->relay;
	const struct config_relay *from = &c->relay;
	const struct config_value *internal = from->internal.items;
	int set;
	for (unsigned i = 0; i < RELAY_N_SOURCES; i++)
		for (unsigned j = 0; j < RELAY_N_SENDERS; j++)
			for (unsigned k = 0; k < RELAY_N_RECIPIENTS; k++)
				relay->matrix[i][j][k] = (uint8_t)from->matrix[i][j][k].number;
	relay->outbound_pool = from->outbound_index;
	for (size_t i = 0; i < from->internal.n; i++) {
		struct policy_internal *to = &relay->internal[relay->n_internal++];
		memcpy(to->addr, internal[i].net.addr, 16);
		to->prefix_len = internal[i].net.prefix_len;
	}
	if (from->internal_hosts.n != 0) {
		set = namefile_set(writer, c, "relay.internal_hosts", &from->internal_hosts, NULL,
		    false, complaints);
		if (set < 0)
			return set;
		relay->internal_hosts = (uint16_t)set;
	}
	if (from->own_senders.n != 0) {
		set = namefile_set(
		    writer, c, "relay.own_senders", &from->own_senders, NULL, false, complaints);
		if (set < 0)
			return set;
		relay->own_senders = (uint16_t)set;
	}
	return 0;
}

int compile_access(
    const struct config *c, struct image_writer *writer, struct complaints *complaints)
{
	const struct config_access *access = c->access.items;
	int ret = compile_relay(c, writer, complaints);
	for (size_t i = 0; i < c->access.n && ret == 0; i++)
		ret = compile_rule(c, &access[i], writer, complaints);
	return ret;
}
