/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line of the overlay's journal: CRC-32 of the rest in hex, then
 *
 *   add|lift LIST PREFIX KIND ORIGIN CREATED EXPIRES [REASON...]
 *   del LIST PREFIX
 *
 * with LIST `@bans` and KIND a verdict's word for bans, KIND `-` otherwise.
 */
#ifndef POSTERN_DATAPLANE_OVERLAY_LINE_H
#define POSTERN_DATAPLANE_OVERLAY_LINE_H

#include "filters/overlay.h"

struct overlay_line {
	bool remove;
	char list[OVERLAY_NAME_MAX + 1]; /* "": the bans */
	struct overlay_entry entry;      /* list is not filled */
};

/* Writes the line and its LF, no terminator; size is OVERLAY_JOURNAL_LINE. Returns its length. */
size_t overlay_line_write(const struct overlay_line *line, char *ret_text, size_t size);
/* text without LF. False: damaged. */
bool overlay_line_read(const char *text, size_t len, struct overlay_line *ret_line);

/* "192.0.2.0/24"; an address alone for hosts. ret_text: 56 bytes. */
void overlay_prefix_text(const uint8_t addr[16], unsigned len, char *ret_text, size_t size);
/* Address or prefix, IPv4 or IPv6. False: it is none, or has host bits. */
bool overlay_prefix_read(const char *text, uint8_t ret_addr[16], uint8_t *ret_len);

#endif
