/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DATA stream against a naive decoder that sees the whole input at once, under random cuts; the
 * smuggling sequences by name; counts; runs across the vector edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX = 8192 };

struct result {
	uint8_t forward[2 * MAX + 64], plain[2 * MAX + 64];
	size_t n_forward, n_plain, used;
	uint64_t size;
	bool bare, ended, in_header;
	uint32_t received;
};

/* ---- the naive decoder: whole input, one rule after the other ---- */

/* An exact CR LF ends at i: its CR is not the second of CR CR LF. */
static bool line_starts_at(const uint8_t *in, size_t i)
{
	return i == 0 ||
	       (i >= 2 && in[i - 1] == '\n' && in[i - 2] == '\r' && (i < 3 || in[i - 3] != '\r'));
}

static void put(uint8_t *out, size_t *n, const char *s)
{
	memcpy(out + *n, s, strlen(s));
	*n += strlen(s);
}

/* In place of each line end, good or bare, CR LF; dots by the rules of the file's head. */
static void naive(const uint8_t *in, size_t len, struct result *r)
{
	size_t end = len, i;

	memset(r, 0, sizeof(*r));
	r->used = len;
	for (i = 0; i + 3 <= len; i++) {
		if (line_starts_at(in, i) && memcmp(in + i, ".\r\n", 3) == 0) {
			r->ended = true;
			end = i;
			r->used = i + 3;
			break;
		}
	}
	bool made = false; /* the line start is ours */

	for (i = 0; i < end;) {
		size_t left = end - i;
		const uint8_t *p = in + i;

		if (line_starts_at(in, i) && !made && *p == '.') {
			/* Dot and rest of line: the dot is stuffing. */
			if (left > 1 && p[1] != '\r' && p[1] != '\n') {
				put(r->forward, &r->n_forward, ".");
				r->forward[r->n_forward++] = p[1];
				r->plain[r->n_plain++] = p[1];
				i += 2;
			} else {
				i += 1;
			}
		} else if (left >= 3 && memcmp(p, "\r\r\n", 3) == 0) {
			r->bare = made = true;
			put(r->forward, &r->n_forward, "\r\n");
			put(r->plain, &r->n_plain, "\r\n");
			i += 3;
			continue;
		} else if (left >= 2 && memcmp(p, "\r\n", 2) == 0) {
			put(r->forward, &r->n_forward, "\r\n");
			put(r->plain, &r->n_plain, "\r\n");
			i += 2;
		} else if (*p == '\r' || *p == '\n') {
			r->bare = made = true;
			put(r->forward, &r->n_forward, "\r\n");
			put(r->plain, &r->n_plain, "\r\n");
			i += 1;
			continue;
		} else {
			if (made && *p == '.')
				put(r->forward, &r->n_forward, ".");
			r->forward[r->n_forward++] = *p;
			r->plain[r->n_plain++] = *p;
			i += 1;
		}
		made = false;
	}
	r->size = r->n_plain;
	/* Header: lines of the plain text up to the first empty one. */
	r->in_header = true;
	for (i = 0; i < r->n_plain && r->in_header;) {
		const uint8_t *lf = memchr(r->plain + i, '\n', r->n_plain - i);
		size_t next = lf ? (size_t)(lf - r->plain) + 1 : r->n_plain;

		if (next - i == 2 && lf)
			r->in_header = false;
		else if (next - i >= 9 && strncasecmp((char *)r->plain + i, "received:", 9) == 0)
			r->received++;
		i = next;
	}
}

/* ---- the subject, cut by a mask of random numbers ---- */

static unsigned rnd_state;
static unsigned rnd(unsigned below)
{
	rnd_state = rnd_state * 1103515245u + 12345u;
	return (rnd_state >> 16) % below;
}

