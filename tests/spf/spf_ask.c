/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SPF machine on standard input and output, for a driver that plays the DNS. One line each way;
 * every byte string is in hexadecimal, `-` for none:
 *
 *	> start CLIENT HELO MAIL RECEIVER NOW     CLIENT: 16 bytes
 *	< ask ID TYPE NAME                        TYPE: A AAAA TXT MX PTR
 *	> answer ID STATUS [RECORD...]            STATUS: ok nodata nxdomain servfail timeout
 *	< result WORD DOMAIN AUTHORITY EXPLANATION LOOKUPS VOIDS QUESTIONS TROUBLE
 *
 * A process per test would be the simpler shape and takes ten times as long.
 */
#include "filters/spf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 600, LINE_MAX_BYTES = 1 << 20 };

static const char *type_word(uint16_t type)
{
	switch (type) {
	case SPF_TYPE_A: return "A";
	case SPF_TYPE_AAAA: return "AAAA";
	case SPF_TYPE_TXT: return "TXT";
	case SPF_TYPE_MX: return "MX";
	default: return "PTR";
	}
}

static void die(const char *what)
{
	fprintf(stderr, "spf_ask: %s\n", what);
	exit(2);
}

/* In place: the bytes lie where their digits were. */
static struct text unhex(char *word)
{
	struct text t = { word, 0 };
	size_t len = strlen(word);

	if (strcmp(word, "-") == 0)
		return t;
	if (len % 2 || len / 2 > UINT16_MAX)
		die("not hexadecimal");
	for (size_t i = 0; i < len; i += 2) {
		unsigned byte;

		if (sscanf(word + i, "%2x", &byte) != 1)
			die("not hexadecimal");
		word[t.len++] = (char)byte;
	}
	return t;
}

static void print_hex(const char *p, unsigned len)
{
	putchar(' ');
	if (len == 0)
		putchar('-');
	for (unsigned i = 0; i < len; i++)
		printf("%02x", (unsigned char)p[i]);
}

static void report(const struct spf *s)
{
	const struct spf_question *q = spf_question(s);
	const struct spf_outcome *o = spf_outcome(s);

	if (q) {
		printf("ask %u %s", q->id, type_word(q->type));
		print_hex(q->name, q->name_len);
	} else {
		printf("result %s", spf_result_words[o->result]);
		print_hex(o->domain.p, o->domain.len);
		print_hex(o->authority.p, o->authority.len);
		print_hex(o->explanation.p, o->explanation.len);
		printf(" %u %u %u %s", o->lookups, o->voids, o->questions,
		    o->trouble ? spf_trouble_words[o->trouble] : "-");
	}
	putchar('\n');
	fflush(stdout);
}

static void start(struct spf *s, char **words, unsigned n)
{
	struct spf_input in = { .explain = true };

	if (n != 6)
		die("start takes five words");
	struct text client = unhex(words[1]);

	if (client.len != sizeof(in.client))
		die("a client is 16 bytes");
	memcpy(in.client, client.p, sizeof(in.client));
	in.helo = unhex(words[2]);
	in.mail = unhex(words[3]);
	in.receiver = unhex(words[4]);
	in.now_s = strtoull(words[5], NULL, 10);
	spf_start(s, &in);
}

static void answer(struct spf *s, char **words, unsigned n)
{
	static const char *const statuses[] = { "ok", "nodata", "nxdomain", "servfail", "timeout" };
	struct text records[WORDS_MAX];
	struct spf_answer a = { .status = 0xff, .records = records };

	if (n < 3)
		die("answer takes two words and more");
	for (unsigned i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		if (strcmp(words[2], statuses[i]) == 0)
			a.status = (uint8_t)i;
	}
	for (unsigned i = 3; i < n; i++)
		records[a.n_records++] = unhex(words[i]);
	if (spf_answer(s, (uint32_t)strtoul(words[1], NULL, 10), &a))
		die("the answer is refused");
}

int main(void)
{
	static _Alignas(SPF_STATE_ALIGN) uint8_t memory[SPF_STATE_BYTES];
	static char line[LINE_MAX_BYTES];
	struct spf *s = spf_init(memory);

	while (fgets(line, sizeof(line), stdin)) {
		char *words[WORDS_MAX], *save = NULL;
		unsigned n = 0;

		for (char *w = strtok_r(line, " \n", &save); w && n < WORDS_MAX;
		     w = strtok_r(NULL, " \n", &save))
			words[n++] = w;
		if (n && strcmp(words[0], "start") == 0)
			start(s, words, n);
		else if (n && strcmp(words[0], "answer") == 0)
			answer(s, words, n);
		else
			die("start or answer");
		report(s);
	}
	return 0;
}
