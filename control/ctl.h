/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posternctl: the command line. It knows no state: each command asks the manager over control.sock,
 * or reads the statistics file, and shows the answer as a table or as JSON.
 *
 * Commands stand in tables, one a group and file (ctl_GROUP.c), gathered in ctl_table.c. Help, the
 * manual page and shell completion come from the same rows. (Rejected: getopt_long, which knows one
 * set of options for all commands and stops the tables from being the only word on usage.)
 */
#ifndef POSTERN_CONTROL_CTL_H
#define POSTERN_CONTROL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	CTL_OK = 0,
	CTL_REFUSED = 1, /* the answer is an error, or is no */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3, /* no manager, no dataplane behind it, no statistics file */
	CTL_FORBIDDEN = 4,   /* the role does not suffice */
	CTL_BUSY = 5,        /* too many clients, or another load is under way: try again */
	CTL_TIMEOUT_MS = 90000,
	CTL_OPTIONS_MAX = 16,
};

struct ctl_command;

struct ctl {
	const char *run;
	bool json, colour;
	bool quiet;                        /* failures are told by the exit code alone */
	const struct ctl_command *command; /* the one being served */
	int *connection; /* kept between commands (`batch`), -1: none yet; NULL: one a command */
};

struct ctl_command {
	const char *name;  /* one word or two: "status", "list add" */
	const char *usage; /* what may follow, as "KEY VALUE [--for 10m]"; "": nothing */
	/* argv: what followed the name, without the global options. Returns the exit code. */
	int (*serve)(const struct ctl *ctl, int argc, char **argv);
	const char *summary;
	const char *details; /* NULL: the summary says it all */
};

struct ctl_group {
	const char *title;
	const struct ctl_command *commands; /* ends with a NULL name */
};
extern const struct ctl_group ctl_groups[]; /* ends with a NULL title */

/* ---- tables of groups ---- */

extern const struct ctl_command ctl_changes_commands[];
extern const struct ctl_command ctl_config_commands[];
extern const struct ctl_command ctl_dns_commands[];
extern const struct ctl_command ctl_events_commands[];
extern const struct ctl_command ctl_explain_commands[];
extern const struct ctl_command ctl_patterns_commands[];
extern const struct ctl_command ctl_relay_commands[];
extern const struct ctl_command ctl_waves_commands[];
extern const struct ctl_command ctl_lists_commands[];
extern const struct ctl_command ctl_grey_commands[];
extern const struct ctl_command ctl_memory_commands[];
extern const struct ctl_command ctl_running_commands[];
extern const struct ctl_command ctl_seeing_commands[];
extern const struct ctl_command ctl_trying_commands[];
/* ctl_tarpit.c, among those that only look */
int ctl_serve_tarpit(const struct ctl *ctl, int argc, char **argv);

/* ---- arguments ---- */

enum ctl_option_kind {
	CTL_FLAG,     /* bool: true when given */
	CTL_TEXT,     /* const char * */
	CTL_NUMBER,   /* int64_t, 0 or more */
	CTL_DURATION, /* uint64_t, seconds */
};

struct ctl_option {
	const char *name; /* "--for" */
	enum ctl_option_kind kind;
	void *to; /* untouched when the option is not given */
};

/* Takes the command's options (NULL-name-ended; NULL: none), as "--for 10m" or "--for=10m", out of
 * argv wherever they stand; "--" ends them. What is left are min to max arguments. False: told on
 * stderr; the command returns CTL_USAGE. */
bool ctl_options(const struct ctl *ctl, int *argc, char **argv, const struct ctl_option *options,
    int min, int max);
/* Says why (a sentence) and the usage of the command; returns CTL_USAGE. */
__attribute__((format(printf, 2, 3))) int ctl_usage(const struct ctl *ctl, const char *format, ...);

/* The command that argv begins with, and how many words name it. NULL: none. */
const struct ctl_command *ctl_find(int argc, char *const *argv, int *ret_words);
/* The name nearest to what was typed; NULL: nothing is near. */
const char *ctl_nearest(int argc, char *const *argv);
/* The same of any NULL-ended words. */
unsigned ctl_distance(const char *a, const char *b);

/* ---- asking ---- */

/* Asks the manager. CTL_OK with the result (to be freed by the caller), else the exit code, the
 * reason told on stderr, or on stdout as JSON. Takes params (NULL: none). */
int ctl_ask(const struct ctl *ctl, const char *method, json_t *params, json_t **ret_result);
/* Asks, and shows the result as JSON or by `show` (NULL: `done` is printed). */
typedef void ctl_show(const struct ctl *ctl, const json_t *result);
int ctl_ask_show(
    const struct ctl *ctl, const char *method, json_t *params, ctl_show *show, const char *done);
/* Asks for a stream: `notified` gets each notification, until it says false (CTL_OK). */
typedef bool ctl_notified(const struct ctl *ctl, void *arg, const json_t *message);
int ctl_stream(
    const struct ctl *ctl, const char *method, json_t *params, ctl_notified *notified, void *arg);
/* Something that no answer of the manager says: a sentence on stderr, or {"error"} as JSON. */
__attribute__((format(printf, 3, 4))) int ctl_fail(
    const struct ctl *ctl, int code, const char *format, ...);

/* The statistics file, to be freed; else the exit code, told. */
struct stats_file;
int ctl_stats(const struct ctl *ctl, struct stats_file **ret_file);

int ctl_top(const struct ctl *ctl, int argc, char **argv);
int ctl_help(const struct ctl *ctl, int argc, char **argv);
void ctl_man(void);      /* posternctl(1), made from the tables at build time */
void ctl_complete(void); /* likewise: completion for bash */

/* ---- showing ---- */

void ctl_print_json(const json_t *json);
enum ctl_ink { CTL_PLAIN, CTL_BOLD, CTL_GREEN, CTL_RED, CTL_YELLOW };
/* On and off, "" where there is no colour. */
const char *ctl_ink_on(const struct ctl *ctl, enum ctl_ink ink);
const char *ctl_ink_off(const struct ctl *ctl);
void ctl_row(const struct ctl *ctl, const char *name, enum ctl_ink ink, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Members of an answer, where it may lack them: "?" and 0. */
const char *ctl_text_in(const json_t *object, const char *key);
long long ctl_number_in(const json_t *object, const char *key);
/* "2026-03-01 12:00:05" in local time; ret_text has CTL_TIME_MAX bytes. */
enum { CTL_TIME_MAX = 32 };
const char *ctl_time(long long unix_s, char *ret_text);

#endif
