/* SPDX-License-Identifier: BSD-3-Clause */
/* postern-manager: the options. What it does is in manager.h, for people in man/postern-manager.8.
 */
#include "manager.h"

#include "postern_version.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern-manager --config FILE [OPTION...]\n"
    "Compiles the configuration, hands it to the dataplane, serves the control socket.\n"
    "\n"
    "  --config FILE     the configuration; read again on SIGHUP\n"
    "  --run DIR         sockets and statistics (default /run/postern)\n"
    "  --state DIR       committed policies (default /var/lib/postern)\n"
    "  --admin WHO       may do everything; WHO: a user, or @ and a group; may be repeated\n"
    "  --operator WHO    may reload the configured file, and drain\n"
    "  --viewer WHO      may look\n"
    "  --metrics WHERE   serves /metrics to Prometheus at ADDRESS:PORT, or a port of loopback\n"
    "  --help, --version\n"
    "\n"
    "Root and the manager's own user are admins. SIGTERM ends it; the dataplane goes on.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "run", required_argument, NULL, 'r' },
		{ "state", required_argument, NULL, 's' },
		{ "admin", required_argument, NULL, 'A' },
		{ "operator", required_argument, NULL, 'O' },
		{ "viewer", required_argument, NULL, 'V' },
		{ "metrics", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	struct manager_options chosen = { .run = "/run/postern", .state = "/var/lib/postern" };
	char config[PATH_MAX];
	int option, ret;
	roles_init(&chosen.roles, geteuid());
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c': chosen.config = optarg; break;
		case 'r': chosen.run = optarg; break;
		case 's': chosen.state = optarg; break;
		case 'm': chosen.metrics = optarg; break;
		case 'A':
		case 'O':
		case 'V':
			ret = roles_add(&chosen.roles,
			    option == 'A'   ? ROLE_ADMIN
			    : option == 'O' ? ROLE_OPERATOR
					    : ROLE_VIEWER,
			    optarg);
			if (ret != 0) {
				fprintf(stderr, "postern-manager: %s: %s\n", optarg,
				    ret == -ENOSPC ? "too many roles; allowed: 32"
						   : "no such user or group");
				return 1;
			}
			break;
		case 'h': fputs(usage, stdout); return 0;
		case 'v': puts("postern-manager " POSTERN_VERSION); return 0;
		default: fputs("postern-manager --help says more\n", stderr); return 2;
		}
	}
	if (optind != argc || chosen.config == NULL) {
		fputs(usage, stderr);
		return 2;
	}
	/* the working directory is not asked again at SIGHUP */
	if (realpath(chosen.config, config) == NULL) {
		fprintf(stderr, "postern-manager: %s: %s\n", chosen.config, strerror(errno));
		return 1;
	}
	chosen.config = config;
	return manager_run(&chosen);
}
