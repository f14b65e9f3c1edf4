/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Command lines to values: verb, argument, path, ESMTP parameters. One pass over the line, texts
 * that point into it, nothing copied, so that what is passed on is byte for byte what came.
 * A generated parser (Ragel and the like) was rejected: the grammar is a few words long and its
 * tolerances are easier to read here.
 */
#include "smtp_path.h"

#include <string.h>
#include <strings.h>

const char *const smtp_verb_words[SMTP_N_VERBS] = {
	[SMTP_UNKNOWN] = "UNKNOWN",
	[SMTP_EHLO] = "EHLO",
	[SMTP_HELO] = "HELO",
	[SMTP_MAIL] = "MAIL",
	[SMTP_RCPT] = "RCPT",
	[SMTP_DATA] = "DATA",
	[SMTP_BDAT] = "BDAT",
	[SMTP_RSET] = "RSET",
	[SMTP_NOOP] = "NOOP",
	[SMTP_QUIT] = "QUIT",
	[SMTP_VRFY] = "VRFY",
	[SMTP_EXPN] = "EXPN",
	[SMTP_HELP] = "HELP",
	[SMTP_STARTTLS] = "STARTTLS",
	[SMTP_AUTH] = "AUTH",
	[SMTP_ETRN] = "ETRN",
	[SMTP_HTTP] = "HTTP",
};

/* Up to eight letters as one number, so that a verb is found by one switch. */
#define WORD(a, b, c, d, e, f, g, h)                                                               \
	((uint64_t)(a) << 56 | (uint64_t)(b) << 48 | (uint64_t)(c) << 40 | (uint64_t)(d) << 32 |   \
	    (uint64_t)(e) << 24 | (uint64_t)(f) << 16 | (uint64_t)(g) << 8 | (uint64_t)(h))
#define WORD4(a, b, c, d) WORD(0, 0, 0, 0, a, b, c, d)

static enum smtp_verb find_verb(const char *p, size_t len)
{
	uint64_t word = 0;

	if (len < 3 || len > 8)
		return SMTP_UNKNOWN;
	for (size_t i = 0; i < len; i++) {
		uint8_t upper = (uint8_t)p[i] & 0xdf;

		if (upper < 'A' || upper > 'Z')
			return SMTP_UNKNOWN;
		word = word << 8 | upper;
	}
	switch (word) {
	case WORD4('E', 'H', 'L', 'O'): return SMTP_EHLO;
	case WORD4('H', 'E', 'L', 'O'): return SMTP_HELO;
	case WORD4('M', 'A', 'I', 'L'): return SMTP_MAIL;
	case WORD4('R', 'C', 'P', 'T'): return SMTP_RCPT;
	case WORD4('D', 'A', 'T', 'A'): return SMTP_DATA;
	case WORD4('B', 'D', 'A', 'T'): return SMTP_BDAT;
	case WORD4('R', 'S', 'E', 'T'): return SMTP_RSET;
	case WORD4('N', 'O', 'O', 'P'): return SMTP_NOOP;
	case WORD4('Q', 'U', 'I', 'T'): return SMTP_QUIT;
	case WORD4('V', 'R', 'F', 'Y'): return SMTP_VRFY;
	case WORD4('E', 'X', 'P', 'N'): return SMTP_EXPN;
	case WORD4('H', 'E', 'L', 'P'): return SMTP_HELP;
	case WORD4('A', 'U', 'T', 'H'): return SMTP_AUTH;
	case WORD4('E', 'T', 'R', 'N'): return SMTP_ETRN;
	case WORD('S', 'T', 'A', 'R', 'T', 'T', 'L', 'S'): return SMTP_STARTTLS;
	case WORD4(0, 'G', 'E', 'T'):
	case WORD4(0, 'P', 'U', 'T'):
	case WORD4(0, 'P', 'R', 'I'): /* preface of HTTP/2 */
	case WORD4('P', 'O', 'S', 'T'):
	case WORD4('H', 'E', 'A', 'D'):
	case WORD(0, 0, 0, 'T', 'R', 'A', 'C', 'E'):
	case WORD(0, 0, 0, 'P', 'A', 'T', 'C', 'H'):
	case WORD(0, 0, 'D', 'E', 'L', 'E', 'T', 'E'):
	case WORD(0, 'C', 'O', 'N', 'N', 'E', 'C', 'T'):
	case WORD(0, 'O', 'P', 'T', 'I', 'O', 'N', 'S'): return SMTP_HTTP;
	default: return SMTP_UNKNOWN;
	}
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct text skip_spaces(struct text t)
{
	while (t.len && is_space(*t.p))
		t.p++, t.len--;
	return t;
}

/* The word up to the next space; `rest` is what follows the spaces. */
static struct text take_word(struct text t, struct text *ret_rest)
{
	struct text word = { t.p, 0 };

