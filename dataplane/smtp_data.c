/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DATA stream: finds CR LF . CR LF and nothing else (P4), takes dot-stuffing off for the
 * scanner, leaves it on for the backend (P5), counts size and Received fields.
 *
 * Clean text is checked 64 bytes at a time with the compiler's vectors and copied in runs; a byte
 * machine takes over around dots at line starts and around what is not CR LF. A line-by-line
 * reader on memchr() was rejected: mail lines are short, and two calls a line cost more than the
 * copy. The machine holds back what it cannot judge yet (a CR, a dot at a line start), two bytes
 * at most, so its output does not depend on how the input was cut.
 *
 * Bare line ends. A line starts for the protocol only after an exact CR LF, so no other sequence
 * ends a message, CR CR LF . CR LF included: to some senders its dot is content. NORMALIZE makes
 * CR LF of each bare CR, each bare LF and each CR CR LF (read from the left), and stuffs a dot that
 * such a rewriting puts at a line start. A dot that stuffs an original line, of which rewriting
 * would leave the dot alone, is taken off in both outputs. Under REJECT and DISCONNECT nothing more
 * comes out once `bare` is set, so a condemned message cannot be completed by mistake.
 */
#include "smtp.h"

#include <endian.h>
#include <string.h>
#include <strings.h>

enum state {
	LINE, /* line start: at the beginning, or after an exact CR LF */
	MADE, /* line start made by a bare line end */
	MID,
	CR,    /* held: CR */
	CRCR,  /* held: CR CR */
	DOT,   /* held: a dot at LINE */
	DOTCR, /* held: a dot at LINE, CR */
};

/* Values of header_match beyond the count of letters matched. */
enum {
	MATCH_NONE = 0xff,  /* inside a line that is no Received field, or past its colon */
	MATCH_EMPTY = 0xfe, /* CR at a line start */
};

static const char received_word[] = "received:";
enum { RECEIVED_LEN = sizeof(received_word) - 1 };

void smtp_data_init(struct smtp_data *d, enum smtp_data_policy policy)
{
	*d = (struct smtp_data){ .state = LINE, .policy = (uint8_t)policy, .in_header = true };
}

/* Sees the unstuffed message in order, until the empty line. */
static void header_feed(struct smtp_data *d, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;

	while (p < end) {
		if (d->header_match == MATCH_NONE) {
			p = memchr(p, '\n', (size_t)(end - p));
			if (!p)
				return;
			p++;
			d->header_match = 0;
		} else if (d->header_match == 0 && end - p >= RECEIVED_LEN && *p != '\r') {
			if ((*p | 0x20) == 'r' &&
			    strncasecmp((const char *)p, received_word, RECEIVED_LEN) == 0)
				d->received++;
			d->header_match = MATCH_NONE; /* may end within these bytes: not skipped */
		} else if (d->header_match == MATCH_EMPTY) {
			d->in_header = *p != '\n';
			if (!d->in_header)
				return;
			d->header_match = MATCH_NONE; /* a bare CR, in a chunk */
		} else if (d->header_match == 0 && *p == '\r') {
			d->header_match = MATCH_EMPTY;
			p++;
		} else {
			uint8_t c = *p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p;

			if (c != (uint8_t)received_word[d->header_match]) {
				d->header_match = MATCH_NONE;
				continue;
			}
			p++;
			if (++d->header_match == RECEIVED_LEN) {
				d->received++;
				d->header_match = MATCH_NONE;
			}
		}
	}
}

/* Where output goes during one call. */
struct sink {
	uint8_t *forward, *plain; /* next byte; plain may be NULL */
};

static bool is_silent(const struct smtp_data *d)
{
	return d->bare && d->policy != SMTP_DATA_NORMALIZE;
}

/* Message bytes: the same in both outputs. */
static void emit(struct smtp_data *d, struct sink *s, const uint8_t *p, size_t len)
{
	d->size += len;
	if (is_silent(d))
		return;
	memcpy(s->forward, p, len);
	s->forward += len;
	if (s->plain) {
		memcpy(s->plain, p, len);
		s->plain += len;
	}
	if (d->in_header)
		header_feed(d, p, len);
}

static void emit_line_end(struct smtp_data *d, struct sink *s)
{
	emit(d, s, (const uint8_t *)"\r\n", 2);
}

/* A dot for the backend alone. */
static void emit_stuffing(struct smtp_data *d, struct sink *s)
{
	if (!is_silent(d))
		*s->forward++ = '.';
}

