/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream of command lines: nothing lost, nothing read twice, the same lines whatever the cut. */
#include "fuzz.h"

#include "dataplane/smtp.h"

#include <stdbool.h>
#include <string.h>

/* One line at `p` must be judged the same whether the buffer ends with it or goes on. */
static void same_at_its_end(
    const uint8_t *p, enum smtp_line_status status, struct text line, size_t used)
{
	struct text again;
	size_t used_again;

	CHECK(smtp_line(p, used, &again, &used_again) == status);
	CHECK(again.p == line.p && again.len == line.len && used_again == used);
	for (size_t cut = 0; cut < used && cut <= SMTP_COMMAND_MAX; cut += cut < 64 ? 1 : 61)
		CHECK(smtp_line(p, cut, &again, &used_again) == SMTP_LINE_PARTIAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t at = 0;
	bool skipping = false;

	while (at < len) {
		struct text line;
		size_t used;

		if (skipping) {
			skipping = data[at++] != '\n';
			continue;
		}
		enum smtp_line_status status = smtp_line(data + at, len - at, &line, &used);

		if (status == SMTP_LINE_PARTIAL) {
			CHECK(len - at <= SMTP_COMMAND_MAX);
			CHECK(!memchr(data + at, '\n', len - at));
			break;
		}
		CHECK(used > 0 && used <= len - at && line.p == (const char *)data + at);
		CHECK(line.len <= used && line.len <= SMTP_COMMAND_MAX);
		bool ended = data[at + used - 1] == '\n';

		CHECK(ended || status == SMTP_LINE_TOO_LONG);
		if (status == SMTP_LINE_OK) {
			CHECK(used == line.len + 2u && data[at + used - 2] == '\r');
			CHECK(!memchr(line.p, '\r', line.len) && !memchr(line.p, '\n', line.len));
			CHECK(!memchr(line.p, '\0', line.len));
		}
		if (status == SMTP_LINE_TOO_LONG)
			CHECK(used > SMTP_COMMAND_MAX);
		else
			same_at_its_end(data + at, status, line, used);
		skipping = !ended;
		at += used;
	}
	return 0;
}
