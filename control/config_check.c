/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What no single value shows: references, duplicates, conflicts. Runs even where values were
 * refused (`given` is false there), so that one run names as much as can be known.
 */
#include "config.h"
#include "names.h"

#include "filters/policy.h"

#include <stdio.h>
#include <string.h>

enum { ADDRESSES_MAX = POLICY_MAX_ADDRS };

struct own_address {
	const struct config_value *value;
	size_t interface;
};

struct check {
	struct config *config;
	struct complaints *complaints;
	struct names ports, pools;
	struct own_address own[ADDRESSES_MAX];
	size_t n_own;
};

#define WRONG(k, value, ...) complain((k)->complaints, (k)->config->path, (value)->pos, __VA_ARGS__)

/* NULL, or why nobody can have that address. */
static const char *unusable(const uint8_t addr[16])
{
	static const uint8_t loopback[16] = { [15] = 1 }, unspecified[16] = { 0 };
	if (inet_is_v4(addr)) {
		if (addr[12] == 0)
			return "is in 0.0.0.0/8, which means this network";
		if (addr[12] == 127)
			return "is a loopback address";
		if (addr[12] >= 240)
			return "is in 240.0.0.0/4, which is reserved";
		return addr[12] >= 224 ? "is a multicast address" : NULL;
	}
	if (memcmp(addr, unspecified, 16) == 0)
		return "is the unspecified address";
	if (memcmp(addr, loopback, 16) == 0)
		return "is a loopback address";
	return addr[0] == 0xff ? "is a multicast address" : NULL;
}

static const struct own_address *own_of(const struct check *k, const uint8_t addr[16])
{
	for (size_t i = 0; i < k->n_own; i++)
		if (memcmp(k->own[i].value->net.addr, addr, 16) == 0)
			return &k->own[i];
	return NULL;
}

static const struct own_address *connected_to(const struct check *k, const uint8_t addr[16])
{
	const struct own_address *best = NULL;
	for (size_t i = 0; i < k->n_own; i++) {
		const struct inet_net *net = &k->own[i].value->net;
		if (inet_net_contains(net, addr) &&
		    (best == NULL || net->prefix_len > best->value->net.prefix_len))
			best = &k->own[i];
	}
	return best;
}

/* ---- host ---- */

static void check_ports(struct check *k)
{
	struct config_items *items = &k->config->host.ports;
	struct config_port *ports = items->items;
	struct names devices;
	if (!names_init(&k->ports, &k->config->arena, items->n) ||
	    !names_init(&devices, &k->config->arena, items->n))
		return;
	for (size_t i = 0; i < items->n; i++) {
		names_add(&k->ports, &ports[i].name, ports[i].name.text, i);
		names_add(&devices, &ports[i].device, ports[i].device.text, i);
	}
	names_sort(&k->ports, "host.ports.name", k->config->path, k->complaints);
	names_sort(&devices, "host.ports.device", k->config->path, k->complaints);
}

static bool same_link(const struct config_interface *a, const struct config_interface *b)
{
	return a->port_index == b->port_index && a->vlan.number == b->vlan.number;
}

static void check_address(struct check *k, const struct config_value *value, size_t interface)
{
	const char *key = "host.interfaces.addresses", *wrong = unusable(value->net.addr);
	const struct config_interface *interfaces = k->config->host.interfaces.items;
	if (!value->given)
		return;
	if (wrong != NULL) {
		WRONG(k, value, "%s: \"%s\" %s; allowed: an address of one host", key, value->text,
		    wrong);
		return;
	}
	struct inet_range range = inet_net_range(&value->net);
	if (inet_is_v4(value->net.addr) && value->net.prefix_len <= 30 &&
	    (memcmp(range.first, value->net.addr, 16) == 0 ||
		memcmp(range.last, value->net.addr, 16) == 0)) {
		WRONG(k, value,
		    "%s: \"%s\" is its prefix's own network or broadcast address; allowed: "
		    "an address between the two",
		    key, value->text);
		return;
	}
	const struct own_address *twin = own_of(k, value->net.addr);
	if (twin != NULL) {
		WRONG(k, value, "%s: \"%s\" is ours already (line %u); allowed: each address once",
		    key, value->text, twin->value->pos.line);
		return;
	}
	for (size_t i = 0; i < k->n_own; i++) {
		const struct own_address *other = &k->own[i];
		if (same_link(&interfaces[other->interface], &interfaces[interface]) ||
		    (!inet_net_contains(&other->value->net, value->net.addr) &&
			!inet_net_contains(&value->net, other->value->net.addr)))
			continue;
		WRONG(k, value,
		    "%s: the prefix of \"%s\" overlaps that of \"%s\" on another interface "
		    "(line %u); allowed: a prefix is connected to one interface",
		    key, value->text, other->value->text, other->value->pos.line);
		break;
	}
	if (k->n_own == ADDRESSES_MAX) {
		WRONG(k, value, "%s: too many addresses; allowed: %d on all interfaces together",
		    key, ADDRESSES_MAX);
		return;
	}
	k->own[k->n_own++] = (struct own_address){ value, interface };
}

