/* SPDX-License-Identifier: BSD-3-Clause */
/* What may stand behind an expression or a meta in a pattern file: name, score, action, flags. */
#include "patterns_private.h"

#include "filters/verdict.h"

#include <ctype.h>
#include <string.h>

enum { SCORE_MAX = 1000 };

bool patterns_number(struct patterns_line *l, const char *text, size_t len, int32_t *ret_hundredths)
{
	int32_t value = 0;
	unsigned digits = 0, decimals = 0;
	bool minus = len > 0 && *text == '-', point = false;

	for (size_t i = minus || (len > 0 && *text == '+') ? 1 : 0; i < len; i++) {
		if (text[i] == '.' && !point) {
			point = true;
		} else if (isdigit((unsigned char)text[i])) {
			if (point && ++decimals > 2)
				continue; /* SpamAssassin writes three: 0.001 is nothing here */
			value = value * 10 + (text[i] - '0');
			digits++;
			if (value > SCORE_MAX * 100)
				break;
		} else {
			digits = 0;
			break;
		}
	}
	for (; digits && decimals < 2; decimals++)
		if (value <= SCORE_MAX * 100)
			value *= 10;
	if (digits == 0 || value > SCORE_MAX * 100)
		return patterns_wrong(l,
		    "\"%.*s\" is no score; allowed: -1000 to 1000, two decimals",
		    (int)(len < 40 ? len : 40), text);
	*ret_hundredths = minus ? -value : value;
	return true;
}

bool patterns_action(struct patterns_line *l, const char *text, size_t len, uint8_t *ret_action)
{
	static const uint8_t allowed[] = { VERDICT_NONE, VERDICT_MARK, VERDICT_GREY, VERDICT_DEFER,
		VERDICT_REFUSE, VERDICT_TARPIT };

	for (unsigned i = 0; i < sizeof(allowed); i++)
		if (patterns_is(text, len, verdict_words[allowed[i]])) {
			*ret_action = allowed[i];
			return true;
		}
	return patterns_wrong(l,
	    "\"%.*s\" is no action; allowed: none, mark, grey, defer, refuse, tarpit",
	    (int)(len < 40 ? len : 40), text);
}

static bool name_good(const char *text, size_t len)
{
	if (len == 0 || len > PATTERN_MAX_NAME || !(isalpha((unsigned char)*text) || *text == '_'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!patterns_is_name(text[i]))
			return false;
	return true;
}

static bool option(struct patterns_line *l, const char *key, size_t n, const char *value,
    size_t len, bool names, uint8_t allowed, struct patterns_given *given)
{
	static const struct {
		const char *word;
		uint8_t flag;
	} flags[] = { { "i", PATTERN_CASELESS }, { "word", PATTERN_WORD },
		{ "confirm", PATTERN_CONFIRM } };

	for (unsigned i = 0; !value && i < sizeof(flags) / sizeof(flags[0]); i++)
		if (patterns_is(key, n, flags[i].word) && (allowed & flags[i].flag)) {
			given->flags |= flags[i].flag;
			return true;
		}
	if (value && names && patterns_is(key, n, "name")) {
		if (!name_good(value, len))
			return patterns_wrong(l,
			    "a name is letters, digits, _ - and . ; at most %d, no digit first",
			    PATTERN_MAX_NAME);
		given->name = value;
		given->name_len = len;
		return given->has_name = true;
	}
	if (value && patterns_is(key, n, "score"))
		return given->has_weight = patterns_number(l, value, len, &given->weight);
	if (value && patterns_is(key, n, "action"))
		return given->has_action = patterns_action(l, value, len, &given->action);
	return patterns_wrong(l, "\"%.*s\" is no option here; allowed: %s%s%s%sscore=N action=WORD",
	    (int)(n < 40 ? n : 40), key, names ? "name=NAME " : "",
	    allowed & PATTERN_CASELESS ? "i " : "", allowed & PATTERN_WORD ? "word " : "",
	    allowed & PATTERN_CONFIRM ? "confirm " : "");
}

bool patterns_options(
    struct patterns_line *l, bool names, uint8_t allowed, struct patterns_given *given)
{
	while (!patterns_done(l)) {
		const char *key = l->at, *value = NULL, *end;

		for (end = key; end < l->end && !patterns_is_blank(*end); end++)
			if (*end == '=' && !value)
				value = end + 1;
		if (!option(l, key, (size_t)((value ? value - 1 : end) - key), value,
			value ? (size_t)(end - value) : 0, names, allowed, given))
			return false;
		l->at = end;
	}
	return true;
}

bool patterns_settle(struct patterns_line *l, uint32_t rule, const struct patterns_given *given)
{
	struct patterns_rule *r = &l->p->rules[rule];

	if (given->has_weight && r->has_weight && r->weight != given->weight)
		return patterns_wrong(
		    l, "%s has another score already (%s:%u)", r->name, r->file, r->line);
	if (given->has_action && r->has_action && r->action != given->action)
		return patterns_wrong(
		    l, "%s has another action already (%s:%u)", r->name, r->file, r->line);
	if (given->has_weight) {
		r->weight = given->weight;
		r->has_weight = true;
	}
	if (given->has_action) {
		r->action = given->action;
		r->has_action = true;
	}
	return true;
}
