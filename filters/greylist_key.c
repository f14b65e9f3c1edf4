/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a greylist entry is about: pool, normalised sender, recipient, and the key over them. What a
 * sender changes from message to message (VERP, BATV, SRS stamps, message numbers) must not make a
 * new key each time, or a retry would be a first try for ever; the rules are in the README.
 */
#include "greylist.h"
#include "siphash.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { LOCAL_MAX = 255, LONG_TOKEN = 20, HEX_TOKEN = 4, BATV_TAG = 10 };

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* A piece of a lower-cased local part. */
struct piece {
	const char *p;
	size_t len;
};

static bool starts(struct piece s, const char *word)
{
	size_t n = strlen(word);

	return s.len >= n && memcmp(s.p, word, n) == 0;
}

static struct piece behind(struct piece s, size_t n)
{
	return (struct piece){ s.p + n, s.len - n };
}

/* Cuts what stands before the next `=` off the front of *s; false: there is none. */
static bool cut(struct piece *s, struct piece *ret_front)
{
	const char *at = memchr(s->p, '=', s->len);

	if (!at)
		return false;
	*ret_front = (struct piece){ s->p, (size_t)(at - s->p) };
	*s = behind(*s, ret_front->len + 1);
	return true;
}

static bool is_batv_tag(struct piece s)
{
	if (s.len != BATV_TAG)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_hex(s.p[i]))
			return false;
	return true;
}

/* BATV (draft-levine-smtp-batv): prvs=TAG=local, the older prvs=local=TAG, and Barracuda's
 * btv1==TAG==local. */
static struct piece without_batv(struct piece s)
{
	struct piece rest = s, tag;

	if (starts(s, "prvs=")) {
		rest = behind(s, 5);
		if (rest.len > BATV_TAG + 1 && rest.p[rest.len - BATV_TAG - 1] == '=' &&
		    is_batv_tag(behind(rest, rest.len - BATV_TAG)))
			return (struct piece){ rest.p, rest.len - BATV_TAG - 1 };
		if (cut(&rest, &tag) && is_batv_tag(tag))
			return rest;
	} else if (starts(s, "btv1==")) {
		rest = behind(s, 6);
		if (cut(&rest, &tag) && rest.len > 1 && rest.p[0] == '=')
			return behind(rest, 1);
	}
	return s;
}

struct line {
	char *p;
	size_t n;
};

static void put(struct line *to, struct piece s)
{
	memcpy(to->p + to->n, s.p, s.len);
	to->n += s.len;
}

static void put_char(struct line *to, char c)
{
	to->p[to->n++] = c;
}

static bool varies(struct piece token, bool alone)
{
	bool digit = false, hex = token.len >= HEX_TOKEN;

	if (token.len >= LONG_TOKEN)
		return true;
	for (size_t i = 0; i < token.len; i++) {
		digit |= is_digit(token.p[i]);
		hex &= is_hex(token.p[i]);
	}
	return !alone && (digit || hex);
}

/* Numbers, hexadecimal words and very long words become one `#` each; neighbours become one. */
static void put_tokens(struct line *to, struct piece s)
{
	size_t first = 0;

	while (first < s.len && is_alnum(s.p[first]))
		first++;
	for (size_t i = 0; i < s.len;) {
		struct piece token = { s.p + i, 0 };

		while (i + token.len < s.len && is_alnum(token.p[token.len]))
			token.len++;
		if (token.len == 0) {
			put_char(to, s.p[i++]);
			continue;
		}
		i += token.len;
		if (!varies(token, first == s.len))
			put(to, token);
		else if (to->n >= 2 && to->p[to->n - 2] == '#')
			to->n--; /* the separator between two of them */
		else
			put_char(to, '#');
	}
}

/* SRS: the hash and the day change. srs0=HASH=DAY=domain=local, and srs1=HASH=forwarder==HASH=DAY=
 * domain=local. False: not of this form. */
static bool put_srs(struct line *to, struct piece s)
{
	static const char separators[] = "=+-";
	struct piece rest, hash, day, domain, forwarder = { NULL, 0 };

	if (s.len < 6 || !(starts(s, "srs0") || starts(s, "srs1")) || !strchr(separators, s.p[4]))
		return false;
	rest = behind(s, 5);
	if (s.p[3] == '1') {
		if (!cut(&rest, &hash) || !cut(&rest, &forwarder) || rest.len == 0 ||
		    !strchr(separators, rest.p[0]))
			return false;
		rest = behind(rest, 1);
	}
	if (!cut(&rest, &hash) || !cut(&rest, &day) || !cut(&rest, &domain))
		return false;
	put(to, (struct piece){ s.p, 4 });
	if (forwarder.p) {
		put_char(to, '=');
		put(to, forwarder);
	}
	put_char(to, '=');
	put(to, domain);
	put_char(to, '=');
	put_tokens(to, rest);
	return true;
}

static void put_local(struct line *to, struct piece s)
{
	const char *at;

	s = without_batv(s);
	if (put_srs(to, s))
		return;
	at = memchr(s.p, '+', s.len); /* an extension, or VERP after qmail's manner */
	if (at && at > s.p)
		s.len = (size_t)(at - s.p);
	at = memchr(s.p, '=', s.len); /* VERP: list-jane=example.org */
	if (at) {
		while (at > s.p && at[-1] != '-')
			at--;
		s.len = (size_t)(at - s.p);
		put_tokens(to, s);
		put_char(to, '#');
		return;
	}
	put_tokens(to, s);
}

