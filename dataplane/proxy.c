/* SPDX-License-Identifier: BSD-3-Clause */
/* PROXY v2 and XCLIENT; see proxy.h. */
#include "proxy.h"
#include "smtp.h"

#include "filters/address_form.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
	0x54, 0x0a };

enum { VERSION_2_PROXY = 0x21, VERSION_2_LOCAL = 0x20, TCP4 = 0x11, TCP6 = 0x21, UNSPEC = 0x00 };

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static size_t put_tlv(uint8_t *p, uint8_t type, const char *text)
{
	size_t n;

	if (!text)
		return 0;
	n = strnlen(text, 60);
	p[0] = type;
	put16(p + 1, (uint16_t)n);
	memcpy(p + 3, text, n);
	return 3 + n;
}

size_t proxy_v2(uint8_t buf[PROXY_V2_MAX], const struct proxy_client *client)
{
	bool v4 = address_is_v4(client->client) && address_is_v4(client->server);
	size_t from = v4 ? 12 : 0, n = v4 ? 4 : 16;
	uint8_t *p = buf + 16;

	memcpy(buf, signature, sizeof(signature));
	buf[12] = VERSION_2_PROXY;
	buf[13] = v4 ? TCP4 : TCP6;
	memcpy(p, client->client + from, n);
	memcpy(p + n, client->server + from, n);
	p += 2 * n;
	put16(p, client->client_port);
	put16(p + 2, client->server_port);
	p += 4;
	p += put_tlv(p, PROXY_TLV_TOKEN, client->token);
	p += put_tlv(p, PROXY_TLV_VERDICT, client->verdict);
	put16(buf + 14, (uint16_t)(p - buf - 16));
	return (size_t)(p - buf);
}

size_t proxy_v2_local(uint8_t buf[PROXY_V2_MAX])
{
	memcpy(buf, signature, sizeof(signature));
	buf[12] = VERSION_2_LOCAL;
	buf[13] = UNSPEC;
	put16(buf + 14, 0);
	return 16;
}

static void print_address(char *buf, size_t cap, const uint8_t a[16])
{
	char text[INET6_ADDRSTRLEN];

	if (address_is_v4(a)) {
		inet_ntop(AF_INET, a + 12, text, sizeof(text));
		snprintf(buf, cap, "%s", text);
	} else {
		inet_ntop(AF_INET6, a, text, sizeof(text));
		snprintf(buf, cap, "IPV6:%s", text);
	}
}

/* xtext (RFC 3461 section 4); returns the length, or 0 when it does not fit. */
static size_t put_xtext(char *buf, size_t cap, const char *p, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)p[i];

		if (c > 0x20 && c < 0x7f && c != '+' && c != '=') {
			if (n + 1 > cap)
				return 0;
			buf[n++] = (char)c;
		} else {
			if (n + 3 > cap)
				return 0;
			buf[n++] = '+';
			buf[n++] = hex[c >> 4];
			buf[n++] = hex[c & 15];
		}
	}
	return n;
}

size_t proxy_xclient(char buf[XCLIENT_MAX], uint32_t offered, const struct proxy_client *client)
{
	char addr[INET6_ADDRSTRLEN + 8], dest[INET6_ADDRSTRLEN + 8];
	int n = snprintf(buf, XCLIENT_MAX, "XCLIENT");

	print_address(addr, sizeof(addr), client->client);
	print_address(dest, sizeof(dest), client->server);
	/* All of these together stay below 256 bytes, so no result is cut. */
	if (offered & XCLIENT_NAME)
		n += snprintf(buf + n, XCLIENT_MAX - (size_t)n, " NAME=[UNAVAILABLE]");
	if (offered & XCLIENT_ADDR)
		n += snprintf(buf + n, XCLIENT_MAX - (size_t)n, " ADDR=%s", addr);
	if (offered & XCLIENT_PORT)
		n += snprintf(buf + n, XCLIENT_MAX - (size_t)n, " PORT=%u", client->client_port);
	if (offered & XCLIENT_PROTO)
		n += snprintf(buf + n, XCLIENT_MAX - (size_t)n, " PROTO=%s",
		    client->esmtp ? "ESMTP" : "SMTP");
	if (offered & XCLIENT_DESTADDR)
		n += snprintf(buf + n, XCLIENT_MAX - (size_t)n, " DESTADDR=%s", dest);
	if (offered & XCLIENT_DESTPORT)
		n += snprintf(buf + n, XCLIENT_MAX - (size_t)n, " DESTPORT=%u", client->server_port);
	if ((offered & XCLIENT_HELO) && client->helo_len) {
		size_t room = XCLIENT_MAX - (size_t)n - 2 - 6;
		size_t k = put_xtext(buf + n + 6, room, client->helo, client->helo_len);

		if (k) {
			memcpy(buf + n, " HELO=", 6);
			n += 6 + (int)k;
		}
	}
	memcpy(buf + n, "\r\n", 2);
	return (size_t)n + 2;
}
