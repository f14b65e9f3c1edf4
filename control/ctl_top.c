/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `top`: what happens this second, on one screen (ctl.h). Two readings of the statistics file give the
 * rates, the event log the worst sources, the manager's status what state all is in; without a manager
 * the first alone. Plain ANSI escapes: a screen of text that is drawn whole needs no curses.
 */
#include "ctl.h"
#include "duration.h"
#include "stats_view.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	ROWS_LEAST = 16,
	COLUMNS_LEAST = 40,
	COLUMNS_MOST = 200,
	ITEMS_MAX = 64,
	SOURCES_MAX = 512, /* clients told apart; beyond: not shown */
	SOURCES_LINES = 2000,
	SOURCES_S = 60,
};

struct item {
	char name[STATS_NAME_LEN + 16];
	double value;
};

struct items {
	unsigned n, max;
	struct item *all;
};

struct view {
	const struct stats_file *was, *now;
	double seconds;
	unsigned rows, columns, at;
	const struct ctl *ctl;
	const json_t *status;
	struct items *sources;
};

/* ---- items ---- */

static void add(struct items *items, const char *name, double value)
{
	for (unsigned i = 0; i < items->n; i++)
		if (strcmp(items->all[i].name, name) == 0) {
			items->all[i].value += value;
			return;
		}
	if (items->n == items->max)
		return;
	snprintf(items->all[items->n].name, sizeof(items->all[0].name), "%s", name);
	items->all[items->n++].value = value;
}

static int by_value(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	return x->value < y->value ? 1 : x->value > y->value ? -1 : strcmp(x->name, y->name);
}

static void sort(struct items *items)
{
	qsort(items->all, items->n, sizeof(items->all[0]), by_value);
}

/* ---- figures ---- */

static double rate_at(const struct view *v, unsigned i)
{
	uint64_t was = stats_view_counter(v->was, i), now = stats_view_counter(v->now, i);
	return now > was && v->seconds > 0 ? (double)(now - was) / v->seconds : 0;
}

static int index_of(const struct view *v, const char *name)
{
	for (unsigned i = 0; i < v->now->n_counters; i++)
		if (strncmp(v->now->names[i].name, name, STATS_NAME_LEN) == 0)
			return (int)i;
	return -1;
}

static double rate(const struct view *v, const char *name)
{
	int i = index_of(v, name);
	return i < 0 ? 0 : rate_at(v, (unsigned)i);
}

static unsigned long long gauge(const struct view *v, const char *name)
{
	int i = index_of(v, name);
	return i < 0 ? 0 : stats_view_counter(v->now, (unsigned)i);
}

static double busy(const struct view *v)
{
	double work = 0, all = 0;
	for (unsigned w = 0; w < v->now->n_workers; w++) {
		const struct stats_worker *a = &v->was->workers[w], *b = &v->now->workers[w];
		double worked = (double)(b->busy_tsc - a->busy_tsc);
		work += worked;
		all += worked + (double)(b->idle_tsc - a->idle_tsc);
	}
	return all > 0 ? 100 * work / all : 0;
}

/* Counters that begin so, by rate; of verdicts the phases together. */
static void rates_of(const struct view *v, const char *prefix, bool cut, struct items *items)
{
	size_t len = strlen(prefix);
	for (unsigned i = 0; i < v->now->n_counters; i++) {
		char name[STATS_NAME_LEN + 1];
		double r = rate_at(v, i);
		snprintf(name, sizeof(name), "%.*s", STATS_NAME_LEN, v->now->names[i].name);
		if (r <= 0 || strncmp(name, prefix, len) != 0)
			continue;
		if (cut)
			name[len + strcspn(name + len, "_")] = '\0';
		add(items, name + len, r);
	}
	sort(items);
}

