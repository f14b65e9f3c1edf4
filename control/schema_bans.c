/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `bans`: its rows and its compilation (filters/policy_bans.h). */
#include "schema.h"

#include "filters/image_write.h"
#include "filters/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

enum { DAY_S = 86400, YEAR_S = 366 * DAY_S };

/* Their order is that of kinds[]. */
static const char *const words_action[] = { "refuse", "drop", "reset", "trap", "tarpit", NULL };
static const uint8_t kinds[] = { VERDICT_REFUSE, VERDICT_DROP, VERDICT_RESET, VERDICT_TRAP,
	VERDICT_TARPIT };

/* clang-format off */
#define SECTION_STRUCT config_bans
static const struct schema_key bans_keys[] = {
	{ "threshold", SCHEMA_NUMBER, 0, AT(threshold), 0, 1000000, .def = "0", .unit = "points",
	    .doc = "At so many points of offences a client is banned; 0: nobody is banned by itself." },
	{ "refused_points", SCHEMA_NUMBER, 0, AT(refused_points), 0, 1000000, .def = "10", .unit = "points",
	    .doc = "Of a session that ended refused, tarpitted or worse, by anything but a list or a ban." },
	{ "unknown_points", SCHEMA_NUMBER, 0, AT(unknown_points), 0, 1000000, .def = "1", .unit = "points",
	    .doc = "Of each recipient that is not there." },
	{ "window_s", SCHEMA_NUMBER, 0, AT(window_s), 60, 30 * DAY_S, .def = "3600", .unit = "seconds",
	    .doc = "In so long a full threshold leaks away." },
	{ "first_s", SCHEMA_NUMBER, 0, AT(first_s), 60, 30 * DAY_S, .def = "600", .unit = "seconds",
	    .doc = "Of a first ban; each repeat is twice as long." },
	{ "longest_s", SCHEMA_NUMBER, 0, AT(longest_s), 60, YEAR_S, .def = "86400", .unit = "seconds",
	    .doc = "Of any ban." },
	{ "remember_s", SCHEMA_NUMBER, 0, AT(remember_s), 0, YEAR_S, .def = "604800", .unit = "seconds",
	    .doc = "A ban within so long of the last one's end is a repeat." },
	{ "prefix_hosts", SCHEMA_NUMBER, 0, AT(prefix_hosts), 0, BANS_MAX_HOSTS, .def = "5", .unit = "hosts",
	    .doc = "With so many of a /24 or /64 banned at once all of it is; 0: never." },
	{ "good_s", SCHEMA_NUMBER, 0, AT(good_s), 0, YEAR_S, .def = "604800", .unit = "seconds",
	    .doc = "... unless a message of it was accepted within so long." },
	{ "action", SCHEMA_WORD, 0, AT(action), .def = "refuse", .words = words_action,
	    .doc = "What a banned client gets." },
};
const struct schema_section bans_schema = { sizeof(struct config_bans), COUNT(bans_keys), bans_keys };
#undef SECTION_STRUCT
/* clang-format on */

void compile_bans(const struct config *c, struct image_writer *writer)
{
	const struct config_bans *from = &c->bans;

	image_writer_settings(writer)->bans = (struct policy_bans){
		.settings = {
			.threshold = (uint32_t)from->threshold.number,
			.window_s = (uint32_t)from->window_s.number,
			.first_s = (uint32_t)from->first_s.number,
			.longest_s = (uint32_t)from->longest_s.number,
			.remember_s = (uint32_t)from->remember_s.number,
			.prefix_hosts = (uint32_t)from->prefix_hosts.number,
			.good_s = (uint32_t)from->good_s.number,
		},
		.refused_points = (uint32_t)from->refused_points.number,
		.unknown_points = (uint32_t)from->unknown_points.number,
		.kind = kinds[from->action.number],
	};
}
