/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl waves: the same content from many networks, and what to do about it (ctl.h). */
#include "ctl.h"

#include "filters/waves.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show_waves(const struct ctl *ctl, const json_t *result)
{
	const json_t *rows = json_object_get(result, "waves"), *row;
	char first[CTL_TIME_MAX];
	size_t i;

	if (json_array_size(rows) == 0)
		printf("no wave goes on (waves.networks in the configuration turns the look-out "
		       "on)\n");
	else
		printf("%s%6s %8s %8s  %-19s  %-28s  %s%s\n", ctl_ink_on(ctl, CTL_BOLD), "wave",
		    "networks", "messages", "since", "host", "subject", ctl_ink_off(ctl));
	json_array_foreach(rows, i, row)
	{
		printf("%6lld %8lld %8lld  %-19s  %-28s  %s\n", ctl_number_in(row, "id"),
		    ctl_number_in(row, "networks"), ctl_number_in(row, "messages"),
		    ctl_time(ctl_number_in(row, "first_s"), first), ctl_text_in(row, "host"),
		    ctl_text_in(row, "subject"));
	}
}

static int serve_waves(const struct ctl *ctl, int argc, char **argv)
{
	int64_t networks = 2;
	const struct ctl_option options[] = { { "--networks", CTL_NUMBER, &networks },
		{ NULL, CTL_FLAG, NULL } };

	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "waves.show", json_pack("{s:I}", "networks", (json_int_t)networks),
	    show_waves, NULL);
}

static bool read_id(const struct ctl *ctl, const char *text, int64_t *ret_id)
{
	char *end;

	errno = 0;
	*ret_id = strtoll(text, &end, 10);
	if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0')
		return true;
	ctl_usage(ctl, "\"%s\" is no wave's number; `posternctl waves` lists them", text);
	return false;
}

static int get_wave(const struct ctl *ctl, int64_t id, json_t **ret_result, json_t **ret_wave)
{
	int ret = ctl_ask(ctl, "waves.show", json_pack("{s:I}", "id", (json_int_t)id), ret_result);

	if (ret == CTL_OK)
		*ret_wave = json_array_get(json_object_get(*ret_result, "waves"), 0);
	return ret;
}

static int serve_show(const struct ctl *ctl, int argc, char **argv)
{
	json_t *result = NULL, *wave = NULL, *clients;
	int64_t id;
	int ret;

	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1) || !read_id(ctl, argv[0], &id))
		return CTL_USAGE;
	ret = get_wave(ctl, id, &result, &wave);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json) {
		ctl_print_json(wave);
	} else {
		char first[CTL_TIME_MAX], last[CTL_TIME_MAX];

		ctl_row(ctl, "subject", CTL_BOLD, "%s", ctl_text_in(wave, "subject"));
		ctl_row(ctl, "sender", CTL_PLAIN, "%s", ctl_text_in(wave, "sender"));
		ctl_row(ctl, "host", CTL_PLAIN, "%s", ctl_text_in(wave, "host"));
		ctl_row(ctl, "messages", CTL_PLAIN, "%lld from %lld networks",
		    ctl_number_in(wave, "messages"), ctl_number_in(wave, "networks"));
		ctl_row(ctl, "seen", CTL_PLAIN, "%s to %s",
		    ctl_time(ctl_number_in(wave, "first_s"), first),
		    ctl_time(ctl_number_in(wave, "last_s"), last));
		clients = json_object_get(wave, "clients");
		for (size_t i = 0; i < json_array_size(clients); i++)
			ctl_row(ctl, i ? "" : "clients", CTL_PLAIN, "%s",
			    json_string_value(json_array_get(clients, i)));
	}
	json_decref(result);
	return CTL_OK;
}

/* ---- a pattern made of a wave ---- */

enum { PATTERN_MAX = 4096, LETTERS_LEAST = 6 };

struct made {
	char text[PATTERN_MAX];
	size_t n;
	long long messages, elsewhere; /* of the wave, of others: that it would have met */
};

static void put(struct made *m, const char *text)
{
	int n = snprintf(m->text + m->n, sizeof(m->text) - m->n, "%s", text);

	m->n += n > 0 && m->n + (size_t)n < sizeof(m->text) ? (size_t)n : 0;
}

