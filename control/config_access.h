/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections `access` and `relay` as read (config.h), their checks and their part of the policy. */
#ifndef POSTERN_CONTROL_CONFIG_ACCESS_H
#define POSTERN_CONTROL_CONFIG_ACCESS_H

#include "filters/policy_access.h"

struct config_access {
	struct config_value name, kind, action, state, weight, file;
	struct config_items entries, except; /* config_value */
};

struct config_relay {
	struct config_items internal;                    /* config_value, net */
	struct config_items internal_hosts, own_senders; /* config_value */
	struct config_value outbound_pool;
	struct config_value matrix[RELAY_N_SOURCES][RELAY_N_SENDERS][RELAY_N_RECIPIENTS];
	int outbound_index; /* by config_check_access(); -1: none */
};

struct config;
struct image_writer;

/* What no single value shows. */
void config_check_access(struct config *c, struct complaints *complaints);
/* 0 or -errno; mistakes in files go to complaints. */
int compile_access(
    const struct config *c, struct image_writer *writer, struct complaints *complaints);

#endif
