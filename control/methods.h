/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The methods of the control socket: one row each, in tables by group (methods_GROUP.c), gathered in
 * manager_methods.c. The row's role, parameters and result are also what `methods` answers and what
 * README.md says (a test compares them).
 */
#ifndef POSTERN_CONTROL_METHODS_H
#define POSTERN_CONTROL_METHODS_H

#include "manager.h"

/* What takes a change back: {"text","steps":[{"method","params"}]}, asked once it was done; NULL:
 * nothing does. */
typedef json_t *method_undo(struct manager *m, const json_t *params, const json_t *result);

struct method {
	const char *name;
	enum role role; /* the least that may call it */
	/* Answers the call exactly once, now or later, by manager_reply(), manager_fail() or
	 * manager_forward(). params: lent, may be NULL. */
	void (*serve)(struct manager *m, int call, const json_t *params);
	const char *params, *result; /* for people, as in README.md; "": none */
	bool changes;                /* kept in the audit log, whatever comes of it */
	method_undo *undo;           /* NULL: it cannot be taken back */
	bool in_transaction;         /* put off until transaction.commit; takes an undo */
};

/* NULL-ended */
extern const struct method methods_seeing[];
extern const struct method methods_config[];
extern const struct method methods_changes[];
extern const struct method methods_running[];
extern const struct method methods_trying[];
extern const struct method methods_relay[];
extern const struct method methods_waves[];
extern const struct method methods_lists[];
extern const struct method methods_snapshot[];
extern const struct method methods_grey[];
extern const struct method methods_memory[];
extern const struct method methods_dns[];
extern const struct method methods_events[];
extern const struct method methods_explain[];

/* The row of a name; NULL: none. Of all tables in order; NULL past the last. */
const struct method *method_find(const char *name);
const struct method *method_at(unsigned index);

/* ---- for serve() ---- */

/* Relays to the dataplane's method of that name and answers with its result or error. params is
 * lent, NULL: none. `done` (NULL is allowed) sees a result before it is sent and may change it. */
typedef void forward_done(struct manager *m, int call, json_t *result);
void manager_forward(
    struct manager *m, int call, const char *method, const json_t *params, forward_done *done);
/* A serve() that relays the call as it is, under its own name. */
void method_relay(struct manager *m, int call, const json_t *params);

/* Parameters. False with the failure sent. A missing one that is not `needed` is NULL, or 0. */
bool method_text(struct manager *m, int call, const json_t *params, const char *name, bool needed,
    const char **ret_text);
bool method_number(struct manager *m, int call, const json_t *params, const char *name, bool needed,
    json_int_t max, json_int_t *ret_number);
/* Who called: for rows of history and log. -1: the manager itself. */
uint32_t method_uid(const struct manager *m, int call);
enum role method_role(const struct manager *m, int call);

/* ---- for undo() ---- */

/* One step, its text by format; takes params. */
__attribute__((format(printf, 3, 4))) json_t *method_undo_step(
    const char *method, json_t *params, const char *format, ...);

#endif
