/* SPDX-License-Identifier: BSD-3-Clause */
/* One question to the manager (ctl.h): connect, a line out, a line in, with a deadline. */
#include "ctl.h"
#include "rpc.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 16 * 1024 * 1024 };

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = CTL_TIMEOUT_MS / 1000 };
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		int ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int send_all(int fd, const char *text)
{
	size_t left = strlen(text);
	while (left != 0) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		left -= (size_t)n;
	}
	return 0;
}

/* One line; NULL with errno. */
static char *read_line(int fd)
{
	size_t len = 0, size = 65536;
	char *line = malloc(size), *more;
	while (line != NULL) {
		ssize_t n = recv(fd, line + len, size - len - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ECONNRESET;
			break;
		}
		char *lf = memchr(line + len, '\n', (size_t)n);
		len += (size_t)n;
		if (lf != NULL) {
			*lf = '\0';
			return line;
		}
		if (size - len > 1)
			continue;
		if (size >= ANSWER_MAX || (more = realloc(line, size * 2)) == NULL) {
			errno = EMSGSIZE;
			break;
		}
		line = more;
		size *= 2;
	}
	free(line);
	return NULL;
}

/* How far a compilation is; -1: none is under way, or nobody says. */
static long long percent_of(const char *path)
{
	static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n";
	long long percent = -1;
	int fd = connect_to(path);
	char *line = fd >= 0 && send_all(fd, request) == 0 ? read_line(fd) : NULL;
	json_t *answer = line == NULL ? NULL : json_loads(line, 0, NULL);
	const json_t *loading = json_object_get(
	    json_object_get(json_object_get(answer, "result"), "manager"), "loading");
	if (json_is_integer(loading))
		percent = (long long)json_integer_value(loading);
	json_decref(answer);
	free(line);
	if (fd >= 0)
		close(fd);
	return percent;
}

/*
 * Until the answer begins: a person who waits is told for what. A manager that is silent for twice
 * CTL_TIMEOUT_MS is given up unless it says that a load is under way: all the expressions of a mail
 * filter take minutes of a busy machine.
 */
static int await_answer(int fd, const char *path, bool show)
{
	enum { PATIENCE_MS = 500, LONGEST_MS = 3600000 };
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	bool shown = false, gone = false;
	unsigned idle = 0;

	for (int ms = PATIENCE_MS; !gone && poll(&answer, 1, PATIENCE_MS) == 0; ms += PATIENCE_MS) {
		bool late = ms % CTL_TIMEOUT_MS == 0;
		long long percent = show || late ? percent_of(path) : -1;

		if (show && percent >= 0)
			fprintf(stderr, "\rcompiling: %lld %% ", percent);
		shown = shown || (show && percent >= 0);
		idle = late ? (percent < 0 ? idle + 1 : 0) : idle;
		gone = idle == 2 || ms >= LONGEST_MS; /* twice: it may have ended just now */
	}
	if (shown)
		fputs("\r                  \r", stderr);
	return gone ? -EAGAIN : 0;
}

static void tell_error(const struct ctl *ctl, json_t *error)
{
	const char *message = json_string_value(json_object_get(error, "message"));
	if (ctl->quiet)
		return;
	if (ctl->json) {
		json_t *root = json_pack("{s:O}", "error", error);
		ctl_print_json(root);
		json_decref(root);
		return;
	}
	if (message == NULL)
		message = "The manager's answer makes no sense.";
	fprintf(stderr, "%s%s", message,
	    message[strlen(message) - (*message != '\0')] == '\n' ? "" : "\n");
}

static int unreachable(const struct ctl *ctl, const char *path, int error)
{
	char *message = NULL;
	const char *hint = error == ENOENT || error == ECONNREFUSED
			       ? "is postern-manager running with this --run?"
			   : error == EAGAIN ? "it does not answer"
					     : strerror(error);
	if (asprintf(&message, "posternctl: cannot reach the manager at %s: %s", path, hint) < 0)
		return CTL_UNREACHABLE;
	json_t *told = json_pack("{s:s}", "message", message);
	tell_error(ctl, told);
	json_decref(told);
	free(message);
	return CTL_UNREACHABLE;
}

static int exit_code(json_int_t code)
{
	switch (code) {
	case RPC_NO_DATAPLANE: return CTL_UNREACHABLE;
	case RPC_FORBIDDEN: return CTL_FORBIDDEN;
	case RPC_BUSY: return CTL_BUSY;
	default: return CTL_REFUSED;
	}
}

