/* SPDX-License-Identifier: BSD-3-Clause */
/* history.c with image_file.c: what is saved comes back, what is broken is passed over. */
#include "history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct folder {
	char path[64];
	struct image *image;
};

static int make(void **state)
{
	static struct folder folder;
	struct complaints complaints;
	snprintf(folder.path, sizeof(folder.path), "/tmp/postern-history-XXXXXX");
	if (mkdtemp(folder.path) == NULL)
		return -1;
	complaints_init(&complaints);
	folder.image = image_from_file(POSTERN_EXAMPLES "/appliance.yaml", 1, NULL, &complaints);
	complaints_fini(&complaints);
	*state = &folder;
	return folder.image == NULL ? -1 : history_init(folder.path);
}

static int each_file(const char *path, int (*visit)(const char *file))
{
	char folder[128], file[512];
	int n = 0;
	snprintf(folder, sizeof(folder), "%s/policy", path);
	DIR *dir = opendir(folder);
	if (dir == NULL)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", folder, entry->d_name);
		n++;
		if (visit != NULL)
			visit(file);
	}
	closedir(dir);
	return n;
}

static int drop(void **state)
{
	struct folder *folder = *state;
	char path[128];
	each_file(folder->path, unlink);
	snprintf(path, sizeof(path), "%s/policy", folder->path);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/files", folder->path);
	rmdir(path);
	image_free(folder->image);
	return rmdir(folder->path);
}

static void file_of(const struct folder *folder, unsigned epoch, char ret_path[128])
{
	snprintf(ret_path, 128, "%s/policy/%010u.img", folder->path, epoch);
}

static void the_newest_comes_back(void **state)
{
	const struct folder *folder = *state;
	struct image *image = NULL;
	assert_int_equal(history_newest(folder->path, &image), -ENOENT);
	for (uint32_t epoch = 9; epoch <= 11; epoch++) {
		assert_int_equal(image_renumber(folder->image, epoch), 0);
		assert_int_equal(history_save(folder->path, folder->image), 0);
	}
	assert_int_equal(history_newest(folder->path, &image), 0);
	assert_int_equal(image->header.epoch, 11);
	assert_true(image_same(image, folder->image));
	for (unsigned i = 0; i < image->n_parts; i++)
		assert_memory_equal(
		    image->parts[i].base, folder->image->parts[i].base, image->parts[i].len);
	assert_int_equal(image_renumber(image, 12), 0); /* of one that is mapped, too */
	image_free(image);
}

static void a_broken_one_is_passed_over(void **state)
{
	const struct folder *folder = *state;
	char path[128];
	struct image *image = NULL;
	for (uint32_t epoch = 1; epoch <= 4; epoch++) {
		assert_int_equal(image_renumber(folder->image, epoch), 0);
		assert_int_equal(history_save(folder->path, folder->image), 0);
	}
	file_of(folder, 4, path); /* cut */
	assert_int_equal(truncate(path, 20000), 0);
	file_of(folder, 3, path); /* a bit of a part turned */
	int fd = open(path, O_RDWR);
	char byte;
	off_t at = (off_t)folder->image->header.parts[1].offset + 3;
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
	file_of(folder, 5, path); /* empty */
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(history_newest(folder->path, &image), 0);
	assert_int_equal(image->header.epoch, 2);
	image_free(image);
}

static void a_bounded_number_is_kept(void **state)
{
	const struct folder *folder = *state;
	char path[128];
	for (uint32_t epoch = 1; epoch <= HISTORY_KEEP + 3; epoch++) {
		assert_int_equal(image_renumber(folder->image, epoch), 0);
		assert_int_equal(history_save(folder->path, folder->image), 0);
	}
	assert_int_equal(each_file(folder->path, NULL), HISTORY_KEEP);
	file_of(folder, 3, path);
	assert_int_not_equal(access(path, F_OK), 0);
	file_of(folder, 4, path);
	assert_int_equal(access(path, F_OK), 0);
}

static void a_folder_that_cannot_be_written_is_an_error(void **state)
{
	const struct folder *folder = *state;
	assert_int_equal(history_save("/nonexistent/postern", folder->image), -ENOENT);
	assert_int_equal(history_init("/nonexistent/postern"), -ENOENT);
	assert_int_equal(each_file(folder->path, NULL), 0);
}

static void a_commit_has_source_and_row(void **state)
{
	const struct folder *folder = *state;
	struct image *image = NULL;
	char *text = NULL;
	size_t len = 0;
	json_t *row = json_pack("{s:i, s:s}", "epoch", 7, "reason", "a try");
	assert_int_equal(image_renumber(folder->image, 7), 0);
	assert_int_equal(history_prepare(folder->path, folder->image, "version: 1\n", 11, row), 0);
	assert_int_equal(history_newest(folder->path, &image), -ENOENT); /* not yet */
	assert_int_equal(history_commit(folder->path, 7), 0);
	assert_int_equal(history_image(folder->path, 7, &image), 0);
	image_free(image);
	assert_int_equal(history_source(folder->path, 7, &text, &len), 0);
	assert_string_equal(text, "version: 1\n");
	free(text);
	json_t *kept = history_row(folder->path, 7), *rows = history_rows(folder->path);
	assert_true(json_equal(kept, row));
	assert_int_equal(json_array_size(rows), 1);
	assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "rollback")));
	json_decref(kept);
	json_decref(rows);
	assert_null(history_row(folder->path, 8));
	assert_int_equal(history_source(folder->path, 8, &text, &len), -ENOENT);
	/* prepared and dropped: nothing stays */
	assert_int_equal(history_prepare(folder->path, folder->image, "x", 1, row), 0);
	history_forget(folder->path);
	assert_true(history_commit(folder->path, 8) < 0);
	json_decref(row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_commit_has_source_and_row, make, drop),
		cmocka_unit_test_setup_teardown(the_newest_comes_back, make, drop),
		cmocka_unit_test_setup_teardown(a_broken_one_is_passed_over, make, drop),
		cmocka_unit_test_setup_teardown(a_bounded_number_is_kept, make, drop),
		cmocka_unit_test_setup_teardown(
		    a_folder_that_cannot_be_written_is_an_error, make, drop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
