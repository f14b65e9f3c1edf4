/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live shell's shared tables: each has one writer, off the workers' cores, and is read by all
 * of them (worker.h, worker_shared). Opened before the workers, in the order of the table below, and
 * closed after them in reverse.
 */
#include "live.h"

#include <stdio.h>
#include <string.h>

int live_shared_open(struct live *l, const struct policy *policy, char **ret_error)
{
	int rc = notes_new(l->n_workers, &l->notes);

	(void)policy;
	if (rc == 0)
		rc = notes_start(l->notes);
	if (rc != 0 && asprintf(ret_error, "no thread for notes: %s", strerror(-rc)) < 0)
		*ret_error = NULL;
	return rc;
}

void live_shared_close(struct live *l)
{
	l->notes = notes_free(l->notes);
}
