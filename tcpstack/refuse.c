/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Refusal without state: "521 ..." and FIN in one segment (RFC 7504), for whoever proves a cookie
 * of a refuse class. Lost replies are not sent again; a client that repeats its ACK or its data
 * gets the same segment once more, because it proves the same cookie.
 */
#include "ip_half.h"
#include "checksum.h"

#include <errno.h>

int stack_set_refusal(struct stack *st, unsigned refuse_class, const char *text, size_t len)
{
	if (refuse_class >= STACK_REFUSE_CLASSES)
		return -EINVAL;
	if (len > STACK_REFUSE_TEXT_MAX)
		return -EMSGSIZE;
	struct refusal *r = &st->ip->refusals[refuse_class];
	r->previous_len = r->len;
	r->len = (uint16_t)len;
	memcpy(r->text, text, len);
	r->sum = csum_add(0, text, len);
	return 0;
}

void refuse_send(struct stack *st, const struct packet *pkt, unsigned refuse_class, uint64_t now_ns,
    struct frame_out *out)
{
	const struct refusal *t = &st->ip->refusals[refuse_class];
	struct reply r;

	r.seq = pkt->ack;
	/* Data that rode on the ACK, a FIN even, is acknowledged with it: nothing to send again. */
	r.ack = pkt->seq + pkt->payload_len + (pkt->flags & TCP_FIN);
	r.window = st->ip->synack_window;
	r.flags = TCP_ACK | TCP_PSH | TCP_FIN;
	r.n_opts = 0;
	r.payload = t->text;
	r.payload_len = t->len;
	r.payload_sum = t->sum;
	if (pkt->opt.has_ts)
		reply_ts(&r, ts_clock(now_ns), pkt->opt.ts_val);
	if (reply_tcp(st, pkt, &r, now_ns, out))
		count(st, STACK_refuse_sent);
}

void refuse_finish(
    struct stack *st, const struct packet *pkt, uint64_t now_ns, struct frame_out *out)
{
	if (pkt->payload_len) {
		/* It talks on after our FIN: nobody will read that (RFC 9293 3.6.1). */
		reply_rst(st, pkt, now_ns, out);
		return;
	}
	if (!(pkt->flags & TCP_FIN)) {
		count(st, STACK_refuse_acked);
		out_drop(out, pkt->frame);
		return;
	}
	struct reply r;
	r.seq = pkt->ack;
	r.ack = pkt->seq + 1;
	r.window = st->ip->synack_window;
	r.flags = TCP_ACK;
	r.n_opts = 0;
	r.payload = NULL;
	r.payload_len = 0;
	r.payload_sum = 0;
	if (pkt->opt.has_ts)
		reply_ts(&r, ts_clock(now_ns), pkt->opt.ts_val);
	if (reply_tcp(st, pkt, &r, now_ns, out))
		count(st, STACK_refuse_closed);
}
