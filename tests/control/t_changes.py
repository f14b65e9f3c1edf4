# SPDX-License-Identifier: BSD-3-Clause
"""What engineers change at run time, and how it is seen, kept and taken back."""

import json
import os
import re
import signal
import subprocess
import sys
import time

from framework import LIST_FILE, TOP, Client, Peer, holds, same


ACTION = ("action: refuse               # pass, refuse, drop", "action: pass  # pass, refuse, drop")


def epoch(f):
    return f.status()["epoch"]


def told(f, *args):
    """A command's answer as JSON; it must be done."""
    r = f.ctl("--json", *args)
    same((r.returncode, r.stderr), (0, ""))
    return json.loads(r.stdout)


def keys(f, *args):
    return [(k["key"], k["old"], k["new"]) for k in told(f, *args)["keys"]]


def until(f, what, seconds=10):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("not within its time; status: " + f.ctl("status").stdout)
        time.sleep(0.05)


def test_set_and_reset(f):
    f.manager()
    same(keys(f, "set", "limits.errors", "15", "--reason", "a try"), [("limits.errors", "20", "15")])
    same(keys(f, "set", "pools.main.max_waiting", "50"), [("pools.main.max_waiting", "1000", "50")])
    same(keys(f, "set", "pools[main].max_waiting", "60"), [("pools.main.max_waiting", "50", "60")])
    same(keys(f, "set", "domains[example.org].subdomains", "true"),
         [("domains[example.org].subdomains", "false", "true")])
    changes = told(f, "set", "lists.blocked.entries", "[192.0.2.1, '2001:db8::/48']")["changes"]
    same((changes["added"], changes["removed"]), (2, 3))
    same([(o["key"], o["value"]) for o in f.status()["overrides"]],
         [("limits.errors", "15"), ("pools.main.max_waiting", "60"), ("domains[example.org].subdomains", "true"),
          ("lists.blocked.entries", "[192.0.2.1, '2001:db8::/48']")])
    holds(f.ctl("status").stdout, "limits.errors = 15")
    same(keys(f, "set", "--reset", "limits.errors"), [("limits.errors", "15", "20")])
    told(f, "set", "--reset")
    same(f.status()["overrides"], [])
    same(told(f, "diff")["keys"], [])
    rows = told(f, "history")["epochs"]
    same([(r["epoch"], r["how"], r["reason"]) for r in rows[-2:]], [(2, "set", "a try"), (1, "start", None)])


def test_a_wrong_setting_is_told(f):
    f.manager()
    for words, part in ((("limits.errors", "0"), "limits.errors: \"0\" is out of range; allowed: "),
                        (("limits.eror", "1"), "there is no \"eror\"; allowed: message_size"),
                        (("pools.mian.hello", "none"), "there is no \"mian\"; allowed: main"),
                        (("pools.main.fallback", "mian"), "there is no pool \"mian\""),
                        (("pools", "1"), "the name of one entry"),
                        (("limits", "1"), "allowed: message_size"),
                        (("smtp.hostname.x", "1"), "nothing behind a single value")):
        r = f.ctl("set", *words)
        same((r.returncode, r.stdout), (1, ""))
        holds(r.stderr, part)
    for words in (("limits.errors",), (), ("a", "b", "c"), ("limits.errors", "1", "--for", "10"),
                  ("--reset", "a", "b")):
        same(f.ctl("set", *words).returncode, 2)
    r = f.ctl("set", "--reset", "limits.errors")
    same(r.returncode, 1)
    holds(r.stderr, "is as the file says")
    same((epoch(f), f.status()["overrides"], f.status()["problem"]), (1, [], None))


def test_a_setting_ends_by_itself(f):
    m = f.manager()
    told(f, "set", "limits.errors", "15", "--for", "2s")
    told(f, "set", "limits.messages", "7")
    same(epoch(f), 3)
    until(f, lambda: epoch(f) == 4)
    same([o["key"] for o in f.status()["overrides"]], ["limits.messages"])
    holds(m.text(), "time is up")
    told(f, "set", "limits.errors", "15", "--for", "1s")  # and while the manager is away
    ends = max(o["until"] for o in f.status()["overrides"])
    m.end(signal.SIGKILL)
    until(f, lambda: time.time() > ends)
    f.manager()
    same([o["key"] for o in f.status()["overrides"]], ["limits.messages"])
    same(keys(f, "diff", "5"), [("limits.errors", "15", "20")])


