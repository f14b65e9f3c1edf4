/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which DNS lists are believed (P25). A list that has died, been sold or shut us out typically says
 * nothing, everything or an error; each of these would hold up or refuse the world's mail. Every
 * family of a list has a state of its own, since many lists know IPv4 alone.
 *
 *	unproven --both points right--> active --wrong, errors, silence, accepted mail--> suspended
 *	suspended --both points right--> active
 *
 * A list that has no such points says so (dns.lists.probe): of a list of countries only the point that
 * nothing may list is asked, of one with `none` nothing, and suspended for errors it is tried again an
 * interval later.
 *
 * A list that is not active is not asked and counts as `not listed`. Rejected: to suspend by rates
 * alone without test points, where a list that slowly lists everything is found by its victims.
 */
#include "resolver_private.h"

#include <string.h>

enum {
	ERRORS_ROW = 10, /* error answers one behind the other: suspended */
	SILENT_ROW = 20, /* questions without an answer: the points are asked now */
	HITS_ROW = 200,  /* hits without a miss: the points are asked now */
	SILENT_PROBES = 2,
	SOON_S = 5, /* to the second try of a silent point */
	RETRY_LEAST_S = 1,
	RETRY_MOST_S = 60,
	WINDOW = 1000, /* sessions hit; then both counts are halved */
};

const char *const list_state_words[] = { "unproven", "active", "suspended" };
const char *const list_trouble_words[LIST_N_TROUBLES] = { "", "does not list its test point",
	"lists what nothing may list", "answers with errors", "does not answer",
	"names senders whose mail is accepted" };

static const char *const family_words[] = { "IPv4", "IPv6" };

static uint64_t in_s(const struct resolver *r, uint64_t s)
{
	return r->now_ns + s * 1000000000;
}

/* Suspended lists are tried more often than active ones, within reason; not by real clients. */
static uint64_t retry_s(const struct resolver *r, unsigned list)
{
	uint64_t s = r->settings.dns.probe_interval_s / 10;

	if (r->settings.dns.lists[list].probe == DNS_PROBE_NONE)
		return r->settings.dns.probe_interval_s;
	return s < RETRY_LEAST_S ? RETRY_LEAST_S : s > RETRY_MOST_S ? RETRY_MOST_S : s;
}

static void set_state(struct resolver *r, unsigned list, unsigned family, enum list_state state,
    enum list_trouble trouble)
{
	struct list_family *f = &r->lists[list].family[family];
	bool news = f->state != state && !(f->state == LIST_UNPROVEN && state == LIST_ACTIVE);

	if (f->state != state)
		f->since_ns = r->now_ns;
	if (news && state == LIST_SUSPENDED)
		resolver_tell(r, "dns-list-suspended", "%s (%s, %s): %s", r->settings.names[list],
		    r->settings.zones[list], family_words[family], list_trouble_words[trouble]);
	else if (news)
		resolver_tell(r, "dns-list-active", "%s (%s, %s)", r->settings.names[list],
		    r->settings.zones[list], family_words[family]);
	f->state = (uint8_t)state;
	f->trouble = (uint8_t)trouble;
	r->lists[list].errors_row = r->lists[list].silent_row = r->lists[list].hits_row = 0;
}

static void suspend(struct resolver *r, unsigned list, unsigned family, enum list_trouble trouble)
{
	set_state(r, list, family, LIST_SUSPENDED, trouble);
	r->lists[list].family[family].next_probe_ns = in_s(r, retry_s(r, list));
}

bool list_is_asked(const struct resolver *r, unsigned list, bool v6)
{
	return (r->settings.dns.lists[list].families & (v6 ? DNS_V6 : DNS_V4)) &&
	       r->lists[list].family[v6].state == LIST_ACTIVE;
}

/* ---- test points ---- */

