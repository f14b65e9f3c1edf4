/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conversation with a backend: one connection, at most one session at a time.
 *
 *	WAITING -> CONNECTING -> GREETING -> EHLO [-> XCLIENT -> EHLO] -> ATTACHED
 *	ATTACHED -> MAIL -> READY (RCPTs, pipelined) -> DATA -> BODY -> FINAL -> ATTACHED
 *	                      \-> BODY by BDAT: one reply per chunk
 *	MAIL, DATA refused -> REFUSED -> (RSET) -> ATTACHED; RCPTs that went with MAIL (RFC 2920)
 *	                      have MAIL's refusal for an answer, once the backend has given its own
 *	any -> FAILED: connection gone, the reason or the backend's words kept for the session
 *	ATTACHED -> QUIT, or RSET -> IDLE (XCLIENT and plain pools only) -> the next session
 *	STARTTLS: EHLO -> TLS -> PIPE
 *
 * A relay reads replies from its connection's receive queue and acts on them only when the session
 * can take what they mean: a reply for the client stays unread until the client's connection has
 * room, so nothing is copied but replies that lie in two pieces.
 */
#ifndef POSTERN_DATAPLANE_RELAY_H
#define POSTERN_DATAPLANE_RELAY_H

#include "backend.h"
#include "mark.h"
#include "scan.h"

enum relay_state {
	RELAY_WAITING,
	RELAY_CONNECTING,
	RELAY_GREETING,
	RELAY_EHLO,
	RELAY_XCLIENT,
	RELAY_ATTACHED, /* no transaction */
	RELAY_MAIL,
	RELAY_READY, /* MAIL accepted; RCPTs may be under way */
	RELAY_DATA,
	RELAY_BODY,
	RELAY_FINAL,   /* the dot, or the last chunk, has gone */
	RELAY_REFUSED, /* MAIL or DATA refused; `stored` says how */
	RELAY_FAILED,
	RELAY_RSET,
	RELAY_IDLE,
	RELAY_QUIT,
	RELAY_TLS,
	RELAY_PIPE,
	RELAY_N_STATES
};
extern const char *const relay_state_words[RELAY_N_STATES];

enum relay_purpose { RELAY_FOR_MAIL, RELAY_FOR_TLS, RELAY_FOR_CHECK };

enum body_phase {
	BODY_NONE,
	BODY_WINDOW,  /* collected, to be judged */
	BODY_OPENING, /* judged; DATA has gone to the backend, 354 is awaited */
	BODY_STREAM,
	BODY_DISCARD, /* refused: read and dropped, `stored` answers the end */
};

/* Of the message under way; part of the relay since every body has one. */
struct body {
	struct smtp_data data;
	struct window window;
	struct mark_strip strip;
	uint64_t dropped; /* bytes read after the refusal */
	uint8_t phase;    /* enum body_phase */
	bool bdat, chunk_last, close_after;
	bool marked;            /* our header is on top */
	bool judge_now;         /* window memory is short: this one goes first */
	bool announce;          /* BDAT: the chunk's own command has not gone to the backend yet */
	bool told;              /* BDAT: the refusal has been given to a chunk */
	bool listed;            /* on the worker's list of bodies under inspection */
	uint32_t held;          /* bytes counted against the quota of the source */
	uint32_t source_held;   /* what all its windows hold */
	uint16_t chunk_replies; /* BDAT replies still due from the backend, the last's not counted */
	uint16_t ours; /* bytes of our own in front of the window, which were not scanned */
};

/* What the greylist is told of the transaction once the backend has taken the message. */
enum { RELAY_GREY_KEYS = 4 };
struct relay_grey {
	uint64_t pool, triplets[RELAY_GREY_KEYS]; /* in the order of RCPT; 0: refused */
	uint8_t n, answered;
};

