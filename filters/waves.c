/* SPDX-License-Identifier: BSD-3-Clause */
/* See waves.h. */
#include "waves.h"

#include "address_form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKET = 8, KEYS = DIGEST_BANDS + DIGEST_MAX_HOSTS, ALIKE_LEAST = 3 };

/* A band or a host, and the wave it leads to. */
struct band {
	uint64_t key; /* 0: free */
	uint32_t id, row;
	uint32_t first_s, last_s;
};

struct waves {
	uint32_t n_rows, n_buckets, next_id, told_at, life_s;
	struct band *bands;
	struct wave *rows; /* id 0: free */
};

struct waves *waves_new(uint32_t rows, uint32_t told_at, uint32_t life_s)
{
	struct waves *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->n_rows = rows ? rows : 1;
	for (w->n_buckets = 1; w->n_buckets * BUCKET < w->n_rows * 2 * KEYS;)
		w->n_buckets *= 2;
	w->bands = calloc((size_t)w->n_buckets * BUCKET, sizeof(*w->bands));
	w->rows = calloc(w->n_rows, sizeof(*w->rows));
	waves_set(w, told_at, life_s);
	return w->bands && w->rows ? w : waves_free(w);
}

struct waves *waves_free(struct waves *w)
{
	if (!w)
		return NULL;
	free(w->bands);
	free(w->rows);
	free(w);
	return NULL;
}

void waves_set(struct waves *w, uint32_t told_at, uint32_t life_s)
{
	w->told_at = told_at;
	w->life_s = life_s;
}

static bool over(const struct waves *w, const struct wave *wave, uint32_t now_s)
{
	return wave->id == 0 || now_s - wave->last_s > w->life_s;
}

/* The band's place, found or taken from the one seen least recently. */
static struct band *band_of(struct waves *w, uint64_t key, uint32_t now_s)
{
	struct band *b = &w->bands[((key >> 20) & (w->n_buckets - 1)) * BUCKET], *oldest = b;

	for (unsigned i = 0; i < BUCKET; i++) {
		if (b[i].key == key)
			return &b[i];
		if (b[i].key == 0 || b[i].last_s < oldest->last_s)
			oldest = &b[i];
		if (b[i].key == 0)
			break;
	}
	*oldest = (struct band){ .key = key, .first_s = now_s };
	return oldest;
}

static struct wave *wave_of(struct waves *w, const struct band *b, uint32_t now_s)
{
	struct wave *wave = &w->rows[b->row];

	return b->id != 0 && wave->id == b->id && !over(w, wave, now_s) ? wave : NULL;
}

static struct wave *wave_new(struct waves *w, const struct digest *d, uint32_t now_s)
{
	struct wave *oldest = &w->rows[0];

