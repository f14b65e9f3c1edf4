/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a record (RFC 7208 4.6, 12). Any syntax error anywhere is a permerror, so the whole record
 * is read before anything is asked; and since the client is known by then, only what needs DNS is
 * kept: an ip4 that does not match is nothing, one that does ends the list. A provider's record of
 * thirty networks becomes a few bytes, which is what lets ten nested records fit fixed memory.
 * Rejected: keeping the text and reading it again at each step.
 */
#include "spf_record.h"

#include "spf.h"
#include "spf_macro.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum args {
	ARGS_NONE,
	ARGS_SPEC /* must */,
	ARGS_MAYBE_SPEC,
	ARGS_MAYBE_SPEC_CIDR,
	ARGS_IP4,
	ARGS_IP6
};

static const struct mechanism {
	const char *name;
	uint8_t kind, args;
} mechanisms[] = {
	{ "all", SPF_TERM_MATCH, ARGS_NONE },
	{ "include", SPF_TERM_INCLUDE, ARGS_SPEC },
	{ "a", SPF_TERM_A, ARGS_MAYBE_SPEC_CIDR },
	{ "mx", SPF_TERM_MX, ARGS_MAYBE_SPEC_CIDR },
	{ "ptr", SPF_TERM_PTR, ARGS_MAYBE_SPEC },
	{ "ip4", SPF_TERM_MATCH, ARGS_IP4 },
	{ "ip6", SPF_TERM_MATCH, ARGS_IP6 },
	{ "exists", SPF_TERM_EXISTS, ARGS_SPEC },
};

struct compiler {
	const uint8_t *client;
	bool v4, full;
	uint8_t *out;
	uint16_t room, len;
	bool settled;    /* a term matched for sure: what follows is only checked */
	unsigned n_asks; /* terms kept that ask */
	struct text redirect, exp;
	bool has_redirect, has_exp;
};

static bool is_word(struct text t, const char *word)
{
	return t.len == strlen(word) && strncasecmp(t.p, word, t.len) == 0;
}

static struct text from(struct text t, unsigned at)
{
	return (struct text){ t.p + at, (uint16_t)(t.len - at) };
}

int spf_select(const struct text *records, unsigned n_records, struct text *ret_record)
{
	static const struct text version = { "v=spf1", 6 };
	int found = -ENOENT;

	for (unsigned i = 0; i < n_records; i++) {
		struct text r = records[i];

		if (r.len < version.len || strncasecmp(r.p, version.p, version.len) != 0 ||
		    (r.len > version.len && r.p[version.len] != ' '))
			continue;
		if (found == 0)
			return -EEXIST;
		*ret_record = from(r, version.len);
		found = 0;
	}
	return found;
}

bool spf_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	return memcmp(a, b, bits / 8) == 0 &&
	       (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0);
}

/* Takes `slashes` and digits from the end of `t`. 0, also when there are none; -EINVAL: not up to
 * `max`, or with a zero before it. */
static int take_bits(struct text *t, unsigned slashes, unsigned max, uint8_t *bits)
{
	unsigned at = t->len, value = 0;

	while (at > 0 && t->p[at - 1] >= '0' && t->p[at - 1] <= '9')
		at--;
	if (at == t->len || at < slashes || memcmp(t->p + at - slashes, "//", slashes) != 0)
		return 0;
	if (t->len - at > 3 || (t->len - at > 1 && t->p[at] == '0'))
		return -EINVAL;
	for (unsigned i = at; i < t->len; i++)
		value = value * 10 + (unsigned)(t->p[i] - '0');
	if (value > max)
		return -EINVAL;
	*bits = (uint8_t)value;
	t->len = (uint16_t)(at - slashes);
	return 0;
}

/* inet_pton() takes terminated strings, and for IPv4 exactly what RFC 7208 5.6 writes. */
static int parse_network(struct text t, int family, uint8_t ret_address[16])
{
	char text[INET6_ADDRSTRLEN];

	if (t.len == 0 || t.len >= sizeof(text) || memchr(t.p, 0, t.len))
		return -EINVAL;
	memcpy(text, t.p, t.len);
	text[t.len] = 0;
	return inet_pton(family, text, ret_address) == 1 ? 0 : -EINVAL;
}

static void keep(struct compiler *c, const void *bytes, uint16_t len)
{
	if (len > c->room - c->len) {
		c->full = true;
		return;
	}
	if (len)
		memcpy(c->out + c->len, bytes, len);
	c->len = (uint16_t)(c->len + len);
}

static void keep_term(struct compiler *c, const struct spf_term *t)
{
	uint8_t header[SPF_TERM_HEADER] = { t->kind, t->result, t->bits4, t->bits6, t->uses_p,
		(uint8_t)(t->spec.len >> 8), (uint8_t)t->spec.len };

	/* The term beyond the limit is a permerror when it is reached; none behind it ever is. */
	if (c->settled || c->n_asks > SPF_LOOKUPS_MAX)
		return;
	if (t->kind == SPF_TERM_MATCH)
		c->settled = true;
	else
		c->n_asks++;
	keep(c, header, sizeof(header));
	keep(c, t->spec.p, t->spec.len);
}

