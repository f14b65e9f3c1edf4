# SPDX-License-Identifier: BSD-3-Clause
"""A teaser before the greeting and stutter: real clients wait their turn and deliver, a bot that takes
the teaser for the greeting is refused at the end of the delay. Everyone is in the class here, and any
score refuses."""

import json
import re
import subprocess
import time

import clients
import mail
import t_clients
from lab import until
from target import CTL, Appliance

DELAY_MS = 1500


def setup():
    return Appliance({
        "smtp": {"greet_delay_ms": DELAY_MS}, "score": {"refuse": 1},
        "shaping": {"teaser": True, "classes": [
            {"name": "slow", "from_score": 0, "pace_bytes": 40, "pace_ms": 100, "window_bytes": 4096}],
            "refusal_s": 4, "tarpit_pace_ms": 100},
        "checks": {"bounce_recipients": {"action": "tarpit"}}})


def test_swaks_v4(a):
    t_clients.swaks(a, False)


def test_swaks_v6(a):
    t_clients.swaks(a, True)


def test_msmtp_v4(a):
    t_clients.msmtp(a, False)


def test_curl_v6(a):
    t_clients.curl(a, True)


def tarpitted(a, v6):
    """A client of the wild is refused a byte at a time; it waits, and tells its user why."""
    before, began = a.counters(), time.monotonic()
    code, out = a.lab.run(a.ns, [
        "swaks", "-6" if v6 else "-4", "--server", a.v6 if v6 else a.v4, "--port", "25", "--helo",
        "client.example", "--from", "<>", "--to", "user@example.org,other@example.org", "--timeout", "20"],
        check=False)
    assert "RCPT TO:<user@example.org>" in out and "550-5.5.3 A bounce has one recipient" in out, out
    assert re.search(r"550 5\.5\.3 A bounce has one recipient \[\w+\]", out), out
    assert 4 <= time.monotonic() - began < 12, out
    until("the statistics", 5, lambda: a.counters()["tarpit_refused"] == before["tarpit_refused"] + 1)
    until("nobody held", 5, lambda: a.counters()["tarpit_held"] == 0)
    assert a.counters()["verdict_tarpit_rcpt"] == before["verdict_tarpit_rcpt"] + 1


def test_a_tarpitted_command_v4(a):
    tarpitted(a, False)


def test_a_tarpitted_command_v6(a):
    tarpitted(a, True)


def test_who_gives_up_is_counted(a):
    def gave_up():
        done = subprocess.run([CTL, "--run", a.state, "--json", "stats"], check=True, stdout=subprocess.PIPE)
        return {(r["name"], r["pace_below_ms"]): r["total"] for r in json.loads(done.stdout)["gave_up"]}

    before = gave_up().get(("slow", 250), 0)
    with clients.Dialog(a.lab, a, True) as d:
        d.hello()
        d.want(250, "MAIL FROM:<>")
        d.want(250, "RCPT TO:<user@example.org>")
        d.send(b"RCPT TO:<user@example.org>\r\n")
        read_until(d.sock, b"550")
    until("one more of its class and pace", 5, lambda: gave_up().get(("slow", 250), 0) == before + 1)


def read_until(sock, what, bound_s=20):
    got, end = b"", time.monotonic() + bound_s
    while what not in got:
        assert time.monotonic() < end, f"no {what!r} in {got!r}"
        piece = sock.recv(4096)
        assert piece, f"closed after {got!r}"
        got += piece
    return got


def test_bot_that_talks_into_the_teaser(a):
    for address in (a.v4, a.v6):
        message = mail.Message(f"bot-{address}", b"buy this\r\n")
        with a.lab.connect(a.ns, address, 25) as s:
            began = time.monotonic()
            read_until(s, b"220-")
            s.sendall(b"EHLO bot.example\r\nMAIL FROM:<bot@example.net>\r\nRCPT TO:<user@example.org>\r\n")
            got = read_until(s, b"521 5.7.1")
            assert time.monotonic() - began >= DELAY_MS / 1000 - 0.1, "greeted before the delay was over"
            assert b"250" not in got, got
        assert not mail.arrived_all(a.lab, a.names, [message.ident])
