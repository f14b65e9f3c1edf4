/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients held for as long as they like, or until their refusal is over: 48 bytes each, fed a byte at a
 * time (private).
 */
#ifndef POSTERN_TCPSTACK_TARPIT_H
#define POSTERN_TCPSTACK_TARPIT_H

#include "packet.h"

enum {
	TARPIT_TEXTS = 16,
	TARPIT_MAX = (1 << 24) - 2, /* an index entry has 24 bits */
	TARPIT_SLOTS = 15,          /* of a bucket */
	TARPIT_HASH_WORDS = 4,
};

struct tarpit_record {
	uint8_t remote[16];
	uint32_t snd_nxt; /* when free: the next free record */
	uint32_t rcv_nxt;
	uint32_t ts_recent;
	uint32_t due_ms; /* of the millisecond clock */
	uint16_t remote_port, local_port;
	uint16_t pace_10ms;
	uint16_t at; /* next byte of the text */
	uint16_t born_s;
	uint8_t own; /* local address, of config.addrs */
	uint8_t text : 4, live : 1, ts : 1, unacked : 1, closed : 1 /* the peer's window */;
	/* of tcp_hold_refused(): the owner's word; its last line has been sent, has arrived */
	uint32_t note : TARPIT_NOTE_BITS, refused : 1, ending : 1, done : 1;
};

struct tarpit_bucket {
	uint8_t index[TARPIT_SLOTS][3]; /* + 1; 0: free */
	uint8_t tag[TARPIT_SLOTS];      /* of the hash; 0: free. Together, to be compared at once */
	uint32_t passed;                /* records that live further on because this one was full */
};

_Static_assert(sizeof(struct tarpit_record) == 48, "DESIGN: 64 bytes with the index");
_Static_assert(sizeof(struct tarpit_bucket) == 64, "a cache line");

struct tarpit {
	struct tarpit_record *records;
	struct tarpit_bucket *buckets;
	uint32_t max, n_buckets, count;
	uint32_t top;    /* records[top..] were never used */
	uint32_t free;   /* list; UINT32_MAX: empty */
	uint32_t oldest; /* where the search for the oldest goes on */
	uint32_t hand;
	uint64_t hand_ns, round_ns;
	uint64_t spare; /* ns times records: round_ns of it are a step of the hand */
	uint64_t hash_key[TARPIT_HASH_WORDS];        /* drawn from the secret by SipHash */
	uint64_t (*ages)[TARPIT_PACES][TARPIT_AGES]; /* the owner's; NULL: not counted */
	unsigned n_ages;
	uint16_t hold_s; /* from the verdict to a refusal's last line */
	struct {
		const char *p;
		uint16_t len;
	} texts[TARPIT_TEXTS];
};

int tarpit_init(struct tarpit *t, uint32_t max, const uint8_t key[16]);
void tarpit_fini(struct tarpit *t);
uint64_t tarpit_deadline(const struct tarpit *t);

struct stack;
/* With millions held every look-up is two cache and two TLB misses, one after the other: what can be
 * done meanwhile is done between these two and tarpit_input(). The hash is tarpit_input()'s. */
uint64_t tarpit_prefetch_bucket(const struct stack *st, const struct packet *pkt);
void tarpit_prefetch_record(const struct stack *st, uint64_t hash);
/* True: the segment was a held client's, and its frame has left. */
bool tarpit_input(struct stack *st, const struct packet *pkt, uint64_t hash, uint64_t now_ns,
    struct frame_out *out);
/* A new SYN of the same flow: the record goes. */
void tarpit_forget(struct stack *st, const struct packet *pkt);
/* Bytes that are due; at most a few hundred a call. */
void tarpit_output(struct stack *st, uint64_t now_ns, struct frame_out *out);
/* For tests and the benchmark: holds a client as if tcp_shrink_to_tarpit() had been called. */
struct conn_remains;
void tarpit_adopt(struct stack *st, const struct conn_remains *r, unsigned own_index,
    unsigned text_id, uint32_t pace_ms, uint64_t now_ns);

#endif
