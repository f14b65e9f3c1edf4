/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts of a path: the domain is always among them, nothing overflows, a hidden @ is never missed.
 */
#include "fuzz.h"

#include "dataplane/smtp.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool names(const struct smtp_hosts *h, const char *p, size_t len)
{
	for (unsigned i = 0; i < h->n; i++) {
		if (h->host[i].len == len && !strncasecmp(h->host[i].p, p, len))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char line[SMTP_COMMAND_MAX] = "RCPT TO:<";
	struct smtp_command c;
	struct smtp_hosts h;
	size_t n = 9;

	for (size_t i = 0; i < len && n < sizeof(line) - 1; i++) {
		if (data[i] >= ' ')
			line[n++] = (char)data[i];
	}
	line[n++] = '>';
	if (smtp_parse((struct text){ line, (uint16_t)n }, &c) != SMTP_SYNTAX_OK)
		return 0;
	memset(&h, 0xaa, sizeof(h));
	smtp_hosts(&c.path, &h);
	CHECK(h.n <= SMTP_MAX_HOSTS);
	size_t sum = 0;

	for (unsigned i = 0; i < h.n; i++) {
		struct text host = h.host[i];

		CHECK(host.len > 0 && host.p == h.buf + sum);
		CHECK(host.p[host.len - 1] != '.');
		for (unsigned k = 0; k < host.len; k++)
			CHECK(host.p[k] < 'A' || host.p[k] > 'Z');
		sum += host.len;
	}
	CHECK(sum <= sizeof(h.buf));
	if (h.too_many)
		return 0;
	size_t domain_len = c.path.domain.len;

	if (domain_len && c.path.domain.p[domain_len - 1] == '.')
		domain_len--;
	CHECK(domain_len == 0 || names(&h, c.path.domain.p, domain_len));
	/* The host after the last % of an unquoted local part. */
	if (c.path.local.len && *c.path.local.p != '"' &&
	    !memchr(c.path.local.p, '[', c.path.local.len)) {
		const char *end = c.path.local.p + c.path.local.len;
		const char *percent = memrchr(c.path.local.p, '%', c.path.local.len);

		while (percent && end > percent + 1 && end[-1] == '.')
			end--;
		if (percent && percent + 1 < end && !memchr(percent, '!', (size_t)(end - percent)))
			CHECK(names(&h, percent + 1, (size_t)(end - percent) - 1));
	}
	return 0;
}
