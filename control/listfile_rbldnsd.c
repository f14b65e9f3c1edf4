/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rbldnsd's ip4set, ip4trie and ip6trie (rbldnsd(8)): one entry a line and a value behind it, of
 * which we keep the text as a comment. Addresses may be abbreviated to leading octets or groups
 * (10.2 is 10.2.0.0/16), ranges too (10.2-4; 192.0.2.1-7 changes the last octet), and `!` makes an
 * exception. `:127.0.0.2:text` lines set the default value and `$` lines say things for name
 * servers: both say nothing of addresses, save $DATASET, which may begin a set of another kind.
 */
#include "listfile.h"

#include <stdio.h>
#include <string.h>

static bool octets(const char *text, size_t len, uint8_t ret_octets[4], unsigned *ret_n)
{
	unsigned n = 0, value = 0, digits = 0;
	for (size_t i = 0; i <= len; i++) {
		if (i == len || text[i] == '.') {
			if (digits == 0 || digits > 3 || value > 255 || n == 4)
				return i == len && digits == 0 && n != 0 ? (*ret_n = n, true)
									 : false;
			ret_octets[n++] = (uint8_t)value;
			value = digits = 0;
			continue;
		}
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
		digits++;
	}
	*ret_n = n;
	return true;
}

static void fill(uint8_t addr[16], const uint8_t *given, unsigned n, uint8_t rest)
{
	memset(addr, 0, 10);
	memset(addr + 10, 0xff, 2);
	memset(addr + 12, rest, 4);
	memcpy(addr + 12, given, n);
}

static const char *v4_entry(const char *text, size_t len, struct inet_range *ret)
{
	static const char no_address[] =
	    "is no IPv4 address, prefix, range or one to four leading octets";
	const char *dash = memchr(text, '-', len), *slash = memchr(text, '/', len);
	uint8_t first[4], last[4];
	unsigned n_first, n_last;
	if (slash != NULL) {
		char whole[24];
		if (!octets(text, (size_t)(slash - text), first, &n_first))
			return no_address;
		memset(first + n_first, 0, 4 - n_first);
		int n =
		    snprintf(whole, sizeof(whole), "%u.%u.%u.%u%.*s", first[0], first[1], first[2],
			first[3], (int)(text + len - slash < 4 ? text + len - slash : 4), slash);
		return n >= (int)sizeof(whole) ? no_address
					       : inet_parse_range(whole, (size_t)n, ret);
	}
	if (!octets(text, dash == NULL ? len : (size_t)(dash - text), first, &n_first))
		return no_address;
	fill(ret->first, first, n_first, 0);
	fill(ret->last, first, n_first, 255);
	if (dash == NULL)
		return NULL;
	if (!octets(dash + 1, (size_t)(text + len - dash - 1), last, &n_last))
		return no_address;
	if (n_last == 1 && n_first > 1) { /* another last octet */
		memmove(last + n_first - 1, last, 1);
		memcpy(last, first, n_first - 1);
		n_last = n_first;
	}
	if (n_last != n_first)
		return "is a range of two kinds of ends";
	fill(ret->last, last, n_last, 255);
	return memcmp(ret->first, ret->last, 16) > 0 ? "is a range that ends before it begins"
						     : NULL;
}

static const char *v6_entry(const char *text, size_t len, struct inet_range *ret)
{
	const char *slash = memchr(text, '/', len);
	size_t n = slash == NULL ? len : (size_t)(slash - text);
	unsigned groups = 1, colons = 0;
	char whole[80];
	bool gap = false;
	for (size_t i = 0; i < n; i++) {
		colons = text[i] == ':' ? colons + 1 : 0;
		gap |= colons == 2;
		groups += text[i] == ':';
	}
	if (gap || groups >= 8 || groups == 1)
		return inet_parse_range(text, len, ret);
	/* leading groups: the rest is anything, unless a length says so */
	if (text[n - 1] == ':') {
		n--;
		groups--;
	}
	int wrote = slash != NULL
			? snprintf(whole, sizeof(whole), "%.*s::%.*s", (int)n, text,
			      (int)(text + len - slash), slash)
			: snprintf(whole, sizeof(whole), "%.*s::/%u", (int)n, text, groups * 16);
	return wrote >= (int)sizeof(whole) ? "is no IPv6 prefix"
					   : inet_parse_range(whole, (size_t)wrote, ret);
}

static void dataset(struct listfile *f, const char *text, size_t len)
{
	static const char *const kinds[] = { "ip4set", "ip4tset", "ip4trie", "ip6trie", "ip6tset" };
	f->skipping_set = true;
	while (len != 0 && (*text == ' ' || *text == '\t')) {
		text++;
		len--;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i]);
		if (len >= n && memcmp(text, kinds[i], n) == 0 &&
		    (len == n || strchr(": \t", text[n]) != NULL)) {
			f->skipping_set = false;
			f->v6_set = kinds[i][2] == '6';
		}
	}
}

int listfile_rbldnsd_line(struct listfile *f, const char *line, const char *text, size_t len)
{
	static const char word[] = "$DATASET";
	struct inet_range range;
	bool except = *text == '!';
	size_t n = 0;
	if (*text == ';' || *text == ':')
		return 0;
	if (*text == '$') {
		if (len > sizeof(word) && memcmp(text, word, sizeof(word) - 1) == 0)
			dataset(f, text + sizeof(word) - 1, len - (sizeof(word) - 1));
		return 0;
	}
	if (f->skipping_set)
		return 0;
	if (except) {
		text++;
		len--;
		while (len != 0 && (*text == ' ' || *text == '\t')) {
			text++;
			len--;
		}
	}
	while (n < len && text[n] != ' ' && text[n] != '\t' && text[n] != '#' && text[n] != ';')
		n++;
	/* a value may follow without a space: ":127.0.0.3:text" behind an IPv4 entry */
	const char *colon = n == 0 ? NULL : memchr(text, ':', n);
	bool v6 = f->v6_set || (colon != NULL && memchr(text, '.', n) == NULL);
	if (colon != NULL && !v6)
		n = (size_t)(colon - text);
	const char *wrong = n == 0 ? "has no address"
			    : v6   ? v6_entry(text, n, &range)
				   : v4_entry(text, n, &range);
	if (wrong != NULL) {
		listfile_mistake(f, line, text, n == 0 ? len : n, wrong);
		return 0;
	}
	while (n < len && (text[n] == ' ' || text[n] == '\t'))
		n++;
	if (n < len && text[n] == ':') { /* :A-record:text */
		const char *second = memchr(text + n + 1, ':', len - n - 1);
		n = second == NULL ? len : (size_t)(second - text) + 1;
	}
	bool text_follows = n < len && text[n] != '#' && text[n] != ';';
	return listfile_keep(
	    f, &range, except, 0, text_follows ? text + n : "", text_follows ? len - n : 0);
}
