/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory's rows of an image (image_write.h): rates and recipients by file. */
#include "image_write.h"

#include <errno.h>
#include <stdio.h>

static uint16_t reason_of(const struct policy_rate *rate)
{
	if (!rate->at_once)
		return REASON_RATE;
	return rate->subject >= MEMORY_RECIPIENT ? REASON_RECIPIENT_AT_ONCE : REASON_SENDER_AT_ONCE;
}

int image_writer_rate(struct image_writer *w, const char *name, const struct policy_rate *rate)
{
	struct policy_memory *to = &image_writer_settings(w)->memory;
	struct policy_rule rule = { .kind = RULE_RATE,
		.action = VERDICT_DEFER,
		.reason = reason_of(rate),
		.index = to->n_rates };
	char text[80];
	int r;

	if (to->n_rates == POLICY_MAX_RATES)
		return -E2BIG;
	snprintf(text, sizeof(text), "rates.%s", name);
	r = image_writer_string(w, text, &rule.name);
	if (r < 0)
		return r;
	r = image_writer_rule(w, &rule);
	if (r < 0)
		return r;
	to->rates[to->n_rates] = *rate;
	to->rates[to->n_rates++].rule = (uint32_t)r;
	return r;
}

int image_writer_recipients(struct image_writer *w, unsigned domains, unsigned recipients)
{
	struct policy_memory *to = &image_writer_settings(w)->memory;
	struct policy_rule rule = { .kind = RULE_RECIPIENTS,
		.action = VERDICT_REFUSE,
		.reason = REASON_UNKNOWN_RECIPIENT };
	int r = image_writer_string(w, "recipients", &rule.name);
	if (r < 0)
		return r;
	r = image_writer_rule(w, &rule);
	if (r < 0)
		return r;
	to->rule_recipients = (uint32_t)r;
	to->recipient_domains = domains;
	to->recipients = recipients;
	return 0;
}
