# SPDX-License-Identifier: BSD-3-Clause
"""Clients that mean no good, by the hundred, beside real mail: the mail passes, nothing they do brings
the appliance down, and when they are gone nothing of theirs is left in it."""

import random
import socket
import struct
import threading
import time

import clients
import mail
from framework import bound
from lab import until
from target import Appliance

GOOD = ("198.18.0.8", "2001:db8:600d::8")
SEED = 25
ROUNDS = 60


def setup():
    return Appliance(clients=GOOD)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def silent(d, rng):
    """Connects and says nothing, then resets."""
    reset(d.sock)


def rubbish(d, rng):
    d.send(rng.randbytes(rng.randrange(1, 20000)))
    d.sock.close()


def nul_bytes(d, rng):
    d.send(b"EHLO a\0b\r\nMAIL FROM:<\0>\r\n\0\0\0\r\n")
    d.sock.close()


def endless_line(d, rng):
    for _ in range(20):
        d.send(b"A" * 5000)
    reset(d.sock)


def web_request(d, rng):
    d.send("POST / HTTP/1.1\r\nHost: mx.example.org\r\nContent-Length: 40\r\n\r\nMAIL FROM:<a@b.example>\r\n")
    d.sock.close()


def tls_at_once(d, rng):
    d.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500))
    d.sock.close()


def pipelined_flood(d, rng):
    d.send("EHLO x\r\n" + "NOOP\r\n" * 3000 + "RCPT TO:<a@example.org>\r\n" * 500)
    reset(d.sock)


def never_reads(d, rng):
    """Asks for far more than its window takes, and reads nothing."""
    d.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    d.sock.setblocking(False)
    try:
        for _ in range(200):
            d.sock.send(b"EHLO client.example\r\n" * 100)
    except OSError:
        pass
    reset(d.sock)


def gone_in_data(d, rng):
    d.hello()
    d.envelope(mail.Message("gone", b""))
    d.want(354, "DATA")
    d.send(b"Subject: never ends\r\n\r\n" + b"x" * rng.randrange(1, 200000))
    reset(d.sock)


def gone_at_the_dot(d, rng):
    """Sends a whole message and resets without reading the answer."""
    d.hello()
    m = mail.Message(f"gone-{rng.random()}", b"short\r\n")
    d.envelope(m)
    d.want(354, "DATA")
    d.send(m.wire)
    reset(d.sock)


def half_closed(d, rng):
    """Sends everything, closes its half, and reads on."""
    d.send("EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRSET\r\nQUIT\r\n")
    d.sock.shutdown(socket.SHUT_WR)
    codes = [d.reply()[0] for _ in range(5)]
    assert codes == [220, 250, 250, 250, 221], codes
    d.sock.close()


def half_closed_in_data(d, rng):
    d.hello()
    d.envelope(mail.Message("half", b""))
    d.want(354, "DATA")
    d.send(b"Subject: no end\r\n\r\nno dot")
    d.sock.shutdown(socket.SHUT_WR)
    try:
        code, words = d.reply()
        assert code >= 400, words
    except (clients.Closed, ConnectionResetError):
        pass
    d.sock.close()


def odd_addresses(d, rng):
    d.hello()
    for path in ("<" + "a" * 3000 + "@example.org>", "<@a,@b:c@example.org>", "<\"a b\"@example.org>",
                 "<a@[192.0.2.1]>", "<" + "@x," * 200 + ":a@b>", "<>", "<a%b!c@example.org>", "a@b"):
        for verb in ("MAIL FROM:", "RCPT TO:"):
            code, words = d.cmd(verb + path)
            assert 200 <= code < 600, words
    d.sock.close()


WAYS = (silent, rubbish, nul_bytes, endless_line, web_request, tls_at_once, pipelined_flood, never_reads,
        gone_in_data, gone_at_the_dot, half_closed, half_closed_in_data, odd_addresses)
MAY_END = (OSError, clients.Closed)  # being thrown out is fine; a wrong answer is not


def sessions(a):
    return a.ask("status")["sessions"]


def way_test(way):
    def test(a):
        rng = random.Random(SEED)
        for i in range(20):
            try:
                way(clients.Dialog(a.lab, a, bool(i % 2), timeout_s=10), rng)
            except MAY_END:
                pass
        with clients.Dialog(a.lab, a) as d:
            d.hello()
            d.want(221, "QUIT")
        until(f"an end of all sessions ({sessions(a)} left)", 20, lambda: sessions(a) == 0, 0.2)
    test.__doc__ = way.__doc__
    return test


for _way in WAYS:
    globals()[f"test_{_way.__name__}"] = way_test(_way)


@bound(120)
def test_all_of_them_beside_real_mail(a):
    rng = random.Random(SEED)
    stop = threading.Event()
    wrong, done = [], []

    def mischief(seed):
        mine = random.Random(seed)
        for i in range(ROUNDS):
            if stop.is_set():
                return
            way = mine.choice(WAYS)
            try:
                way(clients.Dialog(a.lab, a, bool(i % 2), timeout_s=10), mine)
            except MAY_END:
                pass
            except AssertionError as e:
                wrong.append(f"{way.__name__}: {e}")
            done.append(way.__name__)

    threads = [threading.Thread(target=mischief, args=(rng.random(),)) for _ in range(6)]
    for t in threads:
        t.start()
    try:
        outcome = clients.deliver_all(a.lab, a, mail.batch("amid", 300, 8192), at_once=20, bound_s=80,
                                      sources=list(GOOD))
    finally:
        for t in threads:
            t.join(60)
        stop.set()
    assert not wrong, wrong[:3]
    assert not outcome.retries, f"real mail had to try again: {outcome.retries}"
    until("delivery", 30, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    a.audit(outcome)
    print(f"{len(outcome.accepted)} messages beside {len(done)} hostile connections")


@bound(60)
def test_nothing_is_left(a):
    """Sessions, connections, hand-overs and payload memory go back to nothing."""
    names = ("sessions", "connections", "relays", "chunks_used")

    def left():
        gauges = a.counters()
        return {n: gauges[n] for n in names if gauges[n]}

    began = time.monotonic()
    last = {}

    def gone():
        last.clear()
        last.update(left())
        return not last  # a health check may be on its way: then once more
    try:
        until("nothing left", 30, gone, 0.05)
    except Exception as e:
        raise AssertionError(f"left behind: {last}") from e
    print(f"all gone after {time.monotonic() - began:.1f} s")
