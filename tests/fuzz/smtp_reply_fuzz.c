/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies of a backend, and what its EHLO reply offers: one reply, whole, and cut-proof. */
#include "fuzz.h"

#include "dataplane/smtp.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		struct smtp_reply r, again;
		const uint8_t *p = data + at;
		long used = smtp_reply(p, len - at, &r);

		if (used <= 0) {
			CHECK(used == 0 || used == -EPROTO || used == -EMSGSIZE);
			if (used == 0)
				CHECK(len - at <= UINT16_MAX);
			return 0;
		}
		CHECK((size_t)used <= len - at && r.raw.p == (const char *)p && r.raw.len == used);
		CHECK(r.code >= 200 && r.code <= 599 && r.n_lines > 0);
		unsigned lines = 0;

		for (long i = 0; i < used; i++) {
			CHECK(p[i] != '\0');
			if (p[i] == '\r')
				CHECK(i + 1 < used && p[i + 1] == '\n');
			if (p[i] == '\n') {
				CHECK(i > 0 && p[i - 1] == '\r');
				lines++;
			}
		}
		CHECK(lines == r.n_lines && p[used - 1] == '\n');
		/* Whatever follows, and however it was cut. */
		CHECK(smtp_reply(p, (size_t)used, &again) == used);
		for (long cut = 0; cut < used; cut += cut < 64 ? 1 : 251)
			CHECK(smtp_reply(p, (size_t)cut, &again) == 0);

		struct smtp_words w = { 0xffffffff, 1, 0xffffffff };

		smtp_ehlo_words(&r, &w);
		CHECK(w.words < SMTP_WORD_BINARYMIME * 2 && w.xclient < XCLIENT_DESTPORT * 2);
		if (r.code != 250 || r.n_lines == 1)
			CHECK(w.words == 0);
		if (!(w.words & SMTP_WORD_SIZE))
			CHECK(w.size == 0);
		at += (size_t)used;
	}
	return 0;
}
