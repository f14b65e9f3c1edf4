/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Macro strings. Syntax is checked once, when a record is read; expansion then only meets what has
 * passed. An expansion may be far longer than a name, and of a name only the right end counts, so a
 * name is written from its right end to its left until it is full: a record of nothing but %{S}, with
 * the longest of senders, costs no more than one of plain text. Rejected: writing all of it into a
 * window that forgets its left; a hundred times the work in the hostile case.
 */
#include "spf_macro.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	VALUE_MAX = SPF_LOCAL_MAX + 1 + 256, /* the longest is s */
	NAME_MAX_LEN = 253,
	TAIL = 256, /* kept of a name: with the byte before the cut, and a final dot */
};

/* One "%{" ... "}", taken apart. */
struct macro {
	char letter; /* lower case */
	bool escaped /* was upper case */, reversed;
	uint16_t parts;     /* 0: all */
	struct text delims; /* empty: a dot */
};

struct out {
	char *p;
	uint16_t room, len;
	bool cut;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* `at`: behind "%{". Returns where it ends, behind "}"; 0 if it is none. */
static unsigned parse_macro(struct text t, unsigned at, struct macro *ret)
{
	struct macro m = { 0 };
	bool number = false;

	if (at >= t.len || !is_alpha(t.p[at]))
		return 0;
	m.letter = lower(t.p[at]);
	m.escaped = m.letter != t.p[at];
	for (at++; at < t.len && is_digit(t.p[at]); at++) {
		number = true;
		if (m.parts < VALUE_MAX)
			m.parts = (uint16_t)(m.parts * 10 + (t.p[at] - '0'));
	}
	if (number && m.parts == 0)
		return 0;
	if (at < t.len && lower(t.p[at]) == 'r') {
		m.reversed = true;
		at++;
	}
	m.delims.p = t.p + at;
	for (; at < t.len && t.p[at] && strchr(".-+,/_=", t.p[at]); at++)
		m.delims.len++;
	if (at >= t.len || t.p[at] != '}')
		return 0;
	*ret = m;
	return at + 1;
}

/* A literal end of a domain-spec: "." toplabel [ "." ] (7.1). */
static bool ends_in_toplabel(struct text t)
{
	unsigned start;
	bool letters = false;

	if (t.len && t.p[t.len - 1] == '.')
		t.len--;
	for (start = t.len; start > 0 && t.p[start - 1] != '.'; start--) {
		char c = t.p[start - 1];

		if (!is_alpha(c) && !is_digit(c) && c != '-')
			return false;
		letters = letters || !is_digit(c);
	}
	return start > 0 && start < t.len && letters && t.p[start] != '-' && t.p[t.len - 1] != '-';
}

int spf_macro_check(struct text spec, enum spf_spec kind, bool *ret_uses_p)
{
	unsigned literal = 0; /* where the last literal piece starts */
	bool uses_p = false;

	if (kind == SPF_SPEC_DOMAIN && spec.len > SPF_SPEC_MAX)
		return -EINVAL;
	for (unsigned at = 0; at < spec.len;) {
		uint8_t c = (uint8_t)spec.p[at++];
		struct macro m;

		if (c != '%') {
			if ((c <= ' ' && !(c == ' ' && kind == SPF_SPEC_EXPLAIN)) || c > '~')
				return -EINVAL;
			continue;
		}
		if (at >= spec.len)
			return -EINVAL;
		c = (uint8_t)spec.p[at++];
		if (c == '{') {
			at = parse_macro(spec, at, &m);
			if (at == 0 || !strchr("slodiphvcrt", m.letter))
				return -EINVAL;
			if (kind == SPF_SPEC_DOMAIN && strchr("crt", m.letter))
				return -EINVAL; /* 7.2: in explanations only */
			uses_p = uses_p || m.letter == 'p';
		} else if (c != '%' && c != '_' && c != '-') {
			return -EINVAL;
		}
		literal = at;
	}
	/* A spec that ends with a macro is right; else its last literal piece decides. */
	if (kind == SPF_SPEC_DOMAIN && (spec.len == 0 || literal < spec.len) &&
	    !ends_in_toplabel((struct text){ spec.p + literal, (uint16_t)(spec.len - literal) }))
		return -EINVAL;
	*ret_uses_p = uses_p;
	return 0;
}

static void put(struct out *o, char c)
{
	if (o->len == o->room)
		o->cut = true;
	else
		o->p[o->len++] = c;
}

static void put_part(struct out *o, const char *p, unsigned len, bool escaped)
{
	static const char hex[] = "0123456789ABCDEF";

	for (unsigned i = 0; i < len; i++) {
		uint8_t c = (uint8_t)p[i];

		/* RFC 3986 2.3: unreserved */
		if (!escaped || is_alpha((char)c) || is_digit((char)c) || (c && strchr("-._~", c))) {
			put(o, (char)c);
		} else {
			put(o, '%');
			put(o, hex[c >> 4]);
			put(o, hex[c & 15]);
		}
	}
}

static unsigned add(char *value, unsigned len, struct text t)
{
	unsigned n = t.len < VALUE_MAX - len ? t.len : VALUE_MAX - len;

	if (n)
		memcpy(value + len, t.p, n);
	return len + n;
}

/* Dotted: four numbers, or 32 nibbles (7.3). */
static unsigned dotted(const struct spf_vars *v, char value[VALUE_MAX])
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned len = 0;

