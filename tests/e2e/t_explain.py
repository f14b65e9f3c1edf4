# SPDX-License-Identifier: BSD-3-Clause
"""Every token that a client was given leads back to what happened; an engineer finds out why an address
was refused, and lets it in again, from posternctl alone."""

import json
import os
import re
import time

import clients
from lab import until
from managed import Managed

HOST, LISTED, VERIFIED, BANNED, FRIEND = ("203.0.113.90", "203.0.113.91", "203.0.113.92", "203.0.113.93",
                                          "203.0.113.10")
V6, FAR = "2001:db8:bad:90::1", "203.0.113.94"
ROUNDS = 8
TOKEN = re.compile(r"\[([0-9A-HJKMNP-TV-Z]{18})\]")
CHANGE = {
    "lists": [{"name": "friends", "action": "pass", "entries": [FRIEND]},
              {"name": "blocked", "action": "refuse", "verify_share": 0, "entries": [LISTED]},
              {"name": "asked", "action": "refuse", "verify_share": 100, "entries": [VERIFIED]},
              {"name": "watched", "action": "refuse", "state": "shadow", "verify_share": 0, "entries": [HOST]}],
    "limits": {"recipients": 100, "errors": 8},
    "checks": {"bounce_recipients": {"action": "tarpit"}},
    "shaping": {"refusal_s": 3, "tarpit_pace_ms": 100},
    "greylist": {"state": "enforce", "delay_s": 300, "capacity": 10000, "exempt": ["open@example.org"]},
}


def setup():
    return Managed.started(CHANGE, clients=(HOST, LISTED, VERIFIED, BANNED, FRIEND, V6, FAR), name="explain")


def explain(a, *words):
    return json.loads(a.asked("--json", "explain", *words))


def talk(a, src, *lines):
    """Says the lines, whatever comes; the tokens of all replies."""
    said = []
    with clients.Dialog(a.lab, a, ":" in src, src) as d:
        try:
            said.append(d.reply()[1])
            for line in lines:
                said.append(d.cmd(line)[1])
        except (clients.Closed, ConnectionError, BrokenPipeError):
            pass
    return [t for text in said for t in TOKEN.findall(text)]


def test_every_token_resolves(a):
    mail = ("EHLO client.example", "MAIL FROM:<a@sender.example>")
    given = []  # (token, source)
    a.asked("ban", "add", BANNED, "--for", "10m", "--reason", "loud")
    for _ in range(ROUNDS):
        for src, lines in ((HOST, (*mail, "RCPT TO:<x@elsewhere.example>", "RCPT TO:<y@elsewhere.example>",
                                   "RCPT TO:<user1@example.org>", "QUIT")),
                           (HOST, ("GET / HTTP/1.1", "Host: x", "QUIT")),
                           (HOST, ("X" * 3000, "QUIT")),
                           (HOST, ("EHLO client.example", "MAIL FROM:<a@sender.example> SIZE=999999999",
                                   "QUIT")),
                           (HOST, ("EHLO client.example", *["NONSENSE"] * 12)),
                           (FRIEND, (*mail, "RCPT TO:<x@elsewhere.example>", "QUIT")),
                           (V6, (*mail, "RCPT TO:<user2@example.org>", "QUIT")),
                           (LISTED, ()), (BANNED, ()),
                           (VERIFIED, (*mail, "RCPT TO:<user1@example.org>", "QUIT"))):
            given += [(token, src) for token in talk(a, src, *lines)]
    tokens = list(dict.fromkeys(given))
    assert len(tokens) > 40, f"{len(tokens)} tokens"
    until("the records", 10, lambda: len(a.events("session")) >= ROUNDS * 8, 0.05)

    kinds, unresolved = set(), []
    for token, src in tokens:
        found = explain(a, token)
        if found["token"]["session"] == 0:
            found = explain(a, token, "--client", src)
        event = found["event"]
        kinds.add(found["token"]["reason"])
        if found["record"] != "found" or event["client"] != src or not found["explained"]["reason"]:
            unresolved.append((token, src, found["record"], found["fitting"]))
            continue
        if found["token"]["session"]:
            assert found["token"]["reason"] in event["given"], (token, event)
    print(f"# tokens {len(given)}, reasons {len(kinds)}: {' '.join(sorted(kinds))}")
    print(f"# unresolved tokens {len(unresolved)}")
    assert not unresolved, unresolved[:5]
    assert {"relay_denied", "greylisted", "listed", "listed_verified", "non_smtp", "line_too_long",
            "message_size", "error_limit", "banned"} <= kinds, kinds
    a.asked("ban", "del", BANNED)


