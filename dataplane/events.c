/* SPDX-License-Identifier: BSD-3-Clause */
/* See events.h. */
#include "events.h"
#include "ring.h"

#include "filters/address_form.h"
#include "filters/token.h"
#include "filters/rules.h"
#include "filters/verdict.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BUFFER = 65536 };

struct events {
	unsigned n_workers;
	struct ring *rings; /* from each worker */
	const struct stats_file *stats;
	uint8_t token_key[16];
	char *path;
	int folder; /* of the file; -1: none */
	uint64_t file_max;
	pthread_mutex_t lock; /* of the file; the writer and events_tell() */
	FILE *file;
	uint64_t written;
	size_t pending; /* bytes in the buffer, at most */
	pthread_t thread;
	atomic_bool stop;
};

static const char *const kind_words[] = {
	[EVENT_SESSION] = "session",
	[EVENT_REFUSED_SYN] = "refused-syn",
	[EVENT_BACKEND_UP] = "backend-up",
	[EVENT_BACKEND_DOWN] = "backend-down",
	[EVENT_POSSIBLE_DOUBLE] = "possible-double",
};

/* ---- a line ---- */

struct line {
	char *p;
	size_t at, size; /* at stays below size - 2: the end of the line always fits */
};

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *l, const char *fmt, ...)
{
	size_t room = l->size - 2 - l->at;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->p + l->at, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->at += (size_t)n < room ? (size_t)n : room - 1;
}

/* "key":"value" with RFC 8259 escapes. Bytes above 0x7f that a client sent may be no UTF-8: they
 * are told as \u00XX, one a byte, so that each line is valid JSON whatever came. */
static void put_text(struct line *l, const char *key, const char *s)
{
	put(l, ",\"%s\":\"", key);
	for (; *s && l->at + 16 < l->size; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			put(l, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			put(l, "\\u%04x", c);
		else
			l->p[l->at++] = (char)c;
	}
	put(l, "\"");
}

static void put_time(struct line *l, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[32];

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	put(l, "{\"time\":\"%s.%03uZ\"", text, (unsigned)(ns / 1000000 % 1000));
}

static void put_end(struct line *l)
{
	l->p[l->at++] = '}';
	l->p[l->at++] = '\n';
}

static void put_address(struct line *l, const char *key, const uint8_t addr[16])
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = address_is_v4(addr);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, text, sizeof(text));
	put(l, ",\"%s\":\"%s\"", key, text);
}

/* Reasons are enum words in the header, lower case in logs and metrics. */
static const char *reason_word(unsigned reason, char text[STATS_NAME_LEN])
{
	size_t i;

	for (i = 0; reason_infos[reason].name[i] && i < STATS_NAME_LEN - 1; i++)
		text[i] = (char)tolower((unsigned char)reason_infos[reason].name[i]);
	text[i] = '\0';
	return text;
}

static void put_reason(struct line *l, unsigned reason)
{
	char text[STATS_NAME_LEN];

	if (reason < REASON_N)
		put(l, ",\"reason\":\"%s\"", reason_word(reason, text));
}

/* Reasons of which the client has a token. */
static void put_given(struct line *l, uint64_t given)
{
	char text[STATS_NAME_LEN];
	unsigned n = 0;

	for (unsigned r = 0; r < REASON_N; r++)
		if (given >> (r & 63) & 1)
			put(l, "%s\"%s\"", n++ ? "," : ",\"given\":[", reason_word(r, text));
	if (n > 0)
		put(l, "]");
}

static const char *const host_words[] = { "unknown", "none", "unconfirmed", "confirmed", "failed" };
static const char *const sender_words[] = { "unknown", "exists", "none", "null_mx", "failed" };
static const char *const spf_words[] = { "unknown", "none", "neutral", "pass", "fail", "softfail",
	"temperror", "permerror" };
