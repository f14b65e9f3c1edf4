/* SPDX-License-Identifier: BSD-3-Clause */
/* See model_names.h. */
#include "model_names.h"

#include "filters/facts.h"

#include <stdio.h>

void model_names_answer(const struct model_names *names, const struct question *q, struct answer *a)
{
	*a = (struct answer){ .id = q->id, .kind = q->kind, .status = ANSWER_FOUND };
	switch ((enum question_kind)q->kind) {
	case QUESTION_PTR:
		a->status = names->host;
		a->org = names->org;
		if (names->host == ANSWER_FOUND)
			snprintf(a->name, sizeof(a->name), "%.254s", names->host_name);
		break;
	case QUESTION_DNSL:
		a->lists = names->listed & q->lists;
		a->known = q->lists;
		a->version = q->version;
		break;
	case QUESTION_SENDER:
		a->status = names->sender;
		a->result = names->is_mx;
		break;
	case QUESTION_SPF:
		a->result = (uint8_t)(names->spf > FACT_SPF_NONE ? names->spf - FACT_SPF_NONE : 0);
		if (names->pool)
			snprintf(a->name, sizeof(a->name), "%.254s", names->pool);
		break;
	case QUESTION_CONFIRM: break; /* the rig's own */
	}
}
