# SPDX-License-Identifier: BSD-3-Clause
"""P25: which lists are believed, and how one comes back."""

import servers
from servers import RECURSOR, SOA, Driver, Servers, listing, wait_for


class Context:
    def __init__(self):
        self.servers = Servers()
        try:
            self.servers.lists()
            self.servers.recursor(RECURSOR, "unbound", most_ttl_s=1)
        except BaseException:
            self.servers.close()
            raise

    def close(self):
        self.servers.close()


def setup():
    return Context()


def suspended(zone, why):
    driver = Driver(listing("good", "bl.example"), listing("bad", zone))
    try:
        driver.until("good", v4="active")
        driver.until("bad", v4="suspended", why4=why)
        assert driver.event("dns-list-suspended", f"bad ({zone}, IPv4): {why}")
        got = driver.lists("192.0.2.7")
        assert got["lists"] == 1 and got["known"] == 3, got
        assert driver.list("bad")["queries"] == 0
    finally:
        driver.close()


def test_p25_an_empty_list_is_suspended(context):
    suspended("empty.example", "does not list its test point")


def test_p25_a_list_of_all_is_suspended(context):
    suspended("all.example", "lists what nothing may list")


def test_p25_a_list_that_answers_errors_is_suspended(context):
    suspended("closed.example", "answers with errors")


def test_p25_a_domain_that_was_sold_is_suspended(context):
    suspended("sold.example", "answers with errors")


def test_p25_a_list_that_is_gone_is_suspended(context):
    suspended("gone.example", "does not list its test point")


def test_p25_a_silent_list_is_suspended(context):
    driver = Driver(listing("good", "bl.example"), listing("bad", "silent.example", timeout_ms=300),
                    "attempt_ms=200", "probe_s=10")
    try:
        driver.until("bad", v4="suspended", why4="does not answer")
        assert driver.list("good")["v4"] == "active"
        assert driver.report()["recursors"][0]["up"], "the list's silence was taken for the recursor's"
    finally:
        driver.close()


def test_p25_a_list_that_turns_is_suspended_and_comes_back(context):
    zone = "turns.example"
    driver = Driver(listing("turns"), "probe_s=1")
    try:
        driver.until("turns", v4="active")
        assert driver.lists("192.0.2.7")["lists"] == 1
        context.servers.write(zone, SOA.replace("60", "1") + ":127.0.0.2:\n" + servers.EVERYTHING)
        driver.until("turns", v4="suspended")
        assert driver.lists("192.0.2.9")["lists"] == 0
        context.servers.write(zone, SOA.replace("60", "1") + ":127.0.0.2:\n127.0.0.2\n192.0.2.7\n")
        driver.until("turns", v4="active")
        assert driver.event("dns-list-suspended", "turns") and driver.event("dns-list-active", "turns")
        driver.say("flush")
        assert driver.lists("192.0.2.7")["lists"] == 1
        assert driver.lists("192.0.2.9")["lists"] == 0
    finally:
        context.servers.write(zone, servers.ZONES[zone][1])
        driver.close()


def test_p25_errors_of_the_work_itself_suspend(context):
    """The points are right, everything else is refused: the list has shut us out."""
    zone = "turns.example"
    context.servers.write(zone, SOA + ":127.0.0.2:\n127.0.0.2\n198.18.0.0/15 :127.255.255.254:\n")
    driver = Driver(listing("turns"))
    try:
        driver.until("turns", v4="active")
        wait_for(lambda: driver.lists("198.18.0.1")["known"] == 0 or driver.say("flush"),
                 "an error is no knowledge")
        got = driver.flood(100, 2000)
        assert got["listed"] == 0, got
        got = driver.until("turns", v4="suspended", why4="answers with errors")
        assert got["hits"] == 0 and got["errors"] >= 10, got
    finally:
        context.servers.write(zone, servers.ZONES[zone][1])
        driver.close()


def test_p25_a_list_that_hits_accepted_mail_is_suspended(context):
    driver = Driver(listing("bl"), listing("white", kind=servers.WHITE), "accepted_percent=50",
                    "accepted_least=20", "probe_s=1")
    try:
        driver.until("bl", v4="active")
        driver.until("white", v4="active")
        driver.say("feedback 0 100 10")
        driver.say("feedback 1 100 100")
        wait_for(lambda: driver.list("bl")["accepted"] == 10, "feedback is counted")
        assert driver.list("bl")["v4"] == driver.list("white")["v4"] == "active"
        driver.say("feedback 0 200 200")
        driver.until("bl", v4="suspended", why4="names senders whose mail is accepted")
        assert driver.event("dns-list-suspended", "bl (bl.example")
        assert driver.list("white")["v4"] == "active"
        wait_for(lambda: driver.report()["recursors"][0]["asked"] > 12, "more probes, all right")
        assert driver.list("bl")["v4"] == "suspended", "right test points do not excuse it"
        driver.say("resume bl")
        driver.until("bl", v4="active")
    finally:
        driver.close()


def test_p25_a_list_of_countries_has_no_listed_point(context):
    """With both points it is suspended; with the one that nothing may list, or with none, it serves."""
    driver = Driver(listing("both", "country.example", kind=servers.COUNTRY),
                    listing("one", "country.example", kind=servers.COUNTRY), f"probe={servers.PROBE_UNLISTED}",
                    listing("none", "country.example", kind=servers.COUNTRY), f"probe={servers.PROBE_NONE}")
    try:
        driver.until("both", v4="suspended", why4="does not list its test point")
        driver.until("one", v4="active")
        driver.until("none", v4="active")
        got = driver.lists("192.0.2.7")
        assert got["lists"] == 6 and got["known"] == 7, got
        assert driver.lists("203.0.113.1")["lists"] == 0
    finally:
        driver.close()


def test_p25_an_unlisted_point_alone_is_held_to(context):
    """A list that names everything, errors and silence are found by the one point."""
    driver = Driver(listing("all", "all.example", kind=servers.COUNTRY), f"probe={servers.PROBE_UNLISTED}",
                    listing("sold", "sold.example", kind=servers.COUNTRY), f"probe={servers.PROBE_UNLISTED}",
                    listing("silent", "silent.example", kind=servers.COUNTRY, timeout_ms=300),
                    f"probe={servers.PROBE_UNLISTED}", "attempt_ms=200", "probe_s=10")
    try:
        driver.until("all", v4="suspended", why4="lists what nothing may list")
        driver.until("sold", v4="suspended", why4="answers with errors")
        driver.until("silent", v4="suspended", why4="does not answer")
    finally:
        driver.close()


def test_p25_without_points_errors_suspend_for_an_interval(context):
    zone = "turns.example"
    context.servers.write(zone, SOA + ":127.0.0.2:\n192.0.2.7\n198.18.0.0/15 :127.255.255.254:\n")
    driver = Driver(listing("turns"), f"probe={servers.PROBE_NONE}", "probe_s=3")
    try:
        driver.until("turns", v4="active")
        wait_for(lambda: driver.lists("198.18.0.1")["known"] == 0 or driver.say("flush"), "the new zone")
        assert driver.lists("192.0.2.7")["lists"] == 1
        driver.flood(100, 2000)
        driver.until("turns", v4="suspended", why4="answers with errors")
        driver.until("turns", v4="active")
    finally:
        context.servers.write(zone, servers.ZONES[zone][1])
        driver.close()
