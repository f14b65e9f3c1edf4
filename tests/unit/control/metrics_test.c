/* SPDX-License-Identifier: BSD-3-Clause */
/* The text that Prometheus reads: labels, escapes, the bound on rules. */
#include "metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct stats_file *make(void)
{
	size_t size = sizeof(struct stats_file) + 2 * sizeof(struct stats_worker);
	struct stats_file *file = aligned_alloc(64, (size + 63) / 64 * 64);
	assert_non_null(file);
	memset(file, 0, size);
	file->n_workers = 2;
	return file;
}

static void counter(struct stats_file *file, const char *name, const char *text, uint32_t kind)
{
	struct stats_name *n = &file->names[file->n_counters];
	snprintf(n->name, sizeof(n->name), "%s", name);
	snprintf(n->text, sizeof(n->text), "%s", text);
	n->kind = kind;
	file->workers[0].counters[file->n_counters] = 2;
	file->workers[1].counters[file->n_counters++] = 3;
}

static void holds(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("%s is not in:\n%s", part, text);
}

static void without_a_dataplane(void **state)
{
	char *text = metrics_text(NULL);
	(void)state;
	holds(text, "# TYPE postern_up gauge\npostern_up 0\n");
	free(text);
}

static void every_kind(void **state)
{
	struct stats_file *file = make();
	(void)state;
	counter(file, "syn_rx", "SYNs \\ for\na listener", STATS_COUNTER);
	counter(file, "sessions", "Sessions open", STATS_GAUGE);
	counter(file, "reason_listed", "x", STATS_COUNTER);
	counter(file, "verdict_refuse_rcpt", "x", STATS_COUNTER);
	counter(file, "odd name\n", "x", STATS_COUNTER);
	file->n_servers = 1;
	snprintf(file->server_names[0], STATS_NAME_LEN, "mail\"1\\");
	file->workers[1].servers[0].state = SERVER_UP;
	file->workers[0].servers[0].messages = 7;
	snprintf(file->rule_names[3], STATS_NAME_LEN, "lists.bad");
	file->workers[1].rules[3] = (struct stats_rule){ 4, 1 };
	char *text = metrics_text(file);
	holds(text, "# HELP postern_syn_rx_total SYNs \\\\ for a listener\n");
	holds(text, "# TYPE postern_syn_rx_total counter\npostern_syn_rx_total 5\n");
	holds(text, "# TYPE postern_sessions gauge\npostern_sessions 5\n");
	holds(text, "\npostern_reason_total{reason=\"listed\"} 5\n");
	holds(text, "\npostern_verdict_total{verdict=\"refuse\",phase=\"rcpt\"} 5\n");
	holds(text, "\npostern_odd_name__total 5\n");
	holds(text, "\npostern_server_up{server=\"mail\\\"1\\\\\"} 1\n");
	holds(text, "\npostern_server_messages_total{server=\"mail\\\"1\\\\\"} 7\n");
	holds(text, "\npostern_rule_hits_total{rule=\"lists.bad\"} 4\n");
	holds(text, "\npostern_rule_shadow_total{rule=\"lists.bad\"} 1\n");
	free(text);
	free(file);
}

static void rules_are_bounded(void **state)
{
	struct stats_file *file = make();
	unsigned n = 0;
	(void)state;
	for (unsigned i = 0; i < METRICS_MAX_RULES + 50; i++) {
		snprintf(file->rule_names[i], STATS_NAME_LEN, "lists.n%u", i);
		file->workers[0].rules[i].hits = 1;
	}
	char *text = metrics_text(file);
	for (const char *p = text; (p = strstr(p, "postern_rule_hits_total{")) != NULL; p++)
		n++;
	assert_int_equal(n, METRICS_MAX_RULES + 1);
	holds(text, "postern_rule_hits_total{rule=\"other\"} 50\n");
	free(text);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_dataplane),
		cmocka_unit_test(every_kind),
		cmocka_unit_test(rules_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
