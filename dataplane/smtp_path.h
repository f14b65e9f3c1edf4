/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths of MAIL and RCPT (RFC 5321 4.1.2); private to smtp_*.c and their tests. */
#ifndef POSTERN_DATAPLANE_SMTP_PATH_H
#define POSTERN_DATAPLANE_SMTP_PATH_H

#include "smtp.h"

/* Takes the path that `s` begins with: "<...>", or a bare word as Postfix tolerates it. Returns
 * OK, PATH or PATH_LONG; ret_used counts the brackets. Outputs untouched on failure. */
enum smtp_syntax smtp_path_take(struct text s, struct smtp_path *ret_path, size_t *ret_used);

#endif
