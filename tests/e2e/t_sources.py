# SPDX-License-Identifier: BSD-3-Clause
"""Listed sources, as they see it: refused, dropped, reset, trapped, tarpitted, and allowed again."""

import errno
import socket
import time

import clients
import mail
from lab import until
from target import Appliance

# what each list does, one address per family
LISTS = {
    "refuse": ("203.0.113.10", "2001:db8:bad:10::1"),
    "verify": ("203.0.113.11", "2001:db8:bad:11::1"),
    "drop": ("203.0.113.12", "2001:db8:bad:12::1"),
    "reset": ("203.0.113.13", "2001:db8:bad:13::1"),
    "trap": ("203.0.113.14", "2001:db8:bad:14::1"),
    "tarpit": ("203.0.113.15", "2001:db8:bad:15::1"),
}
ALLOWED = ("203.0.113.200", "2001:db8:bad:200::1")
UNLISTED = ("198.18.0.7", "2001:db8:600d::7")
SILENCE_S = 3


def lists():
    rows = [{"name": "friends", "action": "pass", "entries": list(ALLOWED)},
            {"name": "everything-bad", "action": "refuse", "verify_share": 0,
             "entries": ["203.0.113.192/26", "2001:db8:bad:200::/56"]}]
    for name, entries in LISTS.items():
        row = {"name": name, "action": "refuse" if name == "verify" else name,
               "entries": list(entries)}
        if name in ("refuse", "verify"):
            row["verify_share"] = 100 if name == "verify" else 0
        if name == "tarpit":
            row["tarpit_pace_ms"] = 500
        rows.append(row)
    return rows


def setup():
    every = [a for pair in LISTS.values() for a in pair] + list(ALLOWED) + list(UNLISTED)
    return Appliance({"lists": lists()}, clients=every)


def both(name):
    return [(LISTS[name][0], False), (LISTS[name][1], True)]


def test_refused_without_state(a):
    for src, v6 in both("refuse"):
        with clients.Dialog(a.lab, a, v6, src) as d:
            code, words = d.reply()
            assert code == 521 and "5.7.1" in words, words
            assert d.at_end() is True, "521 is not followed by an orderly close"


def test_refused_many_at_once(a):
    for src, v6 in both("refuse"):
        dialogs = [clients.Dialog(a.lab, a, v6, src) for _ in range(200)]
        try:
            for d in dialogs:
                assert d.reply()[0] == 521
                assert d.at_end() is True
        finally:
            for d in dialogs:
                d.sock.close()


def test_refused_client_that_talks_first(a):
    """The request rides on the handshake's ACK."""
    for src, v6 in both("refuse"):
        with clients.Dialog(a.lab, a, v6, src) as d:
            d.send("EHLO bad.example\r\nMAIL FROM:<>\r\n")
            assert d.reply()[0] == 521
            assert d.at_end() in (True, "reset")


def test_verified_at_rcpt(a):
    for src, v6 in both("verify"):
        with clients.Dialog(a.lab, a, v6, src) as d:
            d.hello()
            d.want(250, "MAIL FROM:<sender@client.example>")
            words = d.want(550, "RCPT TO:<user@example.org>")
            assert "5.7.1" in words, words
            d.want(221, "QUIT")


def test_dropped(a):
    for src, v6 in both("drop"):
        try:
            a.lab.connect(a.ns, a.v6 if v6 else a.v4, a.port, src, SILENCE_S).close()
        except TimeoutError:
            continue
        raise AssertionError("a dropped source got a connection")


def test_reset(a):
    for src, v6 in both("reset"):
        try:
            a.lab.connect(a.ns, a.v6 if v6 else a.v4, a.port, src, 5).close()
        except ConnectionRefusedError:
            continue
        raise AssertionError("a source to be reset got a connection")


def unsent(sock):
    """Bytes in the socket's send queue (SIOCOUTQ)."""
    import array
    import fcntl
    n = array.array("i", [0])
    fcntl.ioctl(sock, 0x5411, n)
    return n[0]


