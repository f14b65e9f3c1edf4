/* SPDX-License-Identifier: BSD-3-Clause */
/* `events`, `sessions`, `backend list`, `capture`: what goes on right now (ctl.h). */
#include "ctl.h"
#include "duration.h"
#include "stats_view.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- events ---- */

static enum ctl_ink verdict_ink(const char *verdict)
{
	static const struct {
		const char *word;
		enum ctl_ink ink;
	} inks[] = { { "pass", CTL_GREEN }, { "none", CTL_GREEN }, { "mark", CTL_YELLOW },
		{ "defer", CTL_YELLOW }, { "grey", CTL_YELLOW } };
	for (size_t i = 0; i < sizeof(inks) / sizeof(inks[0]); i++)
		if (strcmp(verdict, inks[i].word) == 0)
			return inks[i].ink;
	return CTL_RED;
}

static const char *text_or(const json_t *object, const char *key, const char *other)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? other : text;
}

/* "2026-03-01T12:00:05.123Z" in local time: "03-01 12:00:05". */
static void local_time(const char *utc, char *ret_text, size_t size)
{
	struct tm tm = { 0 };
	if (strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
		snprintf(ret_text, size, "%.14s", utc);
		return;
	}
	time_t at = timegm(&tm);
	localtime_r(&at, &tm);
	strftime(ret_text, size, "%m-%d %H:%M:%S", &tm);
}

/* What a client sent may steer a terminal. */
static void put_clean(const char *text, int width)
{
	int n = 0;
	for (; *text != '\0'; text++, n++) {
		unsigned char c = (unsigned char)*text;
		putchar(c < 0x20 || c == 0x7f ? '?' : c);
	}
	for (; n < width; n++)
		putchar(' ');
}

static void show_event(const struct ctl *ctl, const json_t *event)
{
	char at[32];
	local_time(text_or(event, "time", ""), at, sizeof(at));
	if (json_object_get(event, "verdict") == NULL) {
		printf("%s %s%-15s%s ", at, ctl_ink_on(ctl, CTL_BOLD), text_or(event, "event", "?"),
		    ctl_ink_off(ctl));
		put_clean(text_or(event, "text", text_or(event, "server", "")), 0);
		putchar('\n');
		return;
	}
	const char *verdict = text_or(event, "verdict", "?");
	char code[16] = "-";
	if (ctl_number_in(event, "code") != 0)
		snprintf(code, sizeof(code), "%lld", ctl_number_in(event, "code"));
	printf("%s %-15s %s%-7s%s %-20s %-4s ", at, text_or(event, "client", "?"),
	    ctl_ink_on(ctl, verdict_ink(verdict)), strcmp(verdict, "none") == 0 ? "-" : verdict,
	    ctl_ink_off(ctl),
	    strcmp(text_or(event, "reason", "none"), "none") == 0 ? "-"
								  : text_or(event, "reason", "-"),
	    code);
	put_clean(text_or(event, "mail", ""), 0);
	fputs(" -> ", stdout);
	put_clean(text_or(event, "rcpt", ""), 0);
	putchar('\n');
}

/* What the dataplane had to drop: told once, beside the lines. */
static void tell_lost(const struct ctl *ctl)
{
	struct stats_file *file = NULL;
	char path[4096];
	uint64_t lost = 0;
	snprintf(path, sizeof(path), "%s/stats", ctl->run);
	if (stats_view_read(path, &file) != 0)
		return;
	for (unsigned i = 0; i < file->n_counters; i++)
		if (strcmp(file->names[i].name, "shell_events_lost") == 0 ||
		    strcmp(file->names[i].name, "event_lost") == 0)
			for (unsigned w = 0; w < file->n_workers; w++)
				lost += file->workers[w].counters[i];
	free(file);
	if (lost != 0)
		fprintf(stderr,
		    "posternctl: %llu events were lost since the dataplane started: its log fell "
		    "behind\n",
		    (unsigned long long)lost);
}

struct listing {
	bool head;
};

static bool on_notification(const struct ctl *ctl, void *arg, const json_t *message)
{
	struct listing *l = arg;
	const char *method = text_or(message, "method", "");
	const json_t *params = json_object_get(message, "params");
	if (strcmp(method, "events.end") == 0)
		return false;
	if (strcmp(method, "events.lost") == 0) {
		fprintf(stderr, "posternctl: %lld events were not shown: too slow a reader\n",
		    ctl_number_in(params, "n"));
		return true;
	}
	const json_t *event = json_object_get(params, "event");
	if (event == NULL)
		return true;
	if (ctl->json) {
		char *line = json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII);
		puts(line == NULL ? "" : line);
		free(line);
	} else {
		if (!l->head)
			printf("%s%-14s %-15s %-7s %-20s %-4s %s%s\n", ctl_ink_on(ctl, CTL_BOLD),
			    "time", "client", "verdict", "reason", "code", "mail -> recipient",
			    ctl_ink_off(ctl));
		l->head = true;
		show_event(ctl, event);
	}
	return fflush(stdout) == 0;
}

