/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_host() of RFC 7208 as a machine: run() goes on with the evaluation until something must be
 * asked, and each answer goes to the step that asked. What would be the C stack of the recursive
 * function in the RFC is the array of frames. Every question is paid for by one of the bounds of
 * 4.6.4, and between two questions each term is looked at once, so a hostile record ends like any
 * other. Rejected: a thread or coroutine per check, whose stack is larger and whose limits are not
 * to be seen in a struct.
 */
#include "spf_eval.h"

#include "spf_list.h"
#include "spf_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whether the evaluation can go on by itself or waits for an answer (or for nothing any more). */
enum go { GO_ON, GO_WAIT };

static struct spf_frame *top(struct spf *s)
{
	return &s->frames[s->n_frames - 1];
}

static struct text domain_of(const struct spf *s, const struct spf_frame *f)
{
	return (struct text){ (const char *)s->arena + f->base, f->domain_len };
}

static uint8_t *program_of(struct spf *s, const struct spf_frame *f)
{
	return s->arena + f->base + f->domain_len;
}

static struct spf_vars vars_of(const struct spf *s, const struct spf_frame *f)
{
	struct spf_vars v = {
		.local = { s->local, s->local_len },
		.sender_domain = { s->domain, s->domain_len },
		.domain = domain_of(s, f),
		.helo = { s->helo, s->helo_len },
		.receiver = { s->receiver, s->receiver_len },
		.validated = { s->p, s->p_known ? s->p_len : 0 },
		.v4 = s->v4,
		.now_s = s->now_s,
	};

	memcpy(v.client, s->client, sizeof(v.client));
	return v;
}

static enum go done(struct spf *s)
{
	s->step = SPF_STEP_DONE;
	s->outcome.authority = (struct text){ s->authority, s->authority_len };
	return GO_WAIT;
}

/* The domain under evaluation is the one that decides, well or badly. */
static void take_authority(struct spf *s)
{
	struct text d = domain_of(s, top(s));

	memcpy(s->authority, d.p, d.len);
	s->authority_len = (uint8_t)d.len;
}

static enum go fail_with(struct spf *s, enum spf_result result, enum spf_trouble trouble)
{
	if (s->n_frames && !s->explaining)
		take_authority(s);
	s->outcome.result = (uint8_t)result;
	s->outcome.trouble = (uint8_t)trouble;
	return done(s);
}

static enum go permerror(struct spf *s, enum spf_trouble trouble)
{
	return fail_with(s, SPF_PERMERROR, trouble);
}

static enum go temperror(struct spf *s)
{
	return fail_with(s, SPF_TEMPERROR, SPF_TROUBLE_DNS);
}

/* `name` must be askable. */
static enum go ask(struct spf *s, enum spf_step step, enum spf_type type, struct text name)
{
	struct spf_question *q = &s->question;

	q->id++;
	q->type = (uint16_t)type;
	q->name_len = name.len;
	for (unsigned i = 0; i < name.len; i++)
		q->name[i] =
		    name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
	q->name[name.len] = 0;
	s->step = (uint8_t)step;
	s->outcome.questions++;
	return GO_WAIT;
}

static enum go ask_address(struct spf *s, enum spf_step step, struct text name)
{
	return ask(s, step, s->v4 ? SPF_TYPE_A : SPF_TYPE_AAAA, name);
}

static enum go ask_ptr(struct spf *s, enum spf_step step)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *c = s->client;
	char name[80];
	int len = 0;

	if (s->v4) {
		len = snprintf(
		    name, sizeof(name), "%u.%u.%u.%u.in-addr.arpa", c[15], c[14], c[13], c[12]);
	} else {
		for (unsigned i = 0; i < 32; i++) {
			name[len++] = hex[c[15 - i / 2] >> (i % 2 ? 4 : 0) & 15];
			name[len++] = '.';
		}
		memcpy(name + len, "ip6.arpa", 8);
		len += 8;
	}
	return ask(s, step, SPF_TYPE_PTR, (struct text){ name, (uint16_t)len });
}

