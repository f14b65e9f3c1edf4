/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `events`: the manager's own (manager_events.c), nothing of it goes into the policy. */
#include "schema.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

/* clang-format off */
#define SECTION_STRUCT config_events
static const struct schema_key events_keys[] = {
	{ "mask_after_hours", SCHEMA_NUMBER, 0, AT(mask_after_hours), 0, 87600, .def = "168",
	    .unit = "hours",
	    .doc = "Older lines of the event log keep of the client its /24 or /48, of sender and recipient the "
		   "domain; done within two hours more; 0: never." },
	{ "retention_days", SCHEMA_NUMBER, 0, AT(retention_days), 0, 3650, .def = "30", .unit = "days",
	    .doc = "Files of the event log whose newest line is older are deleted; 0: kept until rotation "
		   "drops them (32 files of 64 MiB)." },
};
const struct schema_section events_schema = { sizeof(struct config_events), COUNT(events_keys),
	events_keys };
#undef SECTION_STRUCT
/* clang-format on */
