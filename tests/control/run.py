#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""postern-compile, postern-manager and posternctl as their users meet them, without a dataplane.

Prints TAP. Every program is run from the build; files and sockets live in a folder of each test's
own (framework.py). What takes a dataplane is tested end to end (tests/e2e).
"""

import json
import os
import pwd
import re
import signal
import sys
import traceback

import t_changes
import t_trying
import t_events
from framework import BUILD, EXAMPLE, LIST_FILE, TOP, WAIT_S, Asked, Client, Folder, Peer, holds, run, same

PARTS = 5  # of the example's image


# ---- every program ----

def test_help_and_version(f):
    for name in ("postern-compile", "postern-manager", "posternctl"):
        r = run(name, "--help")
        same((r.returncode, r.stderr), (0, ""))
        holds(r.stdout, "usage: " + name)
        r = run(name, "--version")
        same((r.returncode, r.stderr), (0, ""))
        assert re.fullmatch(rf"{name} \d+\.\d+\.\d+\S*\n", r.stdout), r.stdout
        same(run(name, "--no-such-option").returncode, 2)
        same(run(name).returncode, 2)
    same(run("posternctl", "status", "surplus").returncode, 2)
    same(run("posternctl", "check").returncode, 2)
    same(run("posternctl", "nonsense").returncode, 2)


def test_manual_pages_name_every_option_and_key(f):
    man, made = os.path.join(TOP, "control", "man"), os.path.join(BUILD, "control")
    for name, page in (("postern-compile", os.path.join(man, "postern-compile.1")),
                       ("postern-manager", os.path.join(man, "postern-manager.8")),
                       ("posternctl", os.path.join(made, "posternctl.1"))):
        text = open(page).read().replace("\\-", "-")
        for option in set(re.findall(r"--[a-z]+", run(name, "--help").stdout)):
            holds(text, option)
    for row in json.loads(run("posternctl", "--json", "help").stdout):
        holds(text, f"{row['name']} \\fR{row['usage']}\\fP\n" if row["usage"] else f".B {row['name']}\n")
    text = open(os.path.join(BUILD, "control", "postern.yaml.5")).read().replace("\\-", "-")
    for row in json.loads(run("posternctl", "--json", "help", "config").stdout):
        holds(text, f".TP\n.B {row['key']}\n")
        holds(text, row["allowed"])


# ---- postern-compile ----

def test_compile_writes_the_same_image_again(f):
    images = [os.path.join(f.path, n) for n in ("a.img", "b.img")]
    for image in images:
        r = run("postern-compile", "--epoch", "7", "--json", "-o", image, f.config)
        same((r.returncode, r.stderr), (0, ""))
        told = json.loads(r.stdout)
        same((told["epoch"], told["image"], told["addresses"]), (7, image, 3))
        same([p["kind"] for p in told["parts"]], ["settings", "strings", "addresses", "domains", "names"])
    same(open(images[0], "rb").read() == open(images[1], "rb").read(), True)
    r = run("postern-compile", f.config)
    same(r.returncode, 0)
    same(os.path.exists(os.path.join(f.path, "appliance.img")), True)


def test_every_example_compiles(f):
    folder = os.path.dirname(EXAMPLE)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".yaml"):
            r = run("postern-compile", "--check", os.path.join(folder, name))
            same((name, r.returncode, r.stderr), (name, 0, ""))


def test_check_writes_nothing(f):
    before = os.listdir(f.path)
    r = run("postern-compile", "--check", f.config)
    same((r.returncode, r.stderr), (0, ""))
    same(os.listdir(f.path), before)


def test_every_mistake_is_told_at_once(f):
    f.change("port: inside", "port: insid")
    text = open(f.config).read().replace("workers: 1 ", "workers: 0 ").replace(LIST_FILE, "file: x.list")
    f.write("appliance.yaml", text)
    r = run("postern-compile", "--check", "appliance.yaml", cwd=f.path)
    same((r.returncode, r.stdout), (1, ""))
    lines = r.stderr.splitlines()
    same(len(lines), 2)  # list files are read once the configuration itself is right
    for line in lines:
        assert re.fullmatch(r"appliance\.yaml:\d+:\d+: .+; allowed: .+", line), line
    told = json.loads(run("postern-compile", "--check", "--json", "appliance.yaml", cwd=f.path).stdout)
    same(told["total"], 2)
    same([e["file"] for e in told["errors"]], ["appliance.yaml"] * 2)


def test_list_files_are_checked(f):
    f.change(LIST_FILE, "file: x.list")
    f.write("x.list", "192.0.2.7\n192.0.2.1/24 # host bits\n  one.example\n2001:db8::1-2001:db8::9\n")
    r = run("postern-compile", "--check", "appliance.yaml", cwd=f.path)
    same(r.returncode, 1)
    same([line.split(" ")[0] for line in r.stderr.splitlines()], ["x.list:2:1:", "x.list:3:3:"])
    f.write("x.list", "192.0.2.7\n2001:db8::1-2001:db8::9\n")
    r = run("postern-compile", "--check", "--json", "appliance.yaml", cwd=f.path)
    same((r.returncode, json.loads(r.stdout)["addresses"]), (0, 5))


def test_an_image_that_cannot_be_written(f):
    r = run("postern-compile", "-o", os.path.join(f.path, "no", "a.img"), f.config)
    same(r.returncode, 1)
    holds(r.stderr, "No such file or directory")
    same(run("postern-compile", "--epoch", "0", f.config).returncode, 2)
    same(run("postern-compile", "--epoch", "1x", f.config).returncode, 2)


# ---- posternctl without a manager ----

def test_nobody_there(f):
    for command in ("status", "drain", "load"):
        r = f.ctl(command)
        same((r.returncode, r.stdout), (3, ""))
        holds(r.stderr, "cannot reach the manager")
    same(f.ctl("stats").returncode, 3)
    holds(json.loads(f.ctl("--json", "status").stdout)["error"]["message"], "cannot reach")


def test_help_config_needs_nobody(f):
    r = run("posternctl", "help", "config", "host.workers")
    same(r.returncode, 0)
    for words in ("host.workers", "a number from 1 to 64", "when postern-dataplane starts"):
        holds(r.stdout, words)
    same(run("posternctl", "help", "config", "host.nothing").returncode, 1)
    same(run("posternctl", "help", "nothing").returncode, 2)


def test_words_and_options(f):
    r = run("posternctl", "statuss")
    same(r.returncode, 2)
    holds(r.stderr, "did you mean `posternctl status`?")
    r = run("posternctl", "status", "--nothing")
    same(r.returncode, 2)
    holds(r.stderr, "`status` has no option --nothing\nusage: posternctl status")
    same(run("posternctl", "--run").returncode, 2)
    where = "--run=" + os.path.join(f.path, "run")
    told = json.loads(run("posternctl", "status", "--json", where).stdout)  # options anywhere
    holds(told["error"]["message"], f.path)
    holds(run("posternctl", "help", "backend").stdout, "posternctl backend drain SERVER")
    holds(run("posternctl", "load", "--help").stdout, "posternctl load [FILE]")
    groups = {row["group"] for row in json.loads(run("posternctl", "--json", "help").stdout)}
    text = run("posternctl", "help").stdout
    for group in groups:
        holds(text, "\n" + group + "\n")


def readme_tables():
    """The rows of every table of control/README.md, as lists of cells."""
    for line in open(os.path.join(TOP, "control", "README.md")):
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


# ---- postern-manager ----

def test_readme_names_every_method(f):
    f.manager()
    c = Client(f)
    written = [row for row in readme_tables() if len(row) == 4 and row[1] in ("viewer", "operator", "admin")]
    told = [[f"`{m['name']}`", m["role"], m["params"], m["result"]] for m in c.ask("methods")["result"]["methods"]]
    same(written, told)
    c.close()


def test_load_check_status(f):
    m = f.manager()
    same((f.status()["epoch"], f.status()["in_force"]), (1, False))
    other = f.change("errors: 20 ", "errors: 21 ", "other.yaml")
    holds(f.ctl("check", other).stdout, "differs")
    holds(f.ctl("load", other).stdout, "epoch 2, waits for the dataplane")
    same(json.loads(f.ctl("--json", "load", other).stdout)["changed"], False)
    bad = f.change("errors: 20 ", "errors: 0 ", "bad.yaml")
    for command in ("load", "check"):
        r = f.ctl(command, bad)
        same((r.returncode, r.stdout), (1, ""))
        assert re.fullmatch(re.escape(bad) + r":\d+:11: limits\.errors: .*\n", r.stderr), r.stderr
    same(f.status()["epoch"], 2)
    holds(f.status()["problem"], "limits.errors")
    holds(f.ctl("status").stdout, "last load      refused")
    holds(f.ctl("load").stdout, "epoch 3")  # the configured file again
    same(f.status()["problem"], None)
    r = f.ctl("drain")
    same(r.returncode, 3)
    holds(r.stderr, "dataplane is not connected")
    holds(f.ctl("version").stdout, "not connected")
    same(m.end(), 0)
    same(os.listdir(os.path.join(f.path, "run")), ["manager.lock"])


def test_sighup_keeps_the_old_policy_when_the_new_is_wrong(f):
    m = f.manager()
    f.change("errors: 20 ", "errors: many ")
    m.process.send_signal(signal.SIGHUP)
    m.wait_for("load refused, the policy of epoch 1 stays")
    holds(m.text(), 'limits.errors: "many" is not a plain decimal number')
    same(f.status()["epoch"], 1)
    f.change("errors: 20 ", "errors: 22 ")
    m.process.send_signal(signal.SIGHUP)
    m.wait_for("epoch 2 committed")


def test_epochs_outlive_the_manager(f):
    m = f.manager()
    other = f.change("errors: 20 ", "errors: 21 ", "other.yaml")
    same(f.ctl("load", other).returncode, 0)
    m.end(signal.SIGKILL)
    m = f.manager()
    m.wait_for("epoch 2 was committed last")
    same(f.status()["epoch"], 2)  # the configured file is as it was: what was loaded stays
    same(f.status()["source"], other)
    m.end(signal.SIGKILL)
    f.change("errors: 20 ", "errors: 22 ")
    m = f.manager()  # it was edited: it counts
    same(f.status()["epoch"], 3)
    m.end(signal.SIGKILL)
    f.change("errors: 20 ", "errors: 0 ")
    m = f.manager()  # a wrong configuration: the last good policy serves on
    same(f.status()["epoch"], 3)
    holds(f.status()["problem"], "limits.errors")


def test_without_a_policy_it_does_not_start(f):
    f.change("errors: 20 ", "errors: 0 ")
    m = f.manager(ready=False)
    same(m.process.wait(WAIT_S), 1)
    holds(m.text(), "limits.errors")
    r = run("postern-manager", "--config", os.path.join(f.path, "none.yaml"))
    same(r.returncode, 1)
    holds(r.stderr, "none.yaml: No such file or directory")


def test_one_manager_for_a_run_directory(f):
    f.manager()
    second = f.manager(ready=False)
    same(second.process.wait(WAIT_S), 1)
    holds(second.text(), "another postern-manager serves")
    same(f.ctl("status").returncode, 0)


def test_control_socket_bears_what_comes(f):
    f.manager()
    c = Client(f)
    for line, code in ((b"garbage\n", -32700), (b"[]\n", -32600), (b"{}\n", -32600), (b"\0\xff\n", -32700),
                       (b'{"jsonrpc":"2.0","id":1,"method":"nope"}\n', -32601),
                       (b'{"jsonrpc":"2.0","id":1,"method":"policy.load"}\n', -32602),
                       (b'{"jsonrpc":"2.0","id":1,"method":"policy.load","params":{"path":"a"}}\n', -32602),
                       (b'{"jsonrpc":"2.0","id":1,"method":"policy.load","params":{"path":"/none"}}\n', -32003)):
        c.say(line)
        same(c.hear()["error"]["code"], code)
    c.say(b'{"jsonrpc":"2.0","method":"status"}\n')  # a notification: no answer
    same(c.ask("version")["id"], 1)
    halves = [Client(f) for _ in range(20)]
    for h in halves:
        h.say(b'{"jsonrpc":"2.0","id":1,"meth')
    many = [Client(f) for _ in range(256 - 21)]  # with those, all there may be
    same(many[-1].ask("version")["id"], 1)
    over = Client(f)
    same(over.hear()["error"]["code"], -32005)
    same(over.file.read(), b"")
    long = halves.pop()
    try:
        long.say(b"x" * 70000)
    except OSError:
        pass  # it is told and closed while we still write
    same(long.hear()["error"]["code"], -32006)
    same(c.ask("status")["result"]["manager"]["epoch"], 1)
    for one in [c, over, long, *halves, *many]:
        one.close()


def test_hand_over(f):
    other = f.change("errors: 20 ", "errors: 21 ", "other.yaml")
    p = Peer(f)
    m = f.manager(ready=False)
    p.accept()
    p.hello()
    same(p.load(), (1, PARTS))
    p.hello()
    m.wait_for("epoch 1 committed")
    ctl = Asked(f, "load", other)
    same(p.load(restart=["workers"]), (2, 1))  # only the part that changed
    p.hello()
    code, out = ctl.end()
    same(code, 0)
    holds(out, "epoch 2, in force")
    holds(out, "needs a restart of postern-dataplane: workers")
    # refused: the candidate is dropped, nothing changes
    ctl = Asked(f, "load")
    p.hear("policy.load")
    p.answer(error={"code": "bad_image", "message": "Offset 7."})
    same(ctl.end(), (1, "The dataplane refused it (bad_image): Offset 7.\n"))
    images = [n for n in os.listdir(os.path.join(f.path, "state", "policy")) if n.endswith(".img")]
    same(sorted(images), ["0000000001.img", "0000000002.img"])
    # a part was freed meanwhile: everything is sent again
    ctl = Asked(f, "load")
    p.hear("policy.load")
    p.answer(error={"code": "missing_part", "message": "Gone."})
    same(p.load(), (3, PARTS))
    p.hello()
    same(ctl.end()[1].splitlines()[0], "epoch 3, in force")
    # gone in the middle of a load: not committed
    ctl = Asked(f, "load", other)
    p.hear("policy.load")
    p.close()
    same(ctl.end(), (3, "The dataplane went away before it answered.\n"))


def test_dataplane_comes_back(f):
    p = Peer(f)
    m = f.manager(ready=False)
    p.accept()
    p.hello()
    same(p.load(), (1, PARTS))
    p.hello()
    m.wait_for("epoch 1 committed")
    p.close()
    m.wait_for("the dataplane has gone")
    again = Peer(f)  # with the same policy: nothing is sent
    again.held, again.epoch = p.held, 1
    again.accept()
    again.hello()
    ctl = Asked(f, "--json", "status")
    again.hear("status")
    again.answer({"epoch": 1, "state": "running", "workers": 1, "uptime_s": 1, "sessions": 0, "needs_restart": []})
    status = json.loads(ctl.end()[1])
    same((status["manager"]["in_force"], status["dataplane"]["state"]), (True, "running"))
    again.close()
    m.wait_for("the dataplane has gone", 2)
    later = Peer(f)  # with a later one that we know nothing of: numbered on from there
    later.epoch = 9
    later.accept()
    later.hello()
    same(later.load(), (10, PARTS))
    later.hello()
    later.close()
    m.wait_for("the dataplane has gone", 3)
    same(f.status()["epoch"], 10)
    same(m.end(), 0)


def test_the_dataplane_has_its_say_at_start(f):
    p = Peer(f)
    m = f.manager(ready=False)
    p.accept()
    p.hello()
    p.hear("policy.load")
    p.answer(error={"code": "bad_image", "message": "Offset 7."})
    m.wait_for("load refused")
    same(os.listdir(os.path.join(f.path, "state", "policy")), [])
    p.close()


def test_a_peer_that_sends_nonsense(f):
    p = Peer(f)
    m = f.manager(ready=False)
    p.accept()
    p.hear("hello")
    p.socket.send(b"\xff not JSON")
    p.socket.send(b'{"id":77,"result":{}}')
    p.answer(result={"protocol": 1, "epoch": "nine", "parts": {"a": 1}})
    same(p.load(), (1, PARTS))
    p.close()
    m.wait_for("the dataplane has gone")
    same(f.status()["epoch"], 1)


def test_roles(f):
    if os.geteuid() != 0:
        return "takes root"
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chmod(f.path, 0o755)
    as_nobody = {"user": nobody, "group": 65534, "extra_groups": [1]}
    m = f.manager()
    r = f.ctl("status", **as_nobody)
    same(r.returncode, 4)
    holds(r.stderr, "You have no role here")
    m.end()
    m = f.manager("--viewer", "nobody")
    same(f.ctl("status", **as_nobody).returncode, 0)
    r = f.ctl("load", **as_nobody)
    same(r.returncode, 4)
    holds(r.stderr, "This takes the role operator")
    m.end()
    m = f.manager("--viewer", "nobody", "--operator", "@1")
    same(f.ctl("load", **as_nobody).returncode, 0)
    r = f.ctl("load", EXAMPLE, **as_nobody)
    same(r.returncode, 4)
    holds(r.stderr, "This takes the role admin")
    m.end()
    r = run("postern-manager", "--config", f.config, "--viewer", "no-such-user-here")
    same(r.returncode, 1)
    holds(r.stderr, "no such user or group")


def test_runs_without_root(f):
    if os.geteuid() != 0:
        return None  # all the other tests have shown it
    nobody = pwd.getpwnam("nobody").pw_uid
    for name in ("run", "state"):
        os.mkdir(os.path.join(f.path, name))
        os.chown(os.path.join(f.path, name), nobody, 65534)
    os.chmod(f.path, 0o755)
    m = f.manager(user=nobody, group=65534, extra_groups=[])
    same(f.status()["epoch"], 1)
    same(m.end(), 0)


def main():
    tests = [(n, t) for n, t in [*globals().items(), *vars(t_changes).items(), *vars(t_trying).items(),
                            *vars(t_events).items()] if n.startswith("test_")]
    words = sys.argv[1:]
    if words:
        tests = [(n, t) for n, t in tests if any(w in n for w in words)]
    failed = 0
    print(f"1..{len(tests)}")
    for i, (name, test) in enumerate(tests, 1):
        folder = Folder()
        try:
            skip = test(folder)
            print(f"ok {i} - {name[5:]}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        except Exception as e:
            failed += 1
            print(f"not ok {i} - {name[5:]}", flush=True)
            for line in (traceback.format_exc() if not isinstance(e, AssertionError) else
                         f"{e}\n{traceback.extract_tb(e.__traceback__)[1]}").splitlines():
                print(f"# {line}", flush=True)
        finally:
            folder.close()
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
