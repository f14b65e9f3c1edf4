/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens a policy: finds its parts, checks them, and makes the view. The checks of the settings are
 * tables of rows {count, limit} and loops over the arrays; what a value means for the operator
 * (that a greet delay is below 30 s) is the compiler's to judge, what could lead a reader out of
 * bounds or out of an enumeration is judged here.
 */
#include "policy_view.h"

#include "address_form.h"
#include "address.h"
#include "checks.h"
#include "image.h"
#include "policy_check_grey.h"
#include "policy_check_dns.h"
#include "policy_check_memory.h"
#include "policy_check_shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct part {
	const char *base;
	size_t len;
};

struct opening {
	const struct policy_settings *s;
	struct part parts[IMAGE_N_KINDS];
	policy_scanner_for *scanner_for;
	void *arg;
	const char *error;
};

static bool fail(struct opening *o, const char *error)
{
	o->error = error;
	return false;
}

static bool str_ok(const struct opening *o, policy_str s)
{
	return s < o->parts[IMAGE_STRINGS].len; /* the part ends in a zero */
}

static bool find_parts(struct opening *o, const struct image_part *parts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (parts[i].kind == 0 || parts[i].kind >= IMAGE_N_KINDS)
			return fail(o, "policy: a part of a kind this version does not know");
		if (o->parts[parts[i].kind].base)
			return fail(o, "policy: two parts of one kind");
		if (!parts[i].base || (uintptr_t)parts[i].base % IMAGE_ALIGN != 0)
			return fail(o, "policy: a part is not aligned to 64 bytes");
		o->parts[parts[i].kind] = (struct part){ parts[i].base, parts[i].len };
	}
	if (!o->parts[IMAGE_SETTINGS].base || !o->parts[IMAGE_STRINGS].base)
		return fail(o, "policy: the settings or the strings are missing");
	return true;
}

static bool check_strings(struct opening *o)
{
	const struct part *p = &o->parts[IMAGE_STRINGS];

	if (p->len == 0 || p->len > UINT32_MAX || p->base[0] != 0 || p->base[p->len - 1] != 0)
		return fail(o, "policy: the strings are not terminated");
	return true;
}

static bool check_frame(struct opening *o)
{
	const struct part *p = &o->parts[IMAGE_SETTINGS];
	const struct policy_settings *s = (const struct policy_settings *)(const void *)p->base;

	if (p->len < 8 || s->layout != POLICY_LAYOUT)
		return fail(o, "policy: settings of another layout; compile the policy again");
	if (p->len < sizeof(*s) || s->size != sizeof(*s))
		return fail(o, "policy: settings cut short");
	o->s = s;
	const struct {
		uint64_t n, max;
	} counts[] = {
		{ s->host.n_ports, POLICY_MAX_PORTS },
		{ s->host.n_netifs, POLICY_MAX_NETIFS },
		{ s->host.n_addrs, POLICY_MAX_ADDRS },
		{ s->host.n_routes, POLICY_MAX_ROUTES },
		{ s->host.n_eal, POLICY_MAX_EAL },
		{ s->n_listeners, POLICY_MAX_LISTENERS },
		{ s->n_pools, POLICY_MAX_POOLS },
		{ s->n_servers, POLICY_MAX_SERVERS },
		{ s->n_domains, POLICY_MAX_DOMAINS },
		{ s->n_lists, POLICY_MAX_LISTS },
		{ s->n_rules, POLICY_MAX_RULES },
		{ s->n_access, POLICY_MAX_ACCESS },
		{ s->relay.n_internal, POLICY_MAX_INTERNAL },
	};
	const struct {
		uint64_t offset, size, align;
	} arrays[] = {
		{ s->pools_off, (uint64_t)s->n_pools * sizeof(struct policy_pool),
		    _Alignof(struct policy_pool) },
		{ s->servers_off, (uint64_t)s->n_servers * sizeof(struct policy_server),
		    _Alignof(struct policy_server) },
		{ s->domains_off, (uint64_t)s->n_domains * sizeof(struct policy_domain),
		    _Alignof(struct policy_domain) },
		{ s->lists_off, (uint64_t)s->n_lists * sizeof(struct policy_list),
		    _Alignof(struct policy_list) },
		{ s->rules_off, (uint64_t)s->n_rules * sizeof(struct policy_rule),
		    _Alignof(struct policy_rule) },
		{ s->access_off, (uint64_t)s->n_access * sizeof(struct policy_access),
		    _Alignof(struct policy_access) },
	};

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i].n > counts[i].max)
			return fail(o, "policy: more rows of one kind than there is room for");
	for (unsigned i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (arrays[i].offset % arrays[i].align || arrays[i].offset < sizeof(*s) ||
		    arrays[i].offset > p->len || arrays[i].size > p->len - arrays[i].offset)
			return fail(o, "policy: an array lies outside the settings");
	return true;
}

