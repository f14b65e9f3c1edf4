/* SPDX-License-Identifier: BSD-3-Clause */
#include "patterns_import.h"

#include "patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *written; /* of the last imported(), comments and blank lines off */
static struct patterns_import *import;

/* Cuts ` # file:line ...` off each line and drops lines that begin with #. */
static void without_comments(char *text)
{
	char *to = text;
	for (char *line = text, *next; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		char *end = next;
		next += *next == '\n';
		if (*line == '#')
			continue;
		char *comment = memmem(line, (size_t)(end - line), " # ", 3);
		if (comment != NULL)
			end = comment;
		memmove(to, line, (size_t)(end - line));
		to += end - line;
		*to++ = '\n';
	}
	*to = '\0';
}

/* What our own reader has against it; "" is good. */
static char *complaints_of(const char *text, size_t len)
{
	struct patterns patterns;
	struct complaints complaints;
	complaints_init(&complaints);
	patterns_init(&patterns);
	assert_int_equal(patterns_parse(&patterns, "out", NULL, text, len, &complaints), 0);
	patterns_finish(&patterns, &complaints);
	char *wrong = complaints_text(&complaints);
	patterns_fini(&patterns);
	complaints_fini(&complaints);
	return wrong;
}

static const char *imported(const char *rules)
{
	size_t size = 0;
	import = patterns_import_free(import);
	free(written);
	written = NULL;
	assert_int_equal(patterns_import_text("a.cf", rules, strlen(rules), &import), 0);
	patterns_import_check(import, NULL, NULL);
	FILE *out = open_memstream(&written, &size);
	assert_non_null(out);
	assert_int_equal(patterns_import_write(import, out), 0);
	assert_int_equal(fclose(out), 0);
	char *wrong = complaints_of(written, size);
	assert_string_equal(wrong, "");
	free(wrong);
	without_comments(written);
	return written;
}

static const struct patterns_import_counts *counts(void)
{
	return patterns_import_counts(import);
}

static const char *refusal(unsigned i)
{
	const struct patterns_import_note *notes;
	assert_true(i < patterns_import_refused(import, &notes));
	return notes[i].why;
}

static int teardown(void **state)
{
	(void)state;
	import = patterns_import_free(import);
	free(written);
	written = NULL;
	return 0;
}

/* ---- kinds ---- */

static void each_kind_goes_to_its_zone(void **state)
{
	(void)state;
	assert_string_equal(imported("header A Subject =~ /one/i\n"
				     "body B /two/\n"
				     "body B2 /two/\ntflags B2 nosubject\n"
				     "rawbody C /three/s\n"
				     "full D /four/m\n"
				     "uri E m,^https?://a/b\\,c,i\n"
				     "header F ALL =~ /^x/m\n"
				     "header G exists:X-Mailer\n"
				     "header H From:raw =~ /=\\?/\n"),
	    "header:Subject:/one/i name=A score=1.00\n"
	    "text:/two/ name=B score=1.00\n"
	    "subject:/two/ name=B score=1.00\n"
	    "text:/two/ name=B2 score=1.00\n"
	    "body:/three/s name=C score=1.00\n"
	    "body:/four/m name=D score=1.00\n"
	    "uri:/^https?:\\/\\/a\\/b\\,c/i name=E score=1.00\n"
	    "header:/^x/m name=F score=1.00\n"
	    "header:/^X-Mailer[ \\t]*:/mi name=G score=1.00\n"
	    "header:From:/=\\?/ name=H score=1.00\n");
}

static void pseudo_headers_are_their_fields(void **state)
{
	(void)state;
	assert_string_equal(imported("header A MESSAGEID =~ /x/\nheader B ToCc =~ /y/\n"
				     "header C EnvelopeFrom =~ /^bounce/\n"
				     "header D EnvelopeFrom =~ /\\.example$/\n"),
	    "header:Message-Id:/x/ name=A score=1.00\n"
	    "header:Resent-Message-Id:/x/ name=A score=1.00\n"
	    "header:X-Message-Id:/x/ name=A score=1.00\n"
	    "header:To:/y/ name=B score=1.00\n"
	    "header:Cc:/y/ name=B score=1.00\n"
	    "envelope:/^from:bounce/ name=C score=1.00\n"
	    "envelope:/^from:.*(?:\\.example$)/ name=D score=1.00\n");
}

