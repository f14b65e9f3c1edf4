/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy by directives instead of by YAML: the compiler belongs to control, which the brain's
 * tests do without. Defaults are those of control/examples/appliance.yaml, save that there is no
 * second health check (a day between two) and the pools say neither PROXY nor XCLIENT.
 */
#include "world_policy.h"

#include "filters/image.h"
#include "filters/image_write.h"
#include "filters/memory.h"

#include "control/compile_patterns.h"
#include "control/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct word_value {
	const char *word;
	uint64_t value;
};

static const struct word_value words[] = {
	{ "reject", BARE_REJECT },
	{ "normalize", BARE_NORMALIZE },
	{ "disconnect", BARE_DISCONNECT },
	{ "off", STARTTLS_OFF },
	{ "pass", STARTTLS_PASS },
	{ "none", HELLO_NONE },
	{ "proxy", HELLO_PROXY_V2 },
	{ "xclient", HELLO_XCLIENT },
};

struct setting {
	const char *key;
	size_t offset, size;
};

#define AT(type, field) offsetof(type, field), sizeof(((type *)0)->field)
#define SMTP(field)                                                                                \
	{                                                                                          \
#field, AT(struct policy_settings, smtp.field)                                     \
	}
#define LIMIT(field)                                                                               \
	{                                                                                          \
#field, AT(struct policy_settings, limits.field)                                   \
	}
#define POOL(field)                                                                                \
	{                                                                                          \
#field, AT(struct policy_pool, field)                                              \
	}

static const struct setting settings[] = {
	SMTP(bare_newline),
	SMTP(starttls),
	SMTP(add_received),
	SMTP(starttls_max_score),
	SMTP(greet_delay_ms),
	SMTP(inspection_window),
	SMTP(window_quota),
	SMTP(command_timeout_ms),
	SMTP(data_timeout_ms),
	SMTP(condemned_timeout_ms),
	LIMIT(message_size),
	LIMIT(recipients),
	LIMIT(null_recipients),
	LIMIT(commands),
	LIMIT(errors),
	LIMIT(messages),
	LIMIT(connections),
	LIMIT(prefix_connections),
	LIMIT(connection_rate),
	LIMIT(received_hops),
	{ "refuse", AT(struct policy_settings, score.refuse) },
	{ "mark", AT(struct policy_settings, score.mark) },
	{ "scanned", AT(struct policy_settings, patterns.messages) },
	{ "confirm_ms", AT(struct policy_settings, patterns.confirm_ms) },
	{ "teaser", AT(struct policy_settings, shape.teaser) },
	{ "refusal_s", AT(struct policy_settings, shape.refusal_s) },
	{ "tarpit_pace_ms", AT(struct policy_settings, shape.tarpit_pace_ms) },
	{ "default_pool", AT(struct policy_settings, default_pool) },
};

static const struct setting pool_settings[] = {
	POOL(max_waiting),
	POOL(wait_timeout_ms),
	POOL(connect_timeout_ms),
	POOL(reply_timeout_ms),
	POOL(final_timeout_ms),
	POOL(check_interval_ms),
	POOL(hello),
	POOL(fallback_pool),
};

static bool wrong(struct world *w, const char *what, const char *word)
{
	snprintf(w->error, sizeof(w->error), "%s: %s", what, word ? word : "(nothing)");
	return false;
}

static bool set(
    const struct setting *table, size_t n, void *base, const char *key, const char *value)
{
	char *end;
	uint64_t number = value ? strtoull(value, &end, 10) : 0;

	if (!value || !*value)
		return false;
	for (size_t i = 0; *end && i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(words[i].word, value)) {
			number = words[i].value;
			end += strlen(end);
		}
	}
	for (size_t i = 0; !*end && i < n; i++) {
		if (!strcmp(table[i].key, key)) {
			/* little endian, as the image itself */
			memcpy((char *)base + table[i].offset, &number, table[i].size);
			return true;
		}
	}
	return false;
}

static bool set_all(struct world *w, struct policy_settings *s, char *text)
{
	char *word;

	while ((word = script_word(&text))) {
		char *value = script_value(word);

		if (!set(settings, sizeof(settings) / sizeof(settings[0]), s, word, value))
			return wrong(w, "@policy", word);
	}
	return true;
}

