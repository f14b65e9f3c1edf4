/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * postern-replay: captures in, verdicts out. The replay shell of DESIGN.md: the clients of a capture
 * are re-enacted by our own TCP against worker_turn(), time is the capture's, backends are models
 * that accept everything. No root, no DPDK, no huge pages, no wall clock: the same capture and policy
 * give the same table.
 *
 * Re-enacted, not re-sent: sequence numbers and windows must be ours for a server that was not there.
 * A client says its next words at the time the capture shows and not before as many reply lines came
 * as it had heard then; one that waits for more than PATIENCE_NS speaks anyway, since our replies may
 * have fewer lines than the captured server's.
 */
#include "image_map.h"
#include "model_rig.h"
#include "replay_answers.h"
#include "replay_capture.h"

#include "filters/image.h"
#include "postern_version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ACTORS_MAX = 512 };
#define PATIENCE_NS  10000000000ull
#define LINGER_NS    5000000000ull
#define SCENE_GAP_NS 3600000000000ull
#define BEFORE_NS    3000000000ull /* health checks come first */

/* One client on stage. */
struct actor {
	const struct capture_session *session; /* NULL: free */
	struct tcp_conn *conn;
	unsigned row;
	unsigned piece;      /* next to say */
	uint32_t piece_sent; /* bytes of it already written */
	uint32_t lines;      /* heard */
	uint64_t shift_ns;   /* our time - the capture's */
	uint64_t last_ns;    /* last thing heard or said */
	bool open, finished;
};

/* What is told of a session. */
struct row {
	struct ip_addr client; /* on stage */
	uint16_t local_port;
	uint8_t verdict, phase;
	uint16_t reason, last_code, messages;
	unsigned heard_code; /* the last reply as the client heard it */
	bool seen, reset, timed_out, loopback;
};

struct replay {
	struct rig *rig;
	struct policy *policy;
	struct capture capture;
	struct row *rows;
	struct actor actors[ACTORS_MAX];
	unsigned n_actors, next; /* on stage; next session of the capture */
	bool json;
	const char *file;
	const struct answers *answers;
	uint64_t *unanswered; /* questions of name service, over all captures */
};

/* ---- the stage ---- */

static void leave(struct replay *rp, struct actor *a)
{
	a->session = NULL;
	a->conn = NULL;
	rp->n_actors--;
}

static bool may_speak(const struct replay *rp, const struct actor *a, uint64_t *ret_at)
{
	const struct capture_session *s = a->session;
	if (!a->open || a->piece >= s->n_pieces)
		return false;
	const struct capture_piece *p = &s->pieces[a->piece];
	uint64_t due = p->at_ns + a->shift_ns;
	if (s->saw_server && a->lines < p->server_lines) {
		uint64_t patience = (a->last_ns > due ? a->last_ns : due) + PATIENCE_NS;
		*ret_at = patience;
		return rp->rig->now_ns >= patience;
	}
	*ret_at = due;
	return rp->rig->now_ns >= due;
}

/* When this actor wants to be looked at again by the clock alone. */
static uint64_t wakes_at(const struct replay *rp, const struct actor *a)
{
	uint64_t at = UINT64_MAX;
	if (may_speak(rp, a, &at))
		return rp->rig->now_ns;
	if (a->open && a->piece >= a->session->n_pieces && !a->finished)
		at = a->last_ns + LINGER_NS;
	return at;
}

static void hear(struct replay *rp, struct actor *a)
{
	struct stack *st = rp->rig->clients->stack;
	const uint8_t *p;
	size_t n;
	while ((n = tcp_peek(a->conn, &p)) > 0) {
		for (size_t i = 0; i < n; i++)
			a->lines += p[i] == '\n';
		if (n >= 3 && p[0] >= '2' && p[0] <= '5')
			rp->rows[a->row].heard_code = (unsigned)(p[0] - '0') * 100 +
						      (unsigned)(p[1] - '0') * 10 +
						      (unsigned)(p[2] - '0');
		tcp_consume(st, a->conn, n);
		a->last_ns = rp->rig->now_ns;
	}
}

static void speak(struct replay *rp, struct actor *a)
{
	struct stack *st = rp->rig->clients->stack;
	uint64_t at;
	while (may_speak(rp, a, &at)) {
		const struct capture_piece *p = &a->session->pieces[a->piece];
		uint32_t left = p->len - a->piece_sent;
		size_t took =
		    tcp_write(st, a->conn, a->session->bytes + p->offset + a->piece_sent, left);
		a->last_ns = rp->rig->now_ns;
		a->piece_sent += (uint32_t)took;
		if (took < left)
			return; /* TCP_EV_WRITE comes */
		a->piece++;
		a->piece_sent = 0;
	}
	if (a->open && a->piece >= a->session->n_pieces && !a->finished &&
	    rp->rig->now_ns >= a->last_ns + LINGER_NS) {
		a->finished = true;
		if (a->session->client_rst && !a->session->client_fin) {
			tcp_abort(st, a->conn);
			leave(rp, a);
			return;
		}
		tcp_shutdown(st, a->conn);
	}
}