/* A text as an expression that matches it: digits are any number, what is beyond ASCII is anything. */
static void put_escaped(struct made *m, const char *text, bool digits)
{
	for (const char *p = text; *p; p++) {
		bool beyond = (unsigned char)*p >= 0x80 || (unsigned char)*p < ' ';
		char one[3] = { *p, '\0', '\0' };

		if (beyond && p != text &&
		    ((unsigned char)p[-1] >= 0x80 || (unsigned char)p[-1] < ' '))
			continue;
		if (beyond) {
			put(m, ".+");
			continue;
		}
		if (digits && *p == '0') {
			put(m, "[0-9]+");
			continue;
		}
		if (strchr("\\/.^$|?*+()[]{}\"#", *p)) {
			one[0] = '\\';
			one[1] = *p;
		}
		put(m, one);
	}
}

static void add_word(struct made *m, const json_t *word)
{
	m->messages += ctl_number_in(word, "messages");
	m->elsewhere += ctl_number_in(word, "elsewhere");
}

/* Hosts are names: what is none is left out. */
static void made_of_hosts(const json_t *wave, struct made *m)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const json_t *hosts = json_object_get(wave, "hosts"), *one;
	size_t i;

	put(m, "url:/(?:^|\\.)(?:");
	json_array_foreach(hosts, i, one)
	{
		const char *host = ctl_text_in(one, "text");

		if (host[strspn(host, letters)] || !strchr(host, '.'))
			continue;
		put(m, m->messages ? "|" : "");
		put_escaped(m, host, false);
		add_word(m, one);
	}
	put(m, ")$/i");
}

/* The subject that most had; one that would match anything is none. */
static void made_of_subject(const json_t *wave, struct made *m)
{
	const json_t *subjects = json_object_get(wave, "subjects"), *one, *most = NULL;
	unsigned letters = 0;
	size_t i;

	json_array_foreach(subjects, i, one)
	{
		if (!most || ctl_number_in(one, "messages") > ctl_number_in(most, "messages"))
			most = one;
	}
	if (!most)
		return;
	for (const char *p = ctl_text_in(most, "text"); *p; p++)
		letters += (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
	if (letters < LETTERS_LEAST)
		return;
	put(m, "subject:/^");
	put_escaped(m, ctl_text_in(most, "text"), true);
	/* one that was cut has gone on */
	put(m, strlen(ctl_text_in(most, "text")) < WAVES_TEXT - 1 ? "\\s*$/i" : "/i");
	add_word(m, most);
}

static bool choose(const char *by, const json_t *wave, struct made *ret_made)
{
	struct made subject = { .n = 0 }, host = { .n = 0 };

	made_of_hosts(wave, &host);
	made_of_subject(wave, &subject);
	if (by ? strcmp(by, "host") == 0
	       : host.messages - host.elsewhere >= subject.messages - subject.elsewhere)
		*ret_made = host;
	else
		*ret_made = subject;
	return ret_made->messages > 0;
}

static int set_pattern(const struct ctl *ctl, const char *name, const char *value, uint64_t for_s,
    const char *reason, const struct made *made)
{
	json_t *result = NULL;
	char key[96];
	int ret;

	snprintf(key, sizeof(key), "patterns.emergency.%s", name);
	ret = ctl_ask(ctl, "config.set",
	    json_pack("{s:s, s:s, s:I, s:s}", "key", key, "value", value, "for_s",
		(json_int_t)for_s, "reason", reason),
	    &result);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json) {
		json_object_set_new(result, "name", json_string(name));
		json_object_set_new(result, "pattern", json_string(made->text));
		ctl_print_json(result);
	} else {
		printf("pattern %s is in force, epoch %lld; `posternctl pattern del %s` ends it\n",
		    name, ctl_number_in(result, "epoch"), name);
	}
	json_decref(result);
	return CTL_OK;
}