/* One byte. The states that hold something let go of it first and look at the byte again. */
static void step(struct smtp_data *d, struct sink *s, uint8_t c)
{
	for (;;) {
		switch ((enum state)d->state) {
		case LINE:
		case MADE:
		case MID:
			if (c == '\r') {
				d->state = CR;
			} else if (c == '\n') {
				d->bare = true;
				emit_line_end(d, s);
				d->state = MADE;
			} else if (c == '.' && d->state == LINE) {
				d->state = DOT;
			} else {
				if (c == '.' && d->state == MADE)
					emit_stuffing(d, s);
				emit(d, s, &c, 1);
				d->state = MID;
			}
			return;
		case CR:
			if (c == '\n') {
				emit_line_end(d, s);
				d->state = LINE;
				return;
			}
			d->bare = true;
			if (c == '\r') {
				d->state = CRCR;
				return;
			}
			emit_line_end(d, s);
			d->state = MADE;
			break;
		case CRCR:
			emit_line_end(d, s); /* of CR CR LF, or of the first bare CR */
			if (c == '\r')
				return;
			d->state = MADE;
			if (c == '\n')
				return;
			emit_line_end(d, s);
			break;
		case DOT:
			if (c == '\r') {
				d->state = DOTCR;
				return;
			}
			if (c == '\n') {
				d->state = MID; /* bare, and the dot goes */
				break;
			}
			emit_stuffing(d, s);
			emit(d, s, &c, 1);
			d->state = MID;
			return;
		case DOTCR:
			if (c == '\n') {
				d->ended = true;
				return;
			}
			d->state = CR; /* bare, and the dot goes */
			break;
		}
	}
}

/* ---- clean runs ---- */

enum { WIDTH = 16, PAST = 4 };
typedef uint8_t v16 __attribute__((vector_size(WIDTH)));
typedef uint64_t v2u64 __attribute__((vector_size(WIDTH)));

static inline __attribute__((always_inline)) v16 load(const uint8_t *p)
{
	v16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Not zero in each byte at p that needs the byte machine, given the byte before it: an LF not after
 * CR, a CR not before LF (seen at the next byte), a dot at a line start. */
static inline __attribute__((always_inline)) v16 unclean(const uint8_t *p)
{
	v16 now = load(p), before = load(p - 1);
	v16 lf = (v16)(now == '\n'), after_cr = (v16)(before == '\r');
	v16 dot = (v16)(now == '.'), after_lf = (v16)(before == '\n');

	return (lf ^ after_cr) | (dot & after_lf);
}

/* Of the first byte that is not zero; WIDTH: all are. */
static inline __attribute__((always_inline)) unsigned first_of(v16 v)
{
	v2u64 u = (v2u64)v;

	if (u[0])
		return (unsigned)__builtin_ctzll(le64toh(u[0])) / 8;
	return u[1] ? 8 + (unsigned)__builtin_ctzll(le64toh(u[1])) / 8 : WIDTH;
}

/* Bytes from p on that are clean; p[-1] can be read. Fewer than WIDTH are not looked at. */
static inline __attribute__((always_inline)) size_t clean_run_of(const uint8_t *p, size_t len)
{
	size_t n = 0;
	unsigned k;

	for (; len - n >= 64; n += 64) {
		if (first_of(unclean(p + n) | unclean(p + n + 16) | unclean(p + n + 32) |
			     unclean(p + n + 48)) < WIDTH)
			break;
	}
	for (; len - n >= WIDTH; n += WIDTH) {
		k = first_of(unclean(p + n));
		if (k < WIDTH)
			return n + k;
	}
	if (n == 0 || n == len)
		return n;
	/* The last vector overlaps what is known to be clean. */
	k = first_of(unclean(p + len - WIDTH));
	return len - WIDTH + k;
}

#ifdef __x86_64__
/* The same instructions without the copies that two-operand ones need. */
static __attribute__((target("avx2"))) size_t clean_run_avx2(const uint8_t *p, size_t len)
{
	return clean_run_of(p, len);
}
#endif

static size_t clean_run(const uint8_t *p, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return clean_run_avx2(p, len);
#endif
	return clean_run_of(p, len);
}

size_t smtp_data_feed(struct smtp_data *d, const uint8_t *in, size_t len, uint8_t *forward,
    size_t *ret_forward, uint8_t *plain, size_t *ret_plain)
{
	struct sink s = { forward, plain };
	size_t i = 0;

	if (d->policy == SMTP_DATA_CHUNKS) {
		emit(d, &s, in, len);
		i = len;
	}
	while (i < len && !d->ended) {
		/* A run may start where nothing is held and the byte before is at hand. */
		size_t run = i > 0 && d->state <= MID ? clean_run(in + i, len - i) : 0;

		if (run) {
			uint8_t last = in[i + run - 1];

			d->state = last == '\r' ? CR : last == '\n' ? LINE : MID;
			emit(d, &s, in + i, run - (last == '\r'));
			i += run;
		}
		/* Past what stopped the run (at first: to have a byte before), then try again: where
		 * that is frequent, looking costs no more than stepping. */
		size_t stop = i == 0 ? 1 : len - i < WIDTH ? len : i + PAST;

		while (i < stop && !d->ended)
			step(d, &s, in[i++]);
	}
	*ret_forward = (size_t)(s.forward - forward);
	if (plain)
		*ret_plain = (size_t)(s.plain - plain);
	return i;
}
