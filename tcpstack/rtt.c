/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 6298 with a floor of 200 ms instead of a second (as every current stack: delayed ACKs are at
 * most 40 to 200 ms). Samples come from the time of the newest transmission acknowledged, once an
 * ACK, never from one that was repeated (Karn), so no sample depends on the peer's clock.
 */
#include "rtt.h"

void rtt_init(struct tcp_conn *c)
{
	c->rto_us = RTO_INITIAL_US;
	c->min_rtt_us = UINT32_MAX;
}

void rtt_sample(struct tcp_conn *c, uint32_t rtt_us)
{
	uint32_t err, rto;

	if (rtt_us == 0)
		rtt_us = 1;
	if (rtt_us > RTO_MAX_US)
		rtt_us = RTO_MAX_US;
	c->min_rtt_us = min_u32(c->min_rtt_us, rtt_us);
	if (c->srtt_us == 0) {
		c->srtt_us = rtt_us;
		c->rttvar_us = rtt_us / 2;
	} else {
		err = c->srtt_us > rtt_us ? c->srtt_us - rtt_us : rtt_us - c->srtt_us;
		c->rttvar_us = (uint32_t)(((uint64_t)c->rttvar_us * 3 + err) / 4);
		c->srtt_us = (uint32_t)(((uint64_t)c->srtt_us * 7 + rtt_us) / 8);
	}
	rto = c->srtt_us + max_u32(1000, 4 * c->rttvar_us);
	c->rto_us = rto < RTO_MIN_US ? RTO_MIN_US : min_u32(rto, RTO_MAX_US);
}

uint32_t rtt_rto_us(const struct tcp_conn *c)
{
	uint64_t rto = (uint64_t)c->rto_us << c->backoff;

	return rto < RTO_MAX_US ? (uint32_t)rto : RTO_MAX_US;
}
