/* SPDX-License-Identifier: BSD-3-Clause */
#include "spf_record.h"

#include "spf.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const uint8_t client[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
static const uint8_t client6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
static uint8_t out[4096];
static struct spf_program program;

static struct text t(const char *p)
{
	return (struct text){ p, (uint16_t)strlen(p) };
}

static int compile(const char *record)
{
	return spf_compile(t(record), client, true, true, out, sizeof(out), &program);
}

/* What is kept, written as letters: kind, result, and the spec. */
static const char *kept(void)
{
	static const char kinds[] = "=iaxpe"; /* as enum spf_term_kind */
	static const char results[] = "-?+!~";
	static char text[2048];
	size_t len = 0;

	text[0] = 0;
	for (uint16_t at = 0; at < program.terms_len;) {
		struct spf_term term;

		at = spf_term_read(out, at, &term);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c%c", len ? " " : "",
		    results[term.result], kinds[term.kind]);
		if (term.spec.len)
			len += (size_t)snprintf(
			    text + len, sizeof(text) - len, ":%.*s", term.spec.len, term.spec.p);
	}
	return text;
}

static void test_select(void **state)
{
	struct text records[] = { t("v=spf10 -all"), t("spf"), t("v=spf1\t-all"), t("V=SPF1 -all"),
		t(""), t("v=spf1") };
	struct text found;

	(void)state;
	assert_int_equal(spf_select(records, 3, &found), -ENOENT);
	assert_int_equal(spf_select(records, 0, &found), -ENOENT);
	assert_int_equal(spf_select(records, 5, &found), 0);
	assert_int_equal(found.len, 5);
	assert_memory_equal(found.p, " -all", 5);
	assert_int_equal(spf_select(records, 6, &found), -EEXIST);
}

static void test_syntax_errors(void **state)
{
	static const char *const bad[] = { " -", " moo", " -all moo", " all:x", " all/8", " -all.",
		" include", " include:", " include:a.b/8", " exists", " exists:", " ptr/24",
		" ptr:", " a:", " a/", " a//", " a/33", " a//129", " a/24/64", " a/024", " a/1000",
		" a///64", " a:b", " a:b.c/", " ip4", " ip4:", " ip4:1.2.3", " ip4:1.2.3.4.5",
		" ip4:01.2.3.4", " ip4:1.2.3.4/33", " ip4:1.2.3.4//32", " ip4:1.2.3.4:25",
		" ip4:::1", " ip6", " ip6:", " ip6:1.2.3.4", " ip6:::1/129", " ip6:::1//64",
		" ip6:12345::",
		" ip6:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		" +redirect=a.b", " redirect=", " redirect=a", " redirect=a.b redirect=a.b",
		" exp=a.b exp=a.b", " exp=", " exp=-all", " =x", " 1x=y", " x=%", " x/y=z",
		" x:y=z", " a\t-all", " a\x80", " ~~all", " a:\x01.b" };

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		program.len = 77;
		assert_int_equal(compile(bad[i]), -EINVAL);
		assert_int_equal(program.len, 77);
	}
	assert_int_equal(
	    spf_compile((struct text){ " a\0", 3 }, client, true, true, out, 100, &program),
	    -EINVAL);
	assert_int_equal(
	    spf_compile((struct text){ " \0all", 5 }, client, true, true, out, 100, &program),
	    -EINVAL);
	assert_int_equal(spf_compile((struct text){ " ip4:192.0.2.1\0", 15 }, client, true, true,
			     out, 100, &program),
	    -EINVAL);
}

/* Only what needs DNS, up to what is sure. */
static void test_what_is_kept(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "   ", "" },
		{ " ip4:198.51.100.0/24 ip6:2001:db8::/32 -all", "!=" },
		{ " -ip4:192.0.2.0/24 a mx all", "!=" },
		{ " A Mx/24 PTR:a.b ~eXists:%{i}.x.y ?include:c.d. -ALL",
		    "+a +x +p:a.b ~e:%{i}.x.y ?i:c.d. !=" },
		{ " a:foo:bar/baz.example//64", "+a:foo:bar/baz.example" },
		{ " moo.cow-far_out=man:dog/cat a", "+a" },
		{ " a ip4:192.0.2.1 mx a a", "+a +=" },
		{ " a a a a a a a a a a mx ptr ptr -all", "+a +a +a +a +a +a +a +a +a +a +x" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(compile(rows[i][0]), 0);
		assert_string_equal(kept(), rows[i][1]);
	}
}

static void test_prefixes(void **state)
{
	struct spf_term term;

	(void)state;
	assert_int_equal(compile(" a/24//64"), 0);
	spf_term_read(out, 0, &term);
	assert_int_equal(term.bits4, 24);
	assert_int_equal(term.bits6, 64);
	assert_int_equal(compile(" mx:x.y//0"), 0);
	spf_term_read(out, 0, &term);
	assert_int_equal(term.bits4, 32);
	assert_int_equal(term.bits6, 0);
	assert_true(spf_prefix_equal((const uint8_t *)"\x12\x34", (const uint8_t *)"\x12\x3f", 12));
	assert_false(spf_prefix_equal((const uint8_t *)"\x12\x34", (const uint8_t *)"\x12\x3f", 13));
	assert_true(spf_prefix_equal((const uint8_t *)"\x12", (const uint8_t *)"\xff", 0));
	/* IPv4 and IPv6 are two spaces */
	assert_int_equal(compile(" ip6:::ffff:192.0.2.1 ip6:::/0 -all"), 0);
	assert_string_equal(kept(), "!=");
	assert_int_equal(spf_compile(t(" ip4:0.0.0.0/0 ~ip6:2001:db8::/33 -all"), client6, false,
			     true, out, sizeof(out), &program),
	    0);
	assert_string_equal(kept(), "~=");
}

static void test_modifiers(void **state)
{
	(void)state;
	assert_int_equal(compile(" redirect=r.example a exp=e.example"), 0);
	assert_int_equal(program.redirect_len, 9);
	assert_memory_equal(out + program.redirect, "r.example", 9);
	assert_int_equal(program.exp_len, 9);
	assert_memory_equal(out + program.exp, "e.example", 9);
	assert_int_equal(compile(" redirect=r.example -all"), 0);
	assert_int_equal(program.redirect_len, 0); /* 6.1 */
	assert_int_equal(
	    spf_compile(t(" exp=e.example -all"), client, true, false, out, 100, &program), 0);
	assert_int_equal(program.exp_len, 0);
}

static void test_room(void **state)
{
	const char *record = " a:one.example mx:two.example redirect=r.example exp=e.example";
	uint16_t needed;

	(void)state;
	assert_int_equal(compile(record), 0);
	needed = program.len;
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(spf_compile(t(record), client, true, true, out, needed, &program), 0);
	assert_int_equal(out[needed], 0x5a);
	for (uint16_t room = 0; room < needed; room++) {
		memset(out, 0x5a, sizeof(out));
		assert_int_equal(
		    spf_compile(t(record), client, true, true, out, room, &program), -ENOBUFS);
		assert_int_equal(out[room], 0x5a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_syntax_errors),
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_modifiers),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests_name("spf_record", tests, NULL, NULL);
}
