/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sender, his records and the DNS at his mercy against the SPF machine. Input: lines. The first is
 * HELO, the second MAIL FROM, the third `4` or `6` for the client's family and anything else after it
 * for a check without explanations. Each later line answers a question: its first byte is the status
 * (`d` no data, `x` no such name, `s` server failure, `t` time-out, else an answer), the rest records
 * separated by `|`. A record `=` to an address question is the client's address. When the lines are
 * used up they begin anew, so that what loops, loops.
 *
 * Holds: it ends within its bounds; it asks for names only; an answer to another question changes
 * nothing; an explanation is one printable line; its memory is not left.
 */
#include "fuzz.h"

#include "filters/spf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { RECORDS_MAX = 32, GUARD = 32 };

static const uint8_t client4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
static const uint8_t client6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };

static struct text take(struct text *t, char end)
{
	const char *at = t->len ? memchr(t->p, end, t->len) : NULL;
	struct text first = { t->p, at ? (uint16_t)(at - t->p) : t->len };
	uint16_t used = (uint16_t)(first.len + (at != NULL));

	t->p += used;
	t->len = (uint16_t)(t->len - used);
	return first;
}

static void check_name(const struct spf_question *q)
{
	unsigned label = 0;

	CHECK(q->name_len > 0 && q->name_len <= SPF_NAME_MAX && q->name[q->name_len] == 0);
	for (unsigned i = 0; i < q->name_len; i++) {
		char c = q->name[i];

		CHECK(c >= ' ' && c <= '~' && c != '\\' && !(c >= 'A' && c <= 'Z'));
		CHECK(c != '.' || label > 0);
		label = c == '.' ? 0 : label + 1;
		CHECK(label <= 63);
	}
	CHECK(label > 0);
}

static void answer(struct spf *s, struct text line, const uint8_t client[16])
{
	const struct spf_question *q = spf_question(s);
	struct spf_answer a = { .status = SPF_ANSWERED };
	struct text records[RECORDS_MAX];
	char status = line.len ? line.p[0] : 'd';
	bool addresses = q->type == SPF_TYPE_A || q->type == SPF_TYPE_AAAA;
	uint32_t id = q->id;

	switch (status) {
	case 'd': a.status = SPF_NODATA; break;
	case 'x': a.status = SPF_NXDOMAIN; break;
	case 's': a.status = SPF_SERVFAIL; break;
	case 't': a.status = SPF_TIMEOUT; break;
	default: break;
	}
	if (line.len)
		take(&line, status);
	while (line.len && a.n_records < RECORDS_MAX) {
		struct text r = take(&line, '|');

		if (addresses && r.len == 1 && r.p[0] == '=') {
			bool v4 = q->type == SPF_TYPE_A;

			r = (struct text){ (const char *)client + (v4 ? 12 : 0), v4 ? 4 : 16 };
		}
		records[a.n_records++] = r;
	}
	a.records = records;
	CHECK(spf_answer(s, id + 1, &a) == -ESTALE);
	CHECK(spf_answer(s, id - 1, &a) == -ESTALE);
	CHECK(spf_question(s)->id == id && !spf_outcome(s));
	CHECK(spf_answer(s, id, &a) == 0);
	CHECK(spf_answer(s, id, &a) == (spf_outcome(s) ? -EALREADY : -ESTALE));
}

static void check_outcome(const struct spf_outcome *o)
{
	CHECK(o->result < SPF_N_RESULTS && o->trouble < SPF_N_TROUBLES);
	CHECK(o->lookups <= SPF_LOOKUPS_MAX && o->voids <= SPF_VOIDS_MAX);
	CHECK((o->trouble != SPF_TROUBLE_NONE) ==
	      (o->result == SPF_PERMERROR || o->result == SPF_TEMPERROR));
	CHECK(o->domain.len <= SPF_NAME_MAX && o->authority.len <= SPF_NAME_MAX);
	CHECK(o->explanation.len == 0 || o->result == SPF_FAIL);
	CHECK(o->explanation.len <= SPF_EXPLANATION_MAX);
	for (unsigned i = 0; i < o->explanation.len; i++)
		CHECK(o->explanation.p[i] >= ' ' && o->explanation.p[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct {
		uint8_t before[GUARD];
		_Alignas(SPF_STATE_ALIGN) uint8_t state[SPF_STATE_BYTES];
		uint8_t after[GUARD];
	} memory;
	struct text input = { (const char *)data, (uint16_t)(len < UINT16_MAX ? len : UINT16_MAX) };
	struct text helo = take(&input, '\n'), mail = take(&input, '\n'), how = take(&input, '\n');
	struct text lines = input;
	struct spf_input in = {
		.helo = helo, .mail = mail, .receiver = { "mx.example", 10 }, .now_s = 1
	};
	unsigned asked = 0;
	struct spf *s;

	memcpy(in.client, how.len && how.p[0] == '6' ? client6 : client4, sizeof(in.client));
	in.explain = how.len < 2;
	memset(&memory, 0x5a, sizeof(memory));
	s = spf_init(memory.state);
	spf_start(s, &in);
	while (spf_question(s)) {
		CHECK(++asked <= SPF_QUESTIONS_MAX);
		check_name(spf_question(s));
		if (lines.len == 0)
			lines = input;
		answer(s, take(&lines, '\n'), in.client);
	}
	CHECK(spf_outcome(s) && spf_outcome(s)->questions == asked);
	check_outcome(spf_outcome(s));
	for (unsigned i = 0; i < GUARD; i++)
		CHECK(memory.before[i] == 0x5a && memory.after[i] == 0x5a);
	return 0;
}
