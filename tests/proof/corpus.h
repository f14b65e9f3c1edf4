/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The corpus: two days of traffic from a seed. Senders of several kinds, each with its addresses, what
 * name service would say of them, its manners on the wire and its patience; and the messages that
 * they mean to deliver. Ground truth is the kind. Oddities are drawn independently of each other, so
 * that each check has clients that it alone tells apart. How many of each kind there are and what they
 * are modelled after is a table (mix.c), which `proof --mix` prints.
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
	/* hostile, from outside */
	BOT,
	BOT_EARLY,
	BOT_PIPELINE,
	BOT_HTTP,
	BOT_FORGED,
	BOT_RETRY,
	BOT_LOUD,
	BOT_BLOCKED, /* on the operator's own address list */
	DICTIONARY,
	HARVESTER,
	HARVESTERS, /* spread over many addresses */
	SNOWSHOE,
	BACKSCATTER,
	CAPTURED, /* an account of an honest server elsewhere */
	N_HOSTILE,
	/* hostile, from inside: outbound mode */
	CAPTURED_OWN = N_HOSTILE,
	FIRST_HONEST,
	BIG_POOL = FIRST_HONEST,
	MAILING_LIST,
	LIST_BURST,
	LIST_NEW,
	LIST_OLD,
	SCHOOL,
	SERVER,
	SMALL_ODD,
	SLOW,
	FORWARDER,
	OWN_SCHOOL, /* from inside: its weekly letter */
	OWN_USERS,
	N_KINDS
};

/* What the recipients of a message are. */
enum rcpts {
	RCPTS_USERS,   /* that are there */
	RCPTS_LIST,    /* a list's: one after the other, some have gone */
	RCPTS_OLD,     /* a list's that nobody looked after */
	RCPTS_BOUGHT,  /* a list that was bought: some have gone long ago */
	RCPTS_GUESSED, /* one in ten is there */
	RCPTS_VICTIM,  /* of backscatter: one user, over and over */
	RCPTS_SIGNED,  /* bounces of mail that was sent: tagged (BATV) */
	RCPTS_FORGED,  /* bounces of mail that never was: a domain that signs, without a tag */
	RCPTS_OUT,     /* outside, by us: a list */
	RCPTS_OUT_NEW, /* outside, by us: nobody twice */
};

enum {
	SENDER_ADDRESSES = 24,
	CORPUS_SENDERS = 1400,
	CORPUS_MESSAGES = 6000,
	CORPUS_DAYS = 2,
	CORPUS_PLACES = 4096, /* of the index by address */
	RCPTS_MAX = 60,
	GONE_LIST = 3,    /* percent of an honest list's recipients that have gone */
	GONE_OLD = 60,    /* of a class that has left school */
	GONE_BOUGHT = 20, /* of a bought one's: 20 % and more of spam bounces (IronPort 2006) */
};

struct sender {
	uint8_t kind;
	uint8_t host;   /* enum fact_host of all its addresses */
	uint8_t domain; /* enum fact_sender of its mail's domain */
	uint8_t spf;    /* enum fact_spf */
	bool is_mx;
	bool early, hasty /* takes the first line for the greeting */, pipelined, bare, http, verp;
	uint16_t listed;      /* bits of enum policy_dns_kind */
	uint32_t spam_from_s; /* from then on on the list of spam sources; 0: not before `listed` says */
	uint16_t n_addresses;
	uint32_t addresses[SENDER_ADDRESSES]; /* IPv4, host order */
	char name[48];                        /* in reverse DNS; a %u takes the address's number */
	uint8_t org;                          /* where its organisation begins */
	char helo[64], mail_domain[48];
	char mail_user[24];   /* "": one of twenty persons */
	uint32_t think_ms;    /* before each command */
	uint32_t patience_ms; /* for the greeting */
	uint32_t retries, retry_s;
};

struct message {
	uint16_t sender;
	uint8_t n_rcpts, rcpts; /* enum rcpts */
	uint32_t at_s;          /* of the first try, since the beginning */
	uint32_t number;        /* RCPTS_LIST: its first recipient's place in the list */
	bool null_sender;
	/* what became of it */
	bool done;
	uint16_t tries;
	uint64_t pending, taken,
	    lost; /* recipients, a bit each: open; delivered; refused for good */
	bool marked;
	uint32_t done_s;
};

struct corpus {
	unsigned n_senders, n_messages;
	struct sender senders[CORPUS_SENDERS];
	struct message messages[CORPUS_MESSAGES];
	uint32_t place_address[CORPUS_PLACES];
	uint16_t place_sender[CORPUS_PLACES], place_number[CORPUS_PLACES];
};

/* A row of the mix. Senders and messages a seed. */
struct mix {
	const char *word;
	unsigned senders, messages; /* messages: of each sender, on average */
	const char *what, *why;
};
extern const struct mix corpus_mix[N_KINDS];

/* Of 100 bots and snowshoe ranges so many are on a list of spam sources when they come, and so many
 * within the six hours after their first message. */
struct corpus_options {
	unsigned listed, listed_later;
};
extern const struct corpus_options corpus_defaults;

void corpus_make(struct corpus *c, uint64_t seed, const struct corpus_options *options);
/* Whose address is it? NULL: nobody's. */
const struct sender *corpus_of(const struct corpus *c, uint32_t address, unsigned *ret_number);

/* The recipient's local part and domain as mail is addressed (RCPTS_SIGNED: without the tag). False:
 * one that has gone or never was. */
bool corpus_rcpt(const struct message *m, unsigned i, char *ret_rcpt, size_t size);

/* Senders of weekly bursts, the same in every corpus: what the weeks before held. */
struct weekly {
	uint8_t kind, n_rcpts, rcpts; /* enum rcpts: of each message */
	bool internal;
	uint32_t client;
	const char *sender;
};
extern const struct weekly corpus_weekly[];
extern const unsigned corpus_n_weekly;

#endif
