# SPDX-License-Identifier: BSD-3-Clause
"""The mail programs people use, over IPv4 and IPv6, through the appliance to Postfix."""

import smtplib

import clients
import mail
from lab import until
from target import Appliance


def setup():
    return Appliance()


def through(a, ident, run, v6, **how):
    """One message by a program: `run(address, message, path of it)`; then the audit."""
    message = mail.Message(f"{ident}-{'v6' if v6 else 'v4'}",
                           b"First line\r\n.dot first\r\n\r\nLast line\r\n", **how)
    run(a.v6 if v6 else a.v4, message, mail.file_of(a.lab.dir, message))
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [message.ident]))
    assert mail.audit(a.lab, a.names, [message.ident]) == 0


def swaks(a, v6):
    def run(address, message, path):
        with open(path, "rb") as f:
            text = f.read().replace(b"\r\n", b"\n")
        with open(path, "wb") as f:
            f.write(text[:-1])  # swaks ends the last line itself
        a.lab.run(a.ns, ["swaks", "-6" if v6 else "-4", "--server", address, "--port", "25", "--helo",
                         "client.example", "--from", message.sender, "--to", message.rcpt, "--data",
                         "@" + path, "--timeout", "20"])
    through(a, "swaks", run, v6)


def msmtp(a, v6):
    def run(address, message, path):
        with open(path, "rb") as f:
            text = f.read().replace(b"\r\n", b"\n")
        a.lab.run(a.ns, ["msmtp", "--file=/dev/null", f"--host={address}", "--port=25", "--auth=off",
                         "--tls=off", "--domain=client.example", f"--from={message.sender}",
                         "--timeout=20", message.rcpt], data=text)
    through(a, "msmtp", run, v6)


def curl(a, v6):
    def run(address, message, path):
        host = f"[{address}]" if v6 else address
        a.lab.run(a.ns, ["curl", "-sS", "--max-time", "20", f"smtp://{host}:25/client.example",
                         "--mail-from", message.sender, "--mail-rcpt", message.rcpt,
                         "--upload-file", path])
    through(a, "curl", run, v6)


class Smtplib(smtplib.SMTP):
    """Python's own client with sockets of the namespace."""

    def __init__(self, lab, ns, address):
        self.lab_socket = lambda port: lab.connect(ns, address, port)
        super().__init__(address, 25, "client.example", timeout=20)

    def _get_socket(self, host, port, timeout):
        return self.lab_socket(port)


def python(a, v6):
    def run(address, message, path):
        with Smtplib(a.lab, a.ns, address) as s:
            assert s.sendmail(message.sender, [message.rcpt], message.content) == {}
    through(a, "smtplib", run, v6)


def test_swaks_v4(a):
    swaks(a, False)


def test_swaks_v6(a):
    swaks(a, True)


def test_msmtp_v4(a):
    msmtp(a, False)


def test_msmtp_v6(a):
    msmtp(a, True)


def test_curl_v4(a):
    curl(a, False)


def test_curl_v6(a):
    curl(a, True)


def test_smtplib_v4(a):
    python(a, False)


def test_smtplib_v6(a):
    python(a, True)


def smtp_source(a, address, rcpt):
    n = 200
    a.lab.run(a.ns, ["smtp-source", "-s", "20", "-m", str(n), "-l", "4096", "-f",
                     "source@client.example", "-t", rcpt, f"inet:{address}:25"])
    until("delivery", 30, lambda: len(mail.Arrived(a.lab, a.names).to(rcpt)) >= n)
    until("an empty queue", 20, lambda: all(a.lab.queued(name) == 0 for name in a.names))
    got = len(mail.Arrived(a.lab, a.names).to(rcpt))
    assert got == n, f"{got} messages arrived of {n}"


def test_smtp_source_v4(a):
    smtp_source(a, a.v4, "source4@example.org")


def test_smtp_source_v6(a):
    smtp_source(a, f"[{a.v6}]", "source6@example.org")


def test_one_session_many_messages(a):
    messages = mail.batch("session", 50)
    for v6 in (False, True):
        with clients.Dialog(a.lab, a, v6) as d:
            d.hello()
            for m in messages[v6::2]:
                code, words = d.deliver(m)
                assert code == 250, words
            d.want(221, "QUIT")
            assert d.at_end() is True, "the server does not close after QUIT"
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident for m in messages]))
    assert mail.audit(a.lab, a.names, [m.ident for m in messages]) == 0


def test_backend_refusals_pass_through(a):
    with clients.Dialog(a.lab, a) as d:
        d.hello()
        d.want(250, "MAIL FROM:<sender@client.example>")
        code, words = d.cmd("RCPT TO:<nosuch@example.org>")
        assert code == 550 and "5.1.1" in words, words
        code, words = d.cmd("RCPT TO:<full@example.org>")
        assert code == 452 and "4.2.2" in words, words
        code, words = d.cmd("RCPT TO:<someone@elsewhere.example>")
        assert code == 550 and "5.7.1" in words, words
        d.want(250, "RCPT TO:<user@example.org>")
        d.want(250, "RSET")
        d.want(221, "QUIT")


def test_pipelined_in_one_segment(a):
    m = mail.Message("pipelined", b"all at once\r\n")
    with clients.Dialog(a.lab, a) as d:
        d.want(220)
        d.want(250, "EHLO client.example")
        d.send(f"MAIL FROM:<{m.sender}>\r\nRCPT TO:<{m.rcpt}>\r\nDATA\r\n")
        for code in (250, 250, 354):
            d.want(code)
        d.send(m.wire + b"QUIT\r\n")
        d.want(250)
        d.want(221)
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))


def test_byte_by_byte(a):
    """A client that sends each byte in a segment of its own."""
    m = mail.Message("bytewise", b"slow and steady\r\n.\r\n..\r\n")
    with clients.Dialog(a.lab, a, True) as d:
        d.want(220)
        for text, code in ((b"EHLO client.example\r\n", 250), (b"MAIL FROM:<a@client.example>\r\n", 250),
                           (b"RCPT TO:<user@example.org>\r\n", 250), (b"DATA\r\n", 354), (m.wire, 250),
                           (b"QUIT\r\n", 221)):
            for i in range(len(text)):
                d.send(text[i:i + 1])
            d.want(code)
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))
    assert mail.audit(a.lab, a.names, [m.ident]) == 0
