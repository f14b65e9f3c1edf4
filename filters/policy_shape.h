/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How slowly who is answered: part of the SETTINGS layout (policy.h). A class is chosen by what a
 * session has scored so far; trusted clients are in none. The values are bounded by
 * policy_check_shape(), so that no image can make a session that never ends or never reads.
 */
#ifndef POSTERN_FILTERS_POLICY_SHAPE_H
#define POSTERN_FILTERS_POLICY_SHAPE_H

#include <stdint.h>

enum {
	POLICY_MAX_CLASSES = 8,
	SHAPE_PACE_MS_MIN = 10,
	SHAPE_PACE_MS_MAX = 30000,
	SHAPE_STUTTER_MS_MAX = 86400000,
	SHAPE_REFUSAL_S_MAX = 43200,
	SHAPE_WINDOW_MIN = 4096, /* a command line must fit (SMTP_COMMAND_MAX) */
};

struct policy_class {
	uint32_t name;      /* policy_str */
	int32_t from_score; /* hundredths; of the classes reached the one with the highest is taken */
	uint32_t pace_bytes; /* stutter: replies leave so many bytes at a time; 0: at once */
	uint32_t pace_ms;    /* ... one such lot per */
	uint32_t stutter_ms; /* since the connection began, then at once; 0: as long as it lasts */
	uint32_t window_bytes; /* of the receive window: how fast a client may send; 0: as ever */
};

struct policy_shape {
	uint8_t teaser; /* 1: a "220-" line at once, the greeting itself after greet_delay_ms */
	uint8_t reserved[3];
	uint32_t refusal_s;      /* of a tarpitted command, from verdict to last line; 0: at once */
	uint32_t tarpit_pace_ms; /* where no list says otherwise; 0: 10,000 */
	uint32_t n_classes;
	struct policy_class classes[POLICY_MAX_CLASSES];
};

#endif
