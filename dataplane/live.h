/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live shell around the brain: frames from DPDK ports, time from the TSC, statistics and
 * events to the world. Private to dataplane/live*.c and main.c.
 *
 * One struct live for the process, set up by main; one struct live_worker per worker, its thread's
 * alone save the words marked otherwise.
 */
#ifndef POSTERN_DATAPLANE_LIVE_H
#define POSTERN_DATAPLANE_LIVE_H

#include "capture.h"
#include "control_server.h"
#include "events.h"
#include "live_lists.h"
#include "notes.h"
#include "policy_load.h"
#include "publish.h"
#include "stats_file.h"
#include "worker.h"

#include "hw/port.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
	LIVE_MAX_WORKERS = STATS_MAX_WORKERS,
	LIVE_RX = HW_MAX_PORTS * HW_BURST +
		  2 * HW_BURST, /* frames into a turn: all ports and take-overs */
	LIVE_TX = 1024,         /* frames out of a turn */
	LIVE_EVENTS = 256,      /* records out of a turn */
	LIVE_NOTES = 128,       /* notes out of a turn */
	LIVE_QUESTIONS = 64,
	LIVE_PORT_FIRST = 16384, /* local ports toward backends; steering goes by them */
	LIVE_PORT_LAST = 65535,
	LIVE_PROBE_MS = 500,     /* quiet time at start in which others may claim our addresses */
	LIVE_PASS_MAX_S = 86400, /* pass-all at a time */
	LIVE_LOOKS = 1024,       /* sessions a worker tells of at a time */
	LIVE_LOOK_STEPS = 1024,  /* places looked at in a turn */
	LIVE_LOOK_MS = 50,
	LIVE_CAPTURES_KEPT = 4,
	LIVE_GATEWAY_MS = 3000, /* a gateway that has not answered by then is reported */
};

/* Who owns a frame; written at start, read by all. */
struct live_spread {
	unsigned n_workers;
	bool port_is_trusted[HW_MAX_PORTS]; /* the port spreads by source address itself */
	unsigned n_owned;
	struct {
		struct ip_addr addr;
		unsigned worker;
	} owned[STACK_MAX_ADDRS]; /* a worker's own addresses toward backends */
	uint8_t by_port[65536]; /* owner of a local port toward backends; LIVE_NOT_OURS below the range */
};
enum { LIVE_NOT_OURS = 0xff };

/* To whom a frame belongs: a worker, or LIVE_TO_ALL (neighbours, ICMP errors). */
enum { LIVE_TO_ALL = 0x100 };
unsigned live_owner(const struct live_spread *s, const struct frame *f, unsigned self);
/* True for ARP and IPv6 neighbour discovery: what may pass while addresses are still being probed. */
bool live_is_neighbour(const struct frame *f);
void live_spread_init(struct live_spread *s, const struct policy_host *host, unsigned n_workers);

struct grey;
struct resolver;
struct confirmer;
struct live_memory;
struct live_bans;
struct live_rules;
struct live;

struct live_bucket {
	unsigned n;
	struct frame frames[HW_BURST];
};

struct live_worker {
	struct live *live;
	unsigned index;
	struct worker *worker;
	struct stats_worker *stats;
	uint64_t *shell; /* the shell's counters in stats */

	/* written by control, read by the worker once a turn */
	_Alignas(64) atomic_uint orders; /* raised at each order below */
	atomic_bool stop, drain;
	atomic_uint sharing;                    /* enum stack_sharing */
	atomic_bool drained[STATS_MAX_SERVERS]; /* backends drained by an operator */
	_Atomic(struct capture *) capture;      /* frames go there; NULL: nowhere */
	atomic_uint look_wanted, look_len;      /* the sessions in a prefix are asked for */
	atomic_ulong look_addr[2];

	/* written by the worker, read by control */
	_Alignas(64) atomic_bool idle; /* drained, and no session is left */
	atomic_uint sessions;
	atomic_uint obeyed;    /* the last of `orders` that was carried out */
	atomic_uint look_done; /* the look_wanted that `look` is of; until then the worker's alone */
	struct session_walk look; /* LIVE_LOOKS rows */
	atomic_ulong unreachable; /* routes whose gateway has not answered, a bit each */

	struct live_bucket *spread; /* frames on their way to other workers, a bucket each */
	struct frame rx[LIVE_RX], tx[LIVE_TX], drop[LIVE_RX];
	struct event events[LIVE_EVENTS];
	struct note notes[LIVE_NOTES];
	struct question questions[LIVE_QUESTIONS];
	struct answer answers[LIVE_QUESTIONS];
	unsigned n_answers;
};

enum { LIVE_RESTART_KEYS = 13 };
struct live_restart {
	uint8_t sha256[LIVE_RESTART_KEYS][IMAGE_HASH_LEN];
};

struct live {
	const char *name, *image_path, *state_dir, *run_dir, *events_path;
	struct policy_store *store;
	struct publish *publish;
	struct hw *hw;
	struct events *events;
	struct notes *notes;
	struct grey *grey; /* the greylist's store; NULL: none */
	struct live_lists *lists;
	struct live_rules *rules;
	struct resolver *resolver;
	struct confirmer *confirmer; /* PCRE2's thread */
	struct live_bans *bans;
	struct live_memory *memory;        /* of sources; NULL: none */
	_Atomic uint32_t pass_all_until_s; /* Unix; control writes, workers read once a turn */
	struct worker_shared shared;       /* given to each worker */
	struct stats_file *stats;
	unsigned n_workers, n_ports;
	unsigned idle_sleep_max_us;
	bool all_virtual, all_interrupts, any_xdp;
	struct live_spread spread;
	struct live_worker *workers[LIVE_MAX_WORKERS];
	struct policy_host host;                /* as taken at start */
	char route_text[POLICY_MAX_ROUTES][48]; /* gateways, for messages */
	char route_port[POLICY_MAX_ROUTES][32]; /* the port each lies behind */
	char addr_text[STACK_MAX_ADDRS][48];    /* worker 0's own addresses */
	unsigned n_stack_addrs;
	uint64_t conflicts_told; /* worker 0's, a bit per address */
	uint8_t token_key[16];
	uint64_t started_ns;
	uint64_t drain_timeout_ms;
	uint64_t gateway_wait_ms; /* for gateways at start; 0: start without */
	atomic_bool serving;      /* written by worker 0 once, when probing is over; read by all */