static const char *const grey_words[] = { "unasked", "first", "early", "passed", "white", "trap" };
static const char *const fact_words[] = { "talked_early", "pipelined_early", "bare_command",
	"non_smtp", "esmtp", "tls", "host_generic", "sender_is_mx", "trusted" };

#define WORD(words, i) ((i) < sizeof(words) / sizeof((words)[0]) ? (words)[i] : "?")

/* What was known of the client: only what is known is told. */
static void put_facts(struct line *l, const struct event *event, const struct stats_file *stats)
{
	unsigned n = 0;

	put(l, ",\"facts\":{\"connections\":%u,\"rate\":%u,\"errors\":%u", event->connections,
	    event->rate, event->errors);
	if (event->host)
		put(l, ",\"host\":\"%s\"", WORD(host_words, event->host));
	if (event->host_name[0])
		put_text(l, "host_name", event->host_name);
	if (event->sender)
		put(l, ",\"sender\":\"%s\"", WORD(sender_words, event->sender));
	if (event->spf)
		put(l, ",\"spf\":\"%s\"", WORD(spf_words, event->spf));
	if (event->grey)
		put(l, ",\"grey\":\"%s\"", WORD(grey_words, event->grey));
	for (unsigned i = 0; i < event->n_dns && i < EVENT_DNS; i++)
		put(l, "%s\"%.47s\"", i ? "," : ",\"dns\":[",
		    stats->rule_names[event->dns[i] & RULE_ID_MASK]);
	if (event->n_dns)
		put(l, "]");
	for (unsigned i = 0; i < sizeof(fact_words) / sizeof(fact_words[0]); i++)
		if (event->facts >> i & 1)
			put(l, "%s\"%s\"", n++ ? "," : ",\"true\":[", fact_words[i]);
	put(l, n ? "]}" : "}");
}

/* Names of the rules that hit, those in shadow apart. */
static void put_rules(struct line *l, const char *key, const struct event *event,
    const struct stats_file *stats, unsigned shadow)
{
	unsigned n = 0;

	for (unsigned i = 0; i < event->n_rules && i < TALLY_MAX; i++) {
		if ((event->rules[i] & RULE_ID_SHADOW) != shadow)
			continue;
		if (n++ == 0)
			put(l, ",\"%s\":[", key);
		put(l, "%s\"%.47s\"", n > 1 ? "," : "",
		    stats->rule_names[event->rules[i] & RULE_ID_MASK]);
	}
	if (n > 0)
		put(l, "]");
}

