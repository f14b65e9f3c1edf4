/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The greylist's index (RFC 6647): who tried to send what to whom, when, and what came of it. In
 * memory, shared by all workers, written by one thread. A look-up touches two cache lines, waits
 * for nobody and writes nothing; texts and durability are dataplane/store's.
 *
 * A key is 64 bits of SipHash under a secret key, over (tenant, pool, sender, recipient): nobody
 * outside can aim at a place, and with 1 M entries two keys meet once in 10^7 fillings. An entry
 * is two 64-bit words, the key and {time, passes, state}, in one of the two 64-byte buckets that
 * its key names. Each word is written whole, the key last and cleared first, so a reader either
 * sees an entry or none, and never waits for a writer that was descheduled half-way. (That a slot
 * changes its owner and back between a reader's three loads is left to 16 bits of check.)
 * Rejected: sequence words per bucket (readers spin behind a descheduled writer), 128-bit keys
 * (twice the lines), cuckoo moves (an entry on its way would be missed).
 *
 * Bounded: memory is fixed by greylist_new(). Where both buckets are full a newcomer takes the place
 * of, in this order: an expired entry; else the lowest in rank, and of equals the oldest, but never
 * of one that ranks above the newcomer. Ranks: never passed < trapped < passed < white. So a flood of made-up
 * triplets displaces only what never passed. Where nothing may be displaced the newcomer is
 * not kept (GREYLIST_FULL): who cannot be remembered is not asked to come back.
 *
 * Time is an argument: Unix seconds. A clock that goes backwards makes ages zero.
 */
#ifndef POSTERN_FILTERS_GREYLIST_H
#define POSTERN_FILTERS_GREYLIST_H

#include "facts.h"
#include "policy_grey.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct greylist;

enum {
	GREYLIST_MIN_CAPACITY = 64,
	GREYLIST_MAX_CAPACITY = 64 << 20,
	GREYLIST_MAX_CHANGES = 4, /* of one note: two entries, and what each displaced */
	GREYLIST_MAX_PASSES = 8191,
	GREYLIST_POOL_LEN = 256, /* text of a pool, with its zero */
};

enum greylist_state {
	GREYLIST_ABSENT,
	GREYLIST_PENDING,     /* tried; nothing was accepted. `time_s` is the first try */
	GREYLIST_TRAPPED,     /* a pool that wrote to a greytrap at `time_s` */
	GREYLIST_ACCEPTED,    /* the backend took a message; `time_s` is the last time */
	GREYLIST_WHITELISTED, /* so often that the life is the longer one */
	GREYLIST_N_STATES
};
extern const char *const greylist_state_words[GREYLIST_N_STATES];

struct greylist_entry {
	uint32_t time_s;
	uint16_t passes; /* messages accepted; while PENDING the note's lot */
	uint8_t state;   /* enum greylist_state */
};

/* ---- keys ---- */

/* From whom: the first of these that is known names the pool. */
struct greylist_source {
	const uint8_t *client; /* as in facts.client */
	uint16_t tenant;
	struct text spf_domain;  /* of MAIL, where SPF said pass; else empty */
	struct text host_domain; /* organisational domain of the confirmed host name; else empty */
};

struct greylist_keys {
	uint64_t triplet, pool;
};

/*
 * The keys of a recipient. Case does not matter, nor, in the sender, what changes from message to
 * message (README, "Greylist"). sender may be empty (the null sender). ret_pool takes the pool's
 * text, lower case: "example.org", "192.0.2.0/24" or "2001:db8:1:2::/64"; NULL: not wanted.
 */
void greylist_key(const uint8_t secret[16], const struct greylist_source *source, struct text sender,
    struct text rcpt, struct greylist_keys *ret_keys, char ret_pool[GREYLIST_POOL_LEN]);

/* The same from a pool's text, as `show` prints it and `add` takes it. */
void greylist_key_of(const uint8_t secret[16], uint16_t tenant, struct text pool,
    struct text sender, struct text rcpt, struct greylist_keys *ret_keys);

enum { GREYLIST_SENDER_LEN = 320 };
/* The sender as it enters the key; returns its length. Longer ones are cut at the front. */
size_t greylist_sender(struct text sender, char ret_text[GREYLIST_SENDER_LEN]);

/* ---- judging: any thread ---- */

enum greylist_answer {
	GREYLIST_FIRST,   /* never seen, or forgotten: come back later */
	GREYLIST_EXPIRED, /* seen, but the retry window or the life is over: as first */
	GREYLIST_EARLY,   /* came back before the delay was over */
	GREYLIST_FULL,    /* could not be remembered: goes on */
	GREYLIST_PASSED,  /* came back in the window: goes on */
	GREYLIST_KNOWN,   /* accepted before: goes on */
	GREYLIST_WHITE,   /* this triplet or its whole pool is white: goes on */
	GREYLIST_TRAP,    /* the pool is trapped */
	GREYLIST_N_ANSWERS
};
extern const char *const greylist_answer_words[GREYLIST_N_ANSWERS];

/* The triplet's own good record beats the pool's trap; the pool's white beats what is not known. */
enum greylist_answer greylist_judge(const struct greylist *g, const struct greylist_keys *keys,
    uint32_t now_s, const struct policy_grey *settings);
/* The same for n at once: memory is asked for in advance. */
void greylist_judge_many(const struct greylist *g, const struct greylist_keys *keys, unsigned n,
    uint32_t now_s, const struct policy_grey *settings, uint8_t *ret_answers);

/* False: not there. */
bool greylist_get(const struct greylist *g, uint64_t key, struct greylist_entry *ret_entry);

/* ---- writing: one thread ---- */

/* capacity: that many entries find room all but surely (a few in 10,000 displace another); 27 bytes
 * each. NULL: no memory. */
struct greylist *greylist_new(uint32_t capacity);
struct greylist *greylist_free(struct greylist *g);
/* The secret of its keys, for who makes them. Set before others read. */
void greylist_set_secret(struct greylist *g, const uint8_t secret[16]);
const uint8_t *greylist_secret(const struct greylist *g);

enum grey_note_kind {
	GREY_TRIED,    /* was told to come back */
	GREY_ACCEPTED, /* the backend took the message */
	GREY_TRAPPED,  /* wrote to a greytrap while not known */
	GREY_N_NOTES
};

enum { GREY_NOTE_TEXT = 168 };
/* What a worker has to say to the writer. */
struct grey_note {
	struct greylist_keys keys; /* pool 0: GREY_ACCEPTED for another recipient of a message */
	uint32_t now_s;
	uint16_t tenant;
	uint16_t lot; /* the writer's: lets its file keep together what came together */
	uint8_t kind; /* enum grey_note_kind */
	uint8_t cut;  /* a text was too long; the keys are of the whole */
	uint16_t len; /* of text */
	char text[GREY_NOTE_TEXT]; /* pool, sender (normalised), recipient, each zero-terminated */
};

/* Fills the texts of a note, cut where they are too long together. */
void grey_note_text(struct grey_note *note, const char *pool, struct text sender, struct text rcpt);

/* An entry before and after. ABSENT: not there. Equal: nothing to be written down. */
struct greylist_change {
	uint64_t key;
	struct greylist_entry was, is;
	bool displaced; /* it had to make room */
};

/* Applies a note; returns the number of changes. */
unsigned greylist_apply(struct greylist *g, const struct grey_note *note,
    const struct policy_grey *settings, struct greylist_change changes[GREYLIST_MAX_CHANGES]);

/* Puts an entry as it is (from disk, by an operator), or removes it (state ABSENT). Two changes at
 * most. */
unsigned greylist_put(struct greylist *g, uint64_t key, const struct greylist_entry *entry,
    uint32_t now_s, const struct policy_grey *settings, struct greylist_change *changes);

/* Removes what has expired among the next n buckets behind *cursor, cap changes at most; goes
 * round for ever. Returns the number of changes. */
unsigned greylist_sweep(struct greylist *g, uint32_t *cursor, unsigned n, uint32_t now_s,
    const struct policy_grey *settings, struct greylist_change *changes, unsigned cap);

/* True where an entry's time is over. */
bool greylist_expired(
    const struct greylist_entry *entry, uint32_t now_s, const struct policy_grey *settings);

struct greylist_counts {
	uint64_t entries[GREYLIST_N_STATES];   /* now */
	uint64_t displaced[GREYLIST_N_STATES]; /* ever, by their state */
	uint64_t expired;                      /* ever */
	uint64_t not_kept;                     /* ever: nothing could make room */
	uint64_t slots;
};
/* The writer's thread. */
struct greylist_counts greylist_counts(const struct greylist *g);

#endif
