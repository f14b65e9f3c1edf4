/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration to policy image (compile.h). Bounds and references were checked by config_check();
 * what fails here is memory, a list file, or a bug. */
#include "compile.h"
#include "listfile.h"
#include "mmdb.h"
#include "schema.h"

#include "filters/image_write.h"
#include "filters/policy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(BARE_REJECT == 0 && BARE_NORMALIZE == 1 && BARE_DISCONNECT == 2 &&
		   STARTTLS_OFF == 0 && STARTTLS_PASS == 1 && HELLO_NONE == 0 &&
		   HELLO_PROXY_V2 == 1 && HELLO_XCLIENT == 2,
    "the words of config_schema.c stand in the order of these enums");

/* By the order of the words in config_schema.c. */
static const uint8_t action_verdicts[] = { VERDICT_PASS, VERDICT_REFUSE, VERDICT_DROP,
	VERDICT_RESET, VERDICT_TRAP, VERDICT_TARPIT, VERDICT_NONE, VERDICT_MARK };
/* ... and of words_check_action in schema_checks.c. */
static const uint8_t check_verdicts[] = { VERDICT_NONE, VERDICT_MARK, VERDICT_DEFER, VERDICT_REFUSE,
	VERDICT_TARPIT };

struct compiler {
	const struct config *config;
	struct complaints *complaints;
	struct image_writer *writer;
	unsigned list; /* whose addresses are being added */
	unsigned long n_addresses;
	int error; /* the first */
};

static policy_str string(struct compiler *c, const char *text)
{
	policy_str str = 0;
	int ret = image_writer_string(c->writer, text, &str);
	if (ret < 0 && c->error == 0)
		c->error = ret;
	return str;
}

static void keep_error(struct compiler *c, int ret)
{
	if (ret < 0 && c->error == 0)
		c->error = ret;
}

/* ---- host ---- */

/* Interfaces that differ in backends_only alone are one netif of the stack. */
static uint8_t netif_of(struct policy_host *host, const struct config_interface *interface)
{
	struct policy_netif netif = { (uint16_t)interface->port_index,
		(uint16_t)interface->vlan.number };
	for (uint32_t i = 0; i < host->n_netifs; i++)
		if (host->netifs[i].port == netif.port && host->netifs[i].vlan == netif.vlan)
			return (uint8_t)i;
	assert(host->n_netifs < POLICY_MAX_NETIFS);
	host->netifs[host->n_netifs] = netif;
	return (uint8_t)host->n_netifs++;
}

static void add_addresses(const struct config_host *from, struct policy_host *host,
    const struct config_interface *interface)
{
	const struct config_value *addresses = interface->addresses.items;
	uint8_t netif = netif_of(host, interface);
	for (unsigned family = 0; family < 2; family++) {
		size_t n = 0;
		for (size_t i = 0; i < interface->addresses.n; i++)
			n += inet_is_v4(addresses[i].net.addr) == (family == 0);
		/* as many as workers: each takes its own, so that return traffic names its worker
		 */
		bool own = interface->backends_only.number != 0 && from->workers.number > 1 &&
			   (int64_t)n == from->workers.number;
		int32_t worker = 0;
		for (size_t i = 0; i < interface->addresses.n; i++) {
			if (inet_is_v4(addresses[i].net.addr) != (family == 0))
				continue;
			assert(host->n_addrs < POLICY_MAX_ADDRS);
			struct policy_ip *ip = &host->addrs[host->n_addrs++];
			memcpy(ip->addr, addresses[i].net.addr, 16);
			ip->prefix_len = addresses[i].net.prefix_len;
			ip->netif = netif;
			ip->backends_only = interface->backends_only.number != 0;
			ip->worker = own ? worker++ : -1;
		}
	}
}

