/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `dns` as read (config.h), its checks and its part of the policy. */
#ifndef POSTERN_CONTROL_CONFIG_DNS_H
#define POSTERN_CONTROL_CONFIG_DNS_H

struct config_recursor {
	struct config_value address, port;
};

struct config_dns_list {
	struct config_value name, zone, kind, family, probe, timeout_ms, late, state, weight, action;
	struct config_items answers; /* config_value, text */
};

struct config_dns {
	struct config_value cache_mib, max_ttl_s, max_negative_ttl_s, attempt_ms, attempts,
	    probe_interval_s, accepted_percent, accepted_least, host, host_timeout_ms, sender,
	    sender_timeout_ms, spf, spf_timeout_ms;
	struct config_items recursors, lists, spf_forwarders;
};

struct config;
struct image_writer;

/* What no single value shows. */
void config_check_dns(struct config *c, struct complaints *complaints);
/* 0, -ENOMEM, -E2BIG. */
int compile_dns(const struct config *c, struct image_writer *writer);

#endif
