/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot of what takes weeks to learn: baselines, known recipients and who wrote to whom. Rates of
 * an hour are not worth keeping. Keys are hashes under a secret, so the secret is part of it: the file
 * is the owner's alone. Little endian, checked by a SipHash over all behind the header.
 */
#include "memory_private.h"

#include "siphash.h"

#include <errno.h>
#include <string.h>

#define SNAPSHOT_MAGIC 0x31305250524f4d45ull /* "EMORPR01" */

struct snapshot_header {
	uint64_t magic, check;
	uint8_t key[16];
	uint32_t n_profiles, n_known;
};

struct snapshot_profile {
	uint64_t key;
	struct profile profile;
	uint16_t weight;
	uint8_t kind;
	char text[MEMORY_LABEL + 1];
	uint8_t reserved[5];
};

struct snapshot_known {
	uint64_t key, value;
};

size_t memory_snapshot_max(const struct memory *m)
{
	return sizeof(struct snapshot_header) +
	       memory_table_slots(&m->profiles) * sizeof(struct snapshot_profile) +
	       ((size_t)m->known.mask + 1) * 4 * sizeof(struct snapshot_known);
}

size_t memory_snapshot(const struct memory *m, uint32_t now_s, void *buf, size_t cap)
{
	struct snapshot_header h = { .magic = SNAPSHOT_MAGIC };
	uint8_t *p = (uint8_t *)buf + sizeof(h), *end = (uint8_t *)buf + cap;

	if (cap < sizeof(h))
		return 0;
	memcpy(h.key, m->key, sizeof(h.key));
	for (uint32_t i = 0; i < memory_table_slots(&m->profiles); i++) {
		const struct memory_mark *mark = &m->profiles.marks[i];
		struct snapshot_profile s = { .weight = mark->weight, .kind = mark->kind };

		if ((size_t)(end - p) < sizeof(s) ||
		    !memory_table_at(&m->profiles, i, &s.key, &s.profile))
			continue;
		memcpy(s.text, m->profiles.labels[i].text, sizeof(s.text));
		memcpy(p, &s, sizeof(s));
		p += sizeof(s);
		h.n_profiles++;
	}
	for (size_t b = 0; b <= m->known.mask; b++) {
		const _Atomic uint64_t *w = m->known.words + b * 8;

		for (unsigned i = 0; i < 4; i++) {
			struct snapshot_known k = { atomic_load_explicit(&w[i], memory_order_relaxed),
				atomic_load_explicit(&w[4 + i], memory_order_relaxed) };
			if (!k.key || (k.value & 3) == KNOWN_UNKNOWN ||
			    (size_t)(end - p) < sizeof(k) ||
			    (k.value >> 32) + m->known.life_s[k.value & 3] < now_s)
				continue;
			memcpy(p, &k, sizeof(k));
			p += sizeof(k);
			h.n_known++;
		}
	}
	h.check =
	    siphash(h.key, (uint8_t *)buf + sizeof(h), (size_t)(p - (uint8_t *)buf) - sizeof(h));
	memcpy(buf, &h, sizeof(h));
	return (size_t)(p - (uint8_t *)buf);
}

static void restore_profile(struct memory *m, const struct snapshot_profile *s, uint32_t now_s)
{
	struct memory_mark *mark;
	struct profile old;
	long slot;

	if (s->key == 0 ||
	    (s->kind != MEMORY_SHOW_SENDER_BASELINE && s->kind != MEMORY_SHOW_DOMAIN_BASELINE))
		return;
	slot = memory_table_take(&m->profiles, s->key, now_s, &old);
	if (slot < 0)
		return;
	mark = &m->profiles.marks[slot];
	mark->kind = s->kind;
	mark->weight = s->weight ? s->weight : 1;
	mark->touched_s = s->profile.last_s < now_s ? s->profile.last_s : now_s;
	memcpy(m->profiles.labels[slot].text, s->text, sizeof(s->text));
	m->profiles.labels[slot].text[MEMORY_LABEL] = 0;
	memory_table_write(&m->profiles, slot, &s->profile);
}

int memory_restore(struct memory *m, const void *buf, size_t len, uint32_t now_s)
{
	const uint8_t *p = (const uint8_t *)buf + sizeof(struct snapshot_header);
	struct snapshot_header h;

	if (len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, buf, sizeof(h));
	if (h.magic != SNAPSHOT_MAGIC ||
	    len - sizeof(h) != (uint64_t)h.n_profiles * sizeof(struct snapshot_profile) +
				   (uint64_t)h.n_known * sizeof(struct snapshot_known) ||
	    siphash(h.key, p, len - sizeof(h)) != h.check)
		return -EBADMSG;
	memcpy(m->key, h.key, sizeof(m->key));
	for (uint32_t i = 0; i < KNOWN_N_STATES; i++)
		m->known.life_s[i] = UINT32_MAX; /* the settings' come with the first note */
	for (uint32_t i = 0; i < h.n_profiles; i++, p += sizeof(struct snapshot_profile)) {
		struct snapshot_profile s;

		memcpy(&s, p, sizeof(s));
		restore_profile(m, &s, now_s);
	}
	for (uint32_t i = 0; i < h.n_known; i++, p += sizeof(struct snapshot_known)) {
		struct snapshot_known k;

		memcpy(&k, p, sizeof(k));
		if (k.key && (k.value & 3) > KNOWN_UNKNOWN)
			memory_known_put(&m->known, k.key, (enum memory_state)(k.value & 3),
			    (uint32_t)(k.value >> 32));
	}
	return 0;
}
