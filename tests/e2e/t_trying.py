# SPDX-License-Identifier: BSD-3-Clause
"""Trying things on the running appliance: pass-all lets everybody in but opens nothing, outlives a
restart and ends by itself; whom a rule in shadow would have hit; a rule's state for a time."""

import time

import clients
from lab import until
from managed import Managed

BAD, DROPPED, BANNED = "203.0.113.90", "203.0.113.91", "203.0.113.92"
LISTS = {"lists": [{"name": "blocked", "action": "refuse", "verify_share": 0, "entries": [BAD]},
                   {"name": "dropped", "action": "drop", "entries": [DROPPED]}]}


def setup():
    return Managed.started(LISTS, clients=(BAD, DROPPED, BANNED), name="trying")


def talk(a, src, *lines):
    """Codes of greeting, EHLO and these lines."""
    with clients.Dialog(a.lab, a, False, src) as d:
        codes = [d.reply()[0]]
        for line in ("EHLO client.example", *lines, "QUIT"):
            codes.append(d.cmd(line)[0])
        return codes[2:-1]


def test_everybody_passes_and_nothing_opens(a):
    a.asked("ban", "add", BANNED)
    assert a.greeting(BAD) == 521 and a.greeting(BANNED) == 521
    assert "PASS-ALL for" in a.asked("pass-all", "--for", "10m", "--reason", "ticket 4711")
    for src in (BAD, DROPPED, BANNED):
        codes = talk(a, src, "MAIL FROM:<a@example.net>", "RCPT TO:<someone@elsewhere.example>")
        assert codes == [250, 550], (src, codes)
    assert a.asked("status").startswith("PASS-ALL")
    until("the events", 5, lambda: {e["client"] for e in a.events("session") if e.get("pass_all")
                                    and e.get("shadow")} >= {BAD, DROPPED, BANNED}, 0.1)
    shadows = {e["client"]: e["shadow"] for e in a.events("session") if e.get("pass_all") and e.get("shadow")}
    assert shadows[BAD] == ["lists.blocked"] and shadows[BANNED] == ["checks.banned"], shadows
    assert any("ticket 4711" in e["text"] for e in a.events("pass-all")), a.events("pass-all")


def test_it_outlives_both_processes(a):
    a.manager.kill()
    a.manager.wait(10)
    a.kill()
    a.start(image=None)
    assert a.greeting(BAD) == 220
    assert any("still on" in e["text"] for e in a.events("pass-all"))
    a.start_manager()
    until("the dataplane", 10, lambda: a.asked("status").startswith("PASS-ALL"), 0.2)
    a.asked("pass-all", "off")
    assert a.greeting(BAD) == 521 and a.greeting(BANNED) == 521


def test_undo_takes_it_back(a):
    a.asked("pass-all", "--for", "10m")
    assert a.greeting(BAD) == 220
    assert "pass-all on" in a.asked("undo")
    assert a.greeting(BAD) == 521


def test_it_ends_by_itself(a):
    a.asked("pass-all", "--for", "2s")
    assert a.greeting(BAD) == 220
    time.sleep(2)
    assert a.greeting(BAD) == 521
    until("the event of its end", 5, lambda: any("time is up" in e["text"] for e in a.events("pass-all")), 0.1)
    assert not a.asked("status").startswith("PASS-ALL")
    a.kill()
    a.start(image=None)
    assert a.greeting(BAD) == 521
    code, text = a.ctl("pass-all", "--for", "2d")
    assert code == 1 and "24 h at most" in text, text


def rule(a, name):
    return next(r for r in a.told("rule", "list", name)["rules"] if r["name"] == name)


def test_a_rule_in_shadow_and_its_impact(a):
    before = rule(a, "lists.blocked")
    assert before["state"] == "enforce" and before["kind"] == "list", before
    text = a.asked("rule", "set", "lists.blocked", "shadow", "--for", "1h", "--reason", "a try")
    assert "lists.blocked.state: shadow, was enforce" in text, text
    for rcpt in ("user1@example.org", "someone@elsewhere.example"):
        talk(a, BAD, "MAIL FROM:<a@example.net>", f"RCPT TO:<{rcpt}>")
    until("two hits in shadow", 5, lambda: rule(a, "lists.blocked")["shadow"] >= before["shadow"] + 2, 0.1)
    now = rule(a, "lists.blocked")
    assert now["state"] == "shadow" and now["minute"]["shadow"] >= 2, now
    until("their events", 5, lambda: a.told("impact", "lists.blocked", "--since", "1h")["shadow"] >= 2, 0.2)
    impact = a.told("impact", "lists.blocked", "--since", "1h")
    assert impact["rows"][0]["group"] == "203.0.113.0/24" and impact["examples"], impact
    assert "would have hit" in a.asked("impact", "lists.blocked")
    a.asked("undo")
    assert a.greeting(BAD) == 521
    code, text = a.ctl("impact", "lists.blokced")
    assert code == 1 and "There is no rule \"lists.blokced\"" in text, text
