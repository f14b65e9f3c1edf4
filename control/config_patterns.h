/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `patterns` as read (config.h), its checks and its part of the policy. */
#ifndef POSTERN_CONTROL_CONFIG_PATTERNS_H
#define POSTERN_CONTROL_CONFIG_PATTERNS_H

enum { PATTERNS_MAX_FILES = 64, PATTERNS_MAX_EMERGENCY = 64, PATTERNS_MAX_STATES = 256 };

struct config_patterns {
	struct config_items files;       /* config_value, text */
	struct config_items shadow, off; /* config_value, names of rules */
	struct config_value state, depth, decoded_depth, messages, confirm_ms, on_failure, platform;
	/* lines of pattern files, added at run time (override.h); text, `name=` included */
	struct config_items emergency;
	/* of single rules, set at run time over the lists above; text: the name, number: as `state`. One
	 * whose rule is gone (a pattern with an end of its own) means nothing. */
	struct config_items states;
};

struct config;
struct complaints;
struct image_writer;
struct compile_options;

/* What no single value shows. */
void config_check_patterns(struct config *c, struct complaints *complaints);
/* 0 or -errno; mistakes in files go to complaints. */
int compile_patterns(const struct config *c, struct image_writer *writer,
    const struct compile_options *options, struct complaints *complaints);
/* The rules of a compiled part, as rows of the policy; from NULL: all enforced. 0 or -errno. */
int compile_patterns_rules(const struct config_patterns *from, struct image_writer *writer,
    unsigned set, const void *part, size_t len);

#endif
