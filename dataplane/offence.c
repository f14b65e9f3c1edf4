/* SPDX-License-Identifier: BSD-3-Clause */
/* See offence.h. */
#include "offence.h"

#include <stdio.h>
#include <string.h>

/* What a list or a ban said is no offence of its own, nor is what we could not do. */
static bool is_offence(const struct note *note)
{
	if (note->verdict < VERDICT_REFUSE)
		return false;
	switch ((enum reason)note->reason) {
	case REASON_LISTED:
	case REASON_LISTED_VERIFIED:
	case REASON_BANNED:
	case REASON_OVERLOAD:
	case REASON_DRAIN:
	case REASON_UNKNOWN_RECIPIENT: return false; /* the last is counted by recipient */
	default: return true;
	}
}

unsigned offence_note(struct bans *bans, const struct policy_bans *settings,
    const struct note *note, struct ban ret_bans[2])
{
	uint32_t now_s = (uint32_t)(note->time_ns / 1000000000u), points = 0;

	if (settings->settings.threshold == 0 || note->reason >= REASON_N)
		return 0;
	if (note->kind == NOTE_RCPT)
		points = note->value ? settings->unknown_points : 0;
	else if (note->kind != NOTE_SESSION)
		return 0;
	else if (is_offence(note))
		points = settings->refused_points;
	else if (note->value > 0 || note->reason == REASON_ALLOWED)
		bans_good(bans, note->client, now_s);
	if (points == 0)
		return 0;
	return bans_offence(
	    bans, &settings->settings, note->client, points, now_s, NULL, NULL, ret_bans);
}

void offence_entry(const struct policy_bans *settings, const struct note *note,
    const struct ban *ban, struct overlay_entry *ret_entry)
{
	enum reason reason = note->kind == NOTE_RCPT ? REASON_NONE : (enum reason)note->reason;

	*ret_entry = (struct overlay_entry){ .len = ban->len,
		.list = OVERLAY_BAN,
		.kind = (uint8_t)settings->kind,
		.origin = OVERLAY_AUTOMATIC,
		.created_s = (uint32_t)(note->time_ns / 1000000000u),
		.expires_s = ban->expires_s };
	memcpy(ret_entry->addr, ban->addr, 16);
	snprintf(ret_entry->reason, sizeof(ret_entry->reason), "%s, ban %u",
	    reason ? reason_infos[reason].name : "unknown recipients", ban->repeats + 1);
}
