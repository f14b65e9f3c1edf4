/* SPDX-License-Identifier: BSD-3-Clause */
/* `posternctl tarpit`: who is held, and after how long who is kept waiting gives up (ctl.h). */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static long long counter(const json_t *stats, const char *name)
{
	const json_t *counters = json_object_get(stats, "counters");
	for (size_t i = 0; i < json_array_size(counters); i++) {
		const json_t *one = json_array_get(counters, i);
		if (strcmp(ctl_text_in(one, "name"), name) == 0)
			return ctl_number_in(one, "total");
	}
	return 0;
}

static void show_ages(const struct ctl *ctl, const json_t *rows)
{
	printf("\n%sgave up%*s%10s %10s  within%s\n", ctl_ink_on(ctl, CTL_BOLD), 17, "", "delay",
	    "clients", ctl_ink_off(ctl));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i),
			     *within = json_object_get(row, "within");
		long long below = ctl_number_in(row, "pace_below_ms"), so_far = 0,
			  total = ctl_number_in(row, "total");
		const char *name = ctl_text_in(row, "name");
		char delay[32];
		snprintf(delay, sizeof(delay), below ? "< %lld ms" : ">= 16 s", below);
		printf("%-24s%10s %10lld ", *name ? name : "(no class)", delay, total);
		for (size_t a = 0; a < json_array_size(within); a++) {
			long long n = json_integer_value(json_array_get(within, a));
			so_far += n;
			if (n != 0)
				printf(
				    " %llds:%lld%%", 1ll << a, so_far * 100 / (total ? total : 1));
		}
		putchar('\n');
	}
	if (json_array_size(rows) == 0)
		printf("nobody yet\n");
}

int ctl_serve_tarpit(const struct ctl *ctl, int argc, char **argv)
{
	json_t *stats = NULL;
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	int ret = ctl_ask(ctl, "stats", NULL, &stats);
	if (ret != CTL_OK)
		return ret;
	json_t *rows = json_object_get(stats, "gave_up");
	if (ctl->json) {
		json_t *all = json_pack("{s:I, s:I, s:I, s:I, s:O}", "held",
		    (json_int_t)counter(stats, "tarpit_held"), "left",
		    (json_int_t)counter(stats, "tarpit_left"), "let_go",
		    (json_int_t)counter(stats, "tarpit_let_go"), "refused",
		    (json_int_t)counter(stats, "tarpit_refused"), "gave_up", rows);
		ctl_print_json(all);
		json_decref(all);
	} else {
		ctl_row(ctl, "held now", CTL_PLAIN, "%lld", counter(stats, "tarpit_held"));
		ctl_row(ctl, "went by themselves", CTL_PLAIN, "%lld", counter(stats, "tarpit_left"));
		ctl_row(ctl, "refused, and heard it out", CTL_PLAIN, "%lld",
		    counter(stats, "tarpit_refused"));
		ctl_row(
		    ctl, "let go for others", CTL_PLAIN, "%lld", counter(stats, "tarpit_let_go"));
		show_ages(ctl, rows);
	}
	json_decref(stats);
	return CTL_OK;
}