static int serve_events(const struct ctl *ctl, int argc, char **argv)
{
	bool follow = false;
	const char *filter = NULL;
	uint64_t since = 0;
	int64_t limit = -1;
	const struct ctl_option options[] = { { "--follow", CTL_FLAG, &follow },
		{ "--filter", CTL_TEXT, &filter }, { "--since", CTL_DURATION, &since },
		{ "--limit", CTL_NUMBER, &limit }, { NULL, CTL_FLAG, NULL } };
	struct listing listing = { false };
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	json_t *params = json_pack("{s:b}", "follow", follow);
	if (filter != NULL)
		json_object_set_new(params, "filter", json_string(filter));
	if (since != 0)
		json_object_set_new(params, "since_s", json_integer((json_int_t)since));
	if (limit < 0)
		limit = since != 0 ? 0 : 20;
	json_object_set_new(params, "limit", json_integer(limit));
	int ret = ctl_stream(ctl, "events.subscribe", params, on_notification, &listing);
	if (ret == CTL_OK)
		tell_lost(ctl);
	return ret;
}

/* ---- sessions ---- */

static void show_sessions(const struct ctl *ctl, const json_t *result)
{
	const json_t *rows = json_object_get(result, "sessions");
	printf("%s%-21s %-8s %-7s %7s %5s %5s %7s %-7s %-12s %s%s\n", ctl_ink_on(ctl, CTL_BOLD),
	    "client", "state", "phase", "age", "msgs", "rcpts", "score", "verdict", "server",
	    "helo, mail", ctl_ink_off(ctl));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		char client[80], age[DURATION_TEXT_MAX];
		const char *verdict = ctl_text_in(row, "verdict");
		snprintf(client, sizeof(client), "%s:%lld", ctl_text_in(row, "client"),
		    ctl_number_in(row, "client_port"));
		duration_text((uint64_t)ctl_number_in(row, "age_ms") / 1000, age);
		printf("%-21s %-8s %-7s %7s %5lld %5lld %7.2f %s%-7s%s %-12s ", client,
		    ctl_text_in(row, "state"), ctl_text_in(row, "phase"), age,
		    ctl_number_in(row, "messages"), ctl_number_in(row, "rcpts"),
		    json_number_value(json_object_get(row, "score")),
		    ctl_ink_on(ctl, verdict_ink(verdict)),
		    strcmp(verdict, "none") == 0 ? "-" : verdict, ctl_ink_off(ctl),
		    text_or(row, "server", "-"));
		put_clean(ctl_text_in(row, "helo"), 0);
		fputs(" ", stdout);
		put_clean(ctl_text_in(row, "mail"), 0);
		putchar('\n');
	}
	long long shown = (long long)json_array_size(rows),
		  matched = ctl_number_in(result, "matched"),
		  looked = ctl_number_in(result, "looked_at"), all = ctl_number_in(result, "open");
	printf("%lld of %lld%s\n", shown, matched,
	    looked < all ? ", of those looked at: a worker tells of 1,024 at most" : "");
	if (ctl_number_in(result, "silent_workers") != 0)
		printf("%lld workers did not answer in time\n",
		    ctl_number_in(result, "silent_workers"));
}

static int serve_sessions(const struct ctl *ctl, int argc, char **argv)
{
	const char *filter = NULL;
	int64_t limit = 100;
	const struct ctl_option options[] = { { "--filter", CTL_TEXT, &filter },
		{ "--limit", CTL_NUMBER, &limit }, { NULL, CTL_FLAG, NULL } };
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	json_t *params = json_pack("{s:I}", "limit", (json_int_t)limit);
	if (filter != NULL)
		json_object_set_new(params, "filter", json_string(filter));
	return ctl_ask_show(ctl, "sessions", params, show_sessions, NULL);
}

/* ---- captures ---- */

