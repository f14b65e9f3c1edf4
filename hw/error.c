/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operator's errors as sentences: what, where, what to do. A library does not log; it hands the
 * sentence to its caller, who prints it once.
 */
#include "hw_internal.h"

#include <stdarg.h>
#include <stdlib.h>

int hw_fail(char **ret_error, int err, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (ret_error)
		*ret_error = text;
	else
		free(text);
	return -err;
}
