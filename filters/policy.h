/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The immutable policy: a read-only view over the parts of an image (image.h). Everything here is
 * a value or an offset inside a part; a view is a few pointers made once per publication, off the
 * worker cores. Workers read it within one turn and keep no pointer into it across turns.
 * Any thread may read; nobody writes after policy_open().
 *
 * The structs below ARE the binary layout of the SETTINGS part: fixed width, little endian,
 * naturally aligned, no pointers. A change of any of them raises POLICY_LAYOUT.
 */
#ifndef POSTERN_FILTERS_POLICY_H
#define POSTERN_FILTERS_POLICY_H

#include "facts.h"
#include "nameset.h"
#include "policy_access.h"
#include "policy_waves.h"
#include "policy_dns.h"
#include "policy_shape.h"
#include "policy_grey.h"
#include "policy_patterns.h"
#include "policy_bans.h"
#include "policy_memory.h"
#include "rules.h"
#include "verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POLICY_LAYOUT = 3 };

/* A zero-terminated string: offset into the STRINGS part. 0 is the empty string. */
typedef uint32_t policy_str;

/* ---- host: taken at start; a difference in a later image is reported as `needs restart` ---- */

enum {
	POLICY_MAX_PORTS = 8,
	POLICY_MAX_NETIFS = 16,
	POLICY_MAX_ADDRS = 64,
	POLICY_MAX_ROUTES = 64,
	POLICY_MAX_EAL = 32,
	POLICY_MAX_LISTENERS = 16,
	POLICY_MAX_POOLS = 256,
	POLICY_MAX_SERVERS = 1024,
	POLICY_MAX_DOMAINS = 1000000,
	POLICY_MAX_LISTS = 250, /* address table values are one byte */
};

struct policy_port {
	policy_str name;   /* "outside" */
	policy_str device; /* DPDK name: PCI address, or "net_af_packet0,iface=x" */
	uint32_t mtu;
	uint32_t queues; /* 0: one per worker */
};

struct policy_netif {
	uint16_t port;
	uint16_t vlan; /* 0: untagged */
};

struct policy_ip {
	uint8_t addr[16];
	uint8_t prefix_len; /* 0-32 or 0-128 */
	uint8_t netif;
	uint8_t backends_only; /* source address toward backends; nothing listens on it */
	uint8_t reserved;
	int32_t worker; /* with backends_only: the worker that owns it; -1: all, told apart by port */
};

struct policy_route {
	uint8_t dst[16], via[16];
	uint8_t prefix_len;
	uint8_t netif;
	uint8_t reserved[2];
};

struct policy_host {
	uint32_t workers; /* cores that run worker_turn() */
	uint32_t n_ports, n_netifs, n_addrs, n_routes, n_eal;
	struct policy_port ports[POLICY_MAX_PORTS];
	struct policy_netif netifs[POLICY_MAX_NETIFS];
	struct policy_ip addrs[POLICY_MAX_ADDRS];
	struct policy_route routes[POLICY_MAX_ROUTES];
	policy_str eal[POLICY_MAX_EAL]; /* EAL arguments, verbatim */
	uint32_t max_connections;       /* per worker */
	uint32_t buffer_mib;            /* payload chunks, per worker */
	uint32_t max_tarpit;            /* per worker */
	uint32_t syn_ring;              /* entries per worker, a power of two */
	uint32_t idle_sleep_max_us;     /* back-off of the live shell on virtual ports */
};

/* ---- mail ---- */

enum policy_bare_newline { BARE_REJECT, BARE_NORMALIZE, BARE_DISCONNECT }; /* P4 */
enum policy_starttls { STARTTLS_OFF, STARTTLS_PASS };
enum policy_hello { HELLO_NONE, HELLO_PROXY_V2, HELLO_XCLIENT };

