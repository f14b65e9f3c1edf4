# SPDX-License-Identifier: BSD-3-Clause
"""Clients: a conversation written out line by line, and a crowd that retries as mail servers do."""

import asyncio
import random
import time


class Closed(Exception):
    """The server ended the connection where a reply was due."""


class Dialog:
    """One connection, one step after the other; every wait is bounded by the socket's time-out."""

    def __init__(self, lab, target, v6=False, src=None, timeout_s=20):
        self.sock = lab.connect(target.ns, target.v6 if v6 else target.v4, target.port, src, timeout_s)
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.sock.close()

    def line(self):
        while b"\n" not in self.buf:
            data = self.sock.recv(65536)
            if not data:
                raise Closed(f"closed by the server after {self.buf!r}")
            self.buf += data
        line, _, self.buf = self.buf.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def reply(self):
        """(code, whole text)"""
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1][3:4] != "-":
                return int(lines[-1][:3]), "\n".join(lines)

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def cmd(self, text):
        self.send(text + "\r\n")
        return self.reply()

    def want(self, code, text=None):
        """Sends text, if any, and insists on the reply's code."""
        got, words = self.cmd(text) if text is not None else self.reply()
        if got != code:
            raise AssertionError(f"{text!r}: {words!r}, not {code}")
        return words

    def hello(self, name="client.example"):
        self.want(220)
        return self.want(250, f"EHLO {name}")

    def envelope(self, message):
        self.want(250, f"MAIL FROM:<{message.sender}>")
        self.want(250, f"RCPT TO:<{message.rcpt}>")

    def deliver(self, message):
        """The whole message; the final reply."""
        self.envelope(message)
        self.want(354, "DATA")
        self.send(message.wire)
        return self.reply()

    def at_end(self):
        """True when the server closes in order, 'reset' when it resets; False when it says more."""
        try:
            return not (self.buf or self.sock.recv(1))
        except ConnectionResetError:
            return "reset"


class Outcome:
    def __init__(self):
        self.accepted = {}   # ident -> text of the 250
        self.refused = {}    # ident -> text of the 5yz
        self.unsure = set()  # final dot sent, no answer seen
        self.attempts = 0
        self.retries = {}    # reason -> times


async def reply_of(reader):
    lines = []
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("closed")
        lines.append(line.decode("utf-8", "replace").rstrip())
        if lines[-1][3:4] != "-":
            return int(lines[-1][:3]), "\n".join(lines)


async def attempt(lab, target, message, v6, src, outcome, reply_s):
    """One try: the code that ended it and its text. Connection losses are raised."""
    loop = asyncio.get_running_loop()
    sock = lab.socket(target.ns, target.v6 if v6 else target.v4, src)
    sock.setblocking(False)
    reader = writer = None
    sent_all = False

    async def step(text=None):
        if text is not None:
            writer.write(text)
            await asyncio.wait_for(writer.drain(), reply_s)
        return await asyncio.wait_for(reply_of(reader), reply_s)

    try:
        await asyncio.wait_for(loop.sock_connect(sock, (target.v6 if v6 else target.v4, target.port)),
                               reply_s)
        reader, writer = await asyncio.open_connection(sock=sock)
        for text, want in ((None, 220), (b"EHLO client.example\r\n", 250),
                           (b"MAIL FROM:<%s>\r\n" % message.sender.encode(), 250),
                           (b"RCPT TO:<%s>\r\n" % message.rcpt.encode(), 250), (b"DATA\r\n", 354)):
            code, words = await step(text)
            if code != want:
                return code, words
        sent_all = True
        code, words = await step(message.wire)
        sent_all = False
        if code == 250:
            outcome.accepted[message.ident] = words
        writer.write(b"QUIT\r\n")
        try:
            await asyncio.wait_for(reply_of(reader), 5)
        except (OSError, asyncio.TimeoutError):
            pass  # the message is answered; how the connection ends changes nothing
        return code, words
    finally:
        if sent_all:
            outcome.unsure.add(message.ident)
        if writer:
            writer.close()
        else:
            sock.close()


async def crowd(lab, target, messages, at_once, bound_s, v6=None, sources=None, reply_s=60,
                first_wait_s=0.2, on_accept=None):
    """Delivers all messages, at most `at_once` at a time, again after 4yz or a lost connection, as
    mail servers do, until bound_s. v6: True, False, or None for every second one."""
    outcome = Outcome()
    gate = asyncio.Semaphore(at_once)
    end = time.monotonic() + bound_s

    async def one(i, message):
        wait_s = first_wait_s
        while time.monotonic() < end:
            async with gate:
                outcome.attempts += 1
                src = sources[i % len(sources)] if sources else None
                use6 = (":" in src) if src else (i % 2 == 1 if v6 is None else v6)
                try:
                    code, words = await attempt(lab, target, message, use6, src, outcome, reply_s)
                except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as e:
                    code, words = 0, type(e).__name__
            if code == 250:
                if on_accept:
                    on_accept(len(outcome.accepted))
                return
            if code >= 500:
                outcome.refused[message.ident] = words
                return
            reason = words[:60] if code else words
            outcome.retries[reason] = outcome.retries.get(reason, 0) + 1
            await asyncio.sleep(wait_s * (0.5 + random.random()))
            wait_s = min(wait_s * 2, 3)

    await asyncio.gather(*(one(i, m) for i, m in enumerate(messages)))
    return outcome


def deliver_all(lab, target, messages, at_once=50, bound_s=60, **how):
    """crowd() to its end; raises unless every message was accepted."""
    outcome = asyncio.run(crowd(lab, target, messages, at_once, bound_s, **how))
    missing = [m.ident for m in messages if m.ident not in outcome.accepted]
    if missing:
        raise AssertionError(f"{len(missing)} of {len(messages)} not accepted within {bound_s} s; "
                             f"refused {list(outcome.refused.values())[:2]}, retried {outcome.retries}")
    return outcome
