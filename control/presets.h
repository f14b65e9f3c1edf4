/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Presets: fragments of a configuration that stand under the user's file (`preset: normal`). They
 * are the files of control/presets/, compiled in, so that a program and its presets are always of
 * one version and a file that went missing cannot turn the checks off. Rejected: reading them from
 * /usr/share at load time; they are installed there to be read by people.
 */
#ifndef POSTERN_CONTROL_PRESETS_H
#define POSTERN_CONTROL_PRESETS_H

struct preset {
	const char *name, *file; /* as in `preset:`; as named in a complaint */
	const char *text;        /* YAML */
};

extern const struct preset preset_rows[]; /* presets_text.c, generated */
extern const unsigned preset_n_rows;

const struct preset *preset_all(unsigned *ret_n);
const struct preset *preset_find(const char *name); /* NULL: none of that name */

#endif
