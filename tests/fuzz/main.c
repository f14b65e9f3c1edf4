/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target over its corpus without libFuzzer, so that what a fuzzer once found stays
 * tested by every compiler: each file, each of its beginnings, and each file with one byte changed
 * at a time (a fixed rule, the same in every run). One TAP line a file.
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, PREFIXES_MAX = 4096 };

/* The target must not write into its input: each call gets memory of its own, exactly as long. */
static void call(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	CHECK(copy);
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void vary(uint8_t *data, size_t len)
{
	static const uint8_t bytes[] = { '\r', '\n', '.', '\0', ' ', '<', '@', '"', 0xff, '9' };
	size_t step = len / PREFIXES_MAX + 1;

	call(data, len);
	for (size_t n = 0; n < len; n += step)
		call(data, n);
	for (size_t at = 0; at < len; at += step) {
		uint8_t kept = data[at];

		data[at] = bytes[at % sizeof(bytes)];
		call(data, len);
		data[at] = kept;
	}
}

int main(int argc, char **argv)
{
	static uint8_t data[FILE_MAX];
	int n = 0;

	for (int i = 1; i < argc; i++) {
		struct dirent **names;
		int n_names = scandir(argv[i], &names, NULL, alphasort);

		CHECK(n_names > 0);
		for (int k = 0; k < n_names; k++) {
			char path[4096];

			if (names[k]->d_name[0] != '.') {
				snprintf(path, sizeof(path), "%s/%s", argv[i], names[k]->d_name);
				FILE *f = fopen(path, "rb");

				CHECK(f);
				size_t len = fread(data, 1, sizeof(data), f);

				fclose(f);
				vary(data, len);
				printf("ok %d - %s\n", ++n, names[k]->d_name);
				fflush(stdout);
			}
			free(names[k]);
		}
		free(names);
	}
	CHECK(n > 0);
	printf("1..%d\n", n);
	return 0;
}
