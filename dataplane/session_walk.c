/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open sessions, for `posternctl sessions` (worker.h). By place in the pool and not along the
 * list, so that a walk goes on in a later turn whatever came and went meanwhile: a session is met at
 * most once, one that lasts is met for certain.
 */
#include "session_private.h"

#include <string.h>

static bool in_prefix(const uint8_t client[16], const uint8_t addr[16], unsigned len)
{
	unsigned bytes = len / 8, bits = len % 8;

	if (memcmp(client, addr, bytes) != 0)
		return false;
	return bits == 0 || (client[bytes] ^ addr[bytes]) >> (8 - bits) == 0;
}

static void fill(struct session_row *row, const struct session *s)
{
	const struct tally *tally = &s->tally;

	*row = (struct session_row){
		.client_port = s->facts.client_port,
		.listener = s->facts.listener,
		.server = s->server,
		.messages = s->messages,
		.rcpts = s->rcpts,
		.last_code = s->last_code,
		.reason = s->verdict.reason,
		.verdict = s->verdict.kind,
		.phase = s->reached,
		.state = s->state,
		.n_rules = tally->n,
		.score = tally->score,
		.commands = s->facts.commands,
		.opened_ns = s->opened_ns,
		.bytes_in = s->bytes_in,
		.bytes_out = s->bytes_out,
	};
	memcpy(row->client, s->facts.client, sizeof(row->client));
	session_copy_text(row->helo, sizeof(row->helo), session_helo(s));
	session_copy_text(row->mail, sizeof(row->mail), session_mail(s));
}

bool worker_sessions(const struct worker *w, struct session_walk *walk, unsigned steps)
{
	const struct pool *pool = &w->sessions;

	for (; walk->at < pool->fresh && steps > 0; walk->at++, steps--) {
		/* an object given back begins with a pointer to one, or zeros: never with our byte */
		const struct session *s =
		    (const void *)(pool->memory + pool->object_size * walk->at);

		if (s->owner != OWNER_SESSION ||
		    !in_prefix(s->facts.client, walk->addr, walk->prefix_len))
			continue;
		walk->met++;
		if (walk->n < walk->cap)
			fill(&walk->rows[walk->n++], s);
	}
	return walk->at >= pool->fresh;
}

const char *worker_session_word(unsigned state)
{
	return state < SESSION_N_STATES ? session_state_words[state] : "?";
}
