/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools and servers as this worker sees them: which server takes the next session, how many
 * connections it may hold, who waits, who is up, and which EHLO words it offers.
 *
 * Each worker has its own view and its own share of every limit: nothing is shared between cores.
 * A view survives changes of policy: servers are recognised by address and port, pools by name;
 * what vanished serves its sessions to their end and takes no new ones.
 *
 * Health: every check_interval a connection of its own reads 220, says EHLO, learns the words and
 * says QUIT. A hand-over that fails to connect marks the server down at once; the next check that
 * succeeds brings it back. Choice: up before unknown, never down or drained, least connections by
 * weight. With nobody to choose: the fallback pool, else NO_BACKEND.
 */
#ifndef POSTERN_DATAPLANE_BACKEND_H
#define POSTERN_DATAPLANE_BACKEND_H

#include "brain.h"

enum { BACKEND_NONE = 0xffff };

struct server {
	uint8_t addr[16];
	uint16_t port, weight;
	uint16_t index; /* in the running policy; BACKEND_NONE: gone, ends with its last session */
	uint16_t pool;  /* index in the running policy, BACKEND_NONE */
	uint8_t state;  /* enum stats_server_state, without DRAINED */
	bool drained;   /* operator's word */
	bool in_use;    /* the slot */
	bool words_known;
	uint32_t share;  /* connections this worker may hold */
	uint32_t active; /* connections of sessions, connecting ones included */
	uint32_t idle;   /* kept for reuse, counted in active */
	struct smtp_words words;
	struct relay_queue idle_list;
	struct relay *check; /* under way */
	uint64_t next_check_ns;
	uint64_t connects, failures, messages;
};

struct backend_pool {
	uint64_t id;       /* of its name */
	uint16_t index;    /* in the running policy */
	uint16_t first, n; /* policy indexes of its servers */
	uint16_t fallback; /* pool index, BACKEND_NONE */
	uint8_t hello;     /* enum policy_hello */
	uint32_t max_waiting, wait_timeout_ms, connect_timeout_ms, reply_timeout_ms;
	uint32_t final_timeout_ms, check_interval_ms;
	uint32_t n_waiting;
	bool owed; /* something became free: whoever waits is to be served */
	struct relay_queue waiters;
};

int backends_new(struct worker *w, struct backends **ret_backends);
struct backends *backends_free(struct backends *b);
/* At the first turn and whenever the policy's epoch changes. */
void backends_update(struct worker *w);
/* Health checks that are due; called once a turn. */
void backends_turn(struct worker *w);
uint64_t backends_next_deadline(const struct worker *w);
void backends_drain_server(struct worker *w, unsigned index, bool drain);
void backends_stats(struct worker *w);

const struct backend_pool *backend_pool(const struct worker *w, unsigned index);

/* What may be offered to a client: the words common to all servers that a session could reach,
 * and the smallest SIZE (0: none named). Before a server's first check: nothing of its. */
struct smtp_words backends_words(const struct worker *w);

enum backend_pick {
	BACKEND_PICKED, /* *ret_server has room */
	BACKEND_BUSY,   /* servers are up, all at their limit */
	BACKEND_NOBODY, /* none is up */
};
/* `avoid`: policy indexes tried before, as bits by position in the pool (the first 64). */
enum backend_pick backend_choose(
    struct worker *w, unsigned pool, uint64_t avoid, struct server **ret_server);

/* Takes and gives back one of a server's connections. Giving back starts whoever waits. */
void backend_take(struct worker *w, struct server *s);
void backend_release(struct worker *w, struct server *s);
/* A connection failed or a check did: down, EVENT_BACKEND_DOWN when it was not. */
void backend_failed(struct worker *w, struct server *s);
/* A check succeeded. */
void backend_learned(struct worker *w, struct server *s, const struct smtp_words *words);
/* EHLO was answered with 250 on whatever connection: up, if it was not yet known to be. Its words are
 * a check's to learn; and once down, only a check brings it back. */
void backend_answered(struct worker *w, struct server *s);
/* The check has ended, well or not. */
void backend_checked(struct worker *w, struct server *s);

/* The wait queue. -ENOBUFS: max_waiting reached. */
int backend_wait(struct worker *w, unsigned pool, struct relay *r);
void backend_wait_cancel(struct worker *w, struct relay *r);

/* Idle connections of XCLIENT and plain pools. */
void backend_idle_add(struct worker *w, struct server *s, struct relay *r);
void backend_idle_remove(struct server *s, struct relay *r);

/* Own address toward a server; false: none of its family. */
bool backend_source(const struct worker *w, const uint8_t dst[16], struct ip_addr *ret_src);

#endif
