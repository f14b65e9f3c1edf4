/* SPDX-License-Identifier: BSD-3-Clause */
/* GET /metrics (metrics_http.h). */
#include "metrics_http.h"
#include "metrics.h"
#include "stats_view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct metrics_http {
	struct MHD_Daemon *daemon;
	char *stats;
};

static enum MHD_Result answer(
    struct MHD_Connection *connection, unsigned status, const char *type, char *text)
{
	struct MHD_Response *response = text == NULL ? NULL
						     : MHD_create_response_from_buffer(strlen(text),
							   text, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *body, size_t *body_len, void **context)
{
	static int seen;
	struct metrics_http *http = arg;
	struct stats_file *file = NULL;
	(void)version;
	(void)body;
	if (*context == NULL) { /* the head alone: a body is yet to come, and thrown away */
		*context = &seen;
		return MHD_YES;
	}
	if (*body_len != 0) {
		*body_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer(
		    connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", strdup("GET alone.\n"));
	if (strcmp(url, "/metrics") != 0)
		return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain",
		    strdup("There is /metrics, and nothing else.\n"));
	if (stats_view_read(http->stats, &file) != 0)
		file = NULL;
	char *text = metrics_text(file);
	free(file);
	return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text);
}

static int read_where(const char *where, struct sockaddr_storage *ret_addr)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_addr;
	char host[64] = "127.0.0.1", *end;
	const char *port = where, *colon = strrchr(where, ':');
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (colon != NULL) {
		size_t n = (size_t)(colon - where);
		bool bracket = *where == '[' && n > 2 && colon[-1] == ']';
		if (n == 0 || n >= sizeof(host))
			return -EINVAL;
		memcpy(host, where + bracket, n - 2 * bracket);
		host[n - 2 * bracket] = '\0';
		port = colon + 1;
	}
	errno = 0;
	unsigned long number = strtoul(port, &end, 10);
	if (*port < '0' || *port > '9' || *end != '\0' || errno != 0 || number > 65535)
		return -EINVAL;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)number);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)number);
	} else {
		return -EINVAL;
	}
	return 0;
}

int metrics_http_new(
    const char *where, const char *run, struct metrics_http **ret_http, char **ret_why)
{
	struct sockaddr_storage addr;
	int ret = read_where(where, &addr);
	*ret_why = NULL;
	if (ret != 0) {
		if (asprintf(ret_why,
			"--metrics: \"%s\" is not ADDRESS:PORT; allowed: 127.0.0.1:9125, "
			"[::1]:9125, or a port alone (loopback)",
			where) < 0)
			*ret_why = NULL;
		return ret;
	}
	struct metrics_http *http = calloc(1, sizeof(*http));
	if (http == NULL || asprintf(&http->stats, "%s/stats", run) < 0) {
		free(http);
		return -ENOMEM;
	}
	errno = 0;
	http->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
					    (addr.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0),
	    0, NULL, NULL, on_request, http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&addr,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)METRICS_CLIENTS, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned)METRICS_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
	    MHD_OPTION_END);
	if (http->daemon == NULL) {
		ret = errno == 0 ? -EADDRINUSE : -errno;
		if (asprintf(ret_why, "--metrics: %s cannot be served: %s", where, strerror(-ret)) <
		    0)
			*ret_why = NULL;
		free(http->stats);
		free(http);
		return ret;
	}
	*ret_http = http;
	return 0;
}

struct metrics_http *metrics_http_free(struct metrics_http *http)
{
	if (http == NULL)
		return NULL;
	MHD_stop_daemon(http->daemon);
	free(http->stats);
	free(http);
	return NULL;
}
