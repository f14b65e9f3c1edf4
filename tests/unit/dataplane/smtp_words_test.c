/* SPDX-License-Identifier: BSD-3-Clause */
/* What a backend offers in its EHLO reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp.h"

#include <string.h>

static struct smtp_words words(const char *s)
{
	struct smtp_reply r;
	struct smtp_words w;

	assert_int_equal(smtp_reply((const uint8_t *)s, strlen(s), &r), strlen(s));
	smtp_ehlo_words(&r, &w);
	return w;
}

static void postfix(void **state)
{
	struct smtp_words w =
	    words("250-mail.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n"
		  "250-ETRN\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250-ENHANCEDSTATUSCODES\r\n"
		  "250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n"
		  "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
		  "250 CHUNKING\r\n");

	(void)state;
	assert_int_equal(w.words, SMTP_WORD_PIPELINING | SMTP_WORD_SIZE | SMTP_WORD_STARTTLS |
				      SMTP_WORD_ENHANCED | SMTP_WORD_8BITMIME | SMTP_WORD_DSN |
				      SMTP_WORD_SMTPUTF8 | SMTP_WORD_XCLIENT | SMTP_WORD_CHUNKING);
	assert_int_equal(w.size, 10240000);
	assert_int_equal(w.xclient, XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_PROTO |
					XCLIENT_HELO | XCLIENT_DESTADDR | XCLIENT_DESTPORT);
}

static void details(void **state)
{
	(void)state;
	/* The first line is a name, whatever it says. */
	assert_int_equal(words("250-PIPELINING\r\n250 dsn\r\n").words, SMTP_WORD_DSN);
	assert_int_equal(words("250 PIPELINING\r\n").words, 0);
	assert_int_equal(words("250-x\r\n250\r\n").words, 0);
	assert_int_equal(words("250-x\r\n250-\r\n250 BINARYMIME \r\n").words, SMTP_WORD_BINARYMIME);
	assert_int_equal(words("250-x\r\n250 PIPELININGS\r\n").words, 0);
	assert_int_equal(words("500-x\r\n500 PIPELINING\r\n").words, 0);
	struct smtp_words w = words("250-x\r\n250 SIZE\r\n");

	assert_int_equal(w.words, SMTP_WORD_SIZE);
	assert_int_equal(w.size, 0);
	assert_int_equal(words("250-x\r\n250 SIZE 99999999999999999999999\r\n").size, 0);
	assert_int_equal(words("250-x\r\n250 SIZE nonsense\r\n").size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(postfix), cmocka_unit_test(details) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