static void check_interfaces(struct check *k)
{
	struct config_items *items = &k->config->host.interfaces;
	struct config_interface *interfaces = items->items;
	for (size_t i = 0; i < items->n; i++) {
		struct config_interface *own = &interfaces[i];
		long port = names_resolve(&k->ports, &own->port, "host.interfaces.port", "port",
		    k->config->path, k->complaints);
		/* an unknown port is one of its own, so that nothing conflicts with it */
		own->port_index = port < 0 ? SIZE_MAX - i : (size_t)port;
		for (size_t j = 0; j < i; j++) {
			const struct config_interface *other = &interfaces[j];
			if (!same_link(own, other) ||
			    own->backends_only.number != other->backends_only.number)
				continue;
			WRONG(k, &own->port,
			    "host.interfaces: port \"%s\" with vlan %lld is configured already "
			    "(line %u); "
			    "allowed: one interface for each port, vlan and backends_only",
			    own->port.text, (long long)own->vlan.number, other->port.pos.line);
			break;
		}
		const struct config_value *addresses = own->addresses.items;
		for (size_t j = 0; j < own->addresses.n; j++)
			check_address(k, &addresses[j], i);
	}
}

static bool same_net(const struct inet_net *a, const struct inet_net *b)
{
	return a->prefix_len == b->prefix_len && memcmp(a->addr, b->addr, 16) == 0;
}

static void check_routes(struct check *k)
{
	struct config_items *items = &k->config->host.routes;
	struct config_route *routes = items->items;
	for (size_t i = 0; i < items->n; i++) {
		struct config_route *route = &routes[i];
		if (!route->via.given || !route->to.given)
			continue;
		const uint8_t *via = route->via.net.addr;
		route->is_default = route->to.number == 0;
		if (!route->is_default) {
			route->net = route->to.net;
		} else if (inet_is_v4(via)) {
			memcpy(route->net.addr, via, 12);
		}
		if (inet_is_v4(route->net.addr) != inet_is_v4(via)) {
			WRONG(k, &route->via,
			    "host.routes.via: \"%s\" is of another family than \"%s\"; allowed: a "
			    "gateway of "
			    "the destination's family",
			    route->via.text, route->to.text);
			continue;
		}
		for (size_t j = 0; j < i; j++)
			if (routes[j].via.given && routes[j].to.given &&
			    same_net(&routes[j].net, &route->net)) {
				WRONG(k, &route->to,
				    "host.routes.to: \"%s\" has a route already (line %u); "
				    "allowed: one for "
				    "each destination and family",
				    route->to.text, routes[j].to.pos.line);
				break;
			}
		const struct own_address *near = connected_to(k, via);
		if (own_of(k, via) != NULL)
			WRONG(k, &route->via,
			    "host.routes.via: \"%s\" is our own address; allowed: another host's "
			    "on a "
			    "connected prefix",
			    route->via.text);
		else if (near == NULL)
			WRONG(k, &route->via,
			    "host.routes.via: \"%s\" is not on a connected prefix; allowed: an "
			    "address "
			    "within a prefix of host.interfaces.addresses",
			    route->via.text);
		else
			route->interface_index = near->interface;
	}
}

/* ---- mail ---- */

static void check_smtp(struct check *k)
{
	const struct config_smtp *smtp = &k->config->smtp;
	const char *url = smtp->contact_url.text;
	if (smtp->contact_url.given && *url != '\0' && strncmp(url, "https://", 8) != 0 &&
	    strncmp(url, "http://", 7) != 0 && strncmp(url, "mailto:", 7) != 0)
		WRONG(k, &smtp->contact_url,
		    "smtp.contact_url: \"%s\" is not a URL; allowed: https://..., http://... or "
		    "mailto:...",
		    url);
	if (smtp->window_quota.number < smtp->inspection_window.number)
		WRONG(k, smtp->window_quota.given ? &smtp->window_quota : &smtp->inspection_window,
		    "smtp.window_quota: %lld is less than one inspection_window; allowed: %lld or "
		    "more",
		    (long long)smtp->window_quota.number, (long long)smtp->inspection_window.number);
	const struct config_limits *limits = &k->config->limits;
	if (limits->prefix_connections.number < limits->connections.number)
		WRONG(k,
		    limits->prefix_connections.given ? &limits->prefix_connections
						     : &limits->connections,
		    "limits.prefix_connections: %lld is less than limits.connections of a single "
		    "address; "
		    "allowed: %lld or more",
		    (long long)limits->prefix_connections.number,
		    (long long)limits->connections.number);
}

