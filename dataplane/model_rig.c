/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three stacks and four links under one virtual clock. A step delivers what has arrived, gives each
 * party that has frames or a deadline one turn, and puts what they send onto the links. Parties
 * turn in a fixed order, so that a seed gives the same run everywhere.
 */
#include "model_rig.h"

#include "confirm.h"
#include "offence.h"
#include "stats_index.h"

#include "filters/greylist.h"
#include "filters/image.h"
#include "filters/at_once.h"
#include "filters/memory.h"
#include "filters/image_write.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
	RIG_FRAMES = 16384,
	RIG_TX = 512,
	RIG_NOTES = 256,
	RIG_GREYLIST = 4096,
	RIG_MEMORY = 1000,
	RIG_BANS = 4096
};

static const uint8_t own_key[16] = "a rig's own key";

#define RIG_START_NS 1767225600000000000ull /* 2026-01-01 00:00:00 UTC */

static struct ip_addr v4(uint8_t a, uint8_t b, uint8_t c, unsigned d)
{
	return ip_addr_from_v4((uint8_t[4]){ a, b, c, (uint8_t)d });
}

static struct ip_addr v6(uint8_t net, unsigned host)
{
	uint8_t b[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, net };
	b[14] = (uint8_t)(host >> 8);
	b[15] = (uint8_t)host;
	return ip_addr_from_v6(b);
}

struct ip_addr rig_client(unsigned i, bool is_v6)
{
	return is_v6 ? v6(1, 0x100 + i) : v4(192, 0, 2, 100 + i);
}

struct ip_addr rig_server(bool is_v6)
{
	return is_v6 ? v6(1, 0x25) : v4(192, 0, 2, 25);
}

void rig_settings(struct policy_settings *s, struct image_writer *w)
{
	s->host.workers = 1;
	image_writer_string(w, "mx.example.org", &s->smtp.hostname);
	image_writer_string(w, "ESMTP", &s->smtp.banner);
	s->smtp.bare_newline = BARE_REJECT;
	s->smtp.inspection_window = 65536;
	s->smtp.window_quota = 1 << 20;
	s->smtp.command_timeout_ms = 300000;
	s->smtp.data_timeout_ms = 180000;
	s->smtp.condemned_timeout_ms = 20000;
	s->limits = (struct policy_limits){ .message_size = 50u << 20,
		.recipients = 1000,
		.null_recipients = 100,
		.commands = 10000,
		.errors = 20,
		.messages = 1000,
		.connections = 1000,
		.prefix_connections = 5000,
		.connection_rate = 100000,
		.received_hops = 100 };
	s->n_listeners = 1;
	s->listeners[0] = (struct policy_listener){ .port = 25, .any = 1 };
	image_writer_string(w, "mx", &s->listeners[0].name);
	s->default_pool = -1;
}

/* Pool `main` with n servers (the odd ones by IPv6), and example.org. */
static void default_pool(struct image_writer *w, unsigned n_servers)
{
	struct policy_pool pool = { .n_servers = n_servers,
		.max_waiting = 1000,
		.wait_timeout_ms = 30000,
		.connect_timeout_ms = 5000,
		.reply_timeout_ms = 300000,
		.final_timeout_ms = 660000,
		.check_interval_ms = 5000,
		.hello = HELLO_PROXY_V2,
		.fallback_pool = 0xffff };
	for (unsigned i = 0; i < n_servers; i++) {
		struct policy_server server = { .port = 25, .weight = 1, .max_connections = 256 };
		struct ip_addr a = i & 1 ? v6(2, 0x10 + i) : v4(198, 51, 100, 10 + i);
		char name[] = "mail0";
		name[4] = (char)('1' + i);
		image_writer_string(w, name, &server.name);
		memcpy(server.addr, a.b, 16);
		int index = image_writer_server(w, &server);
		if (i == 0)
			pool.first_server = (uint32_t)index;
	}
	image_writer_string(w, "main", &pool.name);
	unsigned index = (unsigned)image_writer_pool(w, &pool);
	image_writer_domain(w, "example.org", DOMAIN_EXACT, index, 0);
}

