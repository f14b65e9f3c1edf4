/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a check. Private to filters/spf*.
 *
 * The arena is a stack: of each domain that is being evaluated (the first, and one per include under
 * way) its name and its program (spf_record.h); on top the list of host names that an mx, a ptr or a
 * %{p} is going through. An include costs one of ten look-ups, hence eleven frames at most.
 */
#ifndef POSTERN_FILTERS_SPF_STATE_H
#define POSTERN_FILTERS_SPF_STATE_H

#include "spf.h"
#include "spf_macro.h"
#include "spf_record.h"

#include <stddef.h>

enum spf_step {
	SPF_STEP_IDLE, /* never started */
	SPF_STEP_RECORD,
	SPF_STEP_ADDRESS, /* of a and exists */
	SPF_STEP_MX,
	SPF_STEP_MX_ADDRESS,
	SPF_STEP_PTR,
	SPF_STEP_PTR_ADDRESS,
	SPF_STEP_P, /* names for %{p}, before the term, redirect or explanation that uses it */
	SPF_STEP_P_ADDRESS,
	SPF_STEP_EXP,
	SPF_STEP_DONE,
};

struct spf_frame {
	uint16_t base; /* in the arena: name, program */
	uint16_t domain_len;
	uint16_t at;    /* in the program: the term under way */
	uint16_t after; /* and the one behind it */
	bool redirected;
	struct spf_program program;
};

struct spf {
	struct spf_question question;
	struct spf_outcome outcome;
	uint8_t client[16];
	uint64_t now_s;
	bool v4, explain;
	uint8_t step;      /* enum spf_step */
	uint8_t n_frames;  /* the last one is being evaluated */
	bool charged;      /* the term under way is counted in lookups */
	bool void_counted; /* and in voids */
	bool p_known;      /* for the term under way */
	bool explaining;   /* the result is settled, its explanation is being looked for */
	bool text_known;   /* the explanation's text lies at exp_text, unexpanded */
	uint8_t authority_len, p_len;
	uint16_t exp_text, exp_text_len;
	uint16_t list, list_at; /* names on the arena: a length byte, the bytes */
	uint16_t arena_len;
	uint16_t local_len, domain_len, helo_len, receiver_len;
	struct spf_frame frames[SPF_LOOKUPS_MAX + 1];
	char local[SPF_LOCAL_MAX];
	char domain[SPF_NAME_MAX + 1];
	char helo[SPF_NAME_MAX + 1];
	char receiver[SPF_NAME_MAX + 1];
	char authority[SPF_NAME_MAX + 1];
	char p[SPF_NAME_MAX + 1];
	uint8_t arena[5632];
};

_Static_assert(sizeof(struct spf) <= SPF_STATE_BYTES, "spf.h says how large a check is");
_Static_assert(_Alignof(struct spf) <= SPF_STATE_ALIGN, "and how it is aligned");

#endif
