# SPDX-License-Identifier: BSD-3-Clause
"""A second dataplane takes over new clients on the same ports while the first finishes its sessions."""

import asyncio
import json
import os
import subprocess
import threading
import time

import clients
import mail
from framework import bound
from lab import until
from target import Appliance

GREY = {"greylist": {"state": "shadow", "capacity": 10000}}


class Two(Appliance):
    old = None

    def take_over(self):
        """Starts the successor; waits until it answers on the control socket."""
        self.old = self.process
        argv = self.arguments(None) + ["--name", f"successor-{time.monotonic_ns()}", "--take-over"]
        self.process = self.lab.start(self.lab.app, argv, "successor.log")

        def answers():
            assert self.process.poll() is None, self.log_of("successor.log")
            try:
                return self.ask("status")["name"] == argv[-2]
            except OSError:
                return False
        until("the successor's control socket", 20, answers, 0.02)

    def log_of(self, name):
        with open(self.path(name), errors="replace") as f:
            return f.read()[-1500:]

    def old_ends(self, bound_s=20):
        assert self.old.wait(bound_s) == 0, self.log()


def setup():
    return Two(GREY, name="takeover")


@bound(90)
def test_sessions_finish_in_the_old_one(a):
    """Each is in the middle of DATA; the old process answers their dots, new clients meet the new."""
    messages = mail.batch("middle", 10, 20000)
    held, done = [], {}
    for i, m in enumerate(messages):
        d = clients.Dialog(a.lab, a, i % 2 == 1)
        d.hello()
        d.envelope(m)
        d.want(354, "DATA")
        d.send(m.wire[:7000])
        held.append(d)
    a.take_over()
    assert a.old.poll() is None, "the old process did not wait for its sessions"
    until("a greeting by the successor", 10, a.greets, 0.05)
    opened = a.counters()["sessions_opened"]
    assert opened >= 2, "the successor met nobody"
    fresh = mail.batch("fresh", 40)
    accepted = clients.deliver_all(a.lab, a, fresh, at_once=10, bound_s=20).accepted
    assert a.counters()["messages_accepted"] == len(fresh)
    for d, m in zip(held, messages):
        d.send(m.wire[7000:])
        done[m.ident] = d.want(250)
        d.sock.close()
    a.old_ends()
    accepted = {**accepted, **done}
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, accepted), 0.2)
    assert mail.audit(a.lab, a.names, accepted) == 0
    until("the end of the silence", 5, lambda: a.events("taken-over"), 0.05)
    counters = a.counters()
    assert counters["tcp_resets_sent"] == 0, "the successor reset somebody"
    assert counters["rst_withheld"] > 0, "the successor saw nothing of the other's: it proves nothing"
    for line in open(a.path("events.jsonl")):
        json.loads(line)


@bound(120)
def test_again_and_again_under_load(a):
    """From low ports to high and back; every message once, and clients meet no reset."""
    messages = mail.batch("over", 900)
    rounds, wrong = [], []

    def swap():
        try:
            for _ in range(3):
                time.sleep(0.5)
                a.take_over()
                a.old_ends(30)
                rounds.append(1)
        except BaseException as e:
            wrong.append(repr(e))

    t = threading.Thread(target=swap)
    t.start()
    try:
        outcome = asyncio.run(clients.crowd(a.lab, a, messages, 30, 90))
    finally:
        t.join(60)
    assert not wrong and len(rounds) == 3, wrong
    assert len(outcome.accepted) == len(messages), f"{outcome.retries} {outcome.refused}"
    until("delivery", 20, lambda: mail.arrived_all(a.lab, a.names, outcome.accepted), 0.2)
    assert mail.audit(a.lab, a.names, outcome.accepted, outcome.unsure) == 0
    resets = [r for r in outcome.retries if "Reset" in r]
    assert not resets, f"{outcome.retries}"
    again = sum(n for r, n in outcome.retries.items() if r.startswith("421"))
    print(f"3 hand-overs under {len(messages)} messages; {again} told 421, "
          f"{sum(outcome.retries.values()) - again} others came back")


@bound(60)
def test_what_was_changed_goes_along(a):
    """Bans made at run time are known to the successor, which alone holds the files."""
    a.ask("ban.add", {"prefix": "203.0.113.77", "for_s": 600, "origin": "operator", "action": "refuse"})
    a.take_over()
    assert "203.0.113.77" in json.dumps(a.ask("ban.show")), a.ask("ban.show")
    a.old_ends()
    for name in ("overlay.journal", "grey.mdb"):
        holders = [p for p in os.listdir("/proc") if p.isdigit() and holds(p, a.path("state/" + name))]
        assert holders in ([], [str(pid_of(a))]), f"{name}: {holders}"
    assert a.ask("grey.stats"), "the successor has no greylist"
    a.ask("ban.del", {"prefix": "203.0.113.77"})


def holds(pid, path):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == path for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def pid_of(a):
    return a.ask("hello")["pid"]


def test_nobody_to_take_over_from(a):
    a.terminate()
    a.process = a.lab.start(a.lab.app, a.arguments(None) + ["--take-over"], "dataplane.log")
    a.wait_ready(20)


def test_one_that_drains_hands_nothing_over(a):
    with clients.Dialog(a.lab, a) as d:
        d.hello()
        d.envelope(mail.Message("held", b"x\r\n"))
        d.want(354, "DATA")
        a.ask("drain")
        done = subprocess.run(["ip", "netns", "exec", a.lab.app] + a.arguments(None) + ["--take-over"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
        assert done.returncode == 1 and "draining already" in done.stdout, done.stdout
        d.send("Subject: x\r\n\r\nx\r\n.\r\n")
        d.want(250)
    assert a.process.wait(20) == 0
    a.start(image=None)
