/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading, building and opening sets of names (nameset.h). */
#include "nameset.h"

#include "nameset_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- one entry as written ---- */

static const char *read_one(const char *entry, size_t len, enum name_kind *ret_kind, char *to)
{
	bool at = false, star = false;

	if (len == 0)
		return "is empty";
	if (len > NAMES_MAX_LEN)
		return "is longer than 400 characters";
	for (size_t i = 0; i < len; i++) {
		to[i] = nameset_lower(entry[i]);
		if ((unsigned char)to[i] <= ' ' || to[i] == 0x7f)
			return "has a blank or a control character";
		at |= to[i] == '@';
		star |= to[i] == '*' || to[i] == '?';
	}
	to[len] = '\0';
	*ret_kind = star                 ? NAME_GLOB
		    : to[len - 1] == '@' ? NAME_LOCAL
		    : at                 ? NAME_ADDRESS
					 : NAME_DOMAIN;
	if (strcmp(to, "<>") == 0)
		*ret_kind = NAME_ADDRESS;
	else if (strchr(to, '<') || strchr(to, '>'))
		return "has < or > (only the null sender is written <>)";
	if (*ret_kind == NAME_LOCAL)
		to[len - 1] = '\0';
	if (*ret_kind == NAME_LOCAL && len == 1)
		return "names no local part";
	if (*ret_kind == NAME_DOMAIN && to[0] == '.') {
		*ret_kind = NAME_PARENT;
		memmove(to, to + 1, len);
	}
	if (*ret_kind == NAME_DOMAIN || *ret_kind == NAME_PARENT) {
		if (to[0] == '.' || to[0] == '\0' || strstr(to, ".."))
			return "has an empty label";
		if (to[strlen(to) - 1] == '.')
			return "ends with a dot";
	}
	return NULL;
}

/* Half of a pair, in the form that nameset_find_pair() looks for. */
static const char *read_half(const char *half, size_t len, char *to, size_t *ret_len)
{
	enum name_kind kind;
	const char *wrong;

	if (len == 1 && half[0] == '*') {
		to[0] = '*';
		*ret_len = 1;
		return NULL;
	}
	wrong = read_one(half, len, &kind, to);
	if (wrong)
		return wrong;
	if (kind == NAME_GLOB)
		return "has a glob in a pair (only * alone may stand for any)";
	for (size_t i = 0; i < len; i++) /* with its dot or @ again */
		to[i] = nameset_lower(half[i]);
	*ret_len = len;
	return NULL;
}

const char *nameset_read(const char *entry, bool pairs, enum name_kind *ret_kind, char *ret_text)
{
	char half[NAMES_MAX_LEN + 1];
	size_t len = strlen(entry), first = strcspn(entry, " \t"), second, n;
	const char *rest, *wrong;

	if (!pairs)
		return read_one(entry, len, ret_kind, ret_text);
	rest = entry + first + strspn(entry + first, " \t");
	second = strlen(rest);
	if (first == 0 || second == 0)
		return "is no pair: a sender, a blank, a recipient";
	if (first + 1 + second > NAMES_MAX_LEN)
		return "is longer than 400 characters";
	wrong = read_half(entry, first, half, &n);
	if (wrong)
		return wrong;
	memcpy(ret_text, half, n);
	ret_text[n] = ' ';
	wrong = read_half(rest, second, half, &len);
	if (wrong)
		return wrong;
	memcpy(ret_text + n + 1, half, len);
	ret_text[n + 1 + len] = '\0';
	*ret_kind = NAME_PAIR;
	return NULL;
}

/* ---- the part ---- */

static int compare(const void *a, const void *b)
{
	const struct name_entry *x = a, *y = b;

	if ((x->kind == NAME_GLOB) != (y->kind == NAME_GLOB))
		return x->kind == NAME_GLOB ? 1 : -1;
	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

static size_t part_size(uint64_t n_slots, uint64_t n_entries, uint64_t n_sets)
{
	return sizeof(struct nameset_header) + n_slots * sizeof(struct nameset_slot) +
	       n_entries * sizeof(struct name_entry) + n_sets;
}

static bool expires_later(uint32_t a, uint32_t b)
{
	return b != 0 && (a == 0 || a > b);
}

/* Of entries that say the same the one that lasts longest stays. */
static uint32_t drop_doubles(struct name_entry *e, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (kept && compare(&e[kept - 1], &e[i]) == 0) {
			if (expires_later(e[i].expires_s, e[kept - 1].expires_s))
				e[kept - 1].expires_s = e[i].expires_s;
			continue;
		}
		e[kept++] = e[i];
	}
	return kept;
}

