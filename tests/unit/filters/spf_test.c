/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine as its caller sees it. What RFC 7208 wants of results is in tests/spf; here are the
 * bounds, answers that do not fit, and senders who mean harm. */
#include "spf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

enum { GUARD = 64, RECORDS_MAX = 16 };

/* What the DNS says; a name that is not there does not exist. `records`: addresses as text. */
struct entry {
	const char *name;
	uint16_t type;
	uint8_t status;
	const char *records[RECORDS_MAX];
};

static struct {
	uint8_t before[GUARD];
	_Alignas(SPF_STATE_ALIGN) uint8_t state[SPF_STATE_BYTES];
	uint8_t after[GUARD];
} memory;
static struct spf *s;
static unsigned n_mx_hosts_asked; /* A questions for hN.example */

static struct text text_of(const char *p)
{
	return (struct text){ p, (uint16_t)strlen(p) };
}

static int setup(void **state)
{
	(void)state;
	memset(&memory, 0x5a, sizeof(memory));
	s = spf_init(memory.state);
	n_mx_hosts_asked = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GUARD; i++) {
		if (memory.before[i] != 0x5a || memory.after[i] != 0x5a)
			return -1;
	}
	return 0;
}

static void start(const char *client, const char *helo, const char *mail)
{
	struct spf_input in = { .helo = text_of(helo),
		.mail = text_of(mail),
		.now_s = 1234,
		.receiver = text_of("mx.example"),
		.explain = true };

	if (strchr(client, ':')) {
		assert_int_equal(inet_pton(AF_INET6, client, in.client), 1);
	} else {
		in.client[10] = in.client[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, client, in.client + 12), 1);
	}
	spf_start(s, &in);
}

static void say(uint8_t status, const char *const *records, unsigned n)
{
	const struct spf_question *q = spf_question(s);
	struct text texts[RECORDS_MAX];
	char bytes[RECORDS_MAX][16];

	assert_non_null(q);
	for (unsigned i = 0; i < n; i++) {
		texts[i] = text_of(records[i]);
		if (q->type == SPF_TYPE_A || q->type == SPF_TYPE_AAAA) {
			bool v4 = q->type == SPF_TYPE_A;

			assert_int_equal(
			    inet_pton(v4 ? AF_INET : AF_INET6, records[i], bytes[i]), 1);
			texts[i] = (struct text){ bytes[i], v4 ? 4 : 16 };
		}
	}
	struct spf_answer a = { .status = status, .n_records = (uint16_t)n, .records = texts };

	assert_int_equal(spf_answer(s, q->id, &a), 0);
}

static void say_one(const char *record)
{
	say(SPF_ANSWERED, &record, 1);
}

static void asks(uint16_t type, const char *name)
{
	const struct spf_question *q = spf_question(s);

	assert_non_null(q);
	assert_string_equal(q->name, name);
	assert_int_equal(q->name_len, strlen(name));
	assert_int_equal(q->type, type);
}

static void answer_from(const struct entry *dns, unsigned n_dns)
{
	const struct spf_question *q;

	while ((q = spf_question(s)) != NULL) {
		const struct entry *e = dns;
		unsigned n = 0;

		n_mx_hosts_asked += q->type == SPF_TYPE_A && q->name[0] == 'h';
		while (e < dns + n_dns && (e->type != q->type || strcmp(e->name, q->name) != 0))
			e++;
		if (e == dns + n_dns) {
			say(SPF_NXDOMAIN, NULL, 0);
			continue;
		}
		while (n < RECORDS_MAX && e->records[n])
			n++;
		say(e->status, e->records, n);
	}
}

#define CHECK(client, mail, ...)                                                                   \
	do {                                                                                       \
		const struct entry dns_[] = { __VA_ARGS__ };                                       \
		start(client, "helo.example", mail);                                               \
		answer_from(dns_, sizeof(dns_) / sizeof(*dns_));                                   \
	} while (0)

static void comes_to(enum spf_result result, enum spf_trouble trouble)
{
	const struct spf_outcome *o = spf_outcome(s);

	assert_non_null(o);
	assert_null(spf_question(s));
	assert_string_equal(spf_result_words[o->result], spf_result_words[result]);
	assert_string_equal(spf_trouble_words[o->trouble], spf_trouble_words[trouble]);
}

