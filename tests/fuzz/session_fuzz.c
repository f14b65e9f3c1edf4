/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fuzzing shell: client, backend, time and operator as the fuzzer wants them, against
 * worker_turn(). The first byte chooses the policy; then operations follow, mostly canned lines, so
 * that deep states are reached, and raw bytes of the input between them. Whatever was done: when
 * both sides have gone away and time has passed, a drained worker holds nothing any more, and every
 * frame is back in the pool (rig_free() asserts it).
 */
#include "fuzz.h"
#include "world.h"

#include <string.h>

enum { OPERATIONS = 96, CLIENTS = 4 };

static const char *const settings[] = {
	"policy inspection_window=0",
	"policy inspection_window=65536",
	"policy inspection_window=300 bare_newline=normalize",
	"policy inspection_window=300 bare_newline=disconnect message_size=700",
	"policy starttls=pass starttls_max_score=100 errors=3",
	"policy greet_delay_ms=3000 recipients=2 messages=2",
	"policy window_quota=500 add_received=1",
	"policy commands=9 connections=1",
};

static const char *const pools[] = {
	"pool main servers=b1",
	"pool main servers=b1,b2 hello=proxy",
	"pool main servers=b1,b2 hello=xclient max_waiting=1 wait_timeout_ms=2000",
	"pool main servers=b1 fallback_pool=1",
};

static const char *const client_lines[] = {
	"EHLO a.example\r\n",
	"HELO a\r\n",
	"MAIL FROM:<a@example.net>\r\n",
	"MAIL FROM:<> SIZE=9\r\n",
	"RCPT TO:<u@example.org>\r\n",
	"RCPT TO:<v@example.com>\r\n",
	"RCPT TO:<w%x@example.org>\r\n",
	"DATA\r\n",
	"Received: x\r\n",
	"\r\n",
	"text..\r\n",
	".\r\n",
	"bare\n.\n",
	"\r",
	"BDAT 5\r\nhello",
	"BDAT 400\r\n",
	"BDAT 0 LAST\r\n",
	"RSET\r\n",
	"NOOP\r\n",
	"QUIT\r\n",
	"STARTTLS\r\n",
	"VRFY x\r\n",
	"FOO\r\n",
	"EHLO b\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<u@example.org>\r\nRCPT "
	"TO:<v@example.org>\r\nDATA\r\n",
	"MAIL FROM:<a@example.net> BODY=8BITMIME SMTPUTF8\r\n",
};

static const char *const backend_lines[] = {
	"220 b ESMTP\r\n",
	"250 2.1.0 Ok\r\n",
	"250-b\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE 9999\r\n",
	"354 go\r\n",
	"550 5.1.1 no\r\n",
	"451-4.3.0 a\r\n451 4.3.0 b\r\n",
	"421 4.3.2 bye\r\n",
	"221 bye\r\n",
	"nonsense\r\n",
	"250 2.1",
	"250 Ok\r\n250 Ok\r\n",
	"250-open\r\n",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct input {
	const uint8_t *p;
	size_t len;
};

static uint8_t take(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->p++;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void pass(struct world *w, uint64_t ms)
{
	world_kick(w);
	world_run(w, ms * 1000000, never, NULL);
}

static void raw(struct peer *p, struct input *in)
{
	size_t n = take(in) % 64;

	n = n < in->len ? n : in->len;
	peer_write(p, in->p, n);
	in->p += n;
	in->len -= n;
}

static void client_operation(struct world *w, struct input *in, uint8_t which)
{
	unsigned n = 1 + (which >> 3) % CLIENTS;
	struct peer *p = w->clients[n];

	if (!p && !world_connect(w, n))
		return;
	p = w->clients[n];
	switch (which & 7) {
	case 0: raw(p, in); break;
	case 1: peer_close(p); break;
	case 2: peer_abort(p); break;
	case 3: world_connect(w, n); break;
	default:
		for (size_t i = take(in) % 3; i < 3; i++) {
			const char *line = client_lines[take(in) % COUNT(client_lines)];

			peer_write(p, line, strlen(line));
		}
	}
}

static void backend_operation(struct world *w, struct input *in, uint8_t which)
{
	if (w->n_backends == 0)
		return;
	struct peer *p = w->backends[w->n_backends - 1 - (which >> 3) % w->n_backends];
	const char *line;

	switch (which & 7) {
	case 0: raw(p, in); break;
	case 1: peer_close(p); break;
	case 2: peer_abort(p); break;
	default:
		line = backend_lines[take(in) % COUNT(backend_lines)];
		peer_write(p, line, strlen(line));
	}
}

static void operate(struct world *w, struct input *in)
{
	static const unsigned wait_ms[] = { 0, 1, 40, 300, 2000, 31000, 301000, 661000 };
	uint8_t op = take(in), which = op >> 2;
	char change[64];

	switch (op & 3) {
	case 0:
	case 1: client_operation(w, in, which); break;
	case 2: backend_operation(w, in, which); break;
	default:
		if (which < 60) {
			pass(w, wait_ms[which % COUNT(wait_ms)]);
		} else if (which == 60 && w->n_policies < WORLD_POLICIES) {
			snprintf(
			    change, sizeof(change), "message_size=%u errors=5", take(in) * 10 + 1);
			CHECK(world_change(w, change));
		} else if (which == 61) {
			w->servers[0].refuses = !w->servers[0].refuses;
		} else if (which == 62) {
			worker_backend_drain(w->rig->worker, 0, take(in) & 1);
		} else {
			worker_drain(w->rig->worker);
			w->rig->out.busy = true;
		}
	}
	pass(w, 5);
}

static void set_line(struct script *s, const char *text)
{
	s->lines[s->n++] =
	    (struct script_line){ .who = '@', .text = strdup(text), .len = strlen(text) };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct script script;
	static struct world w;
	struct input in = { data, len };
	uint8_t config = take(&in), more = take(&in);

	script.n = 0;
	set_line(&script, settings[config % COUNT(settings)]);
	set_line(&script, pools[config / COUNT(settings) % COUNT(pools)]);
	set_line(&script, "pool spare servers=b3");
	set_line(&script, "domain example.org pool=main");
	set_line(&script, "domain example.com pool=spare");
	if (more & 3)
		set_line(&script, more & 1 ? "backend auto=all" : "backend auto=none");
	if (more & 4)
		set_line(
		    &script, "ehlo all STARTTLS, SIZE 5000, XCLIENT NAME ADDR PORT HELO, CHUNKING");
	CHECK(world_init(&w, &script, more & 8));
	for (unsigned i = 0; i < OPERATIONS && in.len; i++)
		operate(&w, &in);

	/* Everyone leaves. */
	for (unsigned i = 1; i <= CLIENTS; i++) {
		if (w.clients[i])
			peer_abort(w.clients[i]);
	}
	for (unsigned i = 0; i < w.n_backends; i++)
		peer_abort(w.backends[i]);
	pass(&w, 1000);
	worker_drain(w.rig->worker);
	w.rig->out.busy = true;
	pass(&w, 1200000);
	CHECK(worker_is_idle(w.rig->worker));
	world_fini(&w);
	script_fini(&script);
	return 0;
}
