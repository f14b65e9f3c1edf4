/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter by score: what the rules' weights came to against the policy's thresholds. */
#ifndef POSTERN_FILTERS_SCORE_H
#define POSTERN_FILTERS_SCORE_H

#include "chain.h"

filter_fn score_judge; /* CONNECT, RCPT, BODY */

#endif
