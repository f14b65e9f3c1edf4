/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A generator of sessions that are to be refused: raw frames, no state. Three frames a session:
 * SYN (the option layout of Linux), ACK of the SYN-ACK, FIN+ACK of the refusal. What it needs to
 * know to answer stands in the frame it answers, which is rewritten in place.
 */
#ifndef POSTERN_BENCH_GEN_H
#define POSTERN_BENCH_GEN_H

#include "tcpstack/frame.h"

#include <stdbool.h>
#include <stdint.h>

struct gen {
	bool v6;
	uint8_t src_mac[6], dst_mac[6];
	uint8_t src[16], dst[16]; /* first source; IPv4 in the first four bytes */
	uint32_t n_sources; /* a power of two; IPv4: consecutive hosts, IPv6: consecutive /64s */
	uint16_t dst_port;
	bool plain;      /* SYNs with MSS alone: replies then need no timestamps */
	uint16_t window; /* of replies; 0: 502 */
	uint64_t next;   /* session number */
	/* what came back */
	uint64_t synacks, refusals, completed, resets, other, refusal_bytes;
};

enum { GEN_FRAME_MAX = 94 };

/* Writes the next SYN into f (room >= GEN_FRAME_MAX) and sets len. */
void gen_syn(struct gen *g, struct frame *f);
/* Turns a frame that came from the server into the client's answer. False: none is due. */
bool gen_answer(struct gen *g, struct frame *f);

/* For conversations: what a frame from the server holds (flags << 16 | bytes, GEN_OTHER: no TCP), and
 * its answer, which acknowledges all of it and says `text` (FIN for FIN). */
#define GEN_OTHER UINT32_MAX
unsigned gen_heard(const struct gen *g, const struct frame *f, const char **ret_text);
void gen_say(struct gen *g, struct frame *f, const char *text, unsigned len);

/* A hostile conversation, without state: what was heard says what comes next, up to QUIT after a 550 at
 * RCPT. True: the frame is now what the client says. */
struct gen_talks {
	uint64_t begun, ended, refused, wrong;
};
bool gen_talk(struct gen *g, struct frame *f, struct gen_talks *talks);

/* Lengths and both checksums of a frame whose headers, `tcp_len` bytes of TCP among them, are written. */
void gen_seal(struct frame *f, bool v6, unsigned tcp_len);

/* RFC 1071 sums, used by the baseline too. */
uint32_t gen_sum(const void *p, unsigned len, uint32_t sum);
uint16_t gen_fold(uint32_t sum);

#endif
