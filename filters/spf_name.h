/* SPDX-License-Identifier: BSD-3-Clause */
/* Domain names as SPF meets them: made by strangers, of any bytes. Private to filters/. */
#ifndef POSTERN_FILTERS_SPF_NAME_H
#define POSTERN_FILTERS_SPF_NAME_H

#include "facts.h"

#include <stdbool.h>

/* Without one final dot. */
struct text spf_name_trim(struct text name);

/* It can be asked for (struct spf_question says what that takes); trimmed. */
bool spf_name_askable(struct text name);

/* It can be a <domain> of check_host(): more than one label, no address (RFC 7208 4.3). */
bool spf_name_judgeable(struct text name);

bool spf_name_equal(struct text a, struct text b);

/* `name` is `domain` or lies below it. */
bool spf_name_within(struct text name, struct text domain);

#endif
