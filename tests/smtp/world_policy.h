/* SPDX-License-Identifier: BSD-3-Clause */
/* From the directives of a conversation file to a policy. */
#ifndef POSTERN_TESTS_WORLD_POLICY_H
#define POSTERN_TESTS_WORLD_POLICY_H

#include "world.h"

/* Reads the directives once more and adds "key=value ..." of `change` (may be NULL). The policy
 * becomes the last of w->policies. False: w->error. */
bool world_policy_make(struct world *w, char *change);

/* "NAME WORD, WORD ...": what a server's EHLO reply offers from now on; NAME all: every server. */
bool world_ehlo(struct world *w, char *text);

#endif
