# SPDX-License-Identifier: BSD-3-Clause
"""Relay rules and access rules against a running appliance: what they refuse, what goes out through
the outbound pool, that exceptions win, and that what is forwarded stays as it was written."""

import json

import clients
import mail
from lab import until
from managed import Managed
from target import MAIL1, MAIL2

INSIDE, OUTSIDE = "203.0.113.70", "203.0.113.71"
CHANGE = {
    "pools": [
        {"name": "main", "check_interval_ms": 1000,
         "servers": [{"name": "mail1", "address": MAIL1[0], "port": 25}]},
        {"name": "out", "check_interval_ms": 1000,
         "servers": [{"name": "mail2", "address": MAIL2[0], "port": 25}]}],
    "relay": {"internal": [INSIDE + "/32"], "outbound_pool": "out"},
    "access": [
        {"name": "senders", "kind": "sender", "action": "refuse", "entries": ["bad@spam.example", ".spam.example"],
         "except": ["good@a.spam.example"]},
        {"name": "abuse", "kind": "recipient", "action": "pass", "entries": ["abuse@"]},
        {"name": "pair", "kind": "pair", "action": "refuse", "entries": ["x@pair.example closed@example.org"]},
        {"name": "slow", "kind": "recipient", "action": "defer", "entries": ["later@example.org"]},
        {"name": "trial", "kind": "sender", "action": "refuse", "state": "shadow", "entries": ["trial.example"]},
    ],
}


def setup():
    a = Managed(CHANGE, servers=(("mail1",) + MAIL1, ("mail2",) + MAIL2), clients=(INSIDE, OUTSIDE))
    try:
        etc = a.path("mail2/etc")
        a.lab.sh(f"postconf -c {etc} -e 'virtual_mailbox_domains = elsewhere.example' && "
                 f"lab_mail postfix -c {etc} reload")
        a.start_manager()
    except BaseException:
        a.close()
        raise
    return a


def rcpt(a, sender, recipient, src=OUTSIDE):
    with clients.Dialog(a.lab, a, ":" in src, src) as d:
        d.hello()
        d.want(250, f"MAIL FROM:<{sender}>")
        return d.cmd(f"RCPT TO:<{recipient}>")


def test_senders_and_their_exceptions(a):
    assert rcpt(a, "bad@spam.example", "user@example.org")[0] == 550
    assert rcpt(a, "any@b.spam.example", "user@example.org")[0] == 550
    assert rcpt(a, "good@a.spam.example", "user@example.org")[0] == 250
    assert rcpt(a, "\"bad\"@SPAM.example", "user@example.org")[0] == 550
    code, text = rcpt(a, "bad@spam.example", "user@example.org")
    assert "5.7.1 This sender is refused here [" in text, text


def test_a_pass_wins(a):
    assert rcpt(a, "bad@spam.example", "abuse@example.org")[0] == 250


def test_pairs_and_deferral(a):
    assert rcpt(a, "x@pair.example", "closed@example.org")[0] == 550
    assert rcpt(a, "x@pair.example", "open@example.org")[0] == 250
    code, text = rcpt(a, "x@pair.example", "later@example.org")
    assert code == 451 and " 4.7.1 " in text, text


def test_a_shadow_refuses_nobody(a):
    assert rcpt(a, "x@trial.example", "user@example.org")[0] == 250


def test_outward_mail(a):
    """Internal, with a sender of ours: through the outbound pool. Nobody else."""
    message = mail.batch("outward", 1)[0]
    message.sender, message.rcpt = "me@example.org", "friend@elsewhere.example"
    with clients.Dialog(a.lab, a, False, INSIDE) as d:
        d.hello()
        assert d.deliver(message)[0] == 250
    until("the message in the outbound server's mailbox", 10,
          lambda: len(a.lab.maildir("mail2")) == 1, 0.1)
    assert a.lab.maildir("mail1") == []
    assert rcpt(a, "me@example.org", "friend@elsewhere.example", OUTSIDE)[0] == 550
    assert rcpt(a, "other@foreign.example", "friend@elsewhere.example", INSIDE)[0] == 550
    code, text = rcpt(a, "me@example.org", "friend@elsewhere.example", OUTSIDE)
    assert "Relaying not permitted" in text, text


def test_self_test_finds_no_open_relay(a):
    code, out = a.ctl("relay", "self-test")
    assert code == 0 and "0 accepted: no open relay" in out, out
    assert out.count("\n") > 100, "a row each"
    code, out = a.ctl("--json", "relay", "self-test")
    rows = json.loads(out)["rows"]
    assert code == 0 and len(rows) > 100 and not any(r["accepted"] for r in rows), out


def test_the_tricks_on_the_wire(a):
    """What the self-test says is what a client meets."""
    rows = json.loads(a.ctl("--json", "relay", "self-test")[1])["rows"]
    with clients.Dialog(a.lab, a, False, OUTSIDE) as d:
        d.hello()
        tried = 0
        for row in rows:
            if row["mail"] != "attacker@relay-test.invalid":
                continue
            if tried % 10 == 0 and tried:  # before the limit on errors ends the session
                d.cmd("QUIT")
                d.__exit__()
                d.__init__(a.lab, a, False, OUTSIDE)
                d.hello()
            d.want(250, "MAIL FROM:<attacker@relay-test.invalid>")
            code, text = d.cmd(f"RCPT TO:<{row['rcpt']}>")
            assert code // 100 == 5, f"{row['rcpt']}: {text}"
            d.want(250, "RSET")
            tried += 1
        assert tried > 25


def test_self_test_finds_an_open_one(a):
    change = json.loads(json.dumps(CHANGE))
    change["relay"]["external_other_out"] = "accept"
    code, out = a.ctl("load", a.configuration(change, "open.yaml"))
    assert code == 0, out
    code, out = a.ctl("relay", "self-test")
    assert code == 1 and "AN OPEN RELAY" in out, out
    code, out = a.ctl("load", a.configuration(CHANGE, "closed.yaml"))
    assert code == 0, out
    assert a.ctl("relay", "self-test")[0] == 0


def test_relay_test_says_why(a):
    code, out = a.ctl("relay", "test", "bad@spam.example", "user@example.org")
    assert code == 0 and "ACCESS_SENDER" in out, out
    code, out = a.ctl("relay", "test", "me@example.org", "x@elsewhere.example", "--client", INSIDE)
    assert code == 0 and "internal" in out and "yes" in out, out
    code, out = a.ctl("relay", "test", "one")
    assert code == 2 and "usage: posternctl relay test" in out, out
