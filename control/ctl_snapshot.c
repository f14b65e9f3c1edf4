/* SPDX-License-Identifier: BSD-3-Clause */
/* See ctl_snapshot.h. */
#include "ctl_snapshot.h"

#include "ctl_lists.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PUT_AT_ONCE = 100, GREY_AT_ONCE = 200 };

static void keep(void *arg, json_t *entry)
{
	json_array_append(arg, entry);
}

static json_t *read_file(const struct ctl *ctl, const char *path)
{
	json_error_t error;
	json_t *snapshot = json_load_file(path, 0, &error);

	if (snapshot == NULL)
		ctl_fail(ctl, CTL_REFUSED,
		    "%s: %s; run-time entries need the right to read and write it", path,
		    error.text);
	return snapshot;
}

/* In place of the file, with its owner and mode. */
static int write_file(const struct ctl *ctl, const char *path, const json_t *snapshot)
{
	char *temp = NULL;
	struct stat was;
	int ret = CTL_OK;

	if (stat(path, &was) != 0 || asprintf(&temp, "%s.new", path) < 0)
		return ctl_fail(ctl, CTL_REFUSED, "%s: %s", path, strerror(errno));
	if (json_dump_file(snapshot, temp, JSON_INDENT(1)) != 0 ||
	    chmod(temp, was.st_mode & 07777) != 0 ||
	    (chown(temp, was.st_uid, was.st_gid) != 0 && geteuid() == 0) || rename(temp, path) != 0) {
		ret = ctl_fail(ctl, CTL_REFUSED, "%s: %s", temp, strerror(errno));
		unlink(temp);
	}
	free(temp);
	return ret;
}

static int add_greylist(const struct ctl *ctl, json_t *runtime)
{
	json_t *params = json_object(), *all = json_array(), *page = NULL;
	json_t *grey = json_object();
	bool more = true;
	int ret = CTL_OK;

	while (more) {
		const json_t *after;

		ret = ctl_ask(ctl, "grey.export", json_incref(params), &page);
		if (ret != CTL_OK)
			break;
		json_object_set(grey, "key_id", json_object_get(page, "key_id"));
		json_array_extend(all, json_object_get(page, "records"));
		after = json_object_get(page, "after");
		more = json_is_string(after);
		if (more)
			json_object_set_new(params, "after", json_copy((json_t *)after));
		json_decref(page);
	}
	json_object_set_new(grey, "records", all);
	json_object_set_new(runtime, "greylist", grey);
	json_decref(params);
	return ret;
}

int ctl_snapshot_add(const struct ctl *ctl, const char *path, bool greylist, long long *ret_entries)
{
	json_t *runtime = json_object(), *entries = json_array(), *snapshot = NULL;
	int ret = ctl_each_entry(ctl, "list.show", json_object(), keep, entries);

	if (ret == CTL_OK)
		ret = ctl_each_entry(ctl, "ban.show", json_object(), keep, entries);
	json_object_set(runtime, "entries", entries);
	if (ret == CTL_OK && greylist)
		ret = add_greylist(ctl, runtime);
	if (ret == CTL_OK) {
		snapshot = read_file(ctl, path);
		ret = snapshot == NULL ? CTL_REFUSED : CTL_OK;
	}
	if (ret == CTL_OK) {
		json_object_set(snapshot, "runtime", runtime);
		ret = write_file(ctl, path, snapshot);
		*ret_entries = (long long)json_array_size(entries);
	}
	json_decref(snapshot);
	json_decref(entries);
	json_decref(runtime);
	return ret;
}

/* rows in portions of `at_once`, as `key` of the method's params beside `more`. */
static int put(const struct ctl *ctl, const char *method, const char *key, const json_t *rows,
    size_t at_once, const json_t *more)
{
	int ret = CTL_OK;

	for (size_t at = 0; ret == CTL_OK && at < json_array_size(rows); at += at_once) {
		json_t *some = json_array(), *params = json_object(), *result = NULL;

		for (size_t i = at; i < at + at_once && i < json_array_size(rows); i++)
			json_array_append(some, json_array_get(rows, i));
		json_object_update(params, (json_t *)more);
		json_object_set_new(params, key, some);
		ret = ctl_ask(ctl, method, params, &result);
		json_decref(result);
	}
	return ret;
}

int ctl_snapshot_put_back(const struct ctl *ctl, const char *path, long long *ret_entries)
{
	json_t *snapshot = read_file(ctl, path), *runtime, *grey, *more;
	int ret;

	*ret_entries = 0;
	if (snapshot == NULL)
		return CTL_REFUSED;
	runtime = json_object_get(snapshot, "runtime");
	grey = json_object_get(runtime, "greylist");
	more = json_pack("{s:[]}", "remove");
	ret =
	    put(ctl, "list.restore", "put", json_object_get(runtime, "entries"), PUT_AT_ONCE, more);
	json_decref(more);
	if (ret == CTL_OK && grey != NULL) {
		more = json_pack("{s:O*}", "key_id", json_object_get(grey, "key_id"));
		ret = put(ctl, "grey.import", "records", json_object_get(grey, "records"),
		    GREY_AT_ONCE, more);
		json_decref(more);
	}
	if (ret == CTL_OK)
		*ret_entries = (long long)json_array_size(json_object_get(runtime, "entries"));
	json_decref(snapshot);
	return ret;
}
