/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Durations as people type them: 30s, 10m, 2h, 7d. A unit is always demanded: `--for 10` would be
 * ten of what? On the control socket durations are whole seconds (`for_s`).
 */
#ifndef POSTERN_CONTROL_DURATION_H
#define POSTERN_CONTROL_DURATION_H

#include <stddef.h>
#include <stdint.h>

enum { DURATION_MAX_DAYS = 3650, DURATION_TEXT_MAX = 24 };
#define DURATION_ALLOWED "a number and its unit: 30s, 10m, 2h or 7d, at most 3650d"

/* Seconds, at least 1. -EINVAL: not a duration; -ERANGE: 0 or too long. */
int duration_parse(const char *text, uint64_t *ret_seconds);
/* The two greatest units: "1h 20m", "45s"; cut off, not rounded. */
void duration_text(uint64_t seconds, char ret_text[DURATION_TEXT_MAX]);

#endif
