/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Idling. Where all of a worker's queues have a descriptor (af_packet, af_xdp, tap) it sleeps on
 * them and wakes with the first frame; else it sleeps for the time given and looks again. Either
 * way an eventfd ends the sleep when another worker hands frames over or the shell has news.
 */
#include "hw_internal.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

void hw_wake(struct hw *hw, unsigned worker)
{
	const uint64_t one = 1;

	/* EAGAIN: it is to wake already */
	if (write(hw->workers[worker].wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return;
}

static bool handed_over(const struct hw *hw, unsigned worker)
{
	for (unsigned from = 0; from < hw->n_workers; from++) {
		const struct rte_ring *ring = hw->rings[from * hw->n_workers + worker];

		if (ring && !rte_ring_empty(ring))
			return true;
	}
	return false;
}

void hw_wait(struct hw *hw, unsigned queue, unsigned max_us)
{
	struct hw_worker *w = &hw->workers[queue];
	struct pollfd fds[HW_MAX_PORTS + 1];
	struct timespec ts = { .tv_sec = max_us / 1000000, .tv_nsec = max_us % 1000000 * 1000l };
	unsigned n = 0;

	fds[n++] = (struct pollfd){ .fd = w->wake_fd, .events = POLLIN };
	for (unsigned i = 0; i < hw->n_ports; i++) {
		if (queue < hw->ports[i].n_queues && hw->ports[i].queues[queue].fd >= 0)
			fds[n++] = (struct pollfd){ .fd = hw->ports[i].queues[queue].fd,
				.events = POLLIN };
	}
	atomic_store_explicit(&w->asleep, true, memory_order_relaxed);
	/* `asleep` must be seen before the rings are read: see hw_hand_over() */
	atomic_thread_fence(memory_order_seq_cst);
	if (!handed_over(hw, queue) && ppoll(fds, n, &ts, NULL) > 0 && (fds[0].revents & POLLIN)) {
		uint64_t count;

		if (read(w->wake_fd, &count, sizeof(count)) < 0)
			count = 0;
	}
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
}