static bool charge(struct spf *s)
{
	if (s->outcome.lookups == SPF_LOOKUPS_MAX)
		return false;
	s->outcome.lookups++;
	return true;
}

/* A term counts once however many of its questions come back empty: 4.6.4 limits "the number of
 * terms". Otherwise an IPv6 client would make a permerror of any mx whose hosts have IPv4 alone. */
static bool count_void(struct spf *s)
{
	if (s->void_counted)
		return true;
	s->void_counted = true;
	if (s->outcome.voids == SPF_VOIDS_MAX)
		return false;
	s->outcome.voids++;
	return true;
}

static bool is_void(const struct spf_answer *a)
{
	return a->status == SPF_NODATA || a->status == SPF_NXDOMAIN;
}

static bool is_error(const struct spf_answer *a)
{
	return a->status == SPF_SERVFAIL || a->status == SPF_TIMEOUT;
}

static bool any_address(const struct spf *s, const struct spf_answer *a, unsigned bits)
{
	unsigned len = s->v4 ? 4 : 16;

	for (unsigned i = 0; i < a->n_records; i++) {
		if (a->records[i].len == len &&
		    spf_prefix_equal((const uint8_t *)a->records[i].p, s->client + 16 - len, bits))
			return true;
	}
	return false;
}

/* ---- frames ---- */

/* Asks for the record of `domain`, on top of what is there. */
static enum go enter(struct spf *s, struct text domain, bool redirected)
{
	struct spf_frame *f = &s->frames[s->n_frames];

	if (sizeof(s->arena) - s->arena_len < domain.len)
		return permerror(s, SPF_TROUBLE_TOO_LARGE);
	s->n_frames++;
	*f = (struct spf_frame){
		.base = s->arena_len, .domain_len = domain.len, .redirected = redirected
	};
	memcpy(s->arena + f->base, domain.p, domain.len);
	s->arena_len = (uint16_t)(s->arena_len + domain.len);
	return ask(s, SPF_STEP_RECORD, SPF_TYPE_TXT, domain);
}

static void leave(struct spf *s)
{
	s->arena_len = top(s)->base;
	s->n_frames--;
}

static void next_term(struct spf *s)
{
	top(s)->at = top(s)->after;
	s->charged = s->void_counted = s->p_known = false;
}

static enum go explain(struct spf *s);

/* What one domain's evaluation came to: an include takes it as matched or not (5.2), the first
 * domain's is the result. */
static enum go conclude(struct spf *s, uint8_t result)
{
	while (s->n_frames > 1) {
		struct spf_term t;

		leave(s);
		if (result != SPF_PASS) {
			next_term(s);
			return GO_ON;
		}
		spf_term_read(program_of(s, top(s)), top(s)->at, &t);
		result = t.result;
	}
	s->outcome.result = result;
	if (result != SPF_FAIL || top(s)->program.exp_len == 0)
		return done(s);
	s->explaining = true;
	s->p_known = false;
	return explain(s);
}

static enum go matched(struct spf *s, uint8_t result)
{
	take_authority(s);
	return conclude(s, result);
}

/* ---- terms ---- */

static enum go get_p(struct spf *s)
{
	if (!s->explaining && !charge(s)) /* 4.6.4; of an explanation nothing is counted */
		return permerror(s, SPF_TROUBLE_LOOKUPS);
	return ask_ptr(s, SPF_STEP_P);
}

/* The evaluation is at the end of the program. */
static enum go end_of_terms(struct spf *s)
{
	struct spf_frame *f = top(s);
	struct text spec = { (const char *)program_of(s, f) + f->program.redirect,
		f->program.redirect_len };
	struct spf_vars vars;
	char name[256];
	bool uses_p;

	if (spec.len == 0)
		return matched(s, SPF_NEUTRAL); /* 4.7 */
	if (!s->charged && !charge(s))
		return permerror(s, SPF_TROUBLE_LOOKUPS);
	s->charged = true;
	spf_macro_check(spec, SPF_SPEC_DOMAIN, &uses_p);
	if (uses_p && !s->p_known)
		return get_p(s);
	vars = vars_of(s, f);
	struct text domain = { name, spf_macro_name(&vars, spec, name) };