static void is_text(struct text t, const char *wanted)
{
	assert_int_equal(t.len, strlen(wanted));
	assert_memory_equal(t.p, wanted, t.len);
}

#define TXT(name, text)                                                                            \
	{                                                                                          \
		name, SPF_TYPE_TXT, SPF_ANSWERED,                                                  \
		{                                                                                  \
			text                                                                       \
		}                                                                                  \
	}

static void test_question_by_question(void **state)
{
	(void)state;
	start("192.0.2.1", "helo.example", "Someone@Sender.Example");
	asks(SPF_TYPE_TXT, "sender.example");
	assert_null(spf_outcome(s));
	say_one("v=spf1 a mx:%{l}.example include:other.example -all");
	asks(SPF_TYPE_A, "sender.example");
	say_one("192.0.2.9");
	asks(SPF_TYPE_MX, "someone.example");
	say_one("Host.Example.");
	asks(SPF_TYPE_A, "host.example");
	say_one("192.0.2.8");
	asks(SPF_TYPE_TXT, "other.example");
	say_one("v=spf1 ip4:192.0.2.0/24 -all");
	comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	is_text(spf_outcome(s)->domain, "Sender.Example");
	is_text(spf_outcome(s)->authority, "other.example");
	is_text(spf_outcome(s)->explanation, "");
	assert_int_equal(spf_outcome(s)->lookups, 3);
	assert_int_equal(spf_outcome(s)->questions, 5);
	assert_false(spf_outcome(s)->of_helo);
}

static void test_null_sender_is_helo(void **state)
{
	(void)state;
	start("2001:db8::1", "relay.example", "");
	asks(SPF_TYPE_TXT, "relay.example");
	say_one("v=spf1 exists:%{l}.%{ir}.%{v}.example -all");
	asks(SPF_TYPE_A, "postmaster.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0."
			 "1.0.0.2.ip6.example");
	say_one("127.0.0.2");
	comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	assert_true(spf_outcome(s)->of_helo);
	is_text(spf_outcome(s)->domain, "relay.example");
}

/* Decided without a question. */
static void test_domains_without_a_record(void **state)
{
	static const char *const senders[] = { "a@localhost", "a@", "a@.", "a@b..example",
		"a@[192.0.2.1]", "a@192.0.2.1", "a@\xc3\xa4.example", "a@b\\c.example",
		"a@b.example..", "a@b\x01.example" };
	char longer[SPF_NAME_MAX + 10] = "a@";

	(void)state;
	for (unsigned i = 0; i < sizeof(senders) / sizeof(*senders); i++) {
		start("192.0.2.1", "helo.example", senders[i]);
		comes_to(SPF_NONE, SPF_TROUBLE_NONE);
		assert_int_equal(spf_outcome(s)->questions, 0);
		is_text(spf_outcome(s)->domain, "");
	}
	for (unsigned i = 2; i < 2 + SPF_NAME_MAX; i++)
		longer[i] = i % 2 ? '.' : 'x';
	start("192.0.2.1", "helo.example", longer); /* the longest there is */
	assert_non_null(spf_question(s));
	strncat(longer, ".x", 3);
	start("192.0.2.1", "helo.example", longer);
	comes_to(SPF_NONE, SPF_TROUBLE_NONE);
	start("192.0.2.1", "[192.0.2.1]", "");
	comes_to(SPF_NONE, SPF_TROUBLE_NONE);
}

static void test_other_answers_are_refused(void **state)
{
	struct text record = text_of("v=spf1 +all");
	struct spf_answer pass = { SPF_ANSWERED, 1, &record }, odd = { SPF_TIMEOUT + 1, 1, &record };
	uint32_t first, second;

	(void)state;
	assert_int_equal(spf_answer(s, 0, &pass), -EALREADY); /* nothing was started */
	assert_null(spf_question(s));
	assert_null(spf_outcome(s));
	start("192.0.2.1", "helo.example", "a@sender.example");
	first = spf_question(s)->id;
	assert_int_equal(spf_answer(s, first - 1, &pass), -ESTALE);
	assert_int_equal(spf_answer(s, first + 1, &pass), -ESTALE);
	assert_int_equal(spf_answer(s, first, &odd), -EINVAL);
	asks(SPF_TYPE_TXT, "sender.example");
	say_one("v=spf1 a -all");
	second = spf_question(s)->id;
	assert_int_not_equal(first, second);
	assert_int_equal(spf_answer(s, first, &pass), -ESTALE); /* twice */
	asks(SPF_TYPE_A, "sender.example");
	/* A check that was ended by another: what comes for it does not fit the new one. */
	start("192.0.2.1", "helo.example", "a@next.example");
	assert_int_not_equal(spf_question(s)->id, first);
	assert_int_equal(spf_answer(s, second, &pass), -ESTALE);
	asks(SPF_TYPE_TXT, "next.example");
	say_one("v=spf1 -all");
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	assert_int_equal(spf_answer(s, spf_outcome(s)->questions, &pass), -EALREADY);
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
}

