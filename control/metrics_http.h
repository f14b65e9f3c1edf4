/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET /metrics for Prometheus: libmicrohttpd on a thread of its own, so that a slow scraper meets
 * nobody else. It reads the statistics file and knows nothing of the manager. Off unless asked for;
 * nobody is asked who he is, hence an address of loopback or of the management network.
 */
#ifndef POSTERN_CONTROL_METRICS_HTTP_H
#define POSTERN_CONTROL_METRICS_HTTP_H

enum { METRICS_CLIENTS = 16, METRICS_IDLE_S = 10 };

struct metrics_http;

/* where: "ADDRESS:PORT", "[ADDRESS6]:PORT" or "PORT" (loopback). On failure -errno with a sentence
 * for the operator in ret_why (to be freed, NULL: no memory). */
int metrics_http_new(
    const char *where, const char *run, struct metrics_http **ret_http, char **ret_why);
struct metrics_http *metrics_http_free(struct metrics_http *http); /* NULL is allowed; returns NULL */

#endif