def test_a_slow_refusals_token(a):
    """Refused a byte at a time; the policy changes before the last line comes with its token."""
    with clients.Dialog(a.lab, a, False, FAR) as d:
        d.hello()
        d.want(250, "MAIL FROM:<>")
        d.want(250, "RCPT TO:<open@example.org>")
        began = time.monotonic()
        d.send(b"RCPT TO:<open@example.org>\r\n")
        until("the record", 5, lambda: [e for e in a.events("session") if e["client"] == FAR], 0.05)
        a.asked("set", "checks.non_smtp.weight", "700", "--reason", "meanwhile")
        code, text = d.reply()
        took = time.monotonic() - began
        assert d.sock.recv(1) == b"", "closed behind it"
    lines = text.splitlines()
    assert code == 550 and 2 <= took < 6 and len(lines) > 1, (took, text)
    assert set(lines[:-1]) == {"550-5.5.3 A bounce has one recipient"}, lines
    found = explain(a, TOKEN.findall(lines[-1])[0])
    assert found["record"] == "found" and found["event"]["client"] == FAR, found
    assert found["event"]["verdict"] == "tarpit" and "bounce_recipients" in found["event"]["given"], found
    rules = {r["name"]: r for r in found["explained"]["rules"]}
    assert rules["checks.bounce_recipients"]["decided"], rules
    assert a.told("tarpit")["refused"] >= 1
    a.asked("undo")


def test_rules_as_they_were_and_in_shadow(a):
    token = talk(a, HOST, "GET / HTTP/1.1", "QUIT")[0]
    until("the record", 5, lambda: explain(a, token)["record"] == "found", 0.05)
    a.asked("set", "checks.non_smtp.weight", "700", "--reason", "later")
    found = explain(a, token)
    rules = {r["name"]: r for r in found["explained"]["rules"]}
    assert rules["checks.non_smtp"]["weight"] == 5.0 and rules["checks.non_smtp"]["decided"], rules
    shadow = [r["name"] for r in found["explained"]["shadow"]]
    assert "lists.watched" in shadow, found["explained"]
    text = a.asked("explain", f"[{token}]")
    for part in ("This is a mail server", "checks.non_smtp", "would have", "lists.watched", "(this decided)",
                 "posternctl set checks.non_smtp.state shadow", HOST):
        assert part in text, f"{part!r} is not in:\n{text}"
    a.asked("undo")


def test_an_engineers_walk(a):
    """Blocks a prefix, is refused, explains the token, takes it back: each command from the one before."""
    a.asked("list", "add", "203.0.113.88/29", "--list", "blocked", "--for", "1h", "--reason", "ticket 4711")
    token = talk(a, HOST)[0]
    text = a.asked("explain", token, "--client", HOST)
    for part in ("Your address is listed here", "203.0.113.88/29 on blocked, by operator", "ticket 4711",
                 "refuse at the SYN"):
        assert part in text, f"{part!r} is not in:\n{text}"
    again = a.asked("explain", HOST)
    assert "203.0.113.88/29 on blocked" in again and "refuse at the SYN" in again, again
    undo = [w for w in explain(a, token, "--client", HOST)["explained"]["next"] if "list del" in w]
    assert undo == ["posternctl list del 203.0.113.88/29 --list blocked"], undo
    a.asked(*undo[0].split()[1:])
    assert "let through at CONNECT" in a.asked("explain", HOST)
    assert not talk(a, HOST, "EHLO client.example", "QUIT")


def test_a_compiled_listing_is_named(a):
    token = talk(a, LISTED)[0]
    found = explain(a, token, "--client", LISTED)
    assert found["explained"]["list"] == {"name": "blocked", "action": "refuse"}, found["explained"]
    assert f"posternctl list del {LISTED} --list blocked" in found["explained"]["next"]
    assert explain(a, FRIEND)["now"]["list"] == "friends"


def test_what_cannot_be_explained_says_why(a):
    token = talk(a, HOST, "GET / HTTP/1.1", "QUIT")[0]
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    for words, code, said in ((("nonsense",), 1, "That is no token"), ((wrong,), 1, "not of this appliance"),
                              (("192.0.2.300",), 1, "is no address"), ((), 2, "wants more"),
                              ((HOST, "--at", "yesterday"), 2, "is no time")):
        got, text = a.ctl("explain", *words)
        assert got == code and said in text, f"{words}: {got}: {text}"
    assert "none on record" in a.asked("explain", "198.51.100.77")
    assert "none on record" in a.asked("explain", HOST, "--at", "2020-01-01 12:00")
    until("the record", 5, lambda: explain(a, token)["record"] == "found", 0.05)
    log = a.path("events.jsonl")
    os.rename(log, log + ".away")
    with open(log, "w") as f:
        f.write('{"time":"2099-01-01T00:00:00.000Z","event":"policy","text":"x"}\n')
    assert explain(a, token)["record"] == "too_old"
    os.rename(log + ".away", log)
    a.kill()
    until("the manager's notice", 10, lambda: a.ctl("explain", token)[0] == 3, 0.1)
    code, text = a.ctl("explain", token)
    assert "token.key" in text, text
    assert "not known: the dataplane is not connected" in a.asked("explain", HOST)
    a.start(image=None)