/* What is no address of the type asked for matches nothing, and is not read as one. */
static void test_records_of_a_wrong_size(void **state)
{
	struct text records[] = { { "\xc0\x00\x02", 3 }, { "\xc0\x00\x02\x01\x00", 5 }, { "", 0 },
		{ "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16 } };
	struct spf_answer a = { SPF_ANSWERED, 4, records };

	(void)state;
	start("192.0.2.1", "helo.example", "a@sender.example");
	say_one("v=spf1 a/0 -all");
	assert_int_equal(spf_answer(s, spf_question(s)->id, &a), 0);
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
}

static void test_ten_lookups(void **state)
{
	(void)state;
	CHECK("192.0.2.1", "a@ten.example",
	    TXT("ten.example", "v=spf1 a a a a a a a a a a ip4:192.0.2.1"),
	    { "ten.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.9" } });
	comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	assert_int_equal(spf_outcome(s)->lookups, SPF_LOOKUPS_MAX);
}

static void test_eleven_lookups(void **state)
{
	struct entry a = { "e.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.9" } };

	(void)state;
	CHECK("192.0.2.1", "a@e.example", TXT("e.example", "v=spf1 a a a a a a a a a a a +all"), a);
	comes_to(SPF_PERMERROR, SPF_TROUBLE_LOOKUPS);
	assert_int_equal(spf_outcome(s)->questions, 11);
	is_text(spf_outcome(s)->authority, "e.example");
	/* spread over records */
	CHECK("192.0.2.1", "a@e.example",
	    TXT("e.example", "v=spf1 a a a a include:i.example a +all"), a,
	    TXT("i.example",
		"v=spf1 a:e.example a:e.example a:e.example a:e.example redirect=r.example"),
	    TXT("r.example", "v=spf1 ?all"));
	comes_to(SPF_PERMERROR, SPF_TROUBLE_LOOKUPS);
	is_text(spf_outcome(s)->authority, "e.example"); /* whose `a` is the eleventh */
	/* the redirect is the eleventh */
	CHECK("192.0.2.1", "a@e.example",
	    TXT("e.example", "v=spf1 a a a a a a a a a a redirect=r.example"), a,
	    TXT("r.example", "v=spf1 +all"));
	comes_to(SPF_PERMERROR, SPF_TROUBLE_LOOKUPS);
	/* and what never asks is not counted */
	CHECK("192.0.2.1", "a@e.example",
	    TXT("e.example", "v=spf1 ip4:192.0.2.2 ip4:192.0.2.3 ip6:::1 "
			     "ip4:192.0.2.4 ip4:192.0.2.5 ip4:192.0.2.6 ip4:192.0.2.7 "
			     "ip4:192.0.2.8 ip4:192.0.2.9 "
			     "ip4:192.0.2.10 ip4:192.0.2.11 a:e.example -all"),
	    a);
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	assert_int_equal(spf_outcome(s)->lookups, 1);
}

