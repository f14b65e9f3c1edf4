/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of the event log behind tokens and addresses (explain.h). */
#include "explain.h"
#include "eventlog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *text_in(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));
	return text == NULL ? "" : text;
}

static bool has_word(const json_t *array, const char *word)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (strcmp(json_string_value(json_array_get(array, i)), word) == 0)
			return true;
	return false;
}

/* A refusal without state says `listed`, `banned` or `overload`, whatever the list says. */
static enum explain_fit fits_syn(const struct explain_token *t, const json_t *event, int64_t end_ms,
    int64_t from_ms, int64_t to_ms)
{
	const char *verdict = text_in(event, "verdict");
	if (strcmp(text_in(event, "event"), "refused-syn") != 0 ||
	    end_ms < from_ms - EXPLAIN_SYN_MS || end_ms >= to_ms ||
	    (strcmp(t->reason, "banned") == 0) != (strcmp(text_in(event, "reason"), "banned") == 0))
		return EXPLAIN_NOT;
	return strcmp(verdict, strcmp(t->reason, "overload") == 0 ? "defer" : "refuse") == 0
		   ? EXPLAIN_FITS
		   : EXPLAIN_NOT;
}

enum explain_fit explain_fits(const struct explain_token *t, const json_t *event)
{
	const char *time = text_in(event, "time");
	char line[64];
	int n = snprintf(line, sizeof(line), "{\"time\":\"%.24s\"", time);
	int64_t end_ms = eventlog_time_ms(line, (size_t)n);
	int64_t from_ms = t->minute * 60000, to_ms = from_ms + 60000;
	if (end_ms < 0 ||
	    (json_integer_value(json_object_get(event, "epoch")) & 0xffff) != (json_int_t)t->epoch)
		return EXPLAIN_NOT;
	if (t->session == 0)
		return fits_syn(t, event, end_ms, from_ms, to_ms);
	/* the record is told in whole milliseconds, and its end is that of the last turn */
	int64_t start_ms = end_ms - json_integer_value(json_object_get(event, "duration_ms")) - 1;
	if (strcmp(text_in(event, "event"), "session") != 0 ||
	    json_integer_value(json_object_get(event, "session")) != (json_int_t)t->session ||
	    start_ms >= to_ms || end_ms < from_ms)
		return EXPLAIN_NOT;
	return has_word(json_object_get(event, "given"), t->reason) ||
		       strcmp(text_in(event, "reason"), t->reason) == 0
		   ? EXPLAIN_FITS
		   : EXPLAIN_MAY;
}

uint32_t explain_epoch(unsigned low, uint32_t running)
{
	uint32_t epoch = (running & ~0xffffu) | (low & 0xffff);
	return epoch > running && epoch > 0xffff ? epoch - 0x10000 : epoch;
}

static bool holds(const char *line, size_t len, const char *part)
{
	return memmem(line, len, part, strlen(part)) != NULL;
}

static void keep(json_t *events, enum explain_fit fit, enum explain_fit *best, json_t *event)
{
	if (fit > *best) {
		json_array_clear(events);
		*best = fit;
	}
	if (fit == *best && json_array_size(events) < EXPLAIN_RECORDS)
		json_array_append(events, event);
}

int explain_find_token(const char *path, const struct explain_token *t, const char *client,
    json_t **ret_events, int64_t *ret_oldest_ms)
{
	struct eventlog *log;
	const char *line;
	size_t len;
	char number[32], address[80] = "";
	int64_t from_ms = t->minute * 60000, to_ms = from_ms + 60000;
	int ret = eventlog_open(path, EVENTLOG_OLDEST, false, &log);
	if (ret != 0)
		return ret;
	*ret_oldest_ms = INT64_MAX;
	if (eventlog_next(log, &line, &len) == 1)
		*ret_oldest_ms = eventlog_time_ms(line, len);
	eventlog_close(log);
	ret = eventlog_open(path, from_ms - EXPLAIN_SYN_MS, false, &log);
	if (ret != 0)
		return ret;
	json_t *events = json_array();
	enum explain_fit best = EXPLAIN_NOT;
	/* a look before each line is read as JSON */
	if (t->session == 0)
		snprintf(number, sizeof(number), "\"refused-syn\"");
	else
		snprintf(number, sizeof(number), "\"session\":%u,", t->session);
	if (client != NULL)
		snprintf(address, sizeof(address), "\"client\":\"%.60s\"", client);
	while ((ret = eventlog_next(log, &line, &len)) == 1) {
		int64_t at = eventlog_time_ms(line, len);
		if (at > to_ms + EXPLAIN_AFTER_MS ||
		    (best == EXPLAIN_FITS && at > to_ms + EXPLAIN_ENOUGH_MS))
			break;
		if (!holds(line, len, number) || !holds(line, len, address))
			continue;
		json_t *event = json_loadb(line, len, 0, NULL);
		enum explain_fit fit = explain_fits(t, event);
		if (fit != EXPLAIN_NOT)
			keep(events, fit, &best, event);
		json_decref(event);
	}
	eventlog_close(log);
	if (ret < 0) {
		json_decref(events);
		return ret;
	}
	*ret_events = events;
	return 0;
}

int explain_find_client(
    const char *path, const char *client, int64_t until_ms, unsigned limit, json_t **ret_events)
{
	struct eventlog *log;
	const char *line;
	size_t len;
	char address[80];
	int ret = eventlog_open(path, EVENTLOG_OLDEST, true, &log);
	if (ret != 0)
		return ret;
	json_t *events = json_array();
	snprintf(address, sizeof(address), "\"client\":\"%.60s\"", client);
	while (json_array_size(events) < limit && eventlog_bytes(log) < EXPLAIN_BACK_BYTES &&
	       (ret = eventlog_previous(log, &line, &len)) == 1) {
		if (!holds(line, len, address) || eventlog_time_ms(line, len) > until_ms)
			continue;
		json_t *event = json_loadb(line, len, 0, NULL);
		if (strcmp(text_in(event, "client"), client) == 0)
			json_array_append(events, event);
		json_decref(event);
	}
	eventlog_close(log);
	if (ret < 0) {
		json_decref(events);
		return ret;
	}
	*ret_events = events;
	return 0;
}