	if (!spf_name_judgeable(domain))
		return permerror(s, SPF_TROUBLE_REDIRECT_NONE); /* 6.1 */
	leave(s);
	return enter(s, domain, true);
}

static enum go start_term(struct spf *s, const struct spf_term *t, struct text name)
{
	switch (t->kind) {
	case SPF_TERM_INCLUDE:
		if (!spf_name_judgeable(name))
			return permerror(s, SPF_TROUBLE_INCLUDE_NONE); /* none, by 4.3 */
		return enter(s, name, false);
	case SPF_TERM_PTR:
		spf_list_open(s);
		if (!spf_list_add(s, name)) /* the target goes before the names */
			return permerror(s, SPF_TROUBLE_TOO_LARGE);
		return ask_ptr(s, SPF_STEP_PTR);
	default: break;
	}
	if (!spf_name_askable(name)) {
		next_term(s); /* 4.8: as if there were no such name */
		return GO_ON;
	}
	if (t->kind == SPF_TERM_A)
		return ask_address(s, SPF_STEP_ADDRESS, name);
	if (t->kind == SPF_TERM_MX)
		return ask(s, SPF_STEP_MX, SPF_TYPE_MX, name);
	return ask(s, SPF_STEP_ADDRESS, SPF_TYPE_A, name); /* exists: for IPv6 clients too (5.7) */
}

static enum go do_term(struct spf *s)
{
	struct spf_frame *f = top(s);
	struct spf_vars vars;
	struct spf_term t;
	char name[256];

	if (f->at == f->program.terms_len)
		return end_of_terms(s);
	f->after = spf_term_read(program_of(s, f), f->at, &t);
	if (t.kind == SPF_TERM_MATCH)
		return matched(s, t.result);
	if (!s->charged && !charge(s))
		return permerror(s, SPF_TROUBLE_LOOKUPS);
	s->charged = true;
	if (t.uses_p && !s->p_known)
		return get_p(s);
	if (t.spec.len == 0)
		return start_term(s, &t, domain_of(s, f));
	vars = vars_of(s, f);
	size_t len = spf_macro_name(&vars, t.spec, name);
	return start_term(s, &t, (struct text){ name, len });
}

/* ---- the explanation: whatever goes wrong, there is none (6.2) ---- */

static void write_explanation(struct spf *s)
{
	struct spf_vars vars = vars_of(s, top(s));
	struct text spec = { (const char *)s->arena + s->exp_text, s->exp_text_len };
	char *out = (char *)s->arena + s->arena_len;
	size_t room = sizeof(s->arena) - s->arena_len;
	uint16_t len;

	if (room > SPF_EXPLANATION_MAX)
		room = SPF_EXPLANATION_MAX;
	if (spf_macro_text(&vars, spec, out, (uint16_t)room, &len))
		return;
	/* A local part or HELO may have put anything there; this goes into a reply. */
	for (unsigned i = 0; i < len; i++) {
		if (out[i] < ' ' || out[i] > '~')
			return;
	}
	s->outcome.explanation = (struct text){ out, len };
}

static enum go explain(struct spf *s)
{
	struct spf_frame *f = top(s);
	struct text spec = { (const char *)program_of(s, f) + f->program.exp, f->program.exp_len };
	bool uses_p = false;
	struct spf_vars vars;
	char name[256];

	if (s->text_known)
		spec = (struct text){ (const char *)s->arena + s->exp_text, s->exp_text_len };
	if (spf_macro_check(spec, s->text_known ? SPF_SPEC_EXPLAIN : SPF_SPEC_DOMAIN, &uses_p))
		return done(s);
	if (uses_p && !s->p_known)
		return get_p(s);
	if (s->text_known) {
		write_explanation(s);
		return done(s);
	}
	vars = vars_of(s, f);
	struct text at = { name, spf_macro_name(&vars, spec, name) };

