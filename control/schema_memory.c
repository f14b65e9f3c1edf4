/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections `memory`, `rates`, `recipients` and `batv`: rows, checks, compilation
 * (filters/policy_memory.h). */
#include "namefile.h"
#include "names.h"
#include "schema.h"

#include "filters/image_write.h"
#include "filters/memory.h"
#include "filters/policy.h"

#include <errno.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

enum { NAMES_MAX = 100000 };

/* Their order is that of the enums in filters/policy_memory.h. */
static const char *const words_of[] = { "address", "prefix", "sender", "sender-domain", "recipient",
	"recipient-domain", "bounces", NULL };
static const char *const words_count[] = { "connections", "messages", "recipients", "unknown",
	NULL };
/* Their order is that of actions[]. */
static const char *const words_action[] = { "defer", "score", "mark", "refuse", "tarpit", NULL };
static const uint8_t actions[] = { VERDICT_DEFER, VERDICT_NONE, VERDICT_MARK, VERDICT_REFUSE,
	VERDICT_TARPIT };

/* clang-format off */
#define SECTION_STRUCT config_memory
static const struct schema_key memory_keys[] = {
	{ "capacity", SCHEMA_NUMBER, SCHEMA_RESTART, AT(capacity), 0, MEMORY_MAX_CAPACITY, .def = "100000",
	    .unit = "entries",
	    .doc = "Addresses, networks, senders and recipients counted at once, about 250 bytes each with "
		   "all that belongs to them; 0: nothing is remembered." },
	{ "burst_floor", SCHEMA_NUMBER, 0, AT(burst_floor), 1, 1000000, .def = "40", .unit = "recipients an hour",
	    .doc = "What any sender may, known or not, before checks.unusual_sender or unusual_internal hits." },
	{ "burst_percent", SCHEMA_NUMBER, 0, AT(burst_percent), 100, 1000, .def = "150", .unit = "percent",
	    .doc = "... and of its largest hour in the seven weeks before; half of that growth until three "
		   "weeks were seen." },
	{ "stranger_percent", SCHEMA_NUMBER, 0, AT(stranger_percent), 0, 1000, .def = "10", .unit = "percent",
	    .doc = "Of recipients that it never wrote to a sender may have burst_floor an hour; so many of a "
		   "hundred may be new in a list without counting. Beyond, only new ones are stopped." },
	{ "hold_s", SCHEMA_NUMBER, 0, AT(hold_s), 0, 2592000, .def = "86400", .unit = "seconds",
	    .doc = "How long an internal sender that wrote mostly to strangers, too many, may write to those it "
		   "knows only (posternctl memory release ends it); 0: until its hour is over." },
	{ "stranger_senders", SCHEMA_TEXT, SCHEMA_MANY, AT(stranger_senders), 0, NAMES_MAX,
	    .doc = "Internal senders that write to strangers as their work (orders, tickets): nobody is a "
		   "stranger to them. orders@example.org, or a pattern with * and ?." },
	{ "unknown_floor", SCHEMA_NUMBER, 0, AT(unknown_floor), 1, 1000000, .def = "10",
	    .unit = "recipients an hour",
	    .doc = "Unknown recipients that any sender may write to, and a fifth of those that are taken." },
	{ "harvest_unknown", SCHEMA_NUMBER, 0, AT(harvest_unknown), 1, 1000000, .def = "10",
	    .unit = "recipients an hour",
	    .doc = "Different unknown recipients from which a client harvests ..." },
	{ "harvest_percent", SCHEMA_NUMBER, 0, AT(harvest_percent), 0, 100, .def = "50", .unit = "percent",
	    .doc = "... where they are so much of all that it asked for." },
	{ "spread_unknown", SCHEMA_NUMBER, 0, AT(spread_unknown), 1, 10000000, .def = "100",
	    .unit = "recipients an hour",
	    .doc = "Different unknown recipients that any domain may be asked for, by all together; beyond "
		   "that and burst_percent of its largest hour before it is being harvested." },
	{ "known_s", SCHEMA_NUMBER, 0, AT(known_s), 3600, 31622400, .def = "2592000", .unit = "seconds",
	    .doc = "How long a recipient counts as known after the mail server took it." },
	{ "unknown_s", SCHEMA_NUMBER, 0, AT(unknown_s), 60, 604800, .def = "3600", .unit = "seconds",
	    .doc = "How long a recipient counts as unknown after the mail server said so." },
};
const struct schema_section memory_schema = { sizeof(struct config_memory), COUNT(memory_keys),
	memory_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_rate
static const struct schema_key rate_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 47, .doc = "Name of the rate; its rule is rates.NAME." },
	{ "of", SCHEMA_WORD, 0, AT(of), .def = "address", .words = words_of,
	    .doc = "What is counted by. prefix: /24 or /64; bounces: a recipient, of the null sender." },
	{ "count", SCHEMA_WORD, 0, AT(count), .def = "messages", .words = words_count,
	    .doc = "What is counted: connections; messages and recipients that the mail server took; unknown: "
		   "recipients that it does not know." },
	{ "per_minute", SCHEMA_NUMBER, 0, AT(per_minute), 0, 65535, .def = "0",
	    .doc = "So many in the last minute are enough; 0: any number." },
	{ "per_hour", SCHEMA_NUMBER, 0, AT(per_hour), 0, 100000000, .def = "0",
	    .doc = "So many in the last hour are enough; 0: any number." },
	{ "at_once", SCHEMA_NUMBER, 0, AT(at_once), 0, 65535, .def = "0",
	    .doc = "So many messages under way are enough, from MAIL (of the sender or its domain) or RCPT "
		   "(to the recipient or its domain, bounces) to the end of the transaction, by all workers "
		   "together; 0: any number. A rate of its own: alone, with count: messages." },
	{ "learned", SCHEMA_BOOL, 0, AT(learned), .def = "true",
	    .doc = "With `of: sender`: what the sender does regularly, by its baseline, is never too much." },
	{ "state", SCHEMA_STATE, 0, AT(state), .def = "enforce",
	    .doc = "off; shadow: counted and told, not done; 25%: done for that share of clients, "
		   "shadow for the rest; enforce." },
	{ "weight", SCHEMA_NUMBER, 0, AT(weight), -100000, 100000, .def = "0",
	    .unit = "hundredths of a point", .doc = "Added to the score of who goes beyond it." },
	{ "action", SCHEMA_WORD, 0, AT(action), .def = "defer", .words = words_action,
	    .doc = "What who goes beyond it hears; score: nothing." },
};
const struct schema_section rate_schema = { sizeof(struct config_rate), COUNT(rate_keys), rate_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_recipients
static const struct schema_key recipients_keys[] = {
	{ "state", SCHEMA_STATE, 0, AT(state), .def = "enforce",
	    .doc = "off; shadow; 25%: of clients; enforce. Its rule is `recipients`." },
	{ "domains", SCHEMA_TEXT, SCHEMA_MANY, AT(domains), 0, NAMES_MAX,
	    .doc = "Domains of which file and entries hold every recipient: any other is refused (550 5.1.1) "
		   "before the mail server is asked." },
	{ "file", SCHEMA_TEXT, 0, AT(file), 0, 255, .def = "",
	    .doc = "Recipients, one a line: user@example.org, or a pattern with * and ?; beside this file." },
	{ "entries", SCHEMA_TEXT, SCHEMA_MANY, AT(entries), 0, NAMES_MAX, .doc = "The same, written here." },
};
const struct schema_section recipients_schema = { sizeof(struct config_recipients),
	COUNT(recipients_keys), recipients_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_batv
static const struct schema_key batv_keys[] = {
	{ "domains", SCHEMA_TEXT, SCHEMA_MANY, AT(domains), 0, NAMES_MAX,
	    .doc = "Domains that sign the senders of all their mail (prvs=): a bounce to an address without a "
		   "good tag meets checks.bounce_unsigned." },
	{ "keys", SCHEMA_TEXT, SCHEMA_MANY, AT(keys), 0, POLICY_MAX_BATV_KEYS,
	    .doc = "Keys as `0 secret`: the digit in the tag, and the secret of HMAC-SHA1 (at most 64 bytes). "
		   "None: any tag that has not expired is good." },
};
const struct schema_section batv_schema = { sizeof(struct config_batv), COUNT(batv_keys), batv_keys };
#undef SECTION_STRUCT
/* clang-format on */

static const char *wrong_key(const char *text)
{
	size_t len = strlen(text);

	if (len < 3 || text[0] < '0' || text[0] > '9' || text[1] != ' ')
		return "is no digit, space and secret";
	return len - 2 > POLICY_BATV_SECRET ? "has a secret above 64 bytes" : NULL;
}

static void check_at_once(
    const struct config_rate *r, const char *path, struct complaints *complaints)
{
	if (r->of.number < MEMORY_SENDER)
		complain(complaints, path, r->at_once.pos,
		    "rates.at_once: limits of: sender, sender-domain, recipient, recipient-domain "
		    "or "
		    "bounces; connections at once of %s %s are limits.connections and "
		    "limits.prefix_connections",
		    r->of.number == MEMORY_ADDRESS ? "an" : "a", r->of.text);
	else if (r->count.number != MEMORY_MESSAGES)
		complain(complaints, path, r->at_once.pos,
		    "rates.at_once: limits messages; allowed: count: messages");
	else if (r->per_minute.number > 0 || r->per_hour.number > 0)
		complain(complaints, path, r->at_once.pos,
		    "rates.at_once: is a rate of its own, with a reason of its own; write "
		    "per_minute "
		    "and per_hour into another");
}

void config_check_memory(struct config *c, struct complaints *complaints)
{
	const struct config_rate *rates = c->rates.items;
	const struct config_value *keys = c->batv.keys.items;
	struct names names;

	for (size_t i = 0; i < c->batv.keys.n; i++) {
		const char *wrong = keys[i].wrong ? NULL : wrong_key(keys[i].text);

		if (wrong)
			complain(complaints, c->path, keys[i].pos,
			    "batv.keys: key %zu %s; allowed: 0 to 9, a space, and 1 to 64 bytes",
			    i + 1, wrong);
	}
	if (!names_init(&names, &c->arena, c->rates.n))
		return;
	for (size_t i = 0; i < c->rates.n; i++) {
		const struct config_rate *r = &rates[i];

		names_add(&names, &r->name, r->name.text, i);
		if (r->at_once.number > 0) {
			check_at_once(r, c->path, complaints);
			continue;
		}
		if (r->of.number > MEMORY_PREFIX && r->count.number == MEMORY_CONNECTIONS)
			complain(complaints, c->path, r->count.pos,
			    "rates.count: \"connections\" have no %s; allowed: with of: address or "
			    "prefix",
			    r->of.text);
		else if (r->of.number >= MEMORY_RECIPIENT && r->count.number == MEMORY_MESSAGES)
			complain(complaints, c->path, r->count.pos,
			    "rates.count: \"messages\" are counted by who sends; allowed: "
			    "recipients, "
			    "unknown with of: %s",
			    r->of.text);
		else if ((r->of.number == MEMORY_RECIPIENT || r->of.number == MEMORY_BOUNCES) &&
			 r->count.number == MEMORY_UNKNOWN)
			complain(complaints, c->path, r->count.pos,
			    "rates.count: \"unknown\" says nothing of one recipient; allowed: "
			    "recipients with of: %s",
			    r->of.text);
	}
	names_sort(&names, "rates.name", c->path, complaints);
}

static void set_state(struct policy_rule *rule, const struct config_value *state)
{
	rule->state = state->number == STATE_OFF      ? RULE_OFF
		      : state->number == STATE_SHADOW ? RULE_SHADOW
						      : RULE_ENFORCE;
	rule->share = state->number > 0 && state->number < 100 ? (uint8_t)state->number : 0;
}

static int compile_rates(const struct config *c, struct image_writer *w)
{
	const struct config_rate *rates = c->rates.items;

	for (size_t i = 0; i < c->rates.n; i++) {
		const struct config_rate *from = &rates[i];
		struct policy_rate rate = {
			.per_minute = (uint32_t)from->per_minute.number,
			.per_hour = (uint32_t)from->per_hour.number,
			.at_once = (uint32_t)from->at_once.number,
			.subject = (uint8_t)from->of.number,
			.measure = (uint8_t)from->count.number,
			.learned = from->learned.number != 0,
		};
		int index = image_writer_rate(w, from->name.text, &rate);
		struct policy_rule *rule;

		if (index < 0)
			return index;
		rule = image_writer_rule_at(w, (unsigned)index);
		set_state(rule, &from->state);
		rule->weight = (int32_t)from->weight.number;
		rule->action = actions[from->action.number];
	}
	return 0;
}

static int compile_recipients(
    const struct config *c, struct image_writer *w, struct complaints *complaints)
{
	const struct config_recipients *from = &c->recipients;
	int domains, recipients, ret;

	if (from->domains.n == 0)
		return 0;
	domains = namefile_set(w, c, "recipients.domains", &from->domains, NULL, false, complaints);
	recipients = namefile_set(
	    w, c, "recipients.entries", &from->entries, &from->file, false, complaints);
	if (domains < 0 || recipients < 0)
		return domains < 0 ? domains : recipients;
	ret = image_writer_recipients(w, (unsigned)domains, (unsigned)recipients);
	if (ret == 0)
		set_state(image_writer_rule_at(w, image_writer_settings(w)->memory.rule_recipients),
		    &from->state);
	return ret;
}

static int compile_batv(
    const struct config *c, struct image_writer *w, struct complaints *complaints)
{
	struct policy_memory *to = &image_writer_settings(w)->memory;
	const struct config_value *keys = c->batv.keys.items;
	int set;

	if (c->batv.domains.n == 0)
		return 0;
	set = namefile_set(w, c, "batv.domains", &c->batv.domains, NULL, false, complaints);
	if (set < 0)
		return set;
	to->has_batv = 1;
	to->batv_domains = (uint32_t)set;
	for (size_t i = 0; i < c->batv.keys.n; i++) {
		struct policy_batv_key *key = &to->batv_keys[to->n_batv_keys];

		if (keys[i].wrong || wrong_key(keys[i].text))
			continue;
		key->number = (uint8_t)(keys[i].text[0] - '0');
		key->len = (uint8_t)strlen(keys[i].text + 2);
		memcpy(key->secret, keys[i].text + 2, key->len);
		to->n_batv_keys++;
	}
	return 0;
}

int compile_memory(
    const struct config *c, struct image_writer *writer, struct complaints *complaints)
{
	struct policy_memory *to = &image_writer_settings(writer)->memory;
	const struct config_memory *from = &c->memory;
	int ret;

	to->capacity = (uint32_t)from->capacity.number;
	to->burst_floor = (uint32_t)from->burst_floor.number;
	to->burst_percent = (uint32_t)from->burst_percent.number;
	to->stranger_percent = (uint32_t)from->stranger_percent.number;
	to->hold_s = (uint32_t)from->hold_s.number;
	to->unknown_floor = (uint32_t)from->unknown_floor.number;
	to->harvest_unknown = (uint32_t)from->harvest_unknown.number;
	to->harvest_percent = (uint32_t)from->harvest_percent.number;
	to->spread_unknown = (uint32_t)from->spread_unknown.number;
	to->known_s = (uint32_t)from->known_s.number;
	to->unknown_s = (uint32_t)from->unknown_s.number;
	if (from->stranger_senders.n) {
		ret = namefile_set(writer, c, "memory.stranger_senders", &from->stranger_senders,
		    NULL, false, complaints);
		if (ret < 0)
			return ret;
		to->has_stranger_senders = 1;
		to->stranger_senders = (uint32_t)ret;
	}
	ret = compile_rates(c, writer);
	if (ret == 0)
		ret = compile_recipients(c, writer, complaints);
	return ret == 0 ? compile_batv(c, writer, complaints) : ret;
}