static void clients_turn(void *arg)
{
	struct replay *rp = arg;
	struct stack *st = rp->rig->clients->stack;
	struct tcp_conn *conn;
	unsigned ev;
	while ((conn = stack_next_ready(st, &ev)) != NULL) {
		struct actor *a = tcp_user(conn);
		if (!a) {
			tcp_abort(st, conn);
			continue;
		}
		if (ev & TCP_EV_OPEN) {
			a->open = true;
			a->last_ns = rp->rig->now_ns;
		}
		hear(rp, a);
		if (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_EOF)) {
			rp->rows[a->row].reset |= (ev & TCP_EV_RESET) != 0;
			rp->rows[a->row].timed_out |= (ev & TCP_EV_TIMEOUT) != 0;
			tcp_close(st, a->conn);
			leave(rp, a);
		}
	}
	for (unsigned i = 0; i < ACTORS_MAX; i++)
		if (rp->actors[i].session)
			speak(rp, &rp->actors[i]);
}

static bool is_loopback(const struct ip_addr *a)
{
	static const struct ip_addr one = { .b = { [15] = 1 } };
	return ip_addr_is_v4(a) ? a->b[12] == 127 : ip_addr_eq(a, &one);
}

static void enter(struct replay *rp)
{
	const struct capture_session *s = &rp->capture.sessions[rp->next];
	struct actor *a = rp->actors;
	while (a->session)
		a++;
	struct row *row = &rp->rows[rp->next];
	bool v6 = !ip_addr_is_v4(&s->client);
	/* captures made on one machine: no stack takes a loopback address from a wire */
	row->loopback = is_loopback(&s->client);
	row->client = row->loopback ? rig_client(1, v6) : s->client;
	struct tcp_connect req = { .src = row->client,
		.dst = rig_server(v6),
		.dst_port = policy_settings(rp->policy)->listeners[0].port,
		.transparent = true,
		.user = a };
	struct tcp_conn *conn;
	*a = (struct actor){ .session = s,
		.row = rp->next,
		.last_ns = rp->rig->now_ns,
		.shift_ns = rp->rig->now_ns - s->first_ns };
	rp->next++;
	rp->n_actors++;
	if (tcp_connect(rp->rig->clients->stack, &req, rp->rig->now_ns, &conn) < 0) {
		row->timed_out = true;
		leave(rp, a);
		return;
	}
	struct tcp_info info;
	a->conn = conn;
	tcp_get_info(conn, &info);
	row->local_port = info.local_port;
}

static void on_event(void *arg, const struct event *e)
{
	struct replay *rp = arg;
	if (e->kind != EVENT_SESSION && e->kind != EVENT_REFUSED_SYN)
		return;
	for (unsigned i = rp->next; i-- > 0;) { /* the latest first: ports are used again */
		struct row *row = &rp->rows[i];
		if (row->seen || row->local_port != e->client_port ||
		    memcmp(row->client.b, e->client, 16) != 0)
			continue;
		row->seen = true;
		row->verdict = e->verdict;
		row->phase = e->phase;
		row->reason = e->reason;
		row->last_code = e->last_code;
		row->messages = e->messages;
		return;
	}
}

/* What nobody recorded has failed, at once: the policy's defaults for that hold. */
static void on_question(void *arg, const struct question *q)
{
	struct replay *rp = arg;
	struct answer answer;

	*rp->unanswered += !answers_find(rp->answers, q, &answer);
	rig_answer(rp->rig, &answer); /* no room: its deadline does it */
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	(void)arg, (void)id, (void)digest, (void)len, (void)rcpts, (void)client;
}

/* Until the stage is empty and nobody enters for SCENE_GAP_NS: what comes after years of silence is
 * another scene, with a worker of its own, or health checks would fill those years. */
