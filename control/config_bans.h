/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `bans` as read (config.h), and its part of the policy. */
#ifndef POSTERN_CONTROL_CONFIG_BANS_H
#define POSTERN_CONTROL_CONFIG_BANS_H

struct config_bans {
	struct config_value threshold, refused_points, unknown_points, window_s, first_s, longest_s,
	    remember_s, prefix_hosts, good_s, action;
};

struct config;
struct image_writer;

void compile_bans(const struct config *c, struct image_writer *writer);

#endif
