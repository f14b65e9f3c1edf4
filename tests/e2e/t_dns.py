# SPDX-License-Identifier: BSD-3-Clause
"""What name service says of clients and senders, through the running appliance: lists refuse and
score, RCPT waits for answers and no longer, nothing stalls when the recursor dies."""

import os
import sys
import time

import clients
from lab import until
from target import Appliance

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "dns"))
import servers

LISTED, CLEAN = "203.0.113.77", "203.0.113.70"
DNS = {
    "dns": {"recursors": [{"address": servers.RECURSOR}], "spf_timeout_ms": 2000,
            "host_timeout_ms": 1000, "sender_timeout_ms": 1000, "attempt_ms": 300, "attempts": 2,
            "lists": [{"name": "bl", "zone": "one.example", "action": "refuse", "timeout_ms": 1000}]},
    "checks": {"sender_null_mx": {"action": "refuse"}, "spf_fail": {"action": "refuse"},
               "sender_unknown": {"action": "defer"}},
    "smtp": {"greet_delay_ms": 500},
}


class Named(Appliance):
    def __init__(self):
        self.names_of = None
        super().__init__(clients=(LISTED, CLEAN))
        try:
            self.names_of = servers.Servers()
            with self.lab.inside(self.lab.app):
                self.names_of.lists()
                self.names_of.recursor(servers.RECURSOR, "unbound")
            self.reload(DNS)
            until("the list is believed", 10, lambda: self.state_of("bl") == "active")
        except BaseException:
            self.close()
            raise

    def state_of(self, name):
        lists = self.ask("dns.lists")["lists"]
        return next((row["ipv4"]["state"] for row in lists if row["name"] == name), None)

    def close(self):
        if self.names_of:
            self.names_of.close()
        super().close()


def setup():
    return Named()


def rcpt(a, src, sender="a@honest.example"):
    """The reply to the first recipient, or to the connection, and how long RCPT took."""
    with clients.Dialog(a.lab, a, False, src) as d:
        first = d.reply()
        if first[0] != 220:
            return first[0], first[1], 0
        d.want(250, "EHLO client.example")
        d.want(250, f"MAIL FROM:<{sender}>")
        begun = time.monotonic()
        code, text = d.cmd("RCPT TO:<user@example.org>")
        return code, text, time.monotonic() - begun


def test_p25_a_listed_client_is_refused(a):
    code, text, _ = rcpt(a, LISTED)
    assert code in (521, 550) and "DNS list" in str(text), (code, text)


def test_a_clean_client_is_served(a):
    code, text, took = rcpt(a, CLEAN, "a@texts.example")
    assert code in (250, 451), (code, text)
    code, text, took = rcpt(a, CLEAN, "a@bare.example")
    assert code == 250 and took < 1, (code, text, took)


def test_senders_are_looked_up(a):
    assert rcpt(a, CLEAN, "a@null.example")[0] == 550
    assert rcpt(a, CLEAN, "a@no-such.example")[0] in (450, 451)
    code, text, _ = rcpt(a, CLEAN, "a@honest.example")
    assert code == 550 and "SPF" in str(text), (code, text)


def test_a_dead_recursor_stalls_nobody(a):
    a.names_of.stop("unbound")
    try:
        begun = time.monotonic()
        code, text, _ = rcpt(a, LISTED, "a@bare.example")
        assert time.monotonic() - begun < 6, "nobody answers, and the client waits"
    finally:
        with a.lab.inside(a.lab.app):
            a.names_of.recursor(servers.RECURSOR, "unbound")
