/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics in Prometheus' text format (metrics.h). */
#include "metrics.h"
#include "stats_view.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = STATS_NAME_LEN + 32 };

static void put_escaped(FILE *to, const char *text, size_t size, bool quote)
{
	for (size_t i = 0; i < size && text[i] != '\0'; i++) {
		if (text[i] == '\\' || (text[i] == '"' && quote))
			fputc('\\', to);
		/* bytes of another process: no line of its own making */
		fputc((unsigned char)text[i] < 0x20 ? ' ' : text[i], to);
	}
}

static void head(FILE *to, const char *name, const char *kind, const char *help)
{
	fprintf(to, "# HELP %s ", name);
	put_escaped(to, help, STATS_TEXT_LEN, false);
	fprintf(to, "\n# TYPE %s %s\n", name, kind);
}

/* A metric with one label. */
static void labelled(
    FILE *to, const char *name, const char *label, const char *value, size_t size, uint64_t number)
{
	fprintf(to, "%s{%s=\"", name, label);
	put_escaped(to, value, size, true);
	fprintf(to, "\"} %" PRIu64 "\n", number);
}

/* Letters, digits and _ as the format has them. */
static void clean_name(const char *from, size_t size, char ret_name[STATS_NAME_LEN + 1])
{
	size_t n = 0;
	for (; n < size && n < STATS_NAME_LEN && from[n] != '\0'; n++) {
		char c = from[n];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			    (c >= '0' && c <= '9');
		ret_name[n] = good ? c : '_';
	}
	ret_name[n] = '\0';
}

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

static void put_reasons(FILE *to, const struct stats_file *file)
{
	char name[STATS_NAME_LEN + 1];
	head(to, "postern_reason_total", "counter", "Verdicts given for this reason");
	for (unsigned i = 0; i < file->n_counters; i++) {
		clean_name(file->names[i].name, STATS_NAME_LEN, name);
		if (begins(name, "reason_"))
			labelled(to, "postern_reason_total", "reason", name + 7, STATS_NAME_LEN,
			    stats_view_counter(file, i));
	}
}

/* "verdict_refuse_rcpt" */
static void put_verdicts(FILE *to, const struct stats_file *file)
{
	char name[STATS_NAME_LEN + 1];
	head(to, "postern_verdict_total", "counter", "Verdicts reached, by phase of the session");
	for (unsigned i = 0; i < file->n_counters; i++) {
		clean_name(file->names[i].name, STATS_NAME_LEN, name);
		char *phase = begins(name, "verdict_") ? strchr(name + 8, '_') : NULL;
		if (phase == NULL)
			continue;
		*phase++ = '\0';
		fprintf(to, "postern_verdict_total{verdict=\"%s\",phase=\"%s\"} %" PRIu64 "\n",
		    name + 8, phase, stats_view_counter(file, i));
	}
}

static void put_counters(FILE *to, const struct stats_file *file)
{
	char name[STATS_NAME_LEN + 1], metric[NAME_MAX_LEN];
	for (unsigned i = 0; i < file->n_counters; i++) {
		const struct stats_name *n = &file->names[i];
		bool gauge = n->kind == STATS_GAUGE;
		clean_name(n->name, STATS_NAME_LEN, name);
		if (*name == '\0' || begins(name, "reason_") || begins(name, "verdict_"))
			continue;
		snprintf(metric, sizeof(metric), "postern_%s%s", name, gauge ? "" : "_total");
		head(to, metric, gauge ? "gauge" : "counter", n->text);
		fprintf(to, "%s %" PRIu64 "\n", metric, stats_view_counter(file, i));
	}
}

static void put_rules(FILE *to, const struct stats_file *file, bool shadow)
{
	const char *name = shadow ? "postern_rule_shadow_total" : "postern_rule_hits_total";
	unsigned n = 0;
	uint64_t other = 0;
	head(to, name, "counter",
	    shadow ? "Hits of this rule that its state kept from counting"
		   : "Hits of this rule, enforced or scored");
	for (unsigned i = 0; i < STATS_MAX_RULES; i++) {
		struct stats_rule sum = stats_view_rule(file, i);
		uint64_t value = shadow ? sum.shadow : sum.hits;
		if (value == 0)
			continue;
		if (file->rule_names[i][0] == '\0' || n == METRICS_MAX_RULES) {
			other += value;
			continue;
		}
		n++;
		labelled(to, name, "rule", file->rule_names[i], STATS_NAME_LEN, value);
	}
	labelled(to, name, "rule", "other", STATS_NAME_LEN, other);
}