def test_settings_outlive_manager_and_load(f):
    m = f.manager()
    told(f, "set", "limits.errors", "15")
    m.end(signal.SIGKILL)
    f.manager()
    same(epoch(f), 2)
    f.change("messages: 1000 ", "messages: 900 ")
    same(keys(f, "load"), [("limits.messages", "1000", "900")])
    same([o["key"] for o in f.status()["overrides"]], ["limits.errors"])


def test_history_diff_rollback(f):
    f.change(LIST_FILE, "file: x.list")
    f.write("x.list", "192.0.2.7\n192.0.2.8 # a comment\n")
    f.manager()
    f.change(LIST_FILE, "file: x.list")
    f.write("appliance.yaml", open(f.config).read().replace("errors: 20 ", "errors: 21 "))
    f.write("x.list", "192.0.2.8\n192.0.2.9\n")
    d = told(f, "diff")  # what `load` would change
    same([(k["key"], k["old"], k["new"]) for k in d["keys"]], [("limits.errors", "20", "21")])
    same([(e["key"], e["added"], e["removed"]) for e in d["entries"]],
         [("lists.blocked.file", ["192.0.2.9"], ["192.0.2.7"])])
    told(f, "load", "--reason", "more room")
    same(told(f, "diff")["n_keys"], 0)
    r = f.ctl("rollback", "1", "--reason", "no")
    same(r.returncode, 0)
    holds(r.stdout, "limits.errors: 21 -> 20")
    rows = told(f, "history")["epochs"]
    same([(r["epoch"], r["how"], r["reason"], r["changes"]["keys"]) for r in rows],
         [(3, "rollback", "no", 1), (2, "load" if rows[1]["how"] == "load" else "reload", "more room", 1),
          (1, "start", None, rows[2]["changes"]["keys"])])
    same(told(f, "diff", "1", "3")["keys"], [])
    same(keys(f, "diff", "2"), [("limits.errors", "21", "20")])
    holds(f.ctl("history").stdout, "*     3")
    for wrong in (("rollback", "77"), ("diff", "77"), ("diff", "none.yaml")):
        same(f.ctl(*wrong).returncode, 1)
    for wrong in (("rollback", "x"), ("rollback",), ("diff", "a", "b")):
        same(f.ctl(*wrong).returncode, 2)


def test_a_rollback_outlives_the_manager(f):
    m = f.manager()
    f.change("errors: 20 ", "errors: 21 ")
    told(f, "load")
    told(f, "rollback", "1")
    m.end(signal.SIGKILL)
    f.manager()
    same(epoch(f), 3)
    same(keys(f, "diff"), [("limits.errors", "20", "21")])  # what the file would bring


def test_undo(f):
    m = f.manager()
    f.change("errors: 20 ", "errors: 21 ")
    told(f, "load")
    told(f, "set", "limits.messages", "7")
    told(f, "set", "limits.messages", "8")
    same(len(told(f, "undo", "--list")["changes"]), 3)
    holds(f.ctl("undo").stdout, "taken back: setting of limits.messages")
    same([o["value"] for o in f.status()["overrides"]], ["7"])
    m.end(signal.SIGKILL)
    f.manager()
    told(f, "undo")
    same(f.status()["overrides"], [])
    told(f, "undo")
    same(keys(f, "diff", "1"), [])
    r = f.ctl("undo")
    same(r.returncode, 1)
    holds(r.stderr, "Nothing is left to take back")


