/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the neighbour table (neigh.c) and its two protocols (arp.c, nd.c); private to them. */
#ifndef POSTERN_TCPSTACK_NEIGH_WIRE_H
#define POSTERN_TCPSTACK_NEIGH_WIRE_H

#include "neigh.h"

enum neigh_news {
	NEIGH_NEWS_WEAK,      /* says so, but must not replace what is known */
	NEIGH_NEWS_STRONG,    /* replaces, proves no reachability */
	NEIGH_NEWS_CONFIRMED, /* an answer to a question of ours */
};

void neigh_learn(
    struct stack *st, uint16_t slot, const uint8_t mac[6], enum neigh_news news, uint64_t now_ns);
/* Learns where the address is on-link; `make`: also when it was unknown. */
void neigh_heard(struct stack *st, unsigned netif, const struct ip_addr *addr, const uint8_t mac[6],
    enum neigh_news news, bool make, uint64_t now_ns);
/* Somebody else spoke in the name of an own address, or (asks_only) probes for it. True: a conflict. */
bool neigh_own_heard(struct stack *st, unsigned own_index, const uint8_t other_mac[6],
    bool asks_only, uint64_t now_ns);
/* False: questions about this address are left to others (follower, or conflict while probing). */
bool neigh_own_answers(const struct stack *st, unsigned own_index);
/* An own address to ask from on a netif, best in the prefix of `target`; -1: none. */
int neigh_source(const struct stack *st, unsigned netif, const struct ip_addr *target);

/* mac NULL: by broadcast or solicited-node multicast. False: no frame now. */
bool arp_send_request(struct stack *st, unsigned netif, const struct ip_addr *target,
    const uint8_t *mac, struct frame_out *out);
bool nd_send_solicit(struct stack *st, unsigned netif, const struct ip_addr *target,
    const uint8_t *mac, struct frame_out *out);
/* The start sequence of an own address: probes first, then announcements. */
bool arp_send_own(struct stack *st, unsigned own_index, bool probe, struct frame_out *out);
bool nd_send_own(struct stack *st, unsigned own_index, bool probe, struct frame_out *out);

#endif
