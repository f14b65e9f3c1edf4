/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A DNS answer as the resolver keeps it: the records of one name and type behind its CNAMEs, and for
 * how long they hold. c-ares carries packets, but gives neither the life of MX, TXT and PTR records
 * nor that of a negative answer (RFC 2308), which a cache needs; so the answer is read here, from
 * bytes that anyone may have written. Pure; tests/fuzz/dnsmsg_fuzz.c attacks it.
 */
#ifndef POSTERN_DATAPLANE_DNSMSG_H
#define POSTERN_DATAPLANE_DNSMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNS_NAME_MAX = 256, /* with the zero */
	DNS_DATA_MAX = 8192,
	DNS_MAX_CNAMES = 10,
};

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28
};

enum dns_status {
	DNS_OK,
	DNS_NODATA,
	DNS_NXDOMAIN,
	DNS_FAILED, /* SERVFAIL, REFUSED, garbage, no room */
	DNS_TIMEOUT,
};

/* Records lie in `data` one behind the other, each with two bytes of length (host order) in front: A
 * 4 bytes, AAAA 16, PTR a name, MX two bytes of preference (network order) and a name (empty: the root, RFC
 * 7505), TXT its strings joined. Names are without a dot at the end and not terminated. */
struct dns_answer {
	uint32_t ttl_s; /* 0: not to be kept */
	uint16_t n, len;
	uint8_t status;
	bool cut; /* more records than there was room for */
	uint8_t data[DNS_DATA_MAX];
};

/* 0, or -EBADMSG: not an answer to this question. Records that do not belong to the question or have
 * an odd name are left out. */
int dnsmsg_read(
    const uint8_t *msg, size_t len, const char *name, unsigned type, struct dns_answer *ret_answer);

/* The next record; *at starts at 0. NULL: no more. */
const uint8_t *dns_next(const struct dns_answer *answer, unsigned *at, unsigned *ret_len);

#endif