static struct ip_addr server_address(bool v6, unsigned i)
{
	uint8_t a4[4] = { 198, 51, 100, (uint8_t)(10 + i) };
	uint8_t a6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 2, [15] = (uint8_t)(0x10 + i) };

	return v6 ? ip_addr_from_v6(a6) : ip_addr_from_v4(a4);
}

static struct world_server *add_server(struct world *w, const char *name)
{
	struct world_server *s = &w->servers[w->n_servers];

	assert(w->n_servers < WORLD_SERVERS);
	*s = (struct world_server){ .addr = server_address(w->v6, w->n_servers) };
	snprintf(s->name, sizeof(s->name), "%.31s", name);
	w->n_servers++;
	return s;
}

/* @server NAME [dead] [max_connections=N]: before its pool, where it is more than a name */
struct server_options {
	char name[32];
	bool dead;
	uint32_t max_connections;
};

struct options {
	struct server_options servers[WORLD_SERVERS];
	unsigned n_servers, n_pools;
	char pools[8][32];
	bool domains;
};

static bool server_option(struct world *w, struct options *o, char *text)
{
	char *word, *name = script_word(&text);
	struct server_options *so = &o->servers[o->n_servers++];

	if (!name || o->n_servers > WORLD_SERVERS)
		return wrong(w, "@server", name);
	*so = (struct server_options){ .max_connections = 100 };
	snprintf(so->name, sizeof(so->name), "%.31s", name);
	while ((word = script_word(&text))) {
		char *value = script_value(word);

		if (!strcmp(word, "dead"))
			so->dead = true;
		else if (!strcmp(word, "max_connections") && value)
			so->max_connections = (uint32_t)strtoul(value, NULL, 10);
		else
			return wrong(w, "@server", word);
	}
	return true;
}

static int find_pool(const struct options *o, const char *name)
{
	for (unsigned i = 0; i < o->n_pools; i++) {
		if (!strcmp(o->pools[i], name))
			return (int)i;
	}
	return -1;
}

