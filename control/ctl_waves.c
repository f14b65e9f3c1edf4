/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl waves: the same content from many networks, and what to do about it (ctl.h). */
#include "ctl.h"

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
	    "The first 64 that were seen; each ban ends by itself. `pattern add` refuses the "
	    "content "
	    "instead: posternctl pattern add 'url:\"HOST\"' --action refuse --for 2h" },
	{ NULL, NULL, NULL, NULL, NULL },
};
