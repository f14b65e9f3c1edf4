/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens by itself: a list file that changed is compiled once it rests (two looks with the
 * same stamp, so that a file under way is not read), and a setting whose time is up goes. Looks every
 * MANAGER_WATCH_MS. (Rejected: inotify; it is blind on network file systems, and a renamed or
 * re-linked path needs a watch on every folder above it.)
 */
#include "manager.h"
#include "override.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* {path: stamp}; a file that is not there has the stamp "gone". */
static json_t *stamps(const struct manager *m)
{
	const json_t *files = json_object_get(m->row, "files");
	json_t *all = json_object();
	for (size_t i = 0; i < json_array_size(files); i++) {
		const char *path =
		    json_string_value(json_object_get(json_array_get(files, i), "path"));
		struct stat st;
		if (path == NULL)
			continue;
		if (stat(path, &st) != 0)
			json_object_set_new(all, path, json_string("gone"));
		else
			json_object_set_new(all, path,
			    json_pack("[I, I, I]",
				(json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
				(json_int_t)st.st_size, (json_int_t)st.st_ino));
	}
	return all;
}

/* What was compiled, as its row says: size and time, the file's number is not known. */
static bool is_compiled(const struct manager *m, const json_t *now)
{
	const json_t *files = json_object_get(m->row, "files");
	for (size_t i = 0; i < json_array_size(files); i++) {
		const json_t *file = json_array_get(files, i);
		const char *path = json_string_value(json_object_get(file, "path"));
		const json_t *stamp = path == NULL ? NULL : json_object_get(now, path);
		if (stamp != NULL &&
		    (!json_equal(json_array_get(stamp, 0), json_object_get(file, "mtime_ns")) ||
			!json_equal(json_array_get(stamp, 1), json_object_get(file, "size"))))
			return false;
	}
	return true;
}

void manager_watch_settled(struct manager *m)
{
	json_decref(m->refused);
	m->refused = stamps(m);
}

static void look_at_files(struct manager *m)
{
	json_t *now = stamps(m);
	bool rests = m->seen != NULL && json_equal(m->seen, now);
	bool known = m->refused != NULL && json_equal(m->refused, now);
	json_decref(m->seen);
	m->seen = now;
	if (rests && !known && !is_compiled(m, now)) {
		const struct load_order order = { .how = "files", .reason = "a file changed" };
		manager_log("a file of the configuration has changed");
		manager_load(m, -1, &order);
	}
}

uint64_t manager_watch(struct manager *m)
{
	int64_t next;
	if (m->now_ms < m->watch_ms)
		return m->watch_ms;
	m->watch_ms = m->now_ms + MANAGER_WATCH_MS;
	if (m->starting || m->load != NULL || m->handing_over || m->current == NULL)
		return m->watch_ms;
	json_t *left = overrides_expire(m->overrides, manager_time(), &next);
	if (left != NULL) {
		const struct load_order order = { .how = "time is up", .overrides = left };
		manager_load(m, -1, &order);
	} else {
		look_at_files(m);
		next -= next == INT64_MAX ? 0 : manager_time();
		if (next < MANAGER_WATCH_MS / 1000) /* settings go within their second */
			m->watch_ms = m->now_ms + (next <= 0 ? 0 : (uint64_t)next * 1000);
	}
	return m->watch_ms;
}