static void write_servers(struct world *w, const struct options *o, struct image_writer *iw,
    struct policy_pool *pool, char *names)
{
	for (char *save = NULL, *name = strtok_r(names, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		struct world_server *ws = add_server(w, name);
		struct policy_server server = { .port = 25, .weight = 1, .max_connections = 100 };

		for (unsigned i = 0; i < o->n_servers; i++) {
			if (!strcmp(o->servers[i].name, name)) {
				ws->dead = o->servers[i].dead;
				server.max_connections = o->servers[i].max_connections;
			}
		}
		if (ws->dead)
			server.port = 26;
		ws->proxy = pool->hello == HELLO_PROXY_V2;
		image_writer_string(iw, name, &server.name);
		memcpy(server.addr, ws->addr.b, sizeof(server.addr));
		int index = image_writer_server(iw, &server);

		if (pool->n_servers++ == 0)
			pool->first_server = (uint32_t)index;
	}
}

/* @pool NAME servers=a,b key=value ... */
static bool add_pool(struct world *w, struct options *o, struct image_writer *iw, char *text)
{
	struct policy_pool pool = { .max_waiting = 1000,
		.wait_timeout_ms = 30000,
		.connect_timeout_ms = 5000,
		.reply_timeout_ms = 300000,
		.final_timeout_ms = 660000,
		.check_interval_ms = 86400000,
		.fallback_pool = 0xffff };
	char *word, *servers = NULL, *name = script_word(&text);

	if (!name || o->n_pools == 8)
		return wrong(w, "@pool", name);
	snprintf(o->pools[o->n_pools], sizeof(o->pools[0]), "%.31s", name);
	while ((word = script_word(&text))) {
		char *value = script_value(word);

		if (!strcmp(word, "servers"))
			servers = value;
		else if (!set(pool_settings, sizeof(pool_settings) / sizeof(pool_settings[0]),
			     &pool, word, value))
			return wrong(w, "@pool", word);
	}
	if (!servers)
		return wrong(w, "@pool without servers=", name);
	write_servers(w, o, iw, &pool, servers);
	image_writer_string(iw, name, &pool.name);
	return image_writer_pool(iw, &pool) == (int)o->n_pools++;
}

/* @domain NAME pool=NAME [subdomains] */
static bool add_domain(struct world *w, struct options *o, struct image_writer *iw, char *text)
{
	char *word, *name = script_word(&text);
	int pool = 0;

	o->domains = true;
	while (name && (word = script_word(&text))) {
		char *value = script_value(word);

		if (!strcmp(word, "subdomains"))
			image_writer_domain(iw, name, DOMAIN_SUBDOMAINS, (unsigned)pool, 0);
		else if (strcmp(word, "pool") != 0 || !value || (pool = find_pool(o, value)) < 0)
			return wrong(w, "@domain", word);
	}
	return name && image_writer_domain(iw, name, DOMAIN_EXACT, (unsigned)pool, 0) >= 0;
}

/* @list NAME verdict=WORD clients=1,2 [share=N] [pace=MS] [pool=N] */
static bool add_list(struct world *w, struct image_writer *iw, char *text)
{
	struct policy_list list = { .verdict = VERDICT_REFUSE,
		.reason = REASON_LISTED,
		.pool = -1,
		.tarpit_pace_ms = 10000 };
	char *word, *clients = NULL, *name = script_word(&text);

	while (name && (word = script_word(&text))) {
		char *value = script_value(word);

		if (!value)
			return wrong(w, "@list", word);
		if (!strcmp(word, "clients"))
			clients = value;
		else if (!strcmp(word, "share"))
			list.verify_share = (uint8_t)strtoul(value, NULL, 10);
		else if (!strcmp(word, "pace"))
			list.tarpit_pace_ms = (uint32_t)strtoul(value, NULL, 10);
		else if (!strcmp(word, "pool"))
			list.pool = (int32_t)strtol(value, NULL, 10);
		else if (!strcmp(word, "verdict")) {
			for (list.verdict = 0; list.verdict < VERDICT_N_KINDS; list.verdict++) {
				if (!strcmp(verdict_words[list.verdict], value))
					break;
			}
			if (list.verdict == VERDICT_N_KINDS)
				return wrong(w, "@list verdict", value);
		} else {
			return wrong(w, "@list", word);
		}
	}
	if (!clients)
		return wrong(w, "@list without clients=", name);
	if (list.verdict == VERDICT_PASS)
		list.reason = REASON_ALLOWED;
	image_writer_string(iw, name, &list.name);
	int index = image_writer_list(iw, &list);

	for (char *save = NULL, *n = strtok_r(clients, ",", &save); n;
	     n = strtok_r(NULL, ",", &save)) {
		struct ip_addr a = rig_client((unsigned)strtoul(n, NULL, 10) - 1, w->v6);

		if (image_writer_prefix(iw, (unsigned)index, a.b, ip_addr_is_v4(&a) ? 32 : 128))
			return wrong(w, "@list client", n);
	}
	return true;
}

#define CLASS(field)                                                                               \
	{                                                                                          \
#field, AT(struct policy_class, field)                                             \
	}

/* @class NAME KEY=VALUE ...: the clients' score is 0 where no rule hits */
static bool add_class(struct world *w, struct image_writer *iw, char *text)
{
	static const struct setting class_settings[] = { CLASS(from_score), CLASS(pace_bytes),
		CLASS(pace_ms), CLASS(stutter_ms), CLASS(window_bytes) };
	struct policy_shape *shape = &image_writer_settings(iw)->shape;
	struct policy_class *c = &shape->classes[shape->n_classes];
	char *word, *name = script_word(&text);

	if (!name || shape->n_classes++ == POLICY_MAX_CLASSES)
		return wrong(w, "@class", name);
	image_writer_string(iw, name, &c->name);
	while ((word = script_word(&text))) {
		char *value = script_value(word);

		if (!set(class_settings, sizeof(class_settings) / sizeof(class_settings[0]), c,
			word, value))
			return wrong(w, "@class", word);
	}
	return true;
}

#define GREY(field)                                                                                \
	{                                                                                          \
#field, AT(struct policy_grey, field)                                              \
	}

static bool add_names(struct image_writer *iw, unsigned set, char *names)
{
	char text[NAMES_MAX_LEN + 1];
	enum name_kind kind;

	for (char *save = NULL, *name = strtok_r(names, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		if (nameset_read(name, false, &kind, text) != NULL ||
		    image_writer_name(iw, set, kind, text, 0) < 0)
			return false;
	}
	return true;
}

/* @grey KEY=VALUE ... [exempt=NAME,NAME greytraps= spamtraps= shadow] */
static bool add_grey(struct world *w, struct image_writer *iw, char *text)
{
	static const struct setting grey_settings[] = { GREY(delay_s), GREY(retry_window_s),
		GREY(life_s), GREY(white_life_s), GREY(trap_s), GREY(white_after),
		GREY(from_score) };
	struct policy_grey *g = &image_writer_settings(iw)->grey;
	char *word;

	*g = (struct policy_grey){ 300, 14400, 36 * 86400, 90 * 86400, 86400, 5, 0, 1000 };
	if (image_writer_greylist(iw) < 0)
		return wrong(w, "@grey", "no room");
	while ((word = script_word(&text))) {
		char *value = script_value(word);
		bool good = true;

		if (!strcmp(word, "shadow"))
			image_writer_rule_at(iw, g->rule)->state = RULE_SHADOW;
		else if (!strcmp(word, "exempt") && value)
			good = add_names(iw, g->exempt, value);
		else if (!strcmp(word, "greytraps") && value)
			good = add_names(iw, g->greytraps, value);
		else if (!strcmp(word, "spamtraps") && value)
			good = add_names(iw, g->spamtraps, value);
		else
			good = set(grey_settings, sizeof(grey_settings) / sizeof(grey_settings[0]),
			    g, word, value);
		if (!good)
			return wrong(w, "@grey", word);
	}
	return true;
}

#define MEMORY(field)                                                                              \
	{                                                                                          \
#field, AT(struct policy_memory, field)                                            \
	}
#define RATE(field)                                                                                \
	{                                                                                          \
#field, AT(struct policy_rate, field)                                              \
	}

/* @memory KEY=VALUE ... [CHECK=enforce|refuse|tarpit ...] [recipients=NAME,NAME] [batv=DOMAIN key=SECRET]:
 * recipients are all that example.org has; the key's digit is 0 */
static bool add_memory(struct world *w, struct image_writer *iw, char *text)
{
	static const struct setting memory_settings[] = { MEMORY(burst_floor),
		MEMORY(burst_percent), MEMORY(stranger_percent), MEMORY(hold_s),
		MEMORY(unknown_floor), MEMORY(harvest_unknown), MEMORY(harvest_percent),
		MEMORY(spread_unknown), MEMORY(known_s), MEMORY(unknown_s) };
	static const struct {
		const char *name;
		unsigned rule;
	} checks[] = { { "harvest", CHECK_harvest }, { "harvest_spread", CHECK_harvest_spread },
		{ "unknown_recipient", CHECK_unknown_recipient },
		{ "unusual_sender", CHECK_unusual_sender },
		{ "unusual_internal", CHECK_unusual_internal },
		{ "bounce_recipients", CHECK_bounce_recipients },
		{ "bounce_unsigned", CHECK_bounce_unsigned } };
	struct policy_memory *m = &image_writer_settings(iw)->memory;
	char *word;

	memory_defaults(m);
	m->capacity = 1000;
	while ((word = script_word(&text))) {
		char *value = script_value(word);
		bool good = false;

		for (unsigned i = 0; value && i < sizeof(checks) / sizeof(checks[0]); i++) {
			struct policy_rule *rule = image_writer_rule_at(iw, checks[i].rule);

			if (strcmp(word, checks[i].name))
				continue;
			good = true;
			rule->state = RULE_ENFORCE;
			if (!strcmp(value, "refuse"))
				rule->action = VERDICT_REFUSE;
			else if (!strcmp(value, "tarpit"))
				rule->action = VERDICT_TARPIT;
			else
				good = !strcmp(value, "enforce");
		}
		if (!good && value && !strcmp(word, "recipients")) {
			int domains = image_writer_set(iw), names = image_writer_set(iw);
			char domain[] = "example.org";

			good = add_names(iw, (unsigned)domains, domain) &&
			       add_names(iw, (unsigned)names, value) &&
			       image_writer_recipients(iw, (unsigned)domains, (unsigned)names) == 0;
		} else if (!good && value && !strcmp(word, "batv")) {
			m->has_batv = 1;
			m->batv_domains = (uint32_t)image_writer_set(iw);
			good = add_names(iw, m->batv_domains, value);
		} else if (!good && value && !strcmp(word, "key")) {
			m->n_batv_keys = 1;
			m->batv_keys[0].len = (uint8_t)strlen(value);
			memcpy(m->batv_keys[0].secret, value, strlen(value) % POLICY_BATV_SECRET);
			good = true;
		} else if (!good) {
			good = set(memory_settings,
			    sizeof(memory_settings) / sizeof(memory_settings[0]), m, word, value);
		}
		if (!good)
			return wrong(w, "@memory", word);
	}
	return true;
}

/* @rate NAME of=SUBJECT count=MEASURE per_minute=N per_hour=N learned=N at_once=N, behind @memory */
static bool add_rate(struct world *w, struct image_writer *iw, char *text)
{
	static const struct setting rate_settings[] = { RATE(per_minute), RATE(per_hour),
		RATE(learned), RATE(at_once) };
	char *word, *name = script_word(&text);
	struct policy_rate rate = { 0 };

	while ((word = script_word(&text))) {
		char *value = script_value(word);
		bool good = false;

		for (uint8_t i = 0; value && i < MEMORY_N_SUBJECTS && !strcmp(word, "of"); i++) {
			if (strcmp(value, memory_subject_words[i]))
				continue;
			rate.subject = i;
			good = true;
		}
		for (uint8_t i = 0; value && i < MEMORY_N_MEASURES && !strcmp(word, "count"); i++) {
			if (strcmp(value, memory_measure_words[i]))
				continue;
			rate.measure = i;
			good = true;
		}
		if (!good && !set(rate_settings, sizeof(rate_settings) / sizeof(rate_settings[0]),
				 &rate, word, value))
			return wrong(w, "@rate", word);
	}
	return name && image_writer_rate(iw, name, &rate) > 0;
}

/* @check NAME ACTION: enforced for all */
static bool add_check(struct world *w, struct image_writer *iw, char *text)
{
	static const char *const names[] = {
#define POLICY_CHECK(name, judge, phases, reason, weight, action, state, doc) #name,
#include "filters/checks.def"
#undef POLICY_CHECK
	};
	char *name = script_word(&text), *action = script_word(&text);

	for (unsigned i = 0; name && action && i < CHECK_N; i++) {
		struct policy_rule *rule = image_writer_rule_at(iw, i);

		if (strcmp(names[i], name))
			continue;
		rule->state = RULE_ENFORCE;
		for (rule->action = 0; rule->action < VERDICT_N_KINDS; rule->action++)
			if (!strcmp(verdict_words[rule->action], action))
				return true;
	}
	return wrong(w, "@check", name);
}

bool world_ehlo(struct world *w, char *text)
{
	char *name = script_word(&text), reply[1024] = "";
	size_t n = 0;

	if (!name)
		return wrong(w, "@ehlo", name);
	for (char *save = NULL, *word = strtok_r(text, ",", &save); word;) {
		char *next = strtok_r(NULL, ",", &save);

		word += strspn(word, " ");
		n += (size_t)snprintf(
		    reply + n, sizeof(reply) - n, "250%c%s\r\n", next ? '-' : ' ', word);
		word = next;
	}
	for (unsigned i = 0; i < w->n_servers; i++) {
		if (!strcmp(name, "all") || !strcmp(name, w->servers[i].name))
			memcpy(w->servers[i].ehlo, reply, sizeof(reply));
	}
	return n > 0;
}

/* One kind of directive after the other, so that their order in the file is free. */
static bool each(struct world *w, struct options *o, struct image_writer *iw, const char *kind)
{
	bool good = true;

	for (unsigned i = 0; good && i < w->script->n; i++) {
		if (w->script->lines[i].who != '@')
			continue;
		char *copy = strdup(w->script->lines[i].text), *rest = copy, *word;

		word = script_word(&rest);
		if (word && !strcmp(word, kind)) {
			if (!strcmp(kind, "policy"))
				good = set_all(w, image_writer_settings(iw), rest);
			else if (!strcmp(kind, "server"))
				good = server_option(w, o, rest);
			else if (!strcmp(kind, "pool"))
				good = add_pool(w, o, iw, rest);
			else if (!strcmp(kind, "domain"))
				good = add_domain(w, o, iw, rest);
			else if (!strcmp(kind, "list"))
				good = add_list(w, iw, rest);
			else if (!strcmp(kind, "class"))
				good = add_class(w, iw, rest);
			else if (!strcmp(kind, "grey"))
				good = add_grey(w, iw, rest);
			else if (!strcmp(kind, "memory"))
				good = add_memory(w, iw, rest);
			else if (!strcmp(kind, "check"))
				good = add_check(w, iw, rest);
			else if (!strcmp(kind, "rate"))
				good = add_rate(w, iw, rest);
			else if (!strcmp(kind, "ehlo"))
				good = world_ehlo(w, rest);
			if (!good && !w->error[0])
				wrong(w, "bad directive", w->script->lines[i].text);
		}
		free(copy);
	}
	return good;
}

/* @pattern LINE, of a pattern file: rules are enforced; @emergency LINE: of the second set */
static bool add_patterns(struct world *w, struct image_writer *iw)
{
	static const char *const kinds[POLICY_PATTERN_SETS] = { "pattern ", "emergency " };
	bool good = true;

	for (unsigned set = 0; set < POLICY_PATTERN_SETS && good; set++) {
		struct complaints complaints;
		struct patterns_report report;
		struct patterns p;
		void *part = NULL;
		size_t len = 0;

		complaints_init(&complaints);
		patterns_init(&p);
		for (unsigned i = 0; i < w->script->n; i++) {
			const char *text = w->script->lines[i].text;
			size_t skip = strlen(kinds[set]);

			if (w->script->lines[i].who == '@' && strncmp(text, kinds[set], skip) == 0)
				patterns_parse(&p, "@pattern", NULL, text + skip,
				    strlen(text + skip), &complaints);
		}
		if (p.n_expressions > 0 &&
		    (!patterns_finish(&p, &complaints) ||
			patterns_compile(&p, NULL, &complaints, &part, &len, &report) < 0 ||
			complaints.total > 0)) {
			complaints_print(&complaints, stderr);
			good = wrong(w, "@pattern", "see above");
		}
		if (good && part) {
			good = compile_patterns_rules(NULL, iw, set, part, len) == 0 &&
			       image_writer_patterns(iw, set, part, len) == 0;
			image_writer_settings(iw)->patterns.on_failure = VERDICT_DEFER;
		}
		patterns_fini(&p);
		complaints_fini(&complaints);
	}
	return good;
}

static bool write_all(struct world *w, struct image_writer *iw, char *change)
{
	static const char all_words[] =
	    "250-PIPELINING\r\n250-SIZE 52430000\r\n250-DSN\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";
	struct options o = { 0 };
	char main_pool[] = "main servers=b1";

	rig_settings(image_writer_settings(iw), iw);
	image_writer_settings(iw)->patterns.confirm_ms = 500;
	w->n_servers = 0;
	if (!each(w, &o, iw, "policy") || !each(w, &o, iw, "server") || !each(w, &o, iw, "pool"))
		return false;
	if (o.n_pools == 0 && !add_pool(w, &o, iw, main_pool))
		return false;
	for (unsigned i = 0; i < w->n_servers; i++)
		memcpy(w->servers[i].ehlo, all_words, sizeof(all_words));
	if (!each(w, &o, iw, "ehlo") || !each(w, &o, iw, "domain") || !each(w, &o, iw, "list") ||
	    !each(w, &o, iw, "class") || !each(w, &o, iw, "grey") || !each(w, &o, iw, "memory") ||
	    !each(w, &o, iw, "rate") || !each(w, &o, iw, "check") || !add_patterns(w, iw))
		return false;
	if (!o.domains)
		image_writer_domain(iw, "example.org", DOMAIN_EXACT, 0, 0);
	return !change || set_all(w, image_writer_settings(iw), change);
}

bool world_policy_make(struct world *w, char *change)
{
	struct image_part parts[IMAGE_MAX_PARTS];
	struct image_writer *iw = image_writer_new();
	unsigned n_parts;
	const char *error = "policy";
	struct policy *policy;

	assert(iw && w->n_policies < WORLD_POLICIES);
	if (write_all(w, iw, change)) {
		if (image_writer_finish(iw, parts, &n_parts, &error) == 0 &&
		    policy_open(parts, n_parts, w->n_policies + 1, &policy, &error) == 0) {
			w->images[w->n_policies] = iw;
			w->policies[w->n_policies++] = policy;
			return true;
		}
		wrong(w, "policy", error);
	}
	image_writer_free(iw);
	return false;
}
