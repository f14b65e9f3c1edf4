/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMTP as pure functions over bytes: command lines, paths, replies, the DATA stream (RFC 5321,
 * 1870, 2034, 3030, 6531). No connection, no policy, no clock. Any thread.
 *
 * Nothing here cuts input short: what is too long is reported as such (P6).
 */
#ifndef POSTERN_DATAPLANE_SMTP_H
#define POSTERN_DATAPLANE_SMTP_H

#include "filters/facts.h" /* struct text */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SMTP_COMMAND_MAX = 2048, /* with CR LF; RFC obliges 512, extensions add (4.5.3.1.4) */
	SMTP_REPLY_LINE_MAX = 2048,
	SMTP_PATH_MAX = 1024, /* RFC obliges 256 */
	SMTP_LOCAL_MAX = 512, /* RFC obliges 64 */
	SMTP_DOMAIN_MAX = 255,
};

/* ---- lines ---- */

enum smtp_line_status {
	SMTP_LINE_PARTIAL, /* no line end yet */
	SMTP_LINE_OK,
	SMTP_LINE_TOO_LONG, /* more than SMTP_COMMAND_MAX without an end: skip to it, answer 500 */
	SMTP_LINE_BAD,      /* NUL, or a bare CR or LF inside: answer 500 */
};
/* Finds the first command line. ret_line excludes the line end, ret_used includes it. A line ends
 * at CR LF; a bare LF ends a *command* line too, but makes it SMTP_LINE_BAD. With TOO_LONG,
 * ret_line is its first SMTP_COMMAND_MAX bytes and ret_used reaches to the line end or, where that
 * has not come yet (p[used - 1] is no LF), to the end of input: the caller then throws away all up
 * to and including the next LF. PARTIAL leaves the outputs untouched. */
enum smtp_line_status smtp_line(
    const uint8_t *p, size_t len, struct text *ret_line, size_t *ret_used);

/* ---- commands ---- */

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_ETRN,
	SMTP_HTTP, /* GET, POST, CONNECT ... : not SMTP at all */
	SMTP_N_VERBS
};
extern const char *const smtp_verb_words[SMTP_N_VERBS];