int ctl_fail(const struct ctl *ctl, int code, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *told = json_pack("{s:s}", "message", text);
	if (!ctl->json && !ctl->quiet)
		fputs("posternctl: ", stderr);
	tell_error(ctl, told);
	json_decref(told);
	return code;
}

int ctl_ask(const struct ctl *ctl, const char *method, json_t *params, json_t **ret_result)
{
	char *path = NULL, *line = NULL;
	int ret = CTL_REFUSED, fd = -1;
	json_t *answer = NULL;
	json_t *request = json_pack(
	    "{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", 1, "method", method, "params", params);
	char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
	if (text == NULL || asprintf(&path, "%s/control.sock", ctl->run) < 0) {
		fprintf(stderr, "posternctl: no memory\n");
		goto out;
	}
	fd = ctl->connection != NULL && *ctl->connection >= 0 ? *ctl->connection : connect_to(path);
	if (fd < 0) {
		ret = unreachable(ctl, path, -fd);
		goto out;
	}
	/* a manager that turns us away speaks first and closes: its words count, not our EPIPE */
	if (send_all(fd, text) == 0)
		send_all(fd, "\n");
	ret = await_answer(fd, path, !ctl->json && !ctl->quiet && isatty(STDERR_FILENO));
	line = ret == 0 ? read_line(fd) : NULL;
	if (line == NULL) {
		ret = unreachable(ctl, path, ret == 0 ? errno : -ret);
		goto out;
	}
	ret = CTL_REFUSED;
	answer = json_loads(line, 0, NULL);
	json_t *result = json_object_get(answer, "result");
	if (result != NULL) {
		*ret_result = json_incref(result);
		ret = CTL_OK;
	} else {
		const json_t *error = json_object_get(answer, "error");
		tell_error(ctl, json_object_get(answer, "error"));
		ret = exit_code(json_integer_value(json_object_get(error, "code")));
	}
out:
	if (ctl->connection != NULL && line != NULL)
		*ctl->connection = fd;
	else if (fd >= 0)
		close(fd);
	if (ctl->connection != NULL && line == NULL)
		*ctl->connection = -1;
	json_decref(answer);
	json_decref(request);
	free(line);
	free(text);
	free(path);
	return ret;
}

int ctl_ask_show(
    const struct ctl *ctl, const char *method, json_t *params, ctl_show *show, const char *done)
{
	json_t *result = NULL;
	int ret = ctl_ask(ctl, method, params, &result);
	if (ret != CTL_OK)
		return ret;
	if (ctl->json)
		ctl_print_json(result);
	else if (json_is_integer(json_object_get(result, "queued")))
		printf("put off until `commit`: %lld\n", ctl_number_in(result, "queued"));
	else if (show != NULL)
		show(ctl, result);
	else
		puts(done);
	json_decref(result);
	return CTL_OK;
}

int ctl_stream(
    const struct ctl *ctl, const char *method, json_t *params, ctl_notified *notified, void *arg)
{
	json_t *request = json_pack(
	    "{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", 1, "method", method, "params", params);
	char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT), *path = NULL;
	char *line = NULL;
	size_t size = 0;
	const struct timeval forever = { 0 };
	int ret = CTL_REFUSED, fd = -1;
	bool answered = false, more = true;
	FILE *from = NULL;
	if (text == NULL || asprintf(&path, "%s/control.sock", ctl->run) < 0)
		goto out;
	fd = connect_to(path);
	from = fd < 0 ? NULL : fdopen(fd, "r");
	if (from == NULL) {
		ret = unreachable(ctl, path, fd < 0 ? -fd : errno);
		goto out;
	}
	if (send_all(fd, text) == 0)
		send_all(fd, "\n");
	while (more && getline(&line, &size, from) > 0) {
		json_t *message = json_loads(line, 0, NULL);
		json_t *error = json_object_get(message, "error");
		if (error != NULL) {
			tell_error(ctl, error);
			ret = exit_code(json_integer_value(json_object_get(error, "code")));
			more = false;
		} else if (json_object_get(message, "result") != NULL) {
			answered = true;
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
		} else if (!notified(ctl, arg, message)) {
			ret = CTL_OK;
			more = false;
		}
		json_decref(message);
	}
	if (more)
		ret = ctl_fail(ctl, CTL_UNREACHABLE, "%s",
		    answered ? "the manager has ended" : "the manager does not answer");
out:
	if (from != NULL)
		fclose(from);
	else if (fd >= 0)
		close(fd);
	json_decref(request);
	free(line);
	free(text);
	free(path);
	return ret;
}
