# SPDX-License-Identifier: BSD-3-Clause
"""Engineers' commands against the live appliance while a crowd delivers: each answers within 100 ms
(what compiles aside) in its documented form, `--json` is JSON, exit codes mean what they say, wrong
usage says what to type instead.

Every command of `posternctl help` must have a row in ROWS: a new command adds its own there, or this
test fails. The crowd is of processes of their own, so that the measured times are the appliance's.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time

import clients
import mail
from framework import bound
from lab import until
from managed import Managed
from target import BUILD, CTL, merged

WITHIN_S = 0.100
# `posternctl test` finds postern-try, and that postern-compile, beside itself, as installed, or here
os.environ["PATH"] = os.pathsep.join([os.path.join(BUILD, "dataplane"), os.path.join(BUILD, "control"),
                                     os.environ["PATH"]])
LISTED, OTHER, FRIEND = "203.0.113.90", "203.0.113.91", "203.0.113.10"
CONFIG = {"lists": [{"name": "friends", "action": "pass", "entries": [FRIEND]},
                    {"name": "blocked", "action": "refuse", "verify_share": 0, "entries": [OTHER]}],
          "greylist": {"state": "shadow", "capacity": 10000},
          "dns": {"recursors": [{"address": "127.0.0.1"}]}}
OK, REFUSED, USAGE, UNREACHABLE = 0, 1, 2, 3


class Row:
    """One command as an engineer types it. {name}: a file of the test, or what an earlier row kept.
    says: a pattern of the table; json: keys of the --json answer (a tuple of them; a list: it is one;
    None: this command has none of its own); code: its exit status; bound_s None: it compiles;
    keep: (name, pattern) keeps the pattern's first group of what the table said.
    A row runs as a table and then, unless it changes something that can be done but once, with
    --json as well (again=False)."""

    def __init__(self, words, says, json=(), code=OK, bound_s=WITHIN_S, keep=None, again=True,
                 data=None):
        self.words, self.says, self.json, self.code = words, says, json, code
        self.bound_s, self.keep, self.again, self.data = bound_s, keep, again, data


# In the order in which they run: later rows stand on what earlier ones did. To add a command: a row.
ROWS = (
    # seeing
    Row("status", r"running", ("manager", "dataplane")),
    Row("stats", r"connections|counter|sessions", ("counters",)),
    Row("tarpit", r".", ()),
    Row("version", r"^posternctl +\d", ()),
    Row("top --once", r"mail1", None, bound_s=None),  # it looks twice, for rates
    Row("events --limit 5", r"^time +client", None),
    Row("events --since 10m --filter verdict=none --limit 3", r".", None),
    Row("sessions --limit 5", r".", ()),
    Row("capture --client 203.0.113.0/24 --out {capture} --for 1s", r".", None, bound_s=None),
    # configuration
    Row("check {good}", r"^good", ("changes",), bound_s=None),
    Row("check {wrong}", r"wrong\.yaml:\d+", None, REFUSED, bound_s=None),
    Row("diff", r"no difference|:", ("keys",), bound_s=None),
    Row("load {good} --reason ticket-1", r"^epoch \d+", ("epoch",), bound_s=None,
        keep=("epoch", r"epoch (\d+)")),
    Row("history", r"epoch +", ("epochs",)),
    Row("diff {epoch}", r".", ("keys",), bound_s=None),
    Row("rollback {epoch} --reason back", r"^epoch \d+", ("epoch",), bound_s=None),
    Row("snapshot save {snapshot}", r"saved", (), bound_s=None),
    Row("snapshot restore {snapshot}", r".", (), bound_s=None),
    Row("help config limits.errors", r"default", ("key", "default", "allowed")),
    # changes
    Row("set limits.errors 30 --for 10m --reason trying", r"^epoch \d+", ("epoch",), bound_s=None),
    Row("undo --list", r"limits\.errors", ("changes",)),
    Row("undo", r"taken back", ("text",), bound_s=None),
    Row("batch {batch}", r".", None, bound_s=None, again=False),
    Row("begin", r"batch", None, USAGE),
    Row("commit", r"batch", None, USAGE),
    Row("abort", r"batch", None, USAGE),
    Row("alarm", r".", ("alarms",)),
    Row("alarm ack", r".", ()),
    Row("audit --since 2h --limit 5", r".", ()),
    Row("pattern add subject:/wire/i --action refuse --for 2h --name WIRE", r"WIRE is in force", ("epoch", "name"),
        bound_s=None),
    Row("pattern show", r"WIRE +subject:/wire/i action=refuse", ("patterns",)),
    Row("pattern del WIRE", r"gone", ("epoch",), bound_s=None, again=False),
    Row("patterns import {rules} --out {made}", r".", None, bound_s=None),
    # trying
    Row("pass-all --for 10m --reason outage", r".", ()),
    Row("pass-all off", r".", ()),
    # lists and bans
    Row("list add 203.0.113.90 --for 10m --reason ticket-2", r"is on blocked for", ("prefix",)),
    Row("list show 203.0.113.90", r"blocked", ("entries", "effect")),
    Row("list export --list blocked", r"203\.0\.113\.90", None),
    Row("list import {addresses} --list blocked --for 10m", r"\d", ()),
    Row("list del 203.0.113.90", r"is off blocked", (), again=False),
    Row("ban add 2001:db8:bad::/48 --for 10m --action refuse", r"is banned", ("prefix",)),
    Row("ban show", r"2001:db8:bad::/48", ("entries",)),
    Row("ban del 2001:db8:bad::/48", r"no longer banned|lifted", (), again=False),
    # running
    Row("backend list", r"mail1", ()),
    Row("stats --watch --every 1s --count 1", r"connections|counter|sessions", (), bound_s=None),
    Row("backend drain mail1", r".", ()),
    Row("backend enable mail1", r".", ()),
    # relaying
    Row("relay self-test", r"accepted", ()),
    Row("relay test <a@elsewhere.example> <user@example.org>", r"accepted +", ()),
    # rules, and trying them
    Row("rule list checks", r"checks\.talked_early", ("rules",)),
    Row("rule set checks.talked_early shadow --for 10m", r".", (), bound_s=None),
    Row("impact checks.talked_early", r".", ("rule", "sessions"), bound_s=None),
    Row("test {script} --policy {good}", r".", None, bound_s=None),
    # why
    Row("explain 203.0.113.90", r"203\.0\.113\.90", (), bound_s=None),
    Row("explain NO-TOKEN", r".", None, REFUSED),
    # memory of sources
    Row("memory show --top 5", r".", ()),
    Row("memory forget nobody@elsewhere.example", r"Nothing is remembered", None, REFUSED),
    Row("memory release nobody@elsewhere.example", r"No baseline", None, REFUSED),
    # waves
    Row("waves", r"wave", ("waves",)),
    Row("waves show 4000000", r"no wave 4000000", None, REFUSED),
    Row("waves ban 4000000", r"no wave 4000000", None, REFUSED),
    Row("waves pattern 4000000", r"no wave 4000000", None, REFUSED),
    # greylist
    Row("grey stats", r"\d", ()),
    Row("grey add main <friend@elsewhere.example> <user@example.org>", r".", ()),
    Row("grey show friend@", r"friend@elsewhere\.example", None),
    Row("grey export > {grey}", r"^\{", None),
    Row("grey import {grey}", r"\d+ added", ()),
    Row("grey del main <friend@elsewhere.example> <user@example.org>", r".", (), again=False),
    # name service
    Row("dns lists", r"recursor", ()),
    Row("dns lookup 203.0.113.10", r"203\.0\.113\.10", ()),
    Row("dns flush", r".", ()),
    Row("dns resume nowhere", r"nowhere", None, REFUSED),
    # errors that say what to type instead
    Row("statsu", r"did you mean `posternctl stats", None, USAGE),
    Row("list ad 192.0.2.7", r"did you mean `posternctl list add", None, USAGE),
    Row("list add", r"usage: posternctl list add PREFIX", None, USAGE),
    Row("list add 192.0.2.300", r"192\.0\.2\.300", None, REFUSED),
    Row("list add 192.0.2.7 --for soon", r"not a duration; allowed", None, USAGE),
    Row("list add 192.0.2.7 --fro 10m", r"no option --fro", None, USAGE),
    Row("set limits.erors 30", r"allowed: .*errors", None, REFUSED),
    Row("set limits.errors many", r"many", None, REFUSED),
    Row("rollback 99999", r"posternctl history", None, REFUSED),
    Row("load nowhere.yaml", r"nowhere\.yaml", None, REFUSED),
    Row("backend drain mail9", r"mail9", None, REFUSED),
    Row("help nonsense", r"no command nonsense", None, USAGE),
    # the last: it ends the dataplane
    Row("drain", r".", None, again=False),
)
LOST = ("drain",)  # rows that a test of their own runs, at the end

CROWD = """
import asyncio, sys, time
sys.path.insert(0, sys.argv[1])
import clients, mail

