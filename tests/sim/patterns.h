/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pattern sets for the simulation: worlds in which some messages are to be refused for what they
 * hold, policies with other sets come while messages are under way, memory to scan them is short,
 * old sets have to go, and PCRE2 answers at once, late, or never. A message is
 *
 *	doomed   refused by every policy of the world: by its id's last digit, or by a few bytes
 *	         that stand far behind in one message and by chance in others: never kept, never
 *	         accepted, whatever happens (an unscanned pass would show)
 *	at risk  refused by some of the policies
 *	free     refused by none
 */
#ifndef POSTERN_TESTS_SIM_PATTERNS_H
#define POSTERN_TESTS_SIM_PATTERNS_H

#include "dataplane/model_rig.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_patterns;

enum sim_fate { SIM_DOOMED, SIM_AT_RISK, SIM_FREE };

/* Compiles the sets for messages 1 to n. */
struct sim_patterns *sim_patterns_new(uint64_t seed, unsigned n, size_t body_len);
void sim_patterns_free(struct sim_patterns *p);
enum sim_fate sim_patterns_fate(const struct sim_patterns *p, uint64_t id, size_t body_len);

/* For rig_config.policy: puts the first of the policies into what the rig makes. */
void sim_patterns_policy(
    struct sim_patterns *p, struct policy_settings *settings, struct image_writer *writer);
/* Once the rig is made: the other policies, by the same configuration. */
void sim_patterns_ready(struct sim_patterns *p, struct rig *rig, const struct rig_config *config);
/* Swaps policies when it is time; called between steps. */
void sim_patterns_turn(struct sim_patterns *p);
/* The worker is idle: messages and confirmations that still hold on to a set, which nothing does. */
unsigned sim_patterns_held(struct sim_patterns *p);
/* Before the rig is freed. */
void sim_patterns_over(struct sim_patterns *p);

/* Sessions that had a message not scanned, one refused for content; policies swapped. */
struct sim_patterns_counts {
	uint64_t unscanned, refused, swaps;
};
void sim_patterns_event(struct sim_patterns *p, const struct event *event);
struct sim_patterns_counts sim_patterns_counts(const struct sim_patterns *p);

#endif
