/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libpcap reads the container; the headers are read here, every length checked. Segments that come
 * before their turn wait in a short list per session (a capture is a finished thing: a gap that is
 * not filled within it is skipped, marked and counted).
 */
#include "replay_capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAITING_MAX = 64, BUCKETS = 4096 };

struct waiting {
	uint32_t seq, len;
	uint64_t at_ns;
	uint8_t *data;
};

struct flow {
	struct capture_session s;
	unsigned next; /* in the bucket's chain, 0: end */
	uint32_t client_next, server_next;
	bool client_known, server_known, ended;
	uint32_t server_lines;
	unsigned n_waiting;
	struct waiting *waiting; /* WAITING_MAX, made at first need */
};

struct reader {
	struct capture *c;
	struct flow *flows; /* [1 .. n] */
	unsigned n, cap;
	unsigned bucket[BUCKETS];
	uint64_t bytes;
	uint16_t port;
};

struct segment {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port;
	uint32_t seq;
	uint8_t flags;
	const uint8_t *payload;
	uint32_t len;
	uint64_t at_ns;
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* Finds the IP packet behind the link header; returns its offset, -1 when it is none. */
static int link_offset(int type, const uint8_t *p, uint32_t len)
{
	uint32_t off, ether;
	switch (type) {
	case DLT_EN10MB:
		for (off = 12; off + 2 <= len; off += 4) {
			ether = be16(p + off);
			if (ether != 0x8100 && ether != 0x88a8)
				return ether == 0x0800 || ether == 0x86dd ? (int)off + 2 : -1;
		}
		return -1;
	case DLT_RAW: return 0;
	case DLT_NULL:
	case DLT_LOOP: return 4;
	case DLT_LINUX_SLL: return 16;
#ifdef DLT_LINUX_SLL2
	case DLT_LINUX_SLL2: return 20;
#endif
	default: return -1;
	}
}

/* False: not a whole TCP segment; what it was instead is counted. */
static bool parse(struct reader *r, int type, const uint8_t *p, uint32_t len, struct segment *s)
{
	int off = link_offset(type, p, len);
	if (off < 0 || (uint32_t)off + 20 > len) {
		r->c->not_tcp++;
		return false;
	}
	p += off;
	len -= (uint32_t)off;
	uint32_t header, total;
	if (p[0] >> 4 == 4) {
		header = (p[0] & 15u) * 4;
		total = be16(p + 2);
		if (p[9] != 6 || (be16(p + 6) & 0x3fff) != 0) { /* a fragment is not put together */
			r->c->not_tcp++;
			return false;
		}
		s->src = ip_addr_from_v4(p + 12);
		s->dst = ip_addr_from_v4(p + 16);
	} else if (p[0] >> 4 == 6 && len >= 40) {
		header = 40;
		total = 40u + be16(p + 4);
		if (p[6] != 6) {
			r->c->not_tcp++;
			return false;
		}
		s->src = ip_addr_from_v6(p + 8);
		s->dst = ip_addr_from_v6(p + 24);
	} else {
		r->c->not_tcp++;
		return false;
	}
	if (total == 0 || total > len) /* cut by the snap length, or sent with segmentation offload */
		total = len;
	if (header < 20 || header + 20 > total) {
		r->c->malformed++;
		return false;
	}
	const uint8_t *tcp = p + header;
	uint32_t tcp_header = (tcp[12] >> 4) * 4u;
	if (tcp_header < 20 || header + tcp_header > total) {
		r->c->malformed++;
		return false;
	}
	s->src_port = be16(tcp);
	s->dst_port = be16(tcp + 2);
	s->seq = be32(tcp + 4);
	s->flags = tcp[13];
	s->payload = tcp + tcp_header;
	s->len = total - header - tcp_header;
	return true;
}

static unsigned hash(const struct ip_addr *client, uint16_t port)
{
	uint32_t h = port;
	for (unsigned i = 0; i < 16; i++)
		h = h * 31 + client->b[i];
	return h % BUCKETS;
}

static struct flow *flow_of(struct reader *r, const struct ip_addr *client, uint16_t client_port,
    const struct ip_addr *server, uint16_t server_port, bool fresh)
{
	unsigned b = hash(client, client_port);
	for (unsigned i = r->bucket[b]; i && !fresh; i = r->flows[i].next) {
		struct flow *f = &r->flows[i];
		if (f->s.client_port == client_port && f->s.server_port == server_port &&
		    ip_addr_eq(&f->s.client, client) && ip_addr_eq(&f->s.server, server))
			return f;
	}
	if (r->n >= CAPTURE_MAX_SESSIONS)
		return NULL;
	if (r->n + 1 >= r->cap) {
		unsigned cap = r->cap ? 2 * r->cap : 64;
		struct flow *more = realloc(r->flows, cap * sizeof(*more));
		if (!more)
			return NULL;
		r->flows = more;
		r->cap = cap;
	}
	unsigned i = ++r->n;
	r->flows[i] = (struct flow){ .s = { .client = *client,
					 .server = *server,
					 .client_port = client_port,
					 .server_port = server_port },
		.next = r->bucket[b] };
	r->bucket[b] = i;
	return &r->flows[i];
}

static void append(struct reader *r, struct flow *f, const uint8_t *data, uint32_t len, uint64_t at)
{
	struct capture_session *s = &f->s;
	if (len == 0)
		return;
	if (r->bytes + len > CAPTURE_MAX_BYTES) {
		r->c->beyond_bounds++;
		return;
	}
	if (s->n_bytes + len > s->cap_bytes) {
		uint32_t cap = s->cap_bytes ? s->cap_bytes : 1024;
		while (cap < s->n_bytes + len)
			cap *= 2;
		uint8_t *more = realloc(s->bytes, cap);
		if (!more)
			return;
		s->bytes = more;
		s->cap_bytes = cap;
	}
	if (s->n_pieces == s->cap_pieces) {
		unsigned cap = s->cap_pieces ? 2 * s->cap_pieces : 16;
		struct capture_piece *more = realloc(s->pieces, cap * sizeof(*more));
		if (!more)
			return;
		s->pieces = more;
		s->cap_pieces = cap;
	}
	memcpy(s->bytes + s->n_bytes, data, len);
	s->pieces[s->n_pieces++] = (struct capture_piece){ at, f->server_lines, s->n_bytes, len };
	s->n_bytes += len;
	r->bytes += len;
}

/* Takes what is in order, cuts what is old. False: it is ahead of its turn. */
static bool in_order(
    struct reader *r, struct flow *f, uint32_t seq, const uint8_t *data, uint32_t len, uint64_t at)
{
	int32_t old = (int32_t)(f->client_next - seq);
	if (old < 0)
		return false;
	if ((uint32_t)old < len) {
		append(r, f, data + old, len - (uint32_t)old, at);
		f->client_next = seq + len;
	}
	return true;
}

static void drain_waiting(struct reader *r, struct flow *f)
{
	for (unsigned i = 0; i < f->n_waiting;) {
		struct waiting w = f->waiting[i];
		if (in_order(r, f, w.seq, w.data, w.len, w.at_ns)) {
			free(w.data);
			f->waiting[i] = f->waiting[--f->n_waiting];
			i = 0;
		} else {
			i++;
		}
	}
}

/* The hole in front of the nearest waiting segment will not be filled any more. */
static void skip_gap(struct reader *r, struct flow *f)
{
	uint32_t nearest = f->waiting[0].seq;
	for (unsigned i = 1; i < f->n_waiting; i++)
		if ((int32_t)(f->waiting[i].seq - nearest) < 0)
			nearest = f->waiting[i].seq;
	f->client_next = nearest;
	f->s.gap = true;
	r->c->gaps++;
	drain_waiting(r, f);
}

static void from_client(struct reader *r, struct flow *f, const struct segment *s)
{
	if (!f->client_known) {
		f->client_known = true;
		f->client_next = s->seq;
	}
	if (s->len && !in_order(r, f, s->seq, s->payload, s->len, s->at_ns)) {
		if (!f->waiting)
			f->waiting = calloc(WAITING_MAX, sizeof(*f->waiting));
		if (f->waiting && f->n_waiting == WAITING_MAX)
			skip_gap(r, f);
		uint8_t *copy = f->waiting ? malloc(s->len) : NULL;
		if (copy) {
			memcpy(copy, s->payload, s->len);
			f->waiting[f->n_waiting++] =
			    (struct waiting){ s->seq, s->len, s->at_ns, copy };
		}
	} else {
		drain_waiting(r, f);
	}
	f->s.client_fin |= (s->flags & 0x01) != 0;
	f->s.client_rst |= (s->flags & 0x04) != 0;
}

/* Only how many lines the server has said matters, so that a client can be made to wait for as
 * many; bytes sent again are not counted again. */
static void from_server(struct flow *f, const struct segment *s)
{
	f->s.saw_server = true;
	if (!f->server_known) {
		f->server_known = true;
		f->server_next = s->seq;
	}
	int32_t old = (int32_t)(f->server_next - s->seq);
	for (uint32_t i = old > 0 ? (uint32_t)old : 0; i < s->len; i++)
		f->server_lines += s->payload[i] == '\n';
	if ((int32_t)(s->seq + s->len - f->server_next) > 0)
		f->server_next = s->seq + s->len;
}

static void segment(struct reader *r, struct segment *s)
{
	bool client = s->dst_port == r->port;
	if (!client && s->src_port != r->port) {
		r->c->other_ports++;
		return;
	}
	bool syn = client && (s->flags & 0x12) == 0x02;
	struct flow *f = client ? flow_of(r, &s->src, s->src_port, &s->dst, s->dst_port, false)
				: flow_of(r, &s->dst, s->dst_port, &s->src, s->src_port, false);
	if (f && syn && f->client_known && f->s.n_bytes) /* the port is used anew */
		f = flow_of(r, &s->src, s->src_port, &s->dst, s->dst_port, true);
	if (!f) {
		r->c->beyond_bounds++;
		return;
	}
	if (!f->s.first_ns)
		f->s.first_ns = s->at_ns;
	f->s.last_ns = s->at_ns;
	if (s->flags & 0x02) { /* the SYN takes one number */
		if (client) {
			f->s.saw_syn = true;
			f->client_known = true;
			f->client_next = s->seq + 1;
		} else {
			f->server_known = true;
			f->server_next = s->seq + 1;
			f->s.saw_server = true;
		}
		return;
	}
	if (client)
		from_client(r, f, s);
	else
		from_server(f, s);
}

static int by_time(const void *a, const void *b)
{
	const struct capture_session *x = a, *y = b;
	return (x->first_ns > y->first_ns) - (x->first_ns < y->first_ns);
}

static int give_back(struct reader *r)
{
	struct capture *c = r->c;
	c->sessions = calloc(r->n ? r->n : 1, sizeof(*c->sessions));
	for (unsigned i = 1; i <= r->n; i++) {
		struct flow *f = &r->flows[i];
		while (f->n_waiting)
			skip_gap(r, f);
		free(f->waiting);
		if (c->sessions) {
			c->sessions[c->n_sessions++] = f->s;
		} else {
			free(f->s.bytes);
			free(f->s.pieces);
		}
	}
	free(r->flows);
	if (!c->sessions)
		return -ENOMEM;
	qsort(c->sessions, c->n_sessions, sizeof(*c->sessions), by_time);
	return 0;
}

static char *sentence(const char *file, const char *what)
{
	char *s = NULL;
	return asprintf(&s, "%s: %s", file, what) < 0 ? NULL : s;
}

int capture_read(const char *file, uint16_t port, struct capture *ret_capture, char **ret_error)
{
	char error[PCAP_ERRBUF_SIZE] = "";
	struct capture c = { 0 };
	struct reader *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	pcap_t *pcap =
	    pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!pcap) {
		*ret_error = sentence(file, error);
		free(r);
		return -EINVAL;
	}
	r->c = &c;
	r->port = port;
	struct pcap_pkthdr *h;
	const u_char *data;
	int e, type = pcap_datalink(pcap);
	while ((e = pcap_next_ex(pcap, &h, &data)) == 1) {
		struct segment s = { .at_ns = (uint64_t)h->ts.tv_sec * 1000000000u +
					      (uint64_t)h->ts.tv_usec };
		c.packets++;
		if (parse(r, type, data, h->caplen, &s))
			segment(r, &s);
	}
	if (e == PCAP_ERROR)
		*ret_error = sentence(file, pcap_geterr(pcap));
	pcap_close(pcap);
	int g = give_back(r);
	free(r);
	if (e == PCAP_ERROR || g < 0) {
		capture_fini(&c);
		return g < 0 ? g : -EBADMSG;
	}
	*ret_capture = c;
	return 0;
}

void capture_fini(struct capture *c)
{
	for (unsigned i = 0; i < c->n_sessions; i++) {
		free(c->sessions[i].bytes);
		free(c->sessions[i].pieces);
	}
	free(c->sessions);
	memset(c, 0, sizeof(*c));
}