static void compile_host(struct compiler *c, struct policy_host *host)
{
	const struct config_host *from = &c->config->host;
	const struct config_value *eal = from->eal.items;
	const struct config_port *ports = from->ports.items;
	const struct config_interface *interfaces = from->interfaces.items;
	const struct config_route *routes = from->routes.items;
	host->workers = (uint32_t)from->workers.number;
	host->max_connections = (uint32_t)from->max_connections.number;
	host->buffer_mib = (uint32_t)from->buffer_mib.number;
	host->max_tarpit = (uint32_t)from->max_tarpit.number;
	host->syn_ring = (uint32_t)from->syn_ring.number;
	host->idle_sleep_max_us = (uint32_t)from->idle_sleep_max_us.number;
	for (size_t i = 0; i < from->eal.n; i++)
		host->eal[host->n_eal++] = string(c, eal[i].text);
	for (size_t i = 0; i < from->ports.n; i++) {
		struct policy_port *port = &host->ports[host->n_ports++];
		port->name = string(c, ports[i].name.text);
		port->device = string(c, ports[i].device.text);
		port->mtu = (uint32_t)ports[i].mtu.number;
		port->queues = (uint32_t)ports[i].queues.number;
	}
	for (size_t i = 0; i < from->interfaces.n; i++)
		add_addresses(from, host, &interfaces[i]);
	for (size_t i = 0; i < from->routes.n; i++) {
		struct policy_route *route = &host->routes[host->n_routes++];
		memcpy(route->dst, routes[i].net.addr, 16);
		memcpy(route->via, routes[i].via.net.addr, 16);
		route->prefix_len = routes[i].net.prefix_len;
		route->netif = netif_of(host, &interfaces[routes[i].interface_index]);
	}
}

/* ---- mail ---- */

static void compile_smtp(struct compiler *c, struct policy_smtp *smtp)
{
	const struct config_smtp *from = &c->config->smtp;
	smtp->hostname = string(c, from->hostname.text);
	smtp->banner = string(c, from->banner.text);
	smtp->contact_url = string(c, from->contact_url.text);
	smtp->bare_newline = (uint8_t)from->bare_newline.number;
	smtp->starttls = (uint8_t)from->starttls.number;
	smtp->add_received = (uint8_t)from->add_received.number;
	smtp->starttls_max_score = (int32_t)from->starttls_max_score.number;
	smtp->greet_delay_ms = (uint32_t)from->greet_delay_ms.number;
	smtp->inspection_window = (uint32_t)from->inspection_window.number;
	smtp->window_quota = (uint32_t)from->window_quota.number;
	smtp->command_timeout_ms = (uint32_t)from->command_timeout_ms.number;
	smtp->data_timeout_ms = (uint32_t)from->data_timeout_ms.number;
	smtp->condemned_timeout_ms = (uint32_t)from->condemned_timeout_ms.number;
}

static void compile_limits(const struct config_limits *from, struct policy_limits *limits)
{
	limits->message_size = (uint64_t)from->message_size.number;
	limits->recipients = (uint32_t)from->recipients.number;
	limits->null_recipients = (uint32_t)from->null_recipients.number;
	limits->commands = (uint32_t)from->commands.number;
	limits->errors = (uint32_t)from->errors.number;
	limits->messages = (uint32_t)from->messages.number;
	limits->connections = (uint32_t)from->connections.number;
	limits->prefix_connections = (uint32_t)from->prefix_connections.number;
	limits->connection_rate = (uint32_t)from->connection_rate.number;
	limits->received_hops = (uint32_t)from->received_hops.number;
}

static void compile_listeners(struct compiler *c, struct policy_settings *settings)
{
	const struct config_listener *from = c->config->listeners.items;
	for (size_t i = 0; i < c->config->listeners.n; i++) {
		struct policy_listener *listener = &settings->listeners[settings->n_listeners++];
		listener->name = string(c, from[i].name.text);
		listener->port = (uint16_t)from[i].port.number;
		listener->any = from[i].any;
		if (!from[i].any)
			memcpy(listener->addr, from[i].address.net.addr, 16);
	}
}

static void compile_pools(struct compiler *c)
{
	const struct config_pool *pools = c->config->pools.items;
	for (size_t i = 0; i < c->config->pools.n; i++) {
		const struct config_pool *from = &pools[i];
		const struct config_server *servers = from->servers.items;
		struct policy_pool pool = { .name = string(c, from->name.text) };
		for (size_t j = 0; j < from->servers.n; j++) {
			struct policy_server server = {
				.name = string(c, servers[j].name.text),
				.port = (uint16_t)servers[j].port.number,
				.weight = (uint16_t)servers[j].weight.number,
				.max_connections = (uint32_t)servers[j].max_connections.number,
			};
			memcpy(server.addr, servers[j].address.net.addr, 16);
			int index = image_writer_server(c->writer, &server);
			keep_error(c, index);
			if (j == 0 && index >= 0)
				pool.first_server = (uint32_t)index;
		}
		pool.n_servers = (uint32_t)from->servers.n;
		pool.max_waiting = (uint32_t)from->max_waiting.number;
		pool.wait_timeout_ms = (uint32_t)from->wait_timeout_ms.number;
		pool.connect_timeout_ms = (uint32_t)from->connect_timeout_ms.number;
		pool.reply_timeout_ms = (uint32_t)from->reply_timeout_ms.number;
		pool.final_timeout_ms = (uint32_t)from->final_timeout_ms.number;
		pool.check_interval_ms = (uint32_t)from->check_interval_ms.number;
		pool.hello = (uint8_t)from->hello.number;
		pool.fallback_pool =
		    from->fallback_index < 0 ? 0xffff : (uint16_t)from->fallback_index;
		keep_error(c, image_writer_pool(c->writer, &pool));
	}
}

