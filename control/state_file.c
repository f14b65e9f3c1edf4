/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files of the state directory (state_file.h). */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_MAX = 16 * 1024 * 1024 };

int state_sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd < 0 || fsync(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len != 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int state_write(const char *folder, const char *name, const void *data, size_t len)
{
	char *path = NULL, *beside = NULL;
	int ret = -ENOMEM, fd = -1;
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		goto out;
	}
	if (asprintf(&beside, "%s.new.XXXXXX", path) < 0) {
		beside = NULL;
		goto out;
	}
	fd = mkostemp(beside, O_CLOEXEC);
	ret = fd < 0 || fchmod(fd, 0640) != 0 ? -errno : write_all(fd, data, len);
	if (ret == 0 && fsync(fd) != 0)
		ret = -errno;
	if (fd >= 0 && close(fd) != 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(beside, path) != 0)
		ret = -errno;
	if (ret != 0 && fd >= 0)
		unlink(beside);
	if (ret == 0)
		ret = state_sync_folder(folder);
out:
	free(beside);
	free(path);
	return ret;
}

int state_save(const char *folder, const char *name, const json_t *json)
{
	char *text = json_dumps(json, JSON_INDENT(1));
	int ret = text == NULL ? -ENOMEM : state_write(folder, name, text, strlen(text));
	free(text);
	return ret;
}

int state_read(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	struct stat st;
	char *text = NULL;
	size_t len = 0;
	/* a FIFO in its place must not hang the manager */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = 0;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	else if ((uintmax_t)st.st_size > max)
		ret = -EFBIG;
	else if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		ret = -ENOMEM;
	while (ret == 0 && len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	if (ret != 0) {
		free(text);
		return ret;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

json_t *state_load(const char *folder, const char *name)
{
	char *path = NULL, *text = NULL;
	json_t *json = NULL;
	json_error_t error;
	size_t len = 0;
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return NULL;
	int ret = state_read(path, STATE_MAX, &text, &len);
	if (ret == 0) {
		json = json_loadb(text, len, 0, &error);
		if (json == NULL)
			fprintf(stderr, "postern-manager: %s is passed over: not JSON in line %d\n",
			    path, error.line);
	} else if (ret != -ENOENT) {
		fprintf(stderr, "postern-manager: %s is passed over: %s\n", path, strerror(-ret));
	}
	free(text);
	free(path);
	return json;
}