static void run(const uint8_t *in, size_t len, enum smtp_data_policy policy, unsigned max_piece,
    bool with_plain, struct result *r)
{
	struct smtp_data d;

	memset(r, 0, sizeof(*r));
	smtp_data_init(&d, policy);
	while (r->used < len && !d.ended) {
		size_t piece = max_piece ? 1 + rnd(max_piece) : len, n_forward = 0, n_plain = 0;

		if (piece > len - r->used)
			piece = len - r->used;
		/* Exact buffers, so that a write past 2n + 8 is seen by the sanitizer. */
		uint8_t *copy = malloc(piece), *forward = malloc(2 * piece + 8);
		uint8_t *plain = malloc(2 * piece + 8);

		memcpy(copy, in + r->used, piece);
		size_t used = smtp_data_feed(&d, copy, piece, forward, &n_forward,
		    with_plain ? plain : NULL, with_plain ? &n_plain : NULL);

		assert_true(used == piece || d.ended);
		assert_true(n_forward <= 2 * piece + 8 && n_plain <= 2 * piece + 8);
		memcpy(r->forward + r->n_forward, forward, n_forward);
		memcpy(r->plain + r->n_plain, plain, n_plain);
		r->n_forward += n_forward;
		r->n_plain += n_plain;
		r->used += used;
		free(copy);
		free(forward);
		free(plain);
	}
	r->size = d.size;
	r->bare = d.bare;
	r->ended = d.ended;
	r->in_header = d.in_header;
	r->received = d.received;
}

/* What a strict server makes of a forwarded stream; fails on what it must never contain. */
static size_t strict_decode(const uint8_t *in, size_t len, uint8_t *out)
{
	size_t n = 0;
	bool start = true;

	for (size_t i = 0; i < len; i++) {
		if (in[i] == '\r')
			assert_true(i + 1 < len && in[i + 1] == '\n');
		if (in[i] == '\n')
			assert_true(i > 0 && in[i - 1] == '\r');
		if (start && in[i] == '.') {
			/* Not the end of data in any server's eyes. */
			assert_true(i + 1 < len && in[i + 1] != '\r' && in[i + 1] != '\n');
			start = false;
			continue;
		}
		out[n++] = in[i];
		start = in[i] == '\n';
	}
	return n;
}

static void check(const uint8_t *in, size_t len, unsigned max_piece)
{
	static struct result want, got;
	static uint8_t decoded[2 * MAX + 64];

	naive(in, len, &want);
	/* A message that has not ended may hold back bytes: let it end first. */
	assert_true(want.ended);

	run(in, len, SMTP_DATA_NORMALIZE, max_piece, true, &got);
	assert_int_equal(got.used, want.used);
	assert_int_equal(got.bare, want.bare);
	assert_true(got.ended);
	assert_int_equal(got.n_forward, want.n_forward);
	assert_memory_equal(got.forward, want.forward, want.n_forward);
	assert_int_equal(got.n_plain, want.n_plain);
	assert_memory_equal(got.plain, want.plain, want.n_plain);
	assert_int_equal(got.size, want.size);
	assert_int_equal(got.received, want.received);
	assert_int_equal(got.in_header, want.in_header);
	assert_int_equal(strict_decode(got.forward, got.n_forward, decoded), got.n_plain);
	assert_memory_equal(decoded, got.plain, got.n_plain);
	assert_true(got.n_forward == 0 || got.forward[got.n_forward - 1] == '\n');

	run(in, len, SMTP_DATA_NORMALIZE, max_piece, false, &got);
	assert_int_equal(got.n_forward, want.n_forward);
	assert_memory_equal(got.forward, want.forward, want.n_forward);
	assert_int_equal(got.received, want.received);

	run(in, len, SMTP_DATA_REJECT, max_piece, true, &got);
	assert_int_equal(got.used, want.used);
	assert_int_equal(got.bare, want.bare);
	assert_true(got.ended);
	assert_int_equal(got.size, want.size);
	assert_true(got.n_forward <= want.n_forward);
	if (!want.bare) {
		/* Byte for byte (P5). */
		assert_int_equal(got.n_forward, want.used - 3);
		assert_memory_equal(got.forward, in, got.n_forward);
		assert_int_equal(got.n_plain, want.n_plain);
		assert_memory_equal(got.plain, want.plain, want.n_plain);
	} else {
		assert_memory_equal(got.forward, want.forward, got.n_forward);
		assert_memory_equal(got.plain, want.plain, got.n_plain);
	}
}

