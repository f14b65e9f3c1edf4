/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own replies; see reply.h. */
#include "reply.h"

#include "filters/token.h"

#include <stdio.h>
#include <string.h>

struct reply_row {
	uint16_t code;
	const char *enhanced, *text;
};

static const struct reply_row rows[REPLY_N] = {
#define REPLY(name, code, enhanced, text) [REPLY_##name] = { code, enhanced, text },
#include "replies.def"
#undef REPLY
};

size_t reply_plain(char buf[REPLY_MAX], enum reply reply)
{
	const struct reply_row *r = &rows[reply];

	return (size_t)snprintf(buf, REPLY_MAX, "%u %s%s%s\r\n", r->code, r->enhanced,
	    r->enhanced[0] ? " " : "", r->text);
}

uint16_t reply_plain_code(enum reply reply)
{
	return rows[reply].code;
}

unsigned reply_code(enum verdict_kind kind, enum reason reason, enum phase phase)
{
	unsigned code = reason_infos[reason].code;

	if (kind == VERDICT_DEFER || kind == VERDICT_GREY) {
		if (code / 100 != 4)
			code = phase == PHASE_CONNECT ? 421 : kind == VERDICT_GREY ? 450 : 451;
	} else if (code == 0) {
		code = phase == PHASE_CONNECT ? 521 : 550;
	}
	if (code == 521 && phase != PHASE_CONNECT && reason != REASON_BARE_NEWLINE_CUT)
		code = 550;
	if (phase == PHASE_CONNECT && code != 521 && code != 421)
		code = code / 100 == 4 ? 421
				       : 521; /* a greeting knows no other (RFC 5321 3.1, 7504) */
	return code;
}

size_t reply_reason(
    char buf[REPLY_MAX], unsigned code, enum reason reason, const struct reply_token *token)
{
	const struct reason_info *info = &reason_infos[reason];
	const char *enhanced = info->enhanced[0] ? info->enhanced + 1 : ".7.1";
	const char *text = info->text[0] ? info->text : "Not accepted";
	char mac[TOKEN_LEN + 1];
	int n;

	token_make(token->key,
	    &(struct token_fields){
		.reason = (uint8_t)reason,
		.epoch = (uint16_t)token->epoch,
		.minute = (uint32_t)(token->now_ns / 60000000000ull) & 0x3ffffff,
		.session = token->session,
	    },
	    mac);
	/* RFC 2034 section 4: the class of the enhanced code is that of the reply */
	n = snprintf(buf, REPLY_MAX, "%u %u%s %s [%s]", code, code / 100, enhanced, text, mac);
	if (token->url && token->url[0] && (size_t)n + 1 + strlen(token->url) + 2 < REPLY_MAX)
		n += snprintf(buf + n, REPLY_MAX - (size_t)n, " %s", token->url);
	memcpy(buf + n, "\r\n", 3);
	return (size_t)n + 2;
}
