/* SPDX-License-Identifier: BSD-3-Clause */
/* The IP half's tables: made, tied to each other, unmade. */
#include "ip_half.h"

#include <errno.h>
#include <stdlib.h>

static void netifs_init(struct ip_half *ip, const struct stack_config *config)
{
	ip->n_ports = config->n_ports;
	ip->n_netifs = config->n_netifs;
	memset(ip->untagged, 0xff, sizeof(ip->untagged));
	for (unsigned i = 0; i < config->n_netifs; i++) {
		const struct stack_netif *c = &config->netifs[i];
		const struct stack_port *port = &config->ports[c->port];
		struct netif_info *ni = &ip->netifs[i];
		bool tag = c->vlan && !port->vlan_insert;
		memcpy(ni->mac, port->mac, 6);
		ni->port = c->port;
		ni->vlan = c->vlan;
		ni->tag_by_port = c->vlan && port->vlan_insert;
		ni->hdr_len = tag ? ETH_LEN + ETH_TAG_LEN : ETH_LEN;
		ni->mtu = port->mtu;
		ni->tx_caps = port->tx_caps;
		if (!c->vlan)
			ip->untagged[c->port] = (uint8_t)i;
	}
}

static int listen_init(struct ip_half *ip, const struct stack_config *config)
{
	const struct stack_secrets *s = &config->secrets;
	int r;

	cookie_init(&ip->cookies, s->cookie_key);
	/* The largest window that the buffer can ever want (RFC 7323 2.3). */
	while (ip->rcv_wscale < 14 && config->rcv_buf >> ip->rcv_wscale > 65535)
		ip->rcv_wscale++;
	ip->synack_window = (uint16_t)(config->rcv_buf > 65535 ? 65535 : config->rcv_buf);
	r = synring_init(&ip->ring, config->syn_ring);
	if (r == 0)
		r = ratelimit_init(&ip->cap_synack, 1024, config->cap_synack, s->hash_key);
	if (r == 0)
		r = ratelimit_init(&ip->cap_rst, 256, config->cap_rst, s->hash_key);
	if (r == 0)
		r = ratelimit_init(&ip->cap_icmp, 256, config->cap_icmp, s->hash_key);
	if (r == 0)
		r = tally_init(&ip->bad_acks, s->hash_key);
	return r;
}

int ip_half_new(const struct stack_config *config, uint64_t now_ns, struct ip_half **ret_half)
{
	struct ip_half *ip = calloc(1, sizeof(*ip));
	int r;

	if (!ip)
		return -ENOMEM;
	ip->now_ns = now_ns;
	netifs_init(ip, config);
	mld_init(ip, now_ns);
	r = route_init(&ip->routes, config);
	if (r < 0)
		goto fail;
	r = neigh_init(&ip->neigh, config->max_neigh, now_ns);
	if (r < 0)
		goto fail;
	r = frag_init(&ip->frags, config->max_reasm);
	if (r < 0)
		goto fail;
	r = listen_init(ip, config);
	if (r < 0)
		goto fail;
	r = tarpit_init(&ip->tarpit, config->max_tarpit, config->secrets.hash_key);
	if (r < 0)
		goto fail;
	r = -ENOMEM;
	ip->pmtu = calloc(1, sizeof(*ip->pmtu));
	if (!ip->pmtu)
		goto fail;
	*ret_half = ip;
	return 0;
fail:
	ip_half_free(ip);
	return r;
}

struct ip_half *ip_half_free(struct ip_half *half)
{
	if (half) {
		free(half->pmtu);
		tarpit_fini(&half->tarpit);
		frag_fini(&half->frags);
		synring_fini(&half->ring);
		ratelimit_fini(&half->cap_synack);
		ratelimit_fini(&half->cap_rst);
		ratelimit_fini(&half->cap_icmp);
		tally_fini(&half->bad_acks);
		neigh_fini(&half->neigh);
		free(half);
	}
	return NULL;
}

static int pin_gateways(struct stack *st, struct route_entry *r, unsigned n, uint64_t now_ns)
{
	for (unsigned i = 0; i < n; i++) {
		if (r[i].direct)
			continue;
		/* Each gateway is asked for at once and watched from then on. */
		r[i].neigh = neigh_get(st, r[i].netif, &r[i].via, now_ns);
		if (r[i].neigh == NEIGH_NONE)
			return -ENOSPC; /* max_neigh too small for the routes */
		neigh_pin(&st->ip->neigh, r[i].neigh);
	}
	return 0;
}

int ip_half_start(struct stack *st, uint64_t now_ns)
{
	struct route_table *t = &st->ip->routes;
	int r = pin_gateways(st, t->r4, t->n4, now_ns);

	return r < 0 ? r : pin_gateways(st, t->r6, t->n6, now_ns);
}
