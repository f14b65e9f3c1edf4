/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator: helpers and who means harm; see corpus.h. Shares are in percent, and stand beside what
 * they are shares of. */
#include "maker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

uint64_t maker_draw(struct maker *m, uint64_t below)
{
	return model_random(&m->random) % below;
}

bool maker_chance(struct maker *m, unsigned percent)
{
	return maker_draw(m, 100) < percent;
}

struct sender *maker_sender(struct maker *m, enum kind kind)
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

void maker_addresses(struct maker *m, struct sender *s, unsigned n, unsigned step)
{
	s->n_addresses = (uint16_t)n;
	for (unsigned i = 0; i < n; i++, m->next_server += step)
		s->addresses[i] = SERVERS + m->next_server;
}

struct message *maker_messages(struct maker *m, struct sender *s, unsigned n, unsigned n_rcpts,
    enum rcpts rcpts, uint32_t from_s, uint32_t to_s)
{
	struct message *first = &m->c->messages[m->c->n_messages];

	assert(m->c->n_messages + n <= CORPUS_MESSAGES && n_rcpts <= RCPTS_MAX);
	for (unsigned i = 0; i < n; i++) {
		struct message *msg = &m->c->messages[m->c->n_messages];

		*msg = (struct message){ .sender = (uint16_t)(s - m->c->senders),
			.n_rcpts = (uint8_t)n_rcpts,
			.rcpts = (uint8_t)rcpts,
			.number = m->c->n_messages,
			.pending = (1ull << n_rcpts) - 1,
			.at_s = from_s + (uint32_t)maker_draw(m, to_s - from_s) };
		m->c->n_messages++;
	}
	return first;
}

/* ---- bots ---- */

