/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may do what (roles.h). */
#include "roles.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>

const char *const role_words[] = {
	[ROLE_NONE] = "none",
	[ROLE_VIEWER] = "viewer",
	[ROLE_OPERATOR] = "operator",
	[ROLE_ADMIN] = "admin",
};

void roles_init(struct roles *roles, uint32_t own_uid)
{
	*roles = (struct roles){ .own_uid = own_uid };
}

static bool read_id(const char *text, uint32_t *ret_id)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	unsigned long id = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || id >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)id;
	return true;
}

int roles_add(struct roles *roles, enum role role, const char *who)
{
	bool group = *who == '@';
	const char *name = group ? who + 1 : who;
	uint32_t id;
	if (roles->n == ROLES_MAX_RULES)
		return -ENOSPC;
	if (!read_id(name, &id)) {
		const struct group *gr = group ? getgrnam(name) : NULL;
		const struct passwd *pw = group ? NULL : getpwnam(name);
		if (gr == NULL && pw == NULL)
			return -ENOENT;
		id = gr != NULL ? gr->gr_gid : pw->pw_uid;
	}
	roles->rules[roles->n].group = group;
	roles->rules[roles->n].id = id;
	roles->rules[roles->n++].role = role;
	return 0;
}

enum role roles_judge(
    const struct roles *roles, uint32_t uid, const uint32_t *groups, unsigned n_groups)
{
	enum role role = uid == 0 || uid == roles->own_uid ? ROLE_ADMIN : ROLE_NONE;
	for (unsigned i = 0; i < roles->n; i++) {
		bool fits = !roles->rules[i].group && roles->rules[i].id == uid;
		for (unsigned g = 0; roles->rules[i].group && g < n_groups; g++)
			fits = fits || roles->rules[i].id == groups[g];
		if (fits && roles->rules[i].role > role)
			role = roles->rules[i].role;
	}
	return role;
}

enum role roles_of_peer(const struct roles *roles, int fd, uint32_t *ret_uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	uint32_t groups[ROLES_MAX_GROUPS + 1];
	_Static_assert(sizeof(gid_t) == sizeof(groups[0]), "groups come as gid_t");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return ROLE_NONE;
	len = ROLES_MAX_GROUPS * sizeof(groups[0]);
	/* more groups than we hold, or an old kernel: the primary one alone counts */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		len = 0;
	unsigned n = len / sizeof(groups[0]);
	groups[n++] = cred.gid;
	*ret_uid = cred.uid;
	return roles_judge(roles, cred.uid, groups, n);
}