enum smtp_body { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

struct smtp_path {
	struct text whole;  /* between < and >, source route included, byte for byte */
	struct text route;  /* "@a,@b" without the colon; empty: none */
	struct text local;  /* as written, quotes included */
	struct text domain; /* without the @; address literals with their brackets; empty for <> and
			       <Postmaster> */
};

struct smtp_command {
	enum smtp_verb verb;
	struct text argument; /* after the verb and spaces, trailing spaces cut */
	/* MAIL and RCPT */
	struct smtp_path path;
	struct text params; /* as written, to be passed on */
	bool has_size, smtputf8;
	uint64_t size;
	enum smtp_body body;
	struct text notify, orcpt, envid, ret; /* RFC 3461, as written; p is NULL where absent */
	bool unknown_param; /* a parameter word we do not know (reported as SMTP_SYNTAX_PARAM) */
	/* BDAT */
	uint64_t chunk_size;
	bool chunk_last;
};

enum smtp_syntax {
	SMTP_SYNTAX_OK,
	SMTP_SYNTAX_UNKNOWN,   /* 500 5.5.2 */
	SMTP_SYNTAX_ARGUMENT,  /* 501 5.5.4 */
	SMTP_SYNTAX_PATH,      /* 501 5.1.7 (MAIL) or 5.1.3 (RCPT) */
	SMTP_SYNTAX_PATH_LONG, /* 501 5.1.7 / 5.1.3: longer than SMTP_PATH_MAX, or a part than its
				  own limit */
	SMTP_SYNTAX_PARAM,     /* 555 5.5.4: unknown, malformed or given twice */
};
/* Parses one line. The texts point into it. verb and argument are set whatever the result. Source
 * routes and quoted local parts are syntax (P15); `MAIL FROM: <a@b>` with a space and missing angle
 * brackets are tolerated as Postfix does. */
enum smtp_syntax smtp_parse(struct text line, struct smtp_command *ret_command);

/* ---- canonical addresses (P15): judgement only, never forwarded ---- */

enum { SMTP_MAX_HOSTS = 16 };
struct smtp_hosts {
	unsigned n; /* every host the mail could be relayed through, outermost first */
	struct text host[SMTP_MAX_HOSTS]; /* lower-cased into buf, no trailing dot */
	bool too_many;
	char buf[SMTP_PATH_MAX + 1];
};
/* Hosts of a path: source route, domain, and those hidden in the local part by %, ! and a quoted @.
 */
void smtp_hosts(const struct smtp_path *path, struct smtp_hosts *ret_hosts);

/* ---- replies ---- */

/* Reads one whole reply (RFC 5321 4.2.1) from a backend. Returns bytes used, 0: more is needed,
 * -EPROTO: not SMTP, -EMSGSIZE: a line beyond SMTP_REPLY_LINE_MAX or a reply beyond 64 KiB. */
struct smtp_reply {
	uint16_t code;
	unsigned n_lines;
	struct text raw; /* all lines as received, CR LF included */
};
long smtp_reply(const uint8_t *p, size_t len, struct smtp_reply *ret_reply);

/* Extension words of an EHLO reply. */
enum smtp_word {
	SMTP_WORD_PIPELINING = 1u << 0,
	SMTP_WORD_SIZE = 1u << 1,
	SMTP_WORD_8BITMIME = 1u << 2,
	SMTP_WORD_SMTPUTF8 = 1u << 3,
	SMTP_WORD_CHUNKING = 1u << 4,
	SMTP_WORD_DSN = 1u << 5,
	SMTP_WORD_ENHANCED = 1u << 6,
	SMTP_WORD_STARTTLS = 1u << 7,
	SMTP_WORD_XCLIENT = 1u << 8,
	SMTP_WORD_BINARYMIME = 1u << 9,
};
struct smtp_words {
	uint32_t words;   /* enum smtp_word */
	uint64_t size;    /* of SIZE; 0: no limit named */
	uint32_t xclient; /* enum smtp_xclient_attr offered */
};
enum smtp_xclient_attr {
	XCLIENT_NAME = 1u << 0,
	XCLIENT_ADDR = 1u << 1,
	XCLIENT_PORT = 1u << 2,
	XCLIENT_PROTO = 1u << 3,
	XCLIENT_HELO = 1u << 4,
	XCLIENT_DESTADDR = 1u << 5,
	XCLIENT_DESTPORT = 1u << 6,
};
void smtp_ehlo_words(const struct smtp_reply *reply, struct smtp_words *ret_words);

/* ---- the DATA stream (P4, P5) ---- */

/*
 * One decoder per message. Bytes as received go in; out come the bytes to forward (dot-stuffed,
 * byte for byte the same save under NORMALIZE) and, where `plain` is given, the unstuffed ones to
 * scan. Both describe the same message whatever the segmentation. Under REJECT and DISCONNECT
 * nothing more comes out once `bare` is set (the message is condemned and the caller gives up the
 * backend's transaction); the end is still looked for and the size still counted.
 */
enum smtp_data_policy {
	SMTP_DATA_REJECT,
	SMTP_DATA_NORMALIZE,
	SMTP_DATA_DISCONNECT,
	SMTP_DATA_CHUNKS, /* BDAT (P21): every byte is content, no dots, no end; counts only */
};

struct smtp_data {
	uint8_t state; /* of the CR LF . machine, private */
	uint8_t policy;
	bool bare;            /* a bare CR, bare LF or CR CR LF was seen */
	bool ended;           /* CR LF . CR LF was seen */
	bool in_header;       /* no empty line yet */
	uint8_t header_match; /* private, counts "Received:" at line starts */
	uint32_t received;    /* Received header fields seen (P17) */
	uint64_t size; /* message bytes without stuffed dots and without the final dot line (RFC 1870) */
};
void smtp_data_init(struct smtp_data *d, enum smtp_data_policy policy);
/* Consumes up to len bytes, stops after the end of data. `forward` and `plain` hold at least
 * 2 * len + 8 bytes each; plain may be NULL. The final dot line goes to neither: the caller sends
 * `. CR LF` itself; what went to `forward` ends in CR LF when `ended` is set and the message is not
 * condemned (an empty body gives nothing). Returns the bytes consumed. */
size_t smtp_data_feed(struct smtp_data *d, const uint8_t *in, size_t len, uint8_t *forward,
    size_t *ret_forward, uint8_t *plain, size_t *ret_plain);

#endif