def test_changed_list_files_are_picked_up(f):
    f.change(LIST_FILE, "file: x.list")
    f.write("x.list", "192.0.2.7\n")
    f.manager()
    f.write("x.list", "192.0.2.7\n192.0.2.8\n")
    until(f, lambda: epoch(f) == 2)
    row = told(f, "history")["epochs"][0]
    same((row["how"], row["changes"]["added"]), ("files", 1))
    f.write("x.list", "192.0.2.7\nnonsense\n")  # broken: the old serves on, and an alarm says so
    until(f, lambda: f.status()["alarms"])
    same((epoch(f), f.status()["alarms"][0]["kind"]), (2, "files"))
    holds(f.status()["alarms"][0]["text"], "x.list:2:1")
    f.write("x.list", "192.0.2.7\n192.0.2.9\n")  # mended: the alarm ends by itself
    until(f, lambda: epoch(f) == 3)
    same(f.status()["alarms"], [])


def test_drift(f):
    m = f.manager()
    f.change("entries: [203.0.113.66, ", "entries: [")
    text = open(f.config).read().replace("errors: 20 ", "errors: 30 ").replace(*ACTION)
    f.write("appliance.yaml", text.replace("bare_newline: reject ", "bare_newline: normalize "))
    same(len(told(f, "diff")["drift"]), 4)
    told(f, "load")
    alarms = told(f, "alarm")["alarms"]
    same([a["kind"] for a in alarms], ["drift"] * 4)
    words = " ".join(a["text"] for a in alarms)
    for part in ("limits.errors is weaker: 30, was 20", "lists.blocked.action is weaker: pass, was refuse",
                 "smtp.bare_newline is weaker", "lists.blocked.entries lost 1 entry (203.0.113.66)"):
        holds(words, part)
    m.end(signal.SIGKILL)
    m = f.manager()  # kept until somebody has seen them
    holds(f.ctl("status").stdout, "limits.errors is weaker")
    told(f, "alarm", "ack", str(alarms[0]["id"]))
    same(len(told(f, "alarm")["alarms"]), 3)
    told(f, "alarm", "ack")
    same(told(f, "alarm")["alarms"], [])
    same(f.ctl("alarm", "ack", "99").returncode, 1)
    told(f, "set", "limits.errors", "25")  # tightened: nothing to say
    same(told(f, "alarm")["alarms"], [])


def test_transactions(f):
    f.manager()
    c = Client(f)
    same(c.ask("transaction.commit")["error"]["code"], -32602)
    same(c.ask("transaction.begin")["result"], {})
    same(c.ask("transaction.begin")["error"]["code"], -32602)
    same(c.ask("config.set", key="limits.errors", value="15")["result"], {"queued": 1})
    same(c.ask("config.set", key="limits.messages", value="7")["result"], {"queued": 2})
    same(epoch(f), 1)
    same(c.ask("transaction.commit", reason="both")["result"]["epoch"], 2)
    same(keys(f, "diff", "1"), [("limits.errors", "20", "15"), ("limits.messages", "1000", "7")])
    c.ask("transaction.begin")  # one is wrong: none is done
    c.ask("config.set", key="limits.errors", value="16")
    c.ask("config.set", key="limits.messages", value="none")
    holds(c.ask("transaction.commit")["error"]["message"], "limits.messages")
    same(epoch(f), 2)
    c.ask("transaction.begin")  # a step that the dataplane would have to do: what was done is undone
    c.ask("config.set", key="limits.errors", value="16")
    c.ask("backend.drain", server="mail1", on=True)
    error = c.ask("transaction.commit")["error"]
    same(error["code"], -32002)
    holds(error["message"], "Change 2 of 2 (backend.drain)")
    same(keys(f, "diff", "2"), [])
    c.ask("transaction.begin")
    c.ask("config.set", key="limits.errors", value="17")
    same(c.ask("transaction.abort")["result"], {"dropped": 1})
    c.ask("transaction.begin")
    for i in range(64):
        same("result" in c.ask("config.set", key="limits.errors", value="18"), True)
    same(c.ask("config.set", key="limits.errors", value="18")["error"]["code"], -32005)
    c.close()  # gone: dropped
    same(told(f, "undo")["text"], "transaction of 2 changes")
    same(keys(f, "diff", "1"), [])
    many = [Client(f) for _ in range(9)]
    same(["result" in one.ask("transaction.begin") for one in many], [True] * 8 + [False])
    for one in many:
        one.close()


