/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator: whose mail is to arrive; see corpus.h. */
#include "maker.h"

#include <stdio.h>
#include <string.h>

struct sender *maker_server(struct maker *m, enum kind kind, int i)
{
	struct sender *s = maker_sender(m, kind);

	maker_addresses(m, s, 1, 277);
	snprintf(s->name, sizeof(s->name), "mx.site%d-%d.example", kind, i);
	s->org = 3;
	snprintf(s->mail_domain, sizeof(s->mail_domain), "site%d-%d.example", kind, i);
	s->spf = maker_chance(m, 70) ? FACT_SPF_PASS : FACT_SPF_NONE;
	s->is_mx = maker_chance(m, 60);
	s->retries = 12;
	s->retry_s = 600 + (uint32_t)maker_draw(m, 1200);
	s->listed = maker_chance(m, 20) ? 1u << DNS_LIST_WHITE : 0;
	return s;
}

/* One or two of the oddities that small servers have. */
static void oddity(struct maker *m, struct sender *s)
{
	switch (maker_draw(m, 9)) {
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

/* ---- bursts ---- */

/* The weeks before know them by sender; addresses lie behind all that maker_addresses() gives. */
const struct weekly corpus_weekly[] = {
	{ SCHOOL, 4, RCPTS_LIST, false, SCHOOLS, "news@school0.example" },
	{ SCHOOL, 4, RCPTS_LIST, false, SCHOOLS + 256, "news@school1.example" },
	{ LIST_BURST, 20, RCPTS_LIST, false, SCHOOLS + 512, "letter@list0.example" },
	{ LIST_BURST, 20, RCPTS_LIST, false, SCHOOLS + 768, "letter@list1.example" },
	{ OWN_SCHOOL, 10, RCPTS_OUT, true, OURS, "office@example.org" },
};
const unsigned corpus_n_weekly = sizeof(corpus_weekly) / sizeof(corpus_weekly[0]);

/* The list's recipients in order. */
static void burst(struct maker *m, struct sender *s, unsigned n_rcpts, enum rcpts rcpts,
    uint32_t from_s, uint32_t for_s)
{
	unsigned n = corpus_mix[s->kind].messages;
	struct message *msg = maker_messages(m, s, n, n_rcpts, rcpts, from_s, from_s + for_s);

	for (unsigned i = 0; i < n; i++)
		msg[i].number = i * n_rcpts;
}

static struct sender *named(struct maker *m, enum kind kind, const struct weekly *w)
{
	struct sender *s = maker_server(m, kind, (int)(w - corpus_weekly));
	const char *at = strchr(w->sender, '@');

	s->addresses[0] = w->client;
	snprintf(s->mail_user, sizeof(s->mail_user), "%.*s", (int)(at - w->sender), w->sender);
	snprintf(s->mail_domain, sizeof(s->mail_domain), "%s", at + 1);
	if (w->internal) {
		snprintf(s->name, sizeof(s->name), "mail.school.example");
		s->org = 5;
		s->listed = 0;
	}
	return s;
}

static void bursts(struct maker *m)
{
	struct sender *s;

	for (unsigned i = 0; i < corpus_n_weekly; i++) {
		const struct weekly *w = &corpus_weekly[i];

		burst(m, named(m, w->kind, w), w->n_rcpts, w->rcpts, (BURST_HOUR + i) * HOUR,
		    HOUR * 3 / 4);
	}
	for (unsigned i = 0; i < corpus_mix[LIST_NEW].senders; i++) {
		s = maker_server(m, LIST_NEW, (int)i);
		snprintf(s->mail_user, sizeof(s->mail_user), "hello");
		burst(m, s, 20, RCPTS_LIST, FIRST_S + (uint32_t)maker_draw(m, LAST_S - 8 * HOUR),
		    HOUR * 2 / 3);
	}
	for (unsigned i = 0; i < corpus_mix[LIST_OLD].senders; i++) {
		s = maker_server(m, LIST_OLD, (int)i);
		maker_messages(m, s, corpus_mix[LIST_OLD].messages, 24, RCPTS_OLD, FIRST_S, LAST_S);
	}
	s = named(m, OWN_USERS, &corpus_weekly[corpus_n_weekly - 1]);
	s->mail_user[0] = '\0'; /* twenty persons */
	maker_messages(m, s, corpus_mix[OWN_USERS].messages, 1, RCPTS_OUT, FIRST_S, LAST_S);
}

/* ---- everyday ---- */

static void pools(struct maker *m)
{
	for (unsigned i = 0; i < corpus_mix[BIG_POOL].senders; i++) {
		struct sender *s = maker_server(m, BIG_POOL, (int)i);

		maker_addresses(m, s, SENDER_ADDRESSES, 131);
		snprintf(s->name, sizeof(s->name), "out-%%u.big%u.example", i);
		s->org = 6;
		snprintf(s->mail_domain, sizeof(s->mail_domain), "big%u.example", i);
		s->spf = i == 2 ? FACT_SPF_NEUTRAL : FACT_SPF_PASS;
		/* two on no white list; one whose neighbours had trouble */
		s->listed = i == 0   ? 1u << DNS_LIST_WHITE
			    : i == 1 ? 1u << DNS_LIST_BAD_ADMIN
				     : 1u << DNS_LIST_BACKSCATTER;
		s->retry_s = 400;
		maker_messages(m, s, corpus_mix[BIG_POOL].messages, 1, RCPTS_USERS, FIRST_S, LAST_S);
	}
}

void corpus_make_honest(struct maker *m)
{
	struct message *msg;
	struct sender *s;

	pools(m);
	for (unsigned i = 0; i < corpus_mix[MAILING_LIST].senders; i++) {
		s = maker_server(m, MAILING_LIST, (int)i);
		s->verp = true;
		snprintf(s->mail_user, sizeof(s->mail_user), "list");
		maker_messages(
		    m, s, corpus_mix[MAILING_LIST].messages, 4, RCPTS_LIST, FIRST_S, LAST_S);
	}
	bursts(m);
	for (unsigned i = 0; i < corpus_mix[SERVER].senders; i++) {
		s = maker_server(m, SERVER, (int)i);
		maker_messages(m, s, corpus_mix[SERVER].messages - 1,
		    1 + (unsigned)maker_draw(m, 3), RCPTS_USERS, FIRST_S, LAST_S);
		msg =
		    maker_messages(m, s, 1, 1, i & 1 ? RCPTS_SIGNED : RCPTS_USERS, FIRST_S, LAST_S);
		msg->null_sender = true; /* a bounce that is one */
	}
	/* one of them to the victim of backscatter, in the middle of it */
	s = maker_server(m, SERVER, (int)corpus_mix[SERVER].senders);
	msg = maker_messages(m, s, 1, 1, RCPTS_VICTIM, m->flood_s + HOUR, m->flood_s + 2 * HOUR);
	msg->null_sender = true;
	for (unsigned i = 0; i < corpus_mix[SMALL_ODD].senders; i++) {
		s = maker_server(m, SMALL_ODD, (int)i);
		oddity(m, s);
		if (maker_chance(m, 40))
			oddity(m, s);
		maker_messages(
		    m, s, corpus_mix[SMALL_ODD].messages, 1, RCPTS_USERS, FIRST_S, LAST_S);
	}
	for (unsigned i = 0; i < corpus_mix[SLOW].senders; i++) {
		s = maker_server(m, SLOW, (int)i);
		s->think_ms = 20000;
		maker_messages(m, s, corpus_mix[SLOW].messages, 2, RCPTS_USERS, FIRST_S, LAST_S);
	}
	for (unsigned i = 0; i < corpus_mix[FORWARDER].senders; i++) {
		s = maker_server(m, FORWARDER, (int)i);
		s->spf = maker_chance(m, 50) ? FACT_SPF_FAIL : FACT_SPF_SOFTFAIL;
		s->is_mx = false;
		maker_messages(
		    m, s, corpus_mix[FORWARDER].messages, 1, RCPTS_USERS, FIRST_S, LAST_S);
	}
}