struct policy_smtp {
	policy_str hostname;    /* ours, in banner, EHLO reply and Received */
	policy_str banner;      /* text after the host name in the 220 greeting */
	policy_str contact_url; /* in refusals, "" for none */
	uint8_t bare_newline;   /* enum policy_bare_newline */
	uint8_t starttls;       /* enum policy_starttls */
	uint8_t add_received;   /* 1: our Received line on top (P17) */
	uint8_t reserved;
	int32_t starttls_max_score;    /* hundredths; offered below it only */
	uint32_t greet_delay_ms;       /* below 30,000 (P8) */
	uint32_t inspection_window;    /* bytes; 0: 354 always waits for the backend's */
	uint32_t window_quota;         /* bytes of inspection windows one source address may hold */
	uint32_t command_timeout_ms;   /* at least 300,000 (4.5.3.2.7) */
	uint32_t data_timeout_ms;      /* between two pieces of DATA; at least 180,000 */
	uint32_t condemned_timeout_ms; /* for clients already refused */
};

/* 0: no limit. */
struct policy_limits {
	uint64_t message_size;       /* bytes; SIZE offered is also bounded by the backends' */
	uint32_t recipients;         /* per message, at least 100 by RFC */
	uint32_t null_recipients;    /* per message of the null sender */
	uint32_t commands;           /* per session */
	uint32_t errors;             /* 5yz replies before 421 and close (P9) */
	uint32_t messages;           /* per session */
	uint32_t connections;        /* at once per address */
	uint32_t prefix_connections; /* at once per /24 or /64 */
	uint32_t connection_rate;    /* per address and minute */
	uint32_t received_hops;      /* loop limit, 100 */
};

struct policy_listener {
	policy_str name;
	uint16_t port;
	uint8_t any;
	uint8_t reserved;
	uint8_t addr[16];
};

struct policy_server {
	policy_str name;
	uint8_t addr[16];
	uint16_t port;
	uint16_t weight;
	uint32_t max_connections; /* all workers together; each takes its share */
};

struct policy_pool {
	policy_str name;
	uint32_t first_server, n_servers;
	uint32_t max_waiting; /* sessions queued for a connection; beyond: 451 4.3.2 */
	uint32_t wait_timeout_ms;
	uint32_t connect_timeout_ms;
	uint32_t reply_timeout_ms;  /* for commands before the final dot */
	uint32_t final_timeout_ms;  /* after the final dot; longer than the client's 600,000 (P2) */
	uint32_t check_interval_ms; /* health checks */
	uint8_t hello;              /* enum policy_hello */
	uint8_t reserved;
	uint16_t fallback_pool; /* index, 0xffff: none */
};

enum policy_domain_kind { DOMAIN_EXACT, DOMAIN_SUBDOMAINS /* "sub.domain of", not itself */ };

/* Sorted by (name lower-cased, kind); looked up by hash in the DOMAINS part. */
struct policy_domain {
	policy_str name;
	uint16_t pool;
	uint16_t tenant;
	uint8_t kind;
	uint8_t reserved[3];
};

/* What an address list does; one per value of the address table. */
struct policy_list {
	policy_str name;
	uint8_t verdict; /* enum verdict_kind; PASS for allow lists, NONE for one that only scores */
	uint8_t verify_share; /* percent of refused sources given a 220 and 550 at RCPT instead, so that a
	                         mistaken listing is discovered (DESIGN, life of a session, 5) */
	uint16_t reason;
	uint32_t tarpit_pace_ms;
	int32_t pool;  /* verdict class may override the pool; -1: no */
	uint32_t rule; /* its row among the rules; by the writer */
};

struct policy_settings {
	uint32_t layout; /* POLICY_LAYOUT */
	uint32_t size;   /* of this struct */
	struct policy_host host;
	struct policy_smtp smtp;
	struct policy_limits limits;
	struct policy_score score;
	struct policy_waves waves;
	struct policy_relay relay;
	uint32_t n_access, access_off;
	struct policy_shape shape;
	struct policy_grey grey;
	struct policy_dns dns;
	struct policy_patterns patterns;
	struct policy_memory memory;
	struct policy_bans bans;
	uint32_t n_listeners, n_pools, n_servers, n_domains, n_lists, n_rules;
	int32_t default_pool; /* for domains not named; -1: not served (550 5.7.1) */
	struct policy_listener listeners[POLICY_MAX_LISTENERS];
	/* the arrays below lie behind this struct in the same part */
	uint32_t pools_off, servers_off, domains_off, lists_off, rules_off;
};

/* ---- the view ---- */

struct policy;
struct image_part; /* image.h */
struct pattern_set;

