/* SPDX-License-Identifier: BSD-3-Clause */
/* One expression as Hyperscan wants it; shared by the compiler of patterns and their cost. */
#ifndef POSTERN_CONTROL_COMPILE_PATTERNS_HS_H
#define POSTERN_CONTROL_COMPILE_PATTERNS_HS_H

#include "patterns.h"

#include <hs/hs.h>

/* Alone in a database for this machine, in the mode of its zone. NULL: refused; *ret_error is to be
 * freed by hs_free_compile_error(). */
hs_database_t *patterns_database(
    const struct patterns_expression *expression, hs_compile_error_t **ret_error);

#endif
