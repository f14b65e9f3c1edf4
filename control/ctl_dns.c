/* SPDX-License-Identifier: BSD-3-Clause */
/* posternctl dns: lists, look-ups, the cache (ctl.h). */
#include "ctl.h"

#include <stdio.h>

static void show_family(
    const struct ctl *ctl, const json_t *list, const char *family, const char *word)
{
	const json_t *state = json_object_get(list, family);
	const char *is, *trouble;
	enum ctl_ink ink;

	if (!json_is_object(state))
		return;
	is = ctl_text_in(state, "state");
	trouble = ctl_text_in(state, "trouble");
	ink = is[0] == 'a' ? CTL_GREEN : is[0] == 's' ? CTL_RED : CTL_YELLOW;
	printf("  %s %s%s%s%s%s\n", word, ctl_ink_on(ctl, ink), is, ctl_ink_off(ctl),
	    *trouble ? ": " : "", trouble);
}

static void show_lists(const struct ctl *ctl, const json_t *result)
{
	const json_t *lists = json_object_get(result, "lists"),
		     *recursors = json_object_get(result, "recursors");
	const json_t *item;
	size_t i;

	if (json_array_size(recursors) == 0)
		printf(
		    "name service is off: the configuration names no recursor (dns.recursors)\n");
	json_array_foreach(recursors, i, item)
	{
		bool up = json_is_true(json_object_get(item, "up"));

		printf("recursor %s port %lld: %s%s%s, asked %lld, answered %lld, timed out %lld\n",
		    ctl_text_in(item, "address"), ctl_number_in(item, "port"),
		    ctl_ink_on(ctl, up ? CTL_GREEN : CTL_RED), up ? "up" : "down", ctl_ink_off(ctl),
		    ctl_number_in(item, "asked"), ctl_number_in(item, "answered"),
		    ctl_number_in(item, "timeouts"));
	}
	json_array_foreach(lists, i, item)
	{
		printf("%s%s%s (%s, %s): queries %lld, hits %lld, alone %lld, accepted later %lld, "
		       "errors %lld, time-outs %lld\n",
		    ctl_ink_on(ctl, CTL_BOLD), ctl_text_in(item, "name"), ctl_ink_off(ctl),
		    ctl_text_in(item, "zone"), ctl_text_in(item, "kind"),
		    ctl_number_in(item, "queries"), ctl_number_in(item, "hits"),
		    ctl_number_in(item, "sole_hits"), ctl_number_in(item, "accepted"),
		    ctl_number_in(item, "errors"), ctl_number_in(item, "timeouts"));
		show_family(ctl, item, "ipv4", "IPv4");
		show_family(ctl, item, "ipv6", "IPv6");
	}
}

static int serve_lists(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "dns.lists", NULL, show_lists, NULL);
}

static void show_lookup(const struct ctl *ctl, const json_t *result)
{
	const json_t *lists = json_object_get(result, "lists"),
		     *host = json_object_get(result, "host"), *item;
	const char *name = ctl_text_in(host, "name");
	size_t i;

	printf("%s: name %s%s%s\n", ctl_text_in(result, "address"), ctl_text_in(host, "state"),
	    *name ? ", " : "", name);
	json_array_foreach(lists, i, item)
	    ctl_row(ctl, ctl_text_in(item, "name"), CTL_PLAIN, "%s", ctl_text_in(item, "says"));
	if (json_is_true(json_object_get(result, "under_way")))
		printf("some answers are still under way: ask again in a second\n");
}

static int serve_lookup(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(
	    ctl, "dns.lookup", json_pack("{s:s}", "address", argv[0]), show_lookup, NULL);
}

static int serve_flush(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "dns.flush", NULL, NULL, "the cache is empty");
}

static int serve_resume(const struct ctl *ctl, int argc, char **argv)
{
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	return ctl_ask_show(ctl, "dns.resume", json_pack("{s:s}", "list", argv[0]), NULL,
	    "its test points are asked again; `dns lists` shows what comes of it");
}

const struct ctl_command ctl_dns_commands[] = {
	{ "dns lists", "", serve_lists,
	    "DNS lists and recursors: state, and what each list was good for.",
	    "A list is suspended, and not asked, while it fails its test points (127.0.0.2 must be "
	    "listed, 127.0.0.1 must not), answers errors or nothing, or names senders whose mail "
	    "the "
	    "mail servers accept. `alone`: no other list named the client." },
	{ "dns lookup", "ADDRESS", serve_lookup, "What the lists and reverse DNS say of an address.",
	    "Asked as for a client, so what comes late is there the next time." },
	{ "dns flush", "", serve_flush, "Empties the cache of answers.", NULL },
	{ "dns resume", "LIST", serve_resume,
	    "Tries a suspended list again, also one that named accepted senders.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
