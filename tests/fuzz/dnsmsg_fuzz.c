/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS answers: whatever the bytes, the records lie within their room and are of their type. */
#include "fuzz.h"

#include "dataplane/dnsmsg.h"

#include <errno.h>
#include <string.h>

static void check(const struct dns_answer *a, unsigned type)
{
	unsigned at = 0, len, n = 0;

	CHECK(a->status <= DNS_FAILED && a->len <= DNS_DATA_MAX);
	CHECK((a->status == DNS_OK) == (a->n > 0));
	for (; dns_next(a, &at, &len) != NULL; n++) {
		CHECK(at <= a->len);
		if (type == DNS_A)
			CHECK(len == 4);
		if (type == DNS_AAAA)
			CHECK(len == 16);
		if (type == DNS_PTR)
			CHECK(len < DNS_NAME_MAX);
		if (type == DNS_MX)
			CHECK(len >= 2 && len < DNS_NAME_MAX + 2);
	}
	CHECK(n == a->n && at == a->len);
}

/* The first byte chooses the type; the name asked for is that of the seeds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t types[] = { DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA };
	static struct dns_answer answer;
	unsigned type;
	int r;

	if (len < 1)
		return 0;
	type = types[data[0] % sizeof(types)];
	r = dnsmsg_read(data + 1, len - 1, "bl.example", type, &answer);
	CHECK(r == 0 || r == -EBADMSG);
	if (r == 0)
		check(&answer, type);
	return 0;
}
