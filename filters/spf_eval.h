/* SPDX-License-Identifier: BSD-3-Clause */
/* The evaluation of SPF records, question by question. Private to filters/spf*. */
#ifndef POSTERN_FILTERS_SPF_EVAL_H
#define POSTERN_FILTERS_SPF_EVAL_H

#include "spf_state.h"

/* Asks for the first record; all but the domain is in place. */
void spf_eval_start(struct spf *s, struct text domain);

/* To the open question, and of sound form: SPF_ANSWERED with records, or anything else without. */
void spf_eval_answer(struct spf *s, const struct spf_answer *answer);

void spf_eval_end(struct spf *s, enum spf_result result, enum spf_trouble trouble);

#endif
