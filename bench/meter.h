/* SPDX-License-Identifier: BSD-3-Clause */
/* The cycle meter: the time-stamp counter and its rate, measured once against the kernel's clock. */
#ifndef POSTERN_BENCH_METER_H
#define POSTERN_BENCH_METER_H

#include <stdint.h>
#include <time.h>

static inline uint64_t meter_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

static inline uint64_t meter_clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Cycles per nanosecond; takes 50 ms. */
static inline double meter_rate(void)
{
	uint64_t c0 = meter_tsc(), t0 = meter_clock_ns(), t1;
	do
		t1 = meter_clock_ns();
	while (t1 - t0 < 50000000u);
	return (double)(meter_tsc() - c0) / (double)(t1 - t0);
}

#endif
