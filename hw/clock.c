/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clock: TSC mapped to nanoseconds since the Unix epoch, never decreasing, steered toward the
 * realtime clock. A turn samples it once; clock_gettime() would cost three times as much and can
 * step back when somebody sets the time.
 *
 * The map is the one piece of state of this folder that stands outside struct hw: a machine has
 * one TSC and one realtime clock, and time is asked before ports exist. It is written once a
 * second by hw_clock_discipline() under a sequence count, read by everybody.
 *
 * Being behind is mended by running faster, being ahead by running slower, by at most SLEW_PPM; a
 * realtime clock set forward by more than STEP_NS is followed at once (time may jump ahead, never
 * back); set back, we run slow until it has come up.
 */
#include "hw_internal.h"

#include <errno.h>
#include <rte_cycles.h>
#include <stdatomic.h>
#include <time.h>

enum { SLEW_PPM = 500 };
#define SECOND_NS 1000000000ull
#define STEP_NS   (60 * SECOND_NS)

static struct {
	_Alignas(64) atomic_uint seq; /* odd while the map is being written */
	struct clock_map map;
	uint64_t tsc_hz;
} clock_state;

void hw_clock_map_init(struct clock_map *map, uint64_t tsc, uint64_t realtime_ns, uint64_t tsc_hz)
{
	map->base_tsc = tsc;
	map->base_ns = realtime_ns;
	map->mult = (uint64_t)(((unsigned __int128)SECOND_NS << 32) / tsc_hz);
}

uint64_t hw_clock_map_read(const struct clock_map *map, uint64_t tsc)
{
	/* the TSC of another core may lie a few ticks behind the one the map was made on */
	if ((int64_t)(tsc - map->base_tsc) < 0)
		return map->base_ns;
	return map->base_ns +
	       (uint64_t)(((unsigned __int128)(tsc - map->base_tsc) * map->mult) >> 32);
}

void hw_clock_map_adjust(
    struct clock_map *map, uint64_t tsc, uint64_t realtime_ns, uint64_t tsc_hz, uint64_t span_ns)
{
	uint64_t ours = hw_clock_map_read(map, tsc);
	int64_t behind = (int64_t)(realtime_ns - ours);
	int64_t bound = (int64_t)(span_ns / 1000000 * SLEW_PPM);
	uint64_t nominal = (uint64_t)(((unsigned __int128)SECOND_NS << 32) / tsc_hz);
	int64_t correction;

	map->base_tsc = tsc;
	map->base_ns = ours;
	if (behind > (int64_t)STEP_NS) {
		map->base_ns = realtime_ns;
		behind = 0;
	}
	if (behind > bound)
		behind = bound;
	if (behind < -bound)
		behind = -bound;
	correction = (int64_t)((__int128)nominal * behind / (int64_t)span_ns);
	map->mult = (uint64_t)((int64_t)nominal + correction);
}

static void sample(uint64_t *ret_tsc, uint64_t *ret_realtime_ns)
{
	uint64_t best = UINT64_MAX;

	/* the reading with the shortest window between two TSC samples is the least disturbed */
	for (int i = 0; i < 5; i++) {
		struct timespec ts;
		uint64_t before = rte_rdtsc(), after;

		clock_gettime(CLOCK_REALTIME, &ts);
		after = rte_rdtsc();
		if (after - before < best) {
			best = after - before;
			*ret_tsc = before + (after - before) / 2;
			*ret_realtime_ns = (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
		}
	}
}

int hw_clock_start(void)
{
	uint64_t tsc = 0, now = 0;
	uint64_t hz = rte_get_tsc_hz();

	if (hz == 0)
		return -ENODEV;
	sample(&tsc, &now);
	clock_state.tsc_hz = hz;
	hw_clock_map_init(&clock_state.map, tsc, now, hz);
	return 0;
}

void hw_clock_discipline(void)
{
	struct clock_map map = clock_state.map;
	uint64_t tsc = 0, now = 0;

	sample(&tsc, &now);
	hw_clock_map_adjust(&map, tsc, now, clock_state.tsc_hz, SECOND_NS);
	atomic_fetch_add_explicit(&clock_state.seq, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	clock_state.map = map;
	atomic_fetch_add_explicit(&clock_state.seq, 1, memory_order_release);
}

uint64_t hw_now_ns(void)
{
	static _Thread_local uint64_t last_ns;
	struct clock_map map;
	unsigned seq;
	uint64_t now;

	do {
		seq = atomic_load_explicit(&clock_state.seq, memory_order_acquire);
		map = clock_state.map;
		atomic_thread_fence(memory_order_acquire);
	} while ((seq & 1) || seq != atomic_load_explicit(&clock_state.seq, memory_order_relaxed));
	now = hw_clock_map_read(&map, rte_rdtsc());
	/* a map read just before it was replaced may lie a nanosecond ahead of its successor */
	if (now < last_ns)
		now = last_ns;
	last_ns = now;
	return now;
}

uint64_t hw_tsc(void)
{
	return rte_rdtsc();
}

uint64_t hw_tsc_hz(void)
{
	return clock_state.tsc_hz;
}
