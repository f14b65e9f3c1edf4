/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session remembers of its commands: HELO name, MAIL with its parameters and the first
 * accepted recipient stand behind one another in `text`; where that is too short, in an extent.
 */
#include "inquire.h"
#include "session_private.h"

#include <errno.h>
#include <string.h>

static const char *text_base(const struct session *s)
{
	return s->long_text ? (const char *)s->long_text->data : s->text;
}

static struct text session_host(const struct session *s)
{
	return (struct text){ text_base(s), s->host_len };
}

struct text session_helo(const struct session *s)
{
	return (struct text){ text_base(s) + s->host_len, s->helo_len };
}

struct text session_mail(const struct session *s)
{
	return (struct text){ text_base(s) + s->host_len + s->helo_len, s->mail_len };
}

struct text session_params(const struct session *s)
{
	return (
	    struct text){ text_base(s) + s->host_len + s->helo_len + s->mail_len, s->params_len };
}

/* Room for `need` bytes; what was kept stays. */
static char *text_room(struct worker *w, struct session *s, size_t need)
{
	if (s->long_text)
		return need <= EXTENT_BYTES ? (char *)s->long_text->data : NULL;
	if (need <= sizeof(s->text))
		return s->text;
	s->long_text = extent_get(&w->windows);
	if (!s->long_text)
		return NULL;
	memcpy(s->long_text->data, s->text, sizeof(s->text));
	return (char *)s->long_text->data;
}

/* It may come at any time, so what is there moves up behind it. */
int session_set_host(struct worker *w, struct session *s, struct text host, unsigned org)
{
	size_t behind = (size_t)s->helo_len + s->mail_len + s->params_len + s->rcpt_len;
	char *p = text_room(w, s, host.len + behind);

	if (!p)
		return -ENOBUFS;
	memmove(p + host.len, p + s->host_len, behind);
	memcpy(p, host.p, host.len);
	s->host_len = host.len;
	s->facts.host_org = (uint8_t)org;
	s->facts.host_name = session_host(s);
	s->facts.helo = session_helo(s);
	if (s->facts.mail.len)
		s->facts.mail = session_mail(s);
	return 0;
}

int session_set_helo(struct worker *w, struct session *s, struct text helo)
{
	char *p = text_room(w, s, (size_t)s->host_len + helo.len);

	if (!p)
		return -ENOBUFS;
	memcpy(p + s->host_len, helo.p, helo.len);
	s->helo_len = helo.len;
	s->mail_len = s->params_len = s->rcpt_len = 0;
	s->facts.host_name = session_host(s);
	s->facts.helo = session_helo(s);
	return 0;
}

int session_set_mail(struct worker *w, struct session *s, struct text path, struct text params)
{
	size_t at = (size_t)s->host_len + s->helo_len;
	char *p = text_room(w, s, at + path.len + params.len);

	if (!p)
		return -ENOBUFS;
	if (path.len)
		memcpy(p + at, path.p, path.len);
	if (params.len)
		memcpy(p + at + path.len, params.p, params.len);
	s->mail_len = path.len;
	s->params_len = params.len;
	s->rcpt_len = 0;
	s->facts.host_name = session_host(s);
	s->facts.helo = session_helo(s);
	s->facts.mail = session_mail(s);
	return 0;
}

/* The first accepted recipient, for events, where it finds room. */
void session_note_rcpt(struct session *s, struct text path)
{
	size_t at = (size_t)s->host_len + s->helo_len + s->mail_len + s->params_len;
	size_t cap = s->long_text ? EXTENT_BYTES : sizeof(s->text);
	size_t n = cap - at < path.len ? cap - at : path.len;
	char *p = s->long_text ? (char *)s->long_text->data : s->text;

	if (n > 63)
		n = 63;
	memcpy(p + at, path.p, n);
	s->rcpt_len = (uint16_t)n;
}

/* The transaction is over; its texts stay for the event until the next MAIL. */
void session_forget(struct worker *w, struct session *s)
{
	s->at = s->at == AT_START ? AT_START : AT_HELO;
	s->used = 0;
	s->facts.rcpts_accepted = s->facts.rcpts_refused = 0;
	s->facts.declared_size = s->facts.body_size = 0;
	s->facts.null_sender = false;
	tally_tell(&s->told, &s->tally, s->verdict.kind > VERDICT_PASS);
	tally_forget_transaction(&s->tally);
	session_at_once_end(w, s);
	if (s->relay)
		s->relay->grey = (struct relay_grey){ 0 };
	if (w->judged == s) /* under judgement: what is kept afterwards forgets it too */
		tally_forget_transaction(&w->tally);
	s->facts.mail = s->facts.rcpt = (struct text){ 0 };
	inquire_forget_mail(w, s);
	if (!s->long_text || (size_t)s->host_len + s->helo_len > sizeof(s->text))
		return;
	memcpy(s->text, s->long_text->data, (size_t)s->host_len + s->helo_len);
	s->long_text = extent_put(&w->windows, s->long_text);
	s->mail_len = s->params_len = s->rcpt_len = 0;
	s->facts.host_name = session_host(s);
	s->facts.helo = session_helo(s);
}

void session_reset(struct worker *w, struct session *s)
{
	session_forget(w, s);
	if (s->relay)
		relay_reset(w, s->relay);
}

struct text session_rcpt(const struct session *s)
{
	size_t at = (size_t)s->host_len + s->helo_len + s->mail_len + s->params_len;

	return (struct text){ text_base(s) + at, s->rcpt_len };
}
