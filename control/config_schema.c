/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every key of the configuration, one row each (schema.h). To add one: a row here, a member in
 * config.h, its use in compile.c, a line in examples/appliance.yaml (a test compares them).
 */
#include "listfile.h"
#include "schema.h"

#include "filters/policy.h"

#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct SECTION_STRUCT, member)

static const char *const words_any[] = { "any", NULL };
static const char *const words_preset[] = { "none", "cautious", "normal", "strict", NULL };
static const char *const words_default[] = { "default", NULL };
/* Their order is that of the enums in filters/policy.h; config_check() and compile.c rely on it. */
static const char *const words_bare_newline[] = { "reject", "normalize", "disconnect", NULL };
static const char *const words_starttls[] = { "off", "pass", NULL };
static const char *const words_hello[] = { "none", "proxy-v2", "xclient", NULL };
static const char *const words_action[] = { "pass", "refuse", "drop", "reset", "trap", "tarpit",
	"score", "mark", NULL };

/* A row of a table reads better broken where its sense breaks. */
/* clang-format off */

/* ---- host ---- */

#define SECTION_STRUCT config_port
static const struct schema_key port_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 31,
	    .doc = "Name of the port; interfaces refer to it." },
	{ "device", SCHEMA_TEXT, SCHEMA_REQUIRED, AT(device), 1, 255,
	    .doc = "DPDK's name of the device: a PCI address, or a virtual device with its arguments "
		   "(net_af_packet0,iface=outside)." },
	{ "mtu", SCHEMA_NUMBER, 0, AT(mtu), 1280, 9216, .def = "1500", .unit = "bytes",
	    .doc = "Largest IP packet sent and received; 1280 is IPv6's least." },
	{ "queues", SCHEMA_NUMBER, 0, AT(queues), 0, 64, .def = "0", .unit = "queue pairs",
	    .doc = "Queue pairs of the port, at most one per worker; 0: one per worker." },
};
static const struct schema_section port_section = { sizeof(struct config_port),
	COUNT(port_keys), port_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_interface
static const struct schema_key interface_keys[] = {
	{ "port", SCHEMA_NAME, SCHEMA_REQUIRED, AT(port), 1, 31, .doc = "Name of a port above." },
	{ "vlan", SCHEMA_NUMBER, 0, AT(vlan), 0, 4094, .def = "0",
	    .doc = "VLAN tag of the interface; 0 is untagged." },
	{ "backends_only", SCHEMA_BOOL, 0, AT(backends_only), .def = "false",
	    .doc = "The addresses are sources toward the mail servers; nothing listens on them. With "
		   "as many addresses of a family as workers, each worker takes one." },
	{ "addresses", SCHEMA_INTERFACE, SCHEMA_MANY | SCHEMA_REQUIRED, AT(addresses), 1,
	    POLICY_MAX_ADDRS,
	    .doc = "Our addresses there, each with the length of the connected prefix." },
};
static const struct schema_section interface_section = { sizeof(struct config_interface),
	COUNT(interface_keys), interface_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_route
static const struct schema_key route_keys[] = {
	{ "to", SCHEMA_NETWORK, SCHEMA_REQUIRED, AT(to), .words = words_default,
	    .doc = "Destination: a prefix, or default for everything of the gateway's family." },
	{ "via", SCHEMA_ADDRESS, SCHEMA_REQUIRED, AT(via),
	    .doc = "The gateway, an address on a connected prefix." },
};
static const struct schema_section route_section = { sizeof(struct config_route),
	COUNT(route_keys), route_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_host
static const struct schema_key host_keys[] = {
	{ "workers", SCHEMA_NUMBER, 0, AT(workers), 1, 64, .def = "1", .unit = "cores",
	    .doc = "Cores that carry packets; each has one queue pair of every port." },
	{ "eal", SCHEMA_TEXT, SCHEMA_MANY, AT(eal), 0, POLICY_MAX_EAL,
	    .doc = "DPDK's own arguments, verbatim." },
	{ "max_connections", SCHEMA_NUMBER, 0, AT(max_connections), 16, 16777216, .def = "65536",
	    .unit = "connections per worker",
	    .doc = "TCP connections of clients and toward mail servers together; memory for them is "
		   "taken at start." },
	{ "buffer_mib", SCHEMA_NUMBER, 0, AT(buffer_mib), 4, 1048576, .def = "128",
	    .unit = "MiB per worker", .doc = "Payload under way; taken at start." },
	{ "max_tarpit", SCHEMA_NUMBER, 0, AT(max_tarpit), 0, 67108864, .def = "65536",
	    .unit = "clients per worker",
	    .doc = "Held clients; beyond, the one held longest is let go." },
	{ "syn_ring", SCHEMA_NUMBER, SCHEMA_POWER_OF_2, AT(syn_ring), 64, 16777216, .def = "65536",
	    .unit = "entries per worker",
	    .doc = "Recent SYNs remembered, so that a lost handshake packet is repaired; beyond, the "
		   "cookie alone serves." },
	{ "idle_sleep_max_us", SCHEMA_NUMBER, 0, AT(idle_sleep_max_us), 0, 100000, .def = "500",
	    .unit = "microseconds",
	    .doc = "Longest sleep of a worker to which nothing comes; 0 never sleeps." },
	{ "ports", SCHEMA_SECTION, SCHEMA_MANY | SCHEMA_REQUIRED, AT(ports), 1, POLICY_MAX_PORTS,
	    .section = &port_section, .doc = "The network ports." },
	{ "interfaces", SCHEMA_SECTION, SCHEMA_MANY | SCHEMA_REQUIRED, AT(interfaces), 1,
	    POLICY_MAX_NETIFS, .section = &interface_section,
	    .doc = "A port, or a VLAN on one, and our addresses there." },
	{ "routes", SCHEMA_SECTION, SCHEMA_MANY, AT(routes), 0, POLICY_MAX_ROUTES,
	    .section = &route_section, .doc = "Where packets go that no connected prefix takes." },
};
static const struct schema_section host_section = { sizeof(struct config_host),
	COUNT(host_keys), host_keys };
#undef SECTION_STRUCT

/* ---- smtp and limits ---- */

#define SECTION_STRUCT config_smtp
static const struct schema_key smtp_keys[] = {
	{ "hostname", SCHEMA_HOSTNAME, SCHEMA_REQUIRED, AT(hostname), 1, 253,
	    .doc = "Our name in the banner, the EHLO reply and Received." },
	{ "banner", SCHEMA_TEXT, 0, AT(banner), 0, 200, .def = "ESMTP",
	    .doc = "Text behind the name in the 220 greeting." },
	{ "contact_url", SCHEMA_TEXT, 0, AT(contact_url), 0, 200, .def = "",
	    .doc = "Printed in refusals, so that a person refused by mistake finds help." },
	{ "bare_newline", SCHEMA_WORD, 0, AT(bare_newline), .def = "reject",
	    .words = words_bare_newline,
	    .doc = "What a message with a bare CR or LF gets (SMTP smuggling): 550, its line ends "
		   "made good, or 521 and the end of the connection." },
	{ "starttls", SCHEMA_WORD, 0, AT(starttls), .def = "off", .words = words_starttls,
	    .doc = "off: not offered; pass: handed through to the mail server, unseen by filters." },
	{ "starttls_max_score", SCHEMA_NUMBER, 0, AT(starttls_max_score), -1000000, 1000000,
	    .def = "0", .unit = "hundredths of a point",
	    .doc = "STARTTLS is offered to sources that score below it." },
	{ "add_received", SCHEMA_BOOL, 0, AT(add_received), .def = "false",
	    .doc = "Puts a Received line of ours on top of each message." },
	{ "greet_delay_ms", SCHEMA_NUMBER, 0, AT(greet_delay_ms), 0, 29999, .def = "0",
	    .unit = "milliseconds", .doc = "Wait before the banner; who talks into it shows." },
	{ "inspection_window", SCHEMA_NUMBER, 0, AT(inspection_window), 0, 16777216,
	    .def = "65536", .unit = "bytes",
	    .doc = "Held back of each message for judgement; 0: our 354 waits for the mail server's." },
	{ "window_quota", SCHEMA_NUMBER, 0, AT(window_quota), 0, 1073741824, .def = "1048576",
	    .unit = "bytes", .doc = "Of such windows one address may hold." },
	{ "command_timeout_ms", SCHEMA_NUMBER, 0, AT(command_timeout_ms), 300000, 86400000,
	    .def = "300000", .unit = "milliseconds",
	    .doc = "Wait for a client's next command (RFC 5321 4.5.3.2.7: at least 5 minutes)." },
	{ "data_timeout_ms", SCHEMA_NUMBER, 0, AT(data_timeout_ms), 180000, 86400000,
	    .def = "180000", .unit = "milliseconds",
	    .doc = "Wait for the next piece of a message (RFC 5321 4.5.3.2.5: at least 3 minutes)." },
	{ "condemned_timeout_ms", SCHEMA_NUMBER, 0, AT(condemned_timeout_ms), 1000, 3600000,
	    .def = "20000", .unit = "milliseconds",
	    .doc = "Wait for the next command of a client that is refused already." },
};
static const struct schema_section smtp_section = { sizeof(struct config_smtp),
	COUNT(smtp_keys), smtp_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_limits
static const struct schema_key limits_keys[] = {
	{ "message_size", SCHEMA_NUMBER, 0, AT(message_size), 65536, 1099511627776,
	    .def = "52428800", .unit = "bytes",
	    .doc = "Largest message (RFC 5321 4.5.3.1.7: at least 64 KiB); the EHLO reply says it." },
	{ "recipients", SCHEMA_NUMBER, 0, AT(recipients), 100, 100000, .def = "1000",
	    .unit = "per message",
	    .doc = "Recipients of a message (RFC 5321 4.5.3.1.8: at least 100); beyond: 452." },
	{ "null_recipients", SCHEMA_NUMBER, 0, AT(null_recipients), 1, 100000, .def = "100",
	    .unit = "per message", .doc = "Recipients of a message of the null sender." },
	{ "commands", SCHEMA_NUMBER, 0, AT(commands), 10, 1000000000, .def = "10000",
	    .unit = "per session", .doc = "Commands in a session." },
	{ "errors", SCHEMA_NUMBER, 0, AT(errors), 1, 1000000000, .def = "20",
	    .unit = "per session", .doc = "Refused commands before 421 and the end." },
	{ "messages", SCHEMA_NUMBER, 0, AT(messages), 1, 1000000000, .def = "1000",
	    .unit = "per session", .doc = "Messages in a session." },
	{ "connections", SCHEMA_NUMBER, 0, AT(connections), 1, 16777216, .def = "1000",
	    .unit = "at once", .doc = "Connections of one address." },
	{ "prefix_connections", SCHEMA_NUMBER, 0, AT(prefix_connections), 1, 16777216,
	    .def = "5000", .unit = "at once", .doc = "Connections of one /24 (IPv6: /64)." },
	{ "connection_rate", SCHEMA_NUMBER, 0, AT(connection_rate), 1, 1000000000, .def = "10000",
	    .unit = "per minute", .doc = "New connections of one address." },
	{ "received_hops", SCHEMA_NUMBER, 0, AT(received_hops), 10, 10000, .def = "100",
	    .unit = "lines",
	    .doc = "Received lines at which a message is taken for a loop (RFC 5321 6.3: 100)." },
};
static const struct schema_section limits_section = { sizeof(struct config_limits),
	COUNT(limits_keys), limits_keys };
#undef SECTION_STRUCT

/* ---- listeners, pools, domains ---- */

#define SECTION_STRUCT config_listener
static const struct schema_key listener_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 47, .doc = "Name of the listener." },
	{ "address", SCHEMA_ADDRESS, 0, AT(address), .def = "any", .words = words_any,
	    .doc = "One of our addresses, or any for all that are not backends_only." },
	{ "port", SCHEMA_NUMBER, 0, AT(port), 1, 65535, .def = "25", .doc = "TCP port listened on." },
};
static const struct schema_section listener_section = { sizeof(struct config_listener),
	COUNT(listener_keys), listener_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_server
static const struct schema_key server_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 47,
	    .doc = "Name of the server in statistics and commands; one for all pools." },
	{ "address", SCHEMA_ADDRESS, SCHEMA_REQUIRED, AT(address), .doc = "Address of the server." },
	{ "port", SCHEMA_NUMBER, 0, AT(port), 1, 65535, .def = "25", .doc = "TCP port of the server." },
	{ "weight", SCHEMA_NUMBER, 0, AT(weight), 1, 1000, .def = "1",
	    .doc = "Its share of the sessions against the pool's other servers." },
	{ "max_connections", SCHEMA_NUMBER, 0, AT(max_connections), 1, 1000000, .def = "100",
	    .unit = "at once", .doc = "Connections of all workers together, at least one each." },
};
static const struct schema_section server_section = { sizeof(struct config_server),
	COUNT(server_keys), server_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_pool
static const struct schema_key pool_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 47, .doc = "Name of the pool." },
	{ "hello", SCHEMA_WORD, 0, AT(hello), .def = "proxy-v2", .words = words_hello,
	    .doc = "How the servers learn the client's address: PROXY protocol v2, XCLIENT, or not." },
	{ "max_waiting", SCHEMA_NUMBER, 0, AT(max_waiting), 0, 1000000, .def = "1000",
	    .unit = "sessions", .doc = "Queued for a connection; beyond: 451 4.3.2." },
	{ "wait_timeout_ms", SCHEMA_NUMBER, 0, AT(wait_timeout_ms), 100, 300000, .def = "30000",
	    .unit = "milliseconds", .doc = "Longest wait in that queue." },
	{ "connect_timeout_ms", SCHEMA_NUMBER, 0, AT(connect_timeout_ms), 100, 120000,
	    .def = "5000", .unit = "milliseconds", .doc = "Until a server's TCP answers." },
	{ "reply_timeout_ms", SCHEMA_NUMBER, 0, AT(reply_timeout_ms), 1000, 3600000,
	    .def = "300000", .unit = "milliseconds", .doc = "For each reply before the final dot." },
	{ "final_timeout_ms", SCHEMA_NUMBER, 0, AT(final_timeout_ms), 600001, 86400000,
	    .def = "660000", .unit = "milliseconds",
	    .doc = "For the reply after the final dot; longer than a client's 600 s (RFC 5321 "
		   "4.5.3.2.6), so that no message is doubled." },
	{ "check_interval_ms", SCHEMA_NUMBER, 0, AT(check_interval_ms), 100, 3600000,
	    .def = "5000", .unit = "milliseconds", .doc = "Between two health checks of a server." },
	{ "fallback", SCHEMA_NAME, 0, AT(fallback), 0, 47, .def = "",
	    .doc = "Another pool, taken when no server here is up." },
	{ "servers", SCHEMA_SECTION, SCHEMA_MANY | SCHEMA_REQUIRED, AT(servers), 1,
	    POLICY_MAX_SERVERS, .section = &server_section, .doc = "The mail servers." },
};
static const struct schema_section pool_section = { sizeof(struct config_pool),
	COUNT(pool_keys), pool_keys };
