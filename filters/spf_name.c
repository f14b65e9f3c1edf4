/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which byte strings are names. RFC 1035 allows a label any byte, and RFC 7208 lets macros put any
 * byte of a local part or HELO there. Asked for are printable ASCII and the blank only: whatever is
 * rarer cannot be written to a resolver without escapes (a backslash means something to it), and by
 * RFC 8616 a term that a local part beyond ASCII went into matches nothing. Rejected: escaping, and
 * trusting each resolver library to escape as we do.
 */
#include "spf_name.h"

#include "spf.h"

#include <strings.h>

enum { LABEL_MAX = 63 };

struct text spf_name_trim(struct text name)
{
	if (name.len && name.p[name.len - 1] == '.')
		name.len--;
	return name;
}

bool spf_name_askable(struct text name)
{
	unsigned label = 0;

	if (name.len == 0 || name.len > SPF_NAME_MAX)
		return false;
	for (unsigned i = 0; i < name.len; i++) {
		uint8_t c = (uint8_t)name.p[i];

		if (c < ' ' || c > '~' || c == '\\')
			return false;
		if (c != '.')
			label++;
		else if (label == 0)
			return false;
		else
			label = 0;
		if (label > LABEL_MAX)
			return false;
	}
	return label > 0;
}

bool spf_name_judgeable(struct text name)
{
	bool letters = false, dots = false;

	if (!spf_name_askable(name) || name.p[0] == '[')
		return false;
	for (unsigned i = 0; i < name.len; i++) {
		if (name.p[i] == '.') {
			dots = true;
			letters = false;
		} else if (name.p[i] < '0' || name.p[i] > '9') {
			letters = true;
		}
	}
	return dots && letters; /* letters: of the last label; all digits would be an address */
}

bool spf_name_equal(struct text a, struct text b)
{
	return a.len == b.len && strncasecmp(a.p, b.p, a.len) == 0;
}

bool spf_name_within(struct text name, struct text domain)
{
	struct text tail = { name.p + name.len - domain.len, domain.len };

	if (name.len == domain.len)
		return spf_name_equal(name, domain);
	return name.len > domain.len && domain.len && tail.p[-1] == '.' &&
	       spf_name_equal(tail, domain);
}
