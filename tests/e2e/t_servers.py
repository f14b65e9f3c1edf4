# SPDX-License-Identifier: BSD-3-Clause
"""Backends that die, come back, are all away, or are full: nothing accepted is lost, and nobody but a
backend ever says 250 to a message."""

import asyncio

import clients
import mail
from framework import bound
from lab import until
from target import MAIL1, MAIL2, Appliance

N = 1000


class Pair(Appliance):
    def mend(self):
        """Both servers run again, whatever the failed test left."""
        for name, (v4, _) in (("mail1", MAIL1), ("mail2", MAIL2)):
            self.lab.sh(f"ip -n $LAB_MAIL addr replace {v4}/24 dev wire")
            self.lab.sh(f"lab_listening $LAB_MAIL {v4} 2525 || lab_postfix_restart {name}")
        super().mend()


def setup():
    servers = [{"name": n, "address": m[0], "port": 25, "max_connections": 50}
               for n, m in (("mail1", MAIL1), ("mail2", MAIL2))]
    return Pair({"pools": [{"name": "main", "hello": "proxy-v2", "check_interval_ms": 500,
                            "connect_timeout_ms": 2000, "servers": servers}]},
                servers=(("mail1",) + MAIL1, ("mail2",) + MAIL2))


def test_both_share_the_work(a):
    outcome = clients.deliver_all(a.lab, a, mail.batch("share", 100), at_once=20, bound_s=30)
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted))
    mail.audit(a.lab, a.names, outcome.accepted)
    got = mail.Arrived(a.lab, a.names)
    per = {n: sum(w[0][0] == n for w in got.where.values()) for n in a.names}
    assert all(v >= 20 for v in per.values()), f"uneven: {per}"


@bound(150)
def test_one_of_two_killed_amid_1000_messages(a):
    messages = mail.batch("kill", N)
    killed = []

    def on_accept(n):
        if n >= N // 3 and not killed:
            killed.append(n)
            a.lab.sh("lab_postfix_stop mail1 kill")

    outcome = asyncio.run(clients.crowd(a.lab, a, messages, 50, 100, on_accept=on_accept))
    assert killed, "the server was never killed"
    # what mail1 had accepted lies in its queue: it delivers when it is back
    a.lab.sh("lab_postfix_restart mail1")
    until("delivery", 40, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    doubled = a.audit(outcome)
    lost = N - len(outcome.accepted)
    print(f"delivered {len(outcome.accepted)} lost {lost} (doubled {doubled}, unsure "
          f"{len(outcome.unsure)}, {outcome.attempts} attempts, {outcome.retries})")
    assert lost == 0 and not outcome.refused, f"{lost} not delivered, {outcome.refused}"


def reply_to_rcpt(a):
    """What a client hears that tries to deliver: the codes of RCPT and, if it came so far, of the dot."""
    m = mail.Message(f"try-{id(object())}", b"?\r\n")
    with clients.Dialog(a.lab, a, timeout_s=15) as d:
        d.hello()
        d.want(250, f"MAIL FROM:<{m.sender}>")
        codes = [d.cmd(f"RCPT TO:<{m.rcpt}>")[0]]
        if codes[0] == 250:
            codes.append(d.cmd("DATA")[0])
            if codes[1] == 354:
                d.send(m.wire)
                codes.append(d.reply()[0])
        return codes


@bound(90)
def test_no_backend(a):
    """451, never a 250 of our own; and mail again as soon as one is back."""
    for name in a.names:
        a.lab.sh(f"lab_postfix_stop {name} kill")
    until("451 at RCPT", 20, lambda: reply_to_rcpt(a) == [451], 0.2)
    for _ in range(5):
        codes = reply_to_rcpt(a)
        assert codes == [451], codes
    a.lab.sh("lab_postfix_restart mail2")
    until("mail again", 20, lambda: reply_to_rcpt(a) == [250, 354, 250], 0.2)
    a.lab.sh("lab_postfix_restart mail1")


@bound(60)
def test_killed_between_354_and_the_dot(a):
    """The transaction's server dies in the body: 451 after the dot, nothing claimed."""
    m = mail.Message("half", b"the rest of a long body\r\n" * 8000)
    with clients.Dialog(a.lab, a, timeout_s=20) as d:
        d.hello()
        d.envelope(m)
        d.want(354, "DATA")
        d.send(m.wire[:150000])
        for name in a.names:
            a.lab.sh(f"lab_postfix_stop {name} kill")
        d.send(m.wire[150000:])
        code, words = d.reply()
        assert code == 451, words
    for name in a.names:
        a.lab.sh(f"lab_postfix_restart {name}")
    until("mail again", 20, lambda: reply_to_rcpt(a) == [250, 354, 250], 0.2)
    assert m.ident not in mail.Arrived(a.lab, a.names).count


@bound(60)
def test_silent_server(a):
    """A server that is stopped in its tracks (no RST, no FIN): the next one takes the work."""
    a.lab.sh("ip -n $LAB_MAIL addr del 198.51.100.10/24 dev wire")
    try:
        until("mail by the other server", 40, lambda: reply_to_rcpt(a) == [250, 354, 250], 0.2)
        outcome = clients.deliver_all(a.lab, a, mail.batch("silent", 40), at_once=10, bound_s=40)
    finally:
        a.lab.sh("ip -n $LAB_MAIL addr add 198.51.100.10/24 dev wire")
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted))
    a.audit(outcome)