static void what_is_not_here_is_counted(void **state)
{
	(void)state;
	assert_string_equal(imported("header A X-Spam-Relays-External =~ /helo=x/\n"
				     "header B From:addr =~ /@x$/\n"
				     "header C Return-Path =~ /x/\n"
				     "mimeheader D Content-Type =~ /x/\n"
				     "header E eval:check_it('x')\n"
				     "uri F /http:.*%{NAME}/\n"
				     "meta G A || E\n"),
	    "");
	assert_int_equal(counts()->no_zone, 4);
	assert_int_equal(counts()->evals, 1);
	assert_int_equal(counts()->refused, 1);
	assert_string_equal(refusal(0), "text captured by another rule");
	assert_int_equal(counts()->metas_lacking, 1);
}

static void a_missing_header_is_empty(void **state)
{
	(void)state;
	assert_string_equal(imported("header A X-A !~ /./\n" /* hits where there is none */
				     "header B X-B =~ /^$/\n"
				     "header C X-C !~ /^$/\n"
				     "header D X-D =~ /UNSET/ [if-unset: UNSET]\n"
				     "header E X-E !~ /UNSET/ [if-unset: UNSET]\n"),
	    "header:X-A:/./ name=A.re\n"
	    "meta A = !A.re score=1.00\n"
	    "header:X-B:/^$/ name=B.re\n"
	    "header:/^X-B[ \\t]*:/mi name=B.set\n"
	    "meta B = B.re || !B.set score=1.00\n"
	    "header:X-C:/^$/ name=C.re\n"
	    "header:/^X-C[ \\t]*:/mi name=C.set\n"
	    "meta C = !C.re && C.set score=1.00\n"
	    "header:X-D:/UNSET/ name=D.re\n"
	    "header:/^X-D[ \\t]*:/mi name=D.set\n"
	    "meta D = D.re || !D.set score=1.00\n"
	    "header:X-E:/UNSET/ name=E.re\n"
	    "header:/^X-E[ \\t]*:/mi name=E.set\n"
	    "meta E = !E.re && E.set score=1.00\n");
}

/* ---- lines ---- */

static void lines_have_comments_blanks_and_any_case(void **state)
{
	(void)state;
	assert_string_equal(imported("# body N /n/\n\r\n   BODY  A\t/a\\#b/  # a comment\r\n"
				     "uri B m{x}i#c\n"
				     "lang de body L /l/\nlang de describe A Text\n"
				     "body\nbody X\nbody 1X /x/\nbody X-Y /x/\nnonsense X /x/\n"
				     "header Z\nheader Z From\nheader Z From =~\nbody C /c/"),
	    "text:/a#b/ name=A score=1.00\nsubject:/a#b/ name=A score=1.00\n"
	    "uri:/x/i name=B score=1.00\n"
	    "text:/c/ name=C score=1.00\nsubject:/c/ name=C score=1.00\n");
	assert_int_equal(counts()->expressions, 4);
	assert_int_equal(counts()->refused, 1); /* the =~ that nothing follows */
}

static void branches_are_followed_and_counted(void **state)
{
	(void)state;
	assert_string_equal(
	    imported(
		"ifplugin Mail::SpamAssassin::Plugin::ReplaceTags\nuri A /a/\nelse\nuri A /b/\n"
		"endif\n"
		"ifplugin Mail::SpamAssassin::Plugin::DKIM # {\nuri B /b/\n"
		"if (version >= 3.004000)\nuri B /c/\nelse\nuri B /d/\nendif\n"
		"else\nuri B /e/\nendif\n"
		"if (version >= 3.004002) && !plugin(Mail::SpamAssassin::Plugin::DKIM)\n"
		"uri C /c/\nendif\n"
		"if can(Mail::SpamAssassin::Conf::feature_capture_rules)\nuri D /d/\nendif\n"
		"if can(Mail::SpamAssassin::Conf::feature_bug6558_free)\nuri E /e/\nendif\n"
		"if nonsense(\nuri F /f/\nendif\nendif\nelse\nuri G /g/\n"),
	    "uri:/a/ name=A score=1.00\nuri:/e/ name=B score=1.00\nuri:/c/ name=C score=1.00\n"
	    "uri:/e/ name=E score=1.00\nuri:/g/ name=G score=1.00\n");
	assert_int_equal(counts()->expressions, 11);
	assert_int_equal(counts()->not_taken, 6);
}