size_t greylist_sender(struct text sender, char ret_text[GREYLIST_SENDER_LEN])
{
	char text[GREYLIST_SENDER_LEN];
	size_t len = sender.len, local;
	struct line to = { ret_text, 0 };
	const char *p = sender.p;

	if (len && p[len - 1] == '.')
		len--;
	if (len > sizeof(text) - 1) {
		p += len - (sizeof(text) - 1);
		len = sizeof(text) - 1;
	}
	for (size_t i = 0; i < len; i++)
		text[i] = lower(p[i]);
	for (local = len; local > 0 && text[local - 1] != '@'; local--)
		;
	if (local == 0) { /* the null sender, or a bare local part */
		put_local(&to, (struct piece){ text, len });
	} else {
		put_local(&to, (struct piece){ text, local - 1 });
		put(&to, (struct piece){ text + local - 1, len - local + 1 });
	}
	ret_text[to.n] = '\0';
	return to.n;
}

/* ---- keys ---- */

static void pool_of(const struct greylist_source *source, char pool[GREYLIST_POOL_LEN])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	struct text name = source->spf_domain.len ? source->spf_domain : source->host_domain;
	uint8_t prefix[16] = { 0 };
	char text[INET6_ADDRSTRLEN];

	if (name.len && name.len < GREYLIST_POOL_LEN) {
		for (unsigned i = 0; i < name.len; i++)
			pool[i] = lower(name.p[i]);
		pool[name.len] = '\0';
		return;
	}
	if (memcmp(source->client, v4, sizeof(v4)) == 0) {
		memcpy(prefix, source->client + 12, 3);
		inet_ntop(AF_INET, prefix, text, sizeof(text));
		snprintf(pool, GREYLIST_POOL_LEN, "%s/24", text);
	} else {
		memcpy(prefix, source->client, 8);
		inet_ntop(AF_INET6, prefix, text, sizeof(text));
		snprintf(pool, GREYLIST_POOL_LEN, "%s/64", text);
	}
}

static uint64_t hash(const uint8_t secret[16], const char *p, size_t len)
{
	uint64_t key = siphash(secret, p, len);

	return key ? key : 1; /* 0 is a free slot */
}

void greylist_key_of(const uint8_t secret[16], uint16_t tenant, struct text pool,
    struct text sender, struct text rcpt, struct greylist_keys *ret_keys)
{
	char text[4 + GREYLIST_POOL_LEN + GREYLIST_SENDER_LEN + GREYLIST_SENDER_LEN];
	size_t n = 0, skip;

	text[n++] = 'p';
	text[n++] = (char)(tenant & 0xff);
	text[n++] = (char)(tenant >> 8);
	for (unsigned i = 0; i < pool.len && i < GREYLIST_POOL_LEN - 1; i++)
		text[n++] = lower(pool.p[i]);
	ret_keys->pool = hash(secret, text, n);
	text[0] = 't';
	text[n++] = '\0';
	n += greylist_sender(sender, text + n);
	text[n++] = '\0';
	skip = rcpt.len > GREYLIST_SENDER_LEN - 1 ? rcpt.len - (GREYLIST_SENDER_LEN - 1) : 0;
	for (size_t i = skip; i < rcpt.len; i++)
		text[n++] = lower(rcpt.p[i]);
	ret_keys->triplet = hash(secret, text, n);
}

void greylist_key(const uint8_t secret[16], const struct greylist_source *source, struct text sender,
    struct text rcpt, struct greylist_keys *ret_keys, char ret_pool[GREYLIST_POOL_LEN])
{
	char own[GREYLIST_POOL_LEN], *pool = ret_pool ? ret_pool : own;

	pool_of(source, pool);
	greylist_key_of(secret, source->tenant, (struct text){ pool, (uint16_t)strlen(pool) },
	    sender, rcpt, ret_keys);
}

/* ---- texts ---- */

static size_t shorter(size_t len, size_t share, size_t *room)
{
	len = len < share + *room ? len : share + *room;
	*room -= len > share ? len - share : 0;
	return len;
}

void grey_note_text(struct grey_note *note, const char *pool, struct text sender, struct text rcpt)
{
	enum { SHARE = (GREY_NOTE_TEXT - 3) / 3 };
	char normal[GREYLIST_SENDER_LEN];
	size_t n_pool = strlen(pool), n_sender = greylist_sender(sender, normal), room = 0, n = 0;
	size_t all = n_pool + n_sender + rcpt.len, k;

	/* what one leaves of its third serves the others */
	room += n_pool < SHARE ? SHARE - n_pool : 0;
	room += n_sender < SHARE ? SHARE - n_sender : 0;
	room += rcpt.len < SHARE ? SHARE - rcpt.len : 0;
	k = shorter(n_pool, SHARE, &room);
	memcpy(note->text, pool + n_pool - k, k); /* the ends of names say more */
	n += k;
	note->text[n++] = '\0';
	k = shorter(n_sender, SHARE, &room);
	memcpy(note->text + n, normal + n_sender - k, k);
	n += k;
	note->text[n++] = '\0';
	k = shorter(rcpt.len, SHARE, &room);
	for (size_t i = rcpt.len - k; i < rcpt.len; i++)
		note->text[n++] = lower(rcpt.p[i]);
	note->text[n++] = '\0';
	note->len = (uint16_t)n;
	note->cut = n != all + 3;
}
