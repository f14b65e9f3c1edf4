/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random messages for the property: well-formed mail (MIME, base64, quoted-printable, RFC 2047,
 * HTML, lines of dots) with needles whose places are known, and word salad that looks like MIME.
 * A message is a function of its seed, so that a failure can be shown again and made smaller.
 *
 * The needles are the second opinion on the decoders: the oracle (oracle.h) decodes with the same
 * mime.c as the engine, in one piece; whoever wrote the message knows what stands in it without.
 */
#ifndef POSTERN_TESTS_PROPERTY_MAIL_H
#define POSTERN_TESTS_PROPERTY_MAIL_H

#include "rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAIL_ROOM = 1 << 19 };

struct mail_plan {
	uint64_t seed;
	uint32_t id;      /* in its first field, so that the backend's side can tell it */
	bool salad;       /* word salad instead of mail */
	bool bare;        /* on the wire some lines end in bare LF or CR */
	bool chunked;     /* need not end in CR LF */
	uint32_t longest; /* bytes of a part's text, about */
};

struct mail {
	struct mail_plan plan;
	char *text; /* the message, unstuffed, CR LF line ends: what is to be scanned and forwarded */
	size_t n;
	char *wire; /* what DATA carries, without the final dot line */
	size_t n_wire;
	bool planted[RULES]; /* surely in the message, wherever it is not cut by a depth */
};

void mail_make(struct mail *m, const struct mail_plan *plan);
void mail_free(struct mail *m);

#endif
