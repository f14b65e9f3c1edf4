/* SPDX-License-Identifier: BSD-3-Clause */
/* postern-try (try.h): options, the rig, what is printed. */
#include "try.h"

#include "image_map.h"
#include "postern_version.h"

#include "filters/address_form.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char usage[] =
    "usage: postern-try --policy FILE [--json] SCRIPT...\n"
    "       postern-try --image IMAGE [--json] SCRIPT...\n"
    "Runs SMTP conversations against a policy that is not in force, and says what came of them.\n"
    "\n"
    "  --policy FILE  configuration, compiled by postern-compile\n"
    "  --image IMAGE  or an image that it made\n"
    "  --json         a JSON object a script\n"
    "  --help, --version\n"
    "\n"
    "Exit: 0 all was as expected, 1 something was otherwise or cannot be run, 2 usage.\n";

enum { SETTLE_S = 10 }; /* health checks come first */

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void on_message(void *arg, uint64_t id, uint64_t digest, size_t len, unsigned rcpts,
    const struct ip_addr *client)
{
	(void)arg, (void)id, (void)digest, (void)len, (void)rcpts, (void)client;
}

static void reason_word(unsigned reason, char buf[64])
{
	size_t i = 0;

	for (const char *s = reason_infos[reason].name; s[i] && i < 63; i++)
		buf[i] = (char)tolower((unsigned char)s[i]);
	buf[i] = '\0';
}

static json_t *rules(const struct try *t, const struct event *e, unsigned shadow)
{
	json_t *names = json_array();

	for (unsigned i = 0; i < e->n_rules; i++)
		if ((e->rules[i] & RULE_ID_SHADOW) == shadow)
			json_array_append_new(names, json_string(try_rule(t, e->rules[i])));
	return names;
}

static json_t *session_json(const struct try *t, const struct event *e)
{
	bool v4 = address_is_v4(e->client);
	char client[INET6_ADDRSTRLEN], reason[64];

	inet_ntop(v4 ? AF_INET : AF_INET6, e->client + (v4 ? 12 : 0), client, sizeof(client));
	reason_word(e->reason, reason);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:o, s:o}", "client", client,
	    "verdict", verdict_words[e->verdict], "phase", phase_words[e->phase], "reason", reason,
	    "code", e->last_code, "messages", e->messages, "rcpts", e->rcpts, "score",
	    e->score / 100.0, "rules", rules(t, e, 0), "shadow", rules(t, e, RULE_ID_SHADOW));
}

static void print_names(const char *title, const json_t *names)
{
	for (size_t i = 0; i < json_array_size(names); i++)
		printf("%s%s", i ? " " : title, json_string_value(json_array_get(names, i)));
}

static void print_session(const json_t *s)
{
	printf("session of %s: %s at %s (%s), last reply %lld, messages %lld, score %.2f",
	    json_string_value(json_object_get(s, "client")),
	    json_string_value(json_object_get(s, "verdict")),
	    json_string_value(json_object_get(s, "phase")),
	    json_string_value(json_object_get(s, "reason")),
	    (long long)json_integer_value(json_object_get(s, "code")),
	    (long long)json_integer_value(json_object_get(s, "messages")),
	    json_real_value(json_object_get(s, "score")));
	print_names("; rules ", json_object_get(s, "rules"));
	print_names("; would have hit ", json_object_get(s, "shadow"));
	printf("\n");
}

static void told(struct try *t)
{
	json_t *sessions = json_array();

	for (unsigned i = 0; i < t->n_events; i++)
		json_array_append_new(sessions, session_json(t, &t->events[i]));
	if (t->json) {
		json_t *root = json_pack("{s:s, s:s, s:b, s:o, s:O, s:o}", "script",
		    t->script->path, "title", t->script->title, "ok", !t->failed, "failure",
		    t->failed
			? json_pack("{s:i, s:s}", "line", (int)t->failed_line, "text", t->failure)
			: json_null(),
		    "lines", t->lines, "sessions", sessions);

		json_dumpf(root, stdout, JSON_COMPACT);
		printf("\n");
		json_decref(root);
		return;
	}
	for (size_t i = 0; i < json_array_size(sessions); i++)
		print_session(json_array_get(sessions, i));
	json_decref(sessions);
	if (t->failed)
		printf("NOT AS EXPECTED  %s:%u: %s\n", t->script->path, t->failed_line, t->failure);
	else
		printf("as expected: %s\n", t->script->title);
}

static int run_script(const char *path, struct policy *policy, bool json)
{
	static struct script script; /* large */
	struct try *t = calloc(1, sizeof(*t));
	char why[SCRIPT_WHY];
	bool good = false;

	if (!t || !script_read(path, &script, why)) {
		fprintf(stderr, "postern-try: %s\n", t ? why : "no memory");
		free(t);
		return 1;
	}
	t->policy = policy;
	t->script = &script;
	t->json = json;
	t->lines = json_array();
	unsigned n_far = try_prepare(t);
	struct rig_config config = { .seed = 1,
		.no_clients = true,
		.clients_turn = try_clients_turn,
		.on_event = try_on_event,
		.on_message = on_message,
		.on_question = try_answer,
		.arg = t,
		.given_policy = policy,
		.far = t->far,
		.n_far = n_far,
		.outside = { .delay_ns = 100000 },
		.inside = { .delay_ns = 100000 } };
	if (rig_new(&config, &t->rig) < 0) {
		fprintf(stderr,
		    "postern-try: the policy cannot be run here: too many mail servers, or "
		    "no memory\n");
	} else {
		rig_run(t->rig, SETTLE_S * 1000000000ull, never, t);
		if (!json)
			printf("# %s: %s\n", path, script.title);
		good = try_run(t);
		told(t);
		try_fini(t);
		rig_free(t->rig);
	}
	json_decref(t->lines);
	script_fini(&script);
	free(t);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "policy", required_argument, NULL, 'p' },
		{ "image", required_argument, NULL, 'i' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 } };
	const char *config = NULL, *image = NULL;
	struct try_compiled compiled;
	struct policy *policy;
	bool json = false;
	int c, status = 0;
	size_t len;
	void *map;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p': config = optarg; break;
		case 'i': image = optarg; break;
		case 'j': json = true; break;
		case 'h': fputs(usage, stdout); return 0;
		case 'v': puts("postern-try " POSTERN_VERSION); return 0;
		default: fputs("postern-try --help says more\n", stderr); return 2;
		}
	}
	if (!config == !image || optind == argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (config) {
		status = try_compile(config, json, &compiled);
		if (status)
			return status;
		image = compiled.image;
	}
	policy = image_map_policy("postern-try", image, &map, &len);
	if (config)
		try_compile_done(&compiled);
	if (!policy)
		return 1;
	for (int i = optind; i < argc; i++)
		status |= run_script(argv[i], policy, json);
	policy_close(policy);
	munmap(map, len);
	return status;
}