static void probes_over(struct resolver *r, unsigned list, unsigned family)
{
	struct list_family *f = &r->lists[list].family[family];
	uint8_t unlisted = f->result[0], listed = f->result[1];

	f->next_probe_ns = in_s(r, r->settings.dns.probe_interval_s);
	if (unlisted == PROBE_ERROR || listed == PROBE_ERROR)
		return suspend(r, list, family, LIST_ERRORS);
	if (unlisted == PROBE_HIT)
		return suspend(r, list, family, LIST_LISTS_ALL);
	if (listed == PROBE_MISS)
		return suspend(r, list, family, LIST_NOT_LISTED);
	if (unlisted == PROBE_SILENT || listed == PROBE_SILENT) {
		/* without a recursor nothing is known of any list */
		if (recursors_up(r) && ++f->silent_probes >= SILENT_PROBES)
			return suspend(r, list, family, LIST_SILENT);
		f->next_probe_ns = in_s(r, retry_s(r, list) < SOON_S ? retry_s(r, list) : SOON_S);
		return;
	}
	f->silent_probes = 0;
	/* right points say nothing about mail that was wrongly named: only resume does */
	if (f->trouble == LIST_ACCEPTED)
		return;
	if (f->state != LIST_ACTIVE)
		set_state(r, list, family, LIST_ACTIVE, LIST_FINE);
}

static void probe(struct resolver *r, unsigned list, unsigned family)
{
	unsigned how = r->settings.dns.lists[list].probe;
	struct list_family *f = &r->lists[list].family[family];

	f->result[0] = PROBE_MISS; /* as it would be right, where it is not asked */
	f->result[1] = PROBE_HIT;
	if (how == DNS_PROBE_NONE) {
		probes_over(r, list, family);
		return;
	}
	f->probes = how == DNS_PROBE_BOTH ? 2 : 1;
	f->probed_ns = r->now_ns;
	f->next_probe_ns = UINT64_MAX;
	job_probe(r, list, family, false);
	if (how == DNS_PROBE_BOTH)
		job_probe(r, list, family, true);
}

void list_probed(struct resolver *r, unsigned list, bool v6, bool listed, enum probe_result result)
{
	struct list_family *f = &r->lists[list].family[v6];

	/* of an earlier policy's row */
	if (list >= r->settings.dns.n_lists || f->probes == 0)
		return;
	f->result[listed] = (uint8_t)result;
	if (--f->probes == 0)
		probes_over(r, list, v6);
}

/* ---- what the work itself shows ---- */

static void probe_now(struct resolver *r, unsigned list, bool v6)
{
	struct list_family *f = &r->lists[list].family[v6];

	if (f->next_probe_ns != UINT64_MAX)
		f->next_probe_ns = r->now_ns;
}

void list_answered(struct resolver *r, unsigned list, bool v6, enum list_outcome outcome)
{
	struct list_belief *b = &r->lists[list];

	switch (outcome) {
	case OUTCOME_MISS: b->errors_row = b->silent_row = b->hits_row = 0; break;
	case OUTCOME_HIT:
		b->hits++;
		b->errors_row = b->silent_row = 0;
		if (++b->hits_row % HITS_ROW == 0)
			probe_now(r, list, v6);
		break;
	case OUTCOME_ERROR:
		b->errors++;
		if (++b->errors_row == ERRORS_ROW && b->family[v6].state == LIST_ACTIVE)
			suspend(r, list, v6, LIST_ERRORS);
		break;
	case OUTCOME_SILENT:
		b->timeouts++;
		if (recursors_up(r) && ++b->silent_row % SILENT_ROW == 0)
			probe_now(r, list, v6);
		break;
	}
}

void lists_named(struct resolver *r, uint32_t lists)
{
	uint32_t blocking = 0;

	for (unsigned i = 0; i < r->settings.dns.n_lists; i++)
		if (lists >> i & 1 && r->settings.dns.lists[i].kind != DNS_LIST_WHITE)
			blocking |= 1u << i;
	if (blocking && (blocking & (blocking - 1)) == 0)
		r->lists[__builtin_ctz(blocking)].sole_hits++;
}

/* Country lists name honest senders by design, white lists are to; of backscatter only the null
 * sender is judged, and other mail of the same server may well be accepted. */
static bool is_accusing(const struct policy_dns_list *list)
{
	return list->kind != DNS_LIST_WHITE && list->kind != DNS_LIST_COUNTRY &&
	       list->kind != DNS_LIST_BACKSCATTER;
}

