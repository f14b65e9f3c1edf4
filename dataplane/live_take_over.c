/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A new process takes over new clients while the old one finishes its sessions, both on the same
 * ports. Virtual ports (af_packet, TAP behind a bridge) give every frame to both, so neither answers
 * what belongs to no connection of its own: the old one also drops SYNs and leaves ARP, ND and echo.
 * They call backends from different halves of the local ports. What one process alone may write is
 * let go before the answer: journal of lists, greylist file, control socket; the log of events is
 * appended to by both, line by line. The old one drains as after SIGTERM, and the new one ends its
 * silence when the old one's pidfd says that it is gone.
 *
 * (Rejected: passing connections themselves, which ties the two builds to one layout of everything; a
 * grace time in place of the pidfd, which is too short for somebody and too long for everybody.)
 */
#include "live.h"

#include "fail.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { OBEY_MS = 2000, ANSWER_S = 10 };

void live_local_ports(const struct live *l, uint16_t *ret_first, uint16_t *ret_last)
{
	unsigned half = (LIVE_PORT_LAST + 1u - LIVE_PORT_FIRST) / 2;

	half -= half % l->n_workers; /* steering goes by the remainder (live_spread.c) */
	*ret_first = (uint16_t)(LIVE_PORT_FIRST + (l->ports_high ? half : 0));
	*ret_last = (uint16_t)(l->ports_high ? LIVE_PORT_LAST : LIVE_PORT_FIRST + half - 1);
}

/* ---- the old one ---- */

static void pause_ms(long ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

static bool all_obeyed(const struct live *l)
{
	for (unsigned i = 0; i < l->n_workers; i++) {
		if (atomic_load(&l->workers[i]->obeyed) != atomic_load(&l->workers[i]->orders))
			return false;
	}
	return true;
}

json_t *live_hand_over(
    void *arg, const json_t *params, const int *fds, unsigned n_fds, struct control_error *error)
{
	struct live *l = arg;
	struct control_server *server;

	(void)params, (void)fds, (void)n_fds;
	if (atomic_load(&l->draining))
		return control_fail(error, "busy", "This dataplane is draining already.");
	if (!l->all_virtual)
		return control_fail(error, "physical_port",
		    "A physical port cannot be opened by two processes: drain this one and let "
		    "another machine answer meanwhile.");
	while (!(server = atomic_load(&l->server)))
		pause_ms(1); /* set right after this thread was made */
	live_share(l, STACK_CEDED);
	for (unsigned i = 0; i < OBEY_MS && !all_obeyed(l); i++)
		pause_ms(1);
	if (!all_obeyed(l)) {
		live_share(l, STACK_ALONE);
		return control_fail(error, "busy", "A worker does not answer; nothing was changed.");
	}
	events_tell(l->events, hw_now_ns(), "hand-over", "new clients are a successor's");
	live_drain(l);
	live_shared_let_go(l);
	l->handed_over = true;
	control_server_retire(server);
	return json_pack("{s:b,s:s,s:i}", "ports_high", l->ports_high, "build", live_version(),
	    "pid", (int)getpid());
}

/* ---- the new one ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval bound = { .tv_sec = ANSWER_S };
	int fd;

	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >=
	    sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

int live_take_over(struct live *l, char **ret_error)
{
	static const char ask[] = "{\"id\":1,\"method\":\"hand_over\"}";
	char path[4096], text[1024];
	struct ucred peer;
	socklen_t len = sizeof(peer);
	json_t *answer = NULL;
	const json_t *result;
	ssize_t n;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/dataplane.sock", l->run_dir);
	fd = connect_to(path);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return 0; /* nobody to take over from: an ordinary start */
	if (fd < 0)
		return fail(ret_error, -fd, "%s: %s", path, strerror(-fd));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
	    send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) < 0 ||
	    (n = recv(fd, text, sizeof(text), 0)) <= 0) {
		rc = fail(ret_error, EIO, "the running dataplane does not answer on %s", path);
		goto out;
	}
	answer = json_loadb(text, (size_t)n, 0, NULL);
	result = json_object_get(answer, "result");
	if (!result) {
		const char *why =
		    json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

		rc = fail(ret_error, EBUSY, "the running dataplane does not hand over: %s",
		    why ? why : "its build knows no hand-over; use drain");
		goto out;
	}
	l->taken_over = true;
	l->ports_high = !json_is_true(json_object_get(result, "ports_high"));
	l->predecessor = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	if (l->predecessor < 0) {
		rc = fail(ret_error, errno, "process %d cannot be watched: %s", (int)peer.pid,
		    strerror(errno));
		goto out;
	}
	/* its end closes the connection once everything is let go */
	rc = recv(fd, text, sizeof(text), 0) == 0
		 ? 0
		 : fail(ret_error, EIO, "the running dataplane did not close %s", path);
out:
	json_decref(answer);
	close(fd);
	return rc;
}

bool live_predecessor_gone(struct live *l)
{
	struct pollfd p = { .fd = l->predecessor, .events = POLLIN };

	if (l->predecessor < 0 || poll(&p, 1, 0) <= 0)
		return false;
	close(l->predecessor);
	l->predecessor = -1;
	return true;
}