	return spf_name_askable(at) ? ask(s, SPF_STEP_EXP, SPF_TYPE_TXT, at) : done(s);
}

static enum go got_explanation(struct spf *s, const struct spf_answer *a)
{
	if (a->status != SPF_ANSWERED || a->n_records != 1 ||
	    a->records[0].len > sizeof(s->arena) - s->arena_len)
		return done(s);
	s->exp_text = s->arena_len;
	s->exp_text_len = a->records[0].len;
	if (s->exp_text_len)
		memcpy(s->arena + s->exp_text, a->records[0].p, s->exp_text_len);
	s->arena_len = (uint16_t)(s->arena_len + s->exp_text_len);
	s->text_known = true;
	return explain(s);
}

/* ---- answers ---- */

static enum go got_record(struct spf *s, const struct spf_answer *a)
{
	struct spf_frame *f = top(s);
	struct text record;
	int r = -ENOENT;

	if (is_error(a))
		return temperror(s);
	if (a->status == SPF_ANSWERED)
		r = spf_select(a->records, a->n_records, &record);
	if (r == -EEXIST)
		return permerror(s, SPF_TROUBLE_MANY_RECORDS);
	if (r == -ENOENT) {
		if (f->redirected)
			return permerror(s, SPF_TROUBLE_REDIRECT_NONE);
		if (s->n_frames > 1)
			return permerror(s, SPF_TROUBLE_INCLUDE_NONE);
		return fail_with(s, SPF_NONE, SPF_TROUBLE_NONE);
	}
	r = spf_compile(record, s->client, s->v4, s->explain && s->n_frames == 1,
	    s->arena + s->arena_len, (uint16_t)(sizeof(s->arena) - s->arena_len), &f->program);
	if (r)
		return permerror(s, r == -ENOBUFS ? SPF_TROUBLE_TOO_LARGE : SPF_TROUBLE_SYNTAX);
	s->arena_len = (uint16_t)(s->arena_len + f->program.len);
	s->charged = s->void_counted = s->p_known = false;
	return GO_ON;
}

static enum go got_address(struct spf *s, const struct spf_answer *a)
{
	struct spf_term t;

	if (is_error(a))
		return temperror(s);
	if (is_void(a) && !count_void(s))
		return permerror(s, SPF_TROUBLE_VOIDS);
	spf_term_read(program_of(s, top(s)), top(s)->at, &t);
	if (t.kind == SPF_TERM_EXISTS ? a->status == SPF_ANSWERED
				      : any_address(s, a, s->v4 ? t.bits4 : t.bits6))
		return matched(s, t.result);
	next_term(s);
	return GO_ON;
}

static enum go next_mx(struct spf *s)
{
	struct text host;

	if (spf_list_next(s, &host))
		return ask_address(s, SPF_STEP_MX_ADDRESS, host);
	spf_list_close(s);
	next_term(s);
	return GO_ON;
}

static enum go got_mx(struct spf *s, const struct spf_answer *a)
{
	if (is_error(a))
		return temperror(s);
	if (is_void(a) && !count_void(s))
		return permerror(s, SPF_TROUBLE_VOIDS);
	/* 4.6.4. Judged before any host is asked for, so that the result does not hang on the order
	 * in which the records came. */
	if (a->n_records > SPF_NAMES_MAX)
		return permerror(s, SPF_TROUBLE_MX_HOSTS);
	spf_list_open(s);
	for (unsigned i = 0; i < a->n_records; i++) {
		struct text host = spf_name_trim(a->records[i]);

		if (spf_name_askable(host) && !spf_list_add(s, host)) /* RFC 7505: "." is no host */
			return permerror(s, SPF_TROUBLE_TOO_LARGE);
	}
	return next_mx(s);
}

static enum go got_mx_address(struct spf *s, const struct spf_answer *a)
{
	struct spf_term t;

	if (is_error(a))
		return temperror(s);
	if (is_void(a) && !count_void(s))
		return permerror(s, SPF_TROUBLE_VOIDS);
	spf_term_read(program_of(s, top(s)), top(s)->at, &t);
	if (!any_address(s, a, s->v4 ? t.bits4 : t.bits6))
		return next_mx(s);
	spf_list_close(s);
	return matched(s, t.result);
}

