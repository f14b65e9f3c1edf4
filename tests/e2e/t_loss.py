# SPDX-License-Identifier: BSD-3-Clause
"""Five packets of a hundred lost in each direction of each wire: slower, and otherwise the same."""

import os

import clients
import mail
import t_bodies
from framework import Skip, bound
from lab import until
from target import Appliance

PERMILLE = 50


class Lossy(Appliance):
    def close(self):
        self.lab.sh("lab_bridge_loss 0", check=False)
        super().close()


def setup():
    a = Lossy(bridged=True)
    a.lab.sh(f"lab_bridge_loss {PERMILLE}")
    return a


def arrive(a, messages, at_once, bound_s):
    outcome = clients.deliver_all(a.lab, a, messages, at_once=at_once, bound_s=bound_s)
    until("delivery", 30, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    doubled = a.audit(outcome)
    lost = int(a.lab.sh("lab_bridge_lost") or 0)
    print(f"{len(outcome.accepted)} messages, {outcome.attempts} attempts, {doubled} doubled, "
          f"{lost} packets lost so far")
    assert lost > 0, "no packet was lost: the test proved nothing"


@bound(150)
def test_many_small(a):
    arrive(a, mail.batch("lossy", 200, 4096), 50, 120)


@bound(150)
def test_one_mib(a):
    arrive(a, [mail.Message(f"lossy-mib-{i}", t_bodies.noise(1 << 20, f"lossy{i}")) for i in range(4)],
           4, 120)


@bound(400)
def test_ten_of_a_hundred(a):
    """The long variant: twice the loss, more mail."""
    if os.environ.get("POSTERN_LONG") != "1":
        raise Skip("only with --long")
    a.lab.sh("lab_bridge_loss 100")
    try:
        arrive(a, mail.batch("lossier", 500, 4096), 50, 300)
    finally:
        a.lab.sh(f"lab_bridge_loss {PERMILLE}")


@bound(60)
def test_handshakes(a):
    """Greeted though handshake segments are lost: the SYN ring re-sends what the client waits for."""
    for i in range(60):
        with clients.Dialog(a.lab, a, bool(i % 2), timeout_s=15) as d:
            d.want(220)
            d.send("QUIT\r\n")