def test_snapshot(f):
    f.change(LIST_FILE, "file: x.list")
    f.write("x.list", "192.0.2.7\n")
    f.manager()
    told(f, "set", "limits.errors", "15")
    same(told(f, "snapshot", "save", os.path.join(f.path, "all.json"))["files"], 1)
    same(json.load(open(os.path.join(f.path, "all.json")))["files"][0]["text"], "192.0.2.7\n")
    f.write("x.list", "192.0.2.99\n")
    f.change("messages: 1000 ", "messages: 5 ")
    told(f, "load")
    told(f, "set", "--reset")
    told(f, "snapshot", "restore", os.path.join(f.path, "all.json"))
    same([o["key"] for o in f.status()["overrides"]], ["limits.errors"])
    same(open(os.path.join(f.path, "x.list")).read(), "192.0.2.7\n")
    same(open(os.path.join(f.path, "x.list.before-restore")).read(), "192.0.2.99\n")
    same((told(f, "diff")["n_keys"], told(f, "diff", "2")["keys"]), (0, []))
    for text in ("{}", "nonsense", '{"postern_snapshot":1,"config":{"text":"version: 7"},"files":[]}'):
        r = f.ctl("snapshot", "restore", f.write("bad.json", text))
        same(r.returncode, 1)
        holds(r.stderr, "bad.json")
    same(f.ctl("snapshot", "restore", "none.json").returncode, 1)
    same(f.ctl("snapshot", "save", "/no-such-folder/x").returncode, 1)
    same(open(os.path.join(f.path, "x.list")).read(), "192.0.2.7\n")


def test_batch(f):
    f.manager()
    good = f.write("good", "# two at once\nbegin\nset limits.errors 15\nset 'smtp.banner' \"a b\"\n\n"
                   "commit --reason 'a night'\n")
    r = f.ctl("batch", good)
    same((r.returncode, r.stderr), (0, ""))
    holds(r.stdout, "transaction of 2 changes, epoch 2")
    same(keys(f, "diff", "1"), [("limits.errors", "20", "15"), ("smtp.banner", "ESMTP", "a b")])
    for text, code in (("begin\nset limits.errors 16\nset limits\n", 2), ("nonsense\n", 2), ("set 'a\n", 2),
                       ("begin\nset limits.errors 16\nset limits.messages x\ncommit\n", 1), ("batch\n", 2)):
        r = f.ctl("batch", "-", input=text)
        same(r.returncode, code)
        holds(r.stderr, "stopped at line")
    same(epoch(f), 2)
    r = f.ctl("begin")
    same(r.returncode, 2)
    holds(r.stderr, "posternctl batch")


def test_audit(f):
    f.manager()
    f.ctl("set", "limits.errors", "15", "--reason", "a try")
    f.ctl("set", "limits.errors", "none")
    f.ctl("undo")
    f.ctl("status")
    rows = told(f, "audit")["rows"]
    same([(r["method"], r["error"] is None) for r in rows],
         [("config.set", True), ("config.set", False), ("undo", True)])
    same((rows[0]["params"]["reason"], rows[0]["uid"], rows[0]["epoch"]), ("a try", os.geteuid(), 2))
    same(len(told(f, "audit", "--limit", "1")["rows"]), 1)
    same(len(told(f, "audit", "--since", "1h")["rows"]), 3)
    lines = open(os.path.join(f.path, "state", "audit.jsonl")).read().splitlines()
    same([json.loads(line) for line in lines], rows)


def test_drained_backend_is_undone(f):
    p = Peer(f)
    m = f.manager(ready=False)
    p.accept()
    p.hello()
    p.load()
    p.hello()
    m.wait_for("epoch 1 committed")
    c = Client(f)
    c.say(b'{"jsonrpc":"2.0","id":1,"method":"backend.drain","params":{"server":"mail1","on":true}}\n')
    same(p.hear("backend.drain")[0], {"server": "mail1", "on": True})
    p.answer({})
    same(c.hear()["result"], {})
    c.say(b'{"jsonrpc":"2.0","id":2,"method":"undo"}\n')
    same(p.hear("backend.drain")[0], {"server": "mail1", "on": False})
    p.answer({})
    same(c.hear()["result"]["text"], "drain of mail server mail1")
    c.close()
    p.close()


