/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The brain of one core: frames, answers, policy and time go in; frames, questions and events
 * come out. It reads no clock, opens no socket, blocks on nothing and knows no NIC. Five shells
 * drive it: live, replay, simulation, fuzzing, benchmark.
 *
 * A worker belongs to one thread. Nothing it writes per packet is written, or read per packet, by
 * another core: statistics are in its own lines (stats.h) and are read by others at leisure.
 */
#ifndef POSTERN_DATAPLANE_WORKER_H
#define POSTERN_DATAPLANE_WORKER_H

#include "filters/digest.h"
#include "filters/policy.h"
#include "tcpstack/tcpstack.h"
#include "stats.h"

#include <stddef.h>
#include <stdint.h>

struct worker;

/* ---- notes: what the writers of shared tables are to hear (greylist, memory, bans) ---- */

enum note_kind {
	NOTE_SESSION, /* a session has ended: verdict, phase, reason, score; value: messages accepted */
	NOTE_RCPT, /* the backend (or we, for want of such a recipient) answered a RCPT: code; value: 1
	              where it says that there is none; sender, rcpt */
	NOTE_MESSAGE, /* the backend said 250 to the final dot: value: recipients; sender, first rcpt */
	NOTE_GREY, /* of a recipient: key: triplet, pool; code: enum grey_note_kind; sender, rcpt, pool */
	NOTE_WAVE, /* a message went by: digest; sender; rcpt: its subject; pool: its first URL host */
	NOTE_OPEN, /* a client has connected */
	NOTE_N_KINDS
};

struct note {
	uint8_t kind;
	uint8_t worker;
	uint8_t verdict, phase; /* enum verdict_kind, enum phase */
	uint16_t reason, code;
	uint16_t tenant;
	uint16_t listener;
	bool internal;     /* RCPT, MESSAGE: from an internal source (filters/relay.h) */
	bool to_strangers; /* RCPT: the sender is among memory.stranger_senders */
	uint32_t value;
	int32_t score;
	uint32_t dns_listed, dns_version; /* as in the facts; of which policy_dns.version */
	uint64_t time_ns;                 /* Unix epoch */
	uint64_t key[2];
	uint8_t client[16];
	char sender[128], rcpt[128], pool[64]; /* cut, zero-terminated */
	struct digest digest;
};

/* Tables that others write and all workers read, lock-free (README.md). NULL: absent. They outlive
 * the worker. */
struct overlay;
struct greylist;
struct memory;
struct at_once;
struct worker_shared {
	const struct overlay *overlay;
	const struct greylist *greylist;
	const struct memory *memory;
	struct at_once *at_once; /* each worker writes what is its own (filters/at_once.h) */
	/* Unix seconds: until then every rule only notes what it would have done (`pass-all`). What
	 * protects us, and relaying, stays. */
	const _Atomic uint32_t *pass_all_until_s;
};

/* A NOTE_GREY as the greylist's writer takes it. */
struct grey_note;
void grey_note_of(const struct note *from, struct grey_note *ret_note);

/* A note as the memory's writer takes it, its texts lent; false: none for it. */
struct memory_note;
bool memory_note_of(const struct note *from, struct memory_note *ret_note);
enum { MEMORY_NOTES = 1 << NOTE_OPEN | 1 << NOTE_RCPT | 1 << NOTE_MESSAGE };

struct worker_config {
	struct stack_config stack; /* the shell fills it from the policy's host part and from hw/ */
	unsigned index, n_workers; /* this one, and how many share backends' limits */
	uint8_t token_key[16];
	uint32_t notes; /* bits of enum note_kind that somebody listens to */
	struct worker_shared shared;
	uint32_t source_entries; /* sources.h; 0: 65,536 */
	uint32_t max_sessions;   /* 0: stack.max_conns / 2 */
	size_t window_bytes;     /* all inspection windows together; 0: 64 MiB */
};

/* ---- questions and answers: what the brain may not do itself ---- */

