/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a capture (pcap or pcapng) and tells what each SMTP client in it did: the connection's
 * addresses, and the bytes the client sent, in order, each piece with its time and with how many
 * lines the server had said before. Captures may be one-sided, begin in the middle, hold
 * retransmissions, reordering and gaps; what cannot be used is counted, never guessed.
 */
#ifndef POSTERN_DATAPLANE_REPLAY_CAPTURE_H
#define POSTERN_DATAPLANE_REPLAY_CAPTURE_H

#include "tcpstack/tcpstack.h" /* struct ip_addr */

enum {
	CAPTURE_MAX_SESSIONS = 65536,
	CAPTURE_MAX_BYTES = 1 << 30, /* of client payload, all sessions */
};

struct capture_piece {
	uint64_t at_ns;        /* Unix epoch */
	uint32_t server_lines; /* CR LF seen from the server before it; 0 in one-sided captures */
	uint32_t offset, len;  /* in the session's bytes */
};

struct capture_session {
	struct ip_addr client, server;
	uint16_t client_port, server_port;
	uint64_t first_ns, last_ns;
	bool saw_syn, saw_server, client_fin, client_rst, gap;
	struct capture_piece *pieces;
	unsigned n_pieces, cap_pieces;
	uint8_t *bytes;
	uint32_t n_bytes, cap_bytes;
};

struct capture {
	struct capture_session *sessions; /* by time of the first packet */
	unsigned n_sessions;
	uint64_t packets, not_tcp, malformed, other_ports, beyond_bounds, gaps;
};

/* file: a path, or "-" for standard input. port: the server's (25). On failure *ret_error holds a
 * sentence (caller frees) and -errno is returned. */
int capture_read(const char *file, uint16_t port, struct capture *ret_capture, char **ret_error);
void capture_fini(struct capture *c);

#endif
