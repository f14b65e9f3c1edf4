/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address list files in the forms people have them in: plain (an address, prefix or first-last range
 * a line), what `ipset save` writes, and rbldnsd's ip4set, ip4trie and ip6trie. Read a piece at a
 * time. Mistakes name line and column; the rest of the file is still read.
 *
 * Plain entries are handed on as they are read, so that ten million need no second copy in memory.
 * The other forms have exceptions (`!`, nomatch), which may stand anywhere: their entries are kept
 * until the end, and where there are exceptions, cut to what is left: of two entries that hold an
 * address the more specific one counts, and of equal ones the exception.
 *
 * Rejected: an exception as an entry of an allow list (it would beat every other list as well).
 */
#ifndef POSTERN_CONTROL_LISTFILE_H
#define POSTERN_CONTROL_LISTFILE_H

#include "complaints.h"
#include "inet.h"

enum {
	LISTFILE_LINE_MAX = 1024,     /* bytes, the line end not counted */
	LISTFILE_KEPT_MAX = 20000000, /* entries of ipset and rbldnsd files; beyond: -E2BIG */
};

/* In the order of the words of lists.format. */
enum listfile_form { LISTFILE_AUTO, LISTFILE_PLAIN, LISTFILE_IPSET, LISTFILE_RBLDNSD };
extern const char *const listfile_form_words[]; /* NULL-ended */

struct listfile_source {
	const char *path;
	enum listfile_form form;
	const char *set; /* of an ipset file; NULL or "": the one it has */
};

struct listfile_item {
	struct inet_range range;
	uint32_t timeout_s;  /* ipset; 0: none */
	const char *comment; /* ipset, rbldnsd; "": none; lent for the call */
};

/* What takes an entry; a negative value ends the reading and is returned. */
typedef int listfile_entry(void *arg, const struct listfile_item *item);

/* Returns 0 (with or without complaints), -errno when the file cannot be opened or read, or what
 * `entry` returned. */
int listfile_read(const struct listfile_source *source, listfile_entry *entry, void *arg,
    struct complaints *complaints);

/* ---- between listfile*.c ---- */

struct listfile_kept {
	struct inet_range range;
	bool except;
	uint32_t timeout_s, comment; /* offset into texts */
};

struct listfile {
	const struct listfile_source *source;
	listfile_entry *entry;
	void *arg;
	struct complaints *complaints;
	enum listfile_form form; /* AUTO until the first line that says */
	unsigned line;
	unsigned long mistakes;

	struct listfile_kept *kept;
	size_t n_kept, room, n_exceptions;
	char *texts;
	size_t n_texts, texts_room;

	char set[64];      /* ipset: of the first `add` */
	bool skipping_set; /* rbldnsd: a dataset that is no address set */
	bool v6_set;       /* rbldnsd: $DATASET ip6... */
};

/* text: of the line. Words that fit behind `"TEXT" `. */
void listfile_mistake(
    struct listfile *f, const char *line, const char *text, size_t len, const char *wrong);
/* Keeps an entry. -ENOMEM, -E2BIG. */
int listfile_keep(struct listfile *f, const struct inet_range *range, bool except,
    uint32_t timeout_s, const char *comment, size_t comment_len);
/* Hands on what was kept, exceptions cut out. */
int listfile_hand_on(struct listfile *f);

/* One line each, without spaces at its ends, not empty. */
int listfile_ipset_line(struct listfile *f, const char *line, const char *text, size_t len);
int listfile_rbldnsd_line(struct listfile *f, const char *line, const char *text, size_t len);

#endif