static void hear(struct resolver *r, unsigned list, uint32_t ended, uint32_t accepted)
{
	const struct policy_dns *dns = &r->settings.dns;
	struct list_belief *b = &r->lists[list];

	b->accepted += accepted;
	b->ended_hits += ended;
	b->ended_accepted += accepted;
	if (is_accusing(&dns->lists[list]) && dns->accepted_percent > 0 &&
	    b->ended_accepted >= dns->accepted_least &&
	    (uint64_t)b->ended_accepted * 100 >= (uint64_t)b->ended_hits * dns->accepted_percent) {
		for (unsigned family = 0; family < 2; family++)
			if (b->family[family].state == LIST_ACTIVE)
				suspend(r, list, family, LIST_ACCEPTED);
		b->ended_hits = b->ended_accepted = 0;
	}
	if (b->ended_hits >= WINDOW) {
		b->ended_hits /= 2;
		b->ended_accepted /= 2;
	}
}

static void resume(struct resolver *r, unsigned list)
{
	struct list_belief *b = &r->lists[list];

	b->ended_hits = b->ended_accepted = 0;
	for (unsigned family = 0; family < 2; family++) {
		if (b->family[family].trouble == LIST_ACCEPTED)
			b->family[family].trouble = LIST_FINE;
		if (r->settings.dns.lists[list].families & (1u << family))
			probe_now(r, list, family);
	}
}

void lists_tick(struct resolver *r)
{
	unsigned resumed = atomic_exchange(&r->resume, 0);

	for (unsigned i = 0; i < r->settings.dns.n_lists; i++) {
		unsigned ended = atomic_exchange(&r->feedback[i][0], 0);
		unsigned accepted = atomic_exchange(&r->feedback[i][1], 0);

		if (ended)
			hear(r, i, ended, accepted < ended ? accepted : ended);
		if (resumed >> i & 1)
			resume(r, i);
		for (unsigned family = 0; family < 2; family++)
			if (r->settings.dns.lists[i].families & (1u << family) &&
			    r->now_ns >= r->lists[i].family[family].next_probe_ns)
				probe(r, i, family);
	}
}

/* What is known of a list outlives a policy that keeps its name, zone and kind. */
void lists_configure(struct resolver *r, const struct resolver_settings *old)
{
	struct list_belief before[POLICY_MAX_DNS_LISTS];
	const struct resolver_settings *new = &r->settings;

	memcpy(before, r->lists, sizeof(before));
	memset(r->lists, 0, sizeof(r->lists));
	for (unsigned i = 0; i < new->dns.n_lists; i++) {
		for (unsigned j = 0; j < old->dns.n_lists; j++) {
			if (strcmp(new->names[i], old->names[j]) == 0 &&
			    strcmp(new->zones[i], old->zones[j]) == 0 &&
			    new->dns.lists[i].kind == old->dns.lists[j].kind)
				r->lists[i] = before[j];
		}
		for (unsigned family = 0; family < 2; family++) {
			struct list_family *f = &r->lists[i].family[family];

			/* points under way belong to the old rows */
			f->probes = 0;
			f->next_probe_ns = 0;
		}
	}
	for (unsigned i = 0; i < POLICY_MAX_DNS_LISTS; i++)
		for (unsigned j = 0; j < 2; j++)
			atomic_store(&r->feedback[i][j], 0);
}

void lists_report(const struct resolver *r, struct resolver_report *report)
{
	report->n_lists = r->settings.dns.n_lists;
	for (unsigned i = 0; i < report->n_lists; i++) {
		const struct list_belief *b = &r->lists[i];
		struct resolver_list_report *to = &report->lists[i];

		memcpy(to->name, r->settings.names[i], sizeof(to->name));
		memcpy(to->zone, r->settings.zones[i], sizeof(to->zone));
		to->kind = r->settings.dns.lists[i].kind;
		to->families = r->settings.dns.lists[i].families;
		for (unsigned family = 0; family < 2; family++) {
			to->family[family].state = b->family[family].state;
			to->family[family].trouble = b->family[family].trouble;
			to->family[family].since_ns = b->family[family].since_ns;
			to->family[family].probed_ns = b->family[family].probed_ns;
		}
		to->queries = b->queries;
		to->hits = b->hits;
		to->sole_hits = b->sole_hits;
		to->accepted = b->accepted;
		to->errors = b->errors;
		to->timeouts = b->timeouts;
	}
}
