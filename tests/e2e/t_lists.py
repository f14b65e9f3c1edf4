# SPDX-License-Identifier: BSD-3-Clause
"""Run-time lists and bans of the running appliance: in force at once, told, kept over both processes'
deaths, ended by time and by hand."""

import json
import time

import clients
from lab import until
from managed import Managed

HOST, OTHER, FRIEND, NETWORK = "203.0.113.90", "203.0.113.91", "203.0.113.10", "203.0.113.0/24"
V6 = "2001:db8:bad:90::1"
LISTS = {"lists": [{"name": "friends", "action": "pass", "entries": [FRIEND]},
                   {"name": "blocked", "action": "refuse", "verify_share": 0, "entries": [OTHER]},
                   {"name": "held", "action": "tarpit"}]}


def setup():
    return Managed.started(LISTS, clients=(HOST, OTHER, FRIEND, V6), name="lists")


def refused(a, src, bound_s=1):
    """521 within so long, and an event of it."""
    start = time.monotonic()
    assert a.greeting(src) == 521, f"{src} is greeted"
    until("the event", bound_s, lambda: any(
        e.get("client") == src and e.get("reason") in ("listed", "banned")
        for e in a.events("refused-syn") + a.events("session")), 0.02)
    assert time.monotonic() - start < bound_s


def test_an_added_address_is_refused_within_a_second(a):
    assert a.greeting(HOST) == 220
    text = a.asked("list", "add", HOST, "--for", "10m", "--reason", "ticket 4711")
    assert f"{HOST} is on blocked for 10m" in text or f"{HOST} is on blocked for 9m" in text, text
    refused(a, HOST)
    shown = a.told("list", "show", HOST)
    assert [e["reason"] for e in shown["entries"]] == ["ticket 4711"], shown
    assert shown["effect"] == "blocked", shown
    assert "is off blocked" in a.asked("list", "del", HOST)
    assert a.greeting(HOST) == 220


def test_a_prefix_of_ipv6(a):
    assert a.greeting(V6) == 220
    a.asked("list", "add", "2001:db8:bad:90::/64")
    refused(a, V6)
    a.asked("list", "del", "2001:db8:bad:90::/64")
    assert a.greeting(V6) == 220


def test_allow_beats_block(a):
    a.asked("list", "add", NETWORK)
    assert a.greeting(HOST) == 521
    assert a.greeting(FRIEND) == 220
    assert "is off blocked" in a.asked("list", "del", NETWORK)
    text = a.asked("list", "add", FRIEND, "--list", "blocked")
    assert "note: the list friends decides about it" in text, text
    assert a.greeting(FRIEND) == 220
    a.asked("list", "del", FRIEND, "--list", "blocked")


def test_a_compiled_entry_is_lifted_and_put_back(a):
    assert a.greeting(OTHER) == 521
    answer = a.told("list", "del", OTHER)
    assert answer["lifted"] == ["blocked"] and answer["effect"] is None, answer
    assert a.greeting(OTHER) == 220
    a.asked("undo")
    assert a.greeting(OTHER) == 521


def test_a_ban_ends_by_itself(a):
    a.asked("ban", "add", HOST, "--for", "2s", "--reason", "loud")
    refused(a, HOST)
    assert "loud" in a.asked("ban", "show")
    until("its end", 5, lambda: a.greeting(HOST) == 220, 0.2)
    assert a.asked("ban", "show") == "none\n"
    a.asked("ban", "add", HOST)
    assert a.greeting(HOST) == 521
    a.asked("ban", "del", HOST)
    assert a.greeting(HOST) == 220


def test_the_rule_that_refused_without_state_has_its_hits(a):
    """A list and a ban say each what they are, and count as rules, in `rule list` and in the log."""
    def said(src):
        with clients.Dialog(a.lab, a, False, src) as d:
            return d.reply()[1]

    def hits():
        by_name = {r["name"]: r["hits"] for r in a.told("rule", "list")["rules"]}
        return by_name["lists.blocked"], by_name["checks.banned"]

    def told():
        return [(e["reason"], e["rules"]) for e in a.events("refused-syn") if e["client"] == HOST]

    before = hits()
    a.asked("list", "add", HOST, "--for", "1m")
    assert "Your address is listed here [" in said(HOST)
    a.asked("list", "del", HOST)
    a.asked("ban", "add", HOST, "--for", "1m")
    assert "Your address is banned here for now [" in said(HOST)
    assert "Your address is banned here for now [" in said(HOST)
    a.asked("ban", "del", HOST)
    until("their hits", 5, lambda: hits() == (before[0] + 1, before[1] + 2), 0.1)
    until("the events", 5, lambda: told()[-3:] == [
        ("listed", ["lists.blocked"]), ("banned", ["checks.banned"]), ("banned", ["checks.banned"])])


