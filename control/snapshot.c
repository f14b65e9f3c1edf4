/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything an engineer configured, in one file (snapshot.h). */
#include "snapshot.h"
#include "config_walk.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct position nowhere = { 0, 0 };

struct taking {
	const struct config *config;
	json_t *files;
	struct complaints *complaints;
};

static void take_file(void *arg, const char *path, const struct schema_key *key, unsigned flags,
    const struct config_value *value)
{
	struct taking *t = arg;
	char *file = NULL, *text = NULL;
	size_t len = 0;
	(void)flags;
	if (!config_is_file(key) || *value->text == '\0')
		return;
	file = config_beside(t->config, value->text);
	int ret = file == NULL ? -ENOMEM : state_read(file, SNAPSHOT_FILE_MAX, &text, &len);
	json_t *content = ret == 0 ? json_stringn(text, len) : NULL;
	if (content == NULL)
		complain(t->complaints, file == NULL ? value->text : file, nowhere,
		    "cannot be taken: %s",
		    ret == -EFBIG ? "larger than 64 MiB"
		    : ret == 0    ? "not UTF-8"
				  : strerror(-ret));
	else
		json_array_append_new(t->files,
		    json_pack("{s:s, s:s, s:o}", "key", path, "name", value->text, "text", content));
	free(text);
	free(file);
}

json_t *snapshot_make(const char *path, const char *text, size_t len, const json_t *overrides,
    int64_t now, struct complaints *complaints)
{
	unsigned long before = complaints->total;
	struct config *config = config_parse_with(path, text, len, overrides, complaints);
	struct taking t = { config, json_array(), complaints };
	json_t *snapshot = NULL;
	if (config != NULL)
		config_walk(config, take_file, &t);
	if (complaints->total == before)
		snapshot = json_pack("{s:i, s:I, s:{s:s, s:s%}, s:O, s:O?}", "postern_snapshot", 1,
		    "time", (json_int_t)now, "config", "path", path, "text", text, len, "files",
		    t.files, "overrides", overrides);
	if (snapshot == NULL && complaints->total == before)
		complain(complaints, path, nowhere, "cannot be taken: not UTF-8, or no memory");
	json_decref(t.files);
	config_free(config);
	return snapshot;
}

static const char *text_in(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_t *snapshot_read(const char *path, struct complaints *complaints)
{
	char *text = NULL;
	size_t len = 0;
	json_error_t why = { .line = 0 };
	int ret = state_read(path, SNAPSHOT_MAX, &text, &len);
	json_t *snapshot = ret == 0 ? json_loadb(text, len, 0, &why) : NULL;
	const json_t *config = json_object_get(snapshot, "config");
	const json_t *files = json_object_get(snapshot, "files");
	const char *yaml = text_in(config, "text");
	bool good = json_integer_value(json_object_get(snapshot, "postern_snapshot")) == 1 &&
		    yaml != NULL && json_is_array(files);
	for (size_t i = 0; i < json_array_size(files); i++)
		good = good && text_in(json_array_get(files, i), "name") != NULL &&
		       text_in(json_array_get(files, i), "text") != NULL;
	if (ret != 0)
		complain(complaints, path, nowhere, "cannot be read: %s", strerror(-ret));
	else if (!good)
		complain(complaints, path,
		    (struct position){ why.line > 0 ? (unsigned)why.line : 0, 1 },
		    "is no snapshot; allowed: what `posternctl snapshot save` has written");
	free(text);
	struct config *parsed = good ? config_parse_with(path, yaml, strlen(yaml),
					   json_object_get(snapshot, "overrides"), complaints)
				     : NULL;
	if (parsed == NULL) {
		json_decref(snapshot);
		return NULL;
	}
	config_free(parsed);
	return snapshot;
}

static bool put(const char *path, const char *text, struct complaints *complaints)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
	char *old = NULL, *before = NULL;
	size_t len = 0;
	int ret = folder == NULL ? -ENOMEM : state_read(path, SNAPSHOT_FILE_MAX, &old, &len);
	bool same = ret == 0 && len == strlen(text) && memcmp(old, text, len) == 0;
	if (ret == -ENOENT)
		ret = 0;
	else if (ret == 0 && !same)
		ret = asprintf(&before, "%s.before-restore", path) < 0 ? -ENOMEM
		      : rename(path, before) != 0                      ? -errno
								       : 0;
	if (ret == 0 && !same)
		ret = state_write(folder, slash == NULL ? path : slash + 1, text, strlen(text));
	if (ret != 0)
		complain(complaints, path, nowhere, "cannot be put back: %s", strerror(-ret));
	free(before);
	free(old);
	free(folder);
	return ret == 0;
}

bool snapshot_unpack(const json_t *snapshot, const char *config, struct complaints *complaints)
{
	const struct config place = { .path = config };
	const json_t *files = json_object_get(snapshot, "files");
	bool good = true;
	for (size_t i = 0; i < json_array_size(files) && good; i++) {
		const json_t *one = json_array_get(files, i);
		char *path = config_beside(&place, text_in(one, "name"));
		good = path != NULL && put(path, text_in(one, "text"), complaints);
		free(path);
	}
	return good && put(config, text_in(json_object_get(snapshot, "config"), "text"), complaints);
}