class Here:  # this process is in the clients' namespace already
    def socket(self, ns, dst, src=None):
        import socket
        s = socket.socket(socket.AF_INET6 if ":" in dst else socket.AF_INET)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

class Target:
    ns, v4, v6, port = None, sys.argv[2], sys.argv[3], 25

end, n = time.monotonic() + float(sys.argv[4]), 0
accepted = refused = 0
retries = {}
while time.monotonic() < end:
    out = asyncio.run(clients.crowd(Here(), Target, mail.batch(f"crowd{n}", 40), 10, 30))
    accepted, refused, n = accepted + len(out.accepted), refused + len(out.refused), n + 1
    retries.update(out.retries)
    print(accepted, refused, retries, flush=True)
    time.sleep(0.3)
"""


class Bench(Managed):
    load = None

    def crowd(self, seconds):
        script = self.path("crowd.py")
        with open(script, "w") as f:
            f.write(CROWD)
        self.load = self.lab.start(self.ns, ["nice", "-n", "5", sys.executable, script,
                                   os.path.dirname(os.path.abspath(__file__)), self.v4, self.v6,
                                   str(seconds)], "crowd.log")

    def crowd_says(self):
        try:
            with open(self.path("crowd.log")) as f:
                lines = f.read().splitlines()
        except FileNotFoundError:
            return None
        return lines[-1] if lines else None

    def files(self):
        """What the rows name in braces."""
        places = {n: self.path(n) for n in ("snapshot", "made", "capture", "grey", "addresses", "batch", "rules")}
        places["good"] = self.configuration(merged(CONFIG, {"limits": {"errors": 25}}), "good.yaml")
        places["wrong"] = self.configuration({"limits": {"erors": 25}}, "wrong.yaml")
        with open(places["addresses"], "w") as f:
            f.write("203.0.113.92\n203.0.113.128/25\n")
        with open(places["batch"], "w") as f:
            f.write("begin\nset limits.errors 40\nset limits.commands 5000\ncommit --reason batch\n")
        os.makedirs(places["rules"], exist_ok=True)
        places["script"] = self.path("try.smtp")
        with open(places["script"], "w") as f:
            f.write("# A client is greeted\nC! connect\nS: 220 *\nC: QUIT\nS: 221 *\n")
        with open(os.path.join(places["rules"], "local.cf"), "w") as f:
            f.write("body PILLS /cheap pills/i\ndescribe PILLS Cheap pills\nscore PILLS 2.5\n")
        return places


def setup():
    a = Bench.started(CONFIG, clients=(LISTED, OTHER, FRIEND), name="engineer")
    a.kept = a.files()
    a.times = []
    return a


def table():
    """Commands by `posternctl help`, which an engineer reads first."""
    done = subprocess.run([CTL, "--json", "help"], stdout=subprocess.PIPE, check=True, timeout=10)
    return json.loads(done.stdout)


def run(a, words):
    """(exit code, standard output, both, seconds)"""
    to = None
    if len(words) > 2 and words[-2] == ">":
        to, words = words[-1], words[:-2]
    start = time.monotonic()
    done = subprocess.run([CTL, "--run", a.state, *words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    took = time.monotonic() - start
    if to:
        with open(to, "w") as f:
            f.write(done.stdout)
    return done.returncode, done.stdout, done.stdout + done.stderr, took


def judged(a, row, words, out, both, code, took, as_json):
    """What is wrong with one answer; None: nothing."""
    if code != row.code:
        return f"exit {code}, not {row.code}: {both[-300:]}"
    if as_json:
        try:
            answer = json.loads(out)
        except ValueError:
            return f"not JSON: {out[:200]!r}"
        missing = [k for k in row.json if k not in answer]
        if missing:
            return f"no {missing} in {out[:200]!r}"
    elif not re.search(row.says, both, re.M):
        return f"nothing like {row.says!r} in {both[:300]!r}"
    return None


def slow(a, words, took):
    """An answer that came late is asked for again, up to twice: on a shared machine a process may not
    have run at all meanwhile. Late three times in a row is slow."""
    times = [took]
    while min(times) > WITHIN_S and len(times) < 3:
        times.append(run(a, words)[3])
    return min(times) > WITHIN_S and times


def row_of(name, row):
    return row.words.split()[:len(name.split())] == name.split()


def test_every_command_has_a_row(a):
    without = [c["name"] for c in table() if not any(row_of(c["name"], r) for r in ROWS)]
    assert not without, f"tests/e2e/t_engineer.py has no row for: {', '.join(without)}"
    assert len(ROWS) >= 50, len(ROWS)


@bound(180)
def test_commands_under_load(a):
    a.crowd(150)
    until("the crowd's first messages", 20, a.crowd_says, 0.1)
    before = a.counters()
    wrong = []
    for row in ROWS:
        if row.words in LOST:
            continue
        words = [w.format(**a.kept) for w in row.words.split()]
        for as_json in (False, True):
            if as_json and (row.json is None or not row.again):
                continue
            said = words + (["--json"] if as_json else [])
            code, out, both, took = run(a, said)
            if row.bound_s:
                a.times.append((took, " ".join(said)))
            problem = judged(a, row, said, out, both, code, took, as_json)
            if not problem and row.bound_s and row.again and took > row.bound_s:
                late = slow(a, said, took)
                problem = late and "answers in " + ", ".join(f"{t * 1000:.0f}" for t in late) + " ms"
            if problem:
                wrong.append(f"{' '.join(said)}: {problem}")
            elif row.keep and not as_json:
                a.kept[row.keep[0]] = re.search(row.keep[1], out).group(1)
    after = a.counters()
    a.load.terminate()
    a.load.wait(10)
    a.times.sort()
    middle = a.times[len(a.times) // 2][0] * 1000
    worst = a.times[-1]
    print(f"# {len(a.times)} answers: median {middle:.1f} ms, longest {worst[0] * 1000:.0f} ms "
          f"({worst[1]}); crowd: {a.crowd_says()}")
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong)
    passed = after["messages_accepted"] - before["messages_accepted"] if "messages_accepted" in after \
        else int(a.crowd_says().split()[0])
    assert passed >= 40, f"only {passed} messages passed meanwhile: {a.crowd_says()}"
    assert a.crowd_says().split()[1] == "0", f"the crowd was refused: {a.crowd_says()}"


def test_json_of_every_error(a):
    """A script that asks for JSON is told its errors as JSON."""
    for words in ("rollback 99999", "backend drain mail9", "load nowhere.yaml"):
        code, out, both, _ = run(a, words.split() + ["--json"])
        assert code == REFUSED, (words, both)
        assert "error" in json.loads(out), (words, both)


def test_from_help_to_a_block_its_explanation_and_undo(a):
    """As somebody who has never seen it: `help` names a way to each step."""
    text = run(a, ["help"])[1]
    for needed in ("list add", "list show", "undo", "status"):
        assert re.search(rf"^  {needed} ", text, re.M), f"help does not name {needed}"
    assert run(a, ["help", "list", "add"])[1].count("PREFIX"), "help list add shows no usage"
    assert run(a, ["list", "add", LISTED, "--for", "10m"])[0] == 0
    with clients.Dialog(a.lab, a, False, LISTED) as d:
        code, words = d.reply()
    assert code == 521, words
    assert "blocked" in run(a, ["list", "show", LISTED])[1]
    assert run(a, ["undo"])[0] == 0
    with clients.Dialog(a.lab, a, False, LISTED) as d:
        assert d.reply()[0] == 220


# ---- those that mean no good ----

@bound(120)
def test_bad_clients_of_the_control_socket(a):
    """Garbage, half requests, readers that do not read, 1,000 of them: commands answer, mail passes."""
    import socket
    path = os.path.join(a.state, "control.sock")
    held = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    kinds = (b"\x00\xff garbage\n", b'{"jsonrpc":"2.0","id":1,"meth', b"", b"[" * 5000 + b"\n",
             b'{"jsonrpc":"2.0","id":1,"method":"stats"}\n' * 50)
    refused = 0
    try:
        for i in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(1)
            try:
                s.connect(path)
                s.setblocking(False)
                s.send(kinds[i % len(kinds)])
            except (OSError, BlockingIOError):
                refused += 1  # told that there are too many, or closed
            held.append(s)
        wrong = []
        for words in (["status"], ["history"], ["list", "show"]):
            code, _, both, took = run(a, words)
            # at the bound of clients: 5, "try again", and at once
            if code not in (OK, 5) or slow(a, words, took):
                wrong.append(f"{words}: exit {code} in {took * 1000:.0f} ms: {both[-200:]}")
        assert not wrong, "\n".join(wrong)
        clients.deliver_all(a.lab, a, mail.batch("besieged", 20), at_once=10, bound_s=20)
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until("the manager's answer", 10, lambda: run(a, ["status"])[0] == OK, 0.1)
    print(f"# 1000 connections, {refused} turned away")


@bound(60)
def test_manager_killed_under_traffic(a):
    """Mail passes without it; the next one serves and knows what was in force."""
    before = json.loads(run(a, ["status", "--json"])[1])["dataplane"]["epoch"]
    messages = mail.batch("manager-killed", 200)
    killed = threading.Timer(0.3, lambda: os.kill(a.manager.pid, signal.SIGKILL))
    killed.start()
    clients.deliver_all(a.lab, a, messages, at_once=20, bound_s=30)
    killed.join()
    a.manager.wait(10)
    assert run(a, ["status"])[0] == UNREACHABLE
    a.start_manager()
    until("the dataplane is known again", 10, lambda: json.loads(
        run(a, ["status", "--json"])[1])["dataplane"].get("epoch") == before, 0.1)


@bound(60)
def test_drain(a):
    code, _, both, took = run(a, ["drain"])
    assert code == OK, both
    assert took <= 1, f"drain answers in {took:.1f} s"
    assert a.process.wait(20) == 0
    a.start(image=None)