int rig_policy_new(
    const struct rig_config *config, struct image_writer **ret_image, struct policy **ret_policy)
{
	struct image_part parts[IMAGE_MAX_PARTS];
	unsigned n_parts;
	const char *error;
	struct image_writer *w = image_writer_new();
	if (!w)
		return -ENOMEM;
	struct policy_settings *s = image_writer_settings(w);
	rig_settings(s, w);
	default_pool(w, config->n_servers ? config->n_servers : 1);
	if (config->policy)
		config->policy(config->arg, s, w);
	int e = image_writer_finish(w, parts, &n_parts, &error);
	if (e == 0)
		e = policy_open(
		    parts, n_parts, config->epoch ? config->epoch : 1, ret_policy, &error);
	if (e < 0)
		image_writer_free(w);
	else
		*ret_image = w;
	return e;
}

void rig_worker_config(const struct rig_config *config, struct worker_config *wc)
{
	struct stack_config *sc = &wc->stack;
	memset(wc, 0, sizeof(*wc));
	sc->n_ports = sc->n_netifs = 2;
	for (uint8_t i = 0; i < 2; i++) {
		memcpy(sc->ports[i].mac, (uint8_t[6]){ 2, 0, 0, 0, 0, (uint8_t)(1 + i) }, 6);
		sc->ports[i].mtu = 1500;
		sc->netifs[i].port = i;
	}
	sc->addrs[0] = (struct stack_ip){ .addr = rig_server(false), .prefix_len = 24 };
	sc->addrs[1] = (struct stack_ip){ .addr = rig_server(true), .prefix_len = 64 };
	sc->addrs[2] = (struct stack_ip){ .addr = v4(198, 51, 100, 2),
		.prefix_len = 24,
		.netif = 1,
		.reserved_for_connect = true };
	sc->addrs[3] = (struct stack_ip){
		.addr = v6(2, 2), .prefix_len = 64, .netif = 1, .reserved_for_connect = true
	};
	sc->n_addrs = 4;
	/* everything that is not on a link is behind client 0 */
	sc->routes[0] = (struct stack_route){ .dst = v4(0, 0, 0, 0), .via = rig_client(0, false) };
	sc->routes[1] = (struct stack_route){ .via = rig_client(0, true) };
	sc->n_routes = 2;
	sc->n_listeners = 1;
	sc->listeners[0] = (struct stack_listener){ .any = true, .port = 25 };
	memset(&sc->secrets, 0x5a, sizeof(sc->secrets));
	sc->max_conns = config->worker_conns ? config->worker_conns : 512;
	sc->max_chunks = config->worker_chunks ? config->worker_chunks : 4096;
	sc->max_timewait = 1024;
	sc->max_tarpit = 1024;
	sc->syn_ring = 1024;
	sc->ephemeral_first = 20000;
	sc->ephemeral_last = 60000;
	sc->ephemeral_step = 1;
	wc->n_workers = 1;
	wc->window_bytes = config->worker_window_bytes ? config->worker_window_bytes : 4u << 20;
}

/* The servers of a given policy stand behind the backend host's first address. */
static void route_servers(const struct rig *r, struct stack_config *sc)
{
	const struct policy_settings *s = policy_settings(r->policy);
	for (unsigned i = 0; i < s->n_servers && sc->n_routes < STACK_MAX_ROUTES; i++) {
		struct ip_addr a = ip_addr_from_v6(policy_server(r->policy, i)->addr);
		bool is_v4 = ip_addr_is_v4(&a);
		sc->routes[sc->n_routes++] = (struct stack_route){ .dst = a,
			.netif = 1,
			.prefix_len = is_v4 ? 32 : 128,
			.via = is_v4 ? v4(198, 51, 100, 10) : v6(2, 0x10) };
	}
	for (unsigned i = 0; i < r->config.n_far && sc->n_routes < STACK_MAX_ROUTES; i++) {
		struct ip_addr a = r->config.far[i];
		bool is_v4 = ip_addr_is_v4(&a);
		sc->routes[sc->n_routes++] = (struct stack_route){
			.dst = a, .prefix_len = is_v4 ? 32 : 128, .via = rig_client(0, !is_v4)
		};
	}
	sc->n_listeners = 0;
	for (unsigned i = 0; i < s->n_listeners; i++)
		sc->listeners[sc->n_listeners++] = (struct stack_listener){
			.any = true, .port = s->listeners[i].port, .id = (uint16_t)i
		};
}

