/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of host names that a term is going through. Private to filters/spf*. */
#ifndef POSTERN_FILTERS_SPF_LIST_H
#define POSTERN_FILTERS_SPF_LIST_H

#include "spf_state.h"

void spf_list_open(struct spf *s);
void spf_list_close(struct spf *s);

/* False: there is no room. */
bool spf_list_add(struct spf *s, struct text name);

/* The name at `at` of the arena. */
struct text spf_list_name(const struct spf *s, uint16_t at);

/* The next one, in the order in which they were added; false at the end. */
bool spf_list_next(struct spf *s, struct text *ret_name);

#endif
