/* SPDX-License-Identifier: BSD-3-Clause */
/* See rules.h. */
#include "rules.h"

const struct rule_row rule_rows[RULES] = {
	[RULE_SUBJECT] = { "SUBJECT", "subject", "win the lottery", "i", 150, 0 },
	[RULE_FROM] = { "FROM", "header:From", "@bad\\.example", "", 100, 0 },
	[RULE_FOLDED] = { "FOLDED", "header", "^X-Odd: .*\\r\\n\\tfolded", "m", 50, 0 },
	[RULE_BODY] = { "BODY", "body", "jackpot", "", 100, 0 },
	[RULE_ACROSS] = { "ACROSS", "body", "open.{0,40}sesame", "s", 120, 0 },
	[RULE_TEXT] = { "TEXT", "text", "cheap pills now", "", 90, 0 },
	[RULE_URL] = { "URL", "url", "(^|\\.)evil\\.example$", "", 200, 0 },
	[RULE_URI] = { "URI", "uri", "\\/Path\\?q=[0-9]+", "", 70, 0 },
	[RULE_END] = { "END", "body", "the very end\\r\\n$", "", 80, 0 },
	[RULE_DOTTED] = { "DOTTED", "body", "^[.]dotted", "m", 110, 0 },
	[RULE_GOOD] = { "GOOD", "body", "unsubscribe", "", -250, 0 },
	[RULE_DEFERS] = { "DEFERS", "body", "uranium", "", 0, "defer" },
	[RULE_REFUSES] = { "REFUSES", "body", "plutonium", "", 0, "refuse" },
	[RULE_ENVELOPE] = { "ENVELOPE", "envelope", "^to:odd", "", 60, 0 },
	[META_AND_NOT] = { "AND_NOT", 0, "BODY && !GOOD", "", 40, 0 },
	[META_SOME] = { "SOME", 0, "SUBJECT + TEXT + URL >= 2", "", 130, 0 },
};