size_t events_format(const struct event *event, const struct stats_file *stats,
    const uint8_t token_key[16], char ret_line[EVENTS_LINE_MAX])
{
	struct line l = { ret_line, 0, EVENTS_LINE_MAX };
	bool backend = event->kind == EVENT_BACKEND_UP || event->kind == EVENT_BACKEND_DOWN;

	put_time(&l, event->time_ns);
	put(&l, ",\"event\":\"%s\",\"worker\":%u",
	    event->kind < sizeof(kind_words) / sizeof(kind_words[0]) ? kind_words[event->kind] : "?",
	    event->worker);
	if (event->server < stats->n_servers && event->server < STATS_MAX_SERVERS)
		put_text(&l, "server", stats->server_names[event->server]);
	if (!backend) {
		put_address(&l, "client", event->client);
		put(&l, ",\"client_port\":%u,\"listener\":%u", event->client_port, event->listener);
		if (event->verdict < VERDICT_N_KINDS)
			put(&l, ",\"verdict\":\"%s\"", verdict_words[event->verdict]);
		if (event->phase < PHASE_N)
			put(&l, ",\"phase\":\"%s\"", phase_words[event->phase]);
		put_reason(&l, event->reason);
		put(&l, ",\"epoch\":%u", event->epoch);
	}
	if (event->kind == EVENT_REFUSED_SYN)
		put_rules(&l, "rules", event, stats, 0);
	if (event->kind == EVENT_SESSION || event->kind == EVENT_POSSIBLE_DOUBLE) {
		put(&l,
		    ",\"code\":%u,\"commands\":%u,\"messages\":%u,\"rcpts\":%u,\"duration_ms\":%"
		    "llu,"
		    "\"bytes_in\":%llu,\"bytes_out\":%llu",
		    event->last_code, event->commands, event->messages, event->rcpts,
		    (unsigned long long)(event->duration_ns / 1000000),
		    (unsigned long long)event->bytes_in, (unsigned long long)event->bytes_out);
		put(&l, ",\"score\":%d.%02d", event->score / 100, abs(event->score % 100));
		put_rules(&l, "rules", event, stats, 0);
		put_rules(&l, "shadow", event, stats, RULE_ID_SHADOW);
		if (event->pass_all)
			put(&l, ",\"pass_all\":true");
		put(&l, ",\"tenant\":%u", event->tenant);
		if (event->marks_late)
			put(&l, ",\"marks_late\":%u", event->marks_late);
		if (event->backend_refused)
			put(&l, ",\"backend_refused\":%u,\"backend_code\":%u",
			    event->backend_refused, event->backend_code);
		put(&l, ",\"session\":%u", event->session);
		put_given(&l, event->given);
		put_facts(&l, event, stats);
		put_text(&l, "helo", event->helo);
		put_text(&l, "mail", event->mail);
		put_text(&l, "rcpt", event->rcpt);
		if (event->reason != REASON_NONE) {
			/* the token that the client was given carries the same four fields */
			struct token_fields fields = {
				.reason = (uint8_t)event->reason,
				.epoch = (uint16_t)event->epoch,
				.minute = (uint32_t)(event->time_ns / 60000000000ull),
				.session = event->session,
			};
			char token[TOKEN_LEN + 1];

			token_make(token_key, &fields, token);
			put(&l, ",\"token\":\"%s\"", token);
		}
	}
	put_end(&l);
	return l.at;
}

/* ---- the file ---- */

static int open_file(struct events *e)
{
	e->file = strcmp(e->path, "-") == 0 ? stdout : fopen(e->path, "ae");
	if (!e->file)
		return -errno;
	/* whole lines: during a hand-over two processes append to one file */
	setvbuf(e->file, NULL, _IOFBF, FILE_BUFFER);
	e->pending = 0;
	e->written = e->file == stdout ? 0 : (uint64_t)ftell(e->file);
	return 0;
}

static void rotate(struct events *e)
{
	char from[4096], to[4096];

	/* somebody else's rename takes no longer than a look; next line, then */
	if (e->folder >= 0 && flock(e->folder, LOCK_EX | LOCK_NB) != 0)
		return;
	fclose(e->file);
	e->file = NULL;
	for (unsigned i = EVENTS_FILES_KEPT; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%u", e->path, i);
		if (i > 1)
			snprintf(from, sizeof(from), "%s.%u", e->path, i - 1);
		else
			snprintf(from, sizeof(from), "%s", e->path);
		if (rename(from, to) != 0 && errno != ENOENT)
			break; /* the file goes on growing, which loses nothing */
	}
	open_file(e);
	if (e->folder >= 0)
		flock(e->folder, LOCK_UN);
}

/* Lock held. A full disk loses lines, never the process. */
static void write_line(struct events *e, const char *line, size_t len)
{
	if (!e->file)
		return;
	if (e->pending + len > FILE_BUFFER) {
		fflush(e->file);
		e->pending = 0;
	}
	e->pending += len;
	if (fwrite(line, 1, len, e->file) == len)
		e->written += len;
	if (e->written >= e->file_max && e->file != stdout)
		rotate(e);
}

void events_rotate(struct events *e)
{
	pthread_mutex_lock(&e->lock);
	if (e->file && e->file != stdout && e->written > 0)
		rotate(e);
	pthread_mutex_unlock(&e->lock);
}

