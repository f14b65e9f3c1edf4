# SPDX-License-Identifier: BSD-3-Clause
"""The memory of sources in the running appliance: a captured account stops, a harvester is held as it
comes back, a rate defers, so do limits at once; what was learned survives a restart and is forgotten on request."""

import concurrent.futures
import json

import clients
from lab import until
from managed import Managed

INSIDE, OUTSIDE, HARVESTER, BUSY = "203.0.113.70", "203.0.113.71", "203.0.113.72", "203.0.113.73"
OFFENDER, MSA = "203.0.113.74", "203.0.113.75"
CHANGE = {
    "memory": {"burst_floor": 30, "harvest_unknown": 5},
    "checks": {"unusual_internal": {"state": "enforce"}, "harvest": {"action": "tarpit"}},
    "bans": {"threshold": 25, "prefix_hosts": 0},
    "relay": {"internal": [INSIDE + "/32", MSA + "/32"]},
    "rates": [{"name": "busy", "of": "address", "count": "connections", "per_hour": 15},
              {"name": "crowd", "of": "sender", "at_once": 2},
              {"name": "mailbox", "of": "recipient", "at_once": 1}],
    "recipients": {"domains": ["example.org"], "entries": ["user*@example.org"]},
}


def setup():
    return Managed.started(CHANGE, clients=(INSIDE, OUTSIDE, HARVESTER, BUSY, OFFENDER, MSA), name="memory")


def sent(a, src, sender, who, n):
    """How many of n recipients, one a transaction, are taken before the first 4yz."""
    with clients.Dialog(a.lab, a, False, src) as d:
        d.hello()
        for i in range(n):
            code, text = d.cmd(f"MAIL FROM:<{sender}>")
            if code == 250:
                code, text = d.cmd(f"RCPT TO:<user-{who}{i}@example.org>")
            if code != 250:
                assert code == 451 and " 4.7.1 " in text, text
                return i
            d.want(250, "RSET")
    return n


def test_a_captured_account_stops(a):
    assert sent(a, INSIDE, "teacher@example.org", "colleague", 5) == 5
    n = sent(a, INSIDE, "teacher@example.org", "victim", 200)
    print(f"# a captured account stopped after {n} messages", flush=True)
    assert 20 <= n <= 50
    until("the alarm", 5, lambda: any(
        "teacher@example.org (internal)" in e["text"] and "none but those it knows for 1440 minutes" in e["text"]
        for e in a.events("sender-unusual")))
    assert sent(a, INSIDE, "other@example.org", "colleague", 5) == 5, "only that account"


def test_a_captured_account_in_two_sessions_stops(a):
    """As many at once as `crowd` allows, each as fast as it can: what is not told yet is the overshoot."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda i: sent(a, MSA, "clerk@example.org", f"prey{i}-", 100), range(2)))
    print(f"# two sessions of a captured account stopped after {sum(counts)} messages", flush=True)
    assert 30 <= sum(counts) <= 50, counts
    code, out = a.ctl("memory", "show", "clerk@example.org", "--kind", "sender-baseline")
    assert code == 0 and "held: only to those it knows" in out, out
    code, out = a.ctl("memory", "release", "clerk@example.org")
    assert code == 0, out
    assert sent(a, MSA, "clerk@example.org", "prey9-", 5) == 5, "released"


def test_a_harvester_is_held(a):
    with clients.Dialog(a.lab, a, False, HARVESTER) as d:
        d.hello()
        d.want(250, "MAIL FROM:<a@example.net>")
        for i in range(8):
            code, text = d.cmd(f"RCPT TO:<guess{i}@example.org>")
            assert code == 550, text
    until("the alarm", 5, lambda: any(HARVESTER in e["text"] for e in a.events("harvest")))
    with clients.Dialog(a.lab, a, False, HARVESTER, 3) as d:
        assert d.line().startswith("220-")
        try:
            raise AssertionError(d.line())
        except TimeoutError:
            pass
    with clients.Dialog(a.lab, a, False, OUTSIDE) as d:
        d.hello()


def test_a_rate_defers(a):
    def code():
        with clients.Dialog(a.lab, a, False, BUSY) as d:
            return d.reply()[0]

    for _ in range(15):
        assert code() == 220
    until("its limit", 5, lambda: code() == 421, 0.1)


def test_messages_at_once(a):
    def reached(d, sender, rcpt="user-once@example.org"):
        code, text = d.cmd(f"MAIL FROM:<{sender}>")
        return code if code != 250 else d.cmd(f"RCPT TO:<{rcpt}>")[0]

    with clients.Dialog(a.lab, a, False, OUTSIDE) as one, clients.Dialog(a.lab, a, False, INSIDE) as two:
        with clients.Dialog(a.lab, a, True) as three:
            for d in (one, two, three):
                d.hello()
            assert reached(one, "crowd@example.net") == 250
            assert reached(two, "Crowd@Example.net") == 450, "the mailbox has one"
            assert reached(three, "crowd@example.net") == 451, "the sender has two"
            one.want(250, "RSET")
            assert reached(three, "crowd@example.net") == 250
    told = until("its event", 5, lambda: [e for e in a.events("session")
                                          if e["reason"] == "sender_at_once"])
    assert "rates.crowd" in json.dumps(told[0]), told[0]
    code, out = a.ctl("explain", told[0]["client"])
    assert code == 0 and "rates.crowd" in out, out
    hits = {r["name"]: r["hits"] for r in json.loads(a.ctl("--json", "stats")[1])["rules"]}
    assert hits["rates.mailbox"] == 1 and hits["rates.crowd"] == 1, hits
    until("nothing held", 5, lambda: a.counters()["at_once_held"] == 0)


def test_repeated_offences_end_in_a_ban(a):
    def code():
        with clients.Dialog(a.lab, a, False, OFFENDER) as d:
            return d.reply()[0]

    for _ in range(3):
        with clients.Dialog(a.lab, a, False, OFFENDER) as d:
            d.want(220)
            assert d.cmd("GET / HTTP/1.1")[0] == 550
    until("the ban", 5, lambda: code() == 521, 0.1)
    code_, out = a.ctl("ban", "show")
    assert code_ == 0 and OFFENDER in out and "NON_SMTP" in out, out
    with clients.Dialog(a.lab, a, False, OUTSIDE) as d:
        d.hello()


def test_shown_kept_and_forgotten(a):
    def rows(*words):
        code, out = a.ctl("--json", "memory", "show", *words)
        assert code == 0, out
        return json.loads(out)["rows"]

    baseline = rows("teacher@example.org", "--kind", "sender-baseline")
    assert len(baseline) == 1 and baseline[0]["allowed"] == 30 and baseline[0]["weeks"][0] >= 20, baseline
    code, out = a.ctl("memory", "show", "--top", "5")
    assert code == 0 and "counted" in out, out
    assert a.terminate() == 0
    a.start()
    until("it is there again", 10, lambda: rows("teacher@example.org", "--kind", "sender-baseline"))
    assert sent(a, INSIDE, "teacher@example.org", "more", 5) == 0, "a restart forgives nothing"
    code, out = a.ctl("memory", "forget", "teacher@example.org")
    assert code == 0, out
    assert sent(a, INSIDE, "teacher@example.org", "more", 5) == 5
    assert a.ctl("memory", "forget", "nobody@example.net")[0] != 0
