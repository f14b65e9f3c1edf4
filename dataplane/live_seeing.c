/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What engineers look at while workers run: open sessions and captures of frames. Workers are asked
 * by an order (live.h) and answer by a word of their own; the control thread waits for them
 * LIVE_LOOK_MS at most and says who did not answer.
 */
#include "live.h"

#include "overlay_line.h"

#include "filters/address_form.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 48 * 1024, /* of rows in one packet */
	ROW_BYTES = 1024,       /* more than any row takes as JSON */
	READ_BYTES = 36 * 1024, /* of a capture in one packet, before base64 */
};

/* False: not a prefix. Both families by one length over 16 bytes. */
static bool read_prefix(const char *text, uint8_t ret_addr[16], uint8_t *ret_len)
{
	uint8_t len;

	if (!overlay_prefix_read(text, ret_addr, &len))
		return false;
	*ret_len = (uint8_t)(len + (strchr(text, ':') ? 0 : 96));
	return true;
}

/* ---- sessions ---- */

/* Asks every worker to walk; how many have not ended in time. */
static unsigned walk_all(struct live *l, const uint8_t addr[16], uint8_t prefix_len)
{
	const struct timespec nap = { .tv_nsec = 200000 };
	unsigned late = 0, seq = ++l->look_seq;
	uint64_t words[2];

	memcpy(words, addr, sizeof(words));
	for (unsigned i = 0; i < l->n_workers; i++) {
		struct live_worker *w = l->workers[i];

		atomic_store(&w->look_addr[0], words[0]);
		atomic_store(&w->look_addr[1], words[1]);
		atomic_store(&w->look_len, prefix_len);
		atomic_store(&w->look_wanted, seq);
		live_order(l, i);
	}
	for (unsigned tries = 0; tries < LIVE_LOOK_MS * 5; tries++) {
		late = 0;
		for (unsigned i = 0; i < l->n_workers; i++)
			late += atomic_load(&l->workers[i]->look_done) != seq;
		if (late == 0)
			break;
		nanosleep(&nap, NULL);
	}
	return late;
}

static void address_text(const uint8_t addr[16], char ret_text[INET6_ADDRSTRLEN])
{
	bool v4 = address_is_v4(addr);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, ret_text, INET6_ADDRSTRLEN);
}

