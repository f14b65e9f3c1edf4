# SPDX-License-Identifier: BSD-3-Clause
"""Bodies of every awkward kind and size, 0 B to 50 MiB, whole at the backend."""

import hashlib

import clients
import mail
from framework import bound
from lab import until
from target import Appliance

MSS = 1448
WINDOW = 65536
MIB = 1 << 20


def setup():
    return Appliance()


def noise(n, seed):
    """n bytes of text lines with all of 0x01-0xff save CR and LF, the same for the same seed."""
    out = bytearray()
    block = hashlib.sha512(seed.encode()).digest()
    table = bytes(c if c not in (0, 10, 13) else 0x2e for c in range(256))
    while len(out) < n:
        block = hashlib.sha512(block).digest()
        out += block.translate(table) * 2
        if len(out) % 1024 < 128:
            out += b"\r\n"
    body = bytes(out[:n])
    while body.endswith(b"\r"):
        body = body[:-1] + b"."
    return body


def deliver(a, messages, at_once=8, bound_s=40):
    outcome = clients.deliver_all(a.lab, a, messages, at_once=at_once, bound_s=bound_s)
    idents = list(outcome.accepted)
    until("delivery", bound_s, lambda: mail.arrived_all(a.lab, a.names, idents), 0.1)
    assert mail.audit(a.lab, a.names, idents) == 0
    assert not outcome.retries, f"retries on a wire without loss: {outcome.retries}"


def test_awkward_lines(a):
    bodies = [
        b"", b"\r\n", b"x", b".", b"..", b".\r\n", b"..\r\n", b"...\r\n.\r\n..\r\n", b".\r\n" * 500,
        b"\r\n" * 500, b"no newline at the end", b"ends in a dot\r\n.", b"ends in an empty line\r\n\r\n",
        b"a" * 998 + b"\r\n", b"a" * 999, b"a" * 2000 + b"\r\n" + b"b" * 3000 + b"\r\n",
        b"." * 998 + b"\r\n", bytes(range(128, 256)) * 7 + b"\r\n", "Grüße, почта, 邮件\r\n".encode() * 20,
        b"From here on\r\nFrom me\r\n", b"\t\r\n \r\n  .\r\n", b"QUIT\r\nRSET\r\nDATA\r\n354 go\r\n",
        b"=" * 76 + b"\r\n" + b"MIME-looking: header\r\n\r\n",
    ]
    deliver(a, [mail.Message(f"awkward-{i}", b) for i, b in enumerate(bodies * 2)])


def test_sizes_around_a_segment(a):
    deliver(a, [mail.Message(f"segment-{n}", noise(n, "segment"))
                for n in list(range(MSS - 12, MSS + 13, 2)) + [2 * MSS, 3 * MSS + 1]])


def test_sizes_around_the_inspection_window(a):
    deliver(a, [mail.Message(f"window-{k}-{n}", noise(k * WINDOW + n, "window"))
                for k in (1, 2) for n in (-700, -512, -2, -1, 0, 1, 2, 512)])


def test_dots_across_every_segment_boundary(a):
    """A line of one dot before, on and after the boundary of segments and reads."""
    line = b"y" * 61 + b"\r\n"
    deliver(a, [mail.Message(f"boundary-{n}", b"p" * n + b"\r\n" + (line + b".\r\n..\r\n") * 120)
                for n in range(0, 70, 3)])


@bound(120)
def test_1_and_10_mib(a):
    deliver(a, [mail.Message(f"mib-{n}-{i}", noise(n * MIB, f"mib{i}"))
                for n, i in ((1, 0), (1, 1), (1, 2), (10, 3), (10, 4))], bound_s=90)


@bound(200)
def test_50_mib(a):
    body = noise(50 * MIB, "fifty")
    deliver(a, [mail.Message(f"50mib-{i}", body) for i in range(2)], at_once=2, bound_s=150)


def test_beyond_the_limit(a):
    """SIZE tells; a message announced too big is refused at MAIL; nothing of it arrives."""
    with clients.Dialog(a.lab, a) as d:
        words = d.hello()
        size = [line[4:].split()[1] for line in words.split("\n") if line[4:9] == "SIZE "]
        assert size and 50 * MIB < int(size[0]) <= 62914560, words
        d.want(552, f"MAIL FROM:<a@client.example> SIZE={int(size[0]) + 1}")
        d.want(250, f"MAIL FROM:<a@client.example> SIZE={int(size[0]) - 1}")
        d.want(250, "RSET")
        d.want(221, "QUIT")


def test_chunks(a):
    """BDAT in pieces of every kind, if it is offered."""
    for v6 in (False, True):
        with clients.Dialog(a.lab, a, v6) as d:
            if "CHUNKING" not in d.hello():
                code, words = d.cmd("BDAT 4 LAST")
                assert 500 <= code <= 504, words
                return
            m = mail.Message(f"chunks-{v6}", noise(200000, "chunks") + b"\r\n.\r\nafter the dot\r\n")
            d.envelope(m)
            at = 0
            for size in (1, 1447, 65536, 3, 100000):
                d.send(b"BDAT %d\r\n" % size + m.content[at:at + size])
                d.want(250)
                at += size
            rest = m.content[at:]
            if v6:  # the end may be told by itself
                d.send(b"BDAT %d\r\n" % len(rest) + rest)
                d.want(250)
                d.want(250, "BDAT 0 LAST")
            else:
                d.send(b"BDAT %d LAST\r\n" % len(rest) + rest)
                d.want(250)
            d.want(221, "QUIT")
        until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))
        assert mail.audit(a.lab, a.names, [m.ident]) == 0