static int make_worker(struct rig *r)
{
	struct worker_config *wc = malloc(sizeof(*wc));
	if (!wc)
		return -ENOMEM;
	rig_worker_config(&r->config, wc);
	if (r->config.given_policy)
		route_servers(r, &wc->stack);
	struct stack_host host = { .arg = r->frames, .frame_alloc = memframes_get };
	wc->shared.greylist = r->greylist;
	wc->shared.pass_all_until_s = &r->pass_all_until_s;
	wc->shared.memory = r->memory;
	wc->shared.at_once = r->at_once;
	wc->notes |= r->memory ? MEMORY_NOTES : 0;
	wc->notes |= r->greylist ? 1u << NOTE_GREY : 0;
	wc->notes |= r->bans ? OFFENCE_NOTES : 0;
	int e = worker_new(wc, &host, r->stats, r->policy, r->now_ns, &r->worker);
	free(wc);
	return e;
}

void rig_clients_config(struct model_host_config *hc)
{
	*hc = (struct model_host_config){ .mac = { 2, 0, 0, 0, 1, 1 },
		.mtu = 1500,
		.key_seed = 1,
		.max_conns = 1024,
		.max_chunks = 8192 };
	for (unsigned i = 0; i < RIG_CLIENTS; i++) {
		hc->addrs[hc->n_addrs++] =
		    (struct stack_ip){ .addr = rig_client(i, false), .prefix_len = 24 };
		hc->addrs[hc->n_addrs++] =
		    (struct stack_ip){ .addr = rig_client(i, true), .prefix_len = 64 };
	}
}

void rig_backends_config(struct model_host_config *hc)
{
	*hc = (struct model_host_config){ .mac = { 2, 0, 0, 0, 1, 2 },
		.mtu = 1500,
		.key_seed = 2,
		.listen_port = 25,
		.max_conns = 1024,
		.max_chunks = 8192 };
	for (unsigned i = 0; i < RIG_SERVERS_MAX; i++) {
		hc->addrs[hc->n_addrs++] =
		    (struct stack_ip){ .addr = v4(198, 51, 100, 10 + i), .prefix_len = 24 };
		hc->addrs[hc->n_addrs++] =
		    (struct stack_ip){ .addr = v6(2, 0x10 + i), .prefix_len = 64 };
	}
}

static int make_hosts(struct rig *r)
{
	struct model_host_config hc;
	rig_clients_config(&hc);
	int e = model_host_init(r->clients, &hc, model_pool_of(r->frames), r->now_ns);
	if (e < 0)
		return e;
	rig_backends_config(&hc);
	if (r->config.given_policy) {
		const struct policy_settings *s = policy_settings(r->policy);
		hc.n_addrs = 2; /* the gateways, then the servers */
		for (unsigned i = 0; i < s->n_servers && hc.n_addrs < STACK_MAX_ADDRS; i++) {
			struct ip_addr a = ip_addr_from_v6(policy_server(r->policy, i)->addr);
			if (!ip_addr_eq(&a, &hc.addrs[0].addr) && !ip_addr_eq(&a, &hc.addrs[1].addr))
				hc.addrs[hc.n_addrs++] = (struct stack_ip){ .addr = a,
					.prefix_len = ip_addr_is_v4(&a) ? 32 : 128 };
		}
		if (r->config.backend_port)
			hc.listen_port = r->config.backend_port;
		else if (s->n_servers)
			hc.listen_port = policy_server(r->policy, 0)->port;
	}
	return model_host_init(r->backends, &hc, model_pool_of(r->frames), r->now_ns);
}

const char rig_ehlo_words[] =
    "250-PIPELINING\r\n250-SIZE 52430000\r\n250-DSN\r\n"
    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";

