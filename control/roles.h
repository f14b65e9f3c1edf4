/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may do what on the control socket, by the credentials the kernel vouches for (SO_PEERCRED,
 * SO_PEERGROUPS). No passwords: whoever can change user on this host needs none, and nobody else
 * reaches the socket. Root and the manager's own user are admins always.
 */
#ifndef POSTERN_CONTROL_ROLES_H
#define POSTERN_CONTROL_ROLES_H

#include <stdbool.h>
#include <stdint.h>

/* In order of power. */
enum role {
	ROLE_NONE,
	ROLE_VIEWER,   /* looks: status, stats */
	ROLE_OPERATOR, /* checks, reloads the configured file, drains */
	ROLE_ADMIN,    /* loads any file: it may carry DPDK arguments, hence root's power */
};
extern const char *const role_words[];

enum { ROLES_MAX_RULES = 32, ROLES_MAX_GROUPS = 256 };

struct roles {
	uint32_t own_uid;
	unsigned n;
	struct {
		bool group;
		uint32_t id;
		enum role role;
	} rules[ROLES_MAX_RULES];
};

void roles_init(struct roles *roles, uint32_t own_uid);
/* who: a user's name or number, or @ and a group's. -ENOENT: unknown; -ENOSPC: too many. */
int roles_add(struct roles *roles, enum role role, const char *who);
/* The greatest role that any rule gives. */
enum role roles_judge(
    const struct roles *roles, uint32_t uid, const uint32_t *groups, unsigned n_groups);
/* Of the other end of a connected AF_UNIX socket; ROLE_NONE when the kernel does not say. */
enum role roles_of_peer(const struct roles *roles, int fd, uint32_t *ret_uid);

#endif
