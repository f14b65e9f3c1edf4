/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own replies; see reply.h. */
#include "reply.h"
#include "put.h"

#include "filters/token.h"

#include <string.h>

struct reply_row {
	uint16_t code, len;
	const char *line;
};

/* Whole lines, ready to be written: with the enhanced code, and without where there is none. */
#define LINE(code, enhanced, text) #code " " enhanced " " text "\r\n"
#define SHORT_LINE(code, text)     #code " " text "\r\n"

static const struct reply_row rows[REPLY_N] = {
#define REPLY(name, code, enhanced, text)                                                          \
	[REPLY_##name] = { code,                                                                   \
		sizeof(enhanced) > 1 ? sizeof(LINE(code, enhanced, text)) - 1                      \
				     : sizeof(SHORT_LINE(code, text)) - 1,                         \
		sizeof(enhanced) > 1 ? LINE(code, enhanced, text) : SHORT_LINE(code, text) },
#include "replies.def"
#undef REPLY
};

const char *reply_plain(enum reply reply, size_t *ret_len)
{
	*ret_len = rows[reply].len;
	return rows[reply].line;
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
	struct put to = { buf, buf + REPLY_MAX - 2 };
	char mac[TOKEN_LEN + 1];

	token_make(token->key,
	    &(struct token_fields){
		.reason = (uint8_t)reason,
		.epoch = (uint16_t)token->epoch,
		.minute = (uint32_t)(token->now_ns / 60000000000ull) & 0x3ffffff,
		.session = token->session,
	    },
	    mac);
	/* RFC 2034 section 4: the class of the enhanced code is that of the reply */
	put_number(&to, code);
	PUT_LITERAL(&to, " ");
	put_number(&to, code / 100);
	put_string(&to, enhanced, REPLY_MAX);
	PUT_LITERAL(&to, " ");
	put_string(&to, text, REPLY_MAX);
	PUT_LITERAL(&to, " [");
	put_bytes(&to, mac, TOKEN_LEN);
	PUT_LITERAL(&to, "]");
	if (token->url && token->url[0] && strlen(token->url) + 1 < (size_t)(to.end - to.p)) {
		PUT_LITERAL(&to, " ");
		put_string(&to, token->url, REPLY_MAX);
	}
	memcpy(to.p, "\r\n", 2);
	return (size_t)(to.p - buf) + 2;
}
