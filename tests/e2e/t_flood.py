# SPDX-License-Identifier: BSD-3-Clause
"""Floods from addresses that do not exist, beside real mail: SYNs, bad ACKs, rubbish segments. Each
costs a constant: no session, no connection, no memory comes of them."""

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

GOOD = ("198.18.0.9", "2001:db8:600d::9")
N = 40000
SEED = 793


def setup():
    return Appliance(clients=GOOD)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def tcp_frame(eth, src, dst, sport, seq, ack, flags, options=b"", payload=b""):
    """One frame; src and dst are packed addresses of 4 or 16 bytes."""
    segment = struct.pack("!HHIIBBHHH", sport, 25, seq, ack, (5 + len(options) // 4) << 4, flags, 64240,
                          0, 0) + options + payload
    pseudo = src + dst + (struct.pack("!BBH", 0, 6, len(segment)) if len(src) == 4
                          else struct.pack("!IHBB", len(segment), 0, 0, 6))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    if len(src) == 4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, src, dst)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    else:
        head = struct.pack("!IHBB16s16s", 6 << 28, len(segment), 6, 64, src, dst)
    return eth + (b"\x08\x00" if len(src) == 4 else b"\x86\xdd") + head + segment


class Wire:
    """Frames of our own making on the internet's side of the outside wire."""

    def __init__(self, a):
        with a.lab.inside(a.ns):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.bind(("wire", 0))
        own = a.lab.run(a.ns, ["cat", "/sys/class/net/wire/address"])[1].strip()
        out = a.lab.run(a.ns, ["ip", "neigh", "show", a.v4])[1]
        theirs = out.split("lladdr")[1].split()[0]
        self.eth = b"".join(bytes.fromhex(m.replace(":", "")) for m in (theirs, own))
        self.dst = {4: socket.inet_aton(a.v4), 6: socket.inet_pton(socket.AF_INET6, a.v6)}

    def send(self, frame):
        while True:
            try:
                self.sock.send(frame)
                return
            except OSError as e:  # the device's queue is full
                if e.errno != 105:
                    raise
                time.sleep(0.001)


def source(rng, v6):
    if v6:
        return bytes.fromhex("20010db8dead") + rng.randbytes(10)
    return bytes((198, 19)) + rng.randbytes(2)


def flood(a, make, n=N):
    """n frames by make(rng, wire, i), beside real mail that must not notice; (before, after)."""
    rng = random.Random(SEED)
    wire = Wire(a)
    before = a.counters()
    sent, wrong = [], []

    def run():
        try:
            for i in range(n):
                wire.send(make(rng, wire, i))
                sent.append(1)
        except Exception as e:
            wrong.append(repr(e))

    t = threading.Thread(target=run)
    t.start()
    messages = mail.batch(f"flood-{make.__name__}", 100, 4096)
    try:
        outcome = clients.deliver_all(a.lab, a, messages, at_once=10, bound_s=60, sources=list(GOOD))
    finally:
        t.join(60)
    assert not wrong and len(sent) == n, wrong
    assert not outcome.retries, f"real mail had to try again: {outcome.retries}"
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.1)
    a.audit(outcome)
    until("an end of all sessions", 20, lambda: a.counters()["sessions"] == 0, 0.1)
    return before, a.counters()


def rose(before, after, name):
    return after[name] - before[name]


@bound(120)
def test_syn_flood(a):
    def syn(rng, wire, i):
        v6 = bool(i % 2)
        src = source(rng, v6)
        return tcp_frame(wire.eth, src, wire.dst[6 if v6 else 4], rng.randrange(1024, 65536),
                         rng.randrange(1 << 32), 0, 2, b"\x02\x04\x05\xb4")
    before, after = flood(a, syn)
    got = rose(before, after, "syn_rx")
    assert got > N // 2, f"only {got} of {N} SYNs were seen"
    opened = rose(before, after, "sessions_opened")
    assert opened <= 110, f"{opened} sessions were made of 100 messages"
    print(f"{got} spoofed SYNs beside 100 messages, {opened} sessions")


@bound(120)
def test_ack_flood(a):
    """ACKs with cookies that were never given, some with data: none makes a connection."""
    def ack(rng, wire, i):
        v6 = bool(i % 2)
        return tcp_frame(wire.eth, source(rng, v6), wire.dst[6 if v6 else 4], rng.randrange(1024, 65536),
                         rng.randrange(1 << 32), rng.randrange(1 << 32), 16,
                         payload=b"EHLO spoofed\r\n" if i % 3 == 0 else b"")
    before, after = flood(a, ack)
    opened = rose(before, after, "sessions_opened")
    assert opened <= 110, f"{opened} sessions were made of 100 messages"
    print(f"{N} spoofed ACKs beside 100 messages, {opened} sessions")


@bound(120)
def test_mixed_rubbish(a):
    """Any flags, options and lengths, cut and flipped anywhere."""
    def rubbish(rng, wire, i):
        v6 = bool(i % 2)
        options = rng.randbytes(4 * rng.randrange(11))
        frame = bytearray(tcp_frame(wire.eth, source(rng, v6), wire.dst[6 if v6 else 4],
                                    rng.randrange(65536), rng.randrange(1 << 32), rng.randrange(1 << 32),
                                    rng.randrange(256), options, rng.randbytes(rng.randrange(200))))
        if i % 4 == 0:
            frame[rng.randrange(12, len(frame))] ^= 1 << rng.randrange(8)
        if i % 8 == 1:
            del frame[rng.randrange(14, len(frame)):]
        return bytes(frame)
    before, after = flood(a, rubbish)
    opened = rose(before, after, "sessions_opened")
    assert opened <= 110, f"{opened} sessions were made of 100 messages"
    print(f"{N} frames of rubbish beside 100 messages, {opened} sessions")
