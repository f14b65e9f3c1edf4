/* SPDX-License-Identifier: BSD-3-Clause */
/* postern-compile: configuration in, image out (compile.h); the manager's compiler by itself. */
#include "compile.h"
#include "compile_patterns.h"

#include "postern_version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: postern-compile [-o IMAGE] [--check] [--json] [--epoch N] [--cache DIR] CONFIG\n"
    "       postern-compile --patterns-cost [--sample FILE] [--json] PATTERNS...\n"
    "Checks a configuration and compiles it to a policy image.\n"
    "\n"
    "  -o, --output IMAGE  where the image goes (default: CONFIG with .img for .yaml)\n"
    "  --check             check everything, list files too, and write nothing\n"
    "  --epoch N           number of the image (default 1)\n"
    "  --cache DIR         keep compiled patterns there, and take them from there\n"
    "  --patterns-cost     measure each expression of pattern files, the slowest first\n"
    "  --sample FILE       text to measure with (default: made up)\n"
    "  --json              say what was made, or what is wrong, as JSON\n"
    "  --help, --version\n"
    "\n"
    "Exit: 0 good, 1 the configuration is wrong or the image cannot be written, 2 usage.\n";

static const char *const kinds[] = { "?", "settings", "strings", "addresses", "domains", "patterns",
	"names", "emergency" };

static const char *kind_of(uint32_t kind)
{
	return kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[kind] : kinds[0];
}

static void show(const struct image *image, const char *output, bool json)
{
	json_t *parts = json_array();
	for (unsigned i = 0; i < image->n_parts; i++) {
		char hex[IMAGE_HEX_LEN + 1];
		image_hex(image->header.parts[i].sha256, hex);
		if (!json)
			printf("%-10s %10zu bytes  sha256 %s\n", kind_of(image->parts[i].kind),
			    image->parts[i].len, hex);
		json_array_append_new(
		    parts, json_pack("{s:s, s:I, s:s}", "kind", kind_of(image->parts[i].kind),
			       "size", (json_int_t)image->parts[i].len, "sha256", hex));
	}
	json_t *root = json_pack("{s:I, s:s?, s:I, s:o}", "epoch", (json_int_t)image->header.epoch,
	    "image", output, "addresses", (json_int_t)image->n_addresses, "parts", parts);
	if (json) {
		json_dumpf(root, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (output != NULL) {
		printf("%s: epoch %u, %lu list entries\n", output, image->header.epoch,
		    image->n_addresses);
	} else {
		printf("good: %lu list entries\n", image->n_addresses);
	}
	json_decref(root);
}

static char *default_output(const char *config)
{
	size_t len = strlen(config);
	char *output = NULL;
	if (len > 5 && strcmp(config + len - 5, ".yaml") == 0)
		len -= 5;
	return asprintf(&output, "%.*s.img", (int)len, config) < 0 ? NULL : output;
}

static char *read_sample(const char *path, size_t *ret_len)
{
	enum { SAMPLE_MAX = 16 << 20 };
	FILE *f = fopen(path, "r");
	char *text = f == NULL ? NULL : malloc(SAMPLE_MAX);
	if (text != NULL)
		*ret_len = fread(text, 1, SAMPLE_MAX, f);
	else
		fprintf(stderr, "postern-compile: %s: %s\n", path, strerror(errno));
	if (f != NULL)
		fclose(f);
	return text;
}

/* The slowest expressions of pattern files, so that an engineer can drop them. */
static int cost(char *const *files, const char *sample_file, bool json)
{
	enum { SLOWEST = 30 };
	struct complaints complaints;
	struct patterns p;
	json_t *root = NULL;
	size_t len = 0;
	int r = 0;
	complaints_init(&complaints);
	patterns_init(&p);
	char *sample = sample_file == NULL ? patterns_sample(&len) : read_sample(sample_file, &len);
	for (; *files != NULL && r == 0; files++) {
		r = patterns_read(&p, *files, &complaints);
		if (r < 0)
			fprintf(stderr, "postern-compile: %s: %s\n", *files, strerror(-r));
	}
	complaints_print(&complaints, stderr);
	if (r == 0 && sample != NULL && complaints.total == 0)
		r = patterns_cost_report(
		    &p, sample, len, SLOWEST, json ? &root : NULL, json ? NULL : stdout);
	else
		r = -1;
	if (root != NULL) {
		json_dumpf(root, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(root);
	}
	free(sample);
	patterns_fini(&p);
	complaints_fini(&complaints);
	return r == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "cache", required_argument, NULL, 'C' },
		{ "check", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "epoch", required_argument, NULL, 'e' },
		{ "patterns-cost", no_argument, NULL, 'p' },
		{ "sample", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	const char *output = NULL;
	const char *sample = NULL, *cache = NULL;
	bool check = false, json = false, costs = false;
	unsigned long epoch = 1;
	char *end, *made = NULL;
	int option, ret = 1;
	while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		switch (option) {
		case 'o': output = optarg; break;
		case 'C': cache = optarg; break;
		case 'c': check = true; break;
		case 'j': json = true; break;
		case 'p': costs = true; break;
		case 's': sample = optarg; break;
		case 'e':
			errno = 0;
			epoch = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end != '\0' || errno != 0 ||
			    epoch == 0 || epoch > UINT32_MAX) {
				fprintf(stderr, "postern-compile: --epoch %s; allowed: 1 to %u\n",
				    optarg, UINT32_MAX);
				return 2;
			}
			break;
		case 'h': fputs(usage, stdout); return 0;
		case 'v': puts("postern-compile " POSTERN_VERSION); return 0;
		default: fputs("postern-compile --help says more\n", stderr); return 2;
		}
	}
	if (costs && optind < argc && !check && output == NULL)
		return cost(argv + optind, sample, json);
	if (costs || sample != NULL || optind + 1 != argc || (check && output != NULL)) {
		fputs(usage, stderr);
		return 2;
	}
	struct complaints complaints;
	complaints_init(&complaints);
	const struct compile_options how = { .cache = cache };
	struct image *image = image_from_file(argv[optind], (uint32_t)epoch, &how, &complaints);
	if (image == NULL && json) {
		json_t *root = complaints_json(&complaints);
		json_dumpf(root, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(root);
	} else if (image == NULL) {
		complaints_print(&complaints, stderr);
	} else if (check) {
		show(image, NULL, json);
		ret = 0;
	} else {
		if (output == NULL)
			output = made = default_output(argv[optind]);
		int error = output == NULL ? -ENOMEM : image_save(image, output);
		if (error != 0) {
			fprintf(stderr, "postern-compile: %s: %s\n", output == NULL ? "?" : output,
			    strerror(-error));
		} else {
			show(image, output, json);
			ret = 0;
		}
	}
	free(made);
	image_free(image);
	complaints_fini(&complaints);
	return ret;
}
