# SPDX-License-Identifier: BSD-3-Clause
"""Trying things: pass-all, scripts, the states of rules, whom a rule would have hit."""

import json
import time

from framework import Asked, Client, Peer, holds, same


def beside(f):
    """A manager with the other end of dataplane.sock, in force."""
    p = Peer(f)
    m = f.manager(ready=False)
    p.accept()
    p.hello()
    p.load()
    p.hello()
    m.wait_for("epoch 1 committed")
    return p


def test_pass_all_and_its_undo(f):
    p = beside(f)
    until = int(time.time()) + 600
    asked = Asked(f, "pass-all", "--for", "10m", "--reason", "a try")
    same(p.hear("pass_all.set")[0], {"for_s": 600, "reason": "a try"})
    p.answer({"until_s": until, "was_until_s": 0})
    code, out = asked.end()
    same(code, 0)
    holds(out, "PASS-ALL for ")
    asked = Asked(f, "status")
    p.hear("status")
    p.answer({"state": "running", "pass_all_until_s": until})
    out = asked.end()[1]
    same(out.startswith("PASS-ALL"), True)
    c = Client(f)
    c.say(b'{"jsonrpc":"2.0","id":2,"method":"undo"}\n')
    same(p.hear("pass_all.set")[0], {"until_s": 0})
    p.answer({"until_s": 0, "was_until_s": until})
    same(c.hear()["result"]["text"], "pass-all on")
    row = json.loads(f.ctl("--json", "audit").stdout)["rows"][-2]
    same((row["method"], row["params"]["for_s"]), ("pass_all.set", 600))
    c.close()
    p.close()


def test_pass_all_wants_a_time(f):
    f.manager()
    for words, part in (((), "for how long?"), (("on",), "neither `off` nor"), (("off", "--for", "1m"), "no --for"),
                        (("--for", "10"), "is not a duration")):
        r = f.ctl("pass-all", *words)
        same((r.returncode, r.stdout), (2, ""))
        holds(r.stderr, part)
    same(f.ctl("pass-all", "--for", "10m").returncode, 3)  # no dataplane