static void compile_domains(struct compiler *c)
{
	const struct config_domain *from = c->config->domains.items;
	for (size_t i = 0; i < c->config->domains.n && c->error == 0; i++) {
		unsigned pool = (unsigned)from[i].pool_index;
		keep_error(c, image_writer_domain(c->writer, from[i].folded, DOMAIN_EXACT, pool, 0));
		if (from[i].subdomains.number != 0)
			keep_error(c, image_writer_domain(
					  c->writer, from[i].folded, DOMAIN_SUBDOMAINS, pool, 0));
	}
}

/* ---- lists ---- */

static uint32_t host_order(const uint8_t addr[16])
{
	return (uint32_t)addr[12] << 24 | (uint32_t)addr[13] << 16 | (uint32_t)addr[14] << 8 |
	       addr[15];
}

static int add_range(void *arg, const struct inet_range *range)
{
	struct compiler *c = arg;
	c->n_addresses++;
	if (inet_is_v4(range->first))
		return image_writer_v4_range(
		    c->writer, c->list, host_order(range->first), host_order(range->last));
	return image_writer_v6_range(c->writer, c->list, range->first, range->last);
}

static int add_item(void *arg, const struct listfile_item *item)
{
	return add_range(arg, &item->range);
}

static void add_file(struct compiler *c, const struct config_list *list)
{
	const struct config_value *file = &list->file;
	char *path = config_beside(c->config, file->text);
	struct listfile_source source = { path, (enum listfile_form)list->format.number,
		list->set.text };
	int ret = path == NULL ? -ENOMEM : listfile_read(&source, add_item, c, c->complaints);
	if (ret == -ENOMEM)
		keep_error(c, ret);
	else if (ret < 0)
		complain(c->complaints, c->config->path, file->pos,
		    "lists.file: \"%s\" cannot be read: %s; allowed: a readable file, beside the "
		    "configuration unless its path is absolute",
		    file->text, ret == -EINVAL ? "it is not a plain file" : strerror(-ret));
	free(path);
}

static void add_mmdb(struct compiler *c, const struct config_list *list)
{
	const struct config_value *countries = list->country.items, *asns = list->asn.items;
	char *path = config_beside(c->config, list->mmdb.text), why[256] = "";
	const char **names = calloc(list->country.n + 1, sizeof(*names));
	uint32_t *numbers = calloc(list->asn.n + 1, sizeof(*numbers));
	int ret = -ENOMEM;
	if (path != NULL && names != NULL && numbers != NULL) {
		struct mmdb_wanted wanted = { names, list->country.n, numbers, list->asn.n };
		for (size_t i = 0; i < list->country.n; i++)
			names[i] = countries[i].text;
		for (size_t i = 0; i < list->asn.n; i++)
			numbers[i] = (uint32_t)asns[i].number;
		ret = mmdb_read(path, &wanted, add_range, c, why);
	}
	if (ret == -ENOMEM)
		keep_error(c, ret);
	else if (ret < 0)
		complain(c->complaints, c->config->path, list->mmdb.pos,
		    "lists.mmdb: \"%s\" %s%s; allowed: a MaxMind DB file of countries or "
		    "autonomous "
		    "systems, beside the configuration unless its path is absolute",
		    list->mmdb.text, ret == -EBADMSG ? "" : "cannot be read: ",
		    ret == -EBADMSG ? why : strerror(-ret));
	free(numbers);
	free(names);
	free(path);
}

/* ---- rules ---- */

void compile_state(struct policy_rule *rule, const struct config_value *state)
{
	rule->state = state->number == STATE_OFF      ? RULE_OFF
		      : state->number == STATE_SHADOW ? RULE_SHADOW
						      : RULE_ENFORCE;
	rule->share = state->number > 0 && state->number < 100 ? (uint8_t)state->number : 0;
}

static void compile_checks(struct compiler *c)
{
	for (unsigned i = 0; i < CHECK_N; i++) {
		const struct config_check *from = &c->config->checks.check[i];
		struct policy_rule *rule = image_writer_rule_at(c->writer, i);
		compile_state(rule, &from->state);
		rule->weight = (int32_t)from->weight.number;
		rule->action = check_verdicts[from->action.number];
	}
}

