# SPDX-License-Identifier: BSD-3-Clause
"""Messages that can be recognised at the backend, and the audit of what arrived.

Each message carries its number and the SHA-256 of its body. A body is compared in the form in which
a Maildir holds it: lines end in LF, the last one too.
"""

import hashlib
import os
import re

BAD_ENOUGH = 5  # how many ids a complaint names


def canonical(body):
    body = body.replace(b"\r\n", b"\n")
    return body if not body or body.endswith(b"\n") else body + b"\n"


class Message:
    """`body` has CR LF line ends, unstuffed. `wire` is what follows DATA, final dot included."""

    def __init__(self, ident, body, rcpt="user@example.org", sender="sender@client.example",
                 subject="test"):
        self.ident, self.rcpt, self.sender = ident, rcpt, sender
        self.sha = hashlib.sha256(canonical(body)).hexdigest()
        head = (f"From: <{sender}>\r\nTo: <{rcpt}>\r\nSubject: {subject}\r\n"
                f"Message-Id: <{ident}@client.example>\r\nX-Test-Id: {ident}\r\n"
                f"X-Test-Sha: {self.sha}\r\n\r\n").encode()
        self.content = head + body
        stuffed = self.content
        if b"\n." in stuffed:
            stuffed = stuffed.replace(b"\n.", b"\n..")
        if not stuffed.endswith(b"\r\n"):
            stuffed += b"\r\n"
        self.wire = stuffed + b".\r\n"


def batch(prefix, n, size=2048):
    """n messages of about `size` bytes of body, all different."""
    line = b"%s %06d " + b"x" * 60 + b"\r\n"
    return [Message(f"{prefix}-{i}", b"".join(line % (prefix.encode(), i * 1000 + k)
                                              for k in range(max(1, size // 75))))
            for i in range(n)]


class Arrived:
    """What lies in a set of Maildirs."""

    def __init__(self, lab, names):
        self.count, self.altered, self.where = {}, [], {}
        self.others = []  # messages without our headers
        for name in names:
            for path in lab.maildir(name):
                self.read(path, name)

    def read(self, path, name):
        try:
            with open(path, "rb") as f:
                head, _, body = f.read().partition(b"\n\n")
        except FileNotFoundError:
            return
        ident = re.search(rb"^X-Test-Id: (\S+)", head, re.M)
        sha = re.search(rb"^X-Test-Sha: (\S+)", head, re.M)
        if not ident or not sha:
            self.others.append((path, head.decode("utf-8", "replace")))
            return
        ident = ident.group(1).decode()
        self.count[ident] = self.count.get(ident, 0) + 1
        self.where.setdefault(ident, []).append((name, path))
        if hashlib.sha256(body).hexdigest() != sha.group(1).decode():
            self.altered.append(ident)

    def head(self, ident):
        with open(self.where[ident][0][1], "rb") as f:
            return f.read().partition(b"\n\n")[0].decode("utf-8", "replace")

    def to(self, rcpt):
        """Messages without our headers that went to this recipient."""
        return [p for p, head in self.others if f"Delivered-To: {rcpt}" in head]


def audit(lab, names, accepted, unsure=()):
    """Raises unless every accepted message arrived whole and once. `unsure` were sent up to the
    final dot and lost their answer: those alone may be there twice. Returns how many are."""
    got = Arrived(lab, names)
    mine = set(accepted) | set(unsure)  # what earlier tests sent is theirs to judge
    lost = [i for i in accepted if i not in got.count]
    altered = [i for i in got.altered if i in mine]
    doubled = [i for i, n in got.count.items() if n > 1 and i in mine]
    unexplained = [i for i in doubled if i not in unsure]
    wrong = []
    for what, ids in (("lost", lost), ("altered", altered), ("doubled", unexplained)):
        if ids:
            wrong.append(f"{len(ids)} {what} ({', '.join(map(str, ids[:BAD_ENOUGH]))})")
    if wrong:
        raise AssertionError("; ".join(wrong) + f"; of {len(accepted)} accepted")
    return len(doubled)


def arrived_all(lab, names, idents):
    """True once every ident is in a Maildir."""
    return set(idents) <= set(Arrived(lab, names).count)


def file_of(directory, message):
    path = os.path.join(directory, f"{message.ident}.eml")
    with open(path, "wb") as f:
        f.write(message.content)
    return path
