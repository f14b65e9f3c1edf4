/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Once ports are open nothing here needs root's powers: capabilities are dropped in every thread,
 * for good (bounding set, no new privileges), save those that a virtual port's driver uses while
 * it runs. Capabilities belong to threads; libpsx reaches only threads made by code linked with
 * its wrapper, and DPDK makes its threads inside shared libraries, so each thread of the process is
 * asked by a signal to drop its own. Seccomp is left to a later step: DPDK's drivers differ in the
 * system calls they make.
 */
#include "live.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Written before the signals go out, and by each thread's handler: a signal has no other argument. */
static atomic_uint kept, dropped, failed;

static void drop_here(int sig)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];
	int saved = errno;

	(void)sig;
	if (syscall(SYS_capget, &header, caps) == 0) {
		for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
			prctl(PR_CAPBSET_DROP, cap, 0, 0,
			    0); /* EPERM without CAP_SETPCAP: not root then */
		caps[0].permitted &= atomic_load(&kept);
		caps[0].effective &= atomic_load(&kept);
		caps[0].inheritable = 0;
		caps[1] = (struct __user_cap_data_struct){ 0 };
	}
	if (syscall(SYS_capset, &header, caps) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		atomic_fetch_add(&failed, 1);
	atomic_fetch_add(&dropped, 1);
	errno = saved;
}

int live_drop_privileges(bool keep_net_admin)
{
	const int sig = SIGRTMAX - 3;
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct sigaction action = { .sa_handler = drop_here, .sa_flags = SA_RESTART }, old;
	unsigned asked = 0;
	struct dirent *e;
	DIR *dir = opendir("/proc/self/task");

	if (!dir)
		return -errno;
	/* NET_RAW: AF_PACKET sockets; IPC_LOCK: memory locked later. NET_ADMIN: AF_XDP's program is taken
	 * off its interface at the end. */
	atomic_store(&kept,
	    1u << CAP_NET_RAW | 1u << CAP_IPC_LOCK | (keep_net_admin ? 1u << CAP_NET_ADMIN : 0));
	sigaction(sig, &action, &old);
	while ((e = readdir(dir))) {
		if (isdigit((unsigned char)e->d_name[0]) &&
		    syscall(SYS_tgkill, getpid(), (pid_t)strtol(e->d_name, NULL, 10), sig) == 0)
			asked++;
	}
	closedir(dir);
	for (unsigned i = 0; i < 1000 && atomic_load(&dropped) < asked; i++)
		nanosleep(&ms, NULL);
	if (atomic_load(&dropped) < asked)
		return -ETIMEDOUT; /* the handler stays: a late thread still finds it */
	sigaction(sig, &old, NULL);
	return atomic_load(&failed) ? -EPERM : 0;
}
