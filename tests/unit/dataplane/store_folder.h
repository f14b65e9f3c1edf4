/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder for the file of a store, for the tests of it and of its thread. */
#ifndef POSTERN_TESTS_UNIT_STORE_FOLDER_H
#define POSTERN_TESTS_UNIT_STORE_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[32], path[64];

static int folder_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/store_test.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/grey.mdb", dir);
	return 0;
}

static int folder_remove(void **state)
{
	char name[96];

	(void)state;
	unlink(path);
	snprintf(name, sizeof(name), "%s.broken", path);
	unlink(name);
	return rmdir(dir);
}

#endif
