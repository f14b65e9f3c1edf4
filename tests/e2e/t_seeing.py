# SPDX-License-Identifier: BSD-3-Clause
"""What an operator sees of the running appliance: events as they come, open sessions, counters of
rules, frames of one client, and the same figures scraped."""

import json
import os
import re
import subprocess
import time

import clients
import mail
from lab import TOP, until
from managed import Managed
from target import CTL

METRICS = 9125
LISTED = "203.0.113.91"
WATCHED = "203.0.113.92"
OTHER = "203.0.113.93"
CHANGE = {"lists": [{"name": "bad", "action": "refuse", "verify_share": 0, "entries": [LISTED]}],
          "checks": {"helo_no_dot": {"state": "shadow", "weight": 100}}}


class Seen(Managed):
    def arguments(self, image="policy.img", state=None):
        words = super().arguments(image, state)
        at = words.index("--events")
        return words[:at] + words[at + 2:]  # the default: in the state directory

    def path(self, name):
        return os.path.join(self.state, name) if name.startswith("events.jsonl") else super().path(name)

    def start_manager(self):
        super().start_manager("--metrics", str(METRICS))

    def follower(self, *words):
        return subprocess.Popen([CTL, "--run", self.state, "--json", "events", "--follow", *words],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def setup():
    return Seen.started(change=CHANGE, clients=(LISTED, WATCHED, OTHER))


def refused(a, src=LISTED):
    with clients.Dialog(a.lab, a, False, src) as d:
        return d.reply()[0]


def test_the_log_is_where_status_says(a):
    assert refused(a) == 521
    status = a.told("status")["dataplane"]
    assert status["events"] == os.path.realpath(os.path.join(a.state, "events.jsonl")), status
    until("the refusal in the log", 5, lambda: LISTED in open(status["events"]).read())


def test_a_refusal_is_seen_within_a_second(a):
    f = a.follower("--limit", "0", "--filter", f"client={LISTED}/32 and verdict=refuse")
    try:
        time.sleep(0.3)  # it has begun to follow
        began = time.monotonic()
        assert refused(a) == 521
        assert refused(a, OTHER) == 220  # no part of the filter
        line = json.loads(f.stdout.readline())
        took = time.monotonic() - began
        assert (line["client"], line["reason"]) == (LISTED, "listed"), line
        assert took < 1, f"{took:.2f} s"
    finally:
        f.terminate()
        f.wait(10)
        f.stdout.close()


def test_events_of_the_past(a):
    code, out = a.ctl("events", "--since", "10m", "--filter", f"client={LISTED}")
    assert code == 0 and LISTED in out and "refuse" in out and OTHER not in out, out
    code, out = a.ctl("--json", "events", "--limit", "1")
    assert code == 0 and len(out.strip().splitlines()) == 1, out
    code, out = a.ctl("events", "--filter", "verdict")
    assert code == 1 and "followed by none of" in out, out


def test_follow_across_rotation(a):
    f = a.follower("--limit", "0")
    try:
        time.sleep(0.3)
        a.ask("events.rotate")
        assert refused(a) == 521
        assert json.loads(f.stdout.readline())["client"] == LISTED
        assert os.path.exists(a.path("events.jsonl.1"))
    finally:
        f.terminate()
        f.wait(10)
        f.stdout.close()


def test_open_sessions(a):
    with clients.Dialog(a.lab, a, False, WATCHED) as d:
        assert d.reply()[0] == 220
        d.send(b"EHLO watched.example.net\r\n")
        d.reply()
        d.send(b"MAIL FROM:<sender@example.net>\r\n")
        d.reply()
        with clients.Dialog(a.lab, a, False, OTHER) as e:
            assert e.reply()[0] == 220
            told = a.told("sessions", "--filter", f"client={WATCHED}")
            assert (told["matched"], told["silent_workers"]) == (1, 0), told
            row = told["sessions"][0]
            assert (row["client"], row["state"], row["helo"], row["mail"], row["phase"]) == (
                WATCHED, "command", "watched.example.net", "sender@example.net", "mail"), row
            assert a.told("sessions")["open"] >= 2
            assert a.told("sessions", "--filter", "mail~nobody")["matched"] == 0
            code, out = a.ctl("sessions")
            assert code == 0 and WATCHED in out and OTHER in out, out
    until("the end of the session", 10,
          lambda: a.told("sessions", "--filter", f"client={WATCHED}")["matched"] == 0, 0.1)


def test_backends(a):
    clients.deliver_all(a.lab, a, mail.batch("seen", 3), bound_s=20)
    until("the messages in the list", 5, lambda: any(
        r["state"] == "up" and r["messages"] >= 3 for r in a.told("backend", "list")), 0.1)
    code, out = a.ctl("backend", "list")
    assert code == 0 and "up" in out, out


def test_rules_and_rates(a):
    def hit():
        with clients.Dialog(a.lab, a, False, OTHER) as d:
            d.reply()
            d.send(b"EHLO nodot\r\n")
            d.reply()

    def counted():
        return {r["name"]: r for r in a.told("stats")["rules"]}["checks.helo_no_dot"]

    hit()
    assert (counted()["hits"], counted()["shadow"]) == (0, 1), counted()
    p = subprocess.Popen([CTL, "--run", a.state, "--json", "stats", "--watch", "--count", "2"],
                         stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        hit()
        time.sleep(0.3)
    out, _ = p.communicate(timeout=20)
    rates = [json.loads(line) for line in out.splitlines()]
    assert len(rates) == 2 and rates[0]["rules"].get("checks.helo_no_dot", 0) > 0, rates


def test_capture(a):
    out = a.path("seen.pcapng")
    p = subprocess.Popen([CTL, "--run", a.state, "--json", "capture", "--client", f"{WATCHED}/32", "--out", out,
                          "--for", "3s"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    with clients.Dialog(a.lab, a, False, WATCHED) as d:
        assert d.reply()[0] == 220
        d.send(b"NOOP captured\r\n")
        d.reply()
    assert refused(a) == 521
    code, again = a.ctl("capture", "--client", "192.0.2.1", "--out", a.path("other.pcapng"))
    assert code == 1 and "under way" in again, again
    told, _ = p.communicate(timeout=20)
    told = json.loads(told)
    assert p.returncode == 0 and told["lost"] == 0 and told["why"] == "time", told
    read = subprocess.run(["tcpdump", "-nn", "-A", "-r", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=20)
    assert read.returncode == 0, read.stderr
    lines = [line for line in read.stdout.splitlines() if "Flags" in line]
    assert len(lines) == told["packets"] > 6, read.stdout
    assert all(WATCHED in line for line in lines), lines
    assert any(f"{WATCHED}." in line.split(">")[0] for line in lines)
    assert any(f"{WATCHED}." in line.split(">")[1] for line in lines)
    assert "NOOP captured" in read.stdout and "220 " in read.stdout


def test_capture_ends_by_packets(a):
    out = a.path("few.pcapng")
    p = subprocess.Popen([CTL, "--run", a.state, "capture", "--client", WATCHED, "--out", out, "--packets", "2"],
                         stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    refused(a, WATCHED)
    told, _ = p.communicate(timeout=20)
    assert p.returncode == 0 and told.startswith("2 frames, 0 lost"), told
    code, told = a.ctl("capture", "--client", "nonsense", "--out", out)
    assert code == 1 and "prefix" in told, told


def test_slow_reader_hurts_nobody(a):
    """Subscribes and never reads: others are served, and what it misses is counted when it does."""
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(os.path.join(a.state, "control.sock"))
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"follow":true}}\n')
    for _ in range(20):
        refused(a)
    began = time.monotonic()
    assert a.ctl("status")[0] == 0
    assert time.monotonic() - began < 1
    s.settimeout(10)
    lines = s.makefile()
    assert json.loads(lines.readline())["result"]["stream"] > 0
    assert json.loads(lines.readline())["method"] == "events.event"
    s.close()


def test_top(a):
    for _ in range(10):
        refused(a)
    code, out = a.ctl("top", "--once")
    lines = out.rstrip("\n").split("\n")
    assert code == 0 and len(lines) <= 24 and max(map(len, lines)) <= 80, out
    for word in ("Postern", "sessions", "SYNs", "verdicts a second", "reasons", "rules", "mail1", "up", "memory"):
        assert word in out, out
    assert any(LISTED in line for line in lines[12:]), out
    code, out = a.ctl("top")
    assert code == 2 and "--once" in out, out


def test_top_on_a_terminal(a):
    import fcntl
    import pty
    import select
    import struct
    import termios
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(CTL, [CTL, "--run", a.state, "top", "--every", "1s"])

    def read(until_word):
        seen = b""
        end = time.monotonic() + 10
        while until_word not in seen and time.monotonic() < end:
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    seen += os.read(fd, 65536)
                except OSError:
                    break
        assert until_word in seen, seen
        return seen
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    read(b"mail servers")
    read(b"mail servers")  # a second frame
    os.write(fd, b"q")
    read(b"\x1b[?1049l")  # the terminal is given back
    assert os.waitpid(pid, 0)[1] == 0
    os.close(fd)


METRIC = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')


def exposition(text):
    """Prometheus' text format, strictly: HELP and TYPE before each metric's samples, which stand
    together, no sample twice. {metric: {labels: value}}"""
    metrics, typed, helped, last = {}, {}, set(), None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped, line
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in helped and name not in typed and kind in ("counter", "gauge"), line
            typed[name] = kind
            metrics[name] = {}
            last = name
        else:
            m = METRIC.fullmatch(line)
            assert m and m.group(1) == last, line
            assert m.group(2) not in metrics[last], line
            metrics[last][m.group(2)] = float(m.group(3))
            assert typed[last] != "counter" or last.endswith("_total"), line
    return metrics


def scrape(a, path="/metrics"):
    code, out = a.lab.run(a.lab.app, ["curl", "-sS", "--max-time", "5", f"http://127.0.0.1:{METRICS}{path}"])
    assert code == 0, out
    return out


def test_metrics(a):
    assert refused(a) == 521
    def seen():
        return exposition(scrape(a))
    before = seen()
    assert before["postern_up"][None] == 1
    assert before["postern_server_up"]['server="mail1"'] == 1, before["postern_server_up"]
    for _ in range(5):
        refused(a)
    until("the refusals in the metrics", 5, lambda: seen()["postern_reason_total"]['reason="listed"'] >=
          before["postern_reason_total"]['reason="listed"'] + 5, 0.1)
    assert before["postern_rule_shadow_total"]['rule="checks.helo_no_dot"'] > 0
    assert "nothing else" in scrape(a, "/")


def test_the_dashboard_names_metrics_that_are_there(a):
    with open(os.path.join(TOP, "control", "grafana", "postern.json")) as f:
        board = json.load(f)
    known = set(exposition(scrape(a)))
    named = set(re.findall(r"postern_[a-z0-9_]+", json.dumps(board["panels"]) + json.dumps(board["templating"])))
    assert len(named) > 20 and named <= known, named - known
