# SPDX-License-Identifier: BSD-3-Clause
"""The event log through the manager: the past, filters, following, bounds; without a dataplane the
log is the one of the state directory."""

import json
import os
import subprocess
import time

from framework import Client, holds, program, same


def line(n, verdict="refuse", client="192.0.2.7"):
    now = time.time() - 100 + n * 0.01
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    return json.dumps({"time": text, "event": "session", "client": client, "verdict": verdict, "reason": "listed",
                       "code": 550, "mail": "a@example.net", "rcpt": "b@example.org", "n": n},
                      separators=(",", ":")) + "\n"


def log(f, first, last, **kwargs):
    path = os.path.join(f.path, "state", "events.jsonl")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a") as to:
        to.writelines(line(n, **kwargs) for n in range(first, last))
    return path


def numbers(r):
    same((r.returncode, r.stderr), (0, ""))
    return [json.loads(row)["n"] for row in r.stdout.splitlines()]


def test_events_newest_and_since(f):
    log(f, 0, 500)
    f.manager()
    same(numbers(f.ctl("--json", "events")), list(range(480, 500)))
    same(numbers(f.ctl("--json", "events", "--limit", "3")), [497, 498, 499])
    same(numbers(f.ctl("--json", "events", "--since", "10m")), list(range(500)))
    same(numbers(f.ctl("--json", "events", "--since", "10m", "--limit", "5")), list(range(495, 500)))
    same(numbers(f.ctl("--json", "events", "--since", "1s")), [])
    text = f.ctl("events", "--limit", "1").stdout
    for part in ("verdict", "192.0.2.7", "refuse", "listed", "550", "a@example.net -> b@example.org"):
        holds(text, part)


def test_events_filter(f):
    log(f, 0, 10)
    log(f, 10, 12, client="2001:db8::5", verdict="pass")
    f.manager()
    same(numbers(f.ctl("--json", "events", "--filter", "client=2001:db8::/32")), [10, 11])
    same(numbers(f.ctl("--json", "events", "--filter", "verdict=refuse and n>=8")), [8, 9])
    for wrong, told in (("verdict", "followed by none of"), ("client=1.2.3", "client"), ("a=1 b=2", "comma or `and`")):
        r = f.ctl("events", "--filter", wrong)
        same(r.returncode, 1)
        holds(r.stderr, told)


def test_events_follow_across_rotation(f):
    path = log(f, 0, 5)
    f.manager()
    p = subprocess.Popen([program("posternctl"), "--run", os.path.join(f.path, "run"), "--json", "events", "--follow",
                          "--limit", "2"], stdout=subprocess.PIPE, text=True)
    try:
        same([json.loads(p.stdout.readline())["n"] for _ in range(2)], [3, 4])
        log(f, 5, 6)
        same(json.loads(p.stdout.readline())["n"], 5)
        os.rename(path, path + ".1")
        log(f, 6, 8)
        same([json.loads(p.stdout.readline())["n"] for _ in range(2)], [6, 7])
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_events_of_a_reader_that_does_not_read(f):
    """What comes while it does not read is dropped, counted and told; nobody else waits."""
    log(f, 0, 1)
    f.manager()
    slow = Client(f)
    same(slow.ask("events.subscribe", follow=True, limit=1)["result"]["stream"], 1)
    same(slow.hear()["params"]["event"]["n"], 0)
    marks = Client(f)
    same(marks.ask("events.subscribe", follow=True, filter="client=192.0.2.8")["result"]["stream"], 2)
    other = Client(f)
    for n in range(20):  # far more than socket and room hold together
        log(f, 1 + n * 500, 501 + n * 500)
        same("result" in other.ask("status"), True)
    for n in (10001, 10002):  # streams look in turn: between two looks of this one the slow one has
        log(f, n, n + 1, client="192.0.2.8")  # come to the end of the log
        same(marks.hear()["params"]["event"]["n"], n)
    got, lost = [], 0
    log(f, 20000, 20001)
    while not got or got[-1] != 20000:
        message = slow.hear()
        if message["method"] == "events.lost":
            lost += message["params"]["n"]
            log(f, 20000, 20001)  # after what was lost there is room again
        else:
            got.append(message["params"]["event"]["n"])
    same(got, sorted(got))
    same(0 < len(set(got)) < 10004, True)
    same(lost > 0 and len([n for n in got if n < 20000]) + lost >= 10000, True)
    for c in (slow, marks, other):
        c.close()


def test_events_streams_are_bounded(f):
    log(f, 0, 1)
    f.manager()
    clients = [Client(f) for _ in range(2)]
    for i in range(16):
        same(clients[i % 2].ask("events.subscribe", follow=True)["result"]["stream"], i + 1)
    same(clients[0].ask("events.subscribe", follow=True)["error"]["code"], -32005)
    same(clients[0].ask("events.unsubscribe", stream=2)["error"]["code"], -32602)  # somebody else's
    same(clients[0].ask("events.unsubscribe", stream=1)["result"], {})
    same(clients[0].ask("events.subscribe", follow=True)["result"]["stream"], 17)
    clients[1].close()  # its streams go with it
    last = time.monotonic() + 10
    while "error" in clients[0].ask("events.subscribe", follow=True):
        same(time.monotonic() < last, True)
    clients[0].close()


def test_seeing_without_a_dataplane(f):
    f.manager()
    for words in (["sessions"], ["backend", "list"], ["stats"],
                  ["capture", "--client", "192.0.2.1", "--out", os.path.join(f.path, "x")]):
        r = f.ctl(*words)
        same(r.returncode, 3)
    same(os.path.exists(os.path.join(f.path, "x")), False)
    same(f.ctl("capture", "--client", "192.0.2.1").returncode, 2)


def test_old_events_lose_names(f):
    path = log(f, 0, 3)
    os.rename(path, path + ".1")
    with open(path + ".1") as old:
        lines = [json.loads(row) for row in old]
    for row in lines:
        row["time"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 7200))
    with open(path + ".1", "w") as old:
        old.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in lines)
    with open(path + ".2", "w") as old:
        old.write('{"time":"2020-01-01T00:00:00.000Z","event":"session","client":"192.0.2.7"}\n')
    log(f, 3, 5)
    f.change("mask_after_hours: 168", "mask_after_hours: 1")
    m = f.manager()
    m.wait_for("events: 3 lines masked, 1 files deleted")
    rows = [json.loads(row) for row in f.ctl("--json", "events", "--since", "1d").stdout.splitlines()]
    same([(r["client"], r["mail"], r["rcpt"]) for r in rows],
         [("192.0.2.0", "@example.net", "@example.org")] * 3 + [("192.0.2.7", "a@example.net", "b@example.org")] * 2)
    same(os.path.exists(path + ".2"), False)


def test_explain_without_a_dataplane(f):
    log(f, 0, 20)
    log(f, 20, 23, client="192.0.2.99")
    f.manager()
    told = json.loads(f.ctl("--json", "explain", "192.0.2.99", "--limit", "2").stdout)
    same(([s["event"]["n"] for s in told["sessions"]], told["now"], told["record"]), ([22, 21], None, "found"))
    same(told["sessions"][0]["explained"]["reason"]["text"], "Your address is listed here")
    r = f.ctl("explain", "0123456789ABCDEFGH")
    same(r.returncode, 3)
    holds(r.stderr, "STATE/token.key")
    r = f.ctl("explain", "192.0.2.300")
    same(r.returncode, 1)
    holds(r.stderr, "is no address")