static int serve_pattern(const struct ctl *ctl, int argc, char **argv)
{
	const char *by = NULL, *action = "refuse";
	uint64_t seconds = 7200;
	bool try = false;
	const struct ctl_option options[] = { { "--by", CTL_TEXT, &by },
		{ "--action", CTL_TEXT, &action }, { "--for", CTL_DURATION, &seconds },
		{ "--try", CTL_FLAG, &try }, { NULL, CTL_FLAG, NULL } };
	json_t *result = NULL, *wave = NULL;
	char name[32], reason[64], *value = NULL;
	struct made made;
	int64_t id;
	int ret;

	if (!ctl_options(ctl, &argc, argv, options, 1, 1) || !read_id(ctl, argv[0], &id))
		return CTL_USAGE;
	if (by && strcmp(by, "host") != 0 && strcmp(by, "subject") != 0)
		return ctl_usage(ctl, "--by is host or subject");
	ret = get_wave(ctl, id, &result, &wave);
	if (ret != CTL_OK)
		return ret;
	if (!choose(by, wave, &made)) {
		json_decref(result);
		return ctl_fail(ctl, CTL_REFUSED,
		    "wave %lld has no %s to make a pattern of; `posternctl waves ban %lld` bans "
		    "where it "
		    "came from",
		    (long long)id, by ? by : "host and no subject", (long long)id);
	}
	if (!ctl->json)
		printf("%s\nmatches %lld of the wave's %lld messages, and %lld of other mail seen "
		       "lately\n",
		    made.text, made.messages, ctl_number_in(wave, "messages"), made.elsewhere);
	else if (try)
		printf("{\"messages\":%lld,\"of\":%lld,\"elsewhere\":%lld}\n", made.messages,
		    ctl_number_in(wave, "messages"), made.elsewhere);
	json_decref(result);
	if (try)
		return CTL_OK;
	snprintf(name, sizeof(name), "WAVE%lld", (long long)id);
	snprintf(reason, sizeof(reason), "wave %lld", (long long)id);
	if (asprintf(&value, "%s action=%s", made.text, action) < 0)
		return ctl_fail(ctl, CTL_REFUSED, "no memory");
	ret = set_pattern(ctl, name, value, seconds, reason, &made);
	free(value);
	return ret;
}

static int serve_ban(const struct ctl *ctl, int argc, char **argv)
{
	uint64_t seconds = 86400;
	const struct ctl_option options[] = { { "--for", CTL_DURATION, &seconds },
		{ NULL, CTL_FLAG, NULL } };
	json_t *result = NULL, *wave = NULL, *clients;
	char reason[64];
	size_t n = 0;
	int64_t id;
	int ret;

	if (!ctl_options(ctl, &argc, argv, options, 1, 1) || !read_id(ctl, argv[0], &id))
		return CTL_USAGE;
	ret = get_wave(ctl, id, &result, &wave);
	clients = json_object_get(wave, "clients");
	snprintf(reason, sizeof(reason), "wave %lld", (long long)id);
	for (; ret == CTL_OK && n < json_array_size(clients); n++) {
		json_t *one = NULL;

		ret = ctl_ask(ctl, "ban.add",
		    json_pack("{s:O, s:I, s:s}", "prefix", json_array_get(clients, n), "for_s",
			(json_int_t)seconds, "reason", reason),
		    &one);
		json_decref(one);
	}
	if (ret == CTL_OK && ctl->json)
		printf("{\"banned\":%zu}\n", n);
	else if (ret == CTL_OK)
		printf("%zu address%s banned\n", n, n == 1 ? "" : "es");
	json_decref(result);
	return ret;
}

const struct ctl_command ctl_waves_commands[] = {
	{ "waves", "[--networks N]", serve_waves,
	    "The same content from many networks: phishing waves.",
	    "Messages that share most of their wording, or a URL host first seen not long ago. "
	    "--networks: only those from so many." },
	{ "waves show", "ID", serve_show, "One wave: subject, host, and who sent it.", NULL },
	{ "waves ban", "ID [--for 1d]", serve_ban, "Bans the addresses that a wave came from.",
	    "The first 64 that were seen; each ban ends by itself. `waves pattern` refuses the "
	    "content instead." },
	{ "waves pattern", "ID [--by host|subject] [--action refuse] [--for 2h] [--try]",
	    serve_pattern, "Refuses what a wave's messages have in common.",
	    "Makes a pattern (`pattern add`) of the URL hosts or of the subject, its numbers any "
	    "number, whichever meets more of the wave and less of other mail; tells how much of "
	    "both it meets. --try: only tells. It is named WAVE and the number." },
	{ NULL, NULL, NULL, NULL, NULL },
};