def test_trapped(a):
    """The handshake, then silence and a zero window: nothing comes, nothing is taken."""
    for src, v6 in both("trap"):
        with a.lab.connect(a.ns, a.v6 if v6 else a.v4, a.port, src, 5) as s:
            text = b"EHLO bad.example\r\n"
            s.sendall(text)
            s.settimeout(SILENCE_S)
            try:
                data = s.recv(100)
                raise AssertionError(f"a trapped client heard {data!r}")
            except TimeoutError:
                pass
            assert unsent(s) == len(text), f"the trap took {len(text) - unsent(s)} bytes"


def test_tarpitted(a):
    """A first line of a greeting that never ends, then byte after byte at the list's pace."""
    for src, v6 in both("tarpit"):
        with a.lab.connect(a.ns, a.v6 if v6 else a.v4, a.port, src, 5) as s:
            s.settimeout(5)
            first = s.recv(100)
            assert first[:4] == b"220-", first
            began = time.monotonic()
            pieces = []
            while len(pieces) < 5:
                data = s.recv(100)
                assert data, f"closed after {pieces}"
                pieces.append(data)
            took = time.monotonic() - began
            text = b"".join(pieces)
            assert all(len(p) == 1 for p in pieces), f"not byte by byte: {pieces}"
            assert took > 1.5, f"five bytes in {took:.2f} s, pace 0.5 s"
            assert text.startswith(b"220-"), text


def test_tarpitted_client_may_leave(a):
    """One that resets, closes or talks in between harms nobody."""
    import struct
    for src, v6 in both("tarpit"):
        socks = [a.lab.connect(a.ns, a.v6 if v6 else a.v4, a.port, src, 5) for _ in range(30)]
        for i, s in enumerate(socks):
            if i % 3 == 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif i % 3 == 1:
                s.sendall(b"EHLO x\r\n" * 50)
            s.close()
    with clients.Dialog(a.lab, a, False, UNLISTED[0]) as d:
        d.hello()
        d.want(221, "QUIT")


def test_allow_beats_block(a):
    messages = [mail.Message(f"allowed-{v6}", b"from a friend\r\n") for v6 in (False, True)]
    for m, src, v6 in zip(messages, ALLOWED, (False, True)):
        with clients.Dialog(a.lab, a, v6, src) as d:
            d.hello()
            assert d.deliver(m)[0] == 250
            d.want(221, "QUIT")
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident for m in messages]))


def test_neighbours_of_a_listed_source_pass(a):
    for src, v6 in zip(UNLISTED, (False, True)):
        with clients.Dialog(a.lab, a, v6, src) as d:
            d.hello()
            d.want(221, "QUIT")


def test_nothing_else_is_answered(a):
    """No other port of the outside address, and nothing on the address toward the backends."""
    for address, port in ((a.v4, 80), (a.v4, 2525), (a.v6, 587)):
        try:
            a.lab.connect(a.ns, address, port, None, 3).close()
            raise AssertionError(f"{address} port {port} answers")
        except OSError as e:
            assert isinstance(e, TimeoutError) or e.errno == errno.ECONNREFUSED, e
    for address in ("198.51.100.2", "2001:db8:2::2"):
        try:
            a.lab.connect(a.lab.mail, address, 25, None, 3).close()
            raise AssertionError(f"{address} answers on port 25")
        except OSError:
            pass


def test_good_and_bad_together(a):
    """Refused connections by the hundred beside real mail: the mail all arrives."""
    messages = mail.batch("beside", 100)
    import threading
    stop = threading.Event()
    refused = []

    def knock():
        while not stop.is_set() and len(refused) < 5000:
            for src, v6 in both("refuse"):
                try:
                    with clients.Dialog(a.lab, a, v6, src, timeout_s=5) as d:
                        refused.append(d.reply()[0])
                except (OSError, clients.Closed) as e:
                    refused.append(type(e).__name__)
    t = threading.Thread(target=knock)
    t.start()
    try:
        outcome = clients.deliver_all(a.lab, a, messages, at_once=20, bound_s=40,
                                      sources=list(UNLISTED))
    finally:
        stop.set()
        t.join(20)
    assert refused and set(refused) == {521}, f"refused sources saw {set(refused)}"
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted))
    mail.audit(a.lab, a.names, outcome.accepted)
