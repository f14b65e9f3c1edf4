/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The run-time half of a snapshot: list entries and bans, and where asked for the greylist. The
 * manager writes the configured half (snapshot.h); posternctl pages through the rest and puts it
 * into the same file as {"runtime":{"entries":[...],"greylist":{"key_id","records":[...]}}}, so that
 * the manager never holds a table of the dataplane's in memory.
 */
#ifndef POSTERN_CONTROL_CTL_SNAPSHOT_H
#define POSTERN_CONTROL_CTL_SNAPSHOT_H

#include "ctl.h"

/* Both return an exit code, the reason told. path: the snapshot's file. */
int ctl_snapshot_add(const struct ctl *ctl, const char *path, bool greylist, long long *ret_entries);
int ctl_snapshot_put_back(const struct ctl *ctl, const char *path, long long *ret_entries);

#endif
