# SPDX-License-Identifier: BSD-3-Clause
"""Two workers on two queue pairs of AF_PACKET, with real peers: a client's connections belong to one
worker, whichever queue the kernel chose, and both work."""

import clients
import mail
import t_bodies
from framework import bound
from lab import until
from target import Appliance

SOURCES = [f"198.18.1.{i}" for i in range(1, 21)] + [f"2001:db8:c:{i}::1" for i in range(1, 21)]
N = 600
AT_ONCE = 12
CHANGE = {"rates": [{"name": "bounces", "of": "bounces", "at_once": AT_ONCE}]}


def setup():
    ports = [{"name": name, "device": f"net_af_packet{i},iface={name},qpairs=2", "mtu": 1500}
             for i, name in enumerate(("outside", "inside"))]
    return Appliance({"host": {"workers": 2, "ports": ports}, **CHANGE}, clients=SOURCES)


@bound(90)
def test_each_client_on_one_worker(a):
    outcome = clients.deliver_all(a.lab, a, mail.batch("two", N, 4096), at_once=60, bound_s=60,
                                  sources=SOURCES)
    assert not outcome.retries, outcome.retries
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    a.audit(outcome)
    ended = until("an event per session", 10,
                  lambda: len(a.events("session")) >= N and a.events("session"))
    seen = {}
    for e in ended:
        if e["client"] in SOURCES:
            seen.setdefault(e["client"], set()).add(e["worker"])
    counts = [sum(e["worker"] == w for e in ended) for w in (0, 1)]
    wrong = [c for c, workers in seen.items() if len(workers) > 1]
    print(f"w0 {counts[0]}, w1 {counts[1]}, clients on both {len(wrong)}")
    assert len(seen) == len(SOURCES) and not wrong and all(counts), (wrong, counts)


@bound(90)
def test_large_bodies(a):
    body = t_bodies.noise(20 << 20, "workers")
    messages = [mail.Message(f"large-{i}", body) for i in range(4)]
    outcome = clients.deliver_all(a.lab, a, messages, at_once=4, bound_s=60, sources=SOURCES[::10])
    until("delivery", 30, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    a.audit(outcome)


@bound(90)
def test_a_limit_at_once_of_all_workers(a):
    """Bounces to one mailbox: the first AT_ONCE are taken, on whichever worker, and no more."""
    open_, answers = [], []
    before = len(a.events("session"))
    try:
        for src in SOURCES:
            d = clients.Dialog(a.lab, a, ":" in src, src)
            open_.append(d)
            d.hello()
            d.want(250, "MAIL FROM:<>")
            code, text = d.cmd("RCPT TO:<user@example.org>")
            assert code == 250 or (code == 450 and " 4.7.1 " in text), text
            answers.append(code)
        assert answers == [250] * AT_ONCE + [450] * (len(SOURCES) - AT_ONCE), answers
        open_[0].want(250, "RSET")
        open_[-1].want(250, "RCPT TO:<user@example.org>")
    finally:
        for d in open_:
            d.sock.close()
    ended = until("an event per session", 10, lambda: len(a.events("session")) >= before + len(SOURCES)
                  and a.events("session")[before:])
    taken = {e["worker"] for e in ended if e["rcpts"] > 0}
    assert taken == {0, 1}, taken


def test_drain_of_both(a):
    assert a.terminate(20) == 0
    a.start(image=None)