static int make_models(struct rig *r)
{
	struct model_clients_config cc = { .max = r->config.max_clients,
		.arg = r->config.arg,
		.on_outcome = r->config.on_outcome,
		.on_end = r->config.on_end };
	struct model_backend_config bc = { .max = 512,
		.seed = r->config.seed + 5,
		.faults = r->config.faults,
		.ehlo = r->config.ehlo ? r->config.ehlo : rig_ehlo_words,
		.arg = r->config.arg,
		.on_message = r->config.on_message };
	if (!r->config.no_clients)
		r->mc = model_clients_new(r->clients, &cc);
	if (!r->config.no_backends)
		r->mb = model_backend_new(r->backends, &bc);
	return (r->mc || r->config.no_clients) && (r->mb || r->config.no_backends) ? 0 : -ENOMEM;
}

static int make_links(struct rig *r)
{
	struct model_link_config out = r->config.outside, in = r->config.inside;
	uint64_t seed = r->config.seed;
	out.seed = out.seed ? out.seed : seed + 1;
	r->to_worker_out = model_link_new(&out, r->frames);
	out.seed++;
	r->to_clients = model_link_new(&out, r->frames);
	in.seed = in.seed ? in.seed : seed + 3;
	r->to_backends = model_link_new(&in, r->frames);
	in.seed++;
	r->to_worker_in = model_link_new(&in, r->frames);
	return r->to_worker_out && r->to_clients && r->to_backends && r->to_worker_in ? 0 : -ENOMEM;
}

int rig_new(const struct rig_config *config, struct rig **ret_rig)
{
	struct rig *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->config = *config;
	r->now_ns = config->start_ns ? config->start_ns : RIG_START_NS;
	if (!r->config.n_servers)
		r->config.n_servers = 1;
	if (!r->config.max_clients)
		r->config.max_clients = 64;
	r->frames = memframes_new(RIG_FRAMES, 1600);
	r->clients = calloc(1, sizeof(*r->clients));
	r->backends = calloc(1, sizeof(*r->backends));
	r->stats = aligned_alloc(64, sizeof(*r->stats));
	r->out.frames.tx = calloc(RIG_TX, sizeof(struct frame));
	r->out.frames.drop = calloc(RIG_TX, sizeof(struct frame));
	r->out.frames.cap_tx = r->out.frames.cap_drop = RIG_TX;
	r->out.events = calloc(RIG_EVENTS, sizeof(struct event));
	r->out.cap_events = RIG_EVENTS;
	r->out.questions = calloc(RIG_EVENTS, sizeof(struct question));
	r->out.cap_questions = RIG_EVENTS;
	r->answers = calloc(RIG_EVENTS, sizeof(struct answer));
	r->out.notes = calloc(RIG_NOTES, sizeof(struct note));
	r->out.cap_notes = RIG_NOTES;
	int e = -ENOMEM;
	if (r->frames && r->clients && r->backends && r->stats && r->out.frames.tx &&
	    r->out.frames.drop && r->out.events && r->out.questions && r->out.notes && r->answers) {
		memset(r->stats, 0, sizeof(*r->stats));
		e = make_links(r);
		e = e ? e : confirm_reader_new(&confirm_limits_default, CONFIRM_BYTES, &r->reader);
		if (!e && config->given_policy)
			r->policy = config->given_policy;
		else
			e = e ? e : rig_policy_new(&r->config, &r->image, &r->policy);
		if (!e && policy_settings(r->policy)->grey.rule) {
			r->greylist = greylist_new(
			    config->greylist_entries ? config->greylist_entries : RIG_GREYLIST);
			e = r->greylist ? 0 : -ENOMEM;
		}
		if (!e) {
			r->at_once = at_once_new(1, 1024, (const uint8_t *)"a rig's own key.");
			e = r->at_once ? 0 : -ENOMEM;
		}
		if (!e && policy_settings(r->policy)->memory.capacity) {
			r->memory = memory_new(
			    config->memory_entries ? config->memory_entries : RIG_MEMORY, own_key);
			e = r->memory ? 0 : -ENOMEM;
		}
		if (!e && config->overlay && policy_settings(r->policy)->bans.settings.threshold) {
			r->bans = bans_new(RIG_BANS, own_key);
			e = r->bans ? 0 : -ENOMEM;
		}
		e = e ? e : make_worker(r);
		e = e ? e : make_hosts(r);
		e = e ? e : make_models(r);
	}
	if (e) {
		rig_free(r);
		return e;
	}
	*ret_rig = r;
	return 0;
}