static enum go next_ptr(struct spf *s)
{
	struct text name;

	if (spf_list_next(s, &name))
		return ask_address(s, SPF_STEP_PTR_ADDRESS, name);
	spf_list_close(s);
	next_term(s);
	return GO_ON;
}

static enum go got_ptr(struct spf *s, const struct spf_answer *a)
{
	struct text target = spf_list_name(s, s->list);

	if (is_void(a) && !count_void(s))
		return permerror(s, SPF_TROUBLE_VOIDS);
	s->list_at = s->arena_len; /* behind the target */
	/* 5.5 confirms every name and then looks for the target's; only those can match, so only
	 * they are asked for. An error here is no match. */
	for (unsigned i = 0; i < a->n_records && i < SPF_NAMES_MAX; i++) {
		struct text name = spf_name_trim(a->records[i]);

		if (spf_name_askable(name) && spf_name_within(name, target))
			spf_list_add(s, name); /* without room it is one of those not looked at */
	}
	return next_ptr(s);
}

static enum go got_ptr_address(struct spf *s, const struct spf_answer *a)
{
	struct spf_term t;

	if (!any_address(s, a, s->v4 ? 32 : 128))
		return next_ptr(s);
	spf_list_close(s);
	spf_term_read(program_of(s, top(s)), top(s)->at, &t);
	return matched(s, t.result);
}

/* What needed %{p} goes on. */
static enum go p_is(struct spf *s, struct text name)
{
	s->p_len = (uint8_t)name.len;
	if (name.len)
		memcpy(s->p, name.p, name.len);
	s->p_known = true;
	spf_list_close(s);
	return s->explaining ? explain(s) : GO_ON;
}

static enum go next_p(struct spf *s)
{
	struct text name;

	if (spf_list_next(s, &name))
		return ask_address(s, SPF_STEP_P_ADDRESS, name);
	return p_is(s, (struct text){ NULL, 0 });
}

/* 7.3: the domain itself before what lies below it, before the rest; the first confirmed one. */
static enum go got_p(struct spf *s, const struct spf_answer *a)
{
	struct text domain = domain_of(s, top(s));

	spf_list_open(s);
	for (unsigned rank = 0; rank < 3; rank++) {
		for (unsigned i = 0; i < a->n_records && i < SPF_NAMES_MAX; i++) {
			struct text name = spf_name_trim(a->records[i]);
			unsigned is = !spf_name_within(name, domain) ? 2 : name.len > domain.len;

			if (is == rank && spf_name_askable(name))
				spf_list_add(s, name);
		}
	}
	return next_p(s);
}

static enum go got_p_address(struct spf *s, const struct spf_answer *a)
{
	if (!any_address(s, a, s->v4 ? 32 : 128))
		return next_p(s);
	return p_is(s, (struct text){ s->question.name, s->question.name_len });
}

void spf_eval_start(struct spf *s, struct text domain)
{
	enter(s, domain, false);
}

void spf_eval_end(struct spf *s, enum spf_result result, enum spf_trouble trouble)
{
	fail_with(s, result, trouble);
}

void spf_eval_answer(struct spf *s, const struct spf_answer *answer)
{
	static enum go (*const got[])(struct spf *, const struct spf_answer *) = {
		[SPF_STEP_RECORD] = got_record,
		[SPF_STEP_ADDRESS] = got_address,
		[SPF_STEP_MX] = got_mx,
		[SPF_STEP_MX_ADDRESS] = got_mx_address,
		[SPF_STEP_PTR] = got_ptr,
		[SPF_STEP_PTR_ADDRESS] = got_ptr_address,
		[SPF_STEP_P] = got_p,
		[SPF_STEP_P_ADDRESS] = got_p_address,
		[SPF_STEP_EXP] = got_explanation,
	};
	enum go go = got[s->step](s, answer);

	while (go == GO_ON)
		go = do_term(s);
}