/* Bytes that a client sent may be no UTF-8: each of those above ASCII is a '?'. */
static json_t *text_json(const char *text)
{
	char clean[64];
	size_t n = 0;

	for (; text[n] && n < sizeof(clean) - 1; n++)
		clean[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
	return json_stringn(clean, n);
}

static json_t *reason_json(unsigned reason)
{
	char text[STATS_NAME_LEN] = "";

	for (size_t i = 0;
	     reason < REASON_N && reason_infos[reason].name[i] && i < sizeof(text) - 1; i++)
		text[i] = (char)tolower((unsigned char)reason_infos[reason].name[i]);
	return json_string(reason == REASON_NONE ? "" : text);
}

static json_t *row_json(
    const struct live *l, unsigned worker, const struct session_row *r, uint64_t now_ns)
{
	char client[INET6_ADDRSTRLEN];
	json_t *row;

	address_text(r->client, client);
	row = json_pack(
	    "{s:s,s:i,s:i,s:i,s:s,s:s,s:s,s:o,s:I,s:i,s:i,s:i,s:I,s:i,s:f,s:I,s:I,s:o,s:o}",
	    "client", client, "client_port", r->client_port, "worker", (int)worker, "listener",
	    r->listener, "state", worker_session_word(r->state), "phase",
	    r->phase < PHASE_N ? phase_words[r->phase] : "?", "verdict",
	    r->verdict < VERDICT_N_KINDS ? verdict_words[r->verdict] : "?", "reason",
	    reason_json(r->reason), "age_ms",
	    (json_int_t)(now_ns > r->opened_ns ? (now_ns - r->opened_ns) / 1000000 : 0), "messages",
	    r->messages, "rcpts", r->rcpts, "code", r->last_code, "commands",
	    (json_int_t)r->commands, "rules", r->n_rules, "score", r->score / 100.0, "bytes_in",
	    (json_int_t)r->bytes_in, "bytes_out", (json_int_t)r->bytes_out, "helo",
	    text_json(r->helo), "mail", text_json(r->mail));
	if (row && r->server < l->stats->n_servers && r->server < STATS_MAX_SERVERS)
		json_object_set_new(row, "server", json_string(l->stats->server_names[r->server]));
	return row;
}

/* A page of what the workers found last, from row `from` on. */
static json_t *page(struct live *l, unsigned from, unsigned late)
{
	json_t *rows = json_array();
	unsigned at = 0, met = 0, held = 0, next = 0;
	uint64_t now_ns = hw_now_ns();
	size_t bytes = 0;

	for (unsigned i = 0; i < l->n_workers; i++) {
		struct live_worker *w = l->workers[i];

		if (atomic_load(&w->look_done) != l->look_seq)
			continue;
		met += w->look.met;
		held += w->look.n;
		for (unsigned k = 0; k < w->look.n; k++, at++) {
			if (at < from || next != 0)
				continue;
			if (bytes + ROW_BYTES > PAGE_BYTES) {
				next = at;
				continue;
			}
			json_t *row = row_json(l, i, &w->look.rows[k], now_ns);
			char text[ROW_BYTES];

			bytes += json_dumpb(row, text, 0, JSON_COMPACT | JSON_ENSURE_ASCII) + 1;
			json_array_append_new(rows, row);
		}
	}
	return json_pack("{s:i,s:o,s:i,s:i,s:i,s:i}", "look", (int)l->look_seq, "sessions", rows,
	    "next", (int)next, "met", (int)met, "held", (int)held, "silent_workers", (int)late);
}

static json_t *serve_sessions(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const json_t *client = json_object_get(params, "client"),
		     *from = json_object_get(params, "from"),
		     *look = json_object_get(params, "look");
	uint8_t addr[16] = { 0 }, len = 0;

	(void)fds, (void)n_fds;
	if ((client &&
		(!json_is_string(client) || !read_prefix(json_string_value(client), addr, &len))) ||
	    (from && (!json_is_integer(from) || json_integer_value(from) < 0)))
		return control_fail(error, "bad_params",
		    "`client` is an address or prefix, `from` a number with `look` of the answer "
		    "before.");
	if (!from)
		return page(l, 0, walk_all(l, addr, len));
	if (json_integer_value(look) != (json_int_t)l->look_seq)
		return control_fail(
		    error, "gone", "Somebody else has looked meanwhile: begin again.");
	return page(l, (unsigned)json_integer_value(from), 0);
}

/* ---- captures ---- */

/* Who holds the capture's rings no longer writes into them, or does not run. */
static bool let_go(const struct live *l)
{
	for (unsigned i = 0; i < l->n_workers; i++)
		if (atomic_load(&l->workers[i]->obeyed) != atomic_load(&l->workers[i]->orders))
			return false;
	return true;
}

static void aim(struct live *l, struct capture *c)
{
	for (unsigned i = 0; i < l->n_workers; i++) {
		atomic_store(&l->workers[i]->capture, c);
		live_order(l, i);
	}
}

static void capture_path(const struct live *l, unsigned id, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/captures/%u.pcapng", l->state_dir, id % LIVE_CAPTURES_KEPT);
}

static json_t *capture_json(struct live *l)
{
	struct capture_state s;

	capture_look(l->capture, &s);
	if (s.over && !l->capture_over) { /* nobody has to look into it any more */
		l->capture_over = true;
		aim(l, NULL);
	}
	return json_pack("{s:i,s:b,s:s?,s:I,s:I,s:I}", "id", (int)l->capture_id, "over", s.over,
	    "why", s.why, "packets", (json_int_t)s.packets, "bytes", (json_int_t)s.bytes, "lost",
	    (json_int_t)s.lost);
}

static bool number_in(
    const json_t *params, const char *key, json_int_t least, json_int_t most, json_int_t *ret)
{
	const json_t *n = json_object_get(params, key);

	if (!n)
		return true;
	if (!json_is_integer(n) || json_integer_value(n) < least || json_integer_value(n) > most)
		return false;
	*ret = json_integer_value(n);
	return true;
}

static json_t *start_capture(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	const char *client = json_string_value(json_object_get(params, "client"));
	json_int_t packets = 100000, seconds = 60;
	struct capture_bounds bounds = { .bytes = CAPTURE_MAX_BYTES };
	char path[4096];
	int rc;

	(void)fds, (void)n_fds;
	if (!client || !read_prefix(client, bounds.addr, &bounds.prefix_len) ||
	    !number_in(params, "packets", 1, CAPTURE_MAX_PACKETS, &packets) ||
	    !number_in(params, "for_s", 1, CAPTURE_MAX_SECONDS, &seconds))
		return control_fail(error, "bad_params",
		    "`client` is an address or prefix, `packets` a number from 1 to %d, `for_s` "
		    "from "
		    "1 to %d.",
		    CAPTURE_MAX_PACKETS, CAPTURE_MAX_SECONDS);
	if (l->capture) {
		json_decref(capture_json(l));
		if (!l->capture_over)
			return control_fail(error, "busy",
			    "Capture %u is under way: stop it, or wait for its end.", l->capture_id);
		if (!let_go(l))
			return control_fail(error, "busy",
			    "A worker has not yet let the last capture go: try again.");
		l->capture = capture_free(l->capture);
	}
	snprintf(path, sizeof(path), "%s/captures", l->state_dir);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return control_fail(
		    error, "not_kept", "%s cannot be made: %s.", path, strerror(errno));
	bounds.packets = (uint64_t)packets;
	bounds.end_ns = hw_now_ns() + (uint64_t)seconds * 1000000000u;
	capture_path(l, l->capture_id + 1, path, sizeof(path));
	unlink(path);
	rc = capture_new(path, l->n_workers, &bounds, hw_now_ns, &l->capture);
	if (rc)
		return control_fail(
		    error, "not_kept", "%s cannot be made: %s.", path, strerror(-rc));
	l->capture_id++;
	l->capture_over = false;
	aim(l, l->capture);
	events_tell(l->events, hw_now_ns(), "capture", "%u: %s, %lld packets or %lld s at most",
	    l->capture_id, client, (long long)packets, (long long)seconds);
	return capture_json(l);
}

static bool is_ours(const struct live *l, const json_t *params, struct control_error *error)
{
	const json_t *id = json_object_get(params, "id");

	if (l->capture && json_is_integer(id) && json_integer_value(id) == (json_int_t)l->capture_id)
		return true;
	control_fail(error, "gone", "There is no such capture: a newer one has taken its place.");
	return false;
}

static json_t *look_at_capture(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	(void)fds, (void)n_fds;
	return is_ours(arg, params, error) ? capture_json(arg) : NULL;
}

static json_t *stop_capture(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;

	(void)fds, (void)n_fds;
	if (!is_ours(l, params, error))
		return NULL;
	capture_stop(l->capture);
	return capture_json(l);
}

static json_t *base64(const uint8_t *data, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[READ_BYTES / 3 * 4 + 5];
	size_t at = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)data[i] << 16 | (i + 1 < n ? (uint32_t)data[i + 1] << 8 : 0) |
			     (i + 2 < n ? data[i + 2] : 0);

		text[at++] = digits[v >> 18];
		text[at++] = digits[v >> 12 & 63];
		text[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
		text[at++] = i + 2 < n ? digits[v & 63] : '=';
	}
	return json_stringn(text, at);
}