struct rig *rig_free(struct rig *r)
{
	if (!r)
		return NULL;
	/* what is given back without having been taken, or not at all, shows here */
	assert(!r->worker ||
	       r->stats->counters[STATS_AT_BRAIN + BRAIN_at_once_held] == at_once_held(r->at_once));
	worker_free(r->worker);
	if (r->clients && r->clients->stack)
		model_host_fini(r->clients);
	if (r->backends && r->backends->stack)
		model_host_fini(r->backends);
	model_clients_free(r->mc);
	model_backend_free(r->mb);
	model_link_free(r->to_worker_out);
	model_link_free(r->to_clients);
	model_link_free(r->to_backends);
	model_link_free(r->to_worker_in);
	assert(!r->frames || memframes_in_use(r->frames) == 0);
	memframes_free(r->frames);
	if (r->policy != r->config.given_policy)
		policy_close(r->policy);
	image_writer_free(r->image);
	free(r->clients);
	free(r->backends);
	free(r->stats);
	free(r->out.frames.tx);
	free(r->out.frames.drop);
	free(r->out.events);
	free(r->out.questions);
	free(r->answers);
	confirm_reader_free(r->reader);
	free(r->out.notes);
	bans_free(r->bans);
	memory_free(r->memory);
	at_once_free(r->at_once);
	greylist_free(r->greylist);
	free(r);
	return NULL;
}

