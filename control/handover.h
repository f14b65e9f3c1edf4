/* SPDX-License-Identifier: BSD-3-Clause */
/* An image as `policy.load` carries it: sealed memfds for the parts the dataplane lacks, and the
 * list of all of them (README.md, "Sockets"). */
#ifndef POSTERN_CONTROL_HANDOVER_H
#define POSTERN_CONTROL_HANDOVER_H

#include "compile.h"

#include <jansson.h>

struct handover {
	json_t *params;
	int fds[IMAGE_MAX_PARTS];
	unsigned n_fds;
};

/* held: array of hashes in hex, as `hello` says them; NULL: send every part. -errno. */
int handover_make(const struct image *image, const json_t *held, struct handover *ret_handover);
void handover_fini(struct handover *h); /* params may have been given away: set to NULL then */
/* True when `held` has every part of the image. */
bool handover_holds_all(const struct image *image, const json_t *held);

#endif
