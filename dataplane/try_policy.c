/* SPDX-License-Identifier: BSD-3-Clause */
/* From a configuration to an image, through postern-compile: beside us, or in PATH (try.h). */
#include "try.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void compile(const char *config, const char *image, bool json)
{
	char self[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *words[] = { path, (char *)(uintptr_t) "-o", (char *)(uintptr_t)image,
		json ? (char *)(uintptr_t) "--json" : (char *)(uintptr_t)config,
		json ? (char *)(uintptr_t)config : NULL, NULL };
	char *slash;

	self[n < 0 ? 0 : n] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		snprintf(path, sizeof(path), "%.*s/postern-compile", (int)(slash - self), self);
		execv(path, words);
	}
	execvp("postern-compile", words);
	fprintf(stderr, "postern-try: postern-compile is neither beside us nor in PATH\n");
	_exit(127);
}

int try_compile(const char *config, bool json, struct try_compiled *ret_compiled)
{
	struct try_compiled c = { .folder = "/tmp/postern-try-XXXXXX" };
	char told[80], buf[4096];
	int status = 0;
	pid_t pid;
	FILE *f;

	if (!mkdtemp(c.folder)) {
		fprintf(stderr, "postern-try: no folder below /tmp: %s\n", strerror(errno));
		return 1;
	}
	snprintf(c.image, sizeof(c.image), "%s/image", c.folder);
	snprintf(told, sizeof(told), "%s/told", c.folder);
	pid = fork();
	if (pid == 0) { /* what it says of a good configuration is nobody's matter here */
		if (!freopen(told, "w", stdout))
			_exit(127);
		compile(config, c.image, json);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		unlink(told);
		*ret_compiled = c;
		return 0;
	}
	f = json ? fopen(told, "re") : NULL;
	for (size_t n; f && (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		fwrite(buf, 1, n, stdout);
	if (f)
		fclose(f);
	unlink(told);
	try_compile_done(&c);
	return 1;
}

void try_compile_done(const struct try_compiled *c)
{
	unlink(c->image);
	rmdir(c->folder);
}