static void rules_of(const struct view *v, struct items *items)
{
	for (unsigned i = 0; i < STATS_MAX_RULES; i++) {
		char name[STATS_NAME_LEN + 16];
		if (v->now->rule_names[i][0] == '\0')
			continue;
		struct stats_rule a = stats_view_rule(v->was, i), b = stats_view_rule(v->now, i);
		snprintf(name, sizeof(name), "%.*s", STATS_NAME_LEN, v->now->rule_names[i]);
		if (b.hits > a.hits)
			add(items, name, (double)(b.hits - a.hits) / v->seconds);
		snprintf(name, sizeof(name), "%.*s (shadow)", STATS_NAME_LEN, v->now->rule_names[i]);
		if (b.shadow > a.shadow)
			add(items, name, (double)(b.shadow - a.shadow) / v->seconds);
	}
	sort(items);
}

/* ---- the screen ---- */

__attribute__((format(printf, 3, 4))) static void line(
    struct view *v, enum ctl_ink ink, const char *format, ...)
{
	char text[COLUMNS_MOST + 1];
	va_list args;
	if (v->at == v->rows)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* what does not fit is cut, so that a line stays a line; names may come from anywhere */
	text[v->columns < COLUMNS_MOST ? v->columns : COLUMNS_MOST] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	printf("%s%s%s%s", v->at++ == 0 ? "" : "\n", ctl_ink_on(v->ctl, ink), text,
	    ctl_ink_off(v->ctl));
	if (isatty(STDOUT_FILENO))
		fputs("\033[K", stdout);
}

/* "name      12.3", or blanks. */
static void cell(const struct items *items, unsigned i, int width, char *ret_text, size_t size)
{
	if (i < items->n)
		snprintf(ret_text, size, "%-*.*s %8.1f", width - 9, width - 9, items->all[i].name,
		    items->all[i].value);
	else
		snprintf(ret_text, size, "%*s", width, "");
}

static void draw_head(struct view *v)
{
	const json_t *plane = json_object_get(v->status, "dataplane");
	const json_t *alarms = json_object_get(json_object_get(v->status, "manager"), "alarms");
	const char *overload = json_string_value(json_object_get(plane, "overload"));
	const char *state = v->status == NULL ? "no manager" : ctl_text_in(plane, "state");
	char up[DURATION_TEXT_MAX], clock[CTL_TIME_MAX];
	time_t now = time(NULL);
	uint64_t started = v->now->started_ns / 1000000000;
	duration_text((uint64_t)now > started ? (uint64_t)now - started : 0, up);
	line(v, CTL_BOLD, "Postern %s  epoch %u  up %s  %u worker%s %.1f %% busy  %s",
	    v->status == NULL ? "" : ctl_text_in(plane, "name"), v->now->policy_epoch, up,
	    v->now->n_workers, v->now->n_workers == 1 ? "" : "s", busy(v), ctl_time(now, clock));
	line(v, CTL_PLAIN, "%s%s%s%s  sessions %llu open, %.1f/s  SYNs %.1f/s  frames %.0f/s in",
	    state, overload == NULL ? "" : ", overload ", overload == NULL ? "" : overload,
	    json_array_size(alarms) == 0 ? "" : ", ALARMS", gauge(v, "sessions"),
	    rate(v, "sessions_opened"), rate(v, "syn_rx"), rate(v, "shell_rx_frames"));
	line(v, CTL_PLAIN,
	    "messages %.1f/s accepted, %.1f/s refused  recipients %.1f/s  tarpit %llu held",
	    rate(v, "messages_accepted"), rate(v, "messages_refused"), rate(v, "rcpt_accepted"),
	    gauge(v, "tarpit_held"));
	line(v, CTL_PLAIN,
	    "memory %llu MiB taken, windows %llu KiB, chunks %llu  TCP %llu  lost: %.1f/s "
	    "events, %.1f/s frames",
	    (unsigned long long)(v->now->memory_bytes >> 20), gauge(v, "window_bytes") >> 10,
	    gauge(v, "chunks_used"), gauge(v, "connections"), rate(v, "shell_events_lost"),
	    rate(v, "shell_tx_refused"));
	line(v, CTL_PLAIN, "%s", "");
}

