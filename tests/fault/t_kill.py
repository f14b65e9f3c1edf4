# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of the dataplane in mid-traffic. It comes back from the last image; no accepted message is
lost, and only a message whose answer was lost with the process may be there twice."""

import asyncio

import clients
import mail
from framework import bound
from lab import until
from target import Appliance

N = 600


def setup():
    return Appliance(name="fault")


@bound(120)
def test_kill_9_amid_traffic(a):
    messages = mail.batch("kill9", N)
    times = []

    def on_accept(n):
        if n >= N // 4 * (len(times) + 1) and len(times) < 2:
            times.append(n)
            a.kill()
            a.start_again()

    outcome = asyncio.run(clients.crowd(a.lab, a, messages, 40, 90, on_accept=on_accept, reply_s=10))
    assert len(times) == 2, "it was never killed"
    until("banner after the restart", 20, a.greets, 0.1)
    until("delivery", 30, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    doubled = mail.audit(a.lab, a.names, outcome.accepted, outcome.unsure)
    print(f"killed twice amid {N}: delivered {len(outcome.accepted)} lost "
          f"{N - len(outcome.accepted)} doubled {doubled} unsure {len(outcome.unsure)}, "
          f"{outcome.attempts} attempts")
    assert len(outcome.accepted) == N, f"{outcome.retries}, {outcome.refused}"


def test_restarts_from_its_own_image(a):
    """Without the manager and without the compiler's file: what it last committed is what it runs."""
    a.kill()
    a.start(image=None)
    clients.deliver_all(a.lab, a, mail.batch("own-image", 10), at_once=5, bound_s=20)


@bound(60)
def test_clients_of_the_dead_process_are_told(a):
    """A segment of a connection that nobody knows any more is answered by a reset."""
    with clients.Dialog(a.lab, a, timeout_s=15) as d:
        d.hello()
        a.kill()
        a.start(image=None)
        d.send("NOOP\r\n")
        try:
            data = d.sock.recv(100)
            raise AssertionError(f"the new process answered an old connection: {data!r}")
        except ConnectionResetError:
            pass


@bound(60)
def test_backend_gone_and_back_while_down(a):
    a.kill()
    a.lab.sh("lab_postfix_stop mail1")
    a.start_again()
    until("the port answers", 20, a.greets, 0.1)
    a.lab.sh("lab_postfix_restart mail1")
    clients.deliver_all(a.lab, a, mail.batch("both-down", 5), at_once=5, bound_s=30)
