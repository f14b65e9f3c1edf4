/* SPDX-License-Identifier: BSD-3-Clause */
/* Path MTUs learned from ICMP: bounded, forgotten after ten minutes (private). */
#ifndef POSTERN_TCPSTACK_PMTU_H
#define POSTERN_TCPSTACK_PMTU_H

#include "tcpstack.h"

enum { PMTU_SETS = 256, PMTU_WAYS = 4, PMTU_LIFE_S = 600 };

struct pmtu_entry {
	struct ip_addr dst;
	uint64_t expires_ns; /* 0: free */
	uint16_t mtu;
};

struct pmtu_table {
	uint32_t used; /* ever: 0 spares the look-up */
	struct pmtu_entry sets[PMTU_SETS][PMTU_WAYS];
};

#endif