/* ---- tests ---- */

static void random_streams(void **state)
{
	/* Weighted toward what the machine is about. */
	static const char alphabet[] = "\r\n\r\n..a\r\n.bR";
	static uint8_t in[MAX];

	(void)state;
	rnd_state = 1;
	for (unsigned round = 0; round < 60000; round++) {
		size_t len = rnd(round % 10 ? 24 : 300);

		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)alphabet[rnd(sizeof(alphabet) - 1)];
		memcpy(in + len, "x\r\n.\r\n", 6);
		check(in, len + 6, round % 4 ? 1 + round % 9 : 0);
	}
}

/* Mostly clean text with rare faults: the vector path and its edges. */
static void random_mail(void **state)
{
	static uint8_t in[MAX];

	(void)state;
	rnd_state = 2;
	for (unsigned round = 0; round < 4000; round++) {
		size_t len = 0, lines = rnd(60);

		for (size_t line = 0; line < lines; line++) {
			size_t n = rnd(100);

			if (rnd(8) == 0) {
				memcpy(in + len, rnd(2) ? "Received: " : "RECEIVED:x", 10);
				len += 10;
			}
			if (rnd(10) == 0)
				in[len++] = '.';
			for (size_t i = 0; i < n; i++)
				in[len++] = (uint8_t)(rnd(50) ? 'a' + rnd(26) : rnd(256));
			memcpy(in + len, "\r\n", 2);
			len += 2;
		}
		memcpy(in + len, "\r\n.\r\nQUIT\r\n", 11);
		check(in, len + 11, round % 3 ? 1 + rnd(200) : 0);
	}
}

/* A fault at each position of some vectors' length, and each kind of it. */
static void faults_at_every_offset(void **state)
{
	static const char *const faults[] = { "\r", "\n", "\r\r\n", "\r\n.", "\r\n..", "\r\n.\n",
		"\r\n.\rx", "\n.\n", "\r.\r", "\r\n.\r\r\n", "\r\n" };
	static uint8_t in[MAX];

	(void)state;
	for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
		for (size_t at = 0; at < 180; at++) {
			size_t n = strlen(faults[f]);

			memset(in, 'a', sizeof(in));
			memcpy(in + at, faults[f], n);
			memcpy(in + at + n + 150, "\r\n.\r\n", 5);
			check(in, at + n + 155, 0);
			check(in, at + n + 155, 40);
		}
	}
}

struct smuggle {
	const char *name, *bytes;
};

/* After each of these a smuggler puts commands; none of them may end the message (P4). */
static const struct smuggle smuggles[] = {
	{ "LF . LF (CVE-2023-51764 Postfix)", "\n.\n" },
	{ "LF . CR LF (CVE-2023-51764 Postfix, CVE-2023-51765 Sendmail)", "\n.\r\n" },
	{ "CR LF . LF (CVE-2023-51766 Exim)", "\r\n.\n" },
	{ "CR LF . CR (CVE-2023-51766 Exim)", "\r\n.\r" },
	{ "CR . CR", "\r.\r" },
	{ "CR . LF", "\r.\n" },
	{ "LF . CR", "\n.\r" },
	{ "CR . CR LF", "\r.\r\n" },
	{ "CR CR LF . CR LF", "\r\r\n.\r\n" },
	{ "CR CR LF . CR CR LF", "\r\r\n.\r\r\n" },
	{ "CR LF . CR CR LF", "\r\n.\r\r\n" },
	{ "CR LF CR . CR LF", "\r\n\r.\r\n" },
	{ "CR LF LF . CR LF", "\r\n\n.\r\n" },
	{ "LF CR . LF CR", "\n\r.\n\r" },
};