struct relay {
	uint8_t owner;   /* OWNER_RELAY */
	uint8_t state;   /* enum relay_state */
	uint8_t purpose; /* enum relay_purpose */
	uint8_t tries;
	uint8_t generation; /* counts connections, so that a reply's reader sees that its own has gone */
	uint8_t hello; /* enum policy_hello its connection began with, whatever the policy says now */
	bool reused;   /* a connection taken over, which may be stale */
	bool used;     /* it has carried a transaction, or begun to */
	bool xclient_done, waiting, fell_back, eof;
	uint16_t pool;        /* index in the running policy, kept right by backends_update() */
	uint16_t wanted_pool; /* before any fallback; likewise */
	uint16_t pending;     /* RCPTs whose answer is due */
	uint16_t reason;      /* of a failure or refusal, unless `stored` has the backend's words */
	uint16_t refuse_code; /* of `reason` */
	uint32_t reply_used;  /* bytes of the reply under hand */
	uint64_t avoid;
	struct tcp_conn *conn;
	struct server *server;
	struct session *session;
	TAILQ_ENTRY(relay) queue; /* wait queue, or a server's idle list */
	TAILQ_ENTRY(relay) inspected;
	LIST_ENTRY(relay) all;
	struct stack_timer timer;
	struct smtp_words words;
	struct extent *reply;  /* a reply that lies in two pieces, so far */
	struct extent *stored; /* the backend's refusal, to be given later */
	uint16_t stored_code;
	bool reply_cut;
	struct relay_grey grey;
	struct scan scan;
	struct sketch *sketch; /* NULL: none is made */
	struct asked_queue asked;
	struct body body;
};
_Static_assert(sizeof(struct relay) <= 400, "counted in the budget of a relaying session");

/* Opens for a session: finds a server or a place in the queue, or fails. Never NULL but when the
 * relay table is full. Its state tells the rest. */
struct relay *relay_open(
    struct worker *w, struct session *s, unsigned pool, enum relay_purpose purpose);
struct relay *relay_check(struct worker *w, struct server *server);

/* The session lets go: QUIT or reuse where the state allows, abort where a message is under way. */
void relay_release(struct worker *w, struct relay *r);
/* After a change of policy. */
void relays_update(struct worker *w);
/* Idle connections are closed. */
void relays_drain(struct worker *w);
/* At the end of a turn: records let go in it return to their pool. */
void relays_bury(struct worker *w);
/* RST toward the backend, nothing partial is delivered; the record stays with `reason`. */
void relay_fail(struct worker *w, struct relay *r, enum reason reason);
/* The same; what is stored stays. */
void relay_cut(struct worker *w, struct relay *r);
/* Keeps a refusal of ours to be given later, in place of any words of the backend. */
void relay_reason(struct worker *w, struct relay *r, unsigned code, enum reason reason);
/* Keeps a reply to be given later, in place of any kept before. */
void relay_store(struct worker *w, struct relay *r, unsigned code, const char *text, size_t len);

void relay_event(struct worker *w, struct relay *r, unsigned events);
/* Replies that wait for room toward the client. */
void relay_resume(struct worker *w, struct relay *r);
/* A place became free: from the wait queue to a server. */
void relay_start(struct worker *w, struct relay *r, struct server *server);
void relay_wait_failed(struct worker *w, struct relay *r);

/* What the session asks of an attached relay; it has looked at the state before. */
bool relay_has_room(const struct worker *w, const struct relay *r);
void relay_mail(struct worker *w, struct relay *r);
void relay_rcpt(struct worker *w, struct relay *r, const struct smtp_command *cmd);
void relay_data(struct worker *w, struct relay *r);
/* -EAGAIN: no room for the line now. */
int relay_bdat(struct worker *w, struct relay *r, uint64_t size, bool last);
/* -EAGAIN: no room now. */
int relay_dot(struct worker *w, struct relay *r);
void relay_final_wait(struct worker *w, struct relay *r);
/* The transaction is over for the client (RSET, EHLO, a new MAIL after a refusal). */
void relay_reset(struct worker *w, struct relay *r);
/* It carries no transaction, and somebody waits for a connection to its server's pool. */
bool relay_is_wanted(const struct worker *w, const struct relay *r);

#endif
