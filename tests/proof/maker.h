/* SPDX-License-Identifier: BSD-3-Clause */
/* What the halves of the generator share (corpus.c, corpus_honest.c). Private to them. */
#ifndef POSTERN_TESTS_MAKER_H
#define POSTERN_TESTS_MAKER_H

#include "corpus.h"

/* Bots come from 10.0.0.0/8, mail servers from 198.18.0.0/15 (RFC 2544), our own from 172.20.0.0/16:
 * nothing leaves the process. */
#define BOTS    0x0a000000u
#define SERVERS 0xc6120000u
#define BLOCKED 0x0aff0000u /* 10.255.0.0/16 */
#define OURS    0xac140005u /* the own school's mail server */
#define SCHOOLS 0xc613f000u /* servers with weekly bursts, one each: the same in every corpus */

enum { HOUR = 3600, BURST_HOUR = 34 /* of the weekly bursts */ };

struct maker {
	struct corpus *c;
	struct corpus_options options;
	uint64_t random;
	uint32_t next_server;
	uint32_t flood_s; /* when the victim of backscatter has it worst, less an hour */
};

uint64_t maker_draw(struct maker *m, uint64_t below);
bool maker_chance(struct maker *m, unsigned percent);
struct sender *maker_sender(struct maker *m, enum kind kind);
/* The same server's addresses, `step` apart. */
void maker_addresses(struct maker *m, struct sender *s, unsigned n, unsigned step);
/* n messages between two times. Returns the first. */
struct message *maker_messages(struct maker *m, struct sender *s, unsigned n, unsigned n_rcpts,
    enum rcpts rcpts, uint32_t from_s, uint32_t to_s);
/* A well-kept mail server, with names of its own. */
struct sender *maker_server(struct maker *m, enum kind kind, int i);

enum { FIRST_S = 60, LAST_S = (CORPUS_DAYS * 24 - 6) * HOUR };

void corpus_make_honest(struct maker *m);

#endif
