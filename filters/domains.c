/* SPDX-License-Identifier: BSD-3-Clause */
/* Building, checking and asking the index over the served domains; the design is in domains.h. */
#include "domains.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FNV_BASIS 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static uint64_t hash_step(uint64_t h, unsigned char c)
{
	return (h ^ c) * FNV_PRIME;
}

static uint32_t hash_end(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return (uint32_t)(h >> 32);
}

static uint32_t hash_name(const char *name)
{
	uint64_t h = FNV_BASIS;

	for (size_t i = strlen(name); i-- > 0;)
		h = hash_step(h, lower(name[i]));
	return hash_end(h);
}

void *domains_build(
    const struct policy_domain *domains, uint32_t n, const char *strings, size_t *ret_len)
{
	struct domains_header *h;
	struct domains_slot *slots;
	uint32_t n_slots = 8;
	size_t len;

	while (n_slots < n * 2)
		n_slots *= 2;
	len = sizeof(*h) + n_slots * sizeof(*slots);
	h = aligned_alloc(64, len);
	if (!h)
		return NULL;
	memset(h, 0, len);
	*h = (struct domains_header){ .magic = DOMAINS_MAGIC, .n_domains = n, .n_slots = n_slots };
	slots = (struct domains_slot *)(h + 1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t hash = hash_name(strings + domains[i].name), k = 0;

		while (slots[(hash + k) & (n_slots - 1)].index)
			k++;
		slots[(hash + k) & (n_slots - 1)] = (struct domains_slot){ hash, i + 1 };
		if (k + 1 > h->max_probes)
			h->max_probes = k + 1;
	}
	*ret_len = len;
	return h;
}

int domains_open(const void *base, size_t len, const struct policy_domain *domains, uint32_t n,
    const char *strings, struct domains *ret_domains, const char **ret_error)
{
	const struct domains_header *h = base;
	const struct domains_slot *slots;

	*ret_error = "domain index: not one of this layout or cut short";
	if (len < sizeof(*h) || h->magic != DOMAINS_MAGIC || h->n_slots == 0 ||
	    (h->n_slots & (h->n_slots - 1)) ||
	    len != sizeof(*h) + (uint64_t)h->n_slots * sizeof(*slots))
		return -EBADMSG;
	*ret_error = "domain index: made for other settings";
	if (h->n_domains != n || h->max_probes > h->n_slots)
		return -EBADMSG;
	slots = (const struct domains_slot *)(h + 1);
	*ret_error = "domain index: a slot points outside";
	for (uint32_t i = 0; i < h->n_slots; i++)
		if (slots[i].index > n)
			return -EBADMSG;
	*ret_domains = (struct domains){
		.slots = slots,
		.mask = h->n_slots - 1,
		.max_probes = h->max_probes,
		.domains = domains,
		.strings = strings,
	};
	return 0;
}

static bool same_name(const char *stored, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)stored[i] != lower(name[i])) /* a stored zero differs, too */
			return false;
	return stored[len] == 0;
}

static const struct policy_domain *find_one(const struct domains *d, uint32_t hash,
    const char *name, size_t len, enum policy_domain_kind kind)
{
	for (uint32_t k = 0; k < d->max_probes; k++) {
		const struct domains_slot *s = &d->slots[(hash + k) & d->mask];
		const struct policy_domain *domain;

		if (s->index == 0)
			return NULL;
		if (s->hash != hash)
			continue;
		domain = &d->domains[s->index - 1];
		if (domain->kind == kind && same_name(d->strings + domain->name, name, len))
			return domain;
	}
	return NULL;
}

const struct policy_domain *domains_find(const struct domains *d, struct text name)
{
	struct {
		uint32_t hash;
		uint16_t at;
	} parents[DOMAINS_MAX_LABELS];
	const struct policy_domain *found;
	uint64_t h = FNV_BASIS;
	unsigned n = 0;

	if (name.len == 0 || name.len > DOMAINS_MAX_LEN || !d->slots)
		return NULL;
	for (unsigned i = name.len; i-- > 0;) {
		if (name.p[i] == '\0')
			return NULL;
		if (name.p[i] == '.' && i + 1u < name.len && n < DOMAINS_MAX_LABELS) {
			parents[n].hash = hash_end(h);
			parents[n++].at = (uint16_t)(i + 1);
			__builtin_prefetch(&d->slots[parents[n - 1].hash & d->mask]);
		}
		h = hash_step(h, lower(name.p[i]));
	}
	found = find_one(d, hash_end(h), name.p, name.len, DOMAIN_EXACT);
	while (!found && n-- > 0)
		found = find_one(d, parents[n].hash, name.p + parents[n].at,
		    name.len - parents[n].at, DOMAIN_SUBDOMAINS);
	return found;
}