	while (word.len < t.len && !is_space(t.p[word.len]))
		word.len++;
	*ret_rest = skip_spaces((struct text){ t.p + word.len, (uint16_t)(t.len - word.len) });
	return word;
}

static bool equals(struct text t, const char *word)
{
	size_t len = strlen(word);

	return t.len == len && strncasecmp(t.p, word, len) == 0;
}

/* False: not 1 to 20 digits. Beyond 64 bits the largest number stands in (it is over any limit). */
static bool take_number(struct text t, uint64_t *ret_number, bool *ret_overflow)
{
	uint64_t n = 0;
	bool overflow = false;

	if (t.len == 0 || t.len > 20)
		return false;
	for (unsigned i = 0; i < t.len; i++) {
		uint64_t digit = (uint64_t)(uint8_t)t.p[i] - '0';

		if (digit > 9)
			return false;
		if (n > (UINT64_MAX - digit) / 10)
			overflow = true;
		n = n * 10 + digit;
	}
	*ret_number = overflow ? UINT64_MAX : n;
	*ret_overflow = overflow;
	return true;
}

/* A domain or address literal as written. Any printable word will do: a strange name scores, it
 * does not refuse (P16). */
static bool is_hello_name(struct text t)
{
	if (t.len == 0 || t.len > SMTP_DOMAIN_MAX)
		return false;
	for (unsigned i = 0; i < t.len; i++) {
		if ((uint8_t)t.p[i] <= ' ' || t.p[i] == 0x7f)
			return false;
	}
	return true;
}

/* NOTIFY=NEVER or a list of the three others (RFC 3461 4.1). */
static bool is_notify(struct text t)
{
	if (equals(t, "NEVER"))
		return true;
	for (;;) {
		struct text item = { t.p, 0 };

		while (item.len < t.len && t.p[item.len] != ',')
			item.len++;
		if (!equals(item, "SUCCESS") && !equals(item, "FAILURE") && !equals(item, "DELAY"))
			return false;
		if (item.len == t.len)
			return true;
		t.p += item.len + 1;
		t.len -= item.len + 1;
	}
}

/* addr-type ";" xtext (RFC 3461 4.2). */
static bool is_orcpt(struct text t)
{
	const char *semicolon = memchr(t.p, ';', t.len);

	return semicolon && semicolon > t.p && semicolon + 1 < t.p + t.len;
}

/* False: malformed or given twice. Unknown words are remembered in c->unknown_param. */
static bool mail_param(struct smtp_command *c, struct text key, struct text value)
{
	bool overflow;

	if (equals(key, "SIZE")) {
		if (c->has_size)
			return false;
		c->has_size = true;
		return take_number(value, &c->size, &overflow);
	}
	if (equals(key, "BODY")) {
		if (c->body != SMTP_BODY_NONE)
			return false;
		if (equals(value, "7BIT"))
			c->body = SMTP_BODY_7BIT;
		else if (equals(value, "8BITMIME"))
			c->body = SMTP_BODY_8BITMIME;
		else if (equals(value, "BINARYMIME"))
			c->body = SMTP_BODY_BINARYMIME;
		return c->body != SMTP_BODY_NONE;
	}
	if (equals(key, "SMTPUTF8")) {
		if (c->smtputf8 || value.p)
			return false;
		c->smtputf8 = true;
		return true;
	}
	if (equals(key, "RET")) {
		if (c->ret.p)
			return false;
		c->ret = value;
		return equals(value, "FULL") || equals(value, "HDRS");
	}
	if (equals(key, "ENVID")) {
		if (c->envid.p)
			return false;
		c->envid = value;
		return value.len > 0;
	}
	c->unknown_param = true;
	return true;
}

static bool rcpt_param(struct smtp_command *c, struct text key, struct text value)
{
	if (equals(key, "NOTIFY")) {
		if (c->notify.p)
			return false;
		c->notify = value;
		return value.len && is_notify(value);
	}
	if (equals(key, "ORCPT")) {
		if (c->orcpt.p)
			return false;
		c->orcpt = value;
		return value.len && is_orcpt(value);
	}
	c->unknown_param = true;
	return true;
}

/* keyword[=value] (RFC 5321 4.1.2). An = inside a value is let through: senders forget to encode
 * it in ORCPT. */
static bool split_param(struct text param, struct text *ret_key, struct text *ret_value)
{
	struct text key = { param.p, 0 }, value = { NULL, 0 };

	while (key.len < param.len && param.p[key.len] != '=') {
		char c = param.p[key.len];
		uint8_t upper = (uint8_t)c & 0xdf;

		if (!(upper >= 'A' && upper <= 'Z') && !(c >= '0' && c <= '9') &&
		    !(c == '-' && key.len))
			return false;
		key.len++;
	}
	if (key.len == 0)
		return false;
	if (key.len < param.len) {
		value = (struct text){ param.p + key.len + 1, (uint16_t)(param.len - key.len - 1) };
		if (value.len == 0)
			return false;
	}
	for (unsigned i = 0; i < value.len; i++) {
		if ((uint8_t)value.p[i] <= ' ' || value.p[i] == 0x7f)
			return false;
	}
	*ret_key = key;
	*ret_value = value;
	return true;
}

static enum smtp_syntax parse_path_command(struct smtp_command *c, const char *word)
{
	size_t word_len = strlen(word), used;
	struct text rest = c->argument;