	for (uint32_t i = 0; i < w->n_rows; i++) {
		if (over(w, &w->rows[i], now_s)) {
			oldest = &w->rows[i];
			break;
		}
		if (w->rows[i].last_s < oldest->last_s)
			oldest = &w->rows[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->id = ++w->next_id;
	oldest->first_s = now_s;
	memcpy(oldest->mins, d->mins, sizeof(oldest->mins));
	return oldest;
}

static uint64_t network_hash(const uint8_t client[16])
{
	size_t n = address_prefix_octets(client); /* /24, /64 */
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < n; i++)
		h = (h ^ client[i]) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

/* Linear counting (Whang 1990) over 512 bits: exact enough to some 1,500 networks. */
static uint32_t networks_of(const uint64_t seen[8])
{
	unsigned zeros = 512;
	double ratio, log = 0;

	for (unsigned i = 0; i < 8; i++)
		zeros -= (unsigned)__builtin_popcountll(seen[i]);
	if (zeros == 0)
		zeros = 1;
	/* -512 ln(zeros / 512) by its series around the nearest power of two */
	ratio = zeros / 512.0;
	while (ratio <= 0.5) {
		ratio *= 2;
		log += 0.69314718055994531;
	}
	ratio = 1 - ratio;
	for (double power = ratio, k = 1; k < 40; k++, power *= ratio)
		log += power / k;
	return (uint32_t)(512 * log + 0.5);
}

static void copy_text(char to[WAVES_TEXT], const char *from)
{
	if (from && *from)
		snprintf(to, WAVES_TEXT, "%s", from);
}

/* "Invoice 4711 of 3 May": "Invoice 0 of 0 May". */
static void without_digits(char to[WAVES_TEXT], const char *from)
{
	size_t n = 0;

	for (; *from && n + 1 < WAVES_TEXT; from++) {
		bool digit = *from >= '0' && *from <= '9';

		if (!digit)
			to[n++] = *from;
		else if (n == 0 || to[n - 1] != '0')
			to[n++] = '0';
	}
	to[n] = '\0';
}

static void count_word(struct wave_word words[WAVES_WORDS], const char *text)
{
	for (unsigned i = 0; *text && i < WAVES_WORDS; i++) {
		if (words[i].messages == 0)
			copy_text(words[i].text, text);
		else if (strcmp(words[i].text, text) != 0)
			continue;
		words[i].messages++;
		return;
	}
}

static uint32_t messages_with(const struct wave_word words[WAVES_WORDS], const char *text)
{
	for (unsigned i = 0; text && i < WAVES_WORDS && words[i].messages; i++)
		if (strcmp(words[i].text, text) == 0)
			return words[i].messages;
	return 0;
}

static void add(struct wave *wave, const struct wave_message *m, uint32_t now_s)
{
	uint64_t h = network_hash(m->client);
	char text[WAVES_TEXT];
	bool is_new = true;

	wave->last_s = now_s;
	wave->messages++;
	wave->seen[h >> 6 & 7] |= 1ull << (h & 63);
	wave->networks = networks_of(wave->seen);
	copy_text(wave->subject, m->subject);
	copy_text(wave->sender, m->sender);
	copy_text(wave->host, m->host);
	snprintf(text, sizeof(text), "%s", m->host ? m->host : "");
	count_word(wave->hosts, text);
	without_digits(text, m->subject ? m->subject : "");
	count_word(wave->subjects, text);
	for (unsigned i = 0; i < wave->n_clients; i++)
		is_new &= memcmp(wave->clients[i], m->client, 16) != 0;
	if (is_new && wave->n_clients < WAVES_CLIENTS)
		memcpy(wave->clients[wave->n_clients++], m->client, 16);
}

const struct wave *waves_take(
    struct waves *w, const struct digest *d, const struct wave_message *m, uint32_t now_s)
{
	uint64_t keys[KEYS];
	struct band *bands[KEYS];
	struct wave *wave = NULL;
	unsigned n_text = digest_bands(d, keys), n = n_text;

	for (unsigned i = 0; i < d->n_hosts; i++)
		keys[n++] = d->hosts[i];
	if (n == 0)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		struct wave *known;

		bands[i] = band_of(w, keys[i], now_s);
		known = wave_of(w, bands[i], now_s);
		/* a host that has been about for longer than a wave lives is everybody's; a band alone
		 * may be shared by chance */
		if (!known || (i >= n_text && now_s - bands[i]->first_s > w->life_s) ||
		    (i < n_text && digest_alike(known->mins, d->mins) < ALIKE_LEAST))
			continue;
		if (!wave || known->id < wave->id)
			wave = known;
	}
	if (!wave)
		wave = wave_new(w, d, now_s);
	for (unsigned i = 0; i < n; i++) {
		bands[i]->last_s = now_s;
		if (wave_of(w, bands[i], now_s) && i >= n_text)
			continue;
		bands[i]->id = wave->id;
		bands[i]->row = (uint32_t)(wave - w->rows);
	}
	add(wave, m, now_s);
	if (wave->told || wave->networks < w->told_at)
		return NULL;
	wave->told = true;
	return wave;
}

static int larger(const void *a, const void *b)
{
	const struct wave *x = *(const struct wave *const *)a, *y = *(const struct wave *const *)b;

	if (x->networks != y->networks)
		return x->networks < y->networks ? 1 : -1;
	return x->id < y->id ? -1 : x->id > y->id;
}

void waves_each(struct waves *w, uint32_t networks, unsigned max, uint32_t now_s,
    void (*fn)(void *arg, const struct wave *wave), void *arg)
{
	const struct wave **found = calloc(w->n_rows, sizeof(*found));
	uint32_t n = 0;

	if (!found)
		return;
	for (uint32_t i = 0; i < w->n_rows; i++)
		if (!over(w, &w->rows[i], now_s) && w->rows[i].networks >= networks)
			found[n++] = &w->rows[i];
	qsort(found, n, sizeof(*found), larger);
	for (uint32_t i = 0; i < n && i < max; i++)
		fn(arg, found[i]);
	free(found);
}

const struct wave *waves_find(const struct waves *w, uint32_t id)
{
	for (uint32_t i = 0; id != 0 && i < w->n_rows; i++)
		if (w->rows[i].id == id)
			return &w->rows[i];
	return NULL;
}

uint32_t waves_elsewhere(
    const struct waves *w, uint32_t id, const char *host, const char *subject, uint32_t now_s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_rows; i++)
		if (w->rows[i].id != id && !over(w, &w->rows[i], now_s))
			n += messages_with(w->rows[i].hosts, host) +
			     messages_with(w->rows[i].subjects, subject);
	return n;
}