static void draw_rates(struct view *v, unsigned rows)
{
	struct item space[3][ITEMS_MAX];
	struct items verdicts = { 0, ITEMS_MAX, space[0] }, reasons = { 0, ITEMS_MAX, space[1] },
		     rules = { 0, ITEMS_MAX, space[2] };
	char a[COLUMNS_MOST], b[COLUMNS_MOST], c[COLUMNS_MOST];
	int width = (int)v->columns, first = 17, second = (width - first - 4) * 4 / 10,
	    third = width - first - second - 4;
	rates_of(v, "verdict_", true, &verdicts);
	rates_of(v, "reason_", false, &reasons);
	rules_of(v, &rules);
	line(v, CTL_BOLD, "%-*s  %-*s  %-*s", first, "verdicts a second", second, "reasons", third,
	    "rules");
	for (unsigned i = 0; i + 1 < rows; i++) {
		cell(&verdicts, i, first, a, sizeof(a));
		cell(&reasons, i, second, b, sizeof(b));
		cell(&rules, i, third, c, sizeof(c));
		line(v, CTL_PLAIN, "%s  %s  %s", a, b, c);
	}
	line(v, CTL_PLAIN, "%s", "");
}

static void draw_ends(struct view *v, unsigned rows)
{
	int first = (int)v->columns / 2 - 1, second = (int)v->columns - first - 2;
	char a[COLUMNS_MOST], b[COLUMNS_MOST];
	line(v, CTL_BOLD, "%-*.*s  %-*.*s", first, first, "worst sources, last minute (refused)",
	    second, second, "mail servers    state   in use waits  msgs/s");
	for (unsigned i = 0; i < rows; i++) {
		if (i < v->sources->n)
			snprintf(a, sizeof(a), "%-*.*s %8.0f", first - 9, first - 9,
			    v->sources->all[i].name, v->sources->all[i].value);
		else
			snprintf(a, sizeof(a), "%*s", first, "");
		b[0] = '\0';
		if (i < v->now->n_servers) {
			unsigned active = 0, waiting = 0;
			uint64_t was = 0, now = 0;
			for (unsigned w = 0; w < v->now->n_workers; w++) {
				active += v->now->workers[w].servers[i].active;
				waiting += v->now->workers[w].servers[i].waiting;
				now += v->now->workers[w].servers[i].messages;
				was += v->was->workers[w].servers[i].messages;
			}
			snprintf(b, sizeof(b), "%-15.15s %-7s %6u %5u %7.1f",
			    v->now->server_names[i], stats_view_state(v->now, i), active, waiting,
			    now > was ? (double)(now - was) / v->seconds : 0.0);
		}
		line(v, CTL_PLAIN, "%-*.*s  %.*s", first, first, a, second, b);
	}
}

static void draw(struct view *v)
{
	v->at = 0;
	draw_head(v);
	unsigned left = v->rows - v->at;
	draw_rates(v, left / 2 - 1);
	draw_ends(v, v->rows - v->at - 1);
	fputs(isatty(STDOUT_FILENO) ? "\033[J" : "\n", stdout);
	fflush(stdout);
}

/* ---- where it comes from ---- */

static bool on_event(const struct ctl *ctl, void *arg, const json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	const json_t *event = json_object_get(json_object_get(message, "params"), "event");
	(void)ctl;
	if (method == NULL || strcmp(method, "events.end") == 0)
		return false;
	const char *client = json_string_value(json_object_get(event, "client"));
	if (client != NULL)
		add(arg, client, 1);
	return true;
}

