/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading DNS answers (RFC 1035 4.1); see dnsmsg.h. */
#include "dnsmsg.h"

#include <errno.h>
#include <string.h>

struct reader {
	const uint8_t *msg;
	size_t len, at;
};

struct record {
	char owner[DNS_NAME_MAX];
	bool odd; /* the owner's name is not comparable text */
	unsigned type, class;
	uint32_t ttl_s;
	size_t data, len; /* in the message */
};

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static char lower(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* A name at `at`: its text in lower case, and where it ends in the message; false: malformed.
 * Pointers go backward only, so following them ends. */
static bool read_name(
    const struct reader *r, size_t at, char ret[DNS_NAME_MAX], bool *ret_odd, size_t *ret_end)
{
	size_t out = 0, end = 0, lowest = at;
	bool odd = false;

	for (;;) {
		unsigned n;

		if (at >= r->len)
			return false;
		n = r->msg[at];
		if ((n & 0xc0) == 0xc0) {
			size_t to;

			if (at + 2 > r->len)
				return false;
			to = get16(r->msg + at) & 0x3fff;
			if (!end)
				end = at + 2;
			if (to >= lowest)
				return false;
			at = lowest = to;
			continue;
		}
		if (n & 0xc0 || at + 1 + n > r->len)
			return false;
		at++;
		if (n == 0)
			break;
		if (out + n + 2 > DNS_NAME_MAX)
			return false;
		if (out)
			ret[out++] = '.';
		for (unsigned i = 0; i < n; i++) {
			uint8_t c = r->msg[at + i];

			odd |= c < ' ' || c > '~' || c == '.' || c == '\\';
			ret[out++] = lower(c);
		}
		at += n;
	}
	ret[out] = '\0';
	*ret_odd = odd;
	*ret_end = end ? end : at;
	return true;
}

static bool read_record(struct reader *r, struct record *ret)
{
	size_t end;

	if (!read_name(r, r->at, ret->owner, &ret->odd, &end) || end + 10 > r->len)
		return false;
	ret->type = get16(r->msg + end);
	ret->class = get16(r->msg + end + 2);
	ret->ttl_s = get32(r->msg + end + 4);
	if (ret->ttl_s > INT32_MAX) /* RFC 2181 8 */
		ret->ttl_s = 0;
	ret->len = get16(r->msg + end + 8);
	ret->data = end + 10;
	if (ret->data + ret->len > r->len)
		return false;
	r->at = ret->data + ret->len;
	return true;
}

static void put(struct dns_answer *a, const void *front, unsigned n_front, const void *p, unsigned n)
{
	uint16_t len = (uint16_t)(n_front + n);

	if (a->len + 2u + len > DNS_DATA_MAX) {
		a->cut = true;
		return;
	}
	memcpy(a->data + a->len, &len, 2);
	memcpy(a->data + a->len + 2, front, n_front);
	memcpy(a->data + a->len + 2 + n_front, p, n);
	a->len = (uint16_t)(a->len + 2 + len);
	a->n++;
}

static void put_name(
    const struct reader *r, const struct record *record, unsigned skip, struct dns_answer *a)
{
	char name[DNS_NAME_MAX];
	bool odd;
	size_t end;

	if (record->len <= skip || !read_name(r, record->data + skip, name, &odd, &end) || odd)
		return;
	put(a, r->msg + record->data, skip, name, (unsigned)strlen(name));
}

static void put_text(const struct reader *r, const struct record *record, struct dns_answer *a)
{
	uint8_t text[DNS_DATA_MAX];
	unsigned out = 0;
	size_t at = record->data, end = record->data + record->len;

	while (at < end) {
		unsigned n = r->msg[at++];

		if (at + n > end)
			return;
		if (out + n > sizeof(text)) {
			a->cut = true;
			return;
		}
		memcpy(text + out, r->msg + at, n);
		out += n;
		at += n;
	}
	put(a, "", 0, text, out);
}

static void put_record(const struct reader *r, const struct record *record, struct dns_answer *a)
{
	switch (record->type) {
	case DNS_A:
	case DNS_AAAA:
		if (record->len == (record->type == DNS_A ? 4 : 16))
			put(a, "", 0, r->msg + record->data, (unsigned)record->len);
		break;
	case DNS_PTR: put_name(r, record, 0, a); break;
	case DNS_MX: put_name(r, record, 2, a); break;
	case DNS_TXT: put_text(r, record, a); break;
	default: break;
	}
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Where the CNAMEs lead from `name`, in whatever order they stand; false: malformed, or a loop. */
static bool follow(const struct reader *start, unsigned n, char name[DNS_NAME_MAX], uint32_t *ttl_s)
{
	for (unsigned hop = 0; hop <= DNS_MAX_CNAMES; hop++) {
		struct reader r = *start;
		struct record record;
		bool found = false, odd;
		size_t end;

		for (unsigned i = 0; i < n && !found; i++) {
			if (!read_record(&r, &record))
				return false;
			found = record.type == DNS_CNAME && record.class == 1 && !record.odd &&
				strcmp(record.owner, name) == 0;
		}
		if (!found)
			return true;
		if (!read_name(&r, record.data, name, &odd, &end) || odd)
			return false;
		*ttl_s = least(*ttl_s, record.ttl_s);
	}
	return false;
}

/* RFC 2308 5: as long as the SOA of the authority section says; without one, not at all. */
static uint32_t negative_ttl(struct reader *r, unsigned n)
{
	struct record record;

	for (unsigned i = 0; i < n && read_record(r, &record); i++)
		if (record.type == DNS_SOA && record.class == 1 && record.len >= 22)
			return least(record.ttl_s, get32(r->msg + record.data + record.len - 4));
	return 0;
}

int dnsmsg_read(
    const uint8_t *msg, size_t len, const char *name, unsigned type, struct dns_answer *ret_answer)
{
	struct reader r = { msg, len, 12 }, answers;
	char asked[DNS_NAME_MAX], at[DNS_NAME_MAX];
	unsigned rcode, n_answers;
	size_t end, name_len = strlen(name);
	uint32_t ttl_s = UINT32_MAX;
	struct record record;
	bool odd;

	if (len < 12 || !(msg[2] & 0x80) || get16(msg + 4) != 1 || name_len >= DNS_NAME_MAX)
		return -EBADMSG;
	for (size_t i = 0; i <= name_len; i++)
		asked[i] = lower((uint8_t)name[i]);
	if (!read_name(&r, r.at, at, &odd, &end) || end + 4 > len || strcmp(at, asked) != 0 ||
	    get16(msg + end) != type || get16(msg + end + 2) != 1)
		return -EBADMSG;
	r.at = end + 4;
	rcode = msg[3] & 15;
	n_answers = get16(msg + 6);
	ret_answer->n = ret_answer->len = 0;
	ret_answer->cut = msg[2] & 2; /* truncated over TCP too */
	ret_answer->ttl_s = 0;
	ret_answer->status = DNS_FAILED;
	if (rcode != 0 && rcode != 3)
		return 0;

	answers = r;
	if (!follow(&answers, n_answers, at, &ttl_s))
		return -EBADMSG;
	for (unsigned i = 0; i < n_answers; i++) {
		if (!read_record(&r, &record))
			return -EBADMSG;
		if (record.type != type || record.class != 1 || record.odd ||
		    strcmp(record.owner, at) != 0)
			continue;
		put_record(&r, &record, ret_answer);
		ttl_s = least(ttl_s, record.ttl_s);
	}
	if (ret_answer->n > 0) {
		ret_answer->status = DNS_OK;
		ret_answer->ttl_s = ttl_s;
		return 0;
	}
	ret_answer->status = rcode == 3 ? DNS_NXDOMAIN : DNS_NODATA;
	ret_answer->ttl_s = least(ttl_s, negative_ttl(&r, get16(msg + 8)));
	return 0;
}

const uint8_t *dns_next(const struct dns_answer *answer, unsigned *at, unsigned *ret_len)
{
	uint16_t len;
	const uint8_t *p;

	if (*at + 2 > answer->len)
		return NULL;
	memcpy(&len, answer->data + *at, 2);
	p = answer->data + *at + 2;
	*at += 2u + len;
	*ret_len = len;
	return p;
}
