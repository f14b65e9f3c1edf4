/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator; see corpus.h. Shares are in percent, and stand beside what they are shares of. */
#include "corpus.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *const kind_words[N_KINDS] = {
	[BOT_LISTED] = "bots, listed",
	[BOT_FRESH] = "bots, not listed yet",
	[BOT_EARLY] = "bots that talk early",
	[BOT_PIPELINE] = "bots that pipeline",
	[BOT_HTTP] = "HTTP and the like",
	[BOT_FORGED] = "bots, forged sender",
	[BOT_RETRY] = "bots that retry once",
	[BOT_BLOCKED] = "networks blocked here",
	[HARVESTER] = "harvester",
	[HARVESTERS] = "harvesters, spread",
	[SNOWSHOE] = "snowshoe",
	[BACKSCATTER] = "backscatter",
	[CAPTURED] = "captured account",
	[BIG_POOL] = "big senders, pools",
	[MAILING_LIST] = "mailing lists",
	[SERVER] = "mail servers",
	[SMALL_ODD] = "small servers, odd",
	[SLOW] = "slow links",
	[FORWARDER] = "forwarders",
};

/* Bots come from 10.0.0.0/8, mail servers from 198.18.0.0/15 (RFC 2544): nothing leaves the process. */
#define BOTS    0x0a000000u
#define SERVERS 0xc6120000u
#define BLOCKED 0x0aff0000u /* 10.255.0.0/16 */

struct maker {
	struct corpus *c;
	uint64_t random;
	uint32_t next_server;
};

static uint64_t draw(struct maker *m, uint64_t below)
{
	return model_random(&m->random) % below;
}

static bool chance(struct maker *m, unsigned percent)
{
	return draw(m, 100) < percent;
}

static struct sender *new_sender(struct maker *m, enum kind kind)
{
	struct sender *s = &m->c->senders[m->c->n_senders++];

	assert(m->c->n_senders <= CORPUS_SENDERS);
	*s = (struct sender){ .kind = (uint8_t)kind,
		.host = HOST_CONFIRMED,
		.domain = SENDER_EXISTS,
		.spf = FACT_SPF_NONE,
		.n_addresses = 1,
		.patience_ms = 300000 };
	return s;
}

static void server_addresses(struct maker *m, struct sender *s, unsigned n, unsigned step)
{
	s->n_addresses = (uint16_t)n;
	for (unsigned i = 0; i < n; i++, m->next_server += step)
		s->addresses[i] = SERVERS + m->next_server;
}

static void messages(struct maker *m, struct sender *s, unsigned n, unsigned n_rcpts)
{
	for (unsigned i = 0; i < n && m->c->n_messages < CORPUS_MESSAGES; i++) {
		struct message *msg = &m->c->messages[m->c->n_messages];

		*msg = (struct message){ .sender = (uint16_t)(s - m->c->senders),
			.n_rcpts = (uint16_t)n_rcpts,
			.number = m->c->n_messages,
			.at_s = 60 + (uint32_t)draw(m, (CORPUS_DAYS * 24 - 6) * 3600) };
		m->c->n_messages++;
	}
}

static void odd_helo(struct maker *m, struct sender *s)
{
	unsigned n = (unsigned)draw(m, 100);

	if (n < 25)
		snprintf(s->helo, sizeof(s->helo), "localhost");
	else if (n < 40)
		snprintf(s->helo, sizeof(s->helo), "192.168.%u.2", n);
	else if (n < 50)
		snprintf(s->helo, sizeof(s->helo), "mx.example.org");
	else if (n < 60)
		snprintf(s->helo, sizeof(s->helo), "[192.168.%u.2]", n);
	else
		snprintf(s->helo, sizeof(s->helo), "mail%u.somewhere.example", n);
}

static struct sender *bot(struct maker *m, enum kind kind)
{
	struct sender *s = new_sender(m, kind);
	unsigned host = (unsigned)draw(m, 100);

	s->addresses[0] = BOTS + (uint32_t)draw(m, 0xff0000);
	s->host = host < 30 ? HOST_NONE : host < 45 ? HOST_UNCONFIRMED : HOST_CONFIRMED;
	if (chance(m, 75)) {
		snprintf(s->name, sizeof(s->name), "dsl-%u-%u-%u-%u.isp.example",
		    s->addresses[0] >> 24, s->addresses[0] >> 16 & 255, s->addresses[0] >> 8 & 255,
		    s->addresses[0] & 255);
		s->org = (uint8_t)(strlen(s->name) - strlen("isp.example"));
	} else {
		snprintf(s->name, sizeof(s->name), "h%u.isp.example", (unsigned)draw(m, 1000000));
		s->org = (uint8_t)(strlen(s->name) - strlen("isp.example"));
	}
	if (chance(m, 70))
		odd_helo(m, s);
	snprintf(s->mail_domain, sizeof(s->mail_domain), "big%u.example", (unsigned)draw(m, 3));
	unsigned spf = (unsigned)draw(m, 100);
	s->spf = spf < 20   ? FACT_SPF_FAIL
		 : spf < 40 ? FACT_SPF_SOFTFAIL
		 : spf < 45 ? FACT_SPF_PERMERROR
		 : spf < 60 ? FACT_SPF_NEUTRAL
			    : FACT_SPF_NONE;
	s->listed |= chance(m, 45) ? 1u << DNS_LIST_DYNAMIC : 0;
	s->listed |= chance(m, 15) ? 1u << DNS_LIST_BAD_ADMIN : 0;
	s->early = chance(m, 12);
	s->pipelined = chance(m, 12);
	s->bare = chance(m, 10);
	s->patience_ms = chance(m, 20) ? 3000 + (uint32_t)draw(m, 20000) : 60000;
	return s;
}

