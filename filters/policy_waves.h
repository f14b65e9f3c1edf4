/* SPDX-License-Identifier: BSD-3-Clause */
/* The settings of waves (waves.h): a section of the SETTINGS part (policy.h), fixed width. */
#ifndef POSTERN_FILTERS_POLICY_WAVES_H
#define POSTERN_FILTERS_POLICY_WAVES_H

#include <stdint.h>

struct policy_waves {
	uint32_t networks; /* from so many on a wave is told of; 0: messages are not sketched */
	uint32_t life_s;   /* a wave not seen for so long is over */
};

#endif
