# SPDX-License-Identifier: BSD-3-Clause
"""What the resolver answers while everything works."""

from servers import (BOTH, FAILED, FOUND, NONE, NULL_MX, RECURSOR, SECOND, UNCONFIRMED, V6, WHITE,
                     Driver, Servers, listing)


class Context:
    def __init__(self):
        self.servers = Servers()
        try:
            self.servers.lists()
            self.servers.recursor(RECURSOR, "unbound")
            self.driver = Driver(
                listing("bl"), listing("bl6", families=V6), listing("white", kind=WHITE),
                listing("some", "bl.example", answers=["127.0.0.2-4"]),
                listing("only4", families=BOTH))
            self.driver.until("only4", v4="active", v6="suspended")
            for name, family in (("bl", "v4"), ("bl6", "v6"), ("white", "v4"), ("some", "v4")):
                self.driver.until(name, **{family: "active"})
        except BaseException:
            self.servers.close()
            raise

    def close(self):
        self.driver.close()
        self.servers.close()


def setup():
    return Context()


BL, BL6, ALLOW, SOME, ONLY4 = 1, 2, 4, 8, 16


def lists(context, addr):
    got = context.driver.lists(addr)
    assert got["status"] == FOUND, got
    assert got["known"] & (BL6 if ":" in addr else BL | ALLOW | SOME), got
    return got["lists"]


def test_p25_listed_v4(context):
    assert lists(context, "192.0.2.7") == BL | SOME | ONLY4
    assert lists(context, "203.0.113.200") == BL | SOME
    assert lists(context, "192.0.2.20") == ALLOW


def test_p25_unlisted_v4(context):
    assert lists(context, "192.0.2.9") == 0


def test_p25_listed_v6(context):
    assert lists(context, "2001:db8:bad::1") == BL6
    assert lists(context, "2001:db8:600d::1") == 0


def test_p25_a_family_without_test_points_is_not_asked(context):
    before = context.driver.list("only4")["queries"]
    lists(context, "2001:db8:bad::1")
    assert context.driver.list("only4")["queries"] == before


def test_only_answers_that_policy_names_count(context):
    assert lists(context, "192.0.2.8") == BL  # 127.0.0.10


def test_sole_hits_are_counted(context):
    before = context.driver.list("bl")["sole"]
    lists(context, "192.0.2.8")  # another row of the same zone does not count it
    lists(context, "192.0.2.7")  # three rows do
    lists(context, "192.0.2.20")  # the white list alone
    assert context.driver.list("bl")["sole"] == before + 1
    assert context.driver.list("white")["sole"] == 0


def test_asked_once_then_cached(context):
    lists(context, "192.0.2.60")
    before = context.driver.report()
    assert lists(context, "192.0.2.60") == 0
    after = context.driver.report()
    assert after["lookups"] == before["lookups"], "a negative answer was not kept"
    context.driver.say("flush")
    assert lists(context, "192.0.2.60") == 0
    assert context.driver.report()["lookups"] > after["lookups"]


def test_one_question_in_flight_for_a_name(context):
    context.driver.say("flush")
    before = context.driver.report()
    got = context.driver.flood(200, 3000, "same", "192.0.2.77")
    after = context.driver.report()
    assert got["answers"] == 200 and got["known"] == 200, got
    asked = after["lookups"] - before["lookups"]
    assert asked <= 4, f"{asked} look-ups for one address on three zones"


def test_host_confirmed(context):
    for addr in ("192.0.2.20", "2001:db8::20"):
        got = context.driver.host(addr)
        assert (got["status"], got["name"]) == (FOUND, "mail.honest.example"), got
        assert got["org"] == "honest.example", got


def test_host_of_many_addresses_comes_over_tcp(context):
    got = context.driver.host("192.0.2.50")
    assert (got["status"], got["name"]) == (FOUND, "many.example"), got


def test_host_unconfirmed(context):
    assert context.driver.host("192.0.2.21")["status"] == UNCONFIRMED
    assert context.driver.host("192.0.2.22")["status"] == UNCONFIRMED


def test_host_without_a_name(context):
    assert context.driver.host("192.0.2.9")["status"] == NONE


def test_host_of_too_many_names_ends(context):
    before = context.driver.report()["lookups"]
    got = context.driver.host("192.0.2.23")
    assert got["status"] in (FOUND, UNCONFIRMED), got
    assert context.driver.report()["lookups"] - before <= 11


def test_sender_domains(context):
    ask = context.driver.sender
    got = ask("192.0.2.20", "Honest.example")
    assert (got["status"], got["result"]) == (FOUND, 1), got
    assert ask("192.0.2.21", "honest.example")["result"] == 0
    got = ask("192.0.2.30", "bare.example")
    assert (got["status"], got["result"]) == (FOUND, 1), got
    assert ask("192.0.2.20", "no-such.example")["status"] == NONE
    assert ask("192.0.2.20", "texts.example")["status"] == NONE
    assert ask("192.0.2.20", "null.example")["status"] == NULL_MX
    assert ask("192.0.2.20", "bad..name")["status"] == NONE


def test_spf(context):
    ask = context.driver.spf
    none, neutral, passed, fail, softfail, temperror, permerror = range(7)
    assert ask("192.0.2.20", "mail.honest.example", "a@honest.example")["result"] == passed
    got = ask("192.0.2.21", "mail.honest.example", "a@honest.example")
    assert (got["result"], got["name"]) == (fail, "honest.example"), got
    assert ask("192.0.2.21", "x.example", "a@include.example")["result"] == softfail
    assert ask("192.0.2.20", "x.example", "a@include.example")["result"] == passed
    assert ask("192.0.2.20", "x.example", "a@texts.example")["result"] == none
    assert ask("192.0.2.20", "x.example", "a@no-such.example")["result"] == none


def test_spf_record_among_large_texts_comes_over_tcp(context):
    got = context.driver.spf("192.0.2.40", "x.example", "a@big.example")
    assert got["result"] == 2, got


def test_recursors_given_at_run_time(context):
    context.servers.recursor(SECOND, "second")
    driver = context.driver
    driver.say(f"configure recursor={SECOND}@53 " + listing("bl"))
    driver.until("bl", v4="active")
    got = driver.lists("192.0.2.7")
    assert got["lists"] == 1, got
    assert driver.report()["recursors"][0]["asked"] > 0
    assert driver.host("192.0.2.20")["status"] == FOUND
    driver.say("configure")
    assert driver.host("192.0.2.20", 500)["status"] in (FOUND, FAILED)
    assert driver.lists("192.0.2.7")["lists"] == 0
    context.servers.stop("second")