static void perform(struct replay *rp)
{
	struct rig *r = rp->rig;
	bool tell = isatty(STDERR_FILENO);
	while (rp->next < rp->capture.n_sessions || rp->n_actors) {
		uint64_t wake = UINT64_MAX;
		if (rp->n_actors == 0 &&
		    rp->capture.sessions[rp->next].first_ns > r->now_ns + SCENE_GAP_NS)
			break;
		if (rp->next < rp->capture.n_sessions && rp->n_actors < ACTORS_MAX)
			wake = rp->capture.sessions[rp->next].first_ns;
		for (unsigned i = 0; i < ACTORS_MAX; i++) {
			uint64_t at =
			    rp->actors[i].session ? wakes_at(rp, &rp->actors[i]) : UINT64_MAX;
			wake = at < wake ? at : wake;
		}
		if (wake == UINT64_MAX)
			wake = r->now_ns + 1000000000;
		if (wake > r->now_ns && rig_step(r, wake))
			continue;
		if (rp->next < rp->capture.n_sessions && rp->n_actors < ACTORS_MAX &&
		    rp->capture.sessions[rp->next].first_ns <= r->now_ns)
			enter(rp);
		clients_turn(rp);
		rig_step(r, r->now_ns); /* what was said goes out now */
		if (tell && rp->next % 1000 == 0)
			fprintf(stderr, "\rpostern-replay: %u of %u sessions", rp->next,
			    rp->capture.n_sessions);
	}
	uint64_t end = r->now_ns + 30000000000ull; /* the last ones' events */
	while (rig_step(r, end))
		;
	if (tell)
		fputs("\r\033[K", stderr);
}

/* ---- the table ---- */

static void address(const struct ip_addr *a, char buf[INET6_ADDRSTRLEN])
{
	if (ip_addr_is_v4(a))
		inet_ntop(AF_INET, a->b + 12, buf, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, a->b, buf, INET6_ADDRSTRLEN);
}