static bool check_host(struct opening *o)
{
	const struct policy_host *h = &o->s->host;

	for (unsigned i = 0; i < h->n_ports; i++)
		if (!str_ok(o, h->ports[i].name) || !str_ok(o, h->ports[i].device))
			return fail(o, "policy: a port's name lies outside the strings");
	for (unsigned i = 0; i < h->n_eal; i++)
		if (!str_ok(o, h->eal[i]))
			return fail(o, "policy: an EAL argument lies outside the strings");
	for (unsigned i = 0; i < h->n_netifs; i++)
		if (h->netifs[i].port >= h->n_ports || h->netifs[i].vlan > 4094)
			return fail(o, "policy: an interface names no port or no VLAN");
	for (unsigned i = 0; i < h->n_addrs; i++) {
		const struct policy_ip *ip = &h->addrs[i];

		if (ip->netif >= h->n_netifs ||
		    ip->prefix_len > (address_is_v4(ip->addr) ? 32 : 128) || ip->backends_only > 1 ||
		    ip->worker < -1 || (ip->worker >= 0 && (uint32_t)ip->worker >= h->workers))
			return fail(o, "policy: an address is out of range");
	}
	for (unsigned i = 0; i < h->n_routes; i++)
		if (h->routes[i].netif >= h->n_netifs ||
		    h->routes[i].prefix_len > (address_is_v4(h->routes[i].dst) ? 32 : 128))
			return fail(o, "policy: a route is out of range");
	if (h->syn_ring & (h->syn_ring - 1))
		return fail(o, "policy: the SYN ring is no power of two");
	return true;
}

static bool check_mail(struct opening *o, const struct policy *p)
{
	const struct policy_settings *s = o->s;

	if (!str_ok(o, s->smtp.hostname) || !str_ok(o, s->smtp.banner) ||
	    !str_ok(o, s->smtp.contact_url))
		return fail(o, "policy: an SMTP text lies outside the strings");
	if (s->smtp.bare_newline > BARE_DISCONNECT || s->smtp.starttls > STARTTLS_PASS ||
	    s->smtp.add_received > 1)
		return fail(o, "policy: an SMTP setting is out of range");
	o->error = policy_check_shape(&s->shape, o->parts[IMAGE_STRINGS].len);
	if (!o->error)
		o->error = policy_check_grey(&s->grey, s->n_rules);
	if (!o->error)
		o->error = policy_check_dns(&s->dns, o->parts[IMAGE_STRINGS].len, s->n_rules);
	if (!o->error)
		o->error = policy_check_memory(&s->memory, s->n_rules);
	if (!o->error && s->bans.kind >= VERDICT_N_KINDS)
		o->error = "policy: a ban of no known kind";
	if (o->error)
		return false;
	for (unsigned i = 0; i < s->n_listeners; i++)
		if (!str_ok(o, s->listeners[i].name) || s->listeners[i].any > 1)
			return fail(o, "policy: a listener is out of range");
	for (unsigned i = 0; i < s->n_servers; i++)
		if (!str_ok(o, p->servers[i].name))
			return fail(o, "policy: a server's name lies outside the strings");
	for (unsigned i = 0; i < s->n_pools; i++) {
		const struct policy_pool *pool = &p->pools[i];

		if (!str_ok(o, pool->name))
			return fail(o, "policy: a pool's name lies outside the strings");
		if (pool->hello > HELLO_XCLIENT || pool->n_servers > s->n_servers ||
		    pool->first_server > s->n_servers - pool->n_servers ||
		    (pool->fallback_pool != 0xffff && pool->fallback_pool >= s->n_pools))
			return fail(o, "policy: a pool is out of range");
	}
	if (s->default_pool < -1 || s->default_pool >= (int32_t)s->n_pools)
		return fail(o, "policy: the default pool is out of range");
	for (unsigned i = 0; i < s->n_domains; i++) {
		const struct policy_domain *d = &p->domain_rows[i];

		if (!str_ok(o, d->name) || d->pool >= s->n_pools || d->kind > DOMAIN_SUBDOMAINS)
			return fail(o, "policy: a domain is out of range");
	}
	for (unsigned i = 0; i < s->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];

		if (!str_ok(o, l->name) || !address_verdict_known(l->verdict) ||
		    l->verify_share > 100 || l->reason >= REASON_N || l->pool < -1 ||
		    l->pool >= (int32_t)s->n_pools || l->rule >= s->n_rules)
			return fail(o, "policy: a list is out of range");
	}
	return true;
}

