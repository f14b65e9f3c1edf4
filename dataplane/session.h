/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client's session, from the proven cookie to the last byte. The struct and its TCP connection
 * stay within the 1,024 bytes an established client may cost before DATA: the line being read lies
 * in the connection's receive queue, HELO name and MAIL in `text`, and only what is longer takes
 * an extent of the window pool.
 *
 * A command that cannot be done yet (the backend is still connecting, an earlier answer is due)
 * stays unread in the receive queue and is looked at again when the session is woken. So nothing
 * parked needs storage, replies come in order (RFC 2920), and what was pipelined behind it
 * survives the hand-over (P19). The price is that its check and its filters run twice; both are
 * pure. The alternative, a queue of parsed commands per session, costs memory for every client.
 */
#ifndef POSTERN_DATAPLANE_SESSION_H
#define POSTERN_DATAPLANE_SESSION_H

#include "brain.h"

enum session_state {
	SESSION_DELAY,   /* greet delay */
	SESSION_COMMAND, /* reads commands */
	SESSION_DATA,    /* DATA went to the backend, its 354 is awaited (no inspection window) */
	SESSION_BODY,    /* reads the body */
	SESSION_CHUNK,   /* reads a BDAT chunk */
	SESSION_FINAL,   /* the message is the backend's to answer */
	SESSION_TLS,     /* STARTTLS: the backend is being asked */
	SESSION_PIPE,    /* blind, both ways */
	SESSION_TARPIT,  /* the first line is on its way, then the record */
	SESSION_LINGER,  /* closed by us: reads and drops until the client closes too */
	SESSION_N_STATES
};
extern const char *const session_state_words[SESSION_N_STATES];

/* What may be said now; bits, for the command table. */
enum command_phase {
	AT_START = 1u << 0, /* before EHLO */
	AT_HELO = 1u << 1,
	AT_MAIL = 1u << 2,
	AT_RCPT = 1u << 3, /* a recipient was accepted */
	AT_BDAT = 1u << 4, /* a chunk was taken, more must come */
	AT_ANY = AT_START | AT_HELO | AT_MAIL | AT_RCPT | AT_BDAT,
};

enum {
	SESSION_QUESTIONS = 4,
	SESSION_TEXT = 96,
	SESSION_HELO_MAX = 255,
	REPLY_ROOM = EXTENT_BYTES + REPLY_MAX
};

struct session {
	uint8_t owner;          /* OWNER_SESSION */
	uint8_t state;          /* enum session_state */
	uint8_t at;             /* one bit of enum command_phase */
	bool queued : 1;        /* on the worker's run queue */
	bool skipping : 1;      /* an over-long line: up to its end */
	bool line_counted : 1;  /* the line at the head of the queue was counted */
	bool eof : 1;           /* the client closed its side */
	bool tracked : 1;       /* by sources.h */
	bool condemned : 1;     /* refused by a filter: the short time-out serves */
	bool final_unacked : 1; /* the final 250 is not yet acknowledged */
	bool greeted : 1;       /* the last line of the greeting is written */
	bool parked : 1;        /* that line's command waits, and not for the client */
	bool more_behind : 1;   /* bytes follow the line under hand */
	bool turn_ours : 1; /* greeting or EHLO reply not known to be received: who talks, talks early */
	bool stuttered : 1;    /* replies leave at pace_bytes */
	bool windowed : 1;     /* the receive window is a class's */
	bool held_refused : 1; /* with SESSION_TARPIT: a command of its is being refused */
	uint8_t held_class;    /* with SESSION_TARPIT: the class it was in */
	uint8_t held_reason;
	uint8_t shape;   /* class of policy_shape, plus one; 0: none */
	bool moved : 1;  /* the body advanced: its time-out starts anew */
	uint8_t reached; /* enum phase of the last command that has one */
	/* the gravest reply of ours that no filter asked for, for the event: its kind by its class */
	uint8_t told_kind : 4, told_phase : 4; /* enum verdict_kind, enum phase */
	uint8_t told_reason;                   /* enum reason */
	uint8_t told_sender, told_spf,
	    told_grey;         /* facts of the transaction at the gravest verdict */
	struct tcp_conn *conn; /* NULL: the client has gone, the backend's last word is awaited */
	struct relay *relay;
	struct extent *line;      /* a command line that lies in two pieces, so far */
	struct extent *long_text; /* `text`, where it is too short */
	struct hold *holds;       /* what the transaction counts as (session_at_once.c) */
	TAILQ_ENTRY(session) run;
	LIST_ENTRY(session) all;
	struct stack_timer timer;
	uint64_t chunk_left;  /* bytes of the client's BDAT chunk still to come */
	uint64_t deadline_ns; /* the timer may be armed for earlier: it looks and goes on */
	struct facts facts;
	struct verdict verdict;            /* the filters' gravest so far */
	struct tally tally;                /* what hit, and the score */
	struct tally told;                 /* ... at the gravest verdict, for the event */
	uint32_t words;                    /* enum smtp_word offered in the EHLO reply */
	uint64_t size_limit;               /* bytes, for MAIL and DATA */
	uint64_t asked[SESSION_QUESTIONS]; /* questions under way (inquire.c), by the bits of facts.due */
	uint64_t opened_ns, bytes_in, bytes_out;
	uint64_t given; /* reasons whose token the client has: bit of the reason, modulo 64 */
	uint32_t epoch;
	uint32_t dns_version; /* of the policy whose rows the facts name */
	uint16_t number;      /* in the token; different among all workers (session_number()) */
	uint16_t backend_refused,
	    backend_code; /* refusals of the backend, and the last one's code */
	uint16_t last_code, messages, rcpts, server;
	uint16_t pace_bytes; /* per lot, now: never less while anything is queued */
	uint8_t marks_late;  /* messages whose mark was known too late */
	uint8_t swallow;     /* enum reply to a chunk that no relay takes */
	uint16_t used;       /* enum smtp_word that the transaction needs of the backend */
	uint16_t host_len, helo_len, mail_len, params_len, rcpt_len; /* in this order in `text` */
	char text[SESSION_TEXT];
};
_Static_assert(REASON_N <= 256 && VERDICT_N_KINDS <= 16, "they fit told_reason and told_kind");
_Static_assert(
    sizeof(struct session) <= 640, "with a connection of 384 no more than 1,024 bytes (DESIGN)");

