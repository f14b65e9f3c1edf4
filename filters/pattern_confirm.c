/* SPDX-License-Identifier: BSD-3-Clause */
/* Confirmation by PCRE2 (pattern_confirm.h). This file alone knows PCRE2. */
#include "pattern_confirm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

const struct confirm_limits confirm_limits_default = { 1000000, 1000, 4096 };

struct confirm_expression {
	pcre2_code *code;
};

struct confirm_room {
	pcre2_match_context *context;
	pcre2_match_data *data;
	struct confirm_counts counts;
	confirm_stop *stop; /* of the match under way */
	void *arg;
	uint32_t steps;
};

static uint32_t options_of(uint8_t flags)
{
	/* Bytes, as Hyperscan has them: no UTF, no locale. AUTO_CALLOUT is how `stop` is asked. */
	uint32_t options =
	    PCRE2_AUTO_CALLOUT | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
	if (flags & PATTERN_CASELESS)
		options |= PCRE2_CASELESS;
	if (flags & PATTERN_DOTALL)
		options |= PCRE2_DOTALL;
	if (flags & PATTERN_MULTILINE)
		options |= PCRE2_MULTILINE;
	if (flags & PATTERN_EXTENDED)
		options |= PCRE2_EXTENDED;
	return options;
}

int confirm_expression_new(const char *source, uint8_t flags,
    struct confirm_expression **ret_expression, char *why, size_t room)
{
	int error = 0, ret = 0;
	PCRE2_SIZE at = 0;
	struct confirm_expression *e = NULL;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (context == NULL)
		return -ENOMEM;
	/* Hyperscan's line end is LF alone. */
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	pcre2_set_bsr(context, PCRE2_BSR_ANYCRLF);
	uint32_t options = options_of(flags);
	pcre2_code *code =
	    pcre2_compile((PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED, options, &error, &at, context);
	if (code == NULL && error == PCRE2_ERROR_PATTERN_TOO_LARGE) {
		/* Callouts take much of its 64 KiB: without them the steps alone are the bound. */
		options &= ~PCRE2_AUTO_CALLOUT;
		code = pcre2_compile(
		    (PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED, options, &error, &at, context);
	}
	if (code == NULL) {
		PCRE2_UCHAR text[120] = "";
		pcre2_get_error_message(error, text, sizeof(text));
		if (why != NULL)
			snprintf(why, room, "%s (at byte %zu)", (const char *)text, (size_t)at);
		ret = error == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL;
		goto out;
	}
	e = malloc(sizeof(*e));
	if (e == NULL) {
		pcre2_code_free(code);
		ret = -ENOMEM;
		goto out;
	}
	e->code = code;
	*ret_expression = e;
out:
	pcre2_compile_context_free(context);
	return ret;
}

struct confirm_expression *confirm_expression_free(struct confirm_expression *e)
{
	if (e != NULL)
		pcre2_code_free(e->code);
	free(e);
	return NULL;
}

static int step(pcre2_callout_block *block, void *arg)
{
	struct confirm_room *room = arg;
	(void)block;
	if (++room->steps % CONFIRM_STRIDE != 0 || room->stop == NULL)
		return 0;
	return room->stop(room->arg) ? PCRE2_ERROR_CALLOUT : 0;
}

int confirm_room_new(const struct confirm_limits *limits, struct confirm_room **ret_room)
{
	struct confirm_room *room = calloc(1, sizeof(*room));
	if (room == NULL)
		return -ENOMEM;
	room->context = pcre2_match_context_create(NULL);
	room->data = pcre2_match_data_create(1, NULL); /* whether, not where */
	if (room->context == NULL || room->data == NULL) {
		confirm_room_free(room);
		return -ENOMEM;
	}
	pcre2_set_match_limit(room->context, limits->steps);
	pcre2_set_depth_limit(room->context, limits->depth);
	pcre2_set_heap_limit(room->context, limits->heap_kib);
	pcre2_set_callout(room->context, step, room);
	*ret_room = room;
	return 0;
}

struct confirm_room *confirm_room_free(struct confirm_room *room)
{
	if (room == NULL)
		return NULL;
	pcre2_match_data_free(room->data);
	pcre2_match_context_free(room->context);
	free(room);
	return NULL;
}

const struct confirm_counts *confirm_counts(const struct confirm_room *room)
{
	return &room->counts;
}

static enum confirm_answer match(const struct confirm_expression *e, struct confirm_room *room,
    const void *text, size_t len, uint32_t options, confirm_stop *stop, void *arg)
{
	enum confirm_answer answer = CONFIRM_COSTLY; /* any error of PCRE2 too */
	room->stop = stop;
	room->arg = arg;
	room->steps = 0;
	int ret = pcre2_match(
	    e->code, len == 0 ? (PCRE2_SPTR) "" : text, len, 0, options, room->data, room->context);
	if (ret >= 0) /* 0: more groups than there is room for, which nobody asks for */
		answer = CONFIRM_YES;
	else if (ret == PCRE2_ERROR_NOMATCH)
		answer = CONFIRM_NO;
	else if (ret == PCRE2_ERROR_PARTIAL)
		answer = CONFIRM_OPEN;
	room->counts.answers[answer]++;
	room->counts.bytes += len;
	return answer;
}

enum confirm_answer confirm_match(const struct confirm_expression *e, struct confirm_room *room,
    const void *text, size_t len, confirm_stop *stop, void *arg)
{
	return match(e, room, text, len, 0, stop, arg);
}

/* PARTIAL_HARD: a match that looked beyond the end, be it by look-ahead or $, is none. */
enum confirm_answer confirm_match_head(const struct confirm_expression *e,
    struct confirm_room *room, const void *text, size_t len, confirm_stop *stop, void *arg)
{
	return match(e, room, text, len, PCRE2_PARTIAL_HARD, stop, arg);
}