#undef SECTION_STRUCT

#define SECTION_STRUCT config_domain
static const struct schema_key domain_keys[] = {
	{ "domain", SCHEMA_HOSTNAME, SCHEMA_REQUIRED, AT(domain), 1, 253,
	    .doc = "Domain of recipients; any case; names beyond ASCII as xn--." },
	{ "pool", SCHEMA_NAME, SCHEMA_REQUIRED, AT(pool), 1, 47, .doc = "The pool that serves it." },
	{ "subdomains", SCHEMA_BOOL, 0, AT(subdomains), .def = "false",
	    .doc = "true: names below it too; the longest name that fits decides." },
};
static const struct schema_section domain_section = { sizeof(struct config_domain),
	COUNT(domain_keys), domain_keys };
#undef SECTION_STRUCT

/* ---- lists ---- */

#define SECTION_STRUCT config_list
static const struct schema_key list_keys[] = {
	{ "name", SCHEMA_NAME, SCHEMA_REQUIRED, AT(name), 1, 47, .doc = "Name of the list." },
	{ "action", SCHEMA_WORD, SCHEMA_REQUIRED, AT(action), .words = words_action,
	    .doc = "What its addresses get: pass (no further check), refuse (521 without state), drop, "
		   "reset, trap (handshake, then silence), tarpit (a byte at a time), score (adds its weight), "
		   "mark (a header says so)." },
	{ "state", SCHEMA_STATE, 0, AT(state), .def = "enforce",
	    .doc = "off; shadow: counted and told, not done; 25%: done for that share of clients, shadow for "
		   "the rest; enforce." },
	{ "weight", SCHEMA_NUMBER, 0, AT(weight), -100000, 100000, .def = "0",
	    .unit = "hundredths of a point", .doc = "Added to the score of a listed client." },
	{ "file", SCHEMA_TEXT, 0, AT(file), 0, 1023, .def = "",
	    .doc = "A file with the list's addresses; beside the configuration unless its path is absolute." },
	{ "format", SCHEMA_WORD, 0, AT(format), .def = "auto", .words = listfile_form_words,
	    .doc = "Form of the file: plain (an address, prefix or first-last range a line, # comments), ipset "
		   "(as `ipset save` writes; a nomatch entry is an exception; timeouts do not count here), "
		   "rbldnsd (ip4set, ip4trie, ip6trie; ! is an exception), or auto, by its first line." },
	{ "set", SCHEMA_NAME, 0, AT(set), 0, 47, .def = "",
	    .doc = "The set read of an ipset file that holds several; empty: it holds one." },
	{ "mmdb", SCHEMA_TEXT, 0, AT(mmdb), 0, 1023, .def = "",
	    .doc = "A MaxMind DB file for country and asn; beside the configuration unless its path is "
		   "absolute." },
	{ "country", SCHEMA_NAME, SCHEMA_MANY, AT(country), 0, 250,
	    .doc = "Countries whose networks are on the list, as two capital letters of ISO 3166; exceptions "
		   "are a list with action pass." },
	{ "asn", SCHEMA_NUMBER, SCHEMA_MANY, AT(asn), 0, 10000,
	    .doc = "Autonomous systems whose networks are on the list, as numbers." },
	{ "entries", SCHEMA_RANGE, SCHEMA_MANY, AT(entries), 0, 1000000,
	    .doc = "Addresses, prefixes or ranges, besides the file's." },
	{ "verify_share", SCHEMA_NUMBER, 0, AT(verify_share), 0, 100, .def = "100",
	    .unit = "percent",
	    .doc = "Of refused sources that get 220 and a 550 at RCPT instead of 521, so that a "
		   "mistaken listing is discovered." },
	{ "tarpit_pace_ms", SCHEMA_NUMBER, 0, AT(tarpit_pace_ms), 100, 300000, .def = "10000",
	    .unit = "milliseconds", .doc = "With tarpit: from one byte to the next." },
};
static const struct schema_section list_section = { sizeof(struct config_list),
	COUNT(list_keys), list_keys };