/*
 * Makes a view over the parts of an image. Every offset, index, count, string end, alignment and
 * layout version is checked, so that nothing behind can read outside the parts whatever they hold:
 * a foreign, half-written or hostile image gives -EBADMSG and a sentence in ret_error (static
 * storage). -ENOMEM. The parts' bytes are not copied, save for a few pages: they must not change
 * (sealed memfds, a private mapping) and must outlive the view. Hashes are the caller's
 * (image_check_part()). Takes milliseconds with large tables: off the worker cores.
 */
int policy_open(const struct image_part *parts, unsigned n_parts, uint32_t epoch,
    struct policy **ret_policy, const char **ret_error);
/*
 * The same with scanners of the caller's: asked once the settings are known to be sound, for each
 * pattern part there is; what it gives must outlive the policy. NULL with a sentence: no policy.
 * policy_open() makes its own, for settings.host.workers workers.
 */
struct scanner;
typedef struct scanner *policy_scanner_for(void *arg, const struct image_part *part,
    const struct policy_settings *settings, const char **ret_error);
int policy_open_with(const struct image_part *parts, unsigned n_parts, uint32_t epoch,
    policy_scanner_for *scanner_for, void *arg, struct policy **ret_policy, const char **ret_error);
struct policy *policy_close(struct policy *p); /* NULL is allowed; returns NULL */

/* Strings, tables. Indexes are checked by policy_open(), so these cannot fail. */
const struct policy_settings *policy_settings(const struct policy *p);
const char *policy_string(const struct policy *p, policy_str s);
const struct policy_pool *policy_pool(const struct policy *p, unsigned index);
const struct policy_server *policy_server(const struct policy *p, unsigned index);
const struct policy_list *policy_list(const struct policy *p, unsigned index);
const struct nameset *policy_namesets(const struct policy *p);
uint32_t policy_epoch(const struct policy *p); /* of the commit it came from */
/* The configured pattern set (pattern.h), NULL without one. */
const struct pattern_set *policy_patterns(const struct policy *p);
/* A pattern set with its workspaces (scanner.h), PATTERN_SET_FILES or _EMERGENCY; NULL: none. */
struct scanner *policy_scanner(const struct policy *p, unsigned set);

/* The name of a domain by its place among settings->n_domains, sorted by name. */
const char *policy_domain_name(const struct policy *p, unsigned index);

/* Pool and tenant of a recipient domain (any case, no trailing dot): exact, then the longest
 * parent with `subdomains`, then the default. -ENOENT: not served. A bare <Postmaster> (P13) is
 * looked up with an empty domain: the default pool, else pool 0. */
int policy_route_domain(
    const struct policy *p, struct text domain, unsigned *ret_pool, unsigned *ret_tenant);

/*
 * Gives the view what is said at run time (overlay.h), by the lists' names; the overlay outlives the
 * view. Off the worker cores, by the overlay's writer, before the view is published. -ENOSPC: more
 * names of lists than the overlay can number.
 */
struct overlay;
int policy_attach_overlay(struct policy *p, struct overlay *overlay);

/* PHASE_SYN in bulk: the address table and the overlay alone; now_s: Unix time, for what ends. verdicts[i].kind is NONE where nothing is listed.
 * Addresses as in facts.client. */
void policy_judge_syns(const struct policy *p, const uint8_t (*clients)[16], unsigned n,
    uint32_t now_s, struct verdict *verdicts);

/* All checks of one phase in order; returns the verdict that ends the argument, or NONE. What hit
 * goes into `tally`, which the caller keeps across phases: a copy is judged into and kept once the
 * command is done with, since a command that waits is judged again. Same arguments, same answer. */
struct verdict policy_judge(
    const struct policy *p, enum phase phase, const struct facts *facts, struct tally *tally);

/* The limits that hold for every command, also for those without a phase of their own (NOOP, RSET,
 * VRFY, what is unknown): commands and errors. policy_judge() asks them as well. */
struct verdict policy_judge_command(const struct policy *p, const struct facts *facts);

/* What the list that caused a verdict says (pace, pool), NULL when no list did. */
const struct policy_list *policy_list_of(
    const struct policy *p, const uint8_t client[16], uint32_t now_s);
/* What the compiled table alone says, without the overlay. */
const struct policy_list *policy_compiled_list_of(const struct policy *p, const uint8_t client[16]);

#endif