static void bots(struct maker *m)
{
	struct sender *s;

	for (int i = 0; i < 300; i++) {
		s = bot(m, BOT_LISTED);
		s->listed |= 1u << DNS_LIST_SPAM;
		messages(m, s, 1 + (unsigned)draw(m, 3), 1 + (unsigned)draw(m, 4));
	}
	for (int i = 0; i < 120; i++)
		messages(m, bot(m, BOT_FRESH), 1 + (unsigned)draw(m, 3), 1 + (unsigned)draw(m, 4));
	for (int i = 0; i < 30; i++) {
		s = bot(m, BOT_EARLY);
		s->early = true;
		messages(m, s, 1 + (unsigned)draw(m, 2), 1);
	}
	for (int i = 0; i < 30; i++) {
		s = bot(m, BOT_PIPELINE);
		s->pipelined = true;
		s->early = false;
		messages(m, s, 1 + (unsigned)draw(m, 2), 1);
	}
	for (int i = 0; i < 20; i++) {
		s = bot(m, BOT_HTTP);
		s->http = true;
		s->early = chance(m, 50);
		messages(m, s, 2, 1);
	}
	for (int i = 0; i < 50; i++) {
		s = bot(m, BOT_FORGED);
		s->domain = chance(m, 60) ? SENDER_NONE : SENDER_NULL_MX;
		s->spf = FACT_SPF_NONE;
		snprintf(s->mail_domain, sizeof(s->mail_domain), "nowhere%u.example", i);
		s->retries = chance(m, 40);
		s->retry_s = 300 + (uint32_t)draw(m, 600);
		messages(m, s, 2, 1);
	}
	for (int i = 0; i < 70; i++) {
		s = bot(m, BOT_RETRY);
		s->retries = 1;
		s->retry_s = 30 + (uint32_t)draw(m, 900);
		messages(m, s, 1 + (unsigned)draw(m, 2), 1);
	}
	for (int i = 0; i < 40; i++) {
		s = bot(m, BOT_BLOCKED);
		s->addresses[0] = BLOCKED + (uint32_t)draw(m, 65536);
		messages(m, s, 2, 1);
	}
}

static void junk_servers(struct maker *m)
{
	struct sender *s;

	for (int i = 0; i < 3; i++) {
		s = bot(m, HARVESTER);
		messages(m, s, 6, 40);
	}
	for (int i = 0; i < 40; i++) {
		s = bot(m, HARVESTERS);
		messages(m, s, 1, 3);
	}
	for (unsigned i = 0; i < m->c->n_messages; i++) {
		uint8_t kind = m->c->senders[m->c->messages[i].sender].kind;

		m->c->messages[i].unknown_rcpts = kind == HARVESTER || kind == HARVESTERS;
	}
	/* whole /24s with proper names; lists find most of them */
	for (int i = 0; i < 10; i++) {
		s = new_sender(m, SNOWSHOE);
		server_addresses(m, s, SENDER_ADDRESSES, 7);
		m->next_server = (m->next_server | 255) + 1;
		snprintf(s->name, sizeof(s->name), "m%%u.offers%d.example", i);
		s->org = (uint8_t)3;
		snprintf(s->mail_domain, sizeof(s->mail_domain), "offers%d.example", i);
		s->spf = FACT_SPF_PASS;
		s->is_mx = chance(m, 30);
		s->listed = i < 7 ? 1u << DNS_LIST_SPAM : i < 9 ? 1u << DNS_LIST_BAD_ADMIN : 0;
		s->retries = 2;
		s->retry_s = 1200;
		messages(m, s, 16, 3);
	}
	for (int i = 0; i < 30; i++) {
		unsigned first = m->c->n_messages;

		s = new_sender(m, BACKSCATTER);
		server_addresses(m, s, 1, 300);
		snprintf(s->name, sizeof(s->name), "mx.other%d.example", i);
		s->org = 3;
		s->listed = chance(m, 80) ? 1u << DNS_LIST_BACKSCATTER : 0;
		s->retries = chance(m, 30);
		s->retry_s = 1800;
		if (chance(m, 30))
			snprintf(s->helo, sizeof(s->helo), "mailer");
		messages(m, s, 3, 1 + (unsigned)draw(m, 12));
		for (; first < m->c->n_messages; first++)
			m->c->messages[first].null_sender = true;
	}
}

