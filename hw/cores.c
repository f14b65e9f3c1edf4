/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers on cores. Each worker is a DPDK lcore pinned to one core; lcore 0 is the main thread,
 * free to run on all cores of the process, so that threads it starts are not bound to a worker's.
 * Cores that the kernel was told to keep clear (isolcpus) are taken first, then the highest.
 *
 * An operator's own -l, -c or --lcores is honoured; workers then take its lcores in order, the
 * main one last and only when the others do not suffice.
 */
#include "hw_internal.h"

#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

unsigned hw_cores_parse(const char *list, unsigned *ret_cpus, unsigned max)
{
	unsigned n = 0;

	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			break;
		if (*end == '-') {
			list = end + 1;
			last = strtoul(list, &end, 10);
			if (end == list)
				break;
		}
		for (; first <= last && n < max; first++)
			ret_cpus[n++] = (unsigned)first;
		list = end;
		while (*list == ',' || *list == '\n')
			list++;
	}
	return n;
}

unsigned hw_cores_isolated(unsigned *ret_cpus, unsigned max)
{
	FILE *f = fopen("/sys/devices/system/cpu/isolated", "re");
	char line[1024];
	unsigned n = 0;

	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f))
		n = hw_cores_parse(line, ret_cpus, max);
	fclose(f);
	return n;
}

unsigned hw_cores_allowed(unsigned *ret_cpus, unsigned max)
{
	cpu_set_t set;
	unsigned n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++) {
		if (CPU_ISSET(cpu, &set))
			ret_cpus[n++] = cpu;
	}
	return n;
}

static bool contains(const unsigned *cpus, unsigned n, unsigned cpu)
{
	for (unsigned i = 0; i < n; i++) {
		if (cpus[i] == cpu)
			return true;
	}
	return false;
}

int hw_cores_plan(const unsigned *cpus, unsigned n_cpus, const unsigned *isolated,
    unsigned n_isolated, unsigned n_workers, char *ret_text, size_t size)
{
	unsigned order[CPU_SETSIZE], n = 0;
	size_t at = 0;

	for (unsigned i = 0; i < n_isolated && n < CPU_SETSIZE; i++)
		order[n++] = isolated[i];
	for (unsigned i = n_cpus; i-- > 0 && n < CPU_SETSIZE;) {
		if (!contains(isolated, n_isolated, cpus[i]))
			order[n++] = cpus[i];
	}
	if (n_workers > n || n_cpus == 0)
		return -ERANGE;

	at += (size_t)snprintf(ret_text, size, "0@(");
	for (unsigned i = 0; i < n_cpus && at < size; i++)
		at += (size_t)snprintf(ret_text + at, size - at, "%s%u", i ? "," : "", cpus[i]);
	if (at < size)
		at += (size_t)snprintf(ret_text + at, size - at, ")");
	for (unsigned i = 0; i < n_workers && at < size; i++)
		at += (size_t)snprintf(ret_text + at, size - at, ",%u@%u", i + 1, order[i]);
	return at < size ? 0 : -ENOSPC;
}

int hw_cores_assign(struct hw *hw, char **ret_error)
{
	unsigned n = 0, lcore;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (n < hw->n_workers)
			hw->workers[n++].lcore = lcore;
	}
	if (n < hw->n_workers)
		hw->workers[n++].lcore = rte_get_main_lcore();
	if (n < hw->n_workers)
		return hw_fail(ret_error, EINVAL,
		    "host.workers is %u, but the cores given in host.eal (-l, -c or --lcores) are "
		    "only %u: name at least %u, or leave the argument out",
		    hw->n_workers, rte_lcore_count(), hw->n_workers);
	return 0;
}

struct launch {
	void (*worker_fn)(void *arg);
	void *arg;
	sem_t *done;
};

static int launch_main(void *arg)
{
	struct launch *l = arg;

	l->worker_fn(l->arg);
	sem_post(l->done);
	return 0;
}

int hw_run_workers(
    struct hw *hw, void (*worker_fn)(void *arg), void *const *args, unsigned n, char **ret_error)
{
	struct launch launches[HW_MAX_WORKERS];
	struct launch *mine = NULL;
	sem_t done;

	if (n != hw->n_workers)
		return hw_fail(
		    ret_error, EINVAL, "%u workers were prepared, %u are to run", hw->n_workers, n);
	sem_init(&done, 0, 0);
	for (unsigned i = 0; i < n; i++) {
		launches[i] = (struct launch){ worker_fn, args[i], &done };
		if (hw->workers[i].lcore == rte_get_main_lcore())
			mine = &launches[i];
		else if (rte_eal_remote_launch(launch_main, &launches[i], hw->workers[i].lcore) != 0)
			abort(); /* a bug: the lcore is already at work */
	}
	if (mine)
		launch_main(mine);
	/* rte_eal_mp_wait_lcore() spins: it is asked only once all have ended */
	for (unsigned i = 0; i < n; i++) {
		while (sem_wait(&done) != 0)
			;
	}
	rte_eal_mp_wait_lcore();
	sem_destroy(&done);
	return 0;
}
