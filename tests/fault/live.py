#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The live shell under an operator's hands: ended in a hurry, drained server by server, given new
policies by the manager with a session open, its log rotated, a worker that stands still. As root.

    tests/fault/live.py [WORD...]     only tests whose group/name contains a word
"""

import ctypes
import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
import clients
import framework
import mail
from framework import bound
from lab import LabError, until
from managed import Managed
from t_manager import LISTED, LISTS
from target import MAIL1, MAIL2

FILE_MAX = 64 << 20  # where the log of events rotates
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
SERVERS = {"pools": [{"name": "main", "hello": "proxy-v2", "check_interval_ms": 500, "servers": [
    {"name": n, "address": m[0], "port": 25, "max_connections": 50}
    for n, m in (("mail1", MAIL1), ("mail2", MAIL2))]}]}


def setup():
    return Managed.started(SERVERS, clients=LISTED, servers=(("mail1",) + MAIL1, ("mail2",) + MAIL2), name="fault")


def config(a, lists=None):
    return a.configuration(dict(SERVERS, **(lists or {})))


# ---- ended before its sessions are ----

def amid_a_message(a, name):
    """A session past 354 that a drain waits for."""
    m = mail.Message(name, b"never finished\r\n" * 1000)
    d = clients.Dialog(a.lab, a)
    d.hello()
    d.envelope(m)
    d.want(354, "DATA")
    d.send(m.wire[:5000])
    return d


@bound(60)
def test_second_sigterm_ends_at_once(a):
    with amid_a_message(a, "hurry"):
        a.process.send_signal(signal.SIGTERM)
        until("the drain", 5, lambda: a.events("drain"))
        time.sleep(1)  # it goes on waiting for the message
        assert a.process.poll() is None, f"exit {a.process.returncode}: the message was not waited for"
        began = time.monotonic()
        assert a.terminate(5) == 4
        assert time.monotonic() - began < 2
    a.start()


@bound(60)
def test_drain_timeout(a):
    a.terminate()
    arguments = a.arguments
    a.arguments = lambda *words: arguments(*words) + ["--drain-timeout", "3"]
    try:
        a.start()
    finally:
        del a.arguments
    with amid_a_message(a, "too-long"):
        began = time.monotonic()
        assert a.terminate(10) == 4
        took = time.monotonic() - began
        assert 2.8 < took < 5, f"ended after {took:.1f} s, 3 were given"
    a.start()


# ---- a server drained by hand ----

def places(a, name, n=20):
    """Delivers n messages; how many each server got."""
    messages = mail.batch(name, n)
    outcome = clients.deliver_all(a.lab, a, messages, at_once=5, bound_s=30)
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted))
    where = mail.Arrived(a.lab, a.names).where
    return {s: sum(where[m.ident][0][0] == s for m in messages) for s in a.names}


@bound(90)
def test_backend_drain(a):
    before = places(a, "both")
    assert all(before.values()), before
    a.ask("backend.drain", {"server": "mail1", "on": True})
    assert places(a, "drained") == {"mail1": 0, "mail2": 20}
    assert any("mail1 on" in e["text"] for e in a.events("backend-drain"))
    a.reload(dict(SERVERS, **LISTS))  # a new policy does not forget it
    assert places(a, "still-drained") == {"mail1": 0, "mail2": 20}
    a.ask("backend.drain", {"server": "mail1", "on": False})
    after = places(a, "back")
    assert all(after.values()), after
    a.reload(SERVERS)


def test_backend_drain_says_what_is_wrong(a):
    for params, word in (({"server": "mail9", "on": True}, "unknown_server"), ({"server": "mail1"}, "bad_params"),
                         ({"on": True}, "bad_params")):
        try:
            a.ask("backend.drain", params)
        except LabError as e:
            assert word in str(e), e
        else:
            raise AssertionError(f"{params} was taken")


# ---- policies by the manager ----

@bound(60)
def test_lists_by_the_manager_with_a_session_open(a):
    """List entry added: refused; removed: accepted. A session open all the while goes on to its
    delivery; one of an address listed meanwhile hears of it at its next RCPT."""
    m = mail.Message("all-the-while", b"slowly\r\n" * 2000)
    with clients.Dialog(a.lab, a) as d, clients.Dialog(a.lab, a, src=LISTED[0]) as listed:
        d.hello()
        listed.hello()
        listed.want(250, f"MAIL FROM:<{m.sender}>")
        d.want(250, f"MAIL FROM:<{m.sender}>")
        code, out = a.ctl("load", config(a, LISTS))
        assert code == 0, out
        assert [a.greeting(s) for s in LISTED] == [521, 521]
        listed.want(550, f"RCPT TO:<{m.rcpt}>")
        d.want(250, f"RCPT TO:<{m.rcpt}>")
        d.want(354, "DATA")
        d.send(m.wire[:4000])
        code, out = a.ctl("load", config(a))
        assert code == 0, out
        assert [a.greeting(s) for s in LISTED] == [220, 220]
        d.send(m.wire[4000:])
        d.want(250)
        d.want(221, "QUIT")
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, [m.ident]))


# ---- statistics and events ----

@bound(60)
def test_statistics_are_readable_while_it_works(a):
    """Read all the time while mail flows: never torn, never falling."""
    seen, wrong, over = [], [], threading.Event()

    def read():
        try:
            while not over.is_set():
                seen.append(a.counters())
        except Exception as e:  # pylint: disable=broad-except
            wrong.append(repr(e))

    t = threading.Thread(target=read)
    t.start()
    try:
        clients.deliver_all(a.lab, a, mail.batch("watched", 200), at_once=20, bound_s=40)
    finally:
        over.set()
        t.join(20)
    assert not wrong and len(seen) > 5, (wrong, len(seen))
    for name in ("shell_rx_frames", "shell_tx_frames"):
        values = [s[name] for s in seen]
        assert values == sorted(values) and values[-1] > values[0], (name, values[:20])


@bound(60)
def test_events_rotate(a):
    log = a.path("events.jsonl")
    a.terminate()
    os.rename(log, log + ".kept")
    with open(log, "wb") as f:
        f.truncate(FILE_MAX - 1)
    a.start()
    until("the rotated file", 10, lambda: os.path.exists(log + ".1"))
    assert os.path.getsize(log + ".1") >= FILE_MAX
    clients.deliver_all(a.lab, a, mail.batch("rotated", 3), bound_s=20)
    until("sessions in the new file", 5, lambda: len(a.events("session")) >= 3)
    assert os.path.getsize(log) < 1 << 20
    os.unlink(log + ".1")


class Stopped:
    """Stops one thread of the process, as a bug or a stolen core would. The kernel lets only the
    thread that began with it end it."""

    def __init__(self, pid):
        names = {t: open(f"/proc/{pid}/task/{t}/comm").read().strip()
                 for t in os.listdir(f"/proc/{pid}/task")}
        workers = [int(t) for t, n in names.items() if "worker" in n]
        if not workers:
            raise LabError(f"no worker among the threads {names}")
        self.tid = workers[0]

    def call(self, request):
        if libc.ptrace(request, self.tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {self.tid}")

    def __enter__(self):
        self.call(PTRACE_SEIZE)
        self.call(PTRACE_INTERRUPT)
        os.waitpid(self.tid, 0x40000000)  # __WALL
        return self

    def __exit__(self, *args):
        self.call(PTRACE_DETACH)


@bound(60)
def test_a_silent_worker_is_told_of_and_blocks_nobody(a):
    """Stopped while at work (asleep it would be no fault): an event after a second; status and a new
    policy are answered meanwhile; afterwards all goes on and the new policy holds."""
    over = threading.Event()

    def noise():  # frames keep the worker from sleeping
        with a.lab.connect(a.ns, a.v4, a.port) as s:
            while not over.is_set():
                s.send(b"NOOP\r\n" if s.recv(4096) else b"")

    t = threading.Thread(target=noise, daemon=True)
    t.start()
    try:
        pid = inner(a.process.pid)
        for _ in range(10):
            with Stopped(pid):
                time.sleep(1.5)
                if a.events("worker-silent"):
                    assert a.ask("status")["state"] == "running"
                    a.reload(dict(SERVERS, **LISTS))
                    break
        events = a.events("worker-silent")
    finally:
        over.set()
        t.join(25)
    assert events, "ten times stopped for 1.5 s, and no event"
    assert "worker 0" in events[0]["text"], events
    assert [a.greeting(s) for s in LISTED] == [521, 521]
    a.reload(SERVERS)
    assert [a.greeting(s) for s in LISTED] == [220, 220]


def inner(pid):
    """`ip netns exec` becomes the program it runs: one process."""
    with open(f"/proc/{pid}/comm") as f:
        name = f.read().strip()
    assert name.startswith("postern-datapl"), name
    return pid


if __name__ == "__main__":
    __name__ = "live"  # the group of the tests' names
    sys.exit(framework.main([sys.modules["__main__"]]))
