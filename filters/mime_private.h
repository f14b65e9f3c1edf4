/* SPDX-License-Identifier: BSD-3-Clause */
/* Between mime.c (the machine) and mime_type.c (what fields say of a part), nobody else's. */
#ifndef POSTERN_FILTERS_MIME_PRIVATE_H
#define POSTERN_FILTERS_MIME_PRIVATE_H

#include "mime.h"

enum encoding { PLAIN, BASE64, QUOTED_PRINTABLE };

static inline bool mime_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* A part, or the message, of which nothing is known yet. */
void mime_part_reset(struct mime *m);
void mime_note_field(struct mime *m, const uint8_t *name, size_t n, const uint8_t *v, size_t len);

#endif
