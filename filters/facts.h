/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of a client and its session when a check is asked. The session gathers it; checks
 * only read it. Pointers are lent for the length of one call. Embedded in the session, so it is
 * counted in the 1,024 bytes an established client may cost.
 */
#ifndef POSTERN_FILTERS_FACTS_H
#define POSTERN_FILTERS_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte string that is lent, not terminated. */
struct text {
	const char *p;
	uint16_t len;
};

struct facts {
	uint8_t client[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), network order */
	uint8_t server[16];
	uint16_t client_port; /* host order */
	uint16_t listener;
	uint16_t tenant; /* of the first accepted recipient; 0 is `default` */
	uint8_t overload_rung;

	bool trusted : 1;         /* on an allow list */
	bool talked_early : 1;    /* bytes before the banner */
	bool pipelined_early : 1; /* a command group before the EHLO reply that allows it */
	bool esmtp : 1;           /* EHLO, not HELO */
	bool null_sender : 1;
	bool tls : 1;

	/* of the source, by sources.h; this session is counted */
	uint32_t source_connections; /* open now from the address */
	uint32_t source_rate;        /* connections in the last 60 s from the address */
	uint32_t prefix_connections; /* open now from its /24 or /64 */

	/* of this session */
	uint32_t commands, errors, messages;
	uint32_t rcpts_accepted, rcpts_refused; /* of the transaction */
	uint64_t declared_size;                 /* SIZE= of MAIL, bytes; 0: none */
	uint64_t body_size;                     /* so far, without stuffed dots (RFC 1870) */

	/* the command being judged; local parts byte for byte */
	struct text helo, mail, rcpt;
};

#endif
