/* SPDX-License-Identifier: BSD-3-Clause */
/* See batv.h. */
#include "batv.h"

#include "sha1.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TAG_AT = 5, TAG_LEN = 10, BARE_AT = TAG_AT + TAG_LEN + 1, DAY_WRAP = 1000, BARE_MAX = 320 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool has_tag(struct text path)
{
	if (path.len <= BARE_AT || strncasecmp(path.p, "prvs=", TAG_AT) != 0 ||
	    path.p[BARE_AT - 1] != '=')
		return false;
	for (unsigned i = 0; i < TAG_LEN; i++)
		if (i < 4 ? !is_digit(path.p[TAG_AT + i]) : !is_hex(path.p[TAG_AT + i]))
			return false;
	return path.p[BARE_AT] != '@';
}

struct text batv_bare(struct text path)
{
	if (!has_tag(path))
		return path;
	return (struct text){ path.p + BARE_AT, (uint16_t)(path.len - BARE_AT) };
}

void batv_tag(const struct policy_batv_key *key, unsigned day, struct text bare, char ret_tag[11])
{
	char message[4 + BARE_MAX + 1];
	uint8_t mac[SHA1_BYTES];
	size_t n = bare.len < BARE_MAX ? bare.len : BARE_MAX;

	snprintf(message, 5, "%u%03u", key->number % 10u, day % DAY_WRAP);
	for (size_t i = 0; i < n; i++) { /* servers fold the address as they like: lower case */
		char c = bare.p[i];

		message[4 + i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	hmac_sha1(key->secret, key->len, message, n + 4, mac);
	snprintf(ret_tag, 11, "%.4s%02x%02x%02x", message, mac[0], mac[1], mac[2]);
}

enum batv_result batv_check(
    const struct policy_batv_key *keys, unsigned n_keys, struct text path, uint32_t now_s)
{
	unsigned day, today = now_s / 86400 % DAY_WRAP;
	char tag[11];

	if (!has_tag(path))
		return BATV_NONE;
	day = (unsigned)(path.p[TAG_AT + 1] - '0') * 100 +
	      (unsigned)(path.p[TAG_AT + 2] - '0') * 10 + (unsigned)(path.p[TAG_AT + 3] - '0');
	if ((day + DAY_WRAP - today) % DAY_WRAP > BATV_DAYS)
		return BATV_EXPIRED;
	for (unsigned i = 0; i < n_keys && i < POLICY_MAX_BATV_KEYS; i++) {
		if (keys[i].number != path.p[TAG_AT] - '0')
			continue;
		batv_tag(&keys[i], day, batv_bare(path), tag);
		return strncasecmp(tag, path.p + TAG_AT, TAG_LEN) == 0 ? BATV_GOOD : BATV_FORGED;
	}
	return n_keys ? BATV_FORGED : BATV_UNKNOWN;
}