static void ifs_nest_only_so_deep(void **state)
{
	char text[4096] = "";
	size_t len = 0;
	(void)state;
	for (unsigned i = 0; i < 40; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "if (version >= 3)\n");
	len += (size_t)snprintf(text + len, sizeof(text) - len, "uri A /a/\n");
	for (unsigned i = 0; i < 40; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "endif\n");
	snprintf(text + len, sizeof(text) - len, "uri B /b/\n");
	assert_string_equal(imported(text), "uri:/b/ name=B score=1.00\n");
}

static void the_last_definition_of_a_name_holds(void **state)
{
	(void)state;
	assert_string_equal(
	    imported("body A /a/\nuri A /b/\nuri B /c/\nmeta B 0\nmeta C A\nuri C /d/\n"),
	    "uri:/b/ name=A score=1.00\nuri:/d/ name=C score=1.00\n");
	assert_int_equal(counts()->replaced, 2);
	assert_int_equal(counts()->metas_constant, 1);
}

/* ---- scores ---- */

static void scores(void **state)
{
	(void)state;
	assert_string_equal(imported("uri A /a/\nscore A 1.1 1.2 1.3 1.4\n"
				     "uri B /b/\nscore B 2.5 # two\n"
				     "uri C /c/\nscore C 0\n"
				     "uri D /d/\ntflags D nice net\n"
				     "uri T_E /e/\n"
				     "uri F /f/\nscore F 2\nscore F (-0.5)\n"
				     "uri G /g/\nscore G 5000\n"
				     "uri H /h/\nscore H x\n"
				     "uri __I /i/\nscore __I 3\nmeta J __I\nscore J -0.014\n"
				     "uri L /l/\nscore L 0.001\n"
				     "uri K /k/\nscore K 1 1 1 0\n"),
	    "uri:/a/ name=A score=1.40\nuri:/b/ name=B score=2.50\nuri:/d/ name=D score=-1.00\n"
	    "uri:/e/ name=T_E score=0.01\nuri:/f/ name=F score=1.50\nuri:/g/ name=G score=1000.00\n"
	    "uri:/h/ name=H score=1.00\nuri:/i/ name=__I\nmeta J = __I score=-0.01\n");
	assert_int_equal(counts()->off, 2);
}

static void sub_rules_that_nothing_asks_for_are_left_out(void **state)
{
	(void)state;
	assert_string_equal(imported("uri __A /a/\nuri __B /b/\nmeta __C __B\n"), "");
	assert_int_equal(counts()->unused, 2);
	assert_int_equal(counts()->metas_unused, 1);
}

/* ---- metas ---- */

static void metas_are_carried_with_what_they_need(void **state)
{
	(void)state;
	assert_string_equal(imported("meta A (__X&&!__Y) || (__X + __Y + __Z >= 2)\nscore A 2\n"
				     "uri __X /x/\nuri __Y /y/\nuri __Z /z/\n"
				     "meta B A && !NOT_HERE\nmeta C __X && OFF\nmeta D __X || OFF\n"
				     "uri OFF /o/\nscore OFF 0\n"),
	    "meta A = (__X && !__Y) || (__X + __Y + __Z >= 2) score=2.00\n"
	    "uri:/x/ name=__X\nuri:/y/ name=__Y\nuri:/z/ name=__Z\n"
	    "meta D = __X || 0 score=1.00\n");
	assert_int_equal(counts()->metas, 4);
	assert_int_equal(counts()->metas_carried, 2);
	assert_int_equal(counts()->metas_lacking, 1);
	assert_int_equal(counts()->metas_constant, 1);
}

