# SPDX-License-Identifier: BSD-3-Clause
"""A teaser before the greeting and stutter: real clients wait their turn and deliver, a bot that takes
the teaser for the greeting is refused at the end of the delay. Everyone is in the class here, and any
score refuses."""

import time

import mail
import t_clients
from target import Appliance

DELAY_MS = 1500


def setup():
    return Appliance({
        "smtp": {"greet_delay_ms": DELAY_MS}, "score": {"refuse": 1},
        "shaping": {"teaser": True, "classes": [
            {"name": "slow", "from_score": 0, "pace_bytes": 40, "pace_ms": 100, "window_bytes": 4096}]}})


def test_swaks_v4(a):
    t_clients.swaks(a, False)


def test_swaks_v6(a):
    t_clients.swaks(a, True)


def test_msmtp_v4(a):
    t_clients.msmtp(a, False)


def test_curl_v6(a):
    t_clients.curl(a, True)


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