def test_the_readme_example_runs(f):
    f.manager()
    text = open(os.path.join(TOP, "control", "README.md")).read()
    script = re.search(r"```python\n(.*?)```", text, re.S).group(1)
    r = subprocess.run([sys.executable, "-c", script, os.path.join(f.path, "run", "control.sock")],
                       capture_output=True, text=True, timeout=30)
    same((r.returncode, r.stderr, r.stdout), (0, "", "epoch 1\nepoch 2\ntaken back: transaction of 2 changes\n"))


def test_a_thousand_clients(f):
    m = f.manager()
    busy, clients = 0, []
    for _ in range(1000):
        c = Client(f)
        clients.append(c)
        try:
            if len(clients) % 4 == 0:
                c.socket.sendall(b'{"jsonrpc":"2.0","id":1,"meth')  # and no more
            elif len(clients) % 4 == 1:
                c.socket.sendall(b"\0\xff garbage " * 100 + b"\n")
        except BrokenPipeError:
            pass  # turned away already, as it will hear
    for c in clients[256:]:
        busy += c.hear()["error"]["code"] == -32005
    same(busy, 744)
    start = time.monotonic()
    admin_room = clients.pop()
    admin_room.close()
    for c in clients[:8]:
        c.close()
    until(f, lambda: f.ctl("status").returncode == 0, 3)
    same(time.monotonic() - start < 3, True)
    for c in clients[8:]:
        c.close()
    until(f, lambda: f.status()["clients"] == 1)
    same(m.process.poll(), None)


def test_killed_while_loading(f):
    """At any moment of a load: afterwards the old policy is there, or the new, never a half."""
    f.change(LIST_FILE, "file: x.list")
    f.write("x.list", "".join(f"{a}.{b}.{c}.1\n" for a in range(11, 15) for b in range(256) for c in range(200)))
    m = f.manager()
    errors, number = 20, 1
    for delay_ms in range(0, 200, 20):
        text = open(f.config).read()
        f.write("appliance.yaml", text.replace(f"errors: {errors} ", f"errors: {errors + 1} "))
        errors += 1
        c = Client(f)
        c.say(b'{"jsonrpc":"2.0","id":1,"method":"policy.reload"}\n')
        time.sleep(delay_ms / 1000)  # the moment of the kill is what varies
        m.end(signal.SIGKILL)
        c.close()
        m = f.manager()  # it was edited: loaded at start, unless it was committed already
        same(epoch(f), number + 1)
        number += 1
        same(told(f, "diff")["keys"], [])
        holds(m.text(), "was committed last")
    rows = told(f, "history")["epochs"]
    same([r["epoch"] for r in rows], list(range(number, 0, -1)))


def test_answers_while_compiling(f):
    f.change(LIST_FILE, "file: x.list")
    f.write("x.list", "".join(f"{a}.{b}.{c}.1\n" for a in range(11, 31) for b in range(256) for c in range(200)))
    m = f.manager()
    f.write("appliance.yaml", open(f.config).read().replace("errors: 20 ", "errors: 21 "))
    c = Client(f)
    c.say(b'{"jsonrpc":"2.0","id":7,"method":"policy.reload"}\n')
    slowest, asked = 0, 0
    other = Client(f)
    c.socket.setblocking(False)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        start = time.monotonic()
        status = other.ask("status")["result"]["manager"]
        slowest = max(slowest, time.monotonic() - start)
        asked += 1
        if status["epoch"] == 2:
            break
        same(isinstance(status["loading"], int), True)
        if asked == 2:  # one load at a time
            same(other.ask("policy.reload")["error"]["code"], -32005)
    same(status["epoch"], 2)
    same((asked > 5, slowest < 0.1), (True, True))
    m.end()