static void smuggling(void **state)
{
	static const enum smtp_data_policy policies[] = { SMTP_DATA_REJECT, SMTP_DATA_NORMALIZE,
		SMTP_DATA_DISCONNECT };
	static struct result r;
	static uint8_t decoded[2 * MAX + 64];
	char in[256];

	(void)state;
	for (size_t i = 0; i < sizeof(smuggles) / sizeof(smuggles[0]); i++) {
		int first = snprintf(in, sizeof(in), "Subject: x\r\n\r\nhello%s", smuggles[i].bytes);
		int len = first + snprintf(in + first, sizeof(in) - (size_t)first,
				      "MAIL FROM:<b@x>\r\nRCPT TO:<c@y>\r\nDATA\r\nspoof\r\n.\r\n");

		for (size_t p = 0; p < 3; p++) {
			for (unsigned piece = 0; piece < 4; piece++) {
				run((uint8_t *)in, (size_t)len, policies[p], piece, true, &r);
				if (!r.bare || !r.ended || r.used != (size_t)len)
					fail_msg("%s", smuggles[i].name);
				if (policies[p] == SMTP_DATA_NORMALIZE) {
					size_t n = strict_decode(r.forward, r.n_forward, decoded);

					assert_int_equal(n, r.n_plain);
					assert_memory_equal(decoded, r.plain, n);
				} else {
					/* Nothing of what follows is let out. */
					bool line_ended = smuggles[i].bytes[0] == '\r' &&
							  smuggles[i].bytes[1] == '\n';

					assert_int_equal(r.n_forward, line_ended ? 21 : 19);
					assert_int_equal(r.n_plain, r.n_forward);
				}
			}
		}
		check((uint8_t *)in, (size_t)len, 0);
	}
}

/* Content that is odd but no line end: NUL before the dot (Sendmail) ends nothing and is no fault.
 */
static void nul_is_content(void **state)
{
	static struct result r;
	static const uint8_t in[] = "a\r\n\0.\r\nb\r\n.\r\n";

	(void)state;
	run(in, sizeof(in) - 1, SMTP_DATA_REJECT, 1, true, &r);
	assert_true(r.ended);
	assert_false(r.bare);
	assert_int_equal(r.used, sizeof(in) - 1);
	assert_int_equal(r.n_forward, sizeof(in) - 1 - 3);
}

static void feed_text(const char *s, enum smtp_data_policy policy, struct result *r)
{
	run((const uint8_t *)s, strlen(s), policy, 0, true, r);
}

static void dots(void **state)
{
	static struct result r;

	(void)state;
	feed_text(".\r\nQUIT\r\n", SMTP_DATA_REJECT, &r);
	assert_true(r.ended);
	assert_int_equal(r.used, 3);
	assert_int_equal(r.n_forward, 0);
	assert_int_equal(r.size, 0);

	feed_text("..\r\n...x\r\n.y\r\na.b\r\n.\r\n", SMTP_DATA_REJECT, &r);
	assert_memory_equal(r.forward, "..\r\n...x\r\n.y\r\na.b\r\n", r.n_forward);
	assert_memory_equal(r.plain, ".\r\n..x\r\ny\r\na.b\r\n", r.n_plain);
	assert_int_equal(r.size, strlen(".\r\n..x\r\ny\r\na.b\r\n")); /* RFC 1870 6.3 */
}

