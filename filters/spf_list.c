/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names that one term has yet to ask for. They lie on top of the arena, where the records of the
 * frames end: only the topmost frame can have such a list, and it is gone before an include opens
 * another. Rejected: an array of ten names beside the arena, 2.5 KiB that are empty most of the time.
 */
#include "spf_list.h"

#include <string.h>

void spf_list_open(struct spf *s)
{
	s->list = s->list_at = s->arena_len;
}

void spf_list_close(struct spf *s)
{
	s->arena_len = s->list;
}

bool spf_list_add(struct spf *s, struct text name)
{
	if (name.len > SPF_NAME_MAX || sizeof(s->arena) - s->arena_len < name.len + 1u)
		return false;
	s->arena[s->arena_len] = (uint8_t)name.len;
	memcpy(s->arena + s->arena_len + 1, name.p, name.len);
	s->arena_len = (uint16_t)(s->arena_len + 1 + name.len);
	return true;
}

struct text spf_list_name(const struct spf *s, uint16_t at)
{
	return (struct text){ (const char *)s->arena + at + 1, s->arena[at] };
}

bool spf_list_next(struct spf *s, struct text *ret_name)
{
	if (s->list_at == s->arena_len)
		return false;
	*ret_name = spf_list_name(s, s->list_at);
	s->list_at = (uint16_t)(s->list_at + 1 + ret_name->len);
	return true;
}
