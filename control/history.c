/* SPDX-License-Identifier: BSD-3-Clause */
/* Committed images in the state directory (history.h). */
#include "history.h"
#include "config_walk.h"
#include "state_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOURCE_MAX = 64 * 1024 * 1024 };

static char *folder_of(const char *state)
{
	char *folder = NULL;
	return asprintf(&folder, "%s/policy", state) < 0 ? NULL : folder;
}

char *history_kept(const char *state)
{
	char *folder = NULL;
	return asprintf(&folder, "%s/files", state) < 0 ? NULL : folder;
}

static char *path_of(const char *state, uint32_t epoch, const char *ending)
{
	char *path = NULL;
	return asprintf(&path, "%s/policy/%010u.%s", state, epoch, ending) < 0 ? NULL : path;
}

int history_init(const char *state)
{
	char *folder = folder_of(state), *kept = history_kept(state);
	int ret = folder == NULL || kept == NULL ? -ENOMEM : 0;
	if (ret == 0 && mkdir(state, 0750) != 0 && errno != EEXIST)
		ret = -errno;
	if (ret == 0 && mkdir(folder, 0750) != 0 && errno != EEXIST)
		ret = -errno;
	if (ret == 0 && mkdir(kept, 0750) != 0 && errno != EEXIST)
		ret = -errno;
	free(folder);
	free(kept);
	return ret;
}

/* NNNNNNNNNN.img alone: what a crash left of image_save() has another name. */
static bool ends_in(const struct dirent *entry, const char *ending)
{
	return strspn(entry->d_name, "0123456789") == 10 && strcmp(entry->d_name + 10, ending) == 0;
}

static int is_image(const struct dirent *entry)
{
	return ends_in(entry, ".img");
}

static int is_source(const struct dirent *entry)
{
	return ends_in(entry, ".yaml");
}

static int is_row(const struct dirent *entry)
{
	return ends_in(entry, ".json");
}

static int is_kept(const struct dirent *entry)
{
	return strlen(entry->d_name) == IMAGE_HEX_LEN;
}

static void prune(const char *folder, int (*which)(const struct dirent *), int keep)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, which, alphasort);
	for (int i = 0; i < n; i++) {
		char *old = NULL;
		if (i < n - keep && asprintf(&old, "%s/%s", folder, entries[i]->d_name) >= 0)
			unlink(old);
		free(old);
		free(entries[i]);
	}
	free(entries);
}

/* Copies that no kept row names any more. */
static void prune_files(const char *state)
{
	char *kept = history_kept(state);
	struct dirent **entries = NULL;
	json_t *named = json_object(), *rows = history_rows(state);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *files = json_object_get(json_array_get(rows, i), "files");
		bool alive = json_is_true(json_object_get(json_array_get(rows, i), "rollback"));
		for (size_t f = 0; alive && f < json_array_size(files); f++) {
			const char *sha =
			    json_string_value(json_object_get(json_array_get(files, f), "sha256"));
			if (sha != NULL)
				json_object_set_new(named, sha, json_true());
		}
	}
	int n = kept == NULL ? -1 : scandir(kept, &entries, is_kept, NULL);
	for (int i = 0; i < n; i++) {
		char *old = NULL;
		if (json_object_get(named, entries[i]->d_name) == NULL &&
		    asprintf(&old, "%s/%s", kept, entries[i]->d_name) >= 0)
			unlink(old);
		free(old);
		free(entries[i]);
	}
	free(entries);
	free(kept);
	json_decref(named);
	json_decref(rows);
}

static void prune_all(const char *state)
{
	char *folder = folder_of(state);
	if (folder != NULL) {
		prune(folder, is_image, HISTORY_KEEP);
		prune(folder, is_source, HISTORY_KEEP);
		prune(folder, is_row, HISTORY_KEEP_ROWS);
		prune_files(state);
	}
	free(folder);
}

int history_save(const char *state, const struct image *image)
{
	char *path = path_of(state, image->header.epoch, "img");
	int ret = path == NULL ? -ENOMEM : image_save(image, path);
	if (ret == 0)
		prune_all(state);
	free(path);
	return ret;
}

/* ---- prepare and commit ---- */

int history_prepare(
    const char *state, const struct image *image, const char *text, size_t len, const json_t *row)
{
	char *folder = folder_of(state), *path = NULL;
	int ret = -ENOMEM;
	if (folder == NULL || asprintf(&path, "%s/next.img", folder) < 0) {
		free(folder);
		return ret;
	}
	ret = image_save(image, path);
	if (ret == 0 && text != NULL)
		ret = state_write(folder, "next.yaml", text, len);
	if (ret == 0)
		ret = state_save(folder, "next.json", row);
	free(path);
	free(folder);
	return ret;
}

int history_commit(const char *state, uint32_t epoch)
{
	/* the image last: it is what makes the epoch one */
	static const char *const endings[] = { "yaml", "json", "img" };
	char *folder = folder_of(state);
	int ret = folder == NULL ? -ENOMEM : 0;
	for (unsigned i = 0; i < 3 && ret == 0; i++) {
		char *from = NULL, *to = path_of(state, epoch, endings[i]);
		if (to == NULL || asprintf(&from, "%s/next.%s", folder, endings[i]) < 0)
			ret = -ENOMEM;
		else if (rename(from, to) != 0 && (errno != ENOENT || i == 2))
			ret = -errno;
		free(from);
		free(to);
	}
	if (ret == 0)
		ret = state_sync_folder(folder);
	if (ret == 0)
		prune_all(state);
	free(folder);
	return ret;
}

