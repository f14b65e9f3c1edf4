/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dataplane's control socket: AF_UNIX SOCK_SEQPACKET, one JSON object a packet, descriptors by
 * SCM_RIGHTS (control/README.md, "Sockets"). This file knows the protocol; what methods do is the
 * caller's table. One thread serves all connections in turn: requests are few, and a policy load
 * must not meet another one.
 */
#ifndef POSTERN_DATAPLANE_CONTROL_SERVER_H
#define POSTERN_DATAPLANE_CONTROL_SERVER_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONTROL_MAX_PACKET = 65536, /* bytes; longer: too_big */
	CONTROL_MAX_CLIENTS = 8,    /* more are closed at once */
	CONTROL_MAX_FDS = 16,
};

struct control_error {
	const char *code;  /* snake_word */
	char message[512]; /* sentence */
};

struct control_method {
	const char *name;
	/* params may be NULL. fds stay the server's, which closes them after the call. Returns the
	 * result, or NULL with *error filled. */
	json_t *(*call)(void *arg, const json_t *params, const int *fds, unsigned n_fds,
	    struct control_error *error);
};

struct control_server;

/* The manager's user: the owner of the folder that the socket is in. Beside it root and the
 * dataplane's own user may connect; so a manager without root steers a dataplane with it. */
uint32_t control_server_manager(const char *path);

/* methods ends with a NULL name. On failure *ret_error is a sentence (caller frees). */
int control_server_new(const char *path, const struct control_method *methods, void *arg,
    struct control_server **ret_server, char **ret_error);
/* For a method: once it is answered nobody is served any more, clients are closed, the path is left to
 * whoever takes it. */
void control_server_retire(struct control_server *s);
struct control_server *control_server_free(struct control_server *s); /* ends the thread */

/* Fills *error and returns NULL, for methods. */
json_t *control_fail(struct control_error *error, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