static void a_sum_inside_a_sum_is_put_in(void **state)
{
	(void)state;
	assert_string_equal(imported("uri __X /x/\nuri __Y /y/\nmeta __S __X + __Y\n"
				     "meta A __S > 1\nmeta B __S && __X\nmeta C ((__S)) > 1\n"
				     "meta D (__S || __X) > 1\n"),
	    "uri:/x/ name=__X\nuri:/y/ name=__Y\nmeta __S = __X + __Y\n"
	    "meta A = (__X + __Y) > 1 score=1.00\nmeta B = __S && __X score=1.00\n"
	    "meta C = (((__X + __Y))) > 1 score=1.00\n");
	assert_int_equal(counts()->metas_lacking, 1); /* D: Perl's || gives the sum */
}

static void counted_hits_are_not_here(void **state)
{
	(void)state;
	assert_string_equal(imported("uri __X /x/\ntflags __X multiple maxhits=5\n"
				     "meta A __X > 3\nmeta B __X\nmeta C !__X\n"),
	    "uri:/x/ name=__X\nmeta B = __X score=1.00\nmeta C = !__X score=1.00\n");
	assert_int_equal(counts()->metas_lacking, 1);
}

static void bad_metas_are_left_out(void **state)
{
	char deep[400];
	(void)state;
	memset(deep, '(', 120);
	snprintf(deep + 120, sizeof(deep) - 120, "__X");
	memset(deep + 123, ')', 120);
	deep[243] = '\0';
	char text[1024];
	snprintf(text, sizeof(text),
	    "uri __X /x/\nmeta A B\nmeta B A\nmeta C C\nmeta D __X &&\nmeta E (__X\nmeta F __X)\n"
	    "meta G __X / 2\nmeta H %s\nmeta I 0.5 * __X\nmeta J rules_matching(A*)\nmeta K $X\n",
	    deep);
	assert_string_equal(imported(text), "");
	assert_int_equal(counts()->metas_lacking, 11);
}

/* ---- expressions ---- */

static void delimiters_and_modifiers(void **state)
{
	(void)state;
	assert_string_equal(imported("uri A m{a{2}}\nuri B m(a(?:b))x\nuri C m<a>\nuri D m[a[b]]\n"
				     "uri E m!a\\!b!\nuri F qr/f/\nuri G m|a/b|aio\nuri H /a\\/b/\n"
				     "uri I m/i/\nuri J m'j'\n"),
	    "uri:/a{2}/ name=A score=1.00\nuri:/a(?:b)/ name=B score=1.00\nuri:/a/ name=C "
	    "score=1.00\n"
	    "uri:/a[b]/ name=D score=1.00\nuri:/a\\!b/ name=E score=1.00\nuri:/f/ name=F "
	    "score=1.00\n"
	    "uri:/a\\/b/i name=G score=1.00\nuri:/a\\/b/ name=H score=1.00\nuri:/i/ name=I "
	    "score=1.00\n"
	    "uri:/j/ name=J score=1.00\n");
	imported("uri A a\nuri B /a\nuri C mxax\nuri D m\\a\\\nuri E /a/e\nuri F /a/b/\nuri G //\n"
		 "uri H /(?{1})/\nuri I /[a/\nuri J /a(?#b/\nuri K m\n");
	assert_int_equal(counts()->refused, 11);
	assert_string_equal(refusal(0), "no delimiter at the beginning of the expression");
	assert_string_equal(refusal(1), "no delimiter at the end of the expression");
	assert_string_equal(refusal(4), "a modifier that is not known here");
	assert_string_equal(refusal(5), "the delimiter stands unquoted in the expression");
	assert_string_equal(refusal(6), "an empty expression");
	assert_string_equal(refusal(7), "Perl code in the expression");
	assert_string_equal(refusal(8), "a class without its ]");
}

static void extended_syntax_is_taken_out(void **state)
{
	(void)state;
	assert_string_equal(imported("uri A / a\\ b [ ] [\\#] c(?\\#not x) \\# d/x\n"),
	    "uri:/a\\ b[ ][#]c/ name=A score=1.00\n");
	assert_string_equal(
	    imported("uri A /a b(?\\#comment)c/\n"), "uri:/a bc/ name=A score=1.00\n");
}

