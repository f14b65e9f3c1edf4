/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture of the frames to and from clients of one prefix, as pcapng. Each worker copies what fits
 * the prefix into a ring of its own (single producer, single consumer, fixed slots); a thread of this
 * module writes the file. A frame that finds no slot is lost and counted: a worker never waits. While
 * no capture is on a worker looks at one pointer a turn. (Rejected: a port mirrored by DPDK's own
 * capture, which wants a secondary process and sees every frame of the port.)
 *
 * Frames are as the stack sees them: without a VLAN tag that the port takes off, and on the way out
 * with the checksums the port would fill and TCP segments it would cut. Each packet is cut to
 * CAPTURE_SNAP bytes.
 */
#ifndef POSTERN_DATAPLANE_CAPTURE_H
#define POSTERN_DATAPLANE_CAPTURE_H

#include "tcpstack/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CAPTURE_SLOTS = 512, /* frames a worker may have unwritten */
	CAPTURE_SNAP = 2016,
	CAPTURE_MAX_PACKETS = 1000000,
	CAPTURE_MAX_SECONDS = 3600,
	CAPTURE_MAX_BYTES = 64 << 20, /* of the file: then it ends */
};

struct capture_bounds {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix_len;
	uint64_t packets, end_ns, bytes;
};

struct capture_state {
	uint64_t packets, bytes, lost;
	bool over;       /* the file is whole */
	const char *why; /* over: "time", "packets", "bytes", "stopped", "disk" */
};

struct capture;

/* Makes the file and begins. -errno. */
int capture_new(const char *path, unsigned n_workers, const struct capture_bounds *bounds,
    uint64_t (*now_ns)(void), struct capture **ret_capture);
/* Ends the thread; no worker looks at it any more. NULL is allowed; returns NULL. */
struct capture *capture_free(struct capture *c);
void capture_stop(struct capture *c);
void capture_look(struct capture *c, struct capture_state *ret_state);

/* The worker's thread: copies those of n frames that fit. */
void capture_put(struct capture *c, unsigned worker, const struct frame *frames, unsigned n,
    bool outward, uint64_t now_ns);

/* True when the frame's IPv4 or IPv6 source or destination lies in the prefix. */
bool capture_fits(const struct capture_bounds *b, const uint8_t *data, size_t len);

#endif
