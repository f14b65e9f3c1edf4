/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * postern-dataplane: the live shell's process. Start-up in named stages, each of which leaves a
 * sentence on failure (exit 1); then the workers run and the duty thread minds signals, the
 * clock, the watchdog and the drain. Exit: 0 drained, 1 operator's mistake, 2 usage, 4 ended before
 * the last session did.
 */
#include "live.h"

#include "postern_version.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	DUTY_MS = 50,
	LINGER_MS = 300, /* after the last session: its FINs are on their way */
};

const char *live_version(void)
{
	return POSTERN_VERSION;
}

static void usage(FILE *to)
{
	fputs(
	    "usage: postern-dataplane [--image FILE] [--state DIR] [--run DIR] [--events "
	    "FILE|-|none]\n"
	    "                         [--name NAME] [--drain-timeout SECONDS]\n"
	    "                         [--gateway-wait SECONDS] [--take-over] [--version] [--help]\n"
	    "\n"
	    "  --image FILE   policy image to start with; default: the last one committed (in "
	    "--state)\n"
	    "  --state DIR    what outlives a restart (/var/lib/postern)\n"
	    "  --run DIR      statistics and control socket (/run/postern)\n"
	    "  --events FILE  log of sessions as JSON lines, rotated at 64 MiB, 31 old files kept\n"
	    "                 (events.jsonl in --state); -: standard output; none: none\n"
	    "  --name NAME    of this appliance, in `status`\n"
	    "  --drain-timeout SECONDS  how long SIGTERM waits for sessions to finish (300)\n"
	    "  --gateway-wait SECONDS   how long a gateway may be silent at start, then exit 1 "
	    "(10);\n"
	    "                 0: start without it and tell of it in the log of events\n"
	    "  --take-over    from the dataplane that runs with --run DIR: it finishes its "
	    "sessions,\n"
	    "                 new clients are ours; virtual ports only\n"
	    "\n"
	    "SIGTERM drains: idle sessions are told 421, the rest finish, exit 0. A second one, or "
	    "the\n"
	    "time-out, ends at once with exit 4.\n",
	    to);
}

static int complain(char *sentence)
{
	fprintf(stderr, "postern-dataplane: %s\n", sentence ? sentence : "out of memory");
	free(sentence);
	return 1;
}

static bool make_dir(const char *path)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return access(path, W_OK) == 0;
	return false;
}

/* ---- the duty thread ---- */

struct duty {
	struct live *live;
	pthread_t thread;
	atomic_bool over;
};

static void silent(unsigned worker, uint64_t silent_ns, void *arg)
{
	struct live *l = arg;

	fprintf(stderr, "postern-dataplane: worker %u has been silent for %llu ms\n", worker,
	    (unsigned long long)(silent_ns / 1000000));
	events_tell(l->events, hw_now_ns(), "worker-silent", "worker %u, %llu ms", worker,
	    (unsigned long long)(silent_ns / 1000000));
}

static bool all_idle(struct live *l)
{
	for (unsigned i = 0; i < l->n_workers; i++) {
		if (!atomic_load(&l->workers[i]->idle))
			return false;
	}
	return true;
}

static void *duty_run(void *arg)
{
	struct duty *d = arg;
	struct live *l = d->live;
	uint64_t now_ns = hw_now_ns(), next_second_ns = now_ns + 1000000000, drain_ns = 0,
		 idle_ns = 0;
	unsigned terms = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	while (!atomic_load(&d->over)) {
		const struct timespec wait = { .tv_nsec = DUTY_MS * 1000000l };
		int sig = sigtimedwait(&set, NULL, &wait);

		now_ns = hw_now_ns();
		if (sig > 0 && terms++ > 0) {
			live_stop(l, 4);
			break;
		}
		if (sig > 0)
			live_drain(l);
		if (atomic_load(&l->draining)) {
			if (drain_ns == 0)
				drain_ns = now_ns;
			if (!all_idle(l))
				idle_ns = 0;
			else if (idle_ns == 0)
				idle_ns = now_ns;
			else if (now_ns > idle_ns + LINGER_MS * 1000000ull) {
				live_stop(l, 0);
				break;
			}
			if (now_ns > drain_ns + l->drain_timeout_ms * 1000000ull) {
				live_stop(l, 4);
				break;
			}
		}
		if (now_ns >= next_second_ns) {
			next_second_ns = now_ns + 1000000000;
			hw_clock_discipline();
			policy_store_sweep(l->store);
		}
		if (live_predecessor_gone(l)) {
			live_share(l, STACK_ALONE);
			events_tell(l->events, now_ns, "taken-over", "the predecessor has ended");
		}
		publish_watch(l->publish, now_ns, silent, l);
	}
	return NULL;
}

static void free_generation(struct generation *gen, void *arg)
{
	struct live *l = arg;

	generation_put(l->store, gen);
}

static char *default_events(struct live *l)
{
	char *path = NULL;

	if (asprintf(&path, "%s/events.jsonl", l->state_dir) < 0)
		return NULL;
	l->events_path = path;
	return path;
}

