/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay's memory beyond a restart: STATE/overlay.journal, a text line a change, each behind
 * its CRC-32. A change is written and synced before it is answered, and put into the overlay after
 * that, so nothing is in force that a power cut could lose, and nothing acknowledged is lost. Once
 * the file has doubled it is written anew from the overlay: temporary file, fsync, rename, fsync of
 * the directory. The writer's thread alone (overlay.h).
 *
 * Rejected: LMDB (a page a change where a line does, and its file cannot be read by people),
 * writing the whole table at each change (a million entries).
 */
#ifndef POSTERN_DATAPLANE_OVERLAY_JOURNAL_H
#define POSTERN_DATAPLANE_OVERLAY_JOURNAL_H

#include "filters/overlay.h"

enum {
	OVERLAY_JOURNAL_LINE = 320,        /* bytes, the longest line */
	OVERLAY_JOURNAL_BATCH = 4 << 20,   /* bytes of one commit; beyond: -EMSGSIZE */
	OVERLAY_JOURNAL_SMALL = 64 * 1024, /* bytes a file may always grow by */
};

struct overlay_journal;

/*
 * Replays the file into the overlay, or makes one. What is past is left out, a last line cut short
 * is cut off, a damaged one in the middle skipped and the file kept beside as .damaged: *ret_words
 * (NULL: all well; the caller frees) says so. -errno with words when it cannot be read or written,
 * or is no journal.
 */
int overlay_journal_open(const char *path, struct overlay *o, uint32_t now_s,
    struct overlay_journal **ret_journal, char **ret_words);
struct overlay_journal *overlay_journal_close(struct overlay_journal *j); /* NULL is allowed */

/* Changes to come with the next commit. -EMSGSIZE, -ENOMEM: this one is not among them. */
int overlay_journal_put(struct overlay_journal *j, const struct overlay_entry *e);
int overlay_journal_remove(
    struct overlay_journal *j, const uint8_t addr[16], unsigned len, unsigned list);
void overlay_journal_forget(struct overlay_journal *j); /* all of them */

/* To the disk. -errno: none of them is kept, neither here nor there. */
int overlay_journal_commit(struct overlay_journal *j);

/* Writes the file anew when it has doubled or was damaged by a failed write; call after a commit
 * and now and then. 0 also when there was nothing to do. The changes must be in the overlay. */
int overlay_journal_tidy(struct overlay_journal *j, uint32_t now_s);
uint64_t overlay_journal_size(const struct overlay_journal *j); /* bytes */

#endif
