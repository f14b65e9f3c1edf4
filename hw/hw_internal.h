/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of hw/ share: the state behind struct hw. Set up by one thread in hw_open(); from
 * then on a queue, a cache and a wait set belong to one worker each, on cache lines of their own,
 * and the rest is only read.
 */
#ifndef POSTERN_HW_INTERNAL_H
#define POSTERN_HW_INTERNAL_H

#include "port.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_spinlock.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
	HW_MAX_WORKERS = 64,
	HW_CACHE = 256,        /* empty buffers a worker keeps at hand */
	HW_CACHE_REFILL = 64,  /* taken from the pool at once */
	HW_RING = 1024,        /* frames under way from one worker to another */
	HW_DESC = 1024,        /* descriptors a queue, where the port has no opinion */
	HW_POOL_SPARE = 8191,  /* buffers a worker has beyond what queues hold */
	HW_PROOF_FRAMES = 256, /* received frames a queue whose checksums are done twice */
};

/* Written by the worker that owns the queue alone. */
struct hw_queue {
	_Alignas(64) uint32_t proof_left; /* frames still to be verified in software as well */
	bool distrusted;                  /* the port said "good" of a frame that was not */
	int fd; /* tells of arrivals; -1: none. Read only after hw_open() */
};

struct hw_port {
	struct hw_port_info info;
	char name[32];
	uint16_t id; /* DPDK's */
	bool rx_csum;
	uint16_t n_queues;
	struct hw_queue *queues;
	rte_spinlock_t *tx_locks; /* per queue, NULL when every worker has its own */
};

struct frame_cache {
	_Alignas(64) unsigned n;
	struct rte_mbuf *m[HW_CACHE];
};

/* Written by its worker, `asleep` read by those that hand frames over. */
struct hw_worker {
	_Alignas(64) atomic_bool asleep;
	int wake_fd; /* eventfd */
	unsigned lcore;
	struct rte_mempool *pool;
	struct frame_cache cache;
};

struct hw {
	unsigned n_ports, n_workers;
	uint8_t index_of[RTE_MAX_ETHPORTS]; /* our index by DPDK's port id */
	struct hw_port ports[HW_MAX_PORTS];
	struct hw_worker *workers;
	struct rte_ring **rings; /* [from * n_workers + to], NULL on the diagonal */
	size_t memory_bytes;
	int flags_at; /* offset in an mbuf of the frame flags that go with it to another worker */
	size_t room;  /* bytes of a buffer behind its headroom */
};

/* error.c: formats a sentence into *ret_error (may be NULL) and returns -err. */
int hw_fail(char **ret_error, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* eal.c */
struct eal_args {
	unsigned n;
	char *v[96]; /* NULL-terminated */
};
bool hw_device_is_pci(const char *device);
/* The value of KEY in "name,key=value,...", cut to size; false where it is absent. */
bool hw_device_arg(const char *device, const char *key, char *ret_value, size_t size);
int hw_eal_args(const char *argv0, const char *const *eal, unsigned n_eal,
    const struct hw_port_request *ports, unsigned n_ports, unsigned n_workers,
    struct eal_args *ret_args, char **ret_error);
void hw_eal_args_free(struct eal_args *args);
/* Says what of a port is missing on this host before DPDK is asked. */
int hw_eal_precheck(const char *const *eal, unsigned n_eal, const struct hw_port_request *ports,
    unsigned n_ports, char **ret_error);
int hw_eal_start(struct eal_args *args, char **ret_error);
/* The last words of DPDK's log since hw_eal_start(), one line, lent. */
const char *hw_eal_words(void);
void hw_eal_started(void); /* from here on the log goes to stderr */

/* cores.c */
/* "--lcores" value: lcore 0 on every allowed core (main and service threads), lcore 1 + i on the
 * core of worker i. -ERANGE: fewer cores than workers. */
int hw_cores_plan(const unsigned *cpus, unsigned n_cpus, const unsigned *isolated,
    unsigned n_isolated, unsigned n_workers, char *ret_text, size_t size);
/* Cores of this process, and the isolated ones of the host. Return how many. */
unsigned hw_cores_allowed(unsigned *ret_cpus, unsigned max);
unsigned hw_cores_isolated(unsigned *ret_cpus, unsigned max);
unsigned hw_cores_parse(const char *list, unsigned *ret_cpus, unsigned max); /* "0-2,5" */
int hw_cores_assign(struct hw *hw, char **ret_error);

/* device.c */
int hw_device_open(
    struct hw *hw, unsigned index, const struct hw_port_request *request, char **ret_error);
void hw_device_close(struct hw_port *port);

/* clock.c */
struct clock_map {
	uint64_t base_tsc, base_ns;
	uint64_t mult; /* ns per TSC tick, 32 bits of fraction */
};
void hw_clock_map_init(struct clock_map *map, uint64_t tsc, uint64_t realtime_ns, uint64_t tsc_hz);
uint64_t hw_clock_map_read(const struct clock_map *map, uint64_t tsc);
/* What the map becomes once realtime_ns was read at tsc; span_ns: until the next call. */
void hw_clock_map_adjust(
    struct clock_map *map, uint64_t tsc, uint64_t realtime_ns, uint64_t tsc_hz, uint64_t span_ns);
int hw_clock_start(void);

#endif