static void test_p_counts_as_a_lookup(void **state)
{
	static const char record[] = "v=spf1 exists:%{p}.1.example exists:%{p}.2.example "
				     "exists:%{p}.3.example exists:%{p}.4.example "
				     "exists:%{p}.5.example exists:%{p}.6.example +all";
	static const struct entry dns[] = { TXT("p.example", record),
		{ "unknown.1.example", SPF_TYPE_A, SPF_NXDOMAIN, { NULL } } };

	(void)state;
	start("192.0.2.1", "helo.example", "a@p.example");
	answer_from(dns, 1);
	comes_to(SPF_PERMERROR, SPF_TROUBLE_VOIDS); /* a term each, its PTR question not counted */
	assert_int_equal(spf_outcome(s)->lookups, 6);
	assert_int_equal(spf_outcome(s)->voids, SPF_VOIDS_MAX);
	CHECK("192.0.2.1", "a@p.example",
	    TXT("p.example", "v=spf1 mx:p.example mx:p.example mx:p.example "
			     "mx:p.example mx:p.example mx:p.example mx:p.example mx:p.example "
			     "mx:p.example a:%{p}.x.example"),
	    { "p.example", SPF_TYPE_MX, SPF_ANSWERED, { "h1.example" } },
	    { "h1.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.7" } });
	comes_to(SPF_PERMERROR, SPF_TROUBLE_LOOKUPS);
}

static void test_endless_records_end(void **state)
{
	(void)state;
	CHECK("192.0.2.1", "a@l.example", TXT("l.example", "v=spf1 include:l.example +all"));
	comes_to(SPF_PERMERROR, SPF_TROUBLE_LOOKUPS);
	assert_int_equal(spf_outcome(s)->questions, 11);
	CHECK("192.0.2.1", "a@l.example", TXT("l.example", "v=spf1 redirect=l.example"));
	comes_to(SPF_PERMERROR, SPF_TROUBLE_LOOKUPS);
	assert_int_equal(spf_outcome(s)->questions, 11);
	CHECK("192.0.2.1", "a@l.example",
	    TXT("l.example", "v=spf1 include:m.example redirect=m.example"),
	    TXT("m.example", "v=spf1 include:l.example redirect=l.example"));
	comes_to(SPF_PERMERROR, SPF_TROUBLE_LOOKUPS);
}

static void test_two_voids(void **state)
{
	(void)state;
	CHECK("192.0.2.1", "a@v.example", TXT("v.example", "v=spf1 a:x.example mx:x.example +all"));
	comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	assert_int_equal(spf_outcome(s)->voids, 2);
	CHECK("192.0.2.1", "a@v.example",
	    TXT("v.example", "v=spf1 a:x.example mx:x.example ptr +all"));
	comes_to(SPF_PERMERROR, SPF_TROUBLE_VOIDS);
	CHECK("192.0.2.1", "a@v.example",
	    TXT("v.example", "v=spf1 a:x.example exists:x.example exists:y.example +all"));
	comes_to(SPF_PERMERROR, SPF_TROUBLE_VOIDS);
	assert_int_equal(spf_outcome(s)->questions, 4);
	/* no records at all is void too, whatever it is called */
	CHECK("192.0.2.1", "a@v.example", TXT("v.example", "v=spf1 a a a +all"),
	    { "v.example", SPF_TYPE_A, SPF_ANSWERED, { NULL } });
	comes_to(SPF_PERMERROR, SPF_TROUBLE_VOIDS);
}

/* An IPv6 client meets mail hosts that have IPv4 alone. */
static void test_void_hosts_of_one_mx_count_once(void **state)
{
	(void)state;
	CHECK("2001:db8::1", "a@v.example", TXT("v.example", "v=spf1 mx mx +all"),
	    { "v.example", SPF_TYPE_MX, SPF_ANSWERED, { "h1.example", "h2.example", "h3.example" } });
	comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	assert_int_equal(spf_outcome(s)->voids, 2);
	CHECK("2001:db8::1", "a@v.example", TXT("v.example", "v=spf1 mx mx mx +all"),
	    { "v.example", SPF_TYPE_MX, SPF_ANSWERED, { "h1.example" } });
	comes_to(SPF_PERMERROR, SPF_TROUBLE_VOIDS);
}

#define TEN_HOSTS                                                                                  \
	"h0.example", "h1.example", "h2.example", "h3.example", "h4.example", "h5.example",        \
	    "h6.example", "h7.example", "h8.example", "h9.example"

static void test_ten_mx_hosts(void **state)
{
	(void)state;
	CHECK("192.0.2.1", "a@m.example", TXT("m.example", "v=spf1 mx -all"),
	    { "m.example", SPF_TYPE_MX, SPF_ANSWERED, { TEN_HOSTS } },
	    { "h9.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.1" } });
	comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	CHECK("192.0.2.1", "a@m.example", TXT("m.example", "v=spf1 mx -all"),
	    { "m.example", SPF_TYPE_MX, SPF_ANSWERED, { TEN_HOSTS, "h10.example" } },
	    { "h0.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.1" } });
	comes_to(SPF_PERMERROR, SPF_TROUBLE_MX_HOSTS);
	assert_int_equal(spf_outcome(s)->questions, 2);
}

