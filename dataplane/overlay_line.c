/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of the overlay's journal (overlay_line.h). */
#include "overlay_line.h"

#include "filters/address_form.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_TEXT = 64, CRC_TEXT = 9 };

static uint32_t crc32_of(const char *text, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= (uint8_t)text[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
	}
	return ~crc;
}

void overlay_prefix_text(const uint8_t addr[16], unsigned len, char *ret_text, size_t size)
{
	bool v4 = address_is_v4(addr);
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, text, sizeof(text));
	if (len == (v4 ? 32u : 128u))
		snprintf(ret_text, size, "%s", text);
	else
		snprintf(ret_text, size, "%s/%u", text, len);
}

static bool number(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t n = 0;

	if (!*text || strlen(text) > 10)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	if (n > max)
		return false;
	*ret = (uint32_t)n;
	return true;
}

bool overlay_prefix_read(const char *text, uint8_t ret_addr[16], uint8_t *ret_len)
{
	uint8_t addr[16] = { 0 };
	char copy[PREFIX_TEXT], *slash;
	uint32_t len;
	bool v4 = strchr(text, ':') == NULL;

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	len = v4 ? 32 : 128;
	if (slash && !number(slash + 1, len, &len))
		return false;
	if (v4)
		addr[10] = addr[11] = 0xff;
	if (inet_pton(v4 ? AF_INET : AF_INET6, copy, v4 ? addr + 12 : addr) != 1)
		return false;
	if (!v4 && address_is_v4(addr))
		return false; /* it would be read as the other family */
	for (unsigned bit = len + (v4 ? 96 : 0); bit < 128; bit++)
		if (addr[bit / 8] & 0x80 >> bit % 8)
			return false;
	memcpy(ret_addr, addr, 16);
	*ret_len = (uint8_t)len;
	return true;
}

size_t overlay_line_write(const struct overlay_line *line, char *ret_text, size_t size)
{
	const struct overlay_entry *e = &line->entry;
	const char *list = line->list[0] ? line->list : "@bans";
	char prefix[PREFIX_TEXT], *rest = ret_text + CRC_TEXT, crc[CRC_TEXT + 1];
	size_t room = size - CRC_TEXT;
	int n;

	overlay_prefix_text(e->addr, e->len, prefix, sizeof(prefix));
	if (line->remove)
		n = snprintf(rest, room, "del %s %s", list, prefix);
	else
		n = snprintf(rest, room, "%s %s %s %s %s %u %u%s%s", e->lifts ? "lift" : "add",
		    list, prefix, line->list[0] ? "-" : verdict_words[e->kind],
		    overlay_origin_words[e->origin], e->created_s, e->expires_s,
		    e->reason[0] ? " " : "", e->reason);
	snprintf(crc, sizeof(crc), "%08x ", crc32_of(rest, (size_t)n));
	memcpy(ret_text, crc, CRC_TEXT);
	rest[n] = '\n';
	return CRC_TEXT + (size_t)n + 1;
}

/* The next word, cut off the text in place. */
static char *word(char **at)
{
	char *start = *at, *space = strchr(start, ' ');

	if (space)
		*space = '\0';
	*at = space ? space + 1 : start + strlen(start);
	return start;
}

static int word_index(const char *text, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	return -1;
}

static bool read_entry(char *at, bool ban, struct overlay_entry *e)
{
	const char *kind = word(&at);
	int verdict = word_index(kind, verdict_words, VERDICT_N_KINDS);
	int origin = word_index(word(&at), overlay_origin_words, OVERLAY_N_ORIGINS);

	if (origin < 0 || (ban ? verdict < 0 : strcmp(kind, "-") != 0) ||
	    !number(word(&at), UINT32_MAX, &e->created_s) ||
	    !number(word(&at), UINT32_MAX, &e->expires_s) || strlen(at) > OVERLAY_REASON_MAX)
		return false;
	e->kind = ban ? (uint8_t)verdict : 0;
	e->origin = (uint8_t)origin;
	memcpy(e->reason, at, strlen(at) + 1);
	return true;
}

bool overlay_line_read(const char *text, size_t len, struct overlay_line *ret_line)
{
	struct overlay_line line = { .remove = false };
	char copy[512], crc[CRC_TEXT + 1], *at = copy;
	const char *verb, *list;

	if (len <= CRC_TEXT || len >= sizeof(copy) || memchr(text, '\0', len))
		return false;
	snprintf(crc, sizeof(crc), "%08x ", crc32_of(text + CRC_TEXT, len - CRC_TEXT));
	if (memcmp(text, crc, CRC_TEXT) != 0)
		return false;
	memcpy(copy, text + CRC_TEXT, len - CRC_TEXT);
	copy[len - CRC_TEXT] = '\0';
	verb = word(&at);
	list = word(&at);
	if (strlen(list) > OVERLAY_NAME_MAX || !*list ||
	    !overlay_prefix_read(word(&at), line.entry.addr, &line.entry.len))
		return false;
	if (strcmp(list, "@bans") != 0)
		memcpy(line.list, list, strlen(list) + 1);
	line.remove = strcmp(verb, "del") == 0;
	line.entry.lifts = strcmp(verb, "lift") == 0;
	if (!line.remove && !line.entry.lifts && strcmp(verb, "add") != 0)
		return false;
	if (!line.remove && !read_entry(at, !line.list[0], &line.entry))
		return false;
	*ret_line = line;
	return true;
}