static void ask_manager(const struct ctl *ctl, struct items *sources, json_t **status)
{
	/* a screen has no room for complaints: what cannot be had is left out */
	sources->n = 0;
	json_decref(*status);
	*status = NULL;
	struct ctl quiet = *ctl;
	quiet.quiet = true;
	if (ctl_ask(&quiet, "status", NULL, status) != CTL_OK)
		return;
	ctl_stream(&quiet, "events.subscribe",
	    json_pack("{s:i, s:i, s:s}", "since_s", SOURCES_S, "limit", SOURCES_LINES, "filter",
		"verdict!=none and verdict!=pass and verdict!=mark"),
	    on_event, sources);
	sort(sources);
}

static struct termios before;
static volatile sig_atomic_t resized;

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

static void restore(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
}

static void on_end(int sig)
{
	restore(); /* best done; the terminal matters more than the rules for handlers */
	_exit(128 + sig);
}

static void size_of(struct view *v, bool terminal)
{
	struct winsize size;
	v->rows = 24;
	v->columns = 80;
	if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0) {
		v->rows = size.ws_row;
		v->columns = size.ws_col;
	}
	v->rows = v->rows < ROWS_LEAST ? ROWS_LEAST : v->rows;
	v->columns = v->columns < COLUMNS_LEAST ? COLUMNS_LEAST : v->columns;
	v->columns = v->columns > COLUMNS_MOST ? COLUMNS_MOST : v->columns;
}

/* False: a key that ends it. */
static bool wait_key(uint64_t ms)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;
	if (poll(&in, 1, (int)ms) <= 0)
		return true;
	return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 3;
}

static uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void take_terminal(void)
{
	struct termios raw;
	struct sigaction resize = { .sa_handler = on_resize }, end = { .sa_handler = on_end };
	tcgetattr(STDIN_FILENO, &before);
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	sigaction(SIGWINCH, &resize, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	fputs("\033[?1049h\033[?25l", stdout);
}

int ctl_top(const struct ctl *ctl, int argc, char **argv)
{
	bool once = false, more = true;
	uint64_t every = 2;
	const struct ctl_option options[] = { { "--once", CTL_FLAG, &once },
		{ "--every", CTL_DURATION, &every }, { NULL, CTL_FLAG, NULL } };
	struct stats_file *was = NULL, *now = NULL;
	json_t *status = NULL;
	if (!ctl_options(ctl, &argc, argv, options, 0, 0))
		return CTL_USAGE;
	bool terminal = !once && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
	if (!once && !terminal)
		return ctl_usage(ctl, "no terminal: --once prints one frame");
	struct item *space = calloc(SOURCES_MAX, sizeof(*space));
	struct items sources = { 0, SOURCES_MAX, space };
	int ret = space == NULL ? CTL_REFUSED : ctl_stats(ctl, &was);
	uint64_t was_ms = clock_ms(), pause_ms = 1000;
	if (ret == CTL_OK && terminal)
		take_terminal();
	while (ret == CTL_OK && more) {
		const struct timespec pause = { .tv_sec = 1 };
		ask_manager(ctl, &sources, &status);
		if (terminal)
			more = wait_key(pause_ms);
		else
			nanosleep(&pause, NULL);
		ret = more ? ctl_stats(ctl, &now) : ret;
		if (ret != CTL_OK || !more)
			break;
		uint64_t now_ms = clock_ms();
		struct view view = { .was = now->pid == was->pid ? was : now,
			.now = now,
			.seconds = now_ms > was_ms ? (double)(now_ms - was_ms) / 1000 : 1,
			.ctl = ctl,
			.status = status,
			.sources = &sources };
		size_of(&view, terminal);
		if (terminal)
			fputs(resized ? "\033[2J\033[H" : "\033[H", stdout);
		resized = 0;
		draw(&view);
		free(was);
		was = now;
		now = NULL;
		was_ms = now_ms;
		pause_ms = every * 1000;
		more = !once;
	}
	if (terminal && was != NULL)
		restore();
	json_decref(status);
	free(space);
	free(was);
	return ret;
}