/* The eleventh name of a client is not looked at (4.6.4), and none that could not match. */
static void test_ten_ptr_names(void **state)
{
	struct entry ptr = { "1.2.0.192.in-addr.arpa", SPF_TYPE_PTR, SPF_ANSWERED,
		{ TEN_HOSTS, "last.p.example" } };

	(void)state;
	CHECK("192.0.2.1", "a@p.example", TXT("p.example", "v=spf1 ptr -all"), ptr,
	    { "last.p.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.1" } });
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	assert_int_equal(spf_outcome(s)->questions, 2);
	ptr.records[9] = "Last.P.Example.";
	CHECK("192.0.2.1", "a@p.example", TXT("p.example", "v=spf1 ptr -all"), ptr,
	    { "last.p.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.1" } });
	comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	assert_int_equal(spf_outcome(s)->questions, 3);
}

/* Everything at its bound: no record can make more questions. */
static void test_most_questions(void **state)
{
	(void)state;
	CHECK("192.0.2.1", "a@m.example",
	    TXT("m.example", "v=spf1 mx mx mx mx mx mx mx mx mx mx -all exp=%{p}.%{p}.example"),
	    { "m.example", SPF_TYPE_MX, SPF_ANSWERED, { TEN_HOSTS } },
	    { "h0.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h1.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h2.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h3.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h4.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h5.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h6.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h7.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h8.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "h9.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.2" } },
	    { "1.2.0.192.in-addr.arpa", SPF_TYPE_PTR, SPF_ANSWERED, { TEN_HOSTS, "h10.example" } },
	    TXT("unknown.unknown.example", "%{p} has no business here"));
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	is_text(spf_outcome(s)->explanation, "unknown has no business here");
	assert_int_equal(spf_outcome(s)->questions, SPF_QUESTIONS_MAX);
	assert_int_equal(n_mx_hosts_asked, 110);
}

static void test_dns_errors(void **state)
{
	static const uint8_t errors[] = { SPF_SERVFAIL, SPF_TIMEOUT };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t e = errors[i];

		CHECK("192.0.2.1", "a@d.example", { "d.example", SPF_TYPE_TXT, e, { NULL } });
		comes_to(SPF_TEMPERROR, SPF_TROUBLE_DNS);
		CHECK("192.0.2.1", "a@d.example", TXT("d.example", "v=spf1 a +all"),
		    { "d.example", SPF_TYPE_A, e, { NULL } });
		comes_to(SPF_TEMPERROR, SPF_TROUBLE_DNS);
		CHECK("192.0.2.1", "a@d.example", TXT("d.example", "v=spf1 mx +all"),
		    { "d.example", SPF_TYPE_MX, e, { NULL } });
		comes_to(SPF_TEMPERROR, SPF_TROUBLE_DNS);
		CHECK("192.0.2.1", "a@d.example", TXT("d.example", "v=spf1 mx +all"),
		    { "d.example", SPF_TYPE_MX, SPF_ANSWERED, { "h.example" } },
		    { "h.example", SPF_TYPE_A, e, { NULL } });
		comes_to(SPF_TEMPERROR, SPF_TROUBLE_DNS);
		CHECK("192.0.2.1", "a@d.example", TXT("d.example", "v=spf1 ?include:i.example +all"),
		    { "i.example", SPF_TYPE_TXT, e, { NULL } });
		comes_to(SPF_TEMPERROR, SPF_TROUBLE_DNS);
		/* 5.5: of a client's names an error is no match, and none of the domain's fault */
		CHECK("192.0.2.1", "a@d.example", TXT("d.example", "v=spf1 ptr -all"),
		    { "1.2.0.192.in-addr.arpa", SPF_TYPE_PTR, e, { NULL } });
		comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
		CHECK("192.0.2.1", "a@d.example", TXT("d.example", "v=spf1 ptr -all"),
		    { "1.2.0.192.in-addr.arpa", SPF_TYPE_PTR, SPF_ANSWERED,
			{ "a.d.example", "b.d.example" } },
		    { "a.d.example", SPF_TYPE_A, e, { NULL } },
		    { "b.d.example", SPF_TYPE_A, SPF_ANSWERED, { "192.0.2.1" } });
		comes_to(SPF_PASS, SPF_TROUBLE_NONE);
	}
}