	if (v->v4)
		return (unsigned)snprintf(value, VALUE_MAX, "%u.%u.%u.%u", v->client[12],
		    v->client[13], v->client[14], v->client[15]);
	for (unsigned i = 0; i < 32; i++) {
		if (i)
			value[len++] = '.';
		value[len++] = hex[v->client[i / 2] >> (i % 2 ? 0 : 4) & 15];
	}
	return len;
}

static unsigned value_of(const struct spf_vars *v, char letter, char value[VALUE_MAX])
{
	static const struct text at = { "@", 1 }, unknown = { "unknown", 7 };

	switch (letter) {
	case 's': return add(value, add(value, add(value, 0, v->local), at), v->sender_domain);
	case 'l': return add(value, 0, v->local);
	case 'o': return add(value, 0, v->sender_domain);
	case 'd': return add(value, 0, v->domain);
	case 'h': return add(value, 0, v->helo);
	case 'r': return add(value, 0, v->receiver.len ? v->receiver : unknown);
	case 'p': return add(value, 0, v->validated.len ? v->validated : unknown);
	case 'i': return dotted(v, value);
	case 'v': return add(value, 0, (struct text){ v->v4 ? "in-addr" : "ip6", v->v4 ? 7 : 3 });
	case 't': return (unsigned)snprintf(value, VALUE_MAX, "%llu", (unsigned long long)v->now_s);
	case 'c':
		if (v->v4)
			return dotted(v, value);
		inet_ntop(AF_INET6, v->client, value, VALUE_MAX);
		return (unsigned)strlen(value);
	default: return 0;
	}
}

static void put_macro(struct out *o, const struct spf_vars *vars, const struct macro *m)
{
	char value[VALUE_MAX];
	uint16_t starts[VALUE_MAX + 2]; /* of the parts, and one behind the last */
	unsigned len = value_of(vars, m->letter, value), n = 0, first, want;

	starts[n++] = 0;
	for (unsigned i = 0; i < len; i++) {
		bool delim = m->delims.len ? memchr(m->delims.p, value[i], m->delims.len) != NULL
					   : value[i] == '.';

		if (delim)
			starts[n++] = (uint16_t)(i + 1);
	}
	starts[n] = (uint16_t)(len + 1);
	/* Reversed first, then so many of the right end (7.3). */
	want = m->parts && m->parts < n ? m->parts : n;
	first = n - want;
	for (unsigned i = first; i < n; i++) {
		unsigned k = m->reversed ? n - 1 - i : i;

		if (i > first)
			put(o, '.');
		put_part(
		    o, value + starts[k], (unsigned)(starts[k + 1] - 1 - starts[k]), m->escaped);
	}
}

/* One byte, or one of the forms that begin with %. Returns where the next one is. */
static unsigned put_token(struct out *o, const struct spf_vars *vars, struct text spec, unsigned at)
{
	char c = spec.p[at++];
	struct macro m;

	if (c != '%' || at == spec.len) {
		put(o, c);
		return at;
	}
	c = spec.p[at++];
	if (c == '%') {
		put(o, '%');
	} else if (c == '_') {
		put(o, ' ');
	} else if (c == '-') {
		put_part(o, " ", 1, true);
	} else {
		at = parse_macro(spec, at, &m);
		if (at == 0)
			return spec.len; /* never checked */
		put_macro(o, vars, &m);
	}
	return at;
}

/* Where the tokens of a checked spec begin. */
static unsigned split(struct text spec, uint16_t starts[SPF_SPEC_MAX])
{
	unsigned n = 0;

	for (unsigned at = 0; at < spec.len && n < SPF_SPEC_MAX;) {
		struct macro m;
		bool percent = spec.p[at] == '%' && at + 1 < spec.len;

		starts[n++] = (uint16_t)at;
		if (!percent)
			at++;
		else if (spec.p[at + 1] != '{')
			at += 2;
		else
			at = parse_macro(spec, at + 2, &m);
		if (at == 0)
			break;
	}
	return n;
}

uint16_t spf_macro_name(const struct spf_vars *vars, struct text spec, char ret_name[256])
{
	char token[3 * VALUE_MAX], tail[TAIL];
	uint16_t starts[SPF_SPEC_MAX];
	unsigned start = TAIL, end = TAIL;

	for (unsigned i = split(spec, starts); i > 0 && start > 0; i--) {
		struct out o = { .p = token, .room = sizeof(token) };
		unsigned n;

		put_token(&o, vars, spec, starts[i - 1]);
		n = o.len < start ? o.len : start;
		start -= n;
		memcpy(tail + start, token + o.len - n, n);
	}
	if (start < end && tail[end - 1] == '.')
		end--;
	if (end - start > NAME_MAX_LEN) {
		/* Whole labels go. Where not one is left whole, the rest is no name anyway. */
		start = end - NAME_MAX_LEN;
		while (start < end && tail[start - 1] != '.')
			start++;
	}
	memcpy(ret_name, tail + start, end - start);
	return (uint16_t)(end - start);
}

int spf_macro_text(
    const struct spf_vars *vars, struct text spec, char *ret_text, uint16_t room, uint16_t *ret_len)
{
	struct out o = { .p = ret_text, .room = room };

	for (unsigned at = 0; at < spec.len && !o.cut;)
		at = put_token(&o, vars, spec, at);
	if (o.cut)
		return -E2BIG;
	*ret_len = o.len;
	return 0;
}
