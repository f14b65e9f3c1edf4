# SPDX-License-Identifier: BSD-3-Clause
"""Clients and readers for hw/quickstart: each prints one line that says what was observed.

Python's own smtplib and sockets, because swaks, curl and msmtp behave too well for what is shown
here: a client that drips, smuggles, relays or waits in a trap.
"""
import collections
import contextlib
import hashlib
import json
import smtplib
import socket
import sys
import time


def connect(server, source, timeout=10):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(timeout)
    if source:
        s.bind((source, 0))
    s.connect((server, 25))
    return s


class Lines:
    """Replies off a socket, a whole one at a time."""

    def __init__(self, s):
        self.s, self.buf = s, b""

    def reply(self):
        lines = []
        while True:
            while b"\n" not in self.buf:
                more = self.s.recv(4096)
                if not more:
                    return lines[-1] if lines else ""
                self.buf += more
            line, self.buf = self.buf.split(b"\n", 1)
            lines.append(line.decode("ascii", "replace").rstrip("\r"))
            if lines[-1][3:4] != "-":
                return lines[-1]

    def ask(self, text):
        self.s.sendall(text)
        return self.reply()


def banner(server, source):
    print(Lines(connect(server, source)).reply())


def rcpt(server, source, to, sender="alice@example.net"):
    c = Lines(connect(server, source))
    c.reply()
    c.ask(b"EHLO client.example.net\r\n")
    c.ask(b"MAIL FROM:<%s>\r\n" % sender.encode())
    answer = c.ask(b"RCPT TO:<%s>\r\n" % to.encode())
    print(answer)
    with contextlib.suppress(OSError):  # it may be closed already
        c.s.sendall(b"QUIT\r\n")


def send(server, size):
    line = b"0123456789abcdef" * 4 + b"\r\n"
    body = line * (int(size) // len(line))
    digest = hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()
    head = "From: carol@example.net\r\nTo: bob@example.org\r\nSubject: by smtplib\r\nX-Digest: %s\r\n\r\n" % digest
    with smtplib.SMTP(server, 25, local_hostname="client.example.net", timeout=25) as c:
        c.sendmail("carol@example.net", ["bob@example.org"], head.encode() + body)
    print("accepted")


def mail(server, sender):
    text = "From: %s\r\nTo: bob@example.org\r\nSubject: marked\r\n\r\nHello.\r\n" % sender
    with smtplib.SMTP(server, 25, local_hostname="client.example.net", timeout=25) as c:
        c.sendmail(sender, ["bob@example.org"], text)
    print("accepted")


def verify(path):
    head, body = open(path, "rb").read().split(b"\n\n", 1)
    want = [line.split()[1].decode() for line in head.split(b"\n") if line.startswith(b"X-Digest:")]
    print("same" if want == [hashlib.sha256(body).hexdigest()] else "different")


def drip(server, source):
    """Counts what comes after the first piece, which is the greeting's beginning."""
    s = connect(server, source)
    s.recv(1000)
    start, n = time.monotonic(), 0
    while time.monotonic() - start < 4:
        s.settimeout(max(0.1, start + 4 - time.monotonic()))
        try:
            data = s.recv(100)
        except socket.timeout:
            break
        if not data:
            print("closed after %d bytes" % n)
            return
        n += len(data)
    print("dripped %d bytes in 4 s" % n)


def silence(server, source):
    try:
        s = connect(server, source, 3)
    except socket.timeout:
        print("no answer")
        return
    except ConnectionRefusedError:
        print("refused (RST)")
        return
    s.settimeout(2)
    try:
        s.sendall(b"EHLO x\r\n")
        data = s.recv(100)
        print("heard %r" % data)
    except socket.timeout:
        print("connected, silence")
    except ConnectionResetError:
        print("connected, reset")


def errors(server, source):
    c = Lines(connect(server, source))
    c.reply()
    c.ask(b"EHLO client.example.net\r\n")
    answer = ""
    for i in range(50):
        answer = c.ask(b"NONSENSE %d\r\n" % i)
        if answer.startswith("421") or not answer:
            break
    try:
        end = c.s.recv(10) == b""
    except OSError:
        end = True
    print("%s... %s" % (answer[:40], "closed" if end else "open"))


def smuggle(server, source):
    c = Lines(connect(server, source))
    c.reply()
    c.ask(b"EHLO client.example.net\r\n")
    c.ask(b"MAIL FROM:<mallory@example.net>\r\n")
    c.ask(b"RCPT TO:<bob@example.org>\r\n")
    c.ask(b"DATA\r\n")
    answer = c.ask(
        b"Subject: innocent\r\n\r\nbody\n.\r\nMAIL FROM:<admin@example.org>\r\nRCPT TO:<bob@example.org>\r\n"
        b"DATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\n")
    print(answer)


def events(path):
    counts = collections.Counter()
    clients = collections.defaultdict(set)
    for line in open(path):
        e = json.loads(line)
        if "client" not in e:
            continue
        key = (e.get("verdict", ""), e.get("phase", ""), e.get("reason", ""), str(e.get("code", "")))
        counts[key] += 1
        clients[key].add(e["client"])
    rows = [("sessions", "verdict", "at", "reason", "last code", "clients")]
    for key, n in counts.most_common():
        rows.append((str(n),) + key + (", ".join(sorted(clients[key])[:3]),))
    widths = [max(len(r[i]) for r in rows) for i in range(6)]
    for r in rows:
        print("  ".join(r[i].ljust(widths[i]) for i in range(6)).rstrip())


def lines():
    for line in sys.stdin:
        e = json.loads(line)
        what = " ".join(str(e[k]) for k in ("client", "verdict", "phase", "reason", "code", "mail", "rcpt", "text")
                        if e.get(k))
        print("\r\033[K%s %-12s %s" % (e["time"][11:23], e["event"], what), flush=True)


def status():
    try:
        s = json.load(sys.stdin)
    except ValueError:
        print("manager does not answer;")
        return
    s = s.get("dataplane", s) if isinstance(s.get("dataplane", s), dict) else s
    print("epoch %s, %s, %s sessions," % (s.get("epoch", "?"), s.get("state", "?"), s.get("sessions", "?")))


def main():
    commands = {f.__name__: f for f in (banner, rcpt, mail, send, verify, drip, silence, errors, smuggle, events, lines, status)}
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except (OSError, smtplib.SMTPException) as e:
        print("%s: %s" % (type(e).__name__, e))
        sys.exit(1)


main()
