/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections `checks` (a sub-section per row of filters/checks.def) and `score`. */
#include "schema.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

/* Their order is that of check_verdicts in compile.c. */
static const char *const words_check_action[] = { "score", "mark", "defer", "refuse", "tarpit",
	NULL };

/* Columns of checks.def as words of the configuration. */
#define WORD_NONE    "score"
#define WORD_MARK    "mark"
#define WORD_DEFER   "defer"
#define WORD_REFUSE  "refuse"
#define WORD_TARPIT  "tarpit"
#define WORD_ENFORCE "enforce"
#define WORD_SHADOW  "shadow"
#define WORD_OFF     "off"

/* clang-format off */
#define SECTION_STRUCT config_check
static const struct schema_key check_keys[CHECK_N][3] = {
#define POLICY_CHECK(name, judge, phases, reason, def_weight, def_action, def_state, text) \
	[CHECK_##name] = { \
		{ "state", SCHEMA_STATE, 0, AT(state), .def = WORD_##def_state, \
		    .doc = "off; shadow: counted and told, not done; 25%: done for that share of clients, " \
			   "shadow for the rest; enforce." }, \
		{ "weight", SCHEMA_NUMBER, 0, AT(weight), -100000, 100000, .def = #def_weight, \
		    .unit = "hundredths of a point", .doc = "Added to the score when it hits." }, \
		{ "action", SCHEMA_WORD, 0, AT(action), .def = WORD_##def_action, \
		    .words = words_check_action, \
		    .doc = "What a hit leads to by itself; score: nothing but its weight." }, \
	},
#include "filters/checks.def"
#undef POLICY_CHECK
};
#undef SECTION_STRUCT

static const struct schema_section check_sections[CHECK_N] = {
#define POLICY_CHECK(name, judge, phases, reason, weight, action, state, text) \
	[CHECK_##name] = { sizeof(struct config_check), COUNT(check_keys[0]), check_keys[CHECK_##name] },
#include "filters/checks.def"
#undef POLICY_CHECK
};

#define SECTION_STRUCT config_checks
static const struct schema_key checks_keys[CHECK_N] = {
#define POLICY_CHECK(name, judge, phases, reason, weight, action, state, text) \
	[CHECK_##name] = { #name, SCHEMA_SECTION, 0, AT(check[CHECK_##name]), \
	    .section = &check_sections[CHECK_##name], .doc = text },
#include "filters/checks.def"
#undef POLICY_CHECK
};
const struct schema_section checks_schema = { sizeof(struct config_checks), CHECK_N, checks_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_score
static const struct schema_key score_keys[] = {
	{ "mark", SCHEMA_NUMBER, 0, AT(mark), 0, 1000000, .def = "0", .unit = "hundredths of a point",
	    .doc = "From this score on messages are marked; 0: never." },
	{ "defer", SCHEMA_NUMBER, 0, AT(defer), 0, 1000000, .def = "0", .unit = "hundredths of a point",
	    .doc = "From this score on clients are deferred (451); 0: never." },
	{ "refuse", SCHEMA_NUMBER, 0, AT(refuse), 0, 1000000, .def = "0",
	    .unit = "hundredths of a point",
	    .doc = "From this score on clients are refused (550; 521 before they said anything); 0: "
		   "never." },
	{ "tarpit", SCHEMA_NUMBER, 0, AT(tarpit), 0, 1000000, .def = "0",
	    .unit = "hundredths of a point",
	    .doc = "From this score on, as they connect, clients are held a byte at a time; 0: never." },
};
const struct schema_section score_schema = { sizeof(struct config_score), COUNT(score_keys),
	score_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_waves
static const struct schema_key waves_keys[] = {
	{ "networks", SCHEMA_NUMBER, 0, AT(networks), 0, 1000, .def = "0", .unit = "networks",
	    .doc = "A wave of alike messages is told of from so many networks (/24, IPv6: /64) on; 0: not "
		   "looked for." },
	{ "life_s", SCHEMA_NUMBER, 0, AT(life_s), 60, 604800, .def = "3600", .unit = "seconds",
	    .doc = "A wave not seen for so long is over." },
};
const struct schema_section waves_schema = { sizeof(struct config_waves), COUNT(waves_keys),
	waves_keys };
#undef SECTION_STRUCT