	bool take_over;   /* from the process that has the run directory, at start */
	bool ports_high;  /* which half of the local ports is ours; see live_take_over.c */
	bool taken_over;  /* there was one: our addresses need no probing */
	int predecessor;  /* a pidfd while it drains; -1: none */
	bool handed_over; /* control's, then main's */
	_Atomic(struct control_server *) server;

	/* control's */
	struct generation *running; /* the one last published, by the control thread */
	unsigned look_seq, capture_id;
	struct capture *capture;   /* the last one; NULL: none yet */
	bool capture_over;         /* ... and workers were told to let it go */
	char needs_restart[256];   /* host keys whose new value waits, comma-separated */
	struct live_restart taken; /* at start */
	atomic_bool draining;
	atomic_int exit_code;
	_Atomic(char *) fatal; /* a sentence from the worker that found out */
};

/* live_setup.c: from the first generation to workers that can run. */
int live_setup(struct live *l, struct generation *first, char **ret_error);
void live_teardown(struct live *l);
/* What is fixed at start, hashed key by key; and which keys differ, comma-separated. */
int live_restart_prints(const struct policy *policy, struct live_restart *ret_prints);
void live_restart_difference(
    const struct live_restart *a, const struct live_restart *b, char *ret_keys, size_t size);
const char *live_version(void);

/* live_shared.c: the tables that workers read and others write, their writers, and who hears of
 * notes; before the workers are made. */
int live_shared_open(struct live *l, struct policy *policy, char **ret_error);
void live_shared_close(struct live *l); /* the workers have ended */

/* live_pass.c: the switch `pass-all`. live_pass_until(): 0 where it is off. */
int live_pass_open(struct live *l, char **ret_error);
uint32_t live_pass_until(const struct live *l);
json_t *live_pass_set(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

/* live_waves.c: the same content from many networks. */
int live_waves_open(struct live *l, const struct policy *policy); /* -errno */
void live_waves_policy(const struct policy *policy);
void live_waves_close(void);
json_t *live_waves_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

/* live_rules.c: rules and their hits; -errno where it cannot begin. */
int live_rules_open(struct live *l);
void live_rules_close(struct live *l);
json_t *live_rule_list(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

/* live_relay.c: what the running policy would answer. */
json_t *live_relay_test(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

/* live_resolver.c: name service; its settings follow the policy. */
int live_resolver_open(struct live *l, const struct policy *policy, char **ret_error);
void live_resolver_policy(struct live *l, const struct policy *policy);
/* live_explain.c */
json_t *live_token_read(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_explain_now(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

json_t *live_dns_lists(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_dns_lookup(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_dns_flush(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_dns_resume(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

/* live_bans.c: automatic bans; after the lists are open. */
int live_bans_open(struct live *l, const struct policy *policy, char **ret_error);
void live_bans_policy(struct live *l, const struct policy *policy);
void live_bans_close(struct live *l); /* after the notes' thread, before the lists */

/* live_memory.c: the memory of sources; its settings follow the policy. */
int live_memory_open(struct live *l, const struct policy *policy, char **ret_error);
void live_memory_policy(struct live *l, const struct policy *policy);
void live_memory_close(struct live *l); /* after the notes' thread */
json_t *live_memory_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_memory_forget(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_memory_release(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

/* live_grey.c: the greylist's thread, where the policy has one; its settings follow the policy. */
int live_grey_open(struct live *l, const struct policy *policy, char **ret_error);
void live_grey_policy(struct live *l, const struct policy *policy);
json_t *live_grey_show(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_grey_add(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_grey_del(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_grey_stats(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_grey_export(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
json_t *live_grey_import(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);

/* live_seeing.c: open sessions, captures, the log's rotation. */
extern const struct control_method live_seeing_methods[];

/* live_loop.c: the worker's thread. */
void live_run(void *worker);

/* live_control.c: the methods of the control socket. */
extern const struct control_method live_methods[];
/* All tables of methods as one, to be freed once the server has ended. NULL: no memory. */
struct control_method *live_all_methods(void);
void live_order(struct live *l, unsigned worker); /* look at what is yours to read */
void live_drain(struct live *l);
void live_share(struct live *l, enum stack_sharing how);
/* Writers of shared tables end and their files are closed; the tables go on to be read. */
void live_shared_let_go(struct live *l);
/* The half of the local ports toward backends that is this process's; the first is worker 0's. */
void live_local_ports(const struct live *l, uint16_t *ret_first, uint16_t *ret_last);
/* live_take_over.c: the new process asks, the old one's method answers. */
int live_take_over(struct live *l, char **ret_error);
bool live_predecessor_gone(struct live *l); /* true once */
json_t *live_hand_over(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error);
void live_stop(struct live *l, int exit_code);

/* live_privileges.c: drops what is not needed once ports are open, in every thread. */
int live_drop_privileges(bool keep_net_admin);

#endif