enum question_kind {
	QUESTION_PTR,    /* reverse DNS name of `addr`, confirmed by its own addresses */
	QUESTION_DNSL,   /* which of these DNS lists name `addr`? */
	QUESTION_SENDER, /* does the domain take mail, and is `addr` one of its exchanges? */
	QUESTION_SPF,    /* may `addr` send for it? */
	QUESTION_CONFIRM, /* which candidates does PCRE2 find in a message? Answered in the job itself */
};

struct confirm_job; /* confirm.h */

struct question {
	uint64_t id; /* slot and generation: a late answer is ignored by it */
	uint8_t kind;
	uint8_t addr[16];
	uint64_t deadline_ns;
	uint32_t lists, version; /* DNSL: rows, and of which policy_dns.version */
	struct confirm_job *job; /* CONFIRM: the shell's until its answer goes into a turn */
	char helo[256];          /* SPF */
	char sender[324];        /* SENDER: the domain; SPF: local@domain, or empty */
};

enum answer_status {
	ANSWER_FOUND,
	ANSWER_NONE,
	ANSWER_FAILED,
	ANSWER_UNCONFIRMED, /* PTR: names, but none that leads back */
	ANSWER_NULL_MX,     /* SENDER: takes no mail (RFC 7505) */
};

struct answer {
	uint64_t id;
	uint8_t status;
	uint8_t kind;   /* of the question */
	uint8_t more;   /* DNSL: this is what is known so far; the question stays open */
	uint8_t result; /* SENDER: 1 where `addr` is an exchange; SPF: enum spf_result */
	uint8_t org;    /* where in `name` the organisational domain begins; 0xff: nowhere */
	uint32_t lists, known, version; /* DNSL: rows that name it; rows that have answered */
	char name[256]; /* PTR: the confirmed one; SPF: the domain judged; zero-terminated */
};

/* ---- events: one fixed record, written by the worker, told by the shell as a JSON line ---- */

enum event_kind {
	EVENT_SESSION,     /* a session has ended; everything below is filled */
	EVENT_REFUSED_SYN, /* a sampled refusal, trap, reset or drop at the SYN */
	EVENT_BACKEND_UP,
	EVENT_BACKEND_DOWN,
	EVENT_POSSIBLE_DOUBLE, /* the backend said 250 to the final dot and the client could not be told */
};

enum { EVENT_DNS = 8 }; /* DNS lists told of, at most */

enum event_fact {
	EVENT_TALKED_EARLY = 1,
	EVENT_PIPELINED_EARLY = 2,
	EVENT_BARE_COMMAND = 4,
	EVENT_NON_SMTP = 8,
	EVENT_ESMTP = 16,
	EVENT_TLS = 32,
	EVENT_HOST_GENERIC = 64,
	EVENT_SENDER_IS_MX = 128,
	EVENT_TRUSTED = 256,
};

struct event {
	uint8_t kind;
	uint8_t worker;
	uint8_t verdict; /* enum verdict_kind */
	uint8_t phase;
	uint16_t reason;
	uint16_t listener;
	uint64_t time_ns;     /* Unix epoch */
	uint64_t duration_ns; /* of the session */
	uint8_t client[16];
	uint16_t client_port;
	uint16_t last_code; /* last reply given */
	uint16_t messages;  /* accepted by the backend */
	uint16_t rcpts;     /* accepted, all messages */
	uint16_t server;    /* index into the policy's servers, 0xffff: none */
	uint16_t session;   /* as in the token */
	uint16_t rules[16]; /* that hit, as in struct tally */
	uint8_t n_rules;
	uint8_t marks_late;       /* messages whose mark was known behind the window alone */
	bool pass_all;            /* the switch was on when it was last judged */
	uint16_t tenant;          /* of the first accepted recipient */
	uint16_t backend_refused; /* replies of the backend that refused: RCPT, DATA, message */
	uint16_t backend_code;    /* the last of them */
	int32_t score;
	uint32_t epoch;
	uint32_t commands, errors;
	/* facts (filters/facts.h), those of the transaction at the gravest verdict */
	uint16_t facts;                  /* enum event_fact */
	uint8_t host, sender, spf, grey; /* enum fact_host ... */
	uint8_t n_dns;
	uint16_t dns[EVENT_DNS];      /* rules of the DNS lists that named the client, by number */
	uint32_t connections, rate;   /* of the source, when it came */
	uint64_t given;               /* reasons whose token the client has, as in the session */
	uint64_t bytes_in, bytes_out; /* of the client's connection, payload */
	char host_name[64];           /* the confirmed one */
	char helo[64], mail[64], rcpt[64]; /* cut, zero-terminated; rcpt is the first accepted */
};