static void check_listeners(struct check *k)
{
	struct config_items *items = &k->config->listeners;
	struct config_listener *listeners = items->items;
	const struct config_interface *interfaces = k->config->host.interfaces.items;
	struct names names;
	bool heard = k->n_own == 0;
	for (size_t i = 0; i < k->n_own; i++)
		heard = heard || interfaces[k->own[i].interface].backends_only.number == 0;
	if (!names_init(&names, &k->config->arena, items->n))
		return;
	for (size_t i = 0; i < items->n; i++) {
		struct config_listener *own = &listeners[i];
		names_add(&names, &own->name, own->name.text, i);
		if (own->address.wrong || own->port.wrong)
			continue;
		own->any = own->address.number == 0;
		if (own->any && !heard)
			WRONG(k, &own->address,
			    "listeners.address: every address of ours is backends_only; allowed: "
			    "at least one "
			    "that is not");
		const struct own_address *ours = own->any ? NULL : own_of(k, own->address.net.addr);
		if (!own->any && own->address.given && ours == NULL)
			WRONG(k, &own->address,
			    "listeners.address: \"%s\" is not ours; allowed: any, or one of "
			    "host.interfaces.addresses",
			    own->address.text);
		if (ours != NULL && interfaces[ours->interface].backends_only.number != 0)
			WRONG(k, &own->address,
			    "listeners.address: \"%s\" is backends_only; allowed: any, or an "
			    "address that is "
			    "not",
			    own->address.text);
		for (size_t j = 0; j < i; j++) {
			const struct config_listener *other = &listeners[j];
			if (other->address.wrong || other->port.wrong ||
			    own->port.number != other->port.number ||
			    !(own->any || other->any ||
				memcmp(own->address.net.addr, other->address.net.addr, 16) == 0))
				continue;
			WRONG(k, own->port.given ? &own->port : &own->name,
			    "listeners.port: %lld on this address is listener \"%s\"'s (line %u); "
			    "allowed: an "
			    "address and port once, `any` being all addresses",
			    (long long)own->port.number, other->name.text, other->name.pos.line);
			break;
		}
	}
	names_sort(&names, "listeners.name", k->config->path, k->complaints);
}

static bool reachable(const struct check *k, const uint8_t addr[16])
{
	const struct config_items *items = &k->config->host.routes;
	const struct config_route *routes = items->items;
	bool found = connected_to(k, addr) != NULL;
	for (size_t i = 0; i < items->n && !found; i++)
		found = !routes[i].via.given || !routes[i].to.given ||
			inet_net_contains(&routes[i].net, addr);
	return found;
}

static void check_server(struct check *k, const struct config_pool *pool, size_t index)
{
	const struct config_server *servers = pool->servers.items, *own = &servers[index];
	const char *wrong = unusable(own->address.net.addr);
	if (own->max_connections.number < k->config->host.workers.number)
		WRONG(k, &own->max_connections,
		    "pools.servers.max_connections: %lld for %lld workers; allowed: at least one "
		    "each",
		    (long long)own->max_connections.number,
		    (long long)k->config->host.workers.number);
	if (!own->address.given)
		return;
	if (wrong != NULL)
		WRONG(k, &own->address,
		    "pools.servers.address: \"%s\" %s; allowed: a host's address",
		    own->address.text, wrong);
	else if (own_of(k, own->address.net.addr) != NULL)
		WRONG(k, &own->address,
		    "pools.servers.address: \"%s\" is our own; allowed: the mail server's",
		    own->address.text);
	else if (k->n_own != 0 && !reachable(k, own->address.net.addr))
		WRONG(k, &own->address,
		    "pools.servers.address: no way leads to \"%s\"; allowed: an address on a "
		    "connected "
		    "prefix or behind one of host.routes",
		    own->address.text);
	for (size_t j = 0; j < index; j++)
		if (servers[j].address.given && own->port.number == servers[j].port.number &&
		    memcmp(own->address.net.addr, servers[j].address.net.addr, 16) == 0) {
			WRONG(k, &own->address,
			    "pools.servers.address: \"%s\" with port %lld is server \"%s\" already "
			    "(line %u); "
			    "allowed: once in a pool",
			    own->address.text, (long long)own->port.number, servers[j].name.text,
			    servers[j].name.pos.line);
			break;
		}
}