/* P5: LF . LF as one would write it, and a dot of its own line. */
static void normalized(void **state)
{
	static struct result r;

	(void)state;
	feed_text("a\n.\nb\n..c\r\n.\r\n", SMTP_DATA_NORMALIZE, &r);
	assert_int_equal(r.n_forward, strlen("a\r\n..\r\nb\r\n...c\r\n"));
	assert_memory_equal(r.forward, "a\r\n..\r\nb\r\n...c\r\n", r.n_forward);
	assert_int_equal(r.n_plain, strlen("a\r\n.\r\nb\r\n..c\r\n"));
	assert_memory_equal(r.plain, "a\r\n.\r\nb\r\n..c\r\n", r.n_plain);

	feed_text("a\r\n.\nb\r\n.\r\n", SMTP_DATA_NORMALIZE, &r);
	assert_int_equal(r.n_forward, strlen("a\r\n\r\nb\r\n"));
	assert_memory_equal(r.forward, "a\r\n\r\nb\r\n", r.n_forward);

	feed_text("a\r\r\nb\r\r\rc\r\n.\r\n", SMTP_DATA_NORMALIZE, &r);
	assert_int_equal(r.n_forward, strlen("a\r\nb\r\n\r\n\r\nc\r\n"));
	assert_memory_equal(r.forward, "a\r\nb\r\n\r\n\r\nc\r\n", r.n_forward);
}

/* P17: fields of the header, not words of the body, folded lines or other names. */
static void received_fields(void **state)
{
	static struct result r;
	static const char in[] =
	    "Received: a\r\n\tReceived: folded\r\nreceived:b\r\nReceivedX: c\r\n"
	    "X-Received: d\r\nRECEIVED:\r\n\r\nReceived: body\r\n.\r\n";

	(void)state;
	for (unsigned piece = 0; piece < 20; piece++) {
		run((const uint8_t *)in, sizeof(in) - 1, SMTP_DATA_REJECT, piece, false, &r);
		assert_int_equal(r.received, 3);
		assert_false(r.in_header);
	}
	feed_text("Received: a\r\nTo: b\r\n.\r\n", SMTP_DATA_REJECT, &r);
	assert_true(r.in_header);
	assert_int_equal(r.received, 1);
}

/* P21: BDAT knows no dots and no bare line ends. */
static void chunks(void **state)
{
	static struct result r;
	static const char in[] = "Received: a\r\n\rB\r\n\r\n.\r\n\n.\n..x\r";

	(void)state;
	for (unsigned piece = 0; piece < 6; piece++) {
		run((const uint8_t *)in, sizeof(in) - 1, SMTP_DATA_CHUNKS, piece, true, &r);
		assert_int_equal(r.used, sizeof(in) - 1);
		assert_false(r.ended || r.bare || r.in_header);
		assert_int_equal(r.size, sizeof(in) - 1);
		assert_int_equal(r.n_forward, sizeof(in) - 1);
		assert_memory_equal(r.forward, in, r.n_forward);
		assert_memory_equal(r.plain, in, r.n_plain);
		assert_int_equal(r.received, 1);
	}
}

/* P6: no text line is cut, whatever its length. */
static void long_line(void **state)
{
	static uint8_t in[MAX];
	static struct result r;

	(void)state;
	memset(in, 'a', sizeof(in));
	memcpy(in + MAX - 5, "\r\n.\r\n", 5);
	run(in, MAX, SMTP_DATA_REJECT, 1448, true, &r);
	assert_true(r.ended);
	assert_int_equal(r.n_forward, MAX - 3);
	assert_int_equal(r.size, MAX - 3);
}

static void after_the_end(void **state)
{
	struct smtp_data d;
	uint8_t forward[64];
	size_t n;

	(void)state;
	smtp_data_init(&d, SMTP_DATA_REJECT);
	assert_int_equal(
	    smtp_data_feed(&d, (const uint8_t *)".\r\n.\r\n", 6, forward, &n, NULL, NULL), 3);
	assert_int_equal(
	    smtp_data_feed(&d, (const uint8_t *)".\r\n", 3, forward, &n, NULL, NULL), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_streams),
		cmocka_unit_test(random_mail),
		cmocka_unit_test(faults_at_every_offset),
		cmocka_unit_test(smuggling),
		cmocka_unit_test(nul_is_content),
		cmocka_unit_test(dots),
		cmocka_unit_test(normalized),
		cmocka_unit_test(received_fields),
		cmocka_unit_test(chunks),
		cmocka_unit_test(long_line),
		cmocka_unit_test(after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
