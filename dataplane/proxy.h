/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telling the backend who the client is: the PROXY protocol version 2 header, or Postfix's XCLIENT
 * command. Writers only; pure functions, any thread.
 *
 * Our TLVs lie in the range the PROXY specification leaves to applications (0xE0-0xEF):
 *
 *	0xE0  the session's token, 18 characters as in refusals: `posternctl explain` resolves it
 *	0xE1  the verdict so far as "word" or "word reason", e.g. "none" or "mark LISTED"
 *
 * A receiver that does not know a TLV skips it (section 2.2 of the specification).
 */
#ifndef POSTERN_DATAPLANE_PROXY_H
#define POSTERN_DATAPLANE_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROXY_V2_MAX = 16 + 36 + 128,
	PROXY_TLV_TOKEN = 0xe0,
	PROXY_TLV_VERDICT = 0xe1,
	XCLIENT_MAX = 512, /* bytes with CR LF; Postfix takes one command line of this at least */
};

struct proxy_client {
	uint8_t client[16], server[16]; /* IPv6 or ::ffff:a.b.c.d, network order */
	uint16_t client_port, server_port;
	const char *token;   /* zero-terminated, at most 60 bytes; NULL: no TLV */
	const char *verdict; /* likewise */
	bool esmtp;
	const char *helo; /* for XCLIENT; not terminated */
	uint16_t helo_len;
};

/* Returns the bytes written. IPv4 to IPv4 as TCP4, everything else as TCP6 (mapped addresses). */
size_t proxy_v2(uint8_t buf[PROXY_V2_MAX], const struct proxy_client *client);
/* The header of a connection of our own (health checks): command LOCAL. */
size_t proxy_v2_local(uint8_t buf[PROXY_V2_MAX]);

/* One XCLIENT line with the attributes of `offered` (enum smtp_xclient_attr). The name of a client
 * is not known to us: [UNAVAILABLE]. A HELO that does not fit, encoded, is left out: the backend
 * hears it in the EHLO that follows. */
size_t proxy_xclient(char buf[XCLIENT_MAX], uint32_t offered, const struct proxy_client *client);

#endif
