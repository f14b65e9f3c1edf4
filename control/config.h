/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration as read: every value with the place it was written, so that a check made far
 * later still names line and column. One struct per section of the file; which key fills which
 * member, with type, range, default, unit and documentation, is said by the table in
 * config_schema.c and nowhere else.
 */
#ifndef POSTERN_CONTROL_CONFIG_H
#define POSTERN_CONTROL_CONFIG_H

#include "arena.h"
#include "complaints.h"
#include "inet.h"

#include "filters/rules.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_value {
	struct position pos; /* of the value, or of its section where the default stands */
	bool given;          /* and good */
	bool wrong;          /* given and refused; the default stands */
	int64_t number;      /* SCHEMA_NUMBER; SCHEMA_BOOL; SCHEMA_WORD: index of the word */
	const char *text;    /* as written or the default; never NULL */
	union {
		struct inet_net net; /* SCHEMA_ADDRESS (prefix_len 32 or 128), _INTERFACE, _NETWORK */
		struct inet_range range; /* SCHEMA_RANGE */
	};
};

/* A sequence: of config_value or of a section's struct. */
struct config_items {
	struct position pos;
	size_t n;
	void *items;
};

struct config_port {
	struct config_value name, device, mtu, queues;
};

struct config_interface {
	struct config_value port, vlan, backends_only;
	struct config_items addresses; /* config_value, net */
	size_t port_index;             /* by config_check() */
};

struct config_route {
	struct config_value to, via;
	bool is_default;
	struct inet_net net;    /* by config_check() */
	size_t interface_index; /* by config_check() */
};

struct config_host {
	struct config_value workers, max_connections, buffer_mib, max_tarpit, syn_ring,
	    idle_sleep_max_us;
	struct config_items eal, ports, interfaces, routes;
};

struct config_smtp {
	struct config_value hostname, banner, contact_url, bare_newline, starttls,
	    starttls_max_score, add_received, greet_delay_ms, inspection_window, window_quota,
	    command_timeout_ms, data_timeout_ms, condemned_timeout_ms;
};

struct config_limits {
	struct config_value message_size, recipients, null_recipients, commands, errors, messages,
	    connections, prefix_connections, connection_rate, received_hops;
};

struct config_listener {
	struct config_value name, address, port;
	bool any;
};

struct config_server {
	struct config_value name, address, port, weight, max_connections;
};

struct config_pool {
	struct config_value name, hello, max_waiting, wait_timeout_ms, connect_timeout_ms,
	    reply_timeout_ms, final_timeout_ms, check_interval_ms, fallback;
	struct config_items servers;
	int fallback_index; /* by config_check(); -1: none */
};

struct config_domain {
	struct config_value domain, pool, subdomains;
	size_t pool_index;  /* by config_check() */
	const char *folded; /* lower case, by config_check() */
};

/* Of a rule: what it does, for whom, and what it adds to the score. */
struct config_check {
	struct config_value state, weight, action;
};

struct config_checks {
	struct config_check check[CHECK_N];
};

struct config_waves {
	struct config_value networks, life_s;
};

struct config_score {
	struct config_value mark, defer, refuse, tarpit;
};

#include "config_dns.h"
#include "config_grey.h"
#include "config_patterns.h"
#include "config_bans.h"
#include "config_memory.h"
#include "config_shape.h"

#include "config_access.h"

/* How long the event log is kept, and knows who somebody was. */
struct config_events {
	struct config_value mask_after_hours, retention_days;
};

struct config_list {
	struct config_value name, action, state, weight, file, format, set, mmdb, verify_share,
	    tarpit_pace_ms;
	struct config_items entries;      /* config_value, range */
	struct config_items country, asn; /* config_value: text, number */
};

struct config {
	const char *path;
	struct arena arena;
	struct config_value version, preset, default_pool;
	struct config_host host;
	struct config_smtp smtp;
	struct config_limits limits;
	struct config_score score;
	struct config_waves waves;
	struct config_items access; /* config_access */
	struct config_relay relay;
	struct config_shape shape;
	struct config_dns dns;
	struct config_grey grey;
	struct config_events events;
	struct config_patterns patterns;
	struct config_memory memory;
	struct config_bans bans;
	struct config_items rates; /* config_rate */
	struct config_recipients recipients;
	struct config_batv batv;
	struct config_checks checks;
	struct config_items listeners, pools, domains, lists;
	int default_pool_index; /* by config_check(); -1: none */
};

/* Reads and checks. NULL with complaints filled when anything is wrong. `path` is the name in
 * complaints and the folder that list files are beside; it is copied. */
struct config *config_read(const char *path, struct complaints *complaints);
/* The same of a text in memory. */
struct config *config_parse(
    const char *path, const char *text, size_t len, struct complaints *complaints);
/* ... and with settings laid over it (override.h); NULL: none. */
struct config *config_parse_with(const char *path, const char *text, size_t len,
    const json_t *overrides, struct complaints *complaints);
/* The text of a configuration file. -errno, told to complaints. */
int config_text(const char *path, char **ret_text, size_t *ret_len, struct complaints *complaints);
struct config *config_free(struct config *c); /* NULL is allowed; returns NULL */

/* References, duplicates, conflicts: what no single value shows. Part of config_parse(). */
void config_check(struct config *c, struct complaints *complaints);

/* Path of a list's file: beside the configuration unless absolute. To be freed. NULL: no memory. */
char *config_beside(const struct config *c, const char *file);

#endif