void history_forget(const char *state)
{
	static const char *const endings[] = { "yaml", "json", "img" };
	for (unsigned i = 0; i < 3; i++) {
		char *path = NULL;
		if (asprintf(&path, "%s/policy/next.%s", state, endings[i]) < 0)
			return;
		unlink(path);
		free(path);
	}
}

int history_keep(const char *state, uint32_t epoch, const char *text, size_t len, const json_t *row)
{
	char *folder = folder_of(state), name[32];
	json_t *copy = row == NULL ? json_object() : json_deep_copy(row);
	int ret = folder == NULL || copy == NULL ? -ENOMEM : 0;
	json_object_set_new(copy, "epoch", json_integer((json_int_t)epoch));
	snprintf(name, sizeof(name), "%010u.yaml", epoch);
	if (ret == 0)
		ret = state_write(folder, name, text, len);
	snprintf(name, sizeof(name), "%010u.json", epoch);
	if (ret == 0)
		ret = state_save(folder, name, copy);
	json_decref(copy);
	free(folder);
	return ret;
}

/* ---- reading ---- */

int history_image(const char *state, uint32_t epoch, struct image **ret_image)
{
	char *path = path_of(state, epoch, "img");
	const char *why = NULL;
	int ret = path == NULL ? -ENOMEM : image_load(path, ret_image, &why);
	free(path);
	return ret;
}

int history_source(const char *state, uint32_t epoch, char **ret_text, size_t *ret_len)
{
	char *path = path_of(state, epoch, "yaml");
	int ret = path == NULL ? -ENOMEM : state_read(path, SOURCE_MAX, ret_text, ret_len);
	free(path);
	return ret;
}

json_t *history_row(const char *state, uint32_t epoch)
{
	char name[32], *folder = folder_of(state);
	snprintf(name, sizeof(name), "%010u.json", epoch);
	json_t *row = folder == NULL ? NULL : state_load(folder, name);
	free(folder);
	return row;
}

json_t *history_rows(const char *state)
{
	char *folder = folder_of(state);
	struct dirent **entries = NULL;
	json_t *rows = json_array();
	int n = folder == NULL ? -1 : scandir(folder, &entries, is_row, alphasort);
	for (int i = n - 1; i >= 0; i--) {
		json_t *row = state_load(folder, entries[i]->d_name);
		char *image = NULL;
		if (json_is_object(row) &&
		    asprintf(&image, "%s/%.10s.img", folder, entries[i]->d_name) >= 0) {
			json_object_set_new(row, "rollback", json_boolean(access(image, R_OK) == 0));
			json_array_append(rows, row);
		}
		free(image);
		json_decref(row);
		free(entries[i]);
	}
	free(entries);
	free(folder);
	return rows;
}

/* ---- files of a configuration ---- */

int history_hash(const char *path, char ret_hex[IMAGE_HEX_LEN + 1], uint64_t *ret_len)
{
	enum { PIECE = 256 * 1024 };
	uint8_t sha256[IMAGE_HASH_LEN];
	uint64_t len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char *buf = malloc(PIECE);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = fd < 0 ? -errno : 0;
	if (ret == 0 &&
	    (ctx == NULL || buf == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1))
		ret = -ENOMEM;
	while (ret == 0) {
		ssize_t n = read(fd, buf, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		EVP_DigestUpdate(ctx, buf, (size_t)n);
		len += (uint64_t)n;
	}
	if (ret == 0) {
		EVP_DigestFinal_ex(ctx, sha256, NULL);
		image_hex(sha256, ret_hex);
		*ret_len = len;
	}
	if (fd >= 0)
		close(fd);
	EVP_MD_CTX_free(ctx);
	free(buf);
	return ret;
}

struct files {
	const struct config *config;
	char *kept;
	json_t *rows;
};

static bool keep_copy(const struct files *files, const char *path, const char *hex)
{
	char *copy = NULL, *text = NULL;
	size_t len = 0;
	bool kept = false;
	if (files->kept == NULL || asprintf(&copy, "%s/%s", files->kept, hex) < 0)
		return false;
	if (access(copy, R_OK) == 0) {
		kept = true;
	} else if (state_read(path, HISTORY_FILE_MAX, &text, &len) == 0) {
		uint8_t sha256[IMAGE_HASH_LEN];
		char again[IMAGE_HEX_LEN + 1];
		image_sha256(text, len, sha256); /* it may have been changed since */
		image_hex(sha256, again);
		kept = strcmp(again, hex) == 0 && state_write(files->kept, hex, text, len) == 0;
	}
	free(text);
	free(copy);
	return kept;
}

static void add_file(void *arg, const char *path, const struct schema_key *key, unsigned flags,
    const struct config_value *value)
{
	struct files *files = arg;
	char hex[IMAGE_HEX_LEN + 1], *file = NULL;
	uint64_t len = 0;
	struct stat st;
	(void)flags;
	if (!config_is_file(key) || *value->text == '\0')
		return;
	file = config_beside(files->config, value->text);
	if (file == NULL || stat(file, &st) != 0 || !S_ISREG(st.st_mode) ||
	    history_hash(file, hex, &len) != 0) {
		free(file);
		return;
	}
	bool kept = len <= HISTORY_FILE_MAX && keep_copy(files, file, hex);
	json_array_append_new(files->rows,
	    json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "key", path, "path", file, "sha256", hex,
		"size", (json_int_t)len, "mtime_ns",
		(json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, "kept", kept));
	free(file);
}

json_t *history_files(const char *state, const struct config *config)
{
	struct files files = { config, history_kept(state), json_array() };
	config_walk(config, add_file, &files);
	free(files.kept);
	return files.rows;
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
