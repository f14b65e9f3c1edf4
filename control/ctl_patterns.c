/* SPDX-License-Identifier: BSD-3-Clause */
/* `patterns ...` that need no manager (ctl.h): the import of SpamAssassin's rules. */
#include "ctl.h"
#include "patterns_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* On a terminal alone: a log has no use for it. */
static void progress(void *arg, unsigned done, unsigned of)
{
	(void)arg;
	if (done % 8 == 0 || done == of)
		fprintf(stderr, "\r%u of %u expressions tried%s", done, of, done == of ? "\n" : "");
}

/* Written beside the file and put in its place whole: a pattern file that is listed in the
 * configuration may be read at any moment. */
static int write_out(const struct ctl *ctl, struct patterns_import *import, const char *out)
{
	char *beside = NULL;
	int ret = -ENOMEM, fd = -1;
	FILE *f = NULL;
	if (asprintf(&beside, "%s.XXXXXX", out) < 0)
		return ctl_fail(ctl, CTL_REFUSED, "%s: %s", out, strerror(ENOMEM));
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0644) != 0 || (f = fdopen(fd, "w")) == NULL) {
		ret = -errno;
		if (fd >= 0) {
			close(fd);
			unlink(beside);
		}
		goto out;
	}
	ret = patterns_import_write(import, f);
	if (ret == 0 && fsync(fd) != 0)
		ret = -errno;
	if (fclose(f) != 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(beside, out) != 0)
		ret = -errno;
	if (ret != 0)
		unlink(beside);
out:
	free(beside);
	return ret == 0 ? CTL_OK : ctl_fail(ctl, CTL_REFUSED, "%s: %s", out, strerror(-ret));
}

static int serve_import(const struct ctl *ctl, int argc, char **argv)
{
	const char *out = "spamassassin.patterns";
	const struct ctl_option options[] = {
		{ "--out", CTL_TEXT, &out },
		{ NULL, CTL_FLAG, NULL },
	};
	struct patterns_import *import = NULL;
	char error[512];
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	if (patterns_import_folder(argv[0], &import, error, sizeof(error)) != 0)
		return ctl_fail(ctl, CTL_REFUSED, "%s", error);
	patterns_import_check(import, isatty(STDERR_FILENO) ? progress : NULL, NULL);
	int ret = write_out(ctl, import, out);
	if (ret == CTL_OK && ctl->json) {
		json_t *json = patterns_import_json(import);
		json_object_set_new(json, "out", json_string(out));
		ctl_print_json(json);
		json_decref(json);
	} else if (ret == CTL_OK) {
		patterns_import_print(import, stdout);
	}
	patterns_import_free(import);
	return ret;
}

const struct ctl_command ctl_patterns_commands[] = {
	{ "patterns import", "DIR [--out FILE]", serve_import,
	    "Make a pattern file of SpamAssassin's rules.",
	    "Reads the *.cf files of a folder, as Debian's spamassassin has them in\n"
	    "/usr/share/spamassassin, and writes the rules that score, with what they need, as a\n"
	    "pattern file (default: spamassassin.patterns) that the configuration can list. Each\n"
	    "expression is tried, which takes a minute; the manager is not asked. Those that\n"
	    "neither Hyperscan nor PCRE2 takes are named; the last line counts them:\n"
	    "`compiled A confirm B refused C of D`. Of four scores the last one holds." },
	{ NULL, NULL, NULL, NULL, NULL },
};