static void check_pools(struct check *k)
{
	struct config_items *items = &k->config->pools;
	struct config_pool *pools = items->items;
	const char *path = k->config->path;
	struct names servers;
	size_t n_servers = 0;
	for (size_t i = 0; i < items->n; i++)
		n_servers += pools[i].servers.n;
	if (n_servers > POLICY_MAX_SERVERS)
		complain(k->complaints, path, items->pos, "pools: %zu servers in all; allowed: %d",
		    n_servers, POLICY_MAX_SERVERS);
	if (!names_init(&k->pools, &k->config->arena, items->n) ||
	    !names_init(&servers, &k->config->arena, n_servers))
		return;
	for (size_t i = 0; i < items->n; i++) {
		const struct config_server *list = pools[i].servers.items;
		names_add(&k->pools, &pools[i].name, pools[i].name.text, i);
		for (size_t j = 0; j < pools[i].servers.n; j++) {
			names_add(
			    &servers, &list[j].name, list[j].name.text, i * POLICY_MAX_SERVERS + j);
			check_server(k, &pools[i], j);
		}
	}
	names_sort(&k->pools, "pools.name", path, k->complaints);
	names_sort(&servers, "pools.servers.name", path, k->complaints);
	for (size_t i = 0; i < items->n; i++) {
		struct config_pool *own = &pools[i];
		own->fallback_index = (int)names_resolve(
		    &k->pools, &own->fallback, "pools.fallback", "pool", path, k->complaints);
		if (own->fallback_index >= 0 && strcmp(own->fallback.text, own->name.text) == 0)
			WRONG(k, &own->fallback,
			    "pools.fallback: \"%s\" is this pool; allowed: another pool, or \"\" "
			    "for none",
			    own->fallback.text);
	}
	k->config->default_pool_index = (int)names_resolve(
	    &k->pools, &k->config->default_pool, "default_pool", "pool", path, k->complaints);
}

static void check_domains(struct check *k)
{
	struct config_items *items = &k->config->domains;
	struct config_domain *domains = items->items;
	struct names names;
	if (!names_init(&names, &k->config->arena, items->n))
		return;
	for (size_t i = 0; i < items->n; i++) {
		struct config_domain *own = &domains[i];
		char *folded =
		    arena_text(&k->config->arena, own->domain.text, strlen(own->domain.text));
		if (folded == NULL)
			return;
		for (char *p = folded; *p != '\0'; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
		own->folded = folded;
		names_add(&names, &own->domain, folded, i);
		long pool = names_resolve(
		    &k->pools, &own->pool, "domains.pool", "pool", k->config->path, k->complaints);
		own->pool_index = pool < 0 ? 0 : (size_t)pool;
	}
	names_sort(&names, "domains.domain", k->config->path, k->complaints);
}

static void check_mmdb(struct check *k, const struct config_list *list)
{
	const struct config_value *countries = list->country.items, *asns = list->asn.items;
	bool asked = list->country.n != 0 || list->asn.n != 0, there = *list->mmdb.text != '\0';
	if (asked && !there && !list->mmdb.wrong)
		WRONG(k, list->country.n != 0 ? &countries[0] : &asns[0],
		    "lists.%s: there is no file to find networks in; allowed: with mmdb naming a "
		    "MaxMind DB file",
		    list->country.n != 0 ? "country" : "asn");
	if (there && !asked)
		WRONG(k, &list->mmdb,
		    "lists.mmdb: nothing is taken from the file; allowed: with country or asn");
	for (size_t i = 0; i < list->country.n; i++) {
		const char *c = countries[i].text;
		if (!countries[i].wrong &&
		    (strlen(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z'))
			WRONG(k, &countries[i],
			    "lists.country: \"%s\" is no country; allowed: two capital letters", c);
	}
	for (size_t i = 0; i < list->asn.n; i++)
		if (asns[i].number < 1 || asns[i].number > UINT32_MAX)
			WRONG(k, &asns[i], "lists.asn: allowed: 1 to 4294967295");
}

static void check_lists(struct check *k)
{
	struct config_items *items = &k->config->lists;
	const struct config_list *lists = items->items;
	struct names names;
	if (!names_init(&names, &k->config->arena, items->n))
		return;
	for (size_t i = 0; i < items->n; i++) {
		names_add(&names, &lists[i].name, lists[i].name.text, i);
		check_mmdb(k, &lists[i]);
	}
	names_sort(&names, "lists.name", k->config->path, k->complaints);
}

void config_check(struct config *c, struct complaints *complaints)
{
	struct check k = { .config = c, .complaints = complaints };
	check_ports(&k);
	check_interfaces(&k);
	check_routes(&k);
	check_smtp(&k);
	check_listeners(&k);
	check_pools(&k);
	check_domains(&k);
	check_lists(&k);
	config_check_access(c, complaints);
	config_check_shape(c, complaints);
	config_check_dns(c, complaints);
	config_check_grey(c, complaints);
	config_check_patterns(c, complaints);
	config_check_memory(c, complaints);
}