static void odd_bytes_and_classes(void **state)
{
	(void)state;
	assert_string_equal(
	    imported("uri A /\xe4[\xc3\xa4]\\\xe4/\nuri B m![]a][^]b][[:alpha:]/x]!\n"
		     "uri C /[\\xc3][\\x80\\x81]/\nuri D /[a\\x{0456}b]/\n"),
	    "uri:/\\xe4[\\xc3\\xa4]\\xe4/ name=A score=1.00\n"
	    "uri:/[\\]a][^\\]b][[:alpha:]\\/x]/ name=B score=1.00\n"
	    "uri:/\\xc3[\\x80\\x81]/ name=C score=1.00\nuri:/[ab]/ name=D score=1.00\n");
}

static void what_hyperscan_cannot_is_confirmed(void **state)
{
	(void)state;
	assert_string_equal(imported("uri A /(?<!a)b/\nuri B /(a+)\\1/\nuri C /x(?:a|^b|c$)/m\n"),
	    "uri:/(?<!a)b/ name=A confirm score=1.00\nuri:/(a+)\\1/ name=B confirm score=1.00\n"
	    "uri:/x(?:a|(?<![^\\n])b|c(?![^\\n]))/m name=C confirm score=1.00\n");
}

static void tags_are_put_in(void **state)
{
	(void)state;
	assert_string_equal(
	    imported("replace_tag A [a@]\nreplace_tag B b\nreplace_tag AB <A><B>\n"
		     "replace_inter W \\W?\nreplace_pre P p\nreplace_post Q {1,2}\n"
		     "uri R1 /<A><B>x<A>/\nuri R2 /<inter W>x<A><B>y<B>/\n"
		     "uri R3 /<pre P><post Q>x<A>/\nuri R4 /<AB><NONE>/\nuri R5 /<A>/\n"
		     "replace_rules R1 R2 R3\nreplace_rules R4\n"),
	    "uri:/[a@]bx[a@]/ name=R1 score=1.00\n"
	    "uri:/x[a@]\\W?byb/ name=R2 score=1.00\nuri:/xp[a@]{1,2}/ name=R3 score=1.00\n"
	    "uri:/[a@]b<NONE>/ name=R4 score=1.00\nuri:/<A>/ name=R5 score=1.00\n");
}

static void tags_that_name_themselves_end(void **state)
{
	(void)state;
	imported("replace_tag A <A><A><A><A><A><A><A><A>\nuri R /<A>/\nreplace_rules R\n");
	assert_int_equal(counts()->expressions, 1);
}

static void what_is_too_long_is_split(void **state)
{
	/* 3 alternatives of 7,000 letters between two words */
	size_t one = 7000, size = 3 * one + 100, len = 0;
	char *text = malloc(size);
	(void)state;
	len += (size_t)snprintf(text, size, "uri A /x(?:");
	for (unsigned i = 0; i < 3; i++) {
		memset(text + len, 'a' + (int)i, one);
		len += one;
		text[len++] = i == 2 ? ')' : '|';
	}
	snprintf(text + len, size - len, "(?:y|z)/\n");
	imported(text);
	assert_int_equal(counts()->compiled, 1);
	assert_int_equal(counts()->lines, 2);
	for (char *line = written; *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_memory_equal(line, "uri:/x", 6);
		assert_non_null(strstr(line, "(?:y|z)/ name=A score=1.00\n"));
	}
	free(text);
}

static void names_are_bounded(void **state)
{
	char text[300], name[128];
	(void)state;
	memset(name, 'A', 60);
	name[60] = '\0';
	snprintf(text, sizeof(text), "uri %s /a/\nuri %sB /b/\n", name, name);
	imported(text);
	assert_int_equal(counts()->expressions, 1);
	assert_int_equal(counts()->rules, 1);
}

