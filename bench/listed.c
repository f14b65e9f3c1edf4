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

void listed_policy(const struct listed *l, struct policy_settings *s, struct image_writer *w)
{
	struct policy_list list = {
		.verdict = l->verdict, .reason = REASON_LISTED, .pool = -1, .verify_share = 100
	};
	uint64_t random = 1;

	s->limits = (struct policy_limits){ .message_size = 1 << 20,
		.recipients = 100,
		.errors = 20,
		.commands = 1000,
		.connections = 1000000,
		.prefix_connections = 1000000,
		.connection_rate = 1000000000 };
	if (l->listed && l->entries > 1) {
		listed_add_as(w, l->entries, (enum verdict_kind)l->verdict);
		return;
	}
	image_writer_string(w, l->listed ? "blocked" : "others", &list.name);
	unsigned index = (unsigned)image_writer_list(w, &list);
	if (l->listed) {
		image_writer_v4(w, index, 0xc6120000, 15);
		image_writer_v6(
		    w, index, (const uint8_t[16]){ 0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad }, 48);
		return;
	}
	/* to the left of the generator's sources */
	for (uint32_t i = 0; i < l->entries; i++)
		image_writer_v4(w, index, (uint32_t)model_random(&random) & 0x7fffffff, 32);
}