static void lower(const char *s, char *buf, size_t room)
{
	size_t i = 0;
	for (; s[i] && i < room - 1; i++)
		buf[i] = s[i] == '_' ? '-' : (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
	buf[i] = '\0';
}

/* What happened at the SYN leaves no session: the policy's own word, by the same function. */
static void complete_row(const struct replay *rp, struct row *row)
{
	struct verdict v;
	if (!row->last_code) /* what is refused without state is told by the text alone */
		row->last_code = (uint16_t)row->heard_code;
	if (row->seen)
		return;
	policy_judge_syns(rp->policy, (const uint8_t(*)[16])row->client.b, 1, 0, &v); /* no overlay */
	row->verdict = v.kind;
	row->reason = v.reason;
	row->phase = PHASE_SYN;
}

static void print_rows(struct replay *rp)
{
	static const char *const rig_note[2] = { "loopback, seen as 192.0.2.101",
		"loopback, seen as 2001:db8:1::101" };
	unsigned by_verdict[VERDICT_N_KINDS] = { 0 }, messages = 0;
	if (!rp->json)
		printf("%-20s %-39s %5s %-8s %-18s %4s %4s %7s  %s\n", "time (UTC)", "client",
		    "port", "verdict", "reason", "code", "mail", "bytes", "note");
	for (unsigned i = 0; i < rp->capture.n_sessions; i++) {
		const struct capture_session *s = &rp->capture.sessions[i];
		struct row *row = &rp->rows[i];
		char addr[INET6_ADDRSTRLEN], reason[64], when[32];
		time_t t = (time_t)(s->first_ns / 1000000000);
		struct tm tm;
		complete_row(rp, row);
		address(&s->client, addr);
		lower(reason_infos[row->reason].name, reason, sizeof(reason));
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
		const char *note = s->gap           ? "gap in capture"
				   : !s->saw_syn    ? "begins in the middle"
				   : !s->saw_server ? "one-sided"
				   : row->loopback  ? rig_note[!ip_addr_is_v4(&s->client)]
				   : row->reset     ? "reset"
				   : row->timed_out ? "no answer"
						    : "";
		by_verdict[row->verdict]++;
		messages += row->messages;
		if (rp->json)
			printf("{\"file\": \"%s\", \"time\": \"%s\", \"client\": \"%s\", \"port\": "
			       "%u, "
			       "\"verdict\": \"%s\", \"reason\": \"%s\", \"code\": %u, "
			       "\"messages\": %u, "
			       "\"bytes\": %u, \"note\": \"%s\"}\n",
			    rp->file, when, addr, s->client_port, verdict_words[row->verdict],
			    reason, row->last_code, row->messages, s->n_bytes, note);
		else
			printf("%-20s %-39s %5u %-8s %-18s %4u %4u %7u  %s\n", when, addr,
			    s->client_port, verdict_words[row->verdict], reason, row->last_code,
			    row->messages, s->n_bytes, note);
	}
	if (rp->json)
		return;
	printf("%s: %" PRIu64 " packets, %u sessions, %u messages passed on;", rp->file,
	    rp->capture.packets, rp->capture.n_sessions, messages);
	for (unsigned v = 0; v < VERDICT_N_KINDS; v++)
		if (by_verdict[v])
			printf(" %s %u", verdict_words[v], by_verdict[v]);
	printf("\n");
	if (rp->capture.malformed || rp->capture.beyond_bounds || rp->capture.other_ports)
		printf("left out: %" PRIu64 " malformed, %" PRIu64 " of other ports, %" PRIu64
		       " beyond our bounds\n",
		    rp->capture.malformed, rp->capture.other_ports, rp->capture.beyond_bounds);
}

static int play_scene(struct replay *rp)
{
	const struct capture *c = &rp->capture;
	uint64_t first_ns = rp->next < c->n_sessions ? c->sessions[rp->next].first_ns : 0;
	struct rig_config config = { .seed = 1,
		.no_clients = true,
		.clients_turn = clients_turn,
		.start_ns = first_ns > BEFORE_NS ? first_ns - BEFORE_NS : 1,
		.arg = rp,
		.on_event = on_event,
		.on_message = on_message,
		.on_question = on_question,
		.given_policy = rp->policy,
		.worker_conns = 4096,
		.worker_chunks = 16384,
		.outside = { .delay_ns = 100000 },
		.inside = { .delay_ns = 100000 } };
	int e = rig_new(&config, &rp->rig);
	if (e < 0)
		return e;
	uint64_t ready = rp->rig->now_ns + BEFORE_NS;
	while (rig_step(rp->rig, ready))
		;
	perform(rp);
	rp->rig = rig_free(rp->rig);
	return 0;
}

static int replay_file(const char *file, struct policy *policy, uint16_t port, bool json,
    const struct answers *answers, uint64_t *unanswered)
{
	struct replay *rp = calloc(1, sizeof(*rp));
	char *error = NULL;
	int e = rp ? capture_read(file, port, &rp->capture, &error) : -ENOMEM;
	if (e < 0) {
		fprintf(stderr, "postern-replay: %s\n", error ? error : strerror(-e));
		free(error);
		free(rp);
		return 1;
	}
	rp->policy = policy;
	rp->json = json;
	rp->file = file;
	rp->answers = answers;
	rp->unanswered = unanswered;
	unsigned n = rp->capture.n_sessions;
	rp->rows = calloc(n ? n : 1, sizeof(*rp->rows));
	e = rp->rows ? 0 : -ENOMEM;
	do
		e = e ? e : play_scene(rp);
	while (e == 0 && rp->next < n);
	if (e == 0)
		print_rows(rp);
	else
		fprintf(stderr, "postern-replay: %s: %s\n", file, strerror(-e));
	free(rp->rows);
	capture_fini(&rp->capture);
	free(rp);
	return e == 0 ? 0 : 1;
}

static void usage(FILE *to)
{
	fputs(
	    "usage: postern-replay --image POLICY [--answers FILE] [--port N] [--json] CAPTURE...\n"
	    "Re-enacts the SMTP clients of captures (pcap, pcapng; - for standard input) against "
	    "a\n"
	    "compiled policy and prints a verdict for each session. Needs no root and no DPDK.\n"
	    "  --image FILE  policy made by postern-compile\n"
	    "  --answers FILE  what name service said: lines as `host 192.0.2.7 mail.example.net`, "
	    "or "
	    "the\n"
	    "                event log of the live run; anything else that is asked has failed\n"
	    "  --port N      the servers' port in the capture [25]\n"
	    "  --json        one JSON object a line instead of the table\n"
	    "Exit status: 0 replayed; 1 a file could not be read or replayed; 2 wrong usage.\n",
	    to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "image", required_argument, NULL, 'i' },
		{ "answers", required_argument, NULL, 'a' },
		{ "port", required_argument, NULL, 'p' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' }, { 0 } };
	const char *image = NULL, *answers_file = NULL;
	struct answers *answers = NULL;
	uint64_t unanswered = 0;
	unsigned long port = 25;
	char *error = NULL;
	bool json = false;
	int o, status = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'i': image = optarg; break;
		case 'a': answers_file = optarg; break;
		case 'p': port = strtoul(optarg, NULL, 10); break;
		case 'j': json = true; break;
		case 'h': usage(stdout); return 0;
		case 'v': puts("postern-replay " POSTERN_VERSION); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (!image || optind == argc || port == 0 || port > 65535) {
		usage(stderr);
		return 2;
	}
	void *map;
	size_t len;
	struct policy *policy = image_map_policy("postern-replay", image, &map, &len);
	if (!policy)
		return 1;
	if (answers_read(answers_file, policy, &answers, &error) < 0) {
		fprintf(stderr, "postern-replay: %s\n", error ? error : "no memory");
		free(error);
		status = 1;
		optind = argc;
	}
	for (int i = optind; i < argc; i++)
		status |= replay_file(argv[i], policy, (uint16_t)port, json, answers, &unanswered);
	if (unanswered)
		fprintf(stderr,
		    "postern-replay: %" PRIu64 " questions of name service had no answer (%s), and "
		    "failed\n",
		    unanswered, answers_file ? answers_file : "see --answers");
	answers_free(answers);
	policy_close(policy);
	munmap(map, len);
	return status;
}
