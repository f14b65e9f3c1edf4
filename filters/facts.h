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

/* Of a path, what stands behind its last @; empty: it has none. */
static inline struct text text_domain(struct text path)
{
	size_t at = path.len;

	while (at > 0 && path.p[at - 1] != '@')
		at--;
	return at ? (struct text){ path.p + at, (uint16_t)(path.len - at) }
		  : (struct text){ NULL, 0 };
}

enum fact_due { DUE_LISTS = 1, DUE_HOST = 2, DUE_SENDER = 4, DUE_SPF = 8 };
enum fact_host { HOST_UNKNOWN, HOST_NONE, HOST_UNCONFIRMED, HOST_CONFIRMED, HOST_FAILED };
enum fact_sender { SENDER_UNKNOWN, SENDER_EXISTS, SENDER_NONE, SENDER_NULL_MX, SENDER_FAILED };
/* RFC 7208 2.6 */
enum fact_spf {
	FACT_SPF_UNKNOWN,
	FACT_SPF_NONE,
	FACT_SPF_NEUTRAL,
	FACT_SPF_PASS,
	FACT_SPF_FAIL,
	FACT_SPF_SOFTFAIL,
	FACT_SPF_TEMPERROR,
	FACT_SPF_PERMERROR,
};
/* What the greylist's index says of (pool, sender, recipient). */
enum fact_grey { GREY_UNASKED, GREY_FIRST, GREY_EARLY, GREY_PASSED, GREY_WHITE, GREY_TRAP };

struct facts {
	uint8_t client[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), network order */
	uint8_t server[16];
	uint16_t client_port; /* host order */
	uint16_t listener;
	uint16_t tenant;       /* of the first accepted recipient; 0 is `default` */
	uint8_t overload_rung; /* 0: none (README of dataplane/) */
	uint32_t now_s;        /* Unix time, for what expires */

	bool trusted : 1;         /* on an allow list */
	bool pass_all : 1;        /* the switch that turns every rule into a shadow is on */
	bool talked_early : 1;    /* bytes before the banner */
	bool pipelined_early : 1; /* commands in a group where RFC 2920 allows none */
	bool esmtp : 1;           /* EHLO, not HELO */
	bool null_sender : 1;
	bool tls : 1;
	bool good_history : 1; /* a message of the address was accepted not long ago */
	bool non_smtp : 1;     /* a command of another protocol (HTTP) */
	bool host_generic : 1; /* the confirmed name looks like a customer's line (hostname.h) */
	bool sender_is_mx : 1; /* the client is an exchange of the sender's domain */
	bool bare_command : 1; /* a command line that ended in a bare LF or held NUL or CR */

	/* of the source, by sources.h; this session is counted */
	uint32_t source_connections; /* open now from the address */
	uint32_t source_rate;        /* connections in the last 60 s from the address */
	uint32_t prefix_connections; /* open now from its /24 or /64 */

	/* of this session */
	uint32_t commands, errors, messages;
	uint32_t rcpts_accepted, rcpts_refused; /* of the transaction */
	uint64_t declared_size;                 /* SIZE= of MAIL, bytes; 0: none */
	uint64_t body_size;                     /* so far, without stuffed dots (RFC 1870) */

	/* what was asked of others (dataplane/inquire.h); 0: nothing is known */
	uint32_t dns_listed; /* rows of the policy's DNS lists that name the client, a bit each */
	uint32_t dns_known;  /* rows that have answered */
	uint32_t dns_asked;  /* rows that were asked */
	uint32_t rates_over; /* rates of the policy that are exceeded, a bit each */
	uint8_t due;         /* enum fact_due: questions still under way */
	uint8_t host;        /* enum fact_host: reverse DNS */
	uint8_t sender;      /* enum fact_sender: the domain of MAIL */
	uint8_t spf;         /* enum fact_spf */
	uint8_t grey;        /* enum fact_grey */
	uint8_t memory;      /* bits of enum memory_found (memory.h) */
	uint8_t host_org;    /* where in host_name the organisational domain begins */

	/* the command being judged; local parts byte for byte */
	struct text helo, mail, rcpt;
	struct text host_name; /* forward-confirmed reverse DNS; empty: none, or not known yet */
};

#endif
