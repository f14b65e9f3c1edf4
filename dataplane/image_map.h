/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy from an image file, for the shells without a manager (replay, try). */
#ifndef POSTERN_DATAPLANE_IMAGE_MAP_H
#define POSTERN_DATAPLANE_IMAGE_MAP_H

#include "filters/policy.h"

/* NULL with words on stderr. The map outlives the policy: policy_close(), then munmap(). */
struct policy *image_map_policy(
    const char *program, const char *file, void **ret_map, size_t *ret_len);

#endif