static void more_rules_than_the_bound_are_refused(void **state)
{
	struct patterns_import *many = NULL;
	size_t size = (PATTERNS_IMPORT_RULES_MAX + 1) * 24, len = 0;
	char *text = malloc(size);
	(void)state;
	for (unsigned i = 0; i <= PATTERNS_IMPORT_RULES_MAX; i++)
		len += (size_t)snprintf(text + len, size - len, "score A%u 1\n", i);
	assert_int_equal(patterns_import_text("a.cf", text, len, &many), -EINVAL);
	assert_null(many);
	len -= 15; /* without the last line */
	assert_int_equal(patterns_import_text("a.cf", text, len, &many), 0);
	patterns_import_free(many);
	free(text);
}

/* ---- folders, reports ---- */

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void drop_file(const char *folder, const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
}

static void a_folder_is_read_in_the_order_of_names(void **state)
{
	char folder[] = "/tmp/postern-import-XXXXXX", error[300] = "", *report = NULL;
	size_t size = 0;
	(void)state;
	import = patterns_import_free(import);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(patterns_import_folder(folder, &import, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "no rule file (*.cf)"));
	put_file(folder, "20_b.cf", "uri A /second/\nuri B\t/(/\n");
	put_file(folder, "10_a.cf", "uri A /first/\n");
	put_file(folder, "notes.txt", "uri C /c/\n");
	put_file(folder, ".hidden.cf", "uri D /d/\n");
	assert_int_equal(patterns_import_folder(folder, &import, error, sizeof(error)), 0);
	patterns_import_check(import, NULL, NULL);
	FILE *out = open_memstream(&report, &size);
	assert_int_equal(patterns_import_write(import, out), 0);
	fflush(out);
	assert_non_null(strstr(report, "uri:/second/ name=A score=1.00 # 20_b.cf:1\n"));
	rewind(out);
	patterns_import_print(import, out);
	fclose(out);
	assert_memory_equal(report, "20_b.cf:2: B: ", 14);
	assert_non_null(strstr(report, "\ncarried 0 metas, 0 need what is not here"));
	assert_non_null(strstr(report, "\ncompiled 2 confirm 0 refused 1 of 3\n"));
	free(report);
	json_t *json = patterns_import_json(import);
	assert_int_equal(json_integer_value(json_object_get(json, "expressions")), 3);
	json_t *first = json_array_get(json_object_get(json, "refusals"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "rule")), "B");
	assert_int_equal(json_integer_value(json_object_get(first, "line")), 2);
	json_decref(json);
	import = patterns_import_free(import);
	assert_int_equal(
	    patterns_import_folder("/nonexistent", &import, error, sizeof(error)), -ENOENT);
	drop_file(folder, "20_b.cf");
	drop_file(folder, "10_a.cf");
	drop_file(folder, "notes.txt");
	drop_file(folder, ".hidden.cf");
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_goes_to_its_zone),
		cmocka_unit_test(pseudo_headers_are_their_fields),
		cmocka_unit_test(what_is_not_here_is_counted),
		cmocka_unit_test(a_missing_header_is_empty),
		cmocka_unit_test(lines_have_comments_blanks_and_any_case),
		cmocka_unit_test(branches_are_followed_and_counted),
		cmocka_unit_test(ifs_nest_only_so_deep),
		cmocka_unit_test(the_last_definition_of_a_name_holds),
		cmocka_unit_test(scores),
		cmocka_unit_test(sub_rules_that_nothing_asks_for_are_left_out),
		cmocka_unit_test(metas_are_carried_with_what_they_need),
		cmocka_unit_test(a_sum_inside_a_sum_is_put_in),
		cmocka_unit_test(counted_hits_are_not_here),
		cmocka_unit_test(bad_metas_are_left_out),
		cmocka_unit_test(delimiters_and_modifiers),
		cmocka_unit_test(extended_syntax_is_taken_out),
		cmocka_unit_test(odd_bytes_and_classes),
		cmocka_unit_test(what_hyperscan_cannot_is_confirmed),
		cmocka_unit_test(tags_are_put_in),
		cmocka_unit_test(tags_that_name_themselves_end),
		cmocka_unit_test(what_is_too_long_is_split),
		cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(more_rules_than_the_bound_are_refused),
		cmocka_unit_test(a_folder_is_read_in_the_order_of_names),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
