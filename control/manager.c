/* SPDX-License-Identifier: BSD-3-Clause */
/* The manager's loop (manager.h): signals, dataplane, clients, deadlines. */
#include "manager.h"
#include "events_stream.h"
#include "metrics_http.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TAG_SIGNAL = 1, TAG_LINK = 2, TAG_JOBS = 3, TAG_SERVER = 1000, EVENTS = 32 };

void manager_log(const char *format, ...)
{
	va_list args;
	char line[2048];
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "postern-manager: %s%s", line,
	    *line != '\0' && line[strlen(line) - 1] == '\n' ? "" : "\n");
}

int64_t manager_time(void)
{
	return (int64_t)time(NULL);
}

void manager_user(uint32_t uid, char ret_name[MANAGER_USER_MAX])
{
	const struct passwd *pw = getpwuid(uid);
	if (pw != NULL)
		snprintf(ret_name, MANAGER_USER_MAX, "%s", pw->pw_name);
	else
		snprintf(ret_name, MANAGER_USER_MAX, "%u", uid);
}

static uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One manager a run directory; the lock outlives no process. */
static int lock_run(const char *run)
{
	char *path = NULL;
	if (mkdir(run, 0755) != 0 && errno != EEXIST) {
		manager_log("cannot make %s: %s", run, strerror(errno));
		return -1;
	}
	if (asprintf(&path, "%s/manager.lock", run) < 0)
		return -1;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		manager_log("cannot open %s: %s", path, strerror(errno));
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		manager_log("another postern-manager serves %s", run);
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

static int catch_signals(struct manager *m)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = TAG_SIGNAL };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signal_fd < 0 ? -1 : epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->signal_fd, &event);
}

static void on_signal(struct manager *m)
{
	struct signalfd_siginfo info;
	if (read(m->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	const struct load_order order = { .how = "SIGHUP", .path = m->options->config };
	if (info.ssi_signo == SIGHUP)
		manager_load(m, -1, &order);
	else
		m->stop = true;
}

static void turn(struct manager *m)
{
	struct epoll_event events[EVENTS];
	uint64_t next = link_turn(&m->link, m->now_ms);
	uint64_t other = server_deadlines(m->server, m->now_ms);
	next = other < next ? other : next;
	other = streams_turn(m->streams, m->now_ms);
	next = other < next ? other : next;
	other = manager_events(m);
	next = other < next ? other : next;
	other = manager_watch(m);
	next = other < next ? other : next;
	int wait = next == UINT64_MAX ? -1 : next <= m->now_ms ? 0 : (int)(next - m->now_ms);
	int n = epoll_wait(m->epoll_fd, events, EVENTS, wait);
	m->now_ms = clock_ms();
	for (int i = 0; i < n; i++) {
		uint64_t data = events[i].data.u64;
		if (data == TAG_SIGNAL)
			on_signal(m);
		else if (data == TAG_LINK)
			link_event(&m->link, m->now_ms);
		else if (data == TAG_JOBS)
			jobs_event(m->jobs);
		else
			server_event(m->server, data - TAG_SERVER, events[i].events, m->now_ms);
		m->now_ms = clock_ms();
	}
}

static int start(struct manager *m)
{
	char *control = NULL, *dataplane = NULL;
	int ret = -1;
	if (asprintf(&control, "%s/control.sock", m->options->run) < 0 ||
	    asprintf(&dataplane, "%s/dataplane.sock", m->options->run) < 0) {
		manager_log("no memory");
		goto out;
	}
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll_fd < 0 || catch_signals(m) != 0) {
		manager_log("cannot wait for events: %s", strerror(errno));
		goto out;
	}
	int error = link_init(&m->link, dataplane, m->epoll_fd, TAG_LINK, manager_link_state, m);
	if (error == 0)
		error = jobs_new(m->epoll_fd, TAG_JOBS, m, &m->jobs);
	if (error == 0)
		error = server_new(control, m->epoll_fd, TAG_SERVER, &m->options->roles,
		    manager_line, manager_client_gone, m, &m->server);
	if (error == 0 && (m->streams = streams_new(m->server)) == NULL)
		error = -ENOMEM;
	if (error != 0) {
		manager_log("cannot serve %s: %s", control, strerror(-error));
		goto out;
	}
	manager_policy_start(m);
	ret = 0;
out:
	free(control);
	free(dataplane);
	return ret;
}

int manager_run(const struct manager_options *options)
{
	struct manager *m = calloc(1, sizeof(*m));
	struct metrics_http *http = NULL;
	int ret = 1;
	if (m == NULL)
		return 1;
	m->options = options;
	m->epoll_fd = m->signal_fd = m->link.fd = -1;
	m->started_ms = m->now_ms = clock_ms();
	m->lock_fd = lock_run(options->run);
	if (m->lock_fd < 0)
		goto out;
	char *why = NULL;
	if (options->metrics != NULL &&
	    metrics_http_new(options->metrics, options->run, &http, &why) != 0) {
		manager_log("%s", why == NULL ? "no memory" : why);
		free(why);
	} else if (start(m) == 0) {
		while (!m->stop)
			turn(m);
		ret = m->failed ? 1 : 0;
	}
	metrics_http_free(http);
	streams_free(m->streams);
	m->streams = NULL;
	free(m->events_path);
	server_free(m->server);
	if (!jobs_stop(m->jobs)) {
		/* it still reads what we would free; the end of the process ends it */
		manager_changes_fini(m);
		_exit(ret);
	}
	link_fini(&m->link);
	manager_policy_fini(m);
	manager_changes_fini(m);
	manager_calls_fini(m);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	close(m->lock_fd);
out:
	free(m);
	return ret;
}
