/* SPDX-License-Identifier: BSD-3-Clause */
/* Operator's mistakes in the live shell: a sentence that says what, where and what to do. */
#ifndef POSTERN_DATAPLANE_FAIL_H
#define POSTERN_DATAPLANE_FAIL_H

/* Puts the sentence into *ret_error (caller frees; NULL without memory) and returns -err. Any
 * thread. */
int fail(char **ret_error, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