static void test_giving_up(void **state)
{
	(void)state;
	spf_give_up(s); /* nothing was started */
	assert_null(spf_outcome(s));
	start("192.0.2.1", "helo.example", "a@g.example");
	spf_give_up(s);
	comes_to(SPF_TEMPERROR, SPF_TROUBLE_TIME);
	start("192.0.2.1", "helo.example", "a@g.example");
	say_one("v=spf1 -all exp=e.example");
	asks(SPF_TYPE_TXT, "e.example");
	spf_give_up(s);
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	is_text(spf_outcome(s)->explanation, "");
	spf_give_up(s);
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
}

static void test_explanation_only_if_wanted(void **state)
{
	struct spf_input in = { .mail = text_of("a@e.example") };

	(void)state;
	spf_start(s, &in);
	say_one("v=spf1 -all exp=e.example");
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
}

/* An explanation goes into a reply: a line's length, and nothing that could end the line. */
static void test_hostile_explanations(void **state)
{
	char text[SPF_EXPLANATION_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[SPF_EXPLANATION_MAX] = 0;
	CHECK("192.0.2.1", "a@e.example", TXT("e.example", "v=spf1 -all exp=x.example"),
	    TXT("x.example", text));
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	is_text(spf_outcome(s)->explanation, text);
	text[SPF_EXPLANATION_MAX] = 'x';
	text[SPF_EXPLANATION_MAX + 1] = 0;
	CHECK("192.0.2.1", "a@e.example", TXT("e.example", "v=spf1 -all exp=x.example"),
	    TXT("x.example", text));
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	is_text(spf_outcome(s)->explanation, "");
	CHECK("192.0.2.1", "a\r\n250 ok@e.example", TXT("e.example", "v=spf1 -all exp=x.example"),
	    TXT("x.example", "%{l}"));
	comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
	is_text(spf_outcome(s)->explanation, "");
	CHECK("192.0.2.1", "a\r\n250 ok@e.example", TXT("e.example", "v=spf1 -all exp=x.example"),
	    TXT("x.example", "%{L} %{c} %{r} %{t}"));
	is_text(spf_outcome(s)->explanation, "a%0D%0A250%20ok 192.0.2.1 mx.example 1234");
}

/* RFC 8616 4: a term that such a local part goes into matches nothing, and asks nothing. */
static void test_local_parts_that_make_no_name(void **state)
{
	static const char *const mails[] = { "\xc3\xa4@l.example", "a\\b@l.example", ".@l.example",
		"\t@l.example", "a..b@l.example" };

	(void)state;
	for (unsigned i = 0; i < sizeof(mails) / sizeof(*mails); i++) {
		CHECK("192.0.2.1", mails[i], TXT("l.example", "v=spf1 exists:%{l}.x.example -all"));
		comes_to(SPF_FAIL, SPF_TROUBLE_NONE);
		assert_int_equal(spf_outcome(s)->questions, 1);
		assert_int_equal(spf_outcome(s)->voids, 0);
	}
}

static void say_long(const char *p, size_t len)
{
	struct text t = { p, (uint16_t)len };
	struct spf_answer a = { SPF_ANSWERED, 1, &t };

	assert_int_equal(spf_answer(s, spf_question(s)->id, &a), 0);
}

/* A record of 64 KB: networks cost no memory, and of terms that ask no more are kept than can ever
 * be reached. */
static void test_long_records(void **state)
{
	static char record[UINT16_MAX];
	size_t len = 6;

	(void)state;
	memcpy(record, "v=spf1", 6);
	while (len + 20 < sizeof(record))
		len += (size_t)snprintf(
		    record + len, sizeof(record) - len, " ip4:198.51.100.%zu", len % 256);
	start("192.0.2.1", "helo.example", "a@long.example");
	say_long(record, len);
	comes_to(SPF_NEUTRAL, SPF_TROUBLE_NONE);
	for (len = 6; len + 20 < sizeof(record);)
		len += (size_t)snprintf(record + len, sizeof(record) - len, " a:%zu.example", len);
	start("192.0.2.1", "helo.example", "a@long.example");
	say_long(record, len);
	asks(SPF_TYPE_A, "6.example");
	say(SPF_NXDOMAIN, NULL, 0);
	say(SPF_NXDOMAIN, NULL, 0);
	say(SPF_NXDOMAIN, NULL, 0);
	comes_to(SPF_PERMERROR, SPF_TROUBLE_VOIDS);
	record[len - 1] = '\x80'; /* and the end is read */
	start("192.0.2.1", "helo.example", "a@long.example");
	say_long(record, len);
	comes_to(SPF_PERMERROR, SPF_TROUBLE_SYNTAX);
}

/* More than the memory holds: an error, not an overrun (teardown looks at what lies around). */
static void test_memory_is_bounded(void **state)
{
	static char record[8192], labels[SPF_NAME_MAX + 1];
	const char *hosts[10];
	struct text texts[10];
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < SPF_NAME_MAX; i++)
		labels[i] = i % 50 == 49 ? '.' : 'h';
	len += (size_t)snprintf(record, sizeof(record), "v=spf1");
	for (unsigned i = 0; i < 11; i++)
		len += (size_t)snprintf(record + len, sizeof(record) - len, " include:%s%s", labels,
		    "%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{"
		    "d}"
		    "%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{"
		    "d}"
		    "%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{"
		    "d}");
	start("192.0.2.1", "helo.example", "a@big.example");
	say_long(record, len);
	while (spf_question(s))
		say_long(record, len);
	comes_to(SPF_PERMERROR, SPF_TROUBLE_TOO_LARGE);

	/* ten terms, then ten hosts, all as long as they can be */
	len = (size_t)snprintf(record, sizeof(record), "v=spf1 mx");
	for (unsigned i = 0; i < 10; i++)
		len += (size_t)snprintf(
		    record + len, sizeof(record) - len, " a:%s%s%s", labels, labels, ".com");
	for (unsigned i = 0; i < 10; i++) {
		hosts[i] = labels;
		texts[i] = (struct text){ hosts[i], SPF_NAME_MAX };
	}
	start("192.0.2.1", "helo.example", "a@big.example");
	say_long(record, len);
	struct spf_answer a = { SPF_ANSWERED, 10, texts };

	assert_int_equal(spf_answer(s, spf_question(s)->id, &a), 0);
	comes_to(SPF_PERMERROR, SPF_TROUBLE_TOO_LARGE);
}