void *nameset_build(
    struct name_entry *entries, uint32_t n, uint32_t n_sets, const char *strings, size_t *ret_len)
{
	struct nameset_header *h;
	struct nameset_slot *slots;
	uint32_t n_slots = 8;
	uint8_t *kinds;
	size_t len, room;

	qsort(entries, n, sizeof(*entries), compare);
	n = drop_doubles(entries, n);
	while (n_slots < n * 2)
		n_slots *= 2;
	len = part_size(n_slots, n, n_sets);
	room = (len + 63) & ~(size_t)63;
	h = aligned_alloc(64, room);
	if (!h)
		return NULL;
	memset(h, 0, room);
	*h = (struct nameset_header){
		.magic = NAMESET_MAGIC,
		.n_entries = n,
		.n_slots = n_slots,
		.n_sets = n_sets,
	};
	slots = (struct nameset_slot *)(h + 1);
	kinds = (uint8_t *)(slots + n_slots) + n * sizeof(*entries);
	if (n)
		memcpy(slots + n_slots, entries, n * sizeof(*entries));
	for (uint32_t i = 0; i < n; i++) {
		const char *text = strings + entries[i].text;
		uint32_t hash = nameset_hash(entries[i].set, entries[i].kind, text, strlen(text));
		uint32_t k = 0;

		kinds[entries[i].set] |= (uint8_t)(1u << entries[i].kind);
		if (entries[i].kind == NAME_GLOB) {
			h->n_globs++;
			continue;
		}
		while (slots[(hash + k) & (n_slots - 1)].index)
			k++;
		slots[(hash + k) & (n_slots - 1)] = (struct nameset_slot){ hash, i + 1 };
		if (k + 1 > h->max_probes)
			h->max_probes = k + 1;
	}
	*ret_len = len;
	return h;
}

int nameset_open(const void *base, size_t len, const char *strings, size_t strings_len,
    struct nameset *ret_names, const char **ret_error)
{
	const struct nameset_header *h = base;
	const struct nameset_slot *slots;
	const struct name_entry *entries;

	*ret_error = "names: not one of this layout or cut short";
	if (len < sizeof(*h) || h->magic != NAMESET_MAGIC || h->n_slots == 0 ||
	    (h->n_slots & (h->n_slots - 1)) || h->n_sets > NAMES_MAX_SETS ||
	    len != part_size(h->n_slots, h->n_entries, h->n_sets))
		return -EBADMSG;
	*ret_error = "names: a count is out of range";
	if (h->max_probes > h->n_slots || h->n_globs > h->n_entries || h->n_globs > NAMES_MAX_GLOBS)
		return -EBADMSG;
	slots = (const struct nameset_slot *)(h + 1);
	entries = (const struct name_entry *)(slots + h->n_slots);
	*ret_error = "names: a slot points outside";
	for (uint32_t i = 0; i < h->n_slots; i++)
		if (slots[i].index > h->n_entries)
			return -EBADMSG;
	*ret_error = "names: an entry is out of range";
	for (uint32_t i = 0; i < h->n_entries; i++)
		if (entries[i].text >= strings_len || entries[i].set >= h->n_sets ||
		    entries[i].kind > NAME_PAIR)
			return -EBADMSG;
	*ret_names = (struct nameset){
		.slots = slots,
		.entries = entries,
		.kinds = (const uint8_t *)(entries + h->n_entries),
		.strings = strings,
		.mask = h->n_slots - 1,
		.max_probes = h->max_probes,
		.n_entries = h->n_entries,
		.n_globs = h->n_globs,
		.n_sets = h->n_sets,
	};
	return 0;
}
