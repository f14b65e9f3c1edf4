/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of sources: rates over sliding windows by address, prefix, sender, domain and recipient;
 * what each sender does in its biggest hour of a week (its baseline); which recipients the backend
 * knows; who and what is being harvested. In memory, shared by all workers, one writer, all memory
 * taken at the start. Readers write nothing and wait for nobody (memory_table.h, memory_known.h).
 *
 * It is fed by what sessions did (notes, merged every 10 ms and at most 100 ms late), never by a SYN
 * (a source that has proven nothing can be forged). So limits overshoot by what a source has under
 * way within that time: with c sessions at once and r messages a second at most c + r / 10 messages.
 * What was refused is not counted: who comes back later is not late for ever.
 *
 * A window is two buckets: the running one and the part of the last that has not gone by yet, at its
 * mean rate. Rejected: time stamps per event (unbounded), six slots per measure (three times the
 * lines for one tenth of the error).
 *
 * A baseline is the largest hour of each of the last seven whole weeks: recipients, and strangers
 * (recipients that the sender never wrote to before). The running week does not count, so a burst does
 * not justify itself. Strangers are what tells a captured account from a school that writes to its
 * parents: burst_floor of them an hour, where each recipient that it knows takes stranger_percent of
 * one off (a list has new names). Inside more is never learned, outside what was done in two weeks
 * that do not adjoin. At that bound strangers are barred and those it knows are not; at that of
 * recipients all are.
 *
 * Keys are SipHash under a secret key. Time is an argument: Unix seconds.
 */
#ifndef POSTERN_FILTERS_MEMORY_H
#define POSTERN_FILTERS_MEMORY_H

#include "facts.h"
#include "policy_memory.h"
#include "verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

enum {
	MEMORY_MIN_CAPACITY = 1000,
	MEMORY_MAX_CAPACITY = 16 << 20,
	MEMORY_WEEKS = 8, /* of a baseline, with the running one */
	MEMORY_MAX_ALARMS = 4,
	MEMORY_TEXT = 64,
	MEMORY_NAME_MAX = 47, /* characters of a name that is shown; longer ones are cut */
	MEMORY_UNLIMITED = UINT32_MAX,
};

void memory_defaults(struct policy_memory *settings);

/* capacity: addresses, prefixes, senders and recipients counted at once; a quarter as many baselines,
 * four times as many recipients learned. About 250 bytes each in all. NULL: no memory. */
struct memory *memory_new(uint32_t capacity, const uint8_t key[16]);
struct memory *memory_free(struct memory *m);
size_t memory_bytes(const struct memory *m);

/* ---- judging: any thread ---- */

enum memory_found {
	MEMORY_HARVESTS = 1, /* the client asks for recipients that are not there */
	MEMORY_SPREAD = 2,   /* the domain is being harvested, and the recipient is not known */
	MEMORY_UNUSUAL = 4,  /* the sender does more than it ever did */
	MEMORY_NO_SUCH = 8,  /* the backend did not know the recipient lately */
	MEMORY_KNOWN = 16,   /* the backend took it lately */
	MEMORY_IN_ALL = 32,  /* with UNUSUAL: the source is internal */
};

struct memory_query {
	const uint8_t *client; /* as in facts.client */
	uint16_t tenant;
	bool internal; /* an internal source (relay.h): its senders have a baseline of their own */
	bool to_strangers;  /* ... and this one writes to strangers as its work */
	struct text sender; /* empty: the null sender */
	struct text rcpt;
};

struct memory_answer {
	uint32_t rates_over; /* bit i: settings->rates[i] is exceeded */
	uint8_t found;       /* bits of enum memory_found */
};

/* In CONNECT the client is judged, in MAIL the sender too, in RCPT all. */
void memory_judge(const struct memory *m, const struct policy_memory *settings, enum phase phase,
    const struct memory_query *query, uint32_t now_s, struct memory_answer *ret_answer);

/* ---- writing: one thread ---- */