uint16_t spf_term_read(const uint8_t *terms, uint16_t at, struct spf_term *ret_term)
{
	const uint8_t *h = terms + at;
	uint16_t len = (uint16_t)(h[5] << 8 | h[6]);

	*ret_term = (struct spf_term){ h[0], h[1], h[2], h[3], h[4],
		{ (const char *)h + SPF_TERM_HEADER, len } };
	return (uint16_t)(at + SPF_TERM_HEADER + len);
}

/* `rest`: what follows the name. */
static int parse_args(
    struct compiler *c, const struct mechanism *m, struct text rest, struct spf_term *t)
{
	uint8_t address[16], bits;

	switch (m->args) {
	case ARGS_NONE: return rest.len ? -EINVAL : 0;
	case ARGS_IP4:
	case ARGS_IP6: {
		bool v4 = m->args == ARGS_IP4;

		bits = v4 ? 32 : 128;
		if (rest.len < 2 || rest.p[0] != ':' || take_bits(&rest, 1, bits, &bits) ||
		    parse_network(from(rest, 1), v4 ? AF_INET : AF_INET6, address))
			return -EINVAL;
		if (v4 != c->v4 || !spf_prefix_equal(address, c->client + (v4 ? 12 : 0), bits))
			return 1; /* right, and nothing to do */
		return 0;
	}
	case ARGS_MAYBE_SPEC_CIDR:
		if (take_bits(&rest, 2, 128, &t->bits6) || take_bits(&rest, 1, 32, &t->bits4))
			return -EINVAL;
		break;
	default: break;
	}
	if (rest.len == 0)
		return m->args == ARGS_SPEC ? -EINVAL : 0;
	if (rest.p[0] != ':')
		return -EINVAL;
	t->spec = from(rest, 1);
	return spf_macro_check(t->spec, SPF_SPEC_DOMAIN, &t->uses_p);
}

static int parse_mechanism(struct compiler *c, uint8_t result, struct text name, struct text rest)
{
	struct spf_term t = { .result = result, .bits4 = 32, .bits6 = 128 };

	for (unsigned i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++) {
		if (!is_word(name, mechanisms[i].name))
			continue;
		t.kind = mechanisms[i].kind;
		int r = parse_args(c, &mechanisms[i], rest, &t);

		if (r == 0)
			keep_term(c, &t);
		return r < 0 ? r : 0;
	}
	return -EINVAL;
}

static int parse_modifier(struct compiler *c, struct text name, struct text value)
{
	bool redirect = is_word(name, "redirect"), exp = is_word(name, "exp"), uses_p;

	if (!redirect && !exp)
		return spf_macro_check(value, SPF_SPEC_STRING, &uses_p);
	if (redirect ? c->has_redirect : c->has_exp)
		return -EINVAL; /* 6: at most once each */
	if (redirect) {
		c->has_redirect = true;
		c->redirect = value;
	} else {
		c->has_exp = true;
		c->exp = value;
	}
	return spf_macro_check(value, SPF_SPEC_DOMAIN, &uses_p);
}

static int parse_term(struct compiler *c, struct text t)
{
	static const char qualifiers[] = "+-?~";
	static const uint8_t results[] = { SPF_PASS, SPF_FAIL, SPF_NEUTRAL, SPF_SOFTFAIL };
	const char *q = t.p[0] ? strchr(qualifiers, t.p[0]) : NULL;
	struct text name, rest;

	if (q)
		t = from(t, 1);
	name = (struct text){ t.p, 0 };
	while (name.len < t.len) {
		char ch = t.p[name.len];
		bool alpha = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
		bool more = (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.';

		if (!alpha && !(more && name.len))
			break;
		name.len++;
	}
	rest = from(t, name.len);
	if (name.len == 0)
		return -EINVAL;
	if (rest.len && rest.p[0] == '=')
		return q ? -EINVAL : parse_modifier(c, name, from(rest, 1));
	return parse_mechanism(c, q ? results[q - qualifiers] : SPF_PASS, name, rest);
}

int spf_compile(struct text record, const uint8_t client[16], bool v4, bool want_exp, uint8_t *out,
    uint16_t room, struct spf_program *ret_program)
{
	struct compiler c = { .client = client, .v4 = v4, .out = out, .room = room };
	struct spf_program program = { 0 };

	for (unsigned at = 0; at < record.len;) {
		unsigned end = at;

		if (record.p[at] == ' ') {
			at++;
			continue;
		}
		while (end < record.len && record.p[end] != ' ')
			end++;
		int r = parse_term(&c, (struct text){ record.p + at, (uint16_t)(end - at) });

		if (r < 0)
			return r;
		at = end;
	}
	program.terms_len = c.len;
	if (!c.settled) { /* 6.1: nothing after `all`, and here nothing after a sure match */
		program.redirect = c.len;
		program.redirect_len = c.redirect.len;
		keep(&c, c.redirect.p, c.redirect.len);
	}
	if (want_exp) {
		program.exp = c.len;
		program.exp_len = c.exp.len;
		keep(&c, c.exp.p, c.exp.len);
	}
	if (c.full)
		return -ENOBUFS;
	program.len = c.len;
	*ret_program = program;
	return 0;
}