static void put_servers(FILE *to, const struct stats_file *file)
{
	static const struct {
		const char *name, *kind, *help;
	} metrics[] = {
		{ "postern_server_up", "gauge",
		    "1: this mail server is up, 0: down, drained, unknown" },
		{ "postern_server_active", "gauge", "Connections to this mail server in use" },
		{ "postern_server_idle", "gauge", "Connections to this mail server kept for later" },
		{ "postern_server_waiting", "gauge", "Sessions that wait for this mail server" },
		{ "postern_server_connects_total", "counter",
		    "Connections opened to this mail server" },
		{ "postern_server_failures_total", "counter",
		    "Connections to this mail server refused, lost or timed out" },
		{ "postern_server_messages_total", "counter", "Messages this mail server took" },
	};
	for (unsigned m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
		head(to, metrics[m].name, metrics[m].kind, metrics[m].help);
		for (unsigned i = 0; i < file->n_servers; i++) {
			uint64_t sums[7] = { strcmp(stats_view_state(file, i), "up") == 0 };
			for (unsigned w = 0; w < file->n_workers; w++) {
				const struct stats_server *s = &file->workers[w].servers[i];
				sums[1] += s->active;
				sums[2] += s->idle;
				sums[3] += s->waiting;
				sums[4] += s->connects;
				sums[5] += s->failures;
				sums[6] += s->messages;
			}
			labelled(to, metrics[m].name, "server", file->server_names[i],
			    STATS_NAME_LEN, sums[m]);
		}
	}
}

static void put_workers(FILE *to, const struct stats_file *file)
{
	head(to, "postern_worker_busy_ratio", "gauge", "Share of cycles since start spent on work");
	for (unsigned w = 0; w < file->n_workers; w++) {
		const struct stats_worker *one = &file->workers[w];
		double all = (double)one->busy_tsc + (double)one->idle_tsc;
		fprintf(to, "postern_worker_busy_ratio{worker=\"%u\"} %.6f\n", w,
		    all > 0 ? (double)one->busy_tsc / all : 0.0);
	}
	head(to, "postern_worker_longest_turn_seconds", "gauge", "Longest turn since start");
	for (unsigned w = 0; w < file->n_workers; w++)
		fprintf(to, "postern_worker_longest_turn_seconds{worker=\"%u\"} %.9f\n", w,
		    (double)file->workers[w].max_turn_ns / 1e9);
}

char *metrics_text(const struct stats_file *file)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	if (to == NULL)
		return NULL;
	head(to, "postern_up", "gauge", "1: a dataplane's statistics are there");
	fprintf(to, "postern_up %d\n", file != NULL);
	if (file != NULL) {
		head(to, "postern_info", "gauge", "The dataplane's version");
		labelled(to, "postern_info", "build", file->build, sizeof(file->build), 1);
		head(to, "postern_policy_epoch", "gauge", "Epoch of the policy last published");
		fprintf(to, "postern_policy_epoch %" PRIu32 "\n", file->policy_epoch);
		head(to, "postern_start_time_seconds", "gauge", "When the dataplane started");
		fprintf(to, "postern_start_time_seconds %.3f\n", (double)file->started_ns / 1e9);
		head(to, "postern_memory_bytes", "gauge",
		    "Memory taken at start for packets, chunks and tables");
		fprintf(to, "postern_memory_bytes %" PRIu64 "\n", file->memory_bytes);
		put_workers(to, file);
		put_counters(to, file);
		put_reasons(to, file);
		put_verdicts(to, file);
		put_rules(to, file, false);
		put_rules(to, file, true);
		put_servers(to, file);
	}
	if (fclose(to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