/* The file, in pieces: who asks may not be allowed into our state directory. */
static json_t *read_capture(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	json_int_t offset = 0;
	uint8_t data[READ_BYTES];
	struct capture_state s;
	char path[4096];
	ssize_t n = -1;

	(void)fds, (void)n_fds;
	if (!number_in(params, "offset", 0, 2 * (json_int_t)CAPTURE_MAX_BYTES, &offset))
		return control_fail(error, "bad_params", "`offset` is a number of bytes.");
	if (!is_ours(l, params, error))
		return NULL;
	capture_look(l->capture, &s);
	if (!s.over)
		return control_fail(error, "busy", "The capture is still under way.");
	capture_path(l, l->capture_id, path, sizeof(path));
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0) {
		n = pread(fd, data, sizeof(data), (off_t)offset);
		close(fd);
	}
	if (n < 0)
		return control_fail(error, "gone", "%s cannot be read: %s.", path, strerror(errno));
	return json_pack("{s:I,s:o,s:b}", "offset", (json_int_t)offset, "data",
	    base64(data, (size_t)n), "end", (size_t)n < sizeof(data));
}

static json_t *rotate_events(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;

	(void)params, (void)fds, (void)n_fds, (void)error;
	events_rotate(l->events);
	return json_object();
}

const struct control_method live_seeing_methods[] = {
	{ "events.rotate", rotate_events },
	{ "sessions", serve_sessions },
	{ "capture.start", start_capture },
	{ "capture.status", look_at_capture },
	{ "capture.stop", stop_capture },
	{ "capture.read", read_capture },
	{ NULL, NULL },
};
