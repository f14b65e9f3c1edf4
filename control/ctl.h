/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posternctl: the command line. It knows no state: each command asks the manager once over
 * control.sock, or reads the statistics file, and shows the answer as a table or as JSON.
 */
#ifndef POSTERN_CONTROL_CTL_H
#define POSTERN_CONTROL_CTL_H

#include <jansson.h>
#include <stdbool.h>

enum {
	CTL_OK = 0,
	CTL_REFUSED = 1, /* the answer is an error */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3, /* no manager, no statistics file */
	CTL_TIMEOUT_MS = 90000,
};

struct ctl {
	const char *run;
	bool json, colour;
};

struct ctl_command {
	const char *name, *argument; /* argument: its word in the usage, NULL: none */
	bool optional;
	int (*serve)(const struct ctl *ctl, const char *argument);
	const char *summary;
	const char *more;
};
extern const struct ctl_command ctl_commands[]; /* ends with a NULL name */

/* Asks the manager. CTL_OK with the result (to be freed by the caller), else the exit code, the
 * reason told on stderr, or on stdout as JSON. Takes params (NULL: none). */
int ctl_ask(const struct ctl *ctl, const char *method, json_t *params, json_t **ret_result);

int ctl_help(const struct ctl *ctl, const char *topic, const char *key);
int ctl_stats(const struct ctl *ctl, const char *argument);
int ctl_status(const struct ctl *ctl, const char *argument);

void ctl_print_json(const json_t *json);

/* ---- tables ---- */

enum ctl_ink { CTL_PLAIN, CTL_BOLD, CTL_GREEN, CTL_RED, CTL_YELLOW };
/* On and off, "" where there is no colour. */
const char *ctl_ink_on(const struct ctl *ctl, enum ctl_ink ink);
const char *ctl_ink_off(const struct ctl *ctl);
void ctl_row(const struct ctl *ctl, const char *name, enum ctl_ink ink, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