#undef SECTION_STRUCT

/* ---- the file ---- */

#define SECTION_STRUCT config
static const struct schema_key top_keys[] = {
	{ "version", SCHEMA_NUMBER, SCHEMA_REQUIRED, AT(version), 1, 1,
	    .doc = "Version of this format." },
	{ "preset", SCHEMA_WORD, 0, AT(preset), .def = "none", .words = words_preset,
	    .doc = "What stands where this file says nothing, before the defaults: none, or one of the sets "
		   "of scores, weights, greylist, limits and shaping that `posternctl help presets` shows. A "
		   "list that this file gives replaces the preset's whole list." },
	{ "host", SCHEMA_SECTION, SCHEMA_REQUIRED | SCHEMA_RESTART, AT(host),
	    .section = &host_section,
	    .doc = "Ports, addresses and memory: taken when postern-dataplane starts; a change waits "
		   "for its restart." },
	{ "smtp", SCHEMA_SECTION, SCHEMA_REQUIRED, AT(smtp), .section = &smtp_section,
	    .doc = "How we speak to clients." },
	{ "limits", SCHEMA_SECTION, 0, AT(limits), .section = &limits_section,
	    .doc = "How much a client may do." },
	{ "score", SCHEMA_SECTION, 0, AT(score), .section = &score_schema,
	    .doc = "What the sum of all weights leads to." },
	{ "access", SCHEMA_SECTION, SCHEMA_MANY, AT(access), 0, POLICY_MAX_ACCESS,
	    .section = &access_schema, .doc = "Rules by host, sender, recipient and pair, judged at RCPT." },
	{ "relay", SCHEMA_SECTION, 0, AT(relay), .section = &relay_schema,
	    .doc = "Who may send where: source (internal or not), sender (of ours or not), recipient (served "
		   "or not)." },
	{ "waves", SCHEMA_SECTION, 0, AT(waves), .section = &waves_schema,
	    .doc = "Looks out for the same content from many networks (`posternctl waves`)." },
	{ "checks", SCHEMA_SECTION, 0, AT(checks), .section = &checks_schema,
	    .doc = "The built-in checks, each with state, weight and action." },
	{ "shaping", SCHEMA_SECTION, 0, AT(shape), .section = &shape_schema,
	    .doc = "How slowly who is answered." },
	{ "dns", SCHEMA_SECTION, 0, AT(dns), .section = &dns_schema,
	    .doc = "What name service says of clients and senders: lists, names, SPF." },
	{ "bans", SCHEMA_SECTION, 0, AT(bans), .section = &bans_schema,
	    .doc = "When a client is banned by itself, and for how long." },
	{ "memory", SCHEMA_SECTION, 0, AT(memory), .section = &memory_schema,
	    .doc = "What is remembered of sources, senders and recipients." },
	{ "rates", SCHEMA_SECTION, SCHEMA_MANY, AT(rates), 0, POLICY_MAX_RATES,
	    .section = &rate_schema, .doc = "How much in a minute and an hour, by whom." },
	{ "recipients", SCHEMA_SECTION, 0, AT(recipients), .section = &recipients_schema,
	    .doc = "Recipients by file: others of their domains are refused at once." },
	{ "batv", SCHEMA_SECTION, 0, AT(batv), .section = &batv_schema,
	    .doc = "Domains that sign their senders, so that bounces of forged mail are known." },
	{ "greylist", SCHEMA_SECTION, 0, AT(grey), .section = &grey_schema,
	    .doc = "Who is asked to come back later (RFC 6647), and traps." },
	{ "patterns", SCHEMA_SECTION, 0, AT(patterns), .section = &patterns_schema,
	    .doc = "What is looked for in messages." },
	{ "events", SCHEMA_SECTION, 0, AT(events), .section = &events_schema,
	    .doc = "How long the event log is kept, and knows who somebody was." },
	{ "listeners", SCHEMA_SECTION, SCHEMA_MANY | SCHEMA_REQUIRED, AT(listeners), 1,
	    POLICY_MAX_LISTENERS, .section = &listener_section, .doc = "Where clients connect." },
	{ "pools", SCHEMA_SECTION, SCHEMA_MANY | SCHEMA_REQUIRED, AT(pools), 1, POLICY_MAX_POOLS,
	    .section = &pool_section, .doc = "Mail servers behind us, in pools." },
	{ "domains", SCHEMA_SECTION, SCHEMA_MANY, AT(domains), 0, POLICY_MAX_DOMAINS / 2,
	    .section = &domain_section,
	    .doc = "The recipient's domain chooses the pool; what is not named is not served." },
	{ "default_pool", SCHEMA_NAME, 0, AT(default_pool), 0, 47, .def = "",
	    .doc = "A pool for domains that are not named; empty: 550, relaying not permitted." },
	{ "lists", SCHEMA_SECTION, SCHEMA_MANY, AT(lists), 0, POLICY_MAX_LISTS,
	    .section = &list_section,
	    .doc = "Address lists, judged at the SYN; one with action pass beats every other." },
};
const struct schema_section config_schema = { sizeof(struct config),
	COUNT(top_keys), top_keys };