static int serve(struct live *l, struct generation *first)
{
	struct control_server *server = NULL;
	struct control_method *methods = live_all_methods();
	struct duty duty = { .live = l };
	void *args[LIVE_MAX_WORKERS];
	char *error = NULL, path[4096];
	int rc;

	rc = publish_new(l->n_workers, first, free_generation, l, &l->publish);
	if (rc)
		return free(methods), generation_put(l->store, first),
		       complain(strdup(strerror(-rc)));
	snprintf(path, sizeof(path), "%s/dataplane.sock", l->run_dir);
	policy_store_trust(l->store, control_server_manager(path));
	rc = methods ? control_server_new(path, methods, l, &server, &error) : -ENOMEM;
	if (rc) {
		free(methods);
		l->publish = publish_free(l->publish);
		return complain(error);
	}
	atomic_store(&l->server, server);
	if (l->predecessor >= 0)
		live_share(l, STACK_QUIET);
	if (pthread_create(&duty.thread, NULL, duty_run, &duty) != 0)
		abort();
	rc = live_drop_privileges(l->any_xdp);
	if (rc)
		fprintf(stderr,
		    "postern-dataplane: capabilities could not be dropped in every thread: %s\n",
		    strerror(-rc));
	fprintf(stderr, "postern-dataplane %s: policy epoch %u, %u worker%s, %u port%s, %s\n",
	    live_version(), first->epoch, l->n_workers, l->n_workers == 1 ? "" : "s", l->n_ports,
	    l->n_ports == 1 ? "" : "s",
	    rc           ? "capabilities kept"
	    : l->any_xdp ? "capabilities dropped save net_raw, net_admin and ipc_lock"
			 : "capabilities dropped save net_raw and ipc_lock");
	events_tell(
	    l->events, hw_now_ns(), "started", "%s, policy epoch %u", live_version(), first->epoch);

	for (unsigned i = 0; i < l->n_workers; i++)
		args[i] = l->workers[i];
	if (hw_run_workers(l->hw, live_run, args, l->n_workers, &error) != 0) {
		complain(error);
		atomic_store(&l->exit_code, 1);
	}
	atomic_store(&duty.over, true);
	pthread_join(duty.thread, NULL);
	control_server_free(server);
	free(methods);
	l->publish = publish_free(l->publish);
	events_tell(l->events, hw_now_ns(), "stopped", "exit %d", atomic_load(&l->exit_code));
	error = atomic_exchange(&l->fatal, NULL);
	if (error)
		complain(error);
	return atomic_load(&l->exit_code);
}

static bool seconds(const char *option, const char *text, uint64_t *ret_ms)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end != '\0' || !isdigit((unsigned char)text[0]) || n > 86400) {
		fprintf(stderr, "postern-dataplane: %s takes 0 to 86400 seconds, not \"%s\"\n",
		    option, text);
		return false;
	}
	*ret_ms = n * 1000;
	return true;
}

/* The exit status where the words end the program already; -1: go on. */
static int parse(int argc, char **argv, struct live *l)
{
	static const struct option options[] = {
		{ "image", required_argument, NULL, 'i' },
		{ "state", required_argument, NULL, 's' },
		{ "run", required_argument, NULL, 'r' },
		{ "events", required_argument, NULL, 'e' },
		{ "name", required_argument, NULL, 'n' },
		{ "drain-timeout", required_argument, NULL, 'd' },
		{ "gateway-wait", required_argument, NULL, 'g' },
		{ "take-over", no_argument, NULL, 't' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	l->name = "postern";
	l->state_dir = "/var/lib/postern";
	l->run_dir = "/run/postern";
	l->predecessor = -1;
	l->drain_timeout_ms = 300000;
	l->gateway_wait_ms = 10000;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'i': l->image_path = optarg; break;
		case 's': l->state_dir = optarg; break;
		case 'r': l->run_dir = optarg; break;
		case 'e': l->events_path = optarg; break;
		case 'n': l->name = optarg; break;
		case 'd':
			if (!seconds("--drain-timeout", optarg, &l->drain_timeout_ms))
				return 2;
			break;
		case 'g':
			if (!seconds("--gateway-wait", optarg, &l->gateway_wait_ms))
				return 2;
			break;
		case 't': l->take_over = true; break;
		case 'v': printf("postern-dataplane %s\n", live_version()); return 0;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct live *l = calloc(1, sizeof(*l));
	struct generation *first = NULL;
	char *error = NULL, *events = NULL;
	sigset_t set;
	int code;

	if (!l)
		return complain(NULL);
	code = parse(argc, argv, l);
	if (code >= 0) {
		free(l);
		return code;
	}
	code = 1;
	/* before any thread is made: signals are the duty thread's */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);

	if (!make_dir(l->state_dir) || !make_dir(l->run_dir)) {
		fprintf(stderr,
		    "postern-dataplane: the directories %s and %s must be there and writable: make "
		    "them, or "
		    "name others with --state and --run\n",
		    l->state_dir, l->run_dir);
		goto out;
	}
	if (!l->events_path && !(events = default_events(l)))
		goto out;
	if (strcmp(l->events_path, "none") == 0)
		l->events_path = NULL;
	if (policy_store_new(l->state_dir, &l->store) != 0)
		goto out;
	if (policy_store_read(l->store, l->image_path, &first, &error) != 0) {
		complain(error);
		if (!l->image_path)
			fputs("postern-dataplane: nothing has been committed yet: give a first "
			      "image with --image "
			      "(postern-compile makes one)\n",
			    stderr);
		goto out;
	}
	if (l->take_over && live_take_over(l, &error) != 0) {
		complain(error);
		goto out;
	}
	if (l->image_path && policy_store_write(l->store, first, &error) != 0) {
		complain(error);
		goto out;
	}
	if (live_setup(l, first, &error) != 0)
		complain(error);
	else {
		/* publish owns it from here */
		struct generation *taken = first;

		first = NULL;
		code = serve(l, taken);
	}
out:
	live_teardown(l);
	generation_put(l->store, first);
	policy_store_free(l->store);
	free(events);
	free(l);
	return code;
}
