/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory's keys (a SipHash under its secret), and what a row is shown as (memory_private.h). */
#include "memory_private.h"

#include "address_form.h"
#include "batv.h"
#include "siphash.h"

#include <arpa/inet.h>
#include <string.h>

enum { KEY_MAX = 400 };

size_t memory_lower(char *to, size_t cap, struct text from)
{
	size_t n = from.len < cap ? from.len : cap;

	for (size_t i = 0; i < n; i++) {
		char c = from.p[i];

		to[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	return n;
}

uint64_t memory_key(
    const struct memory *m, unsigned kind, uint16_t tenant, const char *text, size_t len)
{
	uint8_t buf[KEY_MAX + 4] = { (uint8_t)kind, (uint8_t)tenant, (uint8_t)(tenant >> 8), 0 };
	uint64_t key;

	len = len < KEY_MAX ? len : KEY_MAX;
	if (len)
		memcpy(buf + 4, text, len);
	key = siphash(m->key, buf, len + 4);
	return key ? key : 1;
}

uint64_t memory_key_known(const struct memory *m, uint16_t tenant, const char *text, size_t len)
{
	return memory_key(m, KEY_KNOWN, tenant, text, len);
}

uint64_t memory_key_text(const struct memory *m, unsigned kind, uint16_t tenant, struct text t)
{
	char buf[KEY_MAX];

	return memory_key(m, kind, tenant, buf, memory_lower(buf, sizeof(buf), t));
}

static void prefix_of(const uint8_t client[16], uint8_t ret_prefix[16])
{
	memcpy(ret_prefix, client, 16);
	if (address_is_v4(client))
		ret_prefix[15] = 0;
	else
		memset(ret_prefix + 8, 0, 8);
}

size_t memory_client_text(const uint8_t client[16], bool prefix, char text[MEMORY_TEXT])
{
	uint8_t addr[16];

	memcpy(addr, client, 16);
	if (prefix)
		prefix_of(client, addr);
	if (address_is_v4(addr))
		inet_ntop(AF_INET, addr + 12, text, MEMORY_TEXT);
	else
		inet_ntop(AF_INET6, addr, text, MEMORY_TEXT);
	if (prefix)
		strncat(text, address_is_v4(addr) ? "/24" : "/64", 4);
	return strlen(text);
}

/* The key of a subject, 0: it has none here. */
uint64_t memory_key_subject(const struct memory *m, unsigned subject, const struct memory_query *q)
{
	uint8_t prefix[16];

	switch ((enum memory_subject)subject) {
	case MEMORY_ADDRESS: return memory_key(m, subject, 0, (const char *)q->client, 16);
	case MEMORY_PREFIX:
		prefix_of(q->client, prefix);
		return memory_key(m, subject, 0, (const char *)prefix, 16);
	case MEMORY_SENDER:
		return q->sender.len ? memory_key_text(m, subject, q->tenant, batv_bare(q->sender))
				     : 0;
	case MEMORY_SENDER_DOMAIN: {
		struct text domain = text_domain(q->sender);

		return domain.len ? memory_key_text(m, subject, q->tenant, domain) : 0;
	}
	case MEMORY_RECIPIENT:
		return q->rcpt.len ? memory_key_text(m, subject, q->tenant, batv_bare(q->rcpt)) : 0;
	case MEMORY_RECIPIENT_DOMAIN: {
		struct text domain = text_domain(q->rcpt);

		return domain.len ? memory_key_text(m, subject, q->tenant, domain) : 0;
	}
	case MEMORY_BOUNCES:
		return q->rcpt.len && !q->sender.len
			   ? memory_key_text(m, subject, q->tenant, batv_bare(q->rcpt))
			   : 0;
	default: return 0;
	}
}

void memory_label_set(struct memory_table *t, long slot, unsigned kind, struct text text)
{
	struct memory_label *label = &t->labels[slot];

	t->marks[slot].kind = (uint8_t)kind;
	label->text[memory_lower(label->text, MEMORY_LABEL, text)] = 0;
}

void memory_label_subject(
    struct memory_table *t, long slot, unsigned subject, const struct memory_query *q)
{
	switch ((enum memory_subject)subject) {
	case MEMORY_ADDRESS: /* written out by memory_label_text() */
	case MEMORY_PREFIX:
		memcpy(t->labels[slot].text, q->client, 16);
		t->marks[slot].kind = (uint8_t)subject;
		return;
	case MEMORY_SENDER: memory_label_set(t, slot, subject, batv_bare(q->sender)); return;
	case MEMORY_SENDER_DOMAIN:
		memory_label_set(t, slot, subject, text_domain(q->sender));
		return;
	case MEMORY_RECIPIENT_DOMAIN:
		memory_label_set(t, slot, subject, text_domain(q->rcpt));
		return;
	default: memory_label_set(t, slot, subject, batv_bare(q->rcpt)); return;
	}
}

void memory_label_text(unsigned kind, const struct memory_label *label, char ret_text[MEMORY_TEXT])
{
	uint8_t client[16];

	if (kind == MEMORY_ADDRESS || kind == MEMORY_PREFIX) {
		memcpy(client, label->text, 16);
		memory_client_text(client, kind == MEMORY_PREFIX, ret_text);
	} else {
		memcpy(ret_text, label->text, sizeof(label->text));
	}
}

uint64_t memory_key_sender(const struct memory *m, const struct memory_query *q)
{
	unsigned kind = q->internal ? KEY_SENDER_INTERNAL : MEMORY_SHOW_SENDER_BASELINE;

	/* a tag is another one each day, and whoever makes them up is one sender all the same */
	return q->sender.len ? memory_key_text(m, kind, q->tenant, batv_bare(q->sender)) : 0;
}

uint64_t memory_key_domain(const struct memory *m, const struct memory_query *q)
{
	struct text domain = text_domain(q->rcpt);

	return domain.len ? memory_key_text(m, MEMORY_SHOW_DOMAIN_BASELINE, q->tenant, domain) : 0;
}

uint64_t memory_key_pair(const struct memory *m, const struct memory_query *q, bool of_client)
{
	char buf[KEY_MAX];
	size_t n;

	if (of_client) {
		memcpy(buf, q->client, 16);
		n = 16;
	} else {
		n = memory_lower(buf, KEY_MAX / 2, batv_bare(q->sender));
		buf[n++] = 0;
	}
	n += memory_lower(buf + n, KEY_MAX - n, batv_bare(q->rcpt));
	return memory_key(m,
	    of_client     ? KEY_CLIENT_PAIR
	    : q->internal ? KEY_PAIR_INTERNAL
			  : KEY_PAIR,
	    q->tenant, buf, n);
}
