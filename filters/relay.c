/* SPDX-License-Identifier: BSD-3-Clause */
/* See relay.h. */
#include "relay.h"

#include "address_form.h"
#include "canonical.h"
#include "policy_view.h"

#include <string.h>

const char *const relay_source_words[RELAY_N_SOURCES] = { "external", "internal" };
const char *const relay_sender_words[RELAY_N_SENDERS] = { "other", "ours", "null" };
const char *const relay_action_words[RELAY_N_ACTIONS] = { "refuse", "defer", "accept" };

void relay_defaults(struct policy_relay *relay)
{
	memset(relay, 0, sizeof(*relay)); /* refuse */
	relay->internal_hosts = relay->own_senders = POLICY_NO_SET;
	relay->outbound_pool = -1;
	for (unsigned source = 0; source < RELAY_N_SOURCES; source++)
		for (unsigned sender = 0; sender < RELAY_N_SENDERS; sender++)
			relay->matrix[source][sender][RELAY_SERVED] = RELAY_ACCEPT;
	relay->matrix[RELAY_INTERNAL][RELAY_OURS][RELAY_NOT_SERVED] = RELAY_ACCEPT;
	relay->matrix[RELAY_INTERNAL][RELAY_NULL][RELAY_NOT_SERVED] = RELAY_ACCEPT;
}

static bool contains(const struct policy_internal *i, const uint8_t client[16])
{
	bool v4 = address_is_v4(i->addr);
	unsigned bits = i->prefix_len + (v4 ? 96 : 0);

	if (v4 != address_is_v4(client) || memcmp(i->addr, client, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (i->addr[bits / 8] ^ client[bits / 8]) >> (8 - bits % 8) == 0;
}

enum relay_source relay_source(const struct policy *p, const struct facts *facts)
{
	const struct policy_relay *r = &p->settings->relay;

	for (uint32_t i = 0; i < r->n_internal; i++)
		if (contains(&r->internal[i], facts->client))
			return RELAY_INTERNAL;
	if (facts->host_name.len && r->internal_hosts != POLICY_NO_SET &&
	    nameset_find(&p->namesets, r->internal_hosts, facts->host_name, facts->now_s, NULL))
		return RELAY_INTERNAL;
	return RELAY_EXTERNAL;
}

static bool is_ours(const struct policy *p, struct text address, uint32_t now_s)
{
	const char *at = memrchr(address.p, '@', address.len);
	struct text domain = { at ? at + 1 : address.p, 0 };

	domain.len = (uint16_t)(address.p + address.len - domain.p);
	if (!at)
		return false;
	if (domains_find(&p->domains, domain))
		return true;
	return p->settings->relay.own_senders != POLICY_NO_SET &&
	       nameset_find(&p->namesets, p->settings->relay.own_senders, address, now_s, NULL);
}

enum relay_sender relay_sender(const struct policy *p, const struct facts *facts)
{
	struct canonical c;

	if (facts->mail.len == 0)
		return RELAY_NULL;
	canonical_forms(facts->mail, &c);
	for (unsigned i = 0; i < c.n; i++)
		if (!is_ours(p, c.forms[i], facts->now_s))
			return RELAY_OTHER;
	return c.n ? RELAY_OURS : RELAY_OTHER;
}

bool relay_asks_sender(
    const struct policy *p, enum relay_source source, enum relay_recipient recipient)
{
	for (unsigned i = 1; i < RELAY_N_SENDERS; i++)
		if (relay_action(p, source, i, recipient) != relay_action(p, source, 0, recipient))
			return true;
	return false;
}

enum relay_action relay_action(const struct policy *p, enum relay_source source,
    enum relay_sender sender, enum relay_recipient recipient)
{
	return p->settings->relay.matrix[source][sender][recipient];
}
