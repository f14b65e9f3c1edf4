/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client is the list of replies it waits for. With pipelining a group is written at once and the
 * replies are counted off against it (RFC 2920); the rest is the same code.
 */
#include "model_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum client_state {
	CL_CONNECTING,
	CL_GREETING,
	CL_EHLO,
	CL_MAIL,
	CL_RCPT,
	CL_DATA,
	CL_BODY, /* writing */
	CL_DOT,  /* the final dot is written, its answer due */
	CL_RSET,
	CL_QUIT,
};

struct client {
	struct client *next_free;
	struct tcp_conn *conn; /* NULL: free */
	struct model_plan plan;
	enum client_state state;
	uint32_t message; /* index in the plan */
	uint16_t rcpts_answered, rcpts_accepted;
	bool group, can_pipeline;
	unsigned code; /* of the reply that decided the message, then the last one read */
	bool dot_pending;
	struct model_text text;
	uint16_t n_line;
	char line[1024];
};

struct model_clients {
	struct model_host *host;
	struct model_clients_config config;
	struct client *free_list;
	unsigned open;
	struct client slots[];
};

struct model_clients *model_clients_new(
    struct model_host *host, const struct model_clients_config *config)
{
	struct model_clients *mc = calloc(1, sizeof(*mc) + config->max * sizeof(mc->slots[0]));
	if (!mc)
		return NULL;
	mc->host = host;
	mc->config = *config;
	for (unsigned i = config->max; i-- > 0;) {
		mc->slots[i].next_free = mc->free_list;
		mc->free_list = &mc->slots[i];
	}
	return mc;
}

struct model_clients *model_clients_free(struct model_clients *mc)
{
	free(mc);
	return NULL;
}

unsigned model_clients_open(const struct model_clients *mc)
{
	return mc->open;
}

int model_clients_start(struct model_clients *mc, const struct model_plan *plan, uint64_t now_ns)
{
	struct client *cl = mc->free_list;
	if (!cl)
		return -EBUSY;
	struct tcp_connect req = {
		.src = plan->src, .dst = plan->dst, .dst_port = plan->port, .user = cl
	};
	struct tcp_conn *conn;
	int r = tcp_connect(mc->host->stack, &req, now_ns, &conn);
	if (r < 0)
		return r;
	mc->free_list = cl->next_free;
	mc->open++;
	*cl = (struct client){ .conn = conn, .plan = *plan };
	return 0;
}

static void say(struct model_clients *mc, struct client *cl, const char *p, size_t n)
{
	size_t took = tcp_write(mc->host->stack, cl->conn, p, n);
	assert(took == n); /* commands are small beside the send buffer */
	(void)took;
}

static void outcome(struct model_clients *mc, struct client *cl, enum model_outcome o, unsigned code)
{
	mc->config.on_outcome(mc->config.arg, cl->plan.first_id + cl->message, o, code);
	cl->message++;
}

/* The session is over: what was not sent is deferred, one whose dot is out is unknown. */
static void end(struct model_clients *mc, struct client *cl, bool graceful)
{
	while (cl->message < cl->plan.messages) {
		bool unknown = cl->state == CL_DOT;
		enum model_outcome o = unknown           ? MODEL_UNKNOWN
				       : cl->code >= 500 ? MODEL_REFUSED
							 : MODEL_DEFERRED;
		cl->state = CL_QUIT;
		outcome(mc, cl, o, unknown ? 0 : cl->code);
	}
	if (graceful)
		tcp_close(mc->host->stack, cl->conn);
	else
		tcp_abort(mc->host->stack, cl->conn);
	cl->conn = NULL;
	if (mc->config.on_end)
		mc->config.on_end(mc->config.arg, &cl->plan, cl->code);
	cl->next_free = mc->free_list;
	mc->free_list = cl;
	mc->open--;
}

static size_t put_mail(char *buf, size_t room)
{
	return (size_t)snprintf(buf, room, "MAIL FROM:<sender@example.net>\r\n");
}

static size_t put_rcpt(const struct client *cl, char *buf, size_t room, unsigned i)
{
	return (size_t)snprintf(buf, room, "RCPT TO:<user%u@%s>\r\n", i, cl->plan.domain);
}

static void begin_message(struct model_clients *mc, struct client *cl)
{
	char buf[8192];
	size_t n = put_mail(buf, sizeof(buf));

	cl->code = 0; /* nothing is said of this one yet */
	cl->rcpts_answered = cl->rcpts_accepted = 0;
	cl->group = cl->plan.pipelining && cl->can_pipeline;
	if (cl->group) {
		for (unsigned i = 0; i < cl->plan.rcpts && n < sizeof(buf) - 400; i++)
			n += put_rcpt(cl, buf + n, sizeof(buf) - n, i);
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "DATA\r\n");
	}
	cl->state = CL_MAIL;
	say(mc, cl, buf, n);
}

static void next_message(struct model_clients *mc, struct client *cl)
{
	if (cl->message < cl->plan.messages) {
		begin_message(mc, cl);
	} else if (cl->plan.quit) {
		cl->state = CL_QUIT;
		say(mc, cl, "QUIT\r\n", 6);
	} else {
		end(mc, cl, true);
	}
}

/* This message is decided without a body; a transaction that stands open is put back first. */
static void give_up_message(struct model_clients *mc, struct client *cl, unsigned code)
{
	outcome(mc, cl, code >= 500 ? MODEL_REFUSED : MODEL_DEFERRED, code);
	cl->state = CL_RSET;
	say(mc, cl, "RSET\r\n", 6);
}

