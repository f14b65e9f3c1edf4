/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the first policy to workers that can run: ports, statistics, secrets, one stack
 * configuration a worker. Each stage undoes itself through live_teardown(), which accepts a
 * half-made struct live.
 */
#include "confirmer.h"
#include "live.h"
#include "fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static void address_text(const uint8_t addr[16], char *ret_text, size_t size)
{
	struct ip_addr a;

	memcpy(a.b, addr, 16);
	if (ip_addr_is_v4(&a))
		inet_ntop(AF_INET, addr + 12, ret_text, (socklen_t)size);
	else
		inet_ntop(AF_INET6, addr, ret_text, (socklen_t)size);
}

static int random_bytes(void *p, size_t len)
{
	return getrandom(p, len, 0) == (ssize_t)len ? 0 : -EIO;
}

/* Tokens must be readable after a restart: their key is kept beside the last policy. */
static int token_key(struct live *l, char **ret_error)
{
	char path[4096], temp[4096 + 8];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/token.key", l->state_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, l->token_key, 16) != 16)
			rc = fail(ret_error, EBADMSG,
			    "the token key %s is shorter than 16 bytes: restore it, or delete it "
			    "(old "
			    "tokens can then no longer be explained)",
			    path);
		close(fd);
		return rc;
	}
	if (random_bytes(l->token_key, 16) != 0)
		return fail(ret_error, EIO, "the kernel gives no random bytes");
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, l->token_key, 16) != 16 || fsync(fd) != 0 || rename(temp, path) != 0)
		rc = fail(ret_error, errno, "the token key cannot be kept in %s: %s", path,
		    strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static int open_ports(struct live *l, const struct policy *policy, char **ret_error)
{
	struct hw_port_request ports[POLICY_MAX_PORTS];
	const char *eal[POLICY_MAX_EAL];
	int rc;

	for (unsigned i = 0; i < l->host.n_ports; i++) {
		const struct policy_port *p = &l->host.ports[i];

		ports[i] = (struct hw_port_request){
			.name = policy_string(policy, p->name),
			.device = policy_string(policy, p->device),
			.mtu = (uint16_t)p->mtu,
			.queues = (uint16_t)p->queues,
		};
		/* the loop reads one queue a worker: what arrived on others would be lost */
		if (p->queues > l->n_workers)
			return fail(ret_error, EINVAL,
			    "port %s: %u queue pairs are wanted, but only %u workers would serve "
			    "them: "
			    "lower host.ports[].queues or raise host.workers",
			    ports[i].name, p->queues, l->n_workers);
	}
	for (unsigned i = 0; i < l->host.n_eal; i++)
		eal[i] = policy_string(policy, l->host.eal[i]);
	rc = hw_open("postern-dataplane", eal, l->host.n_eal, ports, l->host.n_ports, l->n_workers,
	    &l->hw, ret_error);
	if (rc)
		return rc;
	l->n_ports = l->host.n_ports;
	l->all_virtual = l->all_interrupts = true;
	for (unsigned i = 0; i < l->n_ports; i++) {
		const struct hw_port_info *info = hw_port(l->hw, i);

		l->all_virtual &= info->is_virtual;
		l->all_interrupts &= info->interrupts;
		l->any_xdp |= strncmp(ports[i].device, "net_af_xdp", 10) == 0;
	}
	return 0;
}

static void stack_of(const struct live *l, const struct policy *policy, unsigned index,
    const struct stack_secrets *secrets, struct stack_config *c)
{
	const struct policy_settings *settings = policy_settings(policy);
	const struct policy_host *host = &l->host;

	memset(c, 0, sizeof(*c));
	c->n_ports = (uint16_t)l->n_ports;
	for (unsigned i = 0; i < l->n_ports; i++) {
		const struct hw_port_info *info = hw_port(l->hw, i);

		memcpy(c->ports[i].mac, info->mac, 6);
		c->ports[i].mtu = info->mtu;
		c->ports[i].tx_caps = info->tx_caps;
		c->ports[i].vlan_insert = info->vlan_insert;
	}
	c->n_netifs = (uint16_t)host->n_netifs;
	for (unsigned i = 0; i < host->n_netifs; i++)
		c->netifs[i] =
		    (struct stack_netif){ (uint8_t)host->netifs[i].port, host->netifs[i].vlan };
	for (unsigned i = 0; i < host->n_addrs; i++) {
		const struct policy_ip *a = &host->addrs[i];
		struct stack_ip *to;

		/* an address of another worker alone is none of ours */
		if (a->backends_only && a->worker >= 0 && (unsigned)a->worker % l->n_workers != index)
			continue;
		to = &c->addrs[c->n_addrs++];
		memcpy(to->addr.b, a->addr, 16);
		to->prefix_len = a->prefix_len;
		to->netif = a->netif;
		to->reserved_for_connect = a->backends_only;
	}
	c->n_routes = (uint16_t)host->n_routes;
	for (unsigned i = 0; i < host->n_routes; i++) {
		memcpy(c->routes[i].dst.b, host->routes[i].dst, 16);
		memcpy(c->routes[i].via.b, host->routes[i].via, 16);
		c->routes[i].prefix_len = host->routes[i].prefix_len;
		c->routes[i].netif = host->routes[i].netif;
	}
	c->n_listeners = (uint16_t)settings->n_listeners;
	for (unsigned i = 0; i < settings->n_listeners; i++) {
		c->listeners[i].any = settings->listeners[i].any;
		memcpy(c->listeners[i].addr.b, settings->listeners[i].addr, 16);
		c->listeners[i].port = settings->listeners[i].port;
		c->listeners[i].id = (uint16_t)i;
	}
	c->secrets = *secrets;
	c->max_conns = host->max_connections;
	c->max_chunks = (uint32_t)(((uint64_t)host->buffer_mib << 20) / STACK_CHUNK_SIZE);
	c->max_tarpit = host->max_tarpit;
	c->syn_ring = host->syn_ring;
	/* each worker's own residue class: see live_spread.c */
	live_local_ports(l, &c->ephemeral_first, &c->ephemeral_last);
	c->ephemeral_first = (uint16_t)(c->ephemeral_first + index);
	c->ephemeral_step = (uint16_t)l->n_workers;
	c->neigh_follower = index != 0;
}

static bool alloc_frame(void *arg, uint8_t port, struct frame *ret_frame)
{
	struct live_worker *w = arg;

	return hw_alloc(w->live->hw, w->index, port, ret_frame);
}

static int make_worker(struct live *l, const struct policy *policy, unsigned index,
    const struct stack_secrets *secrets, unsigned n_names, char **ret_error)
{
	struct worker_config *config = calloc(1, sizeof(*config));
	struct live_worker *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
	struct stack_host host = { .arg = w, .frame_alloc = alloc_frame };
	int rc;

	if (!config || !w) {
		free(config);
		free(w);
		return fail(ret_error, ENOMEM, "no memory for worker %u", index);
	}
	memset(w, 0, sizeof(*w));
	w->live = l;
	w->index = index;
	w->stats = &l->stats->workers[index];
	w->shell = &w->stats->counters[n_names];
	w->spread = calloc(l->n_workers, sizeof(*w->spread));
	w->look.rows = calloc(LIVE_LOOKS, sizeof(*w->look.rows));
	l->workers[index] = w;
	stack_of(l, policy, index, secrets, &config->stack);
	for (unsigned i = 0; i < config->stack.n_addrs && index == 0; i++)
		address_text(
		    config->stack.addrs[i].addr.b, l->addr_text[i], sizeof(l->addr_text[i]));
	if (index == 0)
		l->n_stack_addrs = config->stack.n_addrs;
	config->index = index;
	config->n_workers = l->n_workers;
	memcpy(config->token_key, l->token_key, 16);
	config->notes = notes_kinds(l->notes);
	config->shared = l->shared;
	rc = w->spread && w->look.rows
		 ? worker_new(config, &host, w->stats, policy, hw_now_ns(), &w->worker)
		 : -ENOMEM;
	free(config);
	if (rc)
		return fail(ret_error, -rc,
		    "worker %u could not be made (%s): lower host.max_connections (%u), "
		    "host.buffer_mib "
		    "(%u) or host.max_tarpit (%u), or give the machine more memory",
		    index, strerror(-rc), l->host.max_connections, l->host.buffer_mib,
		    l->host.max_tarpit);
	return 0;
}

int live_setup(struct live *l, struct generation *first, char **ret_error)
{
	const struct policy *policy = first->policy;
	struct stats_name *names = NULL;
	struct stack_secrets secrets;
	char path[4096];
	unsigned n_names;
	int rc;

	l->host = policy_settings(policy)->host;
	l->n_workers = l->host.workers;
	l->idle_sleep_max_us = l->host.idle_sleep_max_us;
	l->running = first;
	if (l->n_workers == 0 || l->n_workers > LIVE_MAX_WORKERS)
		return fail(ret_error, EINVAL, "host.workers is %u, 1 to %u work", l->n_workers,
		    LIVE_MAX_WORKERS);
	for (unsigned i = 0; i < l->host.n_routes; i++) {
		const struct policy_route *r = &l->host.routes[i];

		address_text(r->via, l->route_text[i], sizeof(l->route_text[i]));
		snprintf(l->route_port[i], sizeof(l->route_port[i]), "%s",
		    policy_string(policy, l->host.ports[l->host.netifs[r->netif].port].name));
	}
	if (random_bytes(&secrets, sizeof(secrets)) != 0)
		return fail(ret_error, EIO, "the kernel gives no random bytes");
	if (live_restart_prints(policy, &l->taken) != 0)
		return fail(ret_error, ENOMEM, "no memory");
	rc = token_key(l, ret_error);
	if (rc)
		return rc;
	rc = open_ports(l, policy, ret_error);
	if (rc)
		return rc;

	names = calloc(STATS_MAX_COUNTERS, sizeof(*names));
	if (!names)
		return fail(ret_error, ENOMEM, "no memory");
	n_names = stats_fill_names(names);
	snprintf(path, sizeof(path), "%s/stats", l->run_dir);
	rc = stats_file_new(path, l->n_workers, names, n_names, &l->stats, ret_error);
	free(names);
	if (rc)
		return rc;
	l->started_ns = hw_now_ns();
	l->stats->started_ns = l->started_ns;
	l->stats->tsc_hz = hw_tsc_hz();
	l->stats->memory_bytes = hw_memory_bytes(l->hw);
	snprintf(l->stats->build, sizeof(l->stats->build), "%s", live_version());
	stats_file_policy(l->stats, policy);

	rc = events_new(l->events_path, EVENTS_FILE_MAX, l->n_workers, l->stats, l->token_key,
	    &l->events, ret_error);
	if (rc)
		return rc;
	live_spread_init(&l->spread, &l->host, l->n_workers);
	for (unsigned i = 0; i < l->n_ports; i++)
		l->spread.port_is_trusted[i] = hw_port(l->hw, i)->rss_src_only;
	rc = live_shared_open(l, first->policy, ret_error);
	if (rc)
		return rc;
	for (unsigned i = 0; i < l->n_workers; i++) {
		rc = make_worker(l, policy, i, &secrets, n_names, ret_error);
		if (rc)
			return rc;
	}
	l->started_ns = hw_now_ns(); /* making large tables takes a while */
	return 0;
}

void live_teardown(struct live *l)
{
	char path[4096];

	l->confirmer = confirmer_free(l->confirmer); /* it works at the workers' jobs */
	for (unsigned i = 0; i < l->n_workers && i < LIVE_MAX_WORKERS; i++) {
		struct live_worker *w = l->workers[i];

		if (!w)
			continue;
		worker_free(w->worker);
		free(w->spread);
		free(w->look.rows);
		free(w);
		l->workers[i] = NULL;
	}
	l->capture = capture_free(l->capture); /* its workers have ended */
	live_shared_close(l);
	l->events = events_free(l->events);
	snprintf(path, sizeof(path), "%s/stats", l->run_dir);
	l->stats = stats_file_free(l->stats, l->handed_over ? NULL : path);
	l->hw = hw_close(l->hw);
	free(atomic_exchange(&l->fatal, NULL));
}

/* ---- what of a new image waits for a restart ---- */

static const char *const restart_keys[LIVE_RESTART_KEYS] = {
	"workers",
	"eal",
	"ports",
	"interfaces",
	"routes",
	"max_connections",
	"buffer_mib",
	"max_tarpit",
	"syn_ring",
	"idle_sleep_max_us",
	"listeners",
	"greylist",
	"memory.capacity",
};

/* A key's value in words, strings resolved: two images may keep them at different offsets. */
static void print_key(FILE *to, unsigned key, const struct policy *p)
{
	const struct policy_settings *s = policy_settings(p);
	const struct policy_host *h = &s->host;

	switch (key) {
	case 0: fprintf(to, "%u", h->workers); break;
	case 1:
		for (unsigned i = 0; i < h->n_eal; i++)
			fprintf(to, "%s\n", policy_string(p, h->eal[i]));
		break;
	case 2:
		for (unsigned i = 0; i < h->n_ports; i++)
			fprintf(to, "%s %u %u\n", policy_string(p, h->ports[i].device),
			    h->ports[i].mtu, h->ports[i].queues);
		break;
	case 3:
		for (unsigned i = 0; i < h->n_netifs; i++)
			fprintf(to, "%u.%u\n", h->netifs[i].port, h->netifs[i].vlan);
		for (unsigned i = 0; i < h->n_addrs; i++) {
			fwrite(h->addrs[i].addr, 1, 16, to);
			fprintf(to, "/%u %u %u %d\n", h->addrs[i].prefix_len, h->addrs[i].netif,
			    h->addrs[i].backends_only, h->addrs[i].worker);
		}
		break;
	case 4:
		for (unsigned i = 0; i < h->n_routes; i++) {
			fwrite(h->routes[i].dst, 1, 16, to);
			fwrite(h->routes[i].via, 1, 16, to);
			fprintf(to, "/%u %u\n", h->routes[i].prefix_len, h->routes[i].netif);
		}
		break;
	case 5: fprintf(to, "%u", h->max_connections); break;
	case 6: fprintf(to, "%u", h->buffer_mib); break;
	case 7: fprintf(to, "%u", h->max_tarpit); break;
	case 8: fprintf(to, "%u", h->syn_ring); break;
	case 9: fprintf(to, "%u", h->idle_sleep_max_us); break;
	case 10: /* where TCP listens is fixed in the stack as well */
		for (unsigned i = 0; i < s->n_listeners; i++) {
			fwrite(s->listeners[i].addr, 1, 16, to);
			fprintf(to, "%u %u\n", s->listeners[i].any, s->listeners[i].port);
		}
		break;
	case 11: /* its memory and file */
		fprintf(to, "%u %u", s->grey.rule != 0, s->grey.rule ? s->grey.capacity : 0);
		break;
	case 12: fprintf(to, "%u", s->memory.capacity); break;
	default: break;
	}
}

int live_restart_prints(const struct policy *policy, struct live_restart *ret_prints)
{
	for (unsigned key = 0; key < LIVE_RESTART_KEYS; key++) {
		char *text = NULL;
		size_t len = 0;
		FILE *to = open_memstream(&text, &len);

		if (!to)
			return -ENOMEM;
		print_key(to, key, policy);
		if (fclose(to) != 0)
			return -ENOMEM;
		policy_sha256(text, len, ret_prints->sha256[key]);
		free(text);
	}
	return 0;
}

void live_restart_difference(
    const struct live_restart *a, const struct live_restart *b, char *ret_keys, size_t size)
{
	size_t at = 0;

	ret_keys[0] = '\0';
	for (unsigned key = 0; key < LIVE_RESTART_KEYS; key++) {
		if (memcmp(a->sha256[key], b->sha256[key], IMAGE_HASH_LEN) != 0 && at < size)
			at += (size_t)snprintf(
			    ret_keys + at, size - at, "%s%s", at ? "," : "", restart_keys[key]);
	}
}