static void odd_helo(struct maker *m, struct sender *s)
{
	unsigned n = (unsigned)maker_draw(m, 100);

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

/* Is it on a list of spam sources when it comes, or within six hours (spam_messages() makes it a time)?
 * n: 0 to 99. */
static void draw_list(struct maker *m, struct sender *s, unsigned n)
{
	if (n < m->options.listed)
		s->listed |= 1u << DNS_LIST_SPAM;
	else if (n < m->options.listed + m->options.listed_later)
		s->spam_from_s = 1 + (uint32_t)maker_draw(m, 6 * HOUR);
}

static struct sender *bot(struct maker *m, enum kind kind)
{
	struct sender *s = maker_sender(m, kind);
	unsigned host = (unsigned)maker_draw(m, 100), spf;

	s->addresses[0] = BOTS + (uint32_t)maker_draw(m, 0xff0000);
	s->host = host < 30 ? HOST_NONE : host < 45 ? HOST_UNCONFIRMED : HOST_CONFIRMED;
	if (maker_chance(m, 75))
		snprintf(s->name, sizeof(s->name), "dsl-%u-%u-%u-%u.isp.example",
		    s->addresses[0] >> 24, s->addresses[0] >> 16 & 255, s->addresses[0] >> 8 & 255,
		    s->addresses[0] & 255);
	else
		snprintf(
		    s->name, sizeof(s->name), "h%u.isp.example", (unsigned)maker_draw(m, 1000000));
	s->org = (uint8_t)(strlen(s->name) - strlen("isp.example"));
	if (maker_chance(m, 70))
		odd_helo(m, s);
	snprintf(
	    s->mail_domain, sizeof(s->mail_domain), "big%u.example", (unsigned)maker_draw(m, 3));
	spf = (unsigned)maker_draw(m, 100);
	s->spf = spf < 20   ? FACT_SPF_FAIL
		 : spf < 40 ? FACT_SPF_SOFTFAIL
		 : spf < 45 ? FACT_SPF_PERMERROR
		 : spf < 60 ? FACT_SPF_NEUTRAL
			    : FACT_SPF_NONE;
	draw_list(m, s, (unsigned)maker_draw(m, 100));
	s->listed |= maker_chance(m, 45) ? 1u << DNS_LIST_DYNAMIC : 0;
	s->listed |= maker_chance(m, 15) ? 1u << DNS_LIST_BAD_ADMIN : 0;
	s->early = maker_chance(m, 12);
	s->hasty = maker_chance(m, 12);
	s->pipelined = maker_chance(m, 12);
	s->bare = maker_chance(m, 10);
	s->patience_ms = maker_chance(m, 20) ? 3000 + (uint32_t)maker_draw(m, 20000) : 60000;
	return s;
}

static void spam_messages(struct maker *m, struct sender *s, unsigned n, unsigned n_rcpts,
    enum rcpts rcpts, uint32_t from_s, uint32_t to_s)
{
	const struct message *msg = maker_messages(m, s, n, n_rcpts, rcpts, from_s, to_s);
	uint32_t first_s = msg->at_s;

	for (unsigned i = 1; i < n; i++)
		first_s = msg[i].at_s < first_s ? msg[i].at_s : first_s;
	if (s->spam_from_s)
		s->spam_from_s += first_s;
}

/* Seven in ten take part in one of eight campaigns of 90 minutes, the others send any time. */
static void campaign(struct maker *m, struct sender *s, unsigned n, unsigned n_rcpts)
{
	uint32_t from_s = 2 * HOUR + (uint32_t)maker_draw(m, 8) * 5 * HOUR;

	if (maker_chance(m, 70))
		spam_messages(m, s, n, n_rcpts, RCPTS_BOUGHT, from_s, from_s + HOUR * 3 / 2);
	else
		spam_messages(m, s, n, n_rcpts, RCPTS_BOUGHT, FIRST_S, LAST_S);
}

static void bots(struct maker *m)
{
	struct sender *s;

	for (unsigned i = 0; i < corpus_mix[BOT].senders; i++)
		campaign(
		    m, bot(m, BOT), 1 + (unsigned)maker_draw(m, 3), 1 + (unsigned)maker_draw(m, 4));
	for (unsigned i = 0; i < corpus_mix[BOT_EARLY].senders; i++) {
		s = bot(m, BOT_EARLY);
		s->early = true;
		campaign(m, s, 1 + (unsigned)maker_draw(m, 2), 1);
	}
	for (unsigned i = 0; i < corpus_mix[BOT_PIPELINE].senders; i++) {
		s = bot(m, BOT_PIPELINE);
		s->pipelined = true;
		s->early = false;
		campaign(m, s, 1 + (unsigned)maker_draw(m, 2), 1);
	}
	for (unsigned i = 0; i < corpus_mix[BOT_HTTP].senders; i++) {
		s = bot(m, BOT_HTTP);
		s->http = true;
		s->early = maker_chance(m, 50);
		spam_messages(m, s, 2, 1, RCPTS_USERS, FIRST_S, LAST_S);
	}
	for (unsigned i = 0; i < corpus_mix[BOT_FORGED].senders; i++) {
		s = bot(m, BOT_FORGED);
		s->domain = maker_chance(m, 60) ? SENDER_NONE : SENDER_NULL_MX;
		s->spf = FACT_SPF_NONE;
		snprintf(s->mail_domain, sizeof(s->mail_domain), "nowhere%u.example", i);
		s->retries = maker_chance(m, 40);
		s->retry_s = 300 + (uint32_t)maker_draw(m, 600);
		campaign(m, s, 2, 1);
	}
	for (unsigned i = 0; i < corpus_mix[BOT_RETRY].senders; i++) {
		s = bot(m, BOT_RETRY);
		s->retries = 1;
		s->retry_s = 30 + (uint32_t)maker_draw(m, 900);
		campaign(m, s, 1 + (unsigned)maker_draw(m, 2), 1);
	}
	for (unsigned i = 0; i < corpus_mix[BOT_LOUD].senders; i++) {
		uint32_t at_s = FIRST_S + (uint32_t)maker_draw(m, LAST_S - FIRST_S);

		s = bot(m, BOT_LOUD);
		spam_messages(m, s, corpus_mix[BOT_LOUD].messages, 1, RCPTS_BOUGHT, at_s, at_s + 2);
	}
	for (unsigned i = 0; i < corpus_mix[BOT_BLOCKED].senders; i++) {
		s = bot(m, BOT_BLOCKED);
		s->addresses[0] = BLOCKED + (uint32_t)maker_draw(m, 65536);
		spam_messages(m, s, 2, 1, RCPTS_BOUGHT, FIRST_S, LAST_S);
	}
}

/* ---- who looks for addresses ---- */

/* A rented server, with names in order and on no list yet. */
static struct sender *rented(struct maker *m, enum kind kind, unsigned i)
{
	struct sender *s = maker_server(m, kind, (int)i);

	s->spf = FACT_SPF_NONE;
	s->listed = 0;
	s->is_mx = false;
	s->retries = 0;
	return s;
}

static void harvesters(struct maker *m)
{
	uint32_t at_s;
	struct sender *s;

	for (unsigned i = 0; i < corpus_mix[DICTIONARY].senders; i++) {
		at_s = FIRST_S + (uint32_t)maker_draw(m, LAST_S - FIRST_S);
		s = bot(m, DICTIONARY);
		spam_messages(
		    m, s, corpus_mix[DICTIONARY].messages, 60, RCPTS_GUESSED, at_s, at_s + HOUR);
	}
	for (unsigned i = 0; i < corpus_mix[HARVESTER].senders; i++) {
		at_s = FIRST_S + (uint32_t)maker_draw(m, LAST_S - FIRST_S);
		maker_messages(m, rented(m, HARVESTER, i), corpus_mix[HARVESTER].messages, 25,
		    RCPTS_GUESSED, at_s, at_s + 2 * HOUR);
	}
	at_s = FIRST_S + (uint32_t)maker_draw(m, LAST_S - FIRST_S);
	for (unsigned i = 0; i < corpus_mix[HARVESTERS].senders; i++)
		spam_messages(m, i % 5 < 2 ? rented(m, HARVESTERS, i) : bot(m, HARVESTERS), 1, 5,
		    RCPTS_GUESSED, at_s, at_s + HOUR);
}

/* ---- with servers ---- */

/* Ranges with proper names. A campaign of some hours each. */
static void snowshoe(struct maker *m)
{
	unsigned chance = (unsigned)maker_draw(m, 100);

	for (unsigned i = 0; i < corpus_mix[SNOWSHOE].senders; i++) {
		struct sender *s = maker_sender(m, SNOWSHOE);
		uint32_t at_s = FIRST_S + (uint32_t)maker_draw(m, LAST_S - FIRST_S);

		m->next_server = (m->next_server | 255) + 1;
		maker_addresses(m, s, SENDER_ADDRESSES, 7);
		m->next_server = (m->next_server | 255) + 1;
		snprintf(s->name, sizeof(s->name), "m%%u.offers%u.example", i);
		s->org = 3;
		snprintf(s->mail_domain, sizeof(s->mail_domain), "offers%u.example", i);
		snprintf(s->mail_user, sizeof(s->mail_user), "news");
		s->verp = i & 1;
		s->spf = FACT_SPF_PASS;
		s->is_mx = maker_chance(m, 30);
		/* spread evenly: chance among ten would be most of the figures' */
		draw_list(m, s, (chance + i * 100 / corpus_mix[SNOWSHOE].senders) % 100);
		s->listed |= maker_chance(m, 30) ? 1u << DNS_LIST_BAD_ADMIN : 0;
		s->retries = 2;
		s->retry_s = 1200;
		spam_messages(
		    m, s, corpus_mix[SNOWSHOE].messages, 3, RCPTS_BOUGHT, at_s, at_s + 2 * HOUR);
	}
}

/* Two campaigns in our users' names: one domain signs its senders, the other does not. */
static void backscatter(struct maker *m)
{
	uint32_t at_s[2] = { FIRST_S + (uint32_t)maker_draw(m, LAST_S - 3 * HOUR),
		FIRST_S + (uint32_t)maker_draw(m, LAST_S - 3 * HOUR) };

	for (unsigned i = 0; i < corpus_mix[BACKSCATTER].senders; i++) {
		struct sender *s = maker_server(m, BACKSCATTER, (int)i);
		bool robot = maker_chance(m, 15), tagged = i % 3 == 0;
		struct message *msg;

		s->listed = maker_chance(m, 50) ? 1u << DNS_LIST_BACKSCATTER : 0;
		s->spf = FACT_SPF_NONE; /* of the HELO name: most have none */
		s->is_mx = false;
		s->retries = maker_chance(m, 80) ? 6 : 0;
		if (maker_chance(m, 20))
			snprintf(s->helo, sizeof(s->helo), "mailer");
		msg = maker_messages(m, s, corpus_mix[BACKSCATTER].messages,
		    robot ? 2 + (unsigned)maker_draw(m, 10) : 1,
		    robot    ? RCPTS_USERS
		    : tagged ? RCPTS_FORGED
			     : RCPTS_VICTIM,
		    at_s[tagged], at_s[tagged] + 3 * HOUR);
		for (unsigned k = 0; k < corpus_mix[BACKSCATTER].messages; k++)
			msg[k].null_sender = true;
	}
	m->flood_s = at_s[0];
}

static void captured(struct maker *m)
{
	uint32_t at_s = FIRST_S + (uint32_t)maker_draw(m, LAST_S - 3 * HOUR);
	struct sender *s = maker_server(m, CAPTURED, 0);

	s->spf = FACT_SPF_PASS;
	snprintf(s->mail_user, sizeof(s->mail_user), "pupil");
	maker_messages(m, s, corpus_mix[CAPTURED].messages, 20, RCPTS_BOUGHT, at_s, at_s + 2 * HOUR);
	s = maker_sender(m, CAPTURED_OWN);
	s->addresses[0] = OURS;
	snprintf(s->name, sizeof(s->name), "mail.school.example");
	s->org = 5;
	snprintf(s->mail_domain, sizeof(s->mail_domain), "example.org");
	snprintf(s->mail_user, sizeof(s->mail_user), "pupil7");
	s->retries = 4; /* of the school's server, which queues for it */
	s->retry_s = 900;
	maker_messages(
	    m, s, corpus_mix[CAPTURED_OWN].messages, 8, RCPTS_OUT_NEW, at_s, at_s + 2 * HOUR);
}

/* ---- all of it ---- */

static unsigned place_of(uint32_t address)
{
	return (unsigned)(address * 2654435761u >> 20) % CORPUS_PLACES;
}

static void index_addresses(struct corpus *c)
{
	for (unsigned i = 0; i < c->n_senders; i++)
		for (unsigned k = 0; k < c->senders[i].n_addresses; k++) {
			uint32_t address = c->senders[i].addresses[k];
			unsigned at = place_of(address);

			while (c->place_address[at] && c->place_address[at] != address)
				at = (at + 1) % CORPUS_PLACES;
			if (c->place_address[at])
				continue; /* accounts of one server */
			c->place_address[at] = address;
			c->place_sender[at] = (uint16_t)i;
			c->place_number[at] = (uint16_t)k;
		}
}

const struct sender *corpus_of(const struct corpus *c, uint32_t address, unsigned *ret_number)
{
	unsigned at = place_of(address);

	for (; c->place_address[at]; at = (at + 1) % CORPUS_PLACES)
		if (c->place_address[at] == address) {
			*ret_number = c->place_number[at];
			return &c->senders[c->place_sender[at]];
		}
	return NULL;
}

void corpus_make(struct corpus *c, uint64_t seed, const struct corpus_options *options)
{
	struct maker m = { .c = c, .options = *options, .random = seed, .next_server = 512 };

	memset(c, 0, sizeof(*c));
	bots(&m);
	harvesters(&m);
	snowshoe(&m);
	backscatter(&m);
	captured(&m);
	corpus_make_honest(&m);
	for (unsigned i = 0; i < c->n_senders; i++) {
		struct sender *s = &c->senders[i];

		if (s->helo[0] == '\0')
			memcpy(s->helo, s->name, strnlen(s->name, sizeof(s->name) - 1));
	}
	index_addresses(c);
}

bool corpus_rcpt(const struct message *m, unsigned i, char *ret, size_t size)
{
	uint64_t random = m->number * 64ull + i;
	unsigned n = (unsigned)(model_random(&random) % 1000);

	switch ((enum rcpts)m->rcpts) {
	case RCPTS_LIST: /* the first is there, so that the message arrives */
		if (i && (m->number + i) % 100 < GONE_LIST)
			break;
		snprintf(ret, size, "user%u@example.org", (m->number + i) % 1000);
		return true;
	case RCPTS_OLD:
		if (i && n % 100 < GONE_OLD)
			break;
		snprintf(ret, size, "user%u@example.org", n);
		return true;
	case RCPTS_BOUGHT: /* all that buy it have the same gone ones */
		if (n % 100 < GONE_BOUGHT)
			break;
		snprintf(ret, size, "user%u@example.org", n);
		return true;
	case RCPTS_GUESSED:
		snprintf(ret, size, "%s%u@example.org", n % 10 ? "guess" : "user",
		    n % 10 ? (unsigned)(random % 100000) : n);
		return n % 10 == 0;
	case RCPTS_VICTIM: snprintf(ret, size, "user42@example.org"); return true;
	case RCPTS_SIGNED:
	case RCPTS_FORGED: snprintf(ret, size, "user%u@signed.example.org", n % 50); return true;
	case RCPTS_OUT:
		snprintf(ret, size, "u%u@far%u.example", (m->number + i) % 1000, n % 20);
		return true;
	case RCPTS_OUT_NEW:
		snprintf(ret, size, "s%u-%u@far%u.example", m->number, i, n % 20);
		return true;
	default: snprintf(ret, size, "user%u@example.org", n); return true;
	}
	snprintf(ret, size, "gone%u@example.org", n % 150);
	return false;
}