const char *events_path(const struct events *e)
{
	return e->file && e->file != stdout ? e->path : NULL;
}

static bool write_rings(struct events *e)
{
	char line[EVENTS_LINE_MAX];
	bool any = false;

	pthread_mutex_lock(&e->lock);
	for (unsigned i = 0; i < e->n_workers; i++) {
		struct ring *r = &e->rings[i];

		for (unsigned left = ring_waiting(r); left > 0; left--) {
			if (e->file)
				write_line(e, line,
				    events_format(ring_first(r), e->stats, e->token_key, line));
			ring_drop(r);
			any = true;
		}
	}
	if (any && e->file)
		fflush(e->file);
	pthread_mutex_unlock(&e->lock);
	return any;
}

static void *writer(void *arg)
{
	struct events *e = arg;

	while (!atomic_load(&e->stop)) {
		const struct timespec pause = { .tv_nsec = 50000000 };

		if (!write_rings(e))
			nanosleep(&pause, NULL);
	}
	write_rings(e);
	return NULL;
}

int events_new(const char *path, uint64_t file_max, unsigned n_workers,
    const struct stats_file *stats, const uint8_t token_key[16], struct events **ret_events,
    char **ret_error)
{
	struct events *e = calloc(1, sizeof(*e));
	int rc = -ENOMEM;

	if (!e)
		return rc;
	e->rings = rings_new(n_workers, EVENTS_RING, sizeof(struct event));
	e->path = path ? strdup(path) : NULL;
	e->folder = -1;
	if (!e->rings || (path && !e->path))
		goto fail;
	e->n_workers = n_workers;
	e->file_max = file_max;
	e->stats = stats;
	memcpy(e->token_key, token_key, sizeof(e->token_key));
	if (path && (rc = open_file(e)) != 0) {
		if (asprintf(ret_error, "the event log %s cannot be written: %s", path,
			strerror(-rc)) < 0)
			*ret_error = NULL;
		goto fail;
	}
	if (e->file && e->file != stdout) {
		char *whole = realpath(path, NULL), *slash = whole ? strrchr(whole, '/') : NULL;

		if (slash) {
			free(e->path);
			e->path = whole;
			*slash = '\0';
			e->folder = open(*whole ? whole : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			*slash = '/';
		} else {
			free(whole);
		}
	}
	pthread_mutex_init(&e->lock, NULL);
	rc = -pthread_create(&e->thread, NULL, writer, e);
	if (rc)
		goto fail;
	*ret_events = e;
	return 0;
fail:
	if (e->file && e->file != stdout)
		fclose(e->file);
	if (e->folder >= 0)
		close(e->folder);
	rings_free(e->rings, n_workers);
	free(e->path);
	free(e);
	return rc;
}

struct events *events_free(struct events *e)
{
	if (!e)
		return NULL;
	atomic_store(&e->stop, true);
	pthread_join(e->thread, NULL);
	if (e->file && e->file != stdout)
		fclose(e->file);
	if (e->folder >= 0)
		close(e->folder);
	pthread_mutex_destroy(&e->lock);
	rings_free(e->rings, e->n_workers);
	free(e->path);
	free(e);
	return NULL;
}

unsigned events_put(struct events *e, unsigned worker, const struct event *events, unsigned n)
{
	return ring_put(&e->rings[worker], events, n);
}

void events_tell(struct events *e, uint64_t now_ns, const char *kind, const char *fmt, ...)
{
	char line[EVENTS_LINE_MAX], text[1024];
	struct line l = { line, 0, sizeof(line) };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_time(&l, now_ns);
	put_text(&l, "event", kind);
	put_text(&l, "text", text);
	put_end(&l);
	pthread_mutex_lock(&e->lock);
	write_line(e, line, l.at);
	if (e->file)
		fflush(e->file);
	pthread_mutex_unlock(&e->lock);
}