static volatile sig_atomic_t interrupted;
static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static int digit_of(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

/* Groups of four; false: not base64, or it cannot be written. */
static bool write_base64(const char *text, FILE *to)
{
	for (; text[0] != '\0'; text += 4) {
		uint32_t v = 0;
		int n = 0;
		for (int i = 0; i < 4; i++) {
			int digit = digit_of(text[i]);
			if (digit < 0 && (text[i] != '=' || i < 2))
				return false;
			n += digit >= 0;
			v = v << 6 | (digit < 0 ? 0 : (uint32_t)digit);
		}
		const uint8_t bytes[3] = { (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
		if (fwrite(bytes, 1, (size_t)n - 1, to) != (size_t)n - 1)
			return false;
	}
	return true;
}

static int fetch(const struct ctl *ctl, long long id, FILE *to)
{
	bool end = false;
	for (long long offset = 0; !end;) {
		json_t *piece = NULL;
		int ret = ctl_ask(ctl, "capture.read",
		    json_pack("{s:I, s:I}", "id", id, "offset", offset), &piece);
		if (ret != CTL_OK)
			return ret;
		const char *data = text_or(piece, "data", "");
		size_t len = strlen(data);
		bool good = write_base64(data, to);
		offset += (long long)(len / 4 * 3) - (len > 0 && data[len - 1] == '=') -
			  (len > 1 && data[len - 2] == '=');
		end = json_is_true(json_object_get(piece, "end")) || len == 0;
		json_decref(piece);
		if (!good)
			return ctl_fail(
			    ctl, CTL_REFUSED, "the file cannot be written: %s", strerror(errno));
	}
	return CTL_OK;
}

static int serve_capture(const struct ctl *ctl, int argc, char **argv)
{
	const char *client = NULL, *out = NULL;
	uint64_t seconds = 60;
	int64_t packets = 100000;
	const struct ctl_option options[] = { { "--client", CTL_TEXT, &client },
		{ "--out", CTL_TEXT, &out }, { "--for", CTL_DURATION, &seconds },
		{ "--packets", CTL_NUMBER, &packets }, { NULL, CTL_FLAG, NULL } };
	const struct timespec pause = { .tv_nsec = 100000000 };
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	if (client == NULL || out == NULL)
		return ctl_usage(ctl, "%s is wanted", client == NULL ? "--client" : "--out");
	/* before anything begins: who cannot write has nothing to wait for */
	int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	if (to == NULL)
		return ctl_fail(ctl, CTL_REFUSED, "%s: %s", out, strerror(errno));
	json_t *state = NULL;
	int ret = ctl_ask(ctl, "capture.start",
	    json_pack("{s:s, s:I, s:I}", "client", client, "for_s", (json_int_t)seconds, "packets",
		(json_int_t)packets),
	    &state);
	long long id = ret == CTL_OK ? ctl_number_in(state, "id") : 0;
	struct sigaction action = { .sa_handler = on_interrupt };
	sigaction(SIGINT, &action, NULL);
	if (ret == CTL_OK && !ctl->json && isatty(STDERR_FILENO))
		fprintf(stderr, "capturing; Ctrl-C ends it early\n");
	while (ret == CTL_OK && !json_is_true(json_object_get(state, "over"))) {
		bool stop = interrupted != 0;
		nanosleep(&pause, NULL);
		json_decref(state);
		state = NULL;
		ret = ctl_ask(ctl, stop ? "capture.stop" : "capture.status",
		    json_pack("{s:I}", "id", id), &state);
	}
	if (ret == CTL_OK)
		ret = fetch(ctl, id, to);
	if (fclose(to) != 0 && ret == CTL_OK)
		ret = ctl_fail(ctl, CTL_REFUSED, "%s: %s", out, strerror(errno));
	if (ret == CTL_OK && ctl->json)
		ctl_print_json(state);
	else if (ret == CTL_OK)
		printf("%lld frames, %lld lost, in %s (ended by %s)\n",
		    ctl_number_in(state, "packets"), ctl_number_in(state, "lost"), out,
		    text_or(state, "why", "?"));
	else
		unlink(out);
	json_decref(state);
	return ret;
}

const struct ctl_command ctl_events_commands[] = {
	{ "top", "[--every 2s] [--once]", ctl_top,
	    "What happens this second, on one screen; q ends it.",
	    "Rates by verdict, reason and rule, the clients refused most within the last minute, "
	    "mail "
	    "servers, memory, what was lost. --once prints one frame and ends. The worst sources "
	    "and "
	    "the state need the manager; the rest comes straight from the dataplane." },
	{ "events", "[--follow] [--filter EXPR] [--since 10m] [--limit N]", serve_events,
	    "Sessions and what else happened, one line each; the newest 20.",
	    "EXPR: `verdict=refuse and client=192.0.2.0/24`; key=value, !=, ~ (a part), > < >= <=, "
	    "joined by a comma or `and`. Keys are the members of an event as --json shows them: "
	    "client, verdict, reason, code, helo, mail, rcpt, score, rules, shadow, event, token.\n"
	    "--since: all of that time (with --limit the newest N of it). --json: the raw lines. "
	    "What could not be shown is counted on standard error." },
	{ "sessions", "[--filter EXPR] [--limit N]", serve_sessions, "Open sessions of all workers.",
	    "EXPR as for `events`, over client, state, phase, verdict, reason, age_ms, messages, "
	    "rcpts, score, code, helo, mail, server. With client= alone only such clients are "
	    "asked "
	    "for; each worker tells of 1,024 at most." },
	{ "capture", "--client PREFIX --out FILE [--for 1m] [--packets N]", serve_capture,
	    "Frames to and from the clients of a prefix, as pcapng.",
	    "Both directions, as the appliance's own stack sees them: without a VLAN tag the port "
	    "takes off, outward without checksums the port fills. Ends after --for (1m), --packets "
	    "(100000), 64 MiB or Ctrl-C. Frames that could not be kept are counted. One at a "
	    "time." },
	{ NULL, NULL, NULL, NULL, NULL },
};
