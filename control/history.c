/* SPDX-License-Identifier: BSD-3-Clause */
/* Committed images in the state directory (history.h). */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder_of(const char *state)
{
	char *folder = NULL;
	return asprintf(&folder, "%s/policy", state) < 0 ? NULL : folder;
}

int history_init(const char *state)
{
	char *folder = folder_of(state);
	if (folder == NULL)
		return -ENOMEM;
	int ret = mkdir(state, 0750) != 0 && errno != EEXIST ? -errno : 0;
	if (ret == 0 && mkdir(folder, 0750) != 0 && errno != EEXIST)
		ret = -errno;
	free(folder);
	return ret;
}

/* NNNNNNNNNN.img alone: what a crash left of image_save() has another name. */
static int is_image(const struct dirent *entry)
{
	return strspn(entry->d_name, "0123456789") == 10 && strcmp(entry->d_name + 10, ".img") == 0;
}

int history_save(const char *state, const struct image *image)
{
	char *folder = folder_of(state), *path = NULL;
	struct dirent **entries = NULL;
	int ret = -ENOMEM;
	if (folder == NULL || asprintf(&path, "%s/%010u.img", folder, image->header.epoch) < 0) {
		free(folder);
		return ret;
	}
	ret = image_save(image, path);
	int n = ret != 0 ? -1 : scandir(folder, &entries, is_image, alphasort);
	for (int i = 0; i < n; i++) {
		char *old = NULL;
		if (i < n - HISTORY_KEEP && asprintf(&old, "%s/%s", folder, entries[i]->d_name) >= 0)
			unlink(old);
		free(old);
		free(entries[i]);
	}
	free(entries);
	free(path);
	free(folder);
	return ret;
}

int history_newest(const char *state, struct image **ret_image)
{
	char *folder = folder_of(state);
	struct dirent **entries = NULL;
	int ret = -ENOENT;
	if (folder == NULL)
		return -ENOMEM;
	int n = scandir(folder, &entries, is_image, alphasort);
	for (int i = n - 1; i >= 0; i--) {
		char *path = NULL;
		const char *why = NULL;
		if (ret != 0 && asprintf(&path, "%s/%s", folder, entries[i]->d_name) >= 0) {
			ret = image_load(path, ret_image, &why);
			if (ret != 0)
				fprintf(stderr, "postern-manager: %s is passed over: %s\n", path,
				    why == NULL ? strerror(-ret) : why);
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
	free(folder);
	return ret == 0 ? 0 : -ENOENT;
}
