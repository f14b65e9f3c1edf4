/* SPDX-License-Identifier: BSD-3-Clause */
/* A small policy, made by the writer and opened: where the tests of this folder start. */
#ifndef POSTERN_TESTS_FILTERS_FIXTURE_H
#define POSTERN_TESTS_FILTERS_FIXTURE_H

#include "image_write.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
	struct image_writer *w;
	struct policy *p;
	struct image_part parts[IMAGE_MAX_PARTS];
	unsigned n_parts;
};

static inline struct text text_of(const char *s)
{
	return (struct text){ .p = s, .len = (uint16_t)strlen(s) };
}

static inline void client4(uint8_t out[16], uint32_t a)
{
	const uint8_t m[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (uint8_t)(a >> 24),
		(uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a };

	memcpy(out, m, 16);
}

/* 2001:db8:site::host */
static inline void client6(uint8_t out[16], uint16_t site, uint16_t host)
{
	const uint8_t m[16] = { 0x20, 0x01, 0x0d, 0xb8, (uint8_t)(site >> 8), (uint8_t)site, 0, 0,
		0, 0, 0, 0, 0, 0, (uint8_t)(host >> 8), (uint8_t)host };

	memcpy(out, m, 16);
}

/* A writer with one pool of one server; add lists, domains and settings. */
static inline void fixture_begin(struct fixture *f)
{
	struct policy_server server = { .port = 25, .weight = 1, .max_connections = 10 };
	struct policy_pool pool = { .n_servers = 1, .fallback_pool = 0xffff };

	memset(f, 0, sizeof(*f));
	f->w = image_writer_new();
	assert_non_null(f->w);
	client4(server.addr, 0xc633640a);
	assert_int_equal(image_writer_string(f->w, "mail1", &server.name), 0);
	assert_int_equal(image_writer_server(f->w, &server), 0);
	assert_int_equal(image_writer_string(f->w, "main", &pool.name), 0);
	assert_int_equal(image_writer_pool(f->w, &pool), 0);
	image_writer_settings(f->w)->default_pool = -1;
}

static inline unsigned fixture_list(struct fixture *f, enum verdict_kind verdict, unsigned share)
{
	struct policy_list list = {
		.verdict = (uint8_t)verdict,
		.verify_share = (uint8_t)share,
		.reason = REASON_LISTED,
		.pool = -1,
	};
	int r = image_writer_list(f->w, &list);

	assert_true(r >= 0);
	return (unsigned)r;
}

static inline void fixture_open(struct fixture *f)
{
	const char *error = NULL;
	int r = image_writer_finish(f->w, f->parts, &f->n_parts, &error);

	if (r < 0)
		fail_msg("finish: %s", error);
	r = policy_open(f->parts, f->n_parts, 7, &f->p, &error);
	if (r < 0)
		fail_msg("open: %s", error);
}

static inline void fixture_end(struct fixture *f)
{
	f->p = policy_close(f->p);
	f->w = image_writer_free(f->w);
}

#endif
