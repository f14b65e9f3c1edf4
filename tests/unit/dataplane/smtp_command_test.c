/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands to values: verbs, arguments, ESMTP parameters, BDAT. Paths have their own test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp.h"

#include <string.h>

static struct smtp_command parse(const char *line, enum smtp_syntax expected)
{
	struct smtp_command c;
	enum smtp_syntax got = smtp_parse((struct text){ line, (uint16_t)strlen(line) }, &c);

	if (got != expected)
		fail_msg("%s: syntax %d, expected %d", line, got, expected);
	return c;
}

static void same(struct text t, const char *s)
{
	assert_int_equal(t.len, strlen(s));
	assert_memory_equal(t.p, s, t.len);
}

static void verbs(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		enum smtp_syntax syntax;
	} rows[] = {
		{ "EHLO a.example", SMTP_EHLO, SMTP_SYNTAX_OK },
		{ "helo a.example", SMTP_HELO, SMTP_SYNTAX_OK },
		{ "eHlO [192.0.2.1]", SMTP_EHLO, SMTP_SYNTAX_OK },
		{ "EHLO under_score", SMTP_EHLO, SMTP_SYNTAX_OK }, /* P16 */
		{ "EHLO", SMTP_EHLO, SMTP_SYNTAX_ARGUMENT },
		{ "EHLO two words", SMTP_EHLO, SMTP_SYNTAX_ARGUMENT },
		{ "HELO \x01", SMTP_HELO, SMTP_SYNTAX_ARGUMENT },
		{ "DATA", SMTP_DATA, SMTP_SYNTAX_OK },
		{ "DATA   ", SMTP_DATA, SMTP_SYNTAX_OK },
		{ "DATA x", SMTP_DATA, SMTP_SYNTAX_ARGUMENT },
		{ "RSET", SMTP_RSET, SMTP_SYNTAX_OK },
		{ "RSET x", SMTP_RSET, SMTP_SYNTAX_ARGUMENT },
		{ "QUIT", SMTP_QUIT, SMTP_SYNTAX_OK },
		{ "quit now", SMTP_QUIT, SMTP_SYNTAX_ARGUMENT },
		{ "NOOP", SMTP_NOOP, SMTP_SYNTAX_OK },
		{ "NOOP what ever", SMTP_NOOP, SMTP_SYNTAX_OK },
		{ "HELP", SMTP_HELP, SMTP_SYNTAX_OK },
		{ "HELP MAIL", SMTP_HELP, SMTP_SYNTAX_OK },
		{ "VRFY someone", SMTP_VRFY, SMTP_SYNTAX_OK },
		{ "VRFY", SMTP_VRFY, SMTP_SYNTAX_ARGUMENT },
		{ "EXPN list", SMTP_EXPN, SMTP_SYNTAX_OK },
		{ "STARTTLS", SMTP_STARTTLS, SMTP_SYNTAX_OK },
		{ "StartTLS", SMTP_STARTTLS, SMTP_SYNTAX_OK },
		{ "STARTTLS x", SMTP_STARTTLS, SMTP_SYNTAX_ARGUMENT },
		{ "AUTH PLAIN", SMTP_AUTH, SMTP_SYNTAX_OK },
		{ "ETRN a.example", SMTP_ETRN, SMTP_SYNTAX_OK },
		{ "GET / HTTP/1.1", SMTP_HTTP, SMTP_SYNTAX_UNKNOWN },
		{ "POST / HTTP/1.1", SMTP_HTTP, SMTP_SYNTAX_UNKNOWN },
		{ "CONNECT a.example:25 HTTP/1.1", SMTP_HTTP, SMTP_SYNTAX_UNKNOWN },
		{ "PRI * HTTP/2.0", SMTP_HTTP, SMTP_SYNTAX_UNKNOWN },
		{ "OPTIONS *", SMTP_HTTP, SMTP_SYNTAX_UNKNOWN },
		{ "", SMTP_UNKNOWN, SMTP_SYNTAX_UNKNOWN },
		{ " NOOP", SMTP_UNKNOWN, SMTP_SYNTAX_UNKNOWN },
		{ "NOOPS", SMTP_UNKNOWN, SMTP_SYNTAX_UNKNOWN },
		{ "NOO", SMTP_UNKNOWN, SMTP_SYNTAX_UNKNOWN },
		{ "D`TA", SMTP_UNKNOWN, SMTP_SYNTAX_UNKNOWN },
		{ "STARTTLSX", SMTP_UNKNOWN, SMTP_SYNTAX_UNKNOWN },
		{ "MAILFROM:<a@b>", SMTP_UNKNOWN, SMTP_SYNTAX_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(parse(rows[i].line, rows[i].syntax).verb, rows[i].verb);
}

static void verb_words_cover_all(void **state)
{
	(void)state;
	for (unsigned v = 0; v < SMTP_N_VERBS; v++)
		assert_non_null(smtp_verb_words[v]);
}

static void arguments_keep_their_bytes(void **state)
{
	struct smtp_command c = parse("NOOP  a  b \t ", SMTP_SYNTAX_OK);

	(void)state;
	same(c.argument, "a  b");
	c = parse("EHLO MiXed.Example", SMTP_SYNTAX_OK);
	same(c.argument, "MiXed.Example");
}

/* P6: a name of 255 is taken, a longer one is refused, not cut. */
static void hello_name_bound(void **state)
{
	char line[300] = "EHLO ";

	(void)state;
	memset(line + 5, 'a', 255);
	parse(line, SMTP_SYNTAX_OK);
	line[5 + 255] = 'a';
	parse(line, SMTP_SYNTAX_ARGUMENT);
}

static void mail_forms(void **state)
{
	struct smtp_command c = parse("MAIL FROM:<a@b.example>", SMTP_SYNTAX_OK);

	(void)state;
	same(c.path.whole, "a@b.example");
	assert_int_equal(c.params.len, 0);
	c = parse("mail from:<>", SMTP_SYNTAX_OK); /* P14 */
	assert_int_equal(c.path.whole.len, 0);
	c = parse("MAIL  From:  <a@b>  SIZE=1", SMTP_SYNTAX_OK);
	same(c.path.whole, "a@b");
	c = parse("MAIL FROM:a@b SIZE=7", SMTP_SYNTAX_OK);
	same(c.path.whole, "a@b");
	assert_int_equal(c.size, 7);
	parse("MAIL", SMTP_SYNTAX_ARGUMENT);
	parse("MAIL FROM", SMTP_SYNTAX_ARGUMENT);
	parse("MAIL TO:<a@b>", SMTP_SYNTAX_ARGUMENT);
	parse("MAIL FROM:", SMTP_SYNTAX_PATH);
	parse("MAIL FROM:<a@b>SIZE=1", SMTP_SYNTAX_PATH);
	parse("MAIL FROM:<a@b", SMTP_SYNTAX_PATH);
}

static void rcpt_forms(void **state)
{
	struct smtp_command c = parse("RCPT TO:<a@b>", SMTP_SYNTAX_OK);

	(void)state;
	same(c.path.whole, "a@b");
	parse("RCPT TO:<Postmaster>", SMTP_SYNTAX_OK); /* P13 */
	parse("RCPT TO:<>", SMTP_SYNTAX_PATH);
	parse("RCPT FROM:<a@b>", SMTP_SYNTAX_ARGUMENT);
}

static void mail_parameters(void **state)
{
	struct smtp_command c = parse(
	    "MAIL FROM:<a@b> SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=q+3Dx", SMTP_SYNTAX_OK);

	(void)state;
	same(c.params, "SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=q+3Dx");
	assert_true(c.has_size);
	assert_int_equal(c.size, 1000);
	assert_int_equal(c.body, SMTP_BODY_8BITMIME);
	assert_true(c.smtputf8);
	same(c.ret, "HDRS");
	same(c.envid, "q+3Dx");
	assert_null(c.notify.p);
	assert_int_equal(parse("MAIL FROM:<> BODY=7BIT", SMTP_SYNTAX_OK).body, SMTP_BODY_7BIT);
	assert_int_equal(
	    parse("MAIL FROM:<> BODY=BINARYMIME", SMTP_SYNTAX_OK).body, SMTP_BODY_BINARYMIME);
	/* Over any limit, so it is refused as too big (P22), not as malformed. */
	assert_true(
	    parse("MAIL FROM:<> SIZE=99999999999999999999", SMTP_SYNTAX_OK).size == UINT64_MAX);
	assert_true(
	    parse("MAIL FROM:<> SIZE=18446744073709551615", SMTP_SYNTAX_OK).size == UINT64_MAX);
	assert_int_equal(parse("MAIL FROM:<> SIZE=0", SMTP_SYNTAX_OK).size, 0);
	c = parse("MAIL FROM:<> MT-PRIORITY=3", SMTP_SYNTAX_PARAM);
	assert_true(c.unknown_param);
	assert_int_equal(c.verb, SMTP_MAIL);
}

static void bad_parameters(void **state)
{
	static const char *const lines[] = {
		"MAIL FROM:<> SIZE",
		"MAIL FROM:<> SIZE=",
		"MAIL FROM:<> SIZE=-1",
		"MAIL FROM:<> SIZE=1x",
		"MAIL FROM:<> SIZE=999999999999999999999",
		"MAIL FROM:<> SIZE=1 SIZE=1",
		"MAIL FROM:<> BODY",
		"MAIL FROM:<> BODY=9BIT",
		"MAIL FROM:<> BODY=7BIT BODY=7BIT",
		"MAIL FROM:<> SMTPUTF8=1",
		"MAIL FROM:<> SMTPUTF8 SMTPUTF8",
		"MAIL FROM:<> RET=ALL",
		"MAIL FROM:<> ENVID",
		"MAIL FROM:<> RET=FULL RET=FULL",
		"MAIL FROM:<> NOTIFY=NEVER",
		"MAIL FROM:<> =x",
		"MAIL FROM:<> -A=x",
		"MAIL FROM:<> A_B=x",
		"MAIL FROM:<> SIZE=1\x7f",
		"RCPT TO:<a@b> SIZE=1",
		"RCPT TO:<a@b> NOTIFY",
		"RCPT TO:<a@b> NOTIFY=",
		"RCPT TO:<a@b> NOTIFY=NEVER,DELAY",
		"RCPT TO:<a@b> NOTIFY=DELAY,",
		"RCPT TO:<a@b> NOTIFY=SOMETIMES",
		"RCPT TO:<a@b> ORCPT=a@b",
		"RCPT TO:<a@b> ORCPT=;a@b",
		"RCPT TO:<a@b> ORCPT=rfc822;",
		"RCPT TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		parse(lines[i], SMTP_SYNTAX_PARAM);
}

static void rcpt_parameters(void **state)
{
	struct smtp_command c =
	    parse("RCPT TO:<a@b> NOTIFY=SUCCESS,failure,DELAY ORCPT=rfc822;x+2B@y", SMTP_SYNTAX_OK);

	(void)state;
	same(c.notify, "SUCCESS,failure,DELAY");
	same(c.orcpt, "rfc822;x+2B@y");
	parse("RCPT TO:<a@b> NOTIFY=never", SMTP_SYNTAX_OK);
	parse("RCPT TO:<a@b> ORCPT=rfc822;SRS0=a=b@c", SMTP_SYNTAX_OK);
}

static void bdat(void **state)
{
	struct smtp_command c = parse("BDAT 86", SMTP_SYNTAX_OK);

	(void)state;
	assert_int_equal(c.chunk_size, 86);
	assert_false(c.chunk_last);
	c = parse("bdat 0 last", SMTP_SYNTAX_OK);
	assert_int_equal(c.chunk_size, 0);
	assert_true(c.chunk_last);
	parse("BDAT", SMTP_SYNTAX_ARGUMENT);
	parse("BDAT LAST", SMTP_SYNTAX_ARGUMENT);
	parse("BDAT -1", SMTP_SYNTAX_ARGUMENT);
	parse("BDAT 1 LAST x", SMTP_SYNTAX_ARGUMENT);
	parse("BDAT 1 FIRST", SMTP_SYNTAX_ARGUMENT);
	parse("BDAT 18446744073709551616", SMTP_SYNTAX_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs),
		cmocka_unit_test(verb_words_cover_all),
		cmocka_unit_test(arguments_keep_their_bytes),
		cmocka_unit_test(hello_name_bound),
		cmocka_unit_test(mail_forms),
		cmocka_unit_test(rcpt_forms),
		cmocka_unit_test(mail_parameters),
		cmocka_unit_test(bad_parameters),
		cmocka_unit_test(rcpt_parameters),
		cmocka_unit_test(bdat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