/* ---- the turn ---- */

struct worker_out {
	struct frame_out frames;
	struct question *questions;
	unsigned n_questions, cap_questions;
	struct event *events;
	unsigned n_events, cap_events; /* beyond: lost, counted */
	struct note *notes;
	unsigned n_notes, cap_notes; /* beyond: lost, counted */
	bool busy;                   /* more work is waiting: call again without sleeping */
	/* In bytes of bodies scanned, everything else reckoned in them: what this turn may do (0:
	 * WORKER_WORK), and what it has done. */
	uint32_t work, worked;
};
enum { WORKER_WORK = 24576 };

/* host: frame_alloc is the shell's; judge_syns is set by the worker itself. stats: the worker's
 * own block, zeroed, 64-byte aligned, outlives the worker. */
int worker_new(const struct worker_config *config, const struct stack_host *host,
    struct stats_worker *stats, const struct policy *policy, uint64_t now_ns,
    struct worker **ret_worker);
struct worker *worker_free(struct worker *w); /* NULL is allowed; returns NULL */

/* Bounded work: one burst, the answers, timers and connections until out->work is used up. The policy
 * may differ from the last turn's; no pointer into it is kept. */
void worker_turn(struct worker *w, const struct policy *policy, struct frame *frames,
    unsigned n_frames, const struct answer *answers, unsigned n_answers, uint64_t now_ns,
    struct worker_out *out);
uint64_t worker_next_deadline(const struct worker *w); /* ns; UINT64_MAX: none */

/* 421 to idle sessions, those past 354 finish (P10); new connections are refused. Irrevocable. */
void worker_drain(struct worker *w);
/* Hand-over to another process on the same ports (tcpstack.h). Old: cedes and drains; new: quiet
 * until the old one is gone. */
void worker_share(struct worker *w, enum stack_sharing how);
/* True when drained and no session is left. */
bool worker_is_idle(const struct worker *w);

/* An open session, as an engineer may see it. */
struct session_row {
	uint8_t client[16];
	uint16_t client_port, listener;
	uint16_t server; /* index into the policy's servers, 0xffff: none */
	uint16_t messages, rcpts, last_code;
	uint16_t reason;
	uint8_t verdict, phase; /* enum verdict_kind; enum phase of the last command */
	uint8_t state;          /* worker_session_word() */
	uint8_t n_rules;
	int32_t score;
	uint32_t commands;
	uint64_t opened_ns, bytes_in, bytes_out;
	char helo[64], mail[64]; /* cut, zero-terminated */
};

/* A walk over the sessions, a few a turn: begins zeroed save what is asked. */
struct session_walk {
	uint8_t addr[16]; /* clients in this prefix alone; a length of 0: all */
	uint8_t prefix_len;
	struct session_row *rows; /* the first cap of those met */
	uint32_t cap, n;
	uint32_t met; /* in the prefix, rows or not */
	uint32_t at;
};
/* True: it is over. At most `steps` places are looked at. */
bool worker_sessions(const struct worker *w, struct session_walk *walk, unsigned steps);
const char *worker_session_word(unsigned state);

/* Operator's word about a server (index of the running policy): no new sessions for it. */
void worker_backend_drain(struct worker *w, unsigned server, bool drain);

/* Names, texts and kinds of all counters of a stats_worker, in the order of its words. Returns how
 * many there are. */
unsigned stats_fill_names(struct stats_name names[STATS_MAX_COUNTERS]);

/* For shells and tests: the stack underneath (usage, conflicts, reachability). */
struct stack *worker_stack(struct worker *w);

#endif