enum memory_note_kind {
	MEMORY_OPENED,  /* a connection */
	MEMORY_ASKED,   /* a recipient was answered: accepted, unknown, or neither */
	MEMORY_CARRIED, /* the backend took a message */
};

struct memory_note {
	uint8_t kind;
	bool accepted, unknown; /* of ASKED */
	struct memory_query who;
	uint32_t now_s;
};

enum memory_alarm_kind {
	MEMORY_ALARM_UNUSUAL, /* a sender: beyond its baseline */
	MEMORY_ALARM_HARVEST, /* a client */
	MEMORY_ALARM_SPREAD,  /* a domain: asked for unknown recipients from many sides */
	MEMORY_N_ALARMS
};
extern const char *const memory_alarm_words[MEMORY_N_ALARMS];

/* Told once an hour for each. */
struct memory_alarm {
	uint8_t kind;
	bool internal;
	uint32_t count, allowed; /* in an hour */
	uint32_t held_s; /* from now on so long it only writes to those it knows; 0: not held */
	char text[MEMORY_TEXT];
};

/* Applies a note; returns the number of alarms. */
unsigned memory_apply(struct memory *m, const struct policy_memory *settings,
    const struct memory_note *note, struct memory_alarm alarms[MEMORY_MAX_ALARMS]);

/* ---- showing and forgetting: the writer's thread, or under the lock that keeps it out ---- */

enum {
	MEMORY_SHOW_SENDER_BASELINE = MEMORY_N_SUBJECTS,
	MEMORY_SHOW_DOMAIN_BASELINE,
	MEMORY_N_SHOWN
};
extern const char *const memory_subject_words[MEMORY_N_SHOWN];
extern const char *const memory_measure_words[MEMORY_N_MEASURES];

struct memory_shown {
	uint8_t kind; /* enum memory_subject, or a baseline */
	char text[MEMORY_TEXT];
	uint32_t minute[MEMORY_N_MEASURES],
	    hour[MEMORY_N_MEASURES]; /* baseline: hour[] RECIPIENTS, UNKNOWN */
	uint32_t strangers;          /* baseline: in the hour */
	uint32_t weeks[MEMORY_WEEKS],
	    weeks_strangers[MEMORY_WEEKS]; /* baseline: the running one first */
	uint32_t allowed;                  /* baseline: recipients an hour */
	uint32_t held_s;                   /* baseline: until then it writes to those it knows */
	uint32_t touched_s;
};

/* The next at or behind *cursor (0 at first) that was touched within two hours, or is a baseline.
 * False: the end. */
bool memory_next(const struct memory *m, const struct policy_memory *settings, uint32_t now_s,
    uint32_t *cursor, struct memory_shown *ret_shown);

/* Forgets what is counted of a text as memory_next() gives it: address, prefix, sender, recipient or
 * domain, of every kind and of the tenant; and what was learned of the recipient. Returns how many. */
unsigned memory_forget(struct memory *m, uint16_t tenant, const char *text);

/* What a sender has used up in the hour is given back, and it is held no longer; what was learned of
 * it stays. Returns how many baselines (inside, outside, by tenant) there were. */
unsigned memory_release(struct memory *m, const char *sender);

struct memory_counts {
	uint64_t meters, profiles, known, unknown, pairs; /* now */
	uint64_t displaced, not_kept;                     /* ever */
	uint64_t slots;
};
struct memory_counts memory_counts(const struct memory *m);

/* ---- keeping (memory_save.c): baselines and known recipients survive a restart ---- */

/* Bytes a snapshot takes at most. */
size_t memory_snapshot_max(const struct memory *m);
/* Returns its length. The writer's thread. */
size_t memory_snapshot(const struct memory *m, uint32_t now_s, void *buf, size_t cap);
/* Into a fresh table; the key of the snapshot becomes its key. -EBADMSG: none of ours, or damaged:
 * nothing is taken over. What does not fit is left out. */
int memory_restore(struct memory *m, const void *buf, size_t len, uint32_t now_s);

#endif