static bool check_rules(struct opening *o, struct policy *p)
{
	if (o->s->n_rules < CHECK_N)
		return fail(o, "policy: a built-in check has no rule");
	for (unsigned i = 0; i < o->s->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];

		if (!str_ok(o, r->name) || r->reason >= REASON_N || r->kind >= RULE_N_KINDS ||
		    r->action >= VERDICT_N_KINDS || r->state > RULE_OFF || r->share > 100)
			return fail(o, "policy: a rule is out of range");
		if (r->id == 0 || r->id > RULE_ID_MASK || p->rule_of_id[r->id])
			return fail(o, "policy: a rule's number is out of range or taken");
		p->rule_of_id[r->id] = (uint16_t)(i + 1);
	}
	checks_open(p);
	return true;
}

static bool check_access(struct opening *o, struct policy *p)
{
	const struct policy_relay *r = &o->s->relay;
	const uint8_t *cell = &r->matrix[0][0][0];

	for (unsigned i = 0; i < o->s->n_access; i++) {
		if (p->access[i].rule >= o->s->n_rules || p->access[i].kind >= ACCESS_N_KINDS)
			return fail(o, "policy: an access rule is out of range");
		p->n_access_passes += p->rules[p->access[i].rule].action == VERDICT_PASS;
	}
	for (unsigned i = 0; i < sizeof(r->matrix); i++)
		if (cell[i] >= RELAY_N_ACTIONS)
			return fail(o, "policy: the relay matrix is out of range");
	for (unsigned i = 0; i < r->n_internal; i++)
		if (r->internal[i].prefix_len > (address_is_v4(r->internal[i].addr) ? 32 : 128))
			return fail(o, "policy: an internal prefix is out of range");
	if (r->outbound_pool < -1 || r->outbound_pool >= (int32_t)o->s->n_pools)
		return fail(o, "policy: the outbound pool is out of range");
	return true;
}

static struct scanner *own_scanner(void *arg, const struct image_part *part,
    const struct policy_settings *settings, const char **ret_error)
{
	unsigned n = settings->host.workers ? settings->host.workers : 1;
	struct pattern_limits limits = scanner_limits(&settings->patterns, n);
	struct scanner *s = NULL;

	(void)arg;
	return scanner_new(part->base, part->len, &limits, n, &s, ret_error) < 0 ? NULL : s;
}

static bool check_patterns(struct opening *o, struct policy *p)
{
	static const uint32_t kinds[POLICY_PATTERN_SETS] = { IMAGE_PATTERNS, IMAGE_PATTERNS_2 };
	const struct policy_patterns *s = &o->s->patterns;

	if (s->on_failure != VERDICT_NONE && s->on_failure != VERDICT_DEFER &&
	    s->on_failure != VERDICT_REFUSE)
		return fail(o, "policy: what a message that was not scanned gets is out of range");
	for (unsigned i = 0; i < POLICY_PATTERN_SETS; i++) {
		struct image_part part = { kinds[i], o->parts[kinds[i]].base,
			o->parts[kinds[i]].len };

		if (!part.base)
			continue;
		p->scanners[i] = o->scanner_for(o->arg, &part, o->s, &o->error);
		if (!p->scanners[i])
			return false;
	}
	for (unsigned i = 0; i < o->s->n_rules; i++) {
		uint32_t set = p->rules[i].index >> 16, rule = p->rules[i].index & 0xffff;

		if (p->rules[i].kind != RULE_PATTERN || set >= POLICY_PATTERN_SETS ||
		    !p->scanners[set]) /* without its set it is never hit */
			continue;
		if (rule >= pattern_n_rules(scanner_set(p->scanners[set])))
			return fail(o, "policy: a rule's pattern is not there");
		p->pattern_rows[set][rule] = (uint16_t)(i + 1);
	}
	return true;
}

