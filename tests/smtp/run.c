/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs conversation files (README.md) against worker_turn() in virtual time, each over IPv4 and
 * IPv6. TAP; a failed conversation shows its last lines.
 *
 *	smtp_run [-v] [-4|-6] FILE...
 */
#include "steps.h"

#include <assert.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

static bool run_file(const char *path, bool v6, bool verbose, unsigned number)
{
	static struct script script;
	struct run *r = calloc(1, sizeof(*r));
	char *name = strdup(path), *base = basename(name);
	char why[SCRIPT_WHY];
	bool good = false;

	assert(r && name);
	base[strcspn(base, ".")] = '\0';
	r->verbose = verbose;
	if (script_read(path, &script, why)) {
		if (world_init(&r->w, &script, v6)) {
			r->began_ns = r->w.rig->now_ns;
			for (unsigned i = 0; i < script.n && !r->failed; i++)
				run_step(r, &script.lines[i]);
			if (!r->failed)
				expect_nothing_left(r);
			good = !r->failed;
		} else {
			printf("# %s: %s\n", path, r->w.error);
		}
		world_fini(&r->w);
		script_fini(&script);
	} else {
		printf("# %s\n", why);
	}
	printf("%s %u - %s_%s\n", good ? "ok" : "not ok", number, base, v6 ? "v6" : "v4");
	if (!good)
		printf("# %s\n", script.title);
	fflush(stdout);
	free(name);
	free(r);
	return good;
}

int main(int argc, char **argv)
{
	bool verbose = false, family[2] = { true, true };
	unsigned n = 0, bad = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v"))
			verbose = true;
		else if (!strcmp(argv[i], "-4") || !strcmp(argv[i], "-6"))
			family[argv[i][1] == '4'] = false;
		else
			for (int v6 = 0; v6 < 2; v6++)
				if (family[v6])
					bad += !run_file(argv[i], v6, verbose, ++n);
	}
	printf("1..%u\n", n);
	return bad || n == 0;
}
