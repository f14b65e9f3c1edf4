/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What we say of ourselves: banner, EHLO reply, Received line. The EHLO reply offers only what both
 * the backends a session could reach and we carry (P18): a word that reaches the client has been
 * seen in a health check. Before the first check, and where servers differ, less is offered; a
 * client loses an extension, never a message.
 */
#include "backend.h"
#include "put.h"
#include "session.h"

#include "filters/token.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	SIZE_MARGIN = 1024, /* for our Received line (DESIGN, 9) */
	OF_BACKENDS = SMTP_WORD_8BITMIME | SMTP_WORD_SMTPUTF8 | SMTP_WORD_CHUNKING | SMTP_WORD_DSN |
		      SMTP_WORD_ENHANCED,
};

static const struct {
	uint32_t word;
	const char *line;
} words[] = {
	{ SMTP_WORD_PIPELINING, "250-PIPELINING\r\n" },
	{ SMTP_WORD_8BITMIME, "250-8BITMIME\r\n" },
	{ SMTP_WORD_SMTPUTF8, "250-SMTPUTF8\r\n" },
	{ SMTP_WORD_CHUNKING, "250-CHUNKING\r\n" },
	{ SMTP_WORD_DSN, "250-DSN\r\n" },
	{ SMTP_WORD_STARTTLS, "250-STARTTLS\r\n" },
	{ SMTP_WORD_ENHANCED, "250-ENHANCEDSTATUSCODES\r\n" },
};

size_t greeting_banner(const struct worker *w, char *buf, size_t cap)
{
	const char *text = policy_string(w->policy, w->set->smtp.banner);
	struct put to = { buf, buf + cap };

	PUT_LITERAL(&to, "220 ");
	put_string(&to, smtp_hostname(w), 255);
	if (text[0])
		PUT_LITERAL(&to, " ");
	put_string(&to, text, 200);
	PUT_LITERAL(&to, "\r\n");
	return (size_t)(to.p - buf);
}

size_t greeting_teaser(const struct worker *w, char *buf, size_t cap)
{
	size_t n = greeting_banner(w, buf, cap);

	buf[3] = '-';
	return n;
}

void greeting_offer(const struct worker *w, struct session *s)
{
	struct smtp_words of_backends = backends_words(w);
	uint64_t size = w->set->limits.message_size;

	s->words = 0;
	s->size_limit = size;
	if (of_backends.size > SIZE_MARGIN && (!size || of_backends.size - SIZE_MARGIN < size))
		s->size_limit = of_backends.size - SIZE_MARGIN;
	if (!s->facts.esmtp)
		return;
	s->words = (of_backends.words & OF_BACKENDS) | SMTP_WORD_PIPELINING | SMTP_WORD_SIZE;
	if (w->set->smtp.starttls == STARTTLS_PASS && (of_backends.words & SMTP_WORD_STARTTLS) &&
	    s->tally.score <= w->set->smtp.starttls_max_score)
		s->words |= SMTP_WORD_STARTTLS;
}

size_t greeting_ehlo(const struct worker *w, const struct session *s, char *buf, size_t cap)
{
	struct put to = { buf, buf + cap };

	PUT_LITERAL(&to, "250-");
	put_string(&to, smtp_hostname(w), 255);
	PUT_LITERAL(&to, "\r\n");
	/* all of them together stay below 200 bytes */
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (s->words & words[i].word)
			put_string(&to, words[i].line, 40);
	}
	PUT_LITERAL(&to, "250 SIZE");
	if (s->size_limit) { /* RFC 1870: without a number, no fixed limit */
		PUT_LITERAL(&to, " ");
		put_number(&to, s->size_limit);
	}
	PUT_LITERAL(&to, "\r\n");
	return (size_t)(to.p - buf);
}

/* A client's own word in a header of ours: printable and without what could end a comment. */
static void clean_helo(struct text helo, char buf[128])
{
	size_t n = helo.len < 127 ? helo.len : 127;

	for (size_t i = 0; i < n; i++) {
		char c = helo.p[i];

		buf[i] = c > ' ' && c < 0x7f && !strchr("()<>\\\"", c) ? c : '?';
	}
	buf[n] = 0;
	if (n == 0)
		memcpy(buf, "unknown", 8);
}

size_t greeting_received(const struct worker *w, const struct session *s, char buf[RECEIVED_MAX])
{
	char helo[128], addr[INET6_ADDRSTRLEN], token[TOKEN_LEN + 1];
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(w->now_ns / 1000000000ull);
	struct ip_addr client = ip_addr_from_v6(s->facts.client);
	bool v4 = ip_addr_is_v4(&client);
	const char *with = !s->facts.esmtp                ? "SMTP"
			   : s->used & SMTP_WORD_SMTPUTF8 ? "UTF8SMTP"
							  : "ESMTP";
	struct tm tm;

	gmtime_r(&t, &tm);
	clean_helo(session_helo(s), helo);
	inet_ntop(v4 ? AF_INET : AF_INET6, client.b + (v4 ? 12 : 0), addr, sizeof(addr));
	token_make(w->config.token_key,
	    &(struct token_fields){ .reason = (uint8_t)s->verdict.reason,
		.epoch = (uint16_t)s->epoch,
		.minute = (uint32_t)(w->now_ns / 60000000000ull) & 0x3ffffff,
		.session = s->number },
	    token);
	return (size_t)snprintf(buf, RECEIVED_MAX,
	    "Received: from %s ([%s%s])\r\n\tby %.255s with %s id %s;\r\n"
	    "\t%s, %d %s %d %02d:%02d:%02d +0000\r\n",
	    helo, v4 ? "" : "IPv6:", addr, smtp_hostname(w), with, token, days[tm.tm_wday],
	    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