/* P26: whatever a policy wants of a temporary error, it is no refusal for good. */
static void test_temperror_never_refuses(void **state)
{
	(void)state;
	for (unsigned wanted = 0; wanted < VERDICT_N_KINDS; wanted++) {
		enum verdict_kind w = (enum verdict_kind)wanted;

		assert_true(spf_verdict(SPF_TEMPERROR, w) <= VERDICT_DEFER);
		assert_int_equal(
		    spf_verdict(SPF_TEMPERROR, w), w < VERDICT_DEFER ? w : VERDICT_DEFER);
		assert_int_equal(spf_verdict(SPF_FAIL, w), w);
		assert_int_equal(spf_verdict(SPF_SOFTFAIL, w), w);
		assert_int_equal(spf_verdict(SPF_PERMERROR, w), w);
		assert_int_equal(spf_verdict(SPF_NONE, w), VERDICT_NONE);
		assert_int_equal(spf_verdict(SPF_NEUTRAL, w), VERDICT_NONE);
		assert_int_equal(spf_verdict(SPF_PASS, w), VERDICT_NONE);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(question_by_question),
		T(null_sender_is_helo),
		T(domains_without_a_record),
		T(other_answers_are_refused),
		T(records_of_a_wrong_size),
		T(ten_lookups),
		T(eleven_lookups),
		T(p_counts_as_a_lookup),
		T(endless_records_end),
		T(two_voids),
		T(void_hosts_of_one_mx_count_once),
		T(ten_mx_hosts),
		T(ten_ptr_names),
		T(most_questions),
		T(dns_errors),
		T(giving_up),
		T(explanation_only_if_wanted),
		T(hostile_explanations),
		T(local_parts_that_make_no_name),
		T(long_records),
		T(memory_is_bounded),
		T(temperror_never_refuses),
	};

	return cmocka_run_group_tests_name("spf", tests, NULL, NULL);
}
