/* SPDX-License-Identifier: BSD-3-Clause */
/* What names give away; see hostname.h. */
#include "hostname.h"

#include "address_form.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAX_NUMBERS = 16 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	c = lower(c);
	return c >= 'a' && c <= 'z';
}

static struct text without_dot(struct text t)
{
	if (t.len > 0 && t.p[t.len - 1] == '.')
		t.len--;
	return t;
}

bool hostname_equal(struct text a, struct text b)
{
	a = without_dot(a);
	b = without_dot(b);
	if (a.len != b.len)
		return false;
	for (unsigned i = 0; i < a.len; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool hostname_within(struct text name, struct text domain)
{
	name = without_dot(name);
	domain = without_dot(domain);
	if (domain.len == 0 || name.len < domain.len)
		return false;
	if (name.len > domain.len && name.p[name.len - domain.len - 1] != '.')
		return false;
	name.p += name.len - domain.len;
	name.len = domain.len;
	return hostname_equal(name, domain);
}

bool hostname_is_qualified(struct text name)
{
	unsigned labels = 0, start = 0;
	bool digits = true;

	name = without_dot(name);
	if (name.len == 0 || name.len > 253)
		return false;
	for (unsigned i = 0; i <= name.len; i++) {
		if (i < name.len && name.p[i] != '.') {
			char c = name.p[i];

			if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_')
				return false;
			digits &= is_digit(c);
			continue;
		}
		if (i == start || i - start > 63)
			return false;
		labels++;
		if (i < name.len)
			digits = true;
		start = i + 1;
	}
	return labels > 1 && !digits;
}

/* ---- generic reverse names ---- */

/* The numbers that stand alone in the name, zeros in front allowed ("007"). */
static unsigned numbers(struct text name, unsigned ret[MAX_NUMBERS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < name.len && n < MAX_NUMBERS;) {
		unsigned value = 0, start = i;

		if (!is_digit(name.p[i])) {
			i++;
			continue;
		}
		while (i < name.len && is_digit(name.p[i]) && i - start < 3)
			value = value * 10 + (unsigned)(name.p[i++] - '0');
		if (i < name.len && is_digit(name.p[i])) {
			/* longer than an octet: three digits each, as "198051100007" */
			if (i - start == 3 && value < 256) {
				ret[n++] = value;
				continue;
			}
			while (i < name.len && is_digit(name.p[i]))
				i++;
			continue;
		}
		ret[n++] = value;
	}
	return n;
}

/* At least three neighbouring octets in a row, forward or backward: the first two alone are a
 * network's, and "mail3-2" holds two small numbers by chance. */
static bool holds_octets(struct text name, const uint8_t a[4])
{
	unsigned found[MAX_NUMBERS], n = numbers(name, found);

	for (unsigned i = 0; i + 3 <= n; i++) {
		for (unsigned j = 0; j < 2; j++) {
			if (found[i] == a[j] && found[i + 1] == a[j + 1] && found[i + 2] == a[j + 2])
				return true;
			if (found[i] == a[j + 2] && found[i + 1] == a[j + 1] && found[i + 2] == a[j])
				return true;
		}
	}
	return false;
}

/* Hexadecimal digits of the last `n` octets in a row, `-` and `.` between them not counted. */
static bool holds_hex(struct text name, const uint8_t *octets, unsigned n)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned start = 0; start < name.len; start++) {
		unsigned at = start, got = 0;

		while (at < name.len && got < 2 * n) {
			char c = lower(name.p[at]);
			uint8_t octet = octets[got / 2];

			if (c == digits[got % 2 ? octet & 15 : octet >> 4])
				got++;
			else if ((c != '-' && c != '.') || got == 0)
				break;
			at++;
		}
		if (got == 2 * n)
			return true;
	}
	return false;
}

static const char *const access_words[] = { "adsl", "adsl2", "broadband", "cable", "catv", "client",
	"cpe", "cust", "customer", "customers", "dhcp", "dial", "dialin", "dialup", "docsis", "dsl",
	"dyn", "dynamic", "dynamicip", "dynip", "fiber", "fibra", "fttb", "fttc", "ftth", "gprs",
	"gpon", "home", "hsd", "hsia", "ip", "ipcp", "isdn", "lte", "mobile", "nat", "pool", "ppp",
	"pppoe", "res", "residential", "rev", "sdsl", "subscriber", "user", "vdsl", "wireless",
	"xdsl" };

