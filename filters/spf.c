/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of an SPF check: whom it is about, which answers it takes, what it came to. What the
 * answers lead to is spf_eval.c's. The number of a question goes on counting over all checks of one
 * piece of memory, so that an answer that comes after its check has ended fits no later one.
 * Rejected: a generation beside the number; one more thing for a caller to pass through unchanged.
 */
#include "spf_eval.h"

#include "address_form.h"
#include "spf_name.h"

#include <errno.h>
#include <string.h>

const char *const spf_result_words[SPF_N_RESULTS] = {
	[SPF_NONE] = "none",
	[SPF_NEUTRAL] = "neutral",
	[SPF_PASS] = "pass",
	[SPF_FAIL] = "fail",
	[SPF_SOFTFAIL] = "softfail",
	[SPF_TEMPERROR] = "temperror",
	[SPF_PERMERROR] = "permerror",
};

const char *const spf_trouble_words[SPF_N_TROUBLES] = {
	[SPF_TROUBLE_NONE] = "",
	[SPF_TROUBLE_DNS] = "DNS error",
	[SPF_TROUBLE_TIME] = "time is over",
	[SPF_TROUBLE_SYNTAX] = "syntax error in a record",
	[SPF_TROUBLE_MANY_RECORDS] = "more than one record at a name",
	[SPF_TROUBLE_LOOKUPS] = "more than 10 look-ups",
	[SPF_TROUBLE_VOIDS] = "more than 2 look-ups found nothing",
	[SPF_TROUBLE_MX_HOSTS] = "more than 10 hosts of one mx",
	[SPF_TROUBLE_INCLUDE_NONE] = "an included domain has no record",
	[SPF_TROUBLE_REDIRECT_NONE] = "redirected to where no record is",
	[SPF_TROUBLE_TOO_LARGE] = "records too large",
};

struct spf *spf_init(void *memory)
{
	struct spf *s = memory;

	s->step = SPF_STEP_IDLE;
	s->question.id = 0;
	return s;
}

static uint16_t copy(char *to, size_t room, struct text from)
{
	if (from.len == 0 || from.len > room)
		return 0;
	memcpy(to, from.p, from.len);
	return from.len;
}

/* Who is judged (4.3, 2.4). False: nobody can be. */
static bool take_sender(struct spf *s, const struct spf_input *in)
{
	static const struct text postmaster = { "postmaster", 10 };
	struct text local = { in->mail.p, 0 }, domain = in->mail;

	s->outcome.of_helo = in->mail.len == 0;
	if (in->mail.len) {
		for (unsigned i = in->mail.len; i > 0; i--) {
			if (in->mail.p[i - 1] == '@') {
				local.len = (uint16_t)(i - 1);
				domain =
				    (struct text){ in->mail.p + i, (uint16_t)(in->mail.len - i) };
				break;
			}
		}
	} else {
		domain = in->helo;
	}
	if (local.len > SPF_LOCAL_MAX)
		return false;
	s->local_len = copy(s->local, sizeof(s->local), local.len ? local : postmaster);
	domain = spf_name_trim(domain);
	if (!spf_name_judgeable(domain))
		return false;
	s->domain_len = copy(s->domain, sizeof(s->domain), domain);
	return true;
}

void spf_start(struct spf *s, const struct spf_input *in)
{
	uint32_t id = s->question.id;

	memset(s, 0, offsetof(struct spf, frames));
	s->question.id = id;
	memcpy(s->client, in->client, sizeof(s->client));
	s->v4 = address_is_v4(in->client);
	s->now_s = in->now_s;
	s->explain = in->explain;
	s->helo_len = copy(s->helo, sizeof(s->helo), in->helo);
	s->receiver_len = copy(s->receiver, sizeof(s->receiver), in->receiver);
	if (!take_sender(s, in)) {
		spf_eval_end(s, SPF_NONE, SPF_TROUBLE_NONE);
		return;
	}
	s->outcome.domain = (struct text){ s->domain, s->domain_len };
	spf_eval_start(s, s->outcome.domain);
}

const struct spf_question *spf_question(const struct spf *s)
{
	return s->step == SPF_STEP_IDLE || s->step == SPF_STEP_DONE ? NULL : &s->question;
}

int spf_answer(struct spf *s, uint32_t id, const struct spf_answer *answer)
{
	struct spf_answer a = *answer;

	if (s->step == SPF_STEP_IDLE || s->step == SPF_STEP_DONE)
		return -EALREADY;
	if (id != s->question.id)
		return -ESTALE;
	if (a.status > SPF_TIMEOUT)
		return -EINVAL;
	if (a.status != SPF_ANSWERED)
		a.n_records = 0;
	else if (a.n_records == 0)
		a.status = SPF_NODATA;
	spf_eval_answer(s, &a);
	return 0;
}

const struct spf_outcome *spf_outcome(const struct spf *s)
{
	return s->step == SPF_STEP_DONE ? &s->outcome : NULL;
}

void spf_give_up(struct spf *s)
{
	if (!spf_question(s))
		return;
	if (s->explaining)
		spf_eval_end(s, SPF_FAIL, SPF_TROUBLE_NONE);
	else
		spf_eval_end(s, SPF_TEMPERROR, SPF_TROUBLE_TIME);
}

enum verdict_kind spf_verdict(enum spf_result result, enum verdict_kind wanted)
{
	switch (result) {
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_PERMERROR: return wanted;
	case SPF_TEMPERROR: return wanted > VERDICT_DEFER ? VERDICT_DEFER : wanted;
	default: return VERDICT_NONE;
	}
}
