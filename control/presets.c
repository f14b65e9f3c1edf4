/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of presets, made of the files by presets/embed.py; see presets.h. */
#include "presets.h"

#include <stddef.h>
#include <string.h>

static const struct preset presets[] = {
#include "presets_text.h"
};

const struct preset *preset_all(unsigned *ret_n)
{
	*ret_n = sizeof(presets) / sizeof(presets[0]);
	return presets;
}

const struct preset *preset_find(const char *name)
{
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
		if (strcmp(presets[i].name, name) == 0)
			return &presets[i];
	return NULL;
}
