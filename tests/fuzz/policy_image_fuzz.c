/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy image with bytes of it changed: six input bytes are one change {part, offset, value}.
 * An image that opens is asked for addresses, domains and strings; none of it may read outside.
 * Changes rather than whole images: a fuzzer would never make 16 MiB that pass the first check.
 */
#include "fuzz.h"

#include "filters/image_write.h"

#include <string.h>

enum { CHANGE_LEN = 6, MAX_CHANGES = 64, N_CLIENTS = 64 };

static struct image_writer *writer; /* holds the parts; lives as long as the program */
static struct image_part parts[IMAGE_MAX_PARTS];
static unsigned n_parts;
static uint8_t clients[N_CLIENTS][16];

static void client_of(uint8_t out[16], unsigned i)
{
	static const uint8_t v4[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 0 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	memcpy(out, i % 2 ? v6 : v4, 16);
	out[i % 2 ? i % 5 + 4 : 14] ^= (uint8_t)(i / 8);
	out[15] = (uint8_t)(i * 7);
}

static void image_free(void)
{
	image_writer_free(writer);
}

static void image_make(void)
{
	struct image_writer *w = writer = image_writer_new();

	atexit(image_free);
	struct policy_list list = { .verdict = VERDICT_REFUSE, .verify_share = 50, .pool = -1 };
	struct policy_pool pool = { .fallback_pool = 0xffff };
	const char *error = "";

	CHECK(w);
	image_writer_settings(w)->default_pool = -1;
	CHECK(image_writer_string(w, "pool", &pool.name) == 0);
	CHECK(image_writer_pool(w, &pool) == 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(image_writer_list(w, &list) == (int)i);
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t a[16];

		client_of(a, i);
		CHECK(image_writer_prefix(w, i % 3, a, i % 2 ? 33 + i % 96 : 20 + i % 13) == 0);
	}
	for (unsigned i = 0; i < N_CLIENTS; i++)
		client_of(clients[i], i * 31);
	CHECK(image_writer_domain(w, "example.org", DOMAIN_EXACT, 0, 0) == 0);
	CHECK(image_writer_domain(w, "example.org", DOMAIN_SUBDOMAINS, 0, 0) == 1);
	CHECK(image_writer_finish(w, parts, &n_parts, &error) == 0);
}

static void ask(const struct policy *p)
{
	const struct policy_settings *s = policy_settings(p);
	struct facts facts = { .rcpt = { "a@example.org", 13 } };
	struct verdict verdicts[N_CLIENTS];
	unsigned pool, tenant;
	size_t sum = 0;

	policy_judge_syns(p, (const uint8_t(*)[16])clients, N_CLIENTS, 0, verdicts);
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		CHECK(verdicts[i].kind < VERDICT_N_KINDS && verdicts[i].reason < REASON_N);
		memcpy(facts.client, clients[i], 16);
		CHECK(policy_judge(p, PHASE_RCPT, &facts, &(struct tally){ 0 }).kind <
		      VERDICT_N_KINDS);
	}
	if (policy_route_domain(p, (struct text){ "a.b.example.org", 15 }, &pool, &tenant) == 0)
		CHECK(pool < s->n_pools);
	for (unsigned i = 0; i < s->n_pools; i++)
		sum += strlen(policy_string(p, policy_pool(p, i)->name));
	for (unsigned i = 0; i < s->n_servers; i++)
		sum += strlen(policy_string(p, policy_server(p, i)->name));
	sum += strlen(policy_string(p, s->smtp.hostname));
	CHECK(sum < SIZE_MAX / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct {
		uint8_t *at, was;
	} changes[MAX_CHANGES];
	struct policy *p;
	const char *error = NULL;
	unsigned n = 0;

	if (n_parts == 0)
		image_make();
	for (; len >= CHANGE_LEN && n < MAX_CHANGES; data += CHANGE_LEN, len -= CHANGE_LEN, n++) {
		const struct image_part *part = &parts[data[0] % n_parts];
		uint32_t offset;

		memcpy(&offset, data + 1, sizeof(offset));
		changes[n].at = (uint8_t *)(uintptr_t)part->base + offset % part->len;
		changes[n].was = *changes[n].at;
		*changes[n].at = data[5];
	}
	if (policy_open(parts, n_parts, 1, &p, &error) == 0) {
		ask(p);
		policy_close(p);
	} else {
		CHECK(error);
	}
	while (n-- > 0)
		*changes[n].at = changes[n].was;
	return 0;
}
