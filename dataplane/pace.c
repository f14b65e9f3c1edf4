/* SPDX-License-Identifier: BSD-3-Clause */
/* How much work a turn may do (pace.h). */
#include "pace.h"

#include "worker.h"

void pace_init(struct pace *p)
{
	p->work = WORKER_WORK;
	p->ns = (double)PACE_TURN_NS / WORKER_WORK;
}

void pace_note(struct pace *p, uint64_t turn_ns, uint32_t worked)
{
	double ns;

	if (worked < PACE_LEAST / 2)
		return;
	ns = (double)turn_ns / worked;
	if (ns > 2 * p->ns)
		ns = 2 * p->ns;
	p->ns += (ns - p->ns) / 8;
	ns = PACE_TURN_NS / p->ns;
	p->work = ns < PACE_LEAST ? PACE_LEAST : ns > PACE_MOST ? PACE_MOST : (uint32_t)ns;
}