static bool check_tables(struct opening *o, struct policy *p)
{
	const struct part *a = &o->parts[IMAGE_ADDRESSES], *d = &o->parts[IMAGE_DOMAINS];

	if (a->base && addrset_open(a->base, a->len, o->s->n_lists, &p->addresses, &o->error) < 0)
		return false;
	p->has_lists = p->addresses.cells || p->addresses.top;
	if (o->parts[IMAGE_NAMES].base &&
	    nameset_open(o->parts[IMAGE_NAMES].base, o->parts[IMAGE_NAMES].len, p->strings,
		o->parts[IMAGE_STRINGS].len, &p->namesets, &o->error) < 0)
		return false;
	if (!check_patterns(o, p))
		return false;
	if (d->base)
		return domains_open(d->base, d->len, p->domain_rows, o->s->n_domains, p->strings,
			   &p->domains, &o->error) == 0;
	if (o->s->n_domains)
		return fail(o, "policy: the domain index is missing");
	return true;
}

int policy_open(const struct image_part *parts, unsigned n_parts, uint32_t epoch,
    struct policy **ret_policy, const char **ret_error)
{
	return policy_open_with(parts, n_parts, epoch, NULL, NULL, ret_policy, ret_error);
}

int policy_open_with(const struct image_part *parts, unsigned n_parts, uint32_t epoch,
    policy_scanner_for *scanner_for, void *arg, struct policy **ret_policy, const char **ret_error)
{
	struct opening o = { .scanner_for = scanner_for ? scanner_for : own_scanner, .arg = arg };
	struct policy *p = aligned_alloc(64, (sizeof(*p) + 63) & ~(size_t)63);
	const char *base;

	if (!p) {
		*ret_error = "policy: no memory";
		return -ENOMEM;
	}
	memset(p, 0, sizeof(*p));
	p->owns_scanners = !scanner_for;
	if (!find_parts(&o, parts, n_parts) || !check_strings(&o) || !check_frame(&o))
		goto bad;
	base = o.parts[IMAGE_SETTINGS].base;
	p->settings = o.s;
	p->strings = o.parts[IMAGE_STRINGS].base;
	p->pools = (const void *)(base + o.s->pools_off);
	p->servers = (const void *)(base + o.s->servers_off);
	p->domain_rows = (const void *)(base + o.s->domains_off);
	p->lists = (const void *)(base + o.s->lists_off);
	p->rules = (const void *)(base + o.s->rules_off);
	p->access = (const void *)(base + o.s->access_off);
	p->epoch = epoch;
	if (!check_host(&o) || !check_rules(&o, p) || !check_access(&o, p) || !check_mail(&o, p) ||
	    !check_tables(&o, p))
		goto bad;
	address_prepare(p);
	*ret_policy = p;
	return 0;
bad:
	policy_close(p);
	*ret_error = o.error;
	return -EBADMSG;
}

struct policy *policy_close(struct policy *p)
{
	for (unsigned i = 0; p && p->owns_scanners && i < POLICY_PATTERN_SETS; i++)
		scanner_free(p->scanners[i]);
	free(p);
	return NULL;
}

const struct pattern_set *policy_patterns(const struct policy *p)
{
	return p->scanners[PATTERN_SET_FILES] ? scanner_set(p->scanners[PATTERN_SET_FILES]) : NULL;
}

struct scanner *policy_scanner(const struct policy *p, unsigned set)
{
	return p->scanners[set];
}

const struct policy_settings *policy_settings(const struct policy *p)
{
	return p->settings;
}

const char *policy_string(const struct policy *p, policy_str s)
{
	return p->strings + s;
}

const struct policy_pool *policy_pool(const struct policy *p, unsigned index)
{
	return &p->pools[index];
}

const struct policy_list *policy_list(const struct policy *p, unsigned index)
{
	return &p->lists[index];
}

const struct policy_server *policy_server(const struct policy *p, unsigned index)
{
	return &p->servers[index];
}

const struct nameset *policy_namesets(const struct policy *p)
{
	return &p->namesets;
}

const char *policy_domain_name(const struct policy *p, unsigned index)
{
	return p->strings + p->domain_rows[index].name;
}

uint32_t policy_epoch(const struct policy *p)
{
	return p->epoch;
}

int policy_route_domain(
    const struct policy *p, struct text domain, unsigned *ret_pool, unsigned *ret_tenant)
{
	const struct policy_domain *d = domains_find(&p->domains, domain);
	int32_t pool = p->settings->default_pool;

	if (d) {
		*ret_pool = d->pool;
		*ret_tenant = d->tenant;
		return 0;
	}
	if (domain.len == 0 && pool < 0 && p->settings->n_pools > 0) /* bare <Postmaster>, P13 */
		pool = 0;
	if (pool < 0)
		return -ENOENT;
	*ret_pool = (unsigned)pool;
	*ret_tenant = 0;
	return 0;
}