def test_entries_outlive_both_processes(a):
    a.asked("list", "add", HOST, "--for", "1h")
    a.asked("ban", "add", V6 + "/128", "--for", "1h")
    a.manager.kill()
    a.manager.wait(10)
    a.kill()
    a.start(image=None)
    assert a.greeting(HOST) == 521
    assert a.greeting(V6) == 521
    a.start_manager()
    until("the dataplane", 10, lambda: a.ctl("list", "show", HOST)[0] == 0, 0.1)
    assert a.told("list", "show", HOST)["effect"] == "blocked"
    a.asked("list", "del", HOST)
    a.asked("ban", "del", V6)
    assert a.greeting(HOST) == 220


def test_entries_outlive_a_load_that_moves_the_lists(a):
    a.asked("list", "add", HOST, "--list", "blocked")
    moved = {"lists": [{"name": "first", "action": "pass", "entries": ["192.0.2.200"]}] + LISTS["lists"]}
    a.asked("load", a.configuration(moved))
    assert a.greeting(HOST) == 521
    a.asked("load", a.configuration({"lists": [LISTS["lists"][0]]}))
    until("the list's end", 2, lambda: a.greeting(HOST) == 220, 0.05)
    a.asked("load", a.configuration(LISTS))
    assert a.greeting(HOST) == 521
    a.asked("list", "del", HOST)


def test_import_and_export(a):
    path = a.path("feed.ipset")
    with open(path, "w") as f:
        f.write("create feed hash:net family inet\n" +
                "".join(f"add feed 10.{i // 250}.{i % 250}.0/24 timeout 600 comment \"feed\"\n"
                        for i in range(1000)) + f"add feed {HOST}\nadd feed 10.0.1.7 nomatch\n")
    assert "added to blocked" in a.asked("list", "import", path)
    refused(a, HOST)
    plain = a.asked("list", "export", "--list", "blocked")
    assert HOST in plain.split() and "10.0.1.0/24" not in plain.split(), plain[:300]
    again = a.path("again.rbl")
    with open(again, "w") as f:
        f.write(a.asked("list", "export", "--list", "blocked", "--format", "rbldnsd"))
    answer = a.told("list", "import", again, "--list", "blocked")
    assert answer["added"] == 0 and answer["changed"] > 1000, answer
    both = a.asked("list", "export", "--list", "blocked", "--compiled", "--format", "ipset")
    assert f"add blocked {OTHER}\n" in both and f"add blocked {HOST}\n" in both, both[-300:]
    assert f"add blocked {HOST}" in both
    for entry in a.told("list", "show", "--list", "blocked")["entries"]:
        a.rpc("list.del", {"prefix": entry["prefix"], "list": "blocked"})
    assert a.told("list", "show")["entries"] == []


def test_mistakes_say_what_to_type(a):
    for words, said in ((("list", "add", "192.0.2.7/24"), "did you mean 192.0.2.0/24?"),
                        (("list", "add", "192.0.2.1-192.0.2.4"), "192.0.2.1/32 192.0.2.2/31 192.0.2.4/32"),
                        (("list", "add", "example.org"), "allowed: an address or a prefix"),
                        (("list", "add", HOST, "--list", "blokced"), "its lists are friends, blocked, held"),
                        (("list", "del", "192.0.2.99"), "is not on any list"),
                        (("ban", "del", "192.0.2.99"), "There is no ban of 192.0.2.99"),
                        (("ban", "add", HOST, "--action", "shout"), "refuse, tarpit, trap, reset, drop")):
        code, text = a.ctl(*words)
        assert code == 1 and said in text, f"{words}: {code}: {text}"
    code, text = a.ctl("list", "add", HOST, "--for", "10")
    assert code == 2 and "30s, 10m, 2h or 7d" in text, text


def test_a_snapshot_holds_them_too(a):
    """Configuration, run-time entries and bans in one file, put back by one command."""
    shot = a.path("everything.json")
    assert a.ctl("list", "add", "203.0.113.201", "--reason", "kept")[0] == 0
    assert a.ctl("ban", "add", "203.0.113.202", "--for", "2h")[0] == 0
    code, out = a.ctl("snapshot", "save", shot)
    assert code == 0 and "run-time entries saved" in out, out
    assert a.ctl("list", "del", "203.0.113.201")[0] == 0
    assert a.ctl("ban", "del", "203.0.113.202")[0] == 0
    assert "203.0.113.201" not in a.ctl("list", "show")[1]
    code, out = a.ctl("snapshot", "restore", shot)
    assert code == 0 and "run-time entries put back" in out, out
    assert "203.0.113.201" in a.ctl("list", "show")[1]
    assert "203.0.113.202" in a.ctl("ban", "show")[1]
