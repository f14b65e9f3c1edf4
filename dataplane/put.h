/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text put together on a worker: what snprintf() does with %s, %.*s and %u, at a twentieth of its
 * instructions (sixteen calls of it were a tenth of a relayed session). Past the room everything is
 * cut; callers know their bounds, so this is for the case that they are wrong.
 */
#ifndef POSTERN_DATAPLANE_PUT_H
#define POSTERN_DATAPLANE_PUT_H

#include "filters/facts.h"

#include <string.h>

struct put {
	char *p, *end;
};

static inline void put_bytes(struct put *to, const char *bytes, size_t n)
{
	if (n > (size_t)(to->end - to->p))
		n = (size_t)(to->end - to->p);
	if (n)
		memcpy(to->p, bytes, n);
	to->p += n;
}

#define PUT_LITERAL(to, literal) put_bytes(to, "" literal, sizeof(literal) - 1)

static inline void put_text(struct put *to, struct text t)
{
	put_bytes(to, t.p, t.len);
}

/* At most `max` bytes of a zero-terminated string. */
static inline void put_string(struct put *to, const char *s, size_t max)
{
	size_t n = strlen(s);

	put_bytes(to, s, n < max ? n : max);
}

static inline void put_number(struct put *to, uint64_t n)
{
	char digits[20], *d = digits + sizeof(digits);

	do
		*--d = (char)('0' + n % 10);
	while (n /= 10);
	put_bytes(to, d, (size_t)(digits + sizeof(digits) - d));
}

#endif
