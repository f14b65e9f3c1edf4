/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is in the corpus, how many, and why so. The generator reads the numbers here, so what is
 * printed is what is played. Where something was measured and published, the row leans to the side
 * that is worse for us; the rest are guesses, and said to be.
 */
#include "corpus.h"

/* How much of it lists of spam sources know. Measured: about 80 % of spam sources were on at least one of
 * eight lists (Ramachandran and Feamster 2006); one list alone named 83 % of what a university refused
 * at connect, 88 % by address (Siebenmann 2005, CBL); of all mail of an institute single lists named
 * 35-65 % (NBER 2005). Taken: a little below the first. The figures depend on this one most, and 65 %
 * would not do for 90 %: `--sensitivity`. */
const struct corpus_options corpus_defaults = { .listed = 75, .listed_later = 10 };

const struct mix corpus_mix[N_KINDS] = {
	[BOT] = { "bots", 420, 2, "one to three messages, never again",
	    "ratware on customers' lines sends without a queue; the bulk of all connections" },
	[BOT_EARLY] = { "bots that talk early", 30, 1, "HELO before the greeting",
	    "the reason for pregreet tests; guess: one in twenty" },
	[BOT_PIPELINE] = { "bots that pipeline", 30, 1, "all commands in one write",
	    "scripts that read no replies; guess: one in twenty" },
	[BOT_HTTP] = { "HTTP and the like", 15, 2, "POST with mail in its body",
	    "browsers and proxies made to speak to port 25; rare" },
	[BOT_FORGED] = { "bots, forged sender", 50, 2, "a sender's domain that takes no mail",
	    "made-up domains, and such with null MX; two in five come back once" },
	[BOT_RETRY] = { "bots that retry once", 70, 1, "back after 30 s to 15 min",
	    "ratware made against greylists; one in eight of the bots" },
	[BOT_LOUD] = { "loud bot", 1, 70, "all connections at once",
	    "one machine with a thread for each recipient" },
	[BOT_BLOCKED] = { "networks blocked here", 40, 2, "on the operator's list, or banned",
	    "what an operator has met before" },
	[DICTIONARY] = { "dictionary attack", 2, 12, "60 guessed names a connection, bot",
	    "a word list against one domain, as fast as it is answered" },
	[HARVESTER] = { "harvester", 3, 8, "25 guesses a connection, proper host name",
	    "a rented server with names in order that looks for who is there" },
	[HARVESTERS] = { "harvesters, spread", 100, 1, "5 guesses each within an hour",
	    "the same work in a hundred pieces, each below any limit of its own; two in five "
	    "rented" },
	[SNOWSHOE] = { "snowshoe", 10, 20, "a /24 with proper names and SPF, retries",
	    "with bots' share kept to the measured one; listed as bots are; half with VERP" },
	[BACKSCATTER] = { "backscatter", 45, 2, "bounces of mail that was never sent",
	    "two forged campaigns; real servers, four in five retry; half on such a list" },
	[CAPTURED] = { "captured account", 1, 25, "20 recipients each in two hours",
	    "a school elsewhere lost a password; its server is in order and retries" },
	[CAPTURED_OWN] = { "own captured account", 1, 100, "8 recipients each in two hours",
	    "an own school lost one; not among the connections from outside" },
	[BIG_POOL] = { "big senders, pools", 3, 60, "24 addresses, retries from another",
	    "one on a white list, one on bad administration, one on backscatter" },
	[MAILING_LIST] = { "mailing lists", 6, 30, "VERP, a few recipients at a time",
	    "discussions: a sender of its own for each message" },
	[LIST_BURST] = { "lists, weekly", 2, 50, "20 recipients each in half an hour",
	    "letters that come every week with one sender; 3 % have gone" },
	[LIST_NEW] = { "list, first letter", 1, 30, "20 recipients each in 40 min",
	    "the same without any history" },
	[LIST_OLD] = { "lists, old", 2, 1, "24 recipients, most have gone",
	    "a letter to a class that has left school" },
	[SCHOOL] = { "schools, weekly", 2, 250, "4 recipients each in one hour",
	    "1,000 recipients an hour once a week" },
	[SERVER] = { "mail servers", 50, 5, "one of five a bounce that is one",
	    "well kept; seven in ten with SPF" },
	[SMALL_ODD] = { "small servers, odd", 80, 3, "one or two oddities",
	    "no reverse name, an odd HELO, a dynamic list's error: drawn evenly" },
	[SLOW] = { "slow links", 10, 2, "20 s before each command", "far away, overloaded" },
	[FORWARDER] = { "forwarders", 6, 5, "SPF fails or softfails",
	    "mail passed on with its sender, as alumni addresses do" },
	[OWN_SCHOOL] = { "own school, weekly", 1, 100, "10 recipients each in one hour, outbound",
	    "1,000 recipients an hour once a week" },
	[OWN_USERS] = { "own users", 1, 60, "one recipient each, outbound", "everyday mail" },
};
