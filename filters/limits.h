/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter by number: connections, commands, errors, messages, recipients, size. */
#ifndef POSTERN_FILTERS_LIMITS_H
#define POSTERN_FILTERS_LIMITS_H

#include "chain.h"

filter_fn limits_connections; /* PHASE_CONNECT */
filter_fn limits_commands;    /* every command */
filter_fn limits_transaction; /* MAIL, RCPT, BODY */

#endif
