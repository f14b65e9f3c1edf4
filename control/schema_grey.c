/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `greylist`: its rows, its checks, its compilation (filters/policy_grey.h). */
#include "schema.h"

#include "filters/greylist.h"
#include "filters/image_write.h"
#include "filters/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

enum { DAY_S = 86400, YEAR_S = 366 * DAY_S, NAMES_MAX = 100000 };

/* Their order is that of actions[]. */
static const char *const words_action[] = { "score", "defer", "refuse", NULL };
static const uint8_t actions[] = { VERDICT_NONE, VERDICT_DEFER, VERDICT_REFUSE };

/* clang-format off */
#define SECTION_STRUCT config_grey
static const struct schema_key grey_keys[] = {
	{ "state", SCHEMA_STATE, 0, AT(state), .def = "off",
	    .doc = "off; shadow: learns, and tells whom it would have asked to come back; 25%: of clients; "
		   "enforce. From off to anything else waits for the dataplane's restart." },
	{ "from_score", SCHEMA_NUMBER, 0, AT(from_score), -1000000, 1000000, .def = "0",
	    .unit = "hundredths of a point",
	    .doc = "Clients with this score and above are asked to come back." },
	{ "delay_s", SCHEMA_NUMBER, 0, AT(delay_s), 1, 3600, .def = "60", .unit = "seconds",
	    .doc = "A retry before is too early." },
	{ "retry_window_s", SCHEMA_NUMBER, 0, AT(retry_window_s), 600, 7 * DAY_S, .def = "86400",
	    .unit = "seconds", .doc = "A retry after it is a first try again (RFC 6647 5)." },
	{ "life_s", SCHEMA_NUMBER, 0, AT(life_s), DAY_S, YEAR_S, .def = "3110400", .unit = "seconds",
	    .doc = "How long a sender, network and recipient are known after the last message that the "
		   "mail server took." },
	{ "white_after", SCHEMA_NUMBER, 0, AT(white_after), 0, GREYLIST_MAX_PASSES, .def = "5",
	    .doc = "Messages taken that make a whole pool white; 0: never." },
	{ "white_life_s", SCHEMA_NUMBER, 0, AT(white_life_s), DAY_S, YEAR_S, .def = "7776000",
	    .unit = "seconds", .doc = "How long it stays white after the last one." },
	{ "trap_s", SCHEMA_NUMBER, 0, AT(trap_s), 60, 30 * DAY_S, .def = "86400", .unit = "seconds",
	    .doc = "How long a pool that wrote to a greytrap is trapped." },
	{ "trap_action", SCHEMA_WORD, 0, AT(trap_action), .def = "refuse", .words = words_action,
	    .doc = "What a trapped pool hears; score: nothing." },
	{ "spamtrap_action", SCHEMA_WORD, 0, AT(spamtrap_action), .def = "refuse",
	    .words = words_action, .doc = "What who writes to a spamtrap hears; score: nothing." },
	{ "capacity", SCHEMA_NUMBER, SCHEMA_RESTART, AT(capacity), 1000, GREYLIST_MAX_CAPACITY,
	    .def = "1000000", .unit = "entries",
	    .doc = "Of the index (27 bytes each) and its file (384 bytes each, and 72 MiB)." },
	{ "exempt", SCHEMA_TEXT, SCHEMA_MANY, AT(exempt), 0, NAMES_MAX,
	    .doc = "Recipients that cannot wait: user@example.org, user@, example.org, .example.org." },
	{ "greytraps", SCHEMA_TEXT, SCHEMA_MANY, AT(greytraps), 0, NAMES_MAX,
	    .doc = "Recipients that nobody writes to: an unknown client that does has its pool trapped." },
	{ "spamtraps", SCHEMA_TEXT, SCHEMA_MANY, AT(spamtraps), 0, NAMES_MAX,
	    .doc = "Recipients that get nothing but spam, from whomever." },
};
const struct schema_section grey_schema = { sizeof(struct config_grey), COUNT(grey_keys), grey_keys };
#undef SECTION_STRUCT
/* clang-format on */

static const char *wrong_name(const char *text)
{
	char buf[NAMES_MAX_LEN + 1];
	enum name_kind kind;

	return nameset_read(text, false, &kind, buf);
}

static void check_names(const struct config *c, const struct config_items *from, const char *key,
    struct complaints *complaints)
{
	const struct config_value *names = from->items;

	for (size_t i = 0; i < from->n; i++) {
		const char *wrong = names[i].wrong ? NULL : wrong_name(names[i].text);

		if (wrong)
			complain(complaints, c->path, names[i].pos, "greylist.%s: \"%s\": %s", key,
			    names[i].text, wrong);
	}
}

void config_check_grey(struct config *c, struct complaints *complaints)
{
	const struct config_grey *g = &c->grey;

	if (g->retry_window_s.number <= g->delay_s.number)
		complain(complaints, c->path, g->retry_window_s.pos,
		    "greylist.retry_window_s: \"%s\" is over before delay_s (%lld) is; allowed: a "
		    "larger number",
		    g->retry_window_s.text, (long long)g->delay_s.number);
	check_names(c, &g->exempt, "exempt", complaints);
	check_names(c, &g->greytraps, "greytraps", complaints);
	check_names(c, &g->spamtraps, "spamtraps", complaints);
}

static int add_names(struct image_writer *w, unsigned set, const struct config_items *from)
{
	const struct config_value *names = from->items;
	char text[NAMES_MAX_LEN + 1];
	enum name_kind kind;
	int ret = 0;

	for (size_t i = 0; i < from->n && ret == 0; i++)
		if (nameset_read(names[i].text, false, &kind, text) == NULL)
			ret = image_writer_name(w, set, kind, text, 0);
	return ret;
}

static void set_state(struct policy_rule *rule, const struct config_value *state)
{
	rule->state = state->number == STATE_OFF      ? RULE_OFF
		      : state->number == STATE_SHADOW ? RULE_SHADOW
						      : RULE_ENFORCE;
	rule->share = state->number > 0 && state->number < 100 ? (uint8_t)state->number : 0;
}

int compile_grey(const struct config *c, struct image_writer *w)
{
	const struct config_grey *from = &c->grey;
	struct policy_grey *to = &image_writer_settings(w)->grey;
	int ret;

	if (from->state.number == STATE_OFF)
		return 0;
	ret = image_writer_greylist(w);
	if (ret)
		return ret;
	to->delay_s = (uint32_t)from->delay_s.number;
	to->retry_window_s = (uint32_t)from->retry_window_s.number;
	to->life_s = (uint32_t)from->life_s.number;
	to->white_after = (uint32_t)from->white_after.number;
	to->white_life_s = (uint32_t)from->white_life_s.number;
	to->trap_s = (uint32_t)from->trap_s.number;
	to->from_score = (int32_t)from->from_score.number;
	to->capacity = (uint32_t)from->capacity.number;
	set_state(image_writer_rule_at(w, to->rule), &from->state);
	set_state(image_writer_rule_at(w, to->rule_trapped), &from->state);
	set_state(image_writer_rule_at(w, to->rule_spamtrap), &from->state);
	image_writer_rule_at(w, to->rule_trapped)->action = actions[from->trap_action.number];
	image_writer_rule_at(w, to->rule_spamtrap)->action = actions[from->spamtrap_action.number];
	ret = add_names(w, to->exempt, &from->exempt);
	if (ret == 0)
		ret = add_names(w, to->greytraps, &from->greytraps);
	if (ret == 0)
		ret = add_names(w, to->spamtraps, &from->spamtraps);
	return ret;
}
