/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports as the live shell sees them: any DPDK device by its ordinary name, in bursts of struct
 * frame. The only folder that includes rte_*.h; this header includes none.
 *
 * Set-up runs on the main thread; rx, tx and frame calls on the worker that owns the queue.
 */
#ifndef POSTERN_HW_PORT_H
#define POSTERN_HW_PORT_H

#include "tcpstack/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HW_BURST = 32, HW_MAX_PORTS = 8 };

struct hw_port_request {
	const char *name;   /* "outside", for messages */
	const char *device; /* PCI address, or "net_af_packet0,iface=x", ... */
	uint16_t mtu;
	uint16_t queues; /* pairs wanted; fewer available is an error that names both numbers */
};

struct hw_port_info {
	uint8_t mac[6];
	uint16_t mtu;
	uint16_t queues;
	uint16_t tx_caps; /* FRAME_TX_* proven usable */
	bool vlan_insert, vlan_strip;
	bool rss_src_only; /* the port spreads by source address alone; else software does */
	bool interrupts;   /* the port has an event descriptor to sleep on */
	bool is_virtual;
};

struct hw;
struct frame_cache; /* per-worker cache of empty buffers, so that frame_alloc is a pop */

/* EAL start, ports, pools. On failure -errno, and *ret_error holds a sentence for the operator:
 * what, where, what to do (caller frees). argv0 names the program; eal are verbatim arguments. */
int hw_open(const char *argv0, const char *const *eal, unsigned n_eal,
    const struct hw_port_request *ports, unsigned n_ports, unsigned n_workers, struct hw **ret_hw,
    char **ret_error);
struct hw *hw_close(struct hw *hw);

const struct hw_port_info *hw_port(const struct hw *hw, unsigned port);
size_t hw_memory_bytes(const struct hw *hw);

/* One burst. Frames are the caller's until sent or freed. */
unsigned hw_rx(struct hw *hw, unsigned port, unsigned queue, struct frame *frames, unsigned n);
/* Sends frames[0..n) in order, each by its own .port, on the given queue (the worker's number; where a
 * port has fewer queues the workers take turns on a lock); those that a port refuses are
 * freed; returns how many were refused. */
unsigned hw_tx(struct hw *hw, unsigned queue, struct frame *frames, unsigned n);
void hw_free(struct hw *hw, struct frame *frames, unsigned n);
bool hw_alloc(struct hw *hw, unsigned worker, unsigned port, struct frame *ret_frame);

/* Frames steered to another worker (software spread): one ring per pair of workers, single
 * producer and consumer; returns how many the ring took, the rest stays the caller's. */
unsigned hw_hand_over(struct hw *hw, unsigned from, unsigned to, struct frame *frames, unsigned n);
unsigned hw_taken_over(struct hw *hw, unsigned worker, struct frame *frames, unsigned n);

/* The clock: one sample a turn. ns since the Unix epoch, never decreasing, disciplined slowly. */
uint64_t hw_now_ns(void);
/* Steers the clock toward the realtime clock; by one thread off the worker cores, once a second. */
void hw_clock_discipline(void);
uint64_t hw_tsc(void);
uint64_t hw_tsc_hz(void);

/* Sleeps until a frame may be there on one of the worker's queues or until max_us passed. */
void hw_wait(struct hw *hw, unsigned queue, unsigned max_us);
/* Ends a worker's hw_wait(), now or the next; any thread. */
void hw_wake(struct hw *hw, unsigned worker);

/* Threads on cores. Runs main_fn(arg[i]) on worker i's core, worker 0 on the calling thread where
 * only one core is there. */
int hw_run_workers(
    struct hw *hw, void (*worker_fn)(void *arg), void *const *args, unsigned n, char **ret_error);

#endif
