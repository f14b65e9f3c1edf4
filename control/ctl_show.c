/* SPDX-License-Identifier: BSD-3-Clause */
/* How answers are shown: JSON, rows, colours (ctl.h). */
#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void ctl_print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
}

const char *ctl_ink_on(const struct ctl *ctl, enum ctl_ink ink)
{
	static const char *const inks[] = { "", "\033[1m", "\033[32m", "\033[31m", "\033[33m" };
	return ctl->colour ? inks[ink] : "";
}

const char *ctl_ink_off(const struct ctl *ctl)
{
	return ctl->colour ? "\033[0m" : "";
}

void ctl_row(const struct ctl *ctl, const char *name, enum ctl_ink ink, const char *format, ...)
{
	va_list args;
	printf("%-14s %s", name, ctl_ink_on(ctl, ink));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("%s\n", ctl_ink_off(ctl));
}

const char *ctl_text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "?" : text;
}

long long ctl_number_in(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

const char *ctl_time(long long unix_s, char *ret_text)
{
	time_t t = (time_t)unix_s;
	struct tm tm;
	if (localtime_r(&t, &tm) == NULL ||
	    strftime(ret_text, CTL_TIME_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(ret_text, CTL_TIME_MAX, "?");
	return ret_text;
}
