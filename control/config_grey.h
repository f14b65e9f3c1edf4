/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `greylist` as read (config.h), its checks and its part of the policy. */
#ifndef POSTERN_CONTROL_CONFIG_GREY_H
#define POSTERN_CONTROL_CONFIG_GREY_H

struct config_grey {
	struct config_value state, from_score, delay_s, retry_window_s, life_s, white_after,
	    white_life_s, trap_s, trap_action, spamtrap_action, capacity;
	struct config_items exempt, greytraps, spamtraps; /* config_value, text */
};

struct config;
struct image_writer;

/* What no single value shows. */
void config_check_grey(struct config *c, struct complaints *complaints);
/* 0, -ENOMEM, -E2BIG. */
int compile_grey(const struct config *c, struct image_writer *writer);

#endif