static void write_body(struct model_clients *mc, struct client *cl)
{
	struct stack *st = mc->host->stack;
	const char *p;
	size_t n;

	while ((n = model_text_peek(&cl->text, &p)) > 0) {
		size_t took = tcp_write(st, cl->conn, p, n);
		model_text_consume(&cl->text, took);
		if (took < n)
			return; /* TCP_EV_WRITE comes */
	}
	if (tcp_write_space(st, cl->conn) < 3)
		return;
	cl->state = CL_DOT;
	say(mc, cl, ".\r\n", 3);
	cl->dot_pending = cl->plan.abort_after_dot == cl->plan.first_id + cl->message &&
			  cl->plan.abort_after_dot != 0;
}

/* One whole reply, its last line's code. False: the session has ended. */
static bool on_reply(struct model_clients *mc, struct client *cl, unsigned code)
{
	char buf[512];
	cl->code = code;
	if (code == 421 || code == 521) {
		if (cl->state == CL_DOT) /* this is the dot's answer */
			outcome(mc, cl, code == 421 ? MODEL_DEFERRED : MODEL_REFUSED, code);
		cl->state = CL_QUIT;
		end(mc, cl, true);
		return false;
	}
	switch (cl->state) {
	case CL_CONNECTING:
	case CL_GREETING:
		if (code != 220) {
			end(mc, cl, true);
			return false;
		}
		cl->state = CL_EHLO;
		say(mc, cl, "EHLO client.example.net\r\n", 25);
		break;
	case CL_EHLO:
		if (code != 250) {
			end(mc, cl, true);
			return false;
		}
		next_message(mc, cl);
		break;
	case CL_MAIL:
		if (code != 250 && !cl->group) {
			give_up_message(mc, cl, code);
			break;
		}
		cl->state = CL_RCPT;
		if (!cl->group)
			say(mc, cl, buf, put_rcpt(cl, buf, sizeof(buf), 0));
		break;
	case CL_RCPT:
		cl->rcpts_answered++;
		cl->rcpts_accepted = (uint16_t)(cl->rcpts_accepted + (code / 100 == 2));
		if (cl->rcpts_answered < cl->plan.rcpts) {
			if (!cl->group)
				say(mc, cl, buf, put_rcpt(cl, buf, sizeof(buf), cl->rcpts_answered));
		} else if (cl->group) {
			cl->state = CL_DATA;
		} else if (cl->rcpts_accepted == 0) {
			give_up_message(mc, cl, code);
		} else {
			cl->state = CL_DATA;
			say(mc, cl, "DATA\r\n", 6);
		}
		break;
	case CL_DATA:
		if (code != 354) {
			give_up_message(mc, cl, code);
			break;
		}
		/* A group whose recipients were all refused may still get 354: an empty message. */
		cl->state = CL_BODY;
		model_text_init(&cl->text, cl->plan.first_id + cl->message, cl->plan.body_len);
		write_body(mc, cl);
		break;
	case CL_BODY: /* an answer before the dot is against the protocol, but decides */
		end(mc, cl, true);
		return false;
	case CL_DOT:
		outcome(mc, cl,
		    code / 100 == 2 ? MODEL_ACCEPTED
		    : code >= 500   ? MODEL_REFUSED
				    : MODEL_DEFERRED,
		    code);
		cl->state = CL_QUIT;
		next_message(mc, cl);
		return cl->conn != NULL;
	case CL_RSET: next_message(mc, cl); return cl->conn != NULL;
	case CL_QUIT: end(mc, cl, true); return false;
	}
	return true;
}

/* Collects lines; "250-..." goes on, "250 ..." ends a reply. */
static bool read_replies(struct model_clients *mc, struct client *cl)
{
	struct stack *st = mc->host->stack;
	const uint8_t *p;
	size_t n;

	while ((n = tcp_peek(cl->conn, &p)) > 0) {
		size_t used = 0;
		while (used < n) {
			char c = (char)p[used++];
			if (cl->n_line < sizeof(cl->line) - 1)
				cl->line[cl->n_line++] = c;
			if (c == '\n')
				break;
		}
		bool whole = cl->line[cl->n_line - 1] == '\n';
		tcp_consume(st, cl->conn, used);
		if (!whole)
			continue;
		cl->line[cl->n_line] = '\0';
		cl->n_line = 0;
		if (cl->state == CL_EHLO && memcmp(cl->line + 4, "PIPELINING", 10) == 0)
			cl->can_pipeline = true;
		if (cl->line[3] == '-')
			continue;
		if (!on_reply(mc, cl, (unsigned)strtoul(cl->line, NULL, 10)))
			return false;
	}
	return true;
}

void model_clients_give_up(struct model_clients *mc)
{
	for (unsigned i = 0; i < mc->config.max; i++) {
		if (mc->slots[i].conn)
			end(mc, &mc->slots[i], false);
	}
}

void model_clients_turn(struct model_clients *mc, uint64_t now_ns)
{
	struct tcp_conn *conn;
	unsigned ev;

	(void)now_ns;
	while ((conn = stack_next_ready(mc->host->stack, &ev)) != NULL) {
		struct client *cl = tcp_user(conn);
		if (ev & TCP_EV_OPEN)
			cl->state = CL_GREETING;
		if ((ev & (TCP_EV_READ | TCP_EV_EOF)) && !read_replies(mc, cl))
			continue;
		if (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT | TCP_EV_EOF)) {
			end(mc, cl, (ev & (TCP_EV_RESET | TCP_EV_TIMEOUT)) == 0);
			continue;
		}
		if ((ev & (TCP_EV_WRITE | TCP_EV_SENT)) && cl->state == CL_BODY)
			write_body(mc, cl);
		if (cl->dot_pending && (ev & TCP_EV_SENT))
			end(mc, cl, false);
	}
}
