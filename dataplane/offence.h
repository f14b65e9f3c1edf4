/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What workers' notes mean to automatic bans (filters/bans.h): which are offences, which are good marks,
 * and the entry of the overlay that a ban becomes. Apart from the live shell, so that whatever else
 * drives the brain (model_rig.h) bans as live does.
 */
#ifndef POSTERN_DATAPLANE_OFFENCE_H
#define POSTERN_DATAPLANE_OFFENCE_H

#include "filters/bans.h"
#include "filters/overlay.h"
#include "filters/policy_bans.h"
#include "worker.h"

enum { OFFENCE_NOTES = 1 << NOTE_SESSION | 1 << NOTE_RCPT };

/* Feeds the note; returns how many bans follow, as bans_offence(). */
unsigned offence_note(struct bans *bans, const struct policy_bans *settings,
    const struct note *note, struct ban ret_bans[2]);
void offence_entry(const struct policy_bans *settings, const struct note *note,
    const struct ban *ban, struct overlay_entry *ret_entry);

#endif
