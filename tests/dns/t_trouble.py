# SPDX-License-Identifier: BSD-3-Clause
"""Dead, slow, flooded: nothing stalls, every question is answered once and in time."""

import subprocess
import time

from servers import (DEAD, FAILED, FOUND, RECURSOR, SECOND, SLOW, Driver, Servers, listing, wait_for)

SLACK_MS = 250  # of a busy two-core machine


class Context:
    def __init__(self):
        self.servers = Servers()
        try:
            self.servers.lists()
            self.servers.recursor(RECURSOR, "unbound")
            self.servers.recursor(SECOND, "second")
        except BaseException:
            self.servers.close()
            raise

    def close(self):
        self.servers.close()


def setup():
    return Context()


def nft(rules):
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


class Blackhole:
    """Nothing that is sent to an address arrives, and nobody is told."""

    def __init__(self, addr):
        self.addr = addr

    def __enter__(self):
        nft(f"table inet hole {{ chain in {{ type filter hook input priority 0; "
            f"ip daddr {self.addr} drop; }}\n}}\n")

    def __exit__(self, *_):
        nft("delete table inet hole")


def test_nothing_listens(context):
    driver = Driver(listing("bl"), recursors=(DEAD,))
    try:
        for ask in (driver.lists, driver.host):
            got = ask("192.0.2.7", 1000)
            assert got["ms"] < 1000 + SLACK_MS, got
            assert not got["known"] or not got["lists"], got
        assert driver.host("192.0.2.20", 1000)["status"] == FAILED
        wait_for(lambda: not driver.report()["recursors"][0]["up"], "it is found to be down", 15)
        got = driver.host("192.0.2.20", 5000)
        assert got["status"] == FAILED and got["ms"] < SLACK_MS, "one waits for a recursor that is down"
        assert driver.list("bl")["v4"] == "unproven", "the list is not to blame"
    finally:
        driver.close()


def test_blackhole_and_back(context):
    driver = Driver(listing("bl", timeout_ms=500), "attempt_ms=200", "attempts=2")
    try:
        driver.until("bl", v4="active")
        with Blackhole(RECURSOR):
            driver.say("flush")
            got = driver.lists("192.0.2.7", 3000)
            assert got["known"] == 0 and got["ms"] < 500 + SLACK_MS, got
            got = driver.spf("192.0.2.20", "x.example", "a@honest.example", 700)
            assert got["result"] == 5 and got["ms"] < 700 + SLACK_MS, got
            wait_for(lambda: driver.host("192.0.2.9", 300) and not driver.report()["recursors"][0]["up"],
                     "it is found to be down", 15)
            assert driver.event("dns-recursor-down", RECURSOR)
            assert driver.list("bl")["v4"] == "active"
        wait_for(lambda: driver.report()["recursors"][0]["up"], "it is found again", 40)
        assert driver.event("dns-recursor-up", RECURSOR)
        assert driver.lists("192.0.2.7")["lists"] == 1
    finally:
        driver.close()


test_blackhole_and_back.bound_s = 90


def test_failover(context):
    driver = Driver(listing("bl", timeout_ms=2000), "attempt_ms=250", recursors=(RECURSOR, SECOND))
    try:
        driver.until("bl", v4="active")
        before = driver.report()["recursors"][1]["asked"]
        with Blackhole(RECURSOR):
            for i in range(10):
                got = driver.host("192.0.2.20") if i % 2 else driver.lists(f"203.0.113.{i}")
                assert got["status"] == FOUND and (i % 2 or got["lists"] == 1), (i, got)
            wait_for(lambda: driver.lists(f"203.0.113.{time.monotonic_ns() % 250}")["lists"] == 1 and
                     not driver.report()["recursors"][0]["up"], "the first is found to be down", 15)
            got = driver.lists("203.0.113.251")
            assert got["lists"] == 1 and got["ms"] < SLACK_MS, "the second is not asked at once"
        assert driver.report()["recursors"][1]["asked"] > before
    finally:
        driver.close()


def test_slow_within_the_time_is_waited_for(context):
    slow = context.servers.slow(0.3)
    driver = Driver(listing("bl"), "attempt_ms=800", recursors=(SLOW,))
    try:
        driver.until("bl", v4="active")
        got = driver.lists("192.0.2.7")
        assert got["lists"] == 1 and got["ms"] >= 290, got
        slow.delay_s = 1.5
        driver.say("flush")
        got = driver.lists("192.0.2.7", 5000)
        assert got["known"] == 0 and 900 < got["ms"] < 1000 + SLACK_MS, got
        assert driver.list("bl")["timeouts"] > 0
        slow.delay_s = 0
        wait_for(lambda: driver.lists("192.0.2.7")["lists"] == 1, "what came late is in the cache")
    finally:
        driver.close()


def test_one_slow_list_does_not_hold_up_another(context):
    """What is known so far comes at once; the last word when the slow one's time is over."""
    driver = Driver(listing("bl"), listing("later", "silent.example", timeout_ms=600), "attempt_ms=300")
    try:
        driver.until("bl", v4="active")
        driver.say("flush")
        got = driver.lists("192.0.2.7")
        assert got["lists"] == 1, got
    finally:
        driver.close()


def test_flood(context):
    driver = Driver(listing("bl"), listing("white"), "cache_mib=1")
    try:
        driver.until("bl", v4="active")
        driver.until("white", v4="active")
        got = driver.flood(30000, 3000)
        lost = driver.report()["lost"]
        assert got["twice"] == 0 and got["answers"] + lost == 30000, (got, lost)
        assert got["late_ms"] < 1000, got
        assert got["listed"] == 0, got
        report = driver.report()
        assert report["cache_used"] <= report["cache_bytes"] == 1 << 20, report
        wait_for(lambda: driver.lists("192.0.2.7", 2000)["lists"] == 1, "it answers again", 15)
        wait_for(lambda: driver.report()["open"] == 0, "nothing is left behind", 15)
        assert driver.report()["jobs"] == 0
        # in turn: each of 16 channels has asked RESOLVER_CHANNEL_QUESTIONS (2,048) names by then
        while driver.report()["recursors"][0]["asked"] < 16 * 2048 + 16:
            driver.say("flush")
            driver.flood(5000, 3000)
        assert driver.report()["channels"] > 16, "channels were not made anew"
    finally:
        driver.close()


def test_flood_on_a_dead_recursor(context):
    driver = Driver(listing("bl", timeout_ms=400), "attempt_ms=200", "attempts=2")
    try:
        driver.until("bl", v4="active")
        with Blackhole(RECURSOR):
            got = driver.flood(30000, 1000)
            lost = driver.report()["lost"]
            assert got["twice"] == 0 and got["answers"] + lost == 30000, (got, lost)
            assert got["late_ms"] < 1000 and got["listed"] == 0, got
    finally:
        driver.close()


def test_ends_with_questions_under_way(context):
    driver = Driver(listing("bl"), recursors=(DEAD, RECURSOR))
    with Blackhole(RECURSOR):
        driver.say("flood 100 100 all 198.18.0.0")
        driver.close()
