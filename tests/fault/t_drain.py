# SPDX-License-Identifier: BSD-3-Clause
"""SIGTERM: 421 to the idle, those in a message finish, exit 0 (P10)."""

import threading

import clients
import mail
from framework import bound
from lab import until
from target import Appliance


def setup():
    return Appliance(name="fault")


@bound(60)
def test_drain(a):
    m = mail.Message("draining", b"half before, half after\r\n" * 20000)
    idle4, idle6 = clients.Dialog(a.lab, a), clients.Dialog(a.lab, a, True)
    busy = clients.Dialog(a.lab, a)
    with idle4, idle6, busy:
        idle4.hello()
        idle6.want(220)
        busy.hello()
        busy.envelope(m)
        busy.want(354, "DATA")
        busy.send(m.wire[:200000])
        status = []
        waiter = threading.Thread(target=lambda: status.append(a.terminate(40)))
        waiter.start()
        for d in (idle4, idle6):
            assert d.reply()[0] == 421
            assert d.at_end() is True
        busy.send(m.wire[200000:])
        code, words = busy.reply()
        assert code == 250, words
        waiter.join(45)
        assert status == [0], f"exit status {status}"
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))
    mail.audit(a.lab, a.names, [m.ident])
    a.start()


@bound(30)
def test_drain_of_an_idle_appliance(a):
    assert a.terminate(15) == 0
    a.start()


@bound(90)
def test_drain_under_traffic_loses_nothing(a):
    import asyncio
    messages = mail.batch("drained", 300)
    times = []

    def on_accept(n):
        if n >= 100 and not times:
            times.append(n)
            threading.Thread(target=again).start()

    status = []

    def again():
        status.append(a.terminate(40))
        a.start_again()

    outcome = asyncio.run(clients.crowd(a.lab, a, messages, 30, 70, on_accept=on_accept, reply_s=20))
    assert status == [0], f"exit status {status}"
    assert len(outcome.accepted) == len(messages), f"{outcome.retries} {outcome.refused}"
    assert not outcome.unsure, f"{len(outcome.unsure)} sessions past 354 were cut off"
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    assert mail.audit(a.lab, a.names, outcome.accepted) == 0