static struct sender *server(struct maker *m, enum kind kind, int i)
{
	struct sender *s = new_sender(m, kind);

	server_addresses(m, s, 1, 277);
	snprintf(s->name, sizeof(s->name), "mx.site%d-%d.example", kind, i);
	s->org = 3;
	snprintf(s->mail_domain, sizeof(s->mail_domain), "site%d-%d.example", kind, i);
	s->spf = chance(m, 70) ? FACT_SPF_PASS : FACT_SPF_NONE;
	s->is_mx = chance(m, 60);
	s->retries = 12;
	s->retry_s = 600 + (uint32_t)draw(m, 1200);
	s->listed = chance(m, 20) ? 1u << DNS_LIST_WHITE : 0;
	return s;
}

/* One or two of the oddities that small servers have. */
static void oddity(struct maker *m, struct sender *s)
{
	switch (draw(m, 9)) {
	case 0: s->host = HOST_NONE; break;
	case 1: s->host = HOST_UNCONFIRMED; break;
	case 2:
		snprintf(s->name, sizeof(s->name), "static-%u-%u.pool.isp.example",
		    s->addresses[0] >> 8 & 255, s->addresses[0] & 255);
		s->org = (uint8_t)(strlen(s->name) - strlen("isp.example"));
		break;
	case 3: snprintf(s->helo, sizeof(s->helo), "exchange"); break;
	case 4: snprintf(s->helo, sizeof(s->helo), "[192.168.1.10]"); break;
	case 5: s->spf = FACT_SPF_SOFTFAIL; break;
	case 6: s->spf = FACT_SPF_PERMERROR; break;
	case 7: s->listed |= 1u << DNS_LIST_DYNAMIC; break;
	default: snprintf(s->helo, sizeof(s->helo), "server.other.example"); break;
	}
}

static void honest(struct maker *m)
{
	struct sender *s;

	for (int i = 0; i < 3; i++) {
		s = server(m, BIG_POOL, i);
		server_addresses(m, s, SENDER_ADDRESSES, 131);
		snprintf(s->name, sizeof(s->name), "out-%%u.big%d.example", i);
		s->org = 6;
		snprintf(s->mail_domain, sizeof(s->mail_domain), "big%d.example", i);
		s->spf = i == 2 ? FACT_SPF_NEUTRAL : FACT_SPF_PASS;
		/* two on no white list; one whose neighbours had trouble */
		s->listed = i == 0 ? 1u << DNS_LIST_WHITE : i == 1 ? 1u << DNS_LIST_BAD_ADMIN : 0;
		if (i == 2)
			s->listed = 1u << DNS_LIST_BACKSCATTER;
		s->retry_s = 400;
		messages(m, s, 60, 1);
	}
	for (int i = 0; i < 6; i++)
		messages(m, server(m, MAILING_LIST, i), 30, 4);
	for (int i = 0; i < 50; i++) {
		s = server(m, SERVER, i);
		messages(m, s, 4, 1 + (unsigned)draw(m, 3));
		messages(m, s, 1, 1);
		m->c->messages[m->c->n_messages - 1].null_sender = true; /* a bounce that is one */
	}
	for (int i = 0; i < 80; i++) {
		s = server(m, SMALL_ODD, i);
		oddity(m, s);
		if (chance(m, 40))
			oddity(m, s);
		messages(m, s, 3, 1);
	}
	for (int i = 0; i < 10; i++) {
		s = server(m, SLOW, i);
		s->think_ms = 20000;
		messages(m, s, 2, 2);
	}
	for (int i = 0; i < 6; i++) {
		s = server(m, FORWARDER, i);
		s->spf = chance(m, 50) ? FACT_SPF_FAIL : FACT_SPF_SOFTFAIL;
		s->is_mx = false;
		messages(m, s, 5, 1);
	}
	s = server(m, CAPTURED, 0);
	s->spf = FACT_SPF_PASS;
	messages(m, s, 25, 8);
}

void corpus_make(struct corpus *c, uint64_t seed)
{
	struct maker m = { .c = c, .random = seed, .next_server = 512 };

	memset(c, 0, sizeof(*c));
	bots(&m);
	junk_servers(&m);
	honest(&m);
	for (unsigned i = 0; i < c->n_senders; i++) {
		struct sender *s = &c->senders[i];
		size_t n = strnlen(s->name, sizeof(s->helo) < 60 ? sizeof(s->helo) - 1 : 60);

		if (s->helo[0] == '\0')
			memcpy(s->helo, s->name, n); /* zeroed above */
	}
}

const struct sender *corpus_of(const struct corpus *c, uint32_t address, unsigned *ret_number)
{
	for (unsigned i = 0; i < c->n_senders; i++)
		for (unsigned k = 0; k < c->senders[i].n_addresses; k++)
			if (c->senders[i].addresses[k] == address) {
				*ret_number = k;
				return &c->senders[i];
			}
	return NULL;
}
