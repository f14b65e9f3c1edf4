/* SPDX-License-Identifier: BSD-3-Clause */
/* Presets by name; the table itself is made of the files by presets/embed.py. See presets.h. */
#include "presets.h"

#include <stddef.h>
#include <string.h>

const struct preset *preset_all(unsigned *ret_n)
{
	*ret_n = preset_n_rows;
	return preset_rows;
}

const struct preset *preset_find(const char *name)
{
	for (unsigned i = 0; i < preset_n_rows; i++)
		if (strcmp(preset_rows[i].name, name) == 0)
			return &preset_rows[i];
	return NULL;
}
