/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw_open(): EAL, buffer pools, ports, rings between workers, in that order; each failure undoes
 * what was done before it and leaves a sentence.
 *
 * One pool a worker, on which its receive queues draw: buffers stay in one core's cache and a
 * flood on one queue cannot starve another worker. One pool for all would share its ring's head.
 */
#include "hw_internal.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Buffers are sized to the MTU: Ethernet, two tags, the packet; a whole number of cache lines. */
static size_t room_for(const struct hw_port_request *ports, unsigned n_ports)
{
	size_t room = 2048;

	for (unsigned i = 0; i < n_ports; i++) {
		size_t want = (size_t)ports[i].mtu + 14 + 8 + 4;

		if (want > room)
			room = (want + 63) & ~(size_t)63;
	}
	return room;
}

static unsigned pool_size(
    const struct hw *hw, const struct hw_port_request *ports, unsigned n_ports, unsigned worker)
{
	unsigned n = HW_POOL_SPARE;

	/* every receive queue may be full and every descriptor of a send ring hold one */
	for (unsigned i = 0; i < n_ports; i++) {
		for (unsigned q = worker; q < ports[i].queues; q += hw->n_workers)
			n += 4 * HW_DESC;
	}
	return n;
}

static int make_pools(
    struct hw *hw, const struct hw_port_request *ports, unsigned n_ports, char **ret_error)
{
	for (unsigned w = 0; w < hw->n_workers; w++) {
		unsigned n = pool_size(hw, ports, n_ports, w);
		char name[RTE_MEMPOOL_NAMESIZE];

		snprintf(name, sizeof(name), "frames%u", w);
		hw->workers[w].pool = rte_pktmbuf_pool_create(name, n, 256, 0,
		    (uint16_t)(RTE_PKTMBUF_HEADROOM + hw->room),
		    (int)rte_lcore_to_socket_id(hw->workers[w].lcore));
		if (!hw->workers[w].pool)
			return hw_fail(ret_error, rte_errno,
			    "no memory for %u packet buffers of %zu bytes for worker %u (%s): give "
			    "DPDK more (-m in host.eal, or more huge pages: `sysctl "
			    "vm.nr_hugepages`)",
			    n, hw->room + RTE_PKTMBUF_HEADROOM, w, rte_strerror(rte_errno));
		hw->memory_bytes +=
		    (size_t)n * (hw->workers[w].pool->elt_size + hw->workers[w].pool->header_size +
				    hw->workers[w].pool->trailer_size);
	}
	return 0;
}

static int make_rings(struct hw *hw, char **ret_error)
{
	static const struct rte_mbuf_dynfield flags = {
		.name = "postern_frame_flags",
		.size = sizeof(uint16_t),
		.align = sizeof(uint16_t),
	};

	hw->flags_at = rte_mbuf_dynfield_register(&flags);
	if (hw->flags_at < 0)
		return hw_fail(ret_error, rte_errno, "no free field in DPDK's packet buffers");
	hw->rings = calloc((size_t)hw->n_workers * hw->n_workers, sizeof(struct rte_ring *));
	if (!hw->rings)
		return hw_fail(ret_error, ENOMEM, "no memory for rings between workers");
	for (unsigned i = 0; i < hw->n_workers * hw->n_workers; i++) {
		char name[RTE_RING_NAMESIZE];

		if (i / hw->n_workers == i % hw->n_workers)
			continue;
		snprintf(name, sizeof(name), "spread%u", i);
		hw->rings[i] =
		    rte_ring_create(name, HW_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!hw->rings[i])
			return hw_fail(ret_error, rte_errno,
			    "no memory for the rings between %u workers: give DPDK more (-m in "
			    "host.eal, or huge pages)",
			    hw->n_workers);
		hw->memory_bytes +=
		    rte_ring_get_memsize(HW_RING) > 0 ? (size_t)rte_ring_get_memsize(HW_RING) : 0;
	}
	return 0;
}

static int make_ports(
    struct hw *hw, const struct hw_port_request *ports, unsigned n_ports, char **ret_error)
{
	int rc;

	for (unsigned i = 0; i < n_ports; i++) {
		struct hw_port *port = &hw->ports[i];

		port->id = RTE_MAX_ETHPORTS;
		port->queues = aligned_alloc(64, sizeof(struct hw_queue) * ports[i].queues);
		if (!port->queues)
			return hw_fail(ret_error, ENOMEM, "no memory for queues");
		memset(port->queues, 0, sizeof(struct hw_queue) * ports[i].queues);
		hw->n_ports = i + 1;
		rc = hw_device_open(hw, i, &ports[i], ret_error);
		if (rc)
			return rc;
		/* fewer queues than workers: sending takes turns on a lock, receiving is spread by
		 * the workers that have a queue */
		if (port->n_queues < hw->n_workers) {
			port->tx_locks = calloc(port->n_queues, sizeof(*port->tx_locks));
			if (!port->tx_locks)
				return hw_fail(ret_error, ENOMEM, "no memory for locks");
		}
	}
	return 0;
}