/* A fresh connection. */
void session_accept(struct worker *w, struct tcp_conn *conn, unsigned events);
void session_event(struct worker *w, struct session *s, unsigned events);
void session_run(struct worker *w, struct session *s);
void session_wake(struct worker *w, struct session *s); /* runs later in the turn */

/* ---- for commands.c, body.c, relay.c ---- */

bool session_can_write(const struct worker *w, const struct session *s, size_t len);
/* Writes a reply; the caller has asked session_can_write(). Counts 5yz as errors. */
void session_write(
    struct worker *w, struct session *s, const char *reply, size_t len, unsigned code);
void session_reply(struct worker *w, struct session *s, enum reply reply);
void session_refuse(struct worker *w, struct session *s, unsigned code, enum reason reason);
/* It spoke before the greeting's end, or in a group where RFC 2920 allows none: a fact, counted once. */
void session_out_of_turn(struct worker *w, struct session *s, bool before_greeting);
/* The backend's stored words, or the reason, that ended the relay's transaction. */
void session_refuse_stored(struct worker *w, struct session *s);
/* The same as the answer to a RCPT. */
void session_refuse_rcpt_stored(struct worker *w, struct session *s);
/* After the last reply: FIN, then read and drop what still comes, so that no RST overtakes the
 * reply. */
void session_linger(struct worker *w, struct session *s);
void session_quit(struct worker *w, struct session *s);
void session_deadline(struct worker *w, struct session *s, uint64_t ms); /* 0: none */
/* Asks the filters; what hit is kept by session_note_verdict(), for the run that counts. */
struct verdict session_judge(struct worker *w, struct session *s, enum phase phase);
/* PHASE_BODY, with what a scan found. */
struct content;
struct verdict session_judge_content(
    struct worker *w, struct session *s, const struct content *content);
void session_note_verdict(struct worker *w, struct session *s, struct verdict v, enum phase phase);
void session_consume(struct worker *w, struct session *s, size_t n);
/* The token that a refusal of now for this reason would carry. */
void session_token(struct worker *w, const struct session *s, enum reason reason, char *ret_token);
/* Replies to a verdict that stops the command; GONE where the code closes. */
void session_refuse_verdict(struct worker *w, struct session *s, struct verdict v, enum phase phase);
/* Forgets the transaction, the relay's too. */
void session_reset(struct worker *w, struct session *s);
/* The backend's answer to the final dot or last chunk, passed on. */
void session_final(struct worker *w, struct session *s, unsigned code, const char *raw, size_t len);

/* A backend answered 4yz or 5yz: for the event. */
void session_backend_refused(struct session *s, unsigned code);

struct text session_helo(const struct session *s);
struct text session_mail(const struct session *s);   /* the path, without < > */
struct text session_params(const struct session *s); /* of MAIL, as written */
/* -ENOBUFS: too long for `text` and no extent is left. */
/* The confirmed name of the client; `org`: where its organisational domain begins. */
int session_set_host(struct worker *w, struct session *s, struct text host, unsigned org);
int session_set_helo(struct worker *w, struct session *s, struct text helo);
int session_set_mail(struct worker *w, struct session *s, struct text path, struct text params);
void session_note_rcpt(struct session *s, struct text path);

/* ---- commands.c ---- */