static const char *const mail_words[] = { "mail", "mailer", "mailgw", "mailhost", "mailout", "mta",
	"mx", "out", "outbound", "outgoing", "relay", "smtp", "smtpout" };

static bool in_words(const char *p, unsigned len, const char *const *words, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned j = 0;

		while (j < len && words[i][j] && lower(p[j]) == words[i][j])
			j++;
		if (j == len && words[i][j] == '\0')
			return true;
	}
	return false;
}

#define IN_WORDS(p, len, words) in_words(p, len, words, sizeof(words) / sizeof((words)[0]))

/* Words are runs of letters below the last two labels: "pool" in "pool7.example.net" is one, the
 * "dyn" of "dyn.example" is the owner's name. */
static bool speaks_of_access(struct text name)
{
	unsigned end = name.len, dots = 0;
	bool access = false, digit = false;

	while (end > 0 && dots < 2)
		if (name.p[--end] == '.')
			dots++;
	if (dots < 2)
		return false;
	for (unsigned i = 0; i < end;) {
		unsigned start = i;

		if (is_digit(name.p[i]))
			digit = true;
		while (i < end && is_letter(name.p[i]))
			i++;
		if (i > start && IN_WORDS(name.p + start, i - start, mail_words))
			return false;
		if (i > start && IN_WORDS(name.p + start, i - start, access_words))
			access = true;
		if (i == start)
			i++;
	}
	return access && digit;
}

bool hostname_is_generic(struct text name, const uint8_t client[16])
{
	name = without_dot(name);
	if (address_is_v4(client)) {
		uint8_t back[4] = { client[15], client[14], client[13], client[12] };

		if (holds_octets(name, client + 12) || holds_hex(name, client + 12, 4) ||
		    holds_hex(name, back, 4))
			return true;
	} else if (holds_hex(name, client + 8, 8) || holds_hex(name, client, 6)) {
		return true;
	}
	return speaks_of_access(name);
}

/* ---- HELO ---- */

/* 0: none; else the address, IPv4 as ::ffff:a.b.c.d. */
static bool parse_address(struct text t, uint8_t ret[16])
{
	char buf[48];

	if (t.len == 0 || t.len >= sizeof(buf))
		return false;
	memcpy(buf, t.p, t.len);
	buf[t.len] = '\0';
	memset(ret, 0, 16);
	ret[10] = ret[11] = 0xff;
	if (inet_pton(AF_INET, buf, ret + 12) == 1)
		return true;
	return inet_pton(AF_INET6, buf, ret) == 1;
}

bool helo_is_literal(struct text helo)
{
	return helo.len > 2 && helo.p[0] == '[' && helo.p[helo.len - 1] == ']';
}

static bool literal_address(struct text helo, uint8_t ret[16])
{
	struct text inner = { helo.p + 1, (uint16_t)(helo.len - 2) };

	if (!helo_is_literal(helo))
		return false;
	if (inner.len > 5 &&
	    hostname_equal((struct text){ inner.p, 5 }, (struct text){ "ipv6:", 5 })) {
		inner.p += 5;
		inner.len -= 5;
	}
	return parse_address(inner, ret);
}

bool helo_is_bare_address(struct text helo)
{
	uint8_t addr[16];

	return parse_address(helo, addr);
}

bool helo_has_no_dot(struct text helo)
{
	helo = without_dot(helo);
	if (helo.len == 0)
		return true;
	return !helo_is_literal(helo) && !helo_is_bare_address(helo) &&
	       !memchr(helo.p, '.', helo.len);
}

bool helo_claims_to_be(struct text helo, struct text our_name, const uint8_t our_addr[16])
{
	uint8_t addr[16];

	if (our_name.len > 0 && hostname_equal(helo, our_name))
		return true;
	if (!literal_address(helo, addr) && !parse_address(helo, addr))
		return false;
	return memcmp(addr, our_addr, 16) == 0;
}

bool helo_is_foreign_literal(struct text helo, const uint8_t client[16])
{
	uint8_t addr[16];

	return literal_address(helo, addr) && memcmp(addr, client, 16) != 0;
}

bool helo_differs(struct text helo, struct text host, struct text org)
{
	if (helo_is_literal(helo) || host.len == 0)
		return false;
	if (hostname_equal(helo, host))
		return false;
	return org.len == 0 || !hostname_within(helo, org);
}
