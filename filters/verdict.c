/* SPDX-License-Identifier: BSD-3-Clause */
/* The words for verdicts and the reasons table (reasons.def). */
#include "verdict.h"

const char *const verdict_words[VERDICT_N_KINDS] = {
	[VERDICT_NONE] = "none",
	[VERDICT_PASS] = "pass",
	[VERDICT_MARK] = "mark",
	[VERDICT_GREY] = "grey",
	[VERDICT_DEFER] = "defer",
	[VERDICT_REFUSE] = "refuse",
	[VERDICT_TARPIT] = "tarpit",
	[VERDICT_TRAP] = "trap",
	[VERDICT_RESET] = "reset",
	[VERDICT_DROP] = "drop",
};

const char *const phase_words[PHASE_N] = {
	[PHASE_SYN] = "syn",
	[PHASE_CONNECT] = "connect",
	[PHASE_HELO] = "helo",
	[PHASE_MAIL] = "mail",
	[PHASE_RCPT] = "rcpt",
	[PHASE_DATA] = "data",
	[PHASE_BODY] = "body",
};

const struct reason_info reason_infos[REASON_N] = {
#define REASON(name, code, enhanced, text, doc) { #name, code, enhanced, text, doc },
#include "reasons.def"
#undef REASON
};
