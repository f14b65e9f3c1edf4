/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS lists without a network; see dnslist.h. */
#include "dnslist.h"

#include "address_form.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* `head` ends with its dot. */
static int join(const char *head, const char *zone, char *ret_name, size_t size)
{
	int len = snprintf(ret_name, size, "%s%s", head, zone);

	return len < 0 || (size_t)len >= size || len >= DNSLIST_NAME_MAX ? -E2BIG : len;
}

int dnslist_name6(const uint8_t addr[16], const char *zone, char *ret_name, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char head[65];

	for (unsigned i = 0; i < 16; i++) {
		uint8_t octet = addr[15 - i];

		head[4 * i] = digits[octet & 15];
		head[4 * i + 2] = digits[octet >> 4];
		head[4 * i + 1] = head[4 * i + 3] = '.';
	}
	head[64] = '\0';
	return join(head, zone, ret_name, size);
}

int dnslist_name(const uint8_t client[16], const char *zone, char *ret_name, size_t size)
{
	char head[24];

	if (!address_is_v4(client))
		return dnslist_name6(client, zone, ret_name, size);
	snprintf(head, sizeof(head), "%u.%u.%u.%u.", client[15], client[14], client[13], client[12]);
	return join(head, zone, ret_name, size);
}

int dnslist_test_name(bool v6, bool listed, const char *zone, char *ret_name, size_t size)
{
	uint8_t addr[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = listed ? 2 : 1 };

	return v6 ? dnslist_name6(addr, zone, ret_name, size)
		  : dnslist_name(addr, zone, ret_name, size);
}

/* 127.255.255.0/24: the list refuses us, by the convention of the large lists. 127.0.0.1 can stand
 * for no listing (RFC 5782 2.1 and 5 keep it out); some lists refuse by it. */
static bool is_error(const struct policy_dns_list *list, const uint8_t a[4])
{
	if (a[0] != 127)
		return true;
	if (a[1] == 255 && a[2] == 255)
		return true;
	if (a[1] == 0 && a[2] == 0 && (a[3] <= 1))
		return true;
	return list->kind == DNS_LIST_WHITE && a[1] == 0 && a[2] == 0 && a[3] == 255;
}

static bool counts(const struct policy_dns_answer *answer, const uint8_t a[4])
{
	for (unsigned i = 0; i < 4; i++)
		if (a[i] < answer->first[i] || a[i] > answer->last[i])
			return false;
	return answer->bits == 0 || (a[3] & answer->bits);
}

enum dnslist_result dnslist_judge_test(
    const struct policy_dns_list *list, const uint8_t (*records)[4], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (is_error(list, records[i]))
			return DNSLIST_ERROR;
	return n ? DNSLIST_HIT : DNSLIST_MISS;
}

enum dnslist_result dnslist_judge(
    const struct policy_dns_list *list, const uint8_t (*records)[4], unsigned n)
{
	enum dnslist_result any = dnslist_judge_test(list, records, n);

	if (any != DNSLIST_HIT || list->n_answers == 0)
		return any;
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < list->n_answers; j++)
			if (counts(&list->answers[j], records[i]))
				return DNSLIST_HIT;
	return DNSLIST_MISS;
}

/* ---- the words of the configuration ---- */

static bool number(const char **at, unsigned max, unsigned *ret)
{
	const char *p = *at;
	unsigned n = 0;

	while (*p >= '0' && *p <= '9' && p - *at < 3)
		n = n * 10 + (unsigned)(*p++ - '0');
	if (p == *at || n > max)
		return false;
	*at = p;
	*ret = n;
	return true;
}

/* `*`, `N`, `N-M`, and in the last place `&N`. */
static bool octet(const char **at, bool last, unsigned i, struct policy_dns_answer *answer)
{
	unsigned first, end;

	if (**at == '*') {
		(*at)++;
		answer->first[i] = 0;
		answer->last[i] = 255;
		return true;
	}
	if (last && **at == '&') {
		(*at)++;
		if (!number(at, 255, &first) || first == 0)
			return false;
		answer->first[i] = 0;
		answer->last[i] = 255;
		answer->bits = (uint8_t)first;
		return true;
	}
	if (!number(at, 255, &first))
		return false;
	end = first;
	if (**at == '-') {
		(*at)++;
		if (!number(at, 255, &end) || end < first)
			return false;
	}
	answer->first[i] = (uint8_t)first;
	answer->last[i] = (uint8_t)end;
	return true;
}

const char *dnslist_parse_answer(const char *text, struct policy_dns_answer *ret_answer)
{
	static const char *const form = "is no answer: write 127.0.0.2, 127.0.0.2-11, 127.0.*.3, "
					"127.0.0.0/24, or 127.0.0.&6 for bits of the last octet";
	struct policy_dns_answer answer = { .bits = 0 };
	unsigned bits;

	for (unsigned i = 0; i < 4; i++) {
		if (i > 0 && *text++ != '.')
			return form;
		if (!octet(&text, i == 3, i, &answer))
			return form;
	}
	if (*text == '/') {
		text++;
		if (!number(&text, 32, &bits) || answer.bits)
			return form;
		for (unsigned i = 0; i < 4; i++) {
			unsigned kept = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
			uint8_t host = (uint8_t)(0xff >> kept);

			if (answer.first[i] != answer.last[i])
				return form;
			answer.first[i] &= (uint8_t)~host;
			answer.last[i] |= host;
		}
	}
	if (*text != '\0')
		return form;
	if (answer.first[0] != 127 || answer.last[0] != 127)
		return "does not lie in 127.0.0.0/8, so it could never be a listing (RFC 5782 2.1)";
	*ret_answer = answer;
	return NULL;
}