	if (rest.len < word_len || strncasecmp(rest.p, word, word_len) != 0)
		return SMTP_SYNTAX_ARGUMENT;
	rest = skip_spaces((struct text){ rest.p + word_len, (uint16_t)(rest.len - word_len) });

	enum smtp_syntax syntax = smtp_path_take(rest, &c->path, &used);

	if (syntax != SMTP_SYNTAX_OK)
		return syntax;
	if (c->path.whole.len == 0 && c->verb == SMTP_RCPT)
		return SMTP_SYNTAX_PATH; /* <> is no recipient */
	rest.p += used;
	rest.len -= (uint16_t)used;
	if (rest.len && !is_space(*rest.p))
		return SMTP_SYNTAX_PATH;
	rest = skip_spaces(rest);
	c->params = rest;

	while (rest.len) {
		struct text key, value, param = take_word(rest, &rest);

		if (!split_param(param, &key, &value))
			return SMTP_SYNTAX_PARAM;
		if (!(c->verb == SMTP_MAIL ? mail_param : rcpt_param)(c, key, value))
			return SMTP_SYNTAX_PARAM;
	}
	return c->unknown_param ? SMTP_SYNTAX_PARAM : SMTP_SYNTAX_OK;
}

/* BDAT chunk-size [LAST] (RFC 3030 2). A size beyond 64 bits cannot be skipped: syntax error. */
static enum smtp_syntax parse_bdat(struct smtp_command *c)
{
	struct text rest, size = take_word(c->argument, &rest);
	bool overflow;

	if (!take_number(size, &c->chunk_size, &overflow) || overflow)
		return SMTP_SYNTAX_ARGUMENT;
	if (rest.len && !equals(rest, "LAST"))
		return SMTP_SYNTAX_ARGUMENT;
	c->chunk_last = rest.len > 0;
	return SMTP_SYNTAX_OK;
}

enum smtp_syntax smtp_parse(struct text line, struct smtp_command *ret_command)
{
	struct smtp_command *c = ret_command;
	struct text rest;

	*c = (struct smtp_command){ .verb = SMTP_UNKNOWN };
	while (line.len && is_space(line.p[line.len - 1]))
		line.len--;

	struct text verb = take_word(line, &rest);

	c->verb = find_verb(verb.p, verb.len);
	c->argument = rest;
	switch (c->verb) {
	case SMTP_UNKNOWN:
	case SMTP_HTTP: return SMTP_SYNTAX_UNKNOWN;
	case SMTP_EHLO:
	case SMTP_HELO: return is_hello_name(rest) ? SMTP_SYNTAX_OK : SMTP_SYNTAX_ARGUMENT;
	case SMTP_MAIL: return parse_path_command(c, "FROM:");
	case SMTP_RCPT: return parse_path_command(c, "TO:");
	case SMTP_BDAT: return parse_bdat(c);
	case SMTP_DATA:
	case SMTP_RSET:
	case SMTP_QUIT:
	case SMTP_STARTTLS: return rest.len ? SMTP_SYNTAX_ARGUMENT : SMTP_SYNTAX_OK;
	case SMTP_VRFY:
	case SMTP_EXPN:
	case SMTP_AUTH:
	case SMTP_ETRN: return rest.len ? SMTP_SYNTAX_OK : SMTP_SYNTAX_ARGUMENT;
	default: return SMTP_SYNTAX_OK; /* NOOP and HELP take any argument */
	}
}
