/* SPDX-License-Identifier: BSD-3-Clause */
/* See fail.h. Kept apart from the log: who fails returns, and main() alone tells the operator. */
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>

int fail(char **ret_error, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(ret_error, fmt, ap) < 0)
		*ret_error = NULL;
	va_end(ap);
	return -err;
}
