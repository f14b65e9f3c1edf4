/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections `memory`, `rates`, `recipients` and `batv` as read (config.h), their checks and their
 * part of the policy. */
#ifndef POSTERN_CONTROL_CONFIG_MEMORY_H
#define POSTERN_CONTROL_CONFIG_MEMORY_H

struct config_memory {
	struct config_value capacity, burst_floor, burst_percent, stranger_percent, hold_s,
	    unknown_floor, harvest_unknown, harvest_percent, spread_unknown, known_s, unknown_s;
	struct config_items stranger_senders; /* config_value, text */
};

struct config_rate {
	struct config_value name, of, count, per_minute, per_hour, at_once, learned, state, weight,
	    action;
};

struct config_recipients {
	struct config_value state, file;
	struct config_items domains, entries; /* config_value, text */
};

struct config_batv {
	struct config_items domains, keys; /* config_value, text */
};

struct config;
struct image_writer;

/* What no single value shows. */
void config_check_memory(struct config *c, struct complaints *complaints);
/* 0 or -errno; mistakes in files go to complaints. */
int compile_memory(
    const struct config *c, struct image_writer *writer, struct complaints *complaints);

#endif
