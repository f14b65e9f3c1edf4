/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `shaping` as read (config.h), its checks and its part of the policy. */
#ifndef POSTERN_CONTROL_CONFIG_SHAPE_H
#define POSTERN_CONTROL_CONFIG_SHAPE_H

struct config_class {
	struct config_value name, from_score, pace_bytes, pace_ms, stutter_ms, window_bytes;
};

struct config_shape {
	struct config_value teaser, refusal_s, tarpit_pace_ms;
	struct config_items classes; /* config_class */
};

struct config;
struct image_writer;

/* What no single value shows. */
void config_check_shape(struct config *c, struct complaints *complaints);
/* 0 or -ENOMEM. */
int compile_shape(const struct config *c, struct image_writer *writer);

#endif