int hw_open(const char *argv0, const char *const *eal, unsigned n_eal,
    const struct hw_port_request *wanted, unsigned n_ports, unsigned n_workers, struct hw **ret_hw,
    char **ret_error)
{
	struct hw_port_request ports[HW_MAX_PORTS];
	struct eal_args args = { 0 };
	struct hw *hw = NULL;
	int rc;

	if (n_ports == 0 || n_ports > HW_MAX_PORTS)
		return hw_fail(ret_error, EINVAL,
		    "%u ports are configured (host.ports), 1 to %u work", n_ports, HW_MAX_PORTS);
	if (n_workers == 0 || n_workers > HW_MAX_WORKERS)
		return hw_fail(ret_error, EINVAL, "host.workers is %u, 1 to %u work", n_workers,
		    HW_MAX_WORKERS);
	for (unsigned i = 0; i < n_ports; i++) {
		ports[i] = wanted[i];
		if (ports[i].queues == 0)
			ports[i].queues = (uint16_t)n_workers;
		for (unsigned j = 0; j < i; j++) {
			size_t len = strcspn(ports[i].device, ",");

			if (strncmp(ports[i].device, ports[j].device, len) == 0 &&
			    strcspn(ports[j].device, ",") == len)
				return hw_fail(ret_error, EEXIST,
				    "ports %s and %s name the same device \"%.*s\": number virtual "
				    "devices apart (net_af_packet0, net_af_packet1)",
				    ports[j].name, ports[i].name, (int)len, ports[i].device);
		}
	}
	rc = hw_eal_precheck(eal, n_eal, ports, n_ports, ret_error);
	if (rc)
		return rc;
	rc = hw_eal_args(argv0, eal, n_eal, ports, n_ports, n_workers, &args, ret_error);
	if (rc)
		return rc;
	rc = hw_eal_start(&args, ret_error);
	hw_eal_args_free(&args);
	if (rc)
		return rc;

	hw = calloc(1, sizeof(*hw));
	if (!hw)
		return hw_fail(ret_error, ENOMEM, "no memory");
	hw->n_workers = n_workers;
	hw->room = room_for(ports, n_ports);
	hw->workers = aligned_alloc(64, sizeof(struct hw_worker) * n_workers);
	if (!hw->workers) {
		rc = hw_fail(ret_error, ENOMEM, "no memory for %u workers", n_workers);
		goto fail;
	}
	memset(hw->workers, 0, sizeof(struct hw_worker) * n_workers);
	for (unsigned w = 0; w < n_workers; w++)
		hw->workers[w].wake_fd = -1;
	for (unsigned w = 0; w < n_workers; w++) {
		hw->workers[w].wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (hw->workers[w].wake_fd < 0) {
			rc = hw_fail(ret_error, errno, "no event descriptor: %s", strerror(errno));
			goto fail;
		}
	}
	rc = hw_cores_assign(hw, ret_error);
	if (!rc && hw_clock_start() != 0)
		rc = hw_fail(ret_error, ENODEV, "this processor has no usable time stamp counter");
	if (!rc)
		rc = make_pools(hw, ports, n_ports, ret_error);
	if (!rc)
		rc = make_rings(hw, ret_error);
	if (!rc)
		rc = make_ports(hw, ports, n_ports, ret_error);
	if (rc)
		goto fail;
	hw_eal_started();
	*ret_hw = hw;
	return 0;
fail:
	hw_close(hw);
	return rc;
}

struct hw *hw_close(struct hw *hw)
{
	if (!hw)
		return NULL;
	for (unsigned i = 0; i < hw->n_ports; i++) {
		hw_device_close(&hw->ports[i]);
		free(hw->ports[i].queues);
		free(hw->ports[i].tx_locks);
	}
	for (unsigned i = 0; hw->rings && i < hw->n_workers * hw->n_workers; i++)
		rte_ring_free(hw->rings[i]);
	free(hw->rings);
	for (unsigned w = 0; hw->workers && w < hw->n_workers; w++) {
		struct frame_cache *cache = &hw->workers[w].cache;

		rte_pktmbuf_free_bulk(cache->m, cache->n);
		if (hw->workers[w].wake_fd >= 0)
			close(hw->workers[w].wake_fd);
	}
	for (unsigned w = 0; hw->workers && w < hw->n_workers; w++)
		rte_mempool_free(hw->workers[w].pool);
	free(hw->workers);
	free(hw);
	rte_eal_cleanup();
	return NULL;
}

const struct hw_port_info *hw_port(const struct hw *hw, unsigned port)
{
	return port < hw->n_ports ? &hw->ports[port].info : NULL;
}

size_t hw_memory_bytes(const struct hw *hw)
{
	return hw->memory_bytes;
}
