/* SPDX-License-Identifier: BSD-3-Clause */
/* The import as a whole: the folder's files in their order, and the report (patterns_import.h). */
#include "patterns_import.h"

#include "patterns_import_rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_rule_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return entry->d_name[0] != '.' && len > 3 && strcmp(entry->d_name + len - 3, ".cf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The whole file, to be freed. */
static int slurp(int folder, const char *name, char **ret_text, size_t *ret_len)
{
	struct stat st;
	int ret = 0;
	char *text = NULL;
	size_t have = 0;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		ret = -EINVAL;
		goto out;
	}
	if (st.st_size > PATTERNS_IMPORT_FILE_MAX) {
		ret = -EFBIG;
		goto out;
	}
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL) {
		ret = -ENOMEM;
		goto out;
	}
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
out:
	close(fd);
	if (ret != 0) {
		free(text);
		return ret;
	}
	*ret_text = text;
	*ret_len = have;
	return 0;
}

int patterns_import_folder(
    const char *folder, struct patterns_import **ret_import, char *error, size_t error_size)
{
	struct dirent **names = NULL;
	struct patterns_import *import = NULL;
	int n = 0, ret = 0;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		snprintf(error, error_size, "%s: %s", folder, strerror(-ret));
		return ret;
	}
	n = scandir(folder, &names, is_rule_file, by_name);
	if (n <= 0 || n > PATTERNS_IMPORT_FILES_MAX) {
		ret = n < 0 ? -errno : n == 0 ? -ENOENT : -E2BIG;
		snprintf(error, error_size, "%s: %s", folder,
		    n < 0    ? strerror(-ret)
		    : n == 0 ? "no rule file (*.cf) is in this folder"
			     : "more than 1024 rule files");
		goto out;
	}
	import = sa_new();
	ret = import == NULL ? -ENOMEM : 0;
	for (int i = 0; i < n && ret == 0; i++) {
		char *text = NULL;
		size_t len = 0;
		const char *name = names[i]->d_name;
		ret = slurp(fd, name, &text, &len);
		if (ret == 0)
			ret = sa_read(import, name, text, len);
		free(text);
		if (ret != 0)
			snprintf(error, error_size, "%s/%s: %s", folder, name,
			    ret == -EINVAL ? "no plain file, or more rules than the import takes"
					   : strerror(-ret));
	}
	if (ret == 0) {
		sa_finish(import);
		*ret_import = import;
		import = NULL;
	}
out:
	patterns_import_free(import);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	close(fd);
	return ret;
}

int patterns_import_text(
    const char *name, const char *text, size_t len, struct patterns_import **ret_import)
{
	struct patterns_import *import = sa_new();
	int ret = import == NULL ? -ENOMEM : sa_read(import, name, text, len);
	if (ret != 0) {
		patterns_import_free(import);
		return ret;
	}
	sa_finish(import);
	*ret_import = import;
	return 0;
}

const struct patterns_import_counts *patterns_import_counts(const struct patterns_import *import)
{
	return &import->counts;
}

unsigned patterns_import_refused(
    const struct patterns_import *import, const struct patterns_import_note **ret_notes)
{
	*ret_notes = import->refused;
	return import->n_refused;
}

void patterns_import_print(const struct patterns_import *import, FILE *to)
{
	const struct patterns_import_counts *c = &import->counts;
	for (unsigned i = 0; i < import->n_refused; i++)
		fprintf(to, "%s:%u: %s: %s\n", import->refused[i].file, import->refused[i].line,
		    import->refused[i].rule, import->refused[i].why);
	fprintf(to,
	    "not written: %u for another version or plug-in, %u replaced later, %u switched off, "
	    "%u look at what is not here, %u that nothing asks for\n",
	    c->not_taken, c->replaced, c->off, c->no_zone, c->unused);
	fprintf(to,
	    "written: %u rules, %u of them with a score, in %u expressions; %u rules of the "
	    "branches taken are Perl code\n",
	    c->rules, c->scored, c->lines, c->evals);
	fprintf(to,
	    "carried %u metas, %u need what is not here (of %u: %u never hit, %u are switched off, "
	    "%u nothing asks for)\n",
	    c->metas_carried, c->metas_lacking, c->metas, c->metas_constant, c->metas_off,
	    c->metas_unused);
	fprintf(to, "compiled %u confirm %u refused %u of %u\n", c->compiled, c->confirm,
	    c->refused, c->expressions);
}

json_t *patterns_import_json(const struct patterns_import *import)
{
	const struct patterns_import_counts *c = &import->counts;
	json_t *refused = json_array();
	for (unsigned i = 0; i < import->n_refused; i++) {
		const struct patterns_import_note *note = &import->refused[i];
		json_array_append_new(
		    refused, json_pack("{s:s, s:I, s:s, s:s}", "file", note->file, "line",
				 (json_int_t)note->line, "rule", note->rule, "why", note->why));
	}
	return json_pack(
	    "{s:i, s:i, s:i, s:i, s:o, s:{s:i, s:i, s:i, s:i, s:i}, s:{s:i, s:i, s:i}, s:i,"
	    " s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:i}",
	    "expressions", c->expressions, "compiled", c->compiled, "confirm", c->confirm,
	    "refused", c->refused, "refusals", refused, "not_written", "not_taken", c->not_taken,
	    "replaced", c->replaced, "off", c->off, "no_zone", c->no_zone, "unused", c->unused,
	    "written", "rules", c->rules, "scored", c->scored, "expressions", c->lines, "perl",
	    c->evals, "metas", "all", c->metas, "carried", c->metas_carried, "lacking",
	    c->metas_lacking, "constant", c->metas_constant, "off", c->metas_off, "unused",
	    c->metas_unused, "files", c->files);
}
