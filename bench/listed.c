/* SPDX-License-Identifier: BSD-3-Clause */
/* One seed, so that every benchmark measures the same table; see listed.h. */
#include "listed.h"

#include "dataplane/model_mail.h" /* model_random() */

void listed_add(struct image_writer *w, uint32_t entries)
{
	listed_add_as(w, entries, VERDICT_REFUSE);
}

void listed_add_as(struct image_writer *w, uint32_t entries, enum verdict_kind verdict)
{
	struct policy_list list = {
		.verdict = (uint8_t)verdict, .reason = REASON_LISTED, .pool = -1
	};
	uint64_t random = 1;

	image_writer_string(w, "blocked", &list.name);
	unsigned index = (unsigned)image_writer_list(w, &list);
	image_writer_v4(w, index, 0xc6120000, 15);
	image_writer_v6(w, index, (const uint8_t[16]){ 0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad }, 48);
	for (uint32_t i = 0; i < entries; i++) {
		uint32_t a = (uint32_t)model_random(&random);
		if (a >> 24 != 192)
			image_writer_v4(w, index, a, i & 7 ? 32 : 24);
	}
}
