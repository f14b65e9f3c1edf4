/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounds of struct policy_shape, for policy_open() and for the writer of an image. */
#ifndef POSTERN_FILTERS_POLICY_CHECK_SHAPE_H
#define POSTERN_FILTERS_POLICY_CHECK_SHAPE_H

#include "policy_shape.h"

#include <stddef.h>

/* NULL: in bounds; else a sentence (static storage). strings_len: bytes of the STRINGS part. */
const char *policy_check_shape(const struct policy_shape *shape, size_t strings_len);

#endif