enum outcome {
	OUTCOME_DONE, /* the line is done with */
	OUTCOME_WAIT, /* it stays; the session is woken when it can go on */
	OUTCOME_GONE, /* done, and nothing more is to be read now (another state, or closing) */
};
enum outcome command_run(struct worker *w, struct session *s, struct text line);

/* ---- body.c ---- */

/* DATA was allowed. */
void body_start(struct worker *w, struct session *s);
/* A chunk came. `refused`: its transaction is not to be; the relay's stored words or reason answer. */
void body_chunk(struct worker *w, struct session *s, const struct smtp_command *cmd, bool refused);
void body_run(struct worker *w, struct session *s);  /* SESSION_BODY */
void chunk_run(struct worker *w, struct session *s); /* SESSION_CHUNK */
void body_end(struct worker *w, struct relay *r);

/* ---- pipe.c ---- */

void pipe_run(struct worker *w, struct session *s);

/* ---- session_grey.c ---- */

/* Before the filters are asked about a recipient: sets facts.grey. */
void session_grey_ask(struct worker *w, struct session *s, struct text rcpt);
/* The recipient was answered by that verdict. */
void session_grey_told(struct worker *w, struct session *s, struct verdict v);
/* It goes to the backend; and what that said of it. */
void session_grey_forward(struct worker *w, struct session *s);
void session_grey_answered(struct session *s, bool accepted);
/* The backend took the message. */
void session_grey_accepted(struct worker *w, struct session *s);

/* ---- session_memory.c ---- */

/* Before the filters are asked: what the memory of sources says becomes a fact. */
void session_memory_ask(struct worker *w, struct session *s, enum phase phase);
/* It has connected; a recipient goes to the backend; what that said of it; what we say of one that is
 * not among those of its domain. */
void session_memory_opened(struct worker *w, const struct session *s);
void session_memory_forward(struct worker *w, struct session *s, struct text rcpt);
void session_memory_answered(struct worker *w, struct session *s, const struct smtp_reply *reply);
void session_memory_rcpt(
    struct worker *w, const struct session *s, struct text rcpt, unsigned code, bool unknown);
bool session_is_internal(const struct worker *w, const struct session *s);

/* ---- session_at_once.c ---- */

/* Before the filters are asked: limits at once that others have reached, into facts.rates_over. */
void session_at_once_ask(struct worker *w, struct session *s, enum phase phase);
/* The transaction begins (MAIL), or a recipient of it goes to the backend (RCPT): it counts. */
void session_at_once_begin(struct worker *w, struct session *s, enum phase phase, struct text rcpt);
/* The transaction is over, or the session: nothing of it counts any more. */
void session_at_once_end(struct worker *w, struct session *s);
size_t hold_size(void); /* of a record of the worker's pool `holds` */

/* ---- session_shape.c ---- */

enum {
	/* P8: what an undecided client waits for by our doing. From the proven cookie to the last byte of
	 * the greeting, greet delay and stutter together; and from a reply's being due to its last byte.
	 * Both well below the 2 to 5 minutes of RFC 5321 4.5.3.2. */
	SHAPE_GREETING_MAX_MS = 29000,
	SHAPE_REPLY_MAX_MS = 15000,
};

/* Chooses the class anew; a no-op where the policy has none. */
void session_shape(struct worker *w, struct session *s);
/* Something was written behind `before` queued bytes: sets the pace for all of it. */
void session_shape_written(struct worker *w, struct session *s, size_t before);
/* No class any more: what is queued leaves at once. */
void session_shape_end(struct worker *w, struct session *s);
/* The client goes of its own accord: counted where it was stuttered at. */
void session_shape_left(struct worker *w, const struct session *s);
/* How long what is queued will take at its pace, ms. */
uint64_t session_shape_left_ms(const struct worker *w, const struct session *s);

/* ---- session_hold.c ---- */

/* The command under hand is refused a byte at a time: nothing more is read, the session becomes a
 * record of the stack. */
void session_hold_refused(struct worker *w, struct session *s, enum reason reason);
/* What such a client hears (tcpstack.h, refused_text); arg: the worker. */
size_t session_refused_text(
    void *arg, uint32_t note, uint64_t since_ns, bool last, char *text, size_t cap);

/* ---- greeting.c ---- */

enum { RECEIVED_MAX = 1024 };
/* Our Received header (RFC 5321 4.4), folded; returns its bytes, below RECEIVED_MAX. */
size_t greeting_received(const struct worker *w, const struct session *s, char buf[RECEIVED_MAX]);

size_t greeting_banner(const struct worker *w, char *buf, size_t cap);
/* The line before it: "220-", for clients that cannot tell it from the end of the greeting. */
size_t greeting_teaser(const struct worker *w, char *buf, size_t cap);
size_t greeting_ehlo(const struct worker *w, const struct session *s, char *buf, size_t cap);
/* What this session is offered: enum smtp_word, and SIZE. */
void greeting_offer(const struct worker *w, struct session *s);

#endif
