/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run; see proof.h and run.h. Everything due is in one heap by time: tries of messages, answers of
 * name service, clients that have thought or lost patience; between two of them the rig steps.
 *
 * Chance is drawn from the seed and from what it is for, never from a stream that all share: a check
 * that is switched off changes what it changes and no other sender's luck.
 */
#include "run.h"

#include "dataplane/model_names.h"
#include "filters/memory.h"
#include "filters/policy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is due ---- */

static bool before(const struct due *a, const struct due *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void run_due(struct run *r, uint64_t at_ns, enum due_kind kind, uint32_t index, uint32_t generation)
{
	unsigned i = r->n_due++;
	struct due d = { at_ns, kind, index, generation, r->order++ };

	assert(r->n_due <= DUE_MAX);
	for (; i > 0 && before(&d, &r->heap[(i - 1) / 2]); i = (i - 1) / 2)
		r->heap[i] = r->heap[(i - 1) / 2];
	r->heap[i] = d;
}

static struct due take_due(struct run *r)
{
	struct due first = r->heap[0], last = r->heap[--r->n_due];
	unsigned i = 0, next;

	while ((next = 2 * i + 1) < r->n_due) {
		if (next + 1 < r->n_due && before(&r->heap[next + 1], &r->heap[next]))
			next++;
		if (!before(&r->heap[next], &last))
			break;
		r->heap[i] = r->heap[next];
		i = next;
	}
	r->heap[i] = last;
	return first;
}

uint64_t run_random(const struct run *r, uint64_t what, uint64_t which, uint64_t below)
{
	uint64_t state = r->seed * 0x9e3779b97f4a7c15u ^ what << 40 ^ which;

	model_random(&state);
	return model_random(&state) % below;
}

/* ---- name service ---- */

void run_numbered(char *to, size_t size, const char *name, unsigned number)
{
	const char *at = strstr(name, "%u");

	if (at)
		snprintf(to, size, "%.*s%u%s", (int)(at - name), name, number, at + 2);
	else
		snprintf(to, size, "%s", name);
}

/* Rows of the policy's lists that name it now. */
static uint32_t listed(const struct run *r, const struct sender *s)
{
	const struct policy_dns *dns = &policy_settings(r->policy)->dns;
	uint64_t now_s = (r->rig->now_ns - r->start_ns) / 1000000000;
	uint32_t kinds = s->listed, rows = 0;

	if (s->spam_from_s && now_s >= s->spam_from_s)
		kinds |= 1u << DNS_LIST_SPAM;
	for (unsigned i = 0; i < dns->n_lists; i++)
		if (kinds & 1u << dns->lists[i].kind)
			rows |= 1u << i;
	return rows;
}

static void on_question(void *arg, const struct question *q)
{
	static const uint8_t hosts[] = {
		[HOST_NONE] = ANSWER_NONE, [HOST_UNCONFIRMED] = ANSWER_UNCONFIRMED, [HOST_CONFIRMED] = ANSWER_FOUND
	};
	static const uint8_t domains[] = {
		[SENDER_EXISTS] = ANSWER_FOUND, [SENDER_NONE] = ANSWER_NONE, [SENDER_NULL_MX] = ANSWER_NULL_MX
	};
	struct run *r = arg;
	const uint8_t *b = q->addr + 12;
	uint32_t address = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	unsigned number = 0, i = r->next_answer++ % (CLIENTS * 4);
	const struct sender *s = corpus_of(r->corpus, address, &number);
	char name[64];

	assert(s);
	run_numbered(name, sizeof(name), s->name, number);
	model_names_answer(
	    &(struct model_names){ .listed = listed(r, s),
		.host = hosts[s->host],
		.sender = domains[s->domain],
		.spf = s->spf,
		/* a longer number moves the organisation */
		.org = (uint8_t)(strstr(s->name, "%u") ? strcspn(name, ".") + 1 : s->org),
		.is_mx = s->is_mx,
		.host_name = name,
		.pool = s->mail_domain },
	    q, &r->answers[i]);
	run_due(r, r->rig->now_ns + 1000000 * (5 + run_random(r, 200 + q->kind, address, 400)),
	    DUE_ANSWER, i, 0);
}

static void on_alarm(void *arg, const struct memory_alarm *alarm)
{
	struct run *r = arg;

	(void)alarm;
	r->score->alarms++;
}

/* ---- the run ---- */

static void serve(struct run *r, const struct due *d)
{
	struct client *c = &r->clients[d->index < CLIENTS ? d->index : 0];
	bool current = c->conn && c->generation == d->generation;

	switch ((enum due_kind)d->kind) {
	case DUE_TRY: client_start(r, d->index); break;
	case DUE_ANSWER: rig_answer(r->rig, &r->answers[d->index]); return;
	case DUE_THOUGHT:
		if (current)
			client_thought(r, c);
		break;
	case DUE_PATIENCE:
		if (current)
			client_lost_patience(r, c);
		break;
	}
	rig_send(r->rig);
}

static void play(struct run *r)
{
	uint64_t end_ns;

	for (unsigned i = 0; i < r->corpus->n_messages; i++)
		run_due(r, r->start_ns + r->corpus->messages[i].at_s * 1000000000ull, DUE_TRY, i, 0);
	while (r->n_due > 0) {
		uint64_t at_ns = r->heap[0].at_ns;

		while (r->n_due > 0 && r->heap[0].at_ns >= at_ns && rig_step(r->rig, at_ns))
			at_ns = r->heap[0].at_ns;
		while (r->n_due > 0 && r->heap[0].at_ns <= r->rig->now_ns) {
			struct due d = take_due(r);

			serve(r, &d);
		}
	}
	/* what is still open ends by the appliance's own time-outs, and is told */
	end_ns = r->rig->now_ns + 1200000000000ull;
	while (rig_step(r->rig, end_ns))
		;
}

/* Bits of the recipients that are there. */
static uint64_t there(const struct message *m)
{
	uint64_t bits = 0;
	char rcpt[80];

	for (unsigned i = 0; i < m->n_rcpts; i++)
		bits |= (uint64_t)corpus_rcpt(m, i, rcpt, sizeof(rcpt)) << i;
	return bits;
}

static void tally_messages(struct run *r)
{
	struct score *score = r->score;
	for (unsigned i = 0; i < r->corpus->n_messages; i++) {
		const struct message *m = &r->corpus->messages[i];
		unsigned kind = r->corpus->senders[m->sender].kind;
		uint64_t wanted = there(m);
		bool refused = m->lost & wanted, gave_up = m->pending & wanted;
		bool arrived = kind < FIRST_HONEST ? m->taken != 0 : !refused && !gave_up;

		score->messages[kind]++;
		score->arrived[kind] += arrived;
		score->copies[kind] += (unsigned)__builtin_popcountll(m->taken);
		score->refused[kind] += refused;
		score->gave_up[kind] += gave_up && !refused;
		score->marked[kind] += m->taken && m->marked;
		score->stuck += !m->done;
		if (arrived && m->tries > 1) {
			score->delayed[kind]++;
			score->delay_s[kind] += m->done_s - m->at_s;
		}
		score->twice[kind] += m->tries > 2;
		r->through[m->sender] |= m->taken != 0;
	}
	for (unsigned i = 0; i < r->corpus->n_senders; i++) {
		score->senders[r->corpus->senders[i].kind]++;
		score->through[r->corpus->senders[i].kind] += r->through[i];
	}
}

bool proof_run(const struct proof *proof, struct corpus *corpus, struct score *score)
{
	struct run *r = calloc(1, sizeof(*r));
	struct rig_config config = { .seed = proof->seed,
		.arg = r,
		.no_clients = true,
		.no_backends = true,
		.clients_turn = clients_turn,
		.backends_turn = served_turn,
		.on_event = told_event,
		.on_question = on_question,
		.on_alarm = on_alarm,
		.given_policy = proof->policy,
		.overlay = proof->overlay,
		.backend_port = 25,
		.worker_conns = 2048,
		.greylist_entries = 65536,
		.memory_entries = PROOF_MEMORY,
		.outside = { .delay_ns = 20000000, .jitter_ns = 2000000 },
		.inside = { .delay_ns = 200000 } };
	bool made = false;

	if (!r)
		return false;
	r->policy = proof->policy;
	r->corpus = corpus;
	r->score = score;
	r->seed = proof->seed;
	r->stats = calloc(1, sizeof(*r->stats));
	corpus_make(corpus, proof->seed, proof->options);
	if (r->stats && rig_new(&config, &r->rig) == 0) {
		uint32_t now_s = (uint32_t)(r->rig->now_ns / 1000000000);

		made = !r->rig->memory || memory_restore(r->rig->memory, proof->learned->snapshot,
					      proof->learned->len, now_s) == 0;
		r->start_ns = r->rig->now_ns;
		if (made)
			play(r);
		tally_messages(r);
		told_resolve(r);
		score->bans += r->rig->n_bans;
		rig_free(r->rig);
	}
	free(r->stats);
	free(r);
	return made;
}
