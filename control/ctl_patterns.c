/* SPDX-License-Identifier: BSD-3-Clause */
/* `patterns ...` that need no manager (ctl.h): the import of SpamAssassin's rules. */
#include "ctl.h"
#include "patterns_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

/* ---- in an emergency: settings of their own, each with its time (override.h) ---- */

static const char emergency[] = "patterns.emergency.";

static bool name_good(const char *name)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t len = strlen(name);
	return len > 0 && len <= 48 && strspn(name, letters) == len;
}

static int serve_add(const struct ctl *ctl, int argc, char **argv)
{
	const char *name = NULL, *action = NULL, *score = NULL, *reason = NULL;
	char made[32], key[96], *value = NULL;
	uint64_t for_s = 0;
	json_t *result = NULL;
	const struct ctl_option options[] = {
		{ "--action", CTL_TEXT, &action },
		{ "--score", CTL_TEXT, &score },
		{ "--for", CTL_DURATION, &for_s },
		{ "--name", CTL_TEXT, &name },
		{ "--reason", CTL_TEXT, &reason },
		{ NULL, CTL_FLAG, NULL },
	};
	if (!ctl_options(ctl, &argc, argv, options, 1, 1))
		return CTL_USAGE;
	if (name == NULL) {
		snprintf(made, sizeof(made), "E%llx", (unsigned long long)time(NULL));
		name = made;
	}
	if (!name_good(name))
		return ctl_usage(ctl, "--name is letters, digits, _ and -, 48 at most");
	if (action == NULL && score == NULL)
		return ctl_usage(
		    ctl, "say --action or --score: a pattern with neither does nothing");
	snprintf(key, sizeof(key), "%s%s", emergency, name);
	if (asprintf(&value, "%s%s%s%s%s", argv[0],
		action == NULL ? "" : " action=", action == NULL ? "" : action,
		score == NULL ? "" : " score=", score == NULL ? "" : score) < 0)
		return ctl_fail(ctl, CTL_REFUSED, "no memory");
	json_t *params = json_pack("{s:s, s:s, s:s*}", "key", key, "value", value, "reason", reason);
	free(value);
	if (for_s != 0)
		json_object_set_new(params, "for_s", json_integer((json_int_t)for_s));
	int ret = ctl_ask(ctl, "config.set", params, &result);
	if (ret != CTL_OK)
		return ret;
	json_object_set_new(result, "name", json_string(name));
	if (ctl->json)
		ctl_print_json(result);
	else
		printf("pattern %s is in force, epoch %lld\n", name, ctl_number_in(result, "epoch"));
	json_decref(result);
	return CTL_OK;
}

static int serve_del(const struct ctl *ctl, int argc, char **argv)
{
	char key[96];
	if (!ctl_options(ctl, &argc, argv, NULL, 1, 1))
		return CTL_USAGE;
	if (!name_good(argv[0]))
		return ctl_usage(ctl, "`pattern del` wants a name, as `pattern show` tells");
	snprintf(key, sizeof(key), "%s%s", emergency, argv[0]);
	return ctl_ask_show(
	    ctl, "config.reset", json_pack("{s:s}", "key", key), NULL, "the pattern is gone");
}

static int serve_show(const struct ctl *ctl, int argc, char **argv)
{
	json_t *result = NULL, *patterns = json_array();
	if (!ctl_options(ctl, &argc, argv, NULL, 0, 0))
		return CTL_USAGE;
	int ret = ctl_ask(ctl, "status", NULL, &result);
	if (ret != CTL_OK)
		return ret;
	const json_t *all = json_object_get(json_object_get(result, "manager"), "overrides");
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		const char *key = ctl_text_in(one, "key");
		long long until = ctl_number_in(one, "until");
		char when[CTL_TIME_MAX];
		if (strncmp(key, emergency, sizeof(emergency) - 1) != 0)
			continue;
		key += sizeof(emergency) - 1;
		json_array_append_new(patterns,
		    json_pack("{s:s, s:s, s:I, s:s, s:O?}", "name", key, "pattern",
			ctl_text_in(one, "value"), "until", (json_int_t)until, "user",
			ctl_text_in(one, "user"), "reason", json_object_get(one, "reason")));
		if (!ctl->json)
			printf("%-16s %s  (%s%s, by %s)\n", key, ctl_text_in(one, "value"),
			    until == 0 ? "for good" : "until ",
			    until == 0 ? "" : ctl_time(until, when), ctl_text_in(one, "user"));
	}
	if (ctl->json) {
		json_t *root = json_pack("{s:O}", "patterns", patterns);
		ctl_print_json(root);
		json_decref(root);
	} else if (json_array_size(patterns) == 0) {
		puts("no pattern was added; those of files are in the configuration");
	}
	json_decref(patterns);
	json_decref(result);
	return CTL_OK;
}

const struct ctl_command ctl_patterns_commands[] = {
	{ "pattern add",
	    "PATTERN [--action WORD] [--score N] [--for 2h] [--name NAME] [--reason TEXT]",
	    serve_add, "Adds a pattern to what is looked for in messages, at once.",
	    "PATTERN is written as in a pattern file (postern.patterns(5)): 'subject:/lottery/i',\n"
	    "'url:/(^|\\.)example\\.net$/'. --action: mark, grey, defer, refuse or tarpit; "
	    "--score:\n"
	    "points. It is a setting of its own (`set`), small and quickly compiled whatever the "
	    "files\n"
	    "hold; --for ends it; `undo` takes it back." },
	{ "pattern del", "NAME", serve_del, "Takes back a pattern that was added.", NULL },
	{ "pattern show", "", serve_show, "The patterns that were added, and until when.", NULL },
	{ "patterns import", "DIR [--out FILE]", serve_import,
	    "Makes a pattern file of SpamAssassin's rules.",
	    "Reads the *.cf files of a folder, as Debian's spamassassin has them in\n"
	    "/usr/share/spamassassin, and writes the rules that score, with what they need, as a\n"
	    "pattern file (default: spamassassin.patterns) that the configuration can list. Each\n"
	    "expression is tried, which takes a minute; the manager is not asked. Those that\n"
	    "neither Hyperscan nor PCRE2 takes are named; the last line counts them:\n"
	    "`compiled A confirm B refused C of D`. Of four scores the last one holds." },
	{ NULL, NULL, NULL, NULL, NULL },
};
