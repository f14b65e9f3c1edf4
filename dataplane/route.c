/* SPDX-License-Identifier: BSD-3-Clause */
/* See route.h. */
#include "route.h"

/* Of the recipient's domain; the root's dot is the same name. */
static struct text domain_of(const struct smtp_path *path)
{
	struct text domain = path->domain;

	if (domain.len && domain.p[domain.len - 1] == '.')
		domain.len--;
	return domain;
}

/* True: the path names hosts beside its domain, and one of them is not served. */
static bool hides_other(const struct policy *p, const struct smtp_path *path)
{
	struct smtp_hosts hosts;
	unsigned pool, tenant;

	if (path->domain.len == 0)
		return false;
	smtp_hosts(path, &hosts);
	if (hosts.too_many)
		return true;
	if (hosts.n < 2)
		return false;
	for (unsigned i = 0; i < hosts.n; i++)
		if (policy_route_domain(p, hosts.host[i], &pool, &tenant) < 0)
			return true;
	return false;
}

void route_recipient(const struct policy *p, const struct facts *facts,
    const struct smtp_path *path, struct route *ret_route)
{
	const struct policy_settings *set = policy_settings(p);
	struct route *r = ret_route;
	int32_t out = set->relay.outbound_pool;

	*r = (struct route){
		.source = relay_source(p, facts),
		.sender = RELAY_OTHER,
		.recipient = RELAY_NOT_SERVED,
	};
	if (policy_route_domain(p, domain_of(path), &r->pool, &r->tenant) == 0)
		r->recipient = RELAY_SERVED;
	if (relay_asks_sender(p, r->source, r->recipient)) /* its forms are work */
		r->sender = relay_sender(p, facts);
	r->action = relay_action(p, r->source, r->sender, r->recipient);
	if (hides_other(p, path))
		r->action = RELAY_REFUSE;
	if (r->action != RELAY_ACCEPT || r->recipient == RELAY_SERVED)
		return;
	if (out < 0) { /* nowhere to send it */
		r->action = RELAY_REFUSE;
		return;
	}
	r->pool = (unsigned)out;
	r->tenant = 0;
}
