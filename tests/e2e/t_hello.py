# SPDX-License-Identifier: BSD-3-Clause
"""How the backend learns who the client is: PROXY v2, XCLIENT, or not at all. Postfix's own Received
line says whom it saw."""

import re

import clients
import mail
from lab import until
from target import MAIL1, Appliance, merged

CLIENTS = ("203.0.113.7", "2001:db8:c1::7")
PORTS = {"proxy-v2": 25, "xclient": 2526, "none": 2525}


def pools(hello):
    return {"pools": [{"name": "main", "hello": hello, "check_interval_ms": 1000, "servers": [
        {"name": "mail1", "address": MAIL1[0], "port": PORTS[hello], "max_connections": 20}]}]}


def setup():
    return Appliance(pools("proxy-v2"), clients=CLIENTS)


def use(a, hello, more=None):
    """Runs the appliance with this pool, anew."""
    if a.process.poll() is None:
        a.terminate()
    a.compile(merged(pools(hello), more))
    a.start()


def seen(a, hello, src, v6, n=3):
    """The addresses in the topmost Received lines of n messages of one session."""
    found = []
    messages = [mail.Message(f"{hello}-{v6}-{i}", b"who am I\r\n") for i in range(n)]
    with clients.Dialog(a.lab, a, v6, src) as d:
        d.hello("named.client.example")
        for m in messages:
            assert d.deliver(m)[0] == 250
        d.want(221, "QUIT")
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident for m in messages]))
    got = mail.Arrived(a.lab, a.names)
    for m in messages:
        received = re.search(r"^Received: from (\S+) \(.*?\[(?:IPv6:)?([0-9a-f.:]+)\]\)", got.head(m.ident),
                             re.M)
        assert received, got.head(m.ident)
        found.append(received.groups())
    return found


def insist(a, hello, want4, want6):
    for src, v6, want in ((CLIENTS[0], False, want4), (CLIENTS[1], True, want6)):
        for helo, address in seen(a, hello, src, v6):
            assert address == want, f"{hello}: Postfix saw {address}, not {want}"
            assert helo == "named.client.example", f"{hello}: Postfix heard EHLO {helo}"


def test_proxy_v2(a):
    insist(a, "proxy-v2", *CLIENTS)


def test_xclient(a):
    use(a, "xclient")
    insist(a, "xclient", *CLIENTS)


def test_xclient_one_connection_serves_several_clients(a):
    """Clients in turn, of both families: none is taken for the one before."""
    for i in range(4):
        src, v6 = CLIENTS[i % 2], bool(i % 2)
        m = mail.Message(f"turn-{i}", b"my turn\r\n")
        with clients.Dialog(a.lab, a, v6, src) as d:
            d.hello(f"turn{i}.client.example")
            assert d.deliver(m)[0] == 250
            d.want(221, "QUIT")
        until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))
        head = mail.Arrived(a.lab, a.names).head(m.ident)
        assert src in head and f"turn{i}.client.example" in head, head


def test_none(a):
    use(a, "none")
    insist(a, "none", "198.51.100.2", "198.51.100.2")


def test_backend_over_ipv6(a):
    """An IPv4 client handed to a backend that has IPv6 alone, and the reverse."""
    change = {"pools": [{"name": "main", "hello": "proxy-v2", "check_interval_ms": 1000, "servers": [
        {"name": "mail1", "address": MAIL1[1], "port": 25, "max_connections": 20}]}]}
    if a.process.poll() is None:
        a.terminate()
    a.compile(change)
    a.start()
    for src, v6 in ((CLIENTS[0], False), (CLIENTS[1], True)):
        for _, address in seen(a, "six", src, v6):
            assert address == src, address


def test_received_line_of_ours(a):
    use(a, "proxy-v2", {"smtp": {"add_received": True}})
    m = mail.Message("received", b"one more hop\r\n")
    with clients.Dialog(a.lab, a, False, CLIENTS[0]) as d:
        d.hello()
        assert d.deliver(m)[0] == 250
        d.want(221, "QUIT")
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))
    mail.audit(a.lab, a.names, [m.ident])
    ours = re.search(r"^Received: from .*\n(?:[ \t].*\n)*", mail.Arrived(a.lab, a.names).head(m.ident)
                     .split("Received:", 2)[2].join(["Received:", ""]), re.M)
    assert ours and "mx.example.org" in ours.group(0) and CLIENTS[0] in ours.group(0), \
        mail.Arrived(a.lab, a.names).head(m.ident)
