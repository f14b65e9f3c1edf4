# SPDX-License-Identifier: BSD-3-Clause
"""A thousand clients at once, each with its own message."""

import asyncio

import clients
import mail
from framework import bound
from lab import until
from target import Appliance

N = 1000
SOURCES = [f"198.18.1.{i}" for i in range(1, 11)] + [f"2001:db8:c:{i}::1" for i in range(1, 11)]


def setup():
    return Appliance(clients=SOURCES)


async def all_connected(a, n):
    """n connections open at the same time, each greeted; then each says good-bye."""
    loop = asyncio.get_running_loop()
    pairs = []

    async def one(i):
        src = SOURCES[i % len(SOURCES)]
        s = a.lab.socket(a.ns, a.v6 if ":" in src else a.v4, src)
        s.setblocking(False)
        await asyncio.wait_for(loop.sock_connect(s, (a.v6 if ":" in src else a.v4, a.port)), 30)
        reader, writer = await asyncio.open_connection(sock=s)
        pairs.append((reader, writer))
        return (await asyncio.wait_for(clients.reply_of(reader), 30))[0]

    async def leave(reader, writer):
        writer.write(b"QUIT\r\n")
        code = (await asyncio.wait_for(clients.reply_of(reader), 30))[0]
        writer.close()
        return code

    greeted = await asyncio.gather(*(one(i) for i in range(n)))
    left = await asyncio.gather(*(leave(r, w) for r, w in pairs))
    return greeted, left


def test_thousand_open_connections(a):
    greeted, left = asyncio.run(all_connected(a, N))
    assert greeted == [220] * N, f"{N - greeted.count(220)} not greeted"
    assert left == [221] * N, f"{N - left.count(221)} without a good-bye"


@bound(150)
def test_thousand_clients_deliver(a):
    messages = mail.batch("crowd", N, 4096)
    outcome = clients.deliver_all(a.lab, a, messages, at_once=N, bound_s=100, sources=SOURCES)
    until("delivery", 60, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.5)
    doubled = a.audit(outcome)
    print(f"{N} clients at once: delivered {len(outcome.accepted)} lost 0 doubled {doubled}, "
          f"{outcome.attempts} attempts")


@bound(120)
def test_smtp_source_thousand_sessions(a):
    """Postfix's own generator with as many sessions as messages."""
    rcpt = "crowd@example.org"
    a.lab.run(a.ns, ["smtp-source", "-s", str(N), "-m", str(N), "-l", "2048", "-R", "1", "-f",
                     "source@client.example", "-t", rcpt, f"inet:{a.v4}:25"], timeout_s=90)
    until("delivery", 30, lambda: len(mail.Arrived(a.lab, a.names).to(rcpt)) >= N, 0.5)
    got = len(mail.Arrived(a.lab, a.names).to(rcpt))
    assert got == N, f"{got} of {N}"
