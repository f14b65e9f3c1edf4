/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder for an event log and its rotated files, for the tests that read and that thin it. */
#ifndef POSTERN_TESTS_UNIT_EVENTLOG_FOLDER_H
#define POSTERN_TESTS_UNIT_EVENTLOG_FOLDER_H

#include "eventlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64], path[96];

static int make(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/postern-eventlog-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/e.jsonl", folder);
	return 0;
}

static int clear(void **state)
{
	char name[128];
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		eventlog_name(path, i, name, sizeof(name));
		unlink(name);
	}
	return rmdir(folder);
}

#endif