static int32_t threshold(const struct config_value *value)
{
	return value->number == 0 ? INT32_MAX : (int32_t)value->number;
}

static void compile_score(const struct config_score *from, struct policy_score *score)
{
	score->mark = threshold(&from->mark);
	score->defer = threshold(&from->defer);
	score->refuse = threshold(&from->refuse);
	score->tarpit = threshold(&from->tarpit);
}

static void compile_lists(struct compiler *c)
{
	const struct config_list *lists = c->config->lists.items;
	for (size_t i = 0; i < c->config->lists.n && c->error == 0; i++) {
		const struct config_list *from = &lists[i];
		uint8_t verdict = action_verdicts[from->action.number];
		struct policy_list list = {
			.name = string(c, from->name.text),
			.verdict = verdict,
			.verify_share = (uint8_t)from->verify_share.number,
			.reason = verdict == VERDICT_PASS ? REASON_ALLOWED : REASON_LISTED,
			.tarpit_pace_ms = (uint32_t)from->tarpit_pace_ms.number,
			.pool = -1,
		};
		int index = image_writer_list(c->writer, &list);
		keep_error(c, index);
		if (index < 0)
			return;
		c->list = (unsigned)index;
		struct policy_rule *rule = image_writer_rule_at(
		    c->writer, image_writer_rule_of_list(c->writer, (unsigned)index));
		compile_state(rule, &from->state);
		rule->weight = (int32_t)from->weight.number;
		const struct config_value *entries = from->entries.items;
		for (size_t j = 0; j < from->entries.n; j++)
			keep_error(c, add_range(c, &entries[j].range));
		if (*from->file.text != '\0')
			add_file(c, from);
		if (*from->mmdb.text != '\0')
			add_mmdb(c, from);
	}
}

struct image *image_compile(const struct config *config, uint32_t epoch,
    const struct compile_options *options, struct complaints *complaints)
{
	struct image *image = calloc(1, sizeof(*image));
	struct compiler c = { .config = config, .complaints = complaints };
	unsigned long before = complaints->total;
	const char *why = NULL;
	if (image == NULL || (c.writer = image->writer = image_writer_new()) == NULL) {
		c.error = -ENOMEM;
		goto failed;
	}
	struct policy_settings *settings = image_writer_settings(c.writer);
	compile_host(&c, &settings->host);
	compile_smtp(&c, &settings->smtp);
	compile_limits(&config->limits, &settings->limits);
	compile_listeners(&c, settings);
	compile_pools(&c);
	compile_domains(&c);
	compile_checks(&c);
	settings->waves.networks = (uint32_t)config->waves.networks.number;
	settings->waves.life_s = (uint32_t)config->waves.life_s.number;
	compile_score(&config->score, &settings->score);
	keep_error(&c, compile_shape(config, c.writer));
	keep_error(&c, compile_access(config, c.writer, complaints));
	keep_error(&c, compile_dns(config, c.writer));
	keep_error(&c, compile_grey(config, c.writer));
	compile_bans(config, c.writer);
	keep_error(&c, compile_memory(config, c.writer, complaints));
	compile_lists(&c);
	if (c.error == 0 && complaints->total == before)
		keep_error(&c, compile_patterns(config, c.writer, options, complaints));
	settings->default_pool = config->default_pool_index;
	if (c.error != 0 || complaints->total != before)
		goto failed;
	c.error = image_writer_finish(c.writer, image->parts, &image->n_parts, &why);
	if (c.error == 0)
		c.error = image_describe(
		    image->parts, image->n_parts, epoch, image_sha256, &image->header);
	if (c.error != 0)
		goto failed;
	image->n_addresses = c.n_addresses;
	return image;
failed:
	if (c.error != 0)
		complain(complaints, config->path, (struct position){ 0, 0 },
		    "cannot be made a policy: %s", why != NULL ? why : strerror(-c.error));
	return image_free(image);
}

struct image *image_from_file(const char *path, uint32_t epoch,
    const struct compile_options *options, struct complaints *complaints)
{
	struct config *config = config_read(path, complaints);
	struct image *image = NULL;
	if (config != NULL)
		image = image_compile(config, epoch, options, complaints);
	config_free(config);
	return image;
}

struct image *image_free(struct image *image)
{
	if (image != NULL) {
		image_writer_free(image->writer);
		if (image->map != NULL)
			munmap(image->map, image->map_len);
	}
	free(image);
	return NULL;
}
