/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names for a set (filters/nameset.h), as an operator writes them: one entry, and where wanted
 * `until=2026-12-31` (the end of that day, UTC) behind it. Files hold one a line, `#` begins a
 * comment. Used by access rules, recipient lists, exemptions and traps.
 */
#ifndef POSTERN_CONTROL_NAMEFILE_H
#define POSTERN_CONTROL_NAMEFILE_H

#include "complaints.h"
#include "config.h"

struct image_writer;

enum { NAMEFILE_LINE_MAX = 1024 };

/* One entry into the set. NULL, or what is wrong with it in words that fit behind it; -ENOMEM and
 * bounds of the image are told as words, too. */
const char *namefile_entry(
    struct image_writer *writer, unsigned set, bool pairs, const char *text, size_t len);

/* The entries written in the configuration and those of the file (empty: none) into a new set.
 * Returns its number, or -errno; mistakes go to complaints. `key` names the list in them. */
int namefile_set(struct image_writer *writer, const struct config *config, const char *key,
    const struct config_items *entries, const struct config_value *file, bool pairs,
    struct complaints *complaints);

#endif