int rig_answer(struct rig *r, const struct answer *answer)
{
	if (r->n_answers == RIG_EVENTS)
		return -ENOSPC;
	r->answers[r->n_answers++] = *answer;
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* As the live shell's subscribers do. */
static void apply_note(struct rig *r, const struct note *note)
{
	const struct policy_settings *s = policy_settings(r->policy);
	struct greylist_change changes[GREYLIST_MAX_CHANGES];
	struct memory_alarm alarms[MEMORY_MAX_ALARMS];
	struct memory_note remembered;
	struct ban bans[2];
	unsigned n = 0;

	if (r->greylist && note->kind == NOTE_GREY) {
		struct grey_note grey;

		grey_note_of(note, &grey);
		greylist_apply(r->greylist, &grey, &s->grey, changes);
	}
	if (r->memory && memory_note_of(note, &remembered))
		n = memory_apply(r->memory, &s->memory, &remembered, alarms);
	for (unsigned i = 0; i < n && r->config.on_alarm; i++)
		r->config.on_alarm(r->config.arg, &alarms[i]);
	n = r->bans ? offence_note(r->bans, &s->bans, note, bans) : 0;
	for (unsigned i = 0; i < n; i++) {
		struct overlay_entry entry;

		offence_entry(&s->bans, note, &bans[i], &entry);
		r->n_bans += overlay_put(r->config.overlay, &entry, entry.created_s, NULL) >= 0;
	}
}

static void confirm_later(struct rig *r, const struct question *q)
{
	if (r->config.confirm_ns == UINT64_MAX)
		return;
	assert(r->n_confirms < RIG_CONFIRMS);
	r->confirms[r->n_confirms++] =
	    (struct rig_confirm){ q->job, q->id, r->now_ns + r->config.confirm_ns };
}

static void confirm(struct rig *r)
{
	while (r->n_confirms && r->confirms[0].at_ns <= r->now_ns) {
		const struct answer answer = { .id = r->confirms[0].id, .kind = QUESTION_CONFIRM };

		confirm_work(r->confirms[0].job, r->reader);
		if (rig_answer(r, &answer) < 0)
			return;
		r->n_confirms--;
		memmove(r->confirms, r->confirms + 1, r->n_confirms * sizeof(r->confirms[0]));
	}
}

static void worker_part(struct rig *r)
{
	struct frame in[2 * MODEL_BURST];
	unsigned n = model_link_receive(r->to_worker_out, r->now_ns, 0, in, MODEL_BURST);
	n += model_link_receive(r->to_worker_in, r->now_ns, 1, in + n, MODEL_BURST);
	if (r->config.around_turn)
		r->config.around_turn(r->config.arg, true);
	worker_turn(r->worker, r->policy, in, n, r->answers, r->n_answers, r->now_ns, &r->out);
	if (r->config.around_turn)
		r->config.around_turn(r->config.arg, false);
	r->n_answers = 0;
	for (unsigned i = 0; i < r->out.frames.n_tx; i++) {
		struct frame *f = &r->out.frames.tx[i];
		model_link_send(f->port == 0 ? r->to_clients : r->to_backends, f, 1, r->now_ns);
	}
	memframes_put(r->frames, r->out.frames.drop, r->out.frames.n_drop);
	for (unsigned i = 0; i < r->out.n_events && r->config.on_event; i++)
		r->config.on_event(r->config.arg, &r->out.events[i]);
	for (unsigned i = 0; i < r->out.n_questions; i++) {
		if (r->out.questions[i].kind == QUESTION_CONFIRM)
			confirm_later(r, &r->out.questions[i]);
		else if (r->config.on_question)
			r->config.on_question(r->config.arg, &r->out.questions[i]);
	}
	confirm(r);
	for (unsigned i = 0; i < r->out.n_notes; i++)
		apply_note(r, &r->out.notes[i]);
	r->out.frames.n_tx = r->out.frames.n_drop = r->out.n_events = r->out.n_questions = 0;
	r->out.n_notes = 0;
}

static void host_send(struct rig *r, struct model_host *h, struct model_link *l)
{
	model_host_output(h, r->now_ns);
	model_link_send(l, h->out.tx, h->out.n_tx, r->now_ns);
	h->out.n_tx = 0;
}

void rig_send(struct rig *r)
{
	host_send(r, r->clients, r->to_worker_out);
	host_send(r, r->backends, r->to_worker_in);
}

bool rig_step(struct rig *r, uint64_t limit_ns)
{
	struct frame in[MODEL_BURST];
	uint64_t at = worker_next_deadline(r->worker);
	at = least(at, model_link_next(r->to_worker_out));
	at = least(at, model_link_next(r->to_worker_in));
	at = least(at, model_link_next(r->to_clients));
	at = least(at, model_link_next(r->to_backends));
	at = least(at, stack_next_deadline(r->clients->stack));
	at = least(at, stack_next_deadline(r->backends->stack));
	if (r->n_confirms)
		at = least(at, r->confirms[0].at_ns);
	if (r->out.busy || r->n_answers || at < r->now_ns)
		at = r->now_ns;
	if (at > limit_ns) {
		r->now_ns = limit_ns;
		return false;
	}
	/* A turn takes time: without it two parties could exchange frames for ever at one instant. */
	r->now_ns = at + 1000;

	unsigned n = model_link_receive(r->to_clients, r->now_ns, 0, in, MODEL_BURST);
	if (r->clients_deaf) {
		memframes_put(r->frames, in, n);
		n = 0;
	}
	model_host_input(r->clients, in, n, r->now_ns);
	if (r->mc)
		model_clients_turn(r->mc, r->now_ns);
	else if (r->config.clients_turn)
		r->config.clients_turn(r->config.arg);
	host_send(r, r->clients, r->to_worker_out);

	worker_part(r);

	n = model_link_receive(r->to_backends, r->now_ns, 0, in, MODEL_BURST);
	model_host_input(r->backends, in, n, r->now_ns);
	if (r->mb)
		model_backend_turn(r->mb, r->now_ns);
	else if (r->config.backends_turn)
		r->config.backends_turn(r->config.arg);
	host_send(r, r->backends, r->to_worker_in);
	return true;
}

bool rig_run(struct rig *r, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	uint64_t limit = r->now_ns + for_ns;
	while (!done(arg)) {
		if (!rig_step(r, limit))
			return done(arg);
	}
	return true;
}

uint64_t rig_sessions(const struct rig *r)
{
	return r->stats->counters[STATS_AT_BRAIN + BRAIN_sessions];
}

uint64_t rig_reason(const struct rig *r, enum reason reason)
{
	return r->stats->counters[STATS_AT_REASON + reason];
}

bool rig_counter(const struct rig *r, const char *name, uint64_t *ret_count)
{
	struct stats_name *names = calloc(STATS_MAX_COUNTERS, sizeof(*names));
	unsigned n = names ? stats_fill_names(names) : 0, i = 0;

	while (i < n && strcmp(names[i].name, name) != 0)
		i++;
	if (i < n)
		*ret_count = r->stats->counters[i];
	free(names);
	return i < n;
}
