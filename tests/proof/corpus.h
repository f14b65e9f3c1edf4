/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The corpus: days of traffic from a seed. Senders of several kinds, each with its addresses, what
 * name service would say of them, its manners on the wire and its patience; and the messages that
 * they mean to deliver. Ground truth is the kind. Oddities are drawn independently of each other, so
 * that each check has clients that it alone tells apart.
 *
 * Rejected: recorded traffic (private, and nobody knows what was junk), and one archetype per check
 * (proves that a check finds what was made for it).
 */
#ifndef POSTERN_TESTS_CORPUS_H
#define POSTERN_TESTS_CORPUS_H

#include "dataplane/model_mail.h"
#include "filters/facts.h"
#include "filters/policy_dns.h"

#include <stdbool.h>
#include <stdint.h>

enum kind {
	BOT_LISTED,
	BOT_FRESH,
	BOT_EARLY,
	BOT_PIPELINE,
	BOT_HTTP,
	BOT_FORGED,
	BOT_RETRY,
	BOT_BLOCKED, /* on the operator's own address list */
	HARVESTER,
	HARVESTERS, /* spread over many addresses */
	SNOWSHOE,
	BACKSCATTER,
	CAPTURED, /* an account of an honest server */
	N_HOSTILE,
	BIG_POOL = N_HOSTILE,
	MAILING_LIST,
	SERVER,
	SMALL_ODD,
	SLOW,
	FORWARDER,
	N_KINDS
};
extern const char *const kind_words[N_KINDS];

enum { SENDER_ADDRESSES = 24, CORPUS_SENDERS = 1200, CORPUS_MESSAGES = 6000, CORPUS_DAYS = 2 };

struct sender {
	uint8_t kind;
	uint8_t host;   /* enum fact_host of all its addresses */
	uint8_t domain; /* enum fact_sender of its mail's domain */
	uint8_t spf;    /* enum fact_spf */
	bool is_mx;
	bool early, pipelined, bare, http;
	uint16_t listed; /* bits of enum policy_dns_kind */
	uint16_t n_addresses;
	uint32_t addresses[SENDER_ADDRESSES]; /* IPv4, host order */
	char name[48];                        /* in reverse DNS; a %u takes the address's number */
	uint8_t org;                          /* where its organisation begins */
	char helo[64], mail_domain[48];
	uint32_t think_ms;    /* before each command */
	uint32_t patience_ms; /* for the greeting */
	uint32_t retries, retry_s;
};

struct message {
	uint16_t sender;
	uint16_t n_rcpts;
	uint32_t at_s; /* of the first try, since the beginning */
	uint32_t number;
	bool null_sender, unknown_rcpts;
	/* what became of it */
	uint16_t tries;
	bool done, accepted, refused, gave_up;
	uint32_t done_s;
};

struct corpus {
	unsigned n_senders, n_messages;
	struct sender senders[CORPUS_SENDERS];
	struct message messages[CORPUS_MESSAGES];
};

void corpus_make(struct corpus *c, uint64_t seed);
/* Whose address is it? NULL: nobody's. */
const struct sender *corpus_of(const struct corpus *c, uint32_t address, unsigned *ret_number);

#endif
