# SPDX-License-Identifier: BSD-3-Clause
"""Trying things: pass-all, scripts, the states of rules, whom a rule would have hit."""

import json
import os
import time

from framework import BUILD, EXAMPLE, Asked, Client, Peer, holds, same


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


def try_script(f, script, *words, policy=EXAMPLE):
    """posternctl test; postern-try and postern-compile stand in PATH as they do where it is installed."""
    path = os.pathsep.join([os.path.join(BUILD, "dataplane"), os.path.join(BUILD, "control"), os.environ["PATH"]])
    return f.ctl(*words, "test", f.write("script.smtp", script), "--policy", policy, env={**os.environ, "PATH": path})


def test_the_example_scripts(f):
    for name in ("blocked.smtp", "relay.smtp"):
        script = open(os.path.join(os.path.dirname(EXAMPLE), name)).read()
        r = try_script(f, script)
        same((r.returncode, r.stderr), (0, ""))
        holds(r.stdout, "as expected: ")


def test_a_script_tells_what_happened(f):
    script = ("# A listed client\n@client 203.0.113.66\nC! hello\nC! connect\nC: MAIL FROM:<a@example.net>\nS: 250 *\n"
              "C: RCPT TO:<u@example.org>\nS: 250 *\n")
    r = try_script(f, script, "--json")
    same(r.returncode, 1)
    told = json.loads(r.stdout)
    same((told["ok"], told["failure"]["line"], told["title"]), (False, 8, "A listed client"))
    holds(told["failure"]["text"], "expected `250 *`, got `550 5.7.1 Your address is listed here")
    same([(s["client"], s["verdict"], s["rules"]) for s in told["sessions"]],
         [("203.0.113.66", "refuse", ["lists.blocked"])])
    f.change("state: enforce               # off, shadow, 25%, enforce\n    weight: 0                    # added",
             "state: shadow\n    weight: 0                    # added")
    r = try_script(f, script + "E session shadow=lists.blocked verdict=none\n", policy=f.config)
    same(r.returncode, 1)  # it is still there: its session has not ended
    r = try_script(f, script + "C! close\nE session shadow=lists.blocked verdict=none\n", policy=f.config)
    same((r.returncode, r.stderr), (0, ""))
    holds(r.stdout, "would have hit lists.blocked")


def test_a_script_says_what_name_service_says(f):
    r = try_script(f, "# No name\nN host none\nN sender null-mx\nN spf fail\nC! hello\nC: MAIL FROM:<a@example.net>\n"
                      "S: 250 *\nC: RCPT TO:<u@example.org>\nS: *\nC: QUIT\nS: 221 *\nC! close\n"
                      "E session\n", "--json")
    rules = json.loads(r.stdout)["sessions"][0]
    for name in ("checks.host_missing", "checks.sender_null_mx", "checks.spf_fail"):
        holds(rules["rules"] + rules["shadow"], name)


def test_wrong_scripts_and_policies_are_told(f):
    for script, part in (("C: EHLO x\n", "the first line is to say what the file proves"),
                         ("# x\nQ: what\n", "script.smtp:2: not a line of a conversation"),
                         ("# x\n@client nobody\n", "\"nobody\" is no address"),
                         ("# x\n@pool main\n", "no such directive: @pool; there is @client"),
                         ("# x\nN listed nosuch\n", "no DNS list \"nosuch\""),
                         ("# x\nB> 250 ok\n", "mail servers answer by themselves"),
                         ("# x\nC! dance\n", "no such action: dance; there are hello"),
                         ("# x\nC! hello\nE session colour=red\n", "no such key: colour"),
                         ("# x\nC! connect\n", "told more than was expected: `220")):
        r = try_script(f, script)
        same(r.returncode, 1)
        holds(r.stdout + r.stderr, part)
    f.change("errors: 20", "errors: 0")
    r = try_script(f, "# x\nC! connect\n", policy=f.config)
    same(r.returncode, 1)
    holds(r.stderr, "limits.errors: \"0\" is out of range")
    same(f.ctl("test", "x.smtp").returncode, 2)


def test_rules_and_their_states(f):
    p = beside(f)
    row = {"name": "checks.talked_early", "kind": "check", "state": "enforce", "weight": 300, "action": "score",
           "hits": 7, "shadow": 0, "minute": {"hits": 2, "shadow": 0}}
    asked = Asked(f, "rule", "list", "early")
    same(p.hear("rule.list")[0], {"name": "early", "after": 0})
    p.answer({"rules": [row], "next": 200})
    same(p.hear("rule.list")[0], {"name": "early", "after": 200})
    p.answer({"rules": [{**row, "name": "lists.early", "state": "25%"}], "next": None})
    code, out = asked.end()
    same((code, len(out.splitlines())), (0, 3))
    same(out.splitlines()[1].split(), ["checks.talked_early", "enforce", "3.00", "score", "7", "0", "2", "0"])
    p.close()


def test_a_rule_is_set(f):
    f.manager()
    for rule, key, state in (("checks.talked_early", "checks.talked_early.state", "shadow"),
                             ("lists.blocked", "lists.blocked.state", "25%"),
                             ("access.always-reached", "access.always-reached.state", "off"),
                             ("greylist", "greylist.state", "shadow")):
        r = f.ctl("--json", "rule", "set", rule, state, "--reason", "a try")
        same((r.returncode, r.stderr), (0, ""))
        same([(k["key"], k["new"]) for k in json.loads(r.stdout)["keys"]], [(key, state)])
    holds(f.ctl("rule", "set", "lists.blocked", "enforce").stdout, "lists.blocked.state: enforce, was 25%")
    holds(f.ctl("undo").stdout, "lists.blocked.state")
    f.ctl("rule", "set", "lists.blocked", "off", "--for", "1h")
    same([o["until"] > time.time() + 3500 for o in f.status()["overrides"] if o["key"] == "lists.blocked.state"], [True])
    for words, part in ((("nonsense", "off"), "is no rule with a state of its own; `posternctl rule list`"),
                        (("lists.blokced", "off"), "there is no \"blokced\"; allowed: friends, blocked"),
                        (("checks.talked_early", "150%"), "allowed: ")):
        r = f.ctl("rule", "set", *words)
        same((r.returncode, r.stdout), (1, ""))
        holds(r.stderr, part)
    same(f.ctl("rule", "set", "lists.blocked").returncode, 2)


def test_impact_of_a_rule(f):
    f.manager()
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), "event": "session", "client": "192.0.2.7",
            "messages": 1, "shadow": ["dns.zen"], "mail": "a@example.net", "rcpt": "u@example.org", "tenant": 0}
    f.write("state/events.jsonl", json.dumps(line) + "\n"
            + json.dumps({**line, "client": "192.0.2.9", "messages": 0, "backend_code": 550}) + "\n")
    told = json.loads(f.ctl("--json", "impact", "dns.zen").stdout)
    same((told["shadow"], told["prefixes"], told["messages"], told["codes"]), (2, 1, 1, {"550": 1}))
    out = f.ctl("impact", "dns.zen", "--by", "domain", "--since", "1h").stdout
    holds(out, "dns.zen would have hit 2 sessions (and hit 0) of 1 prefixes")
    holds(out, "accepted 1 messages in 1 of them, and refused something in 1 (550: 1)")
    holds(out, "example.org")
    for words, code, part in ((("dns.zen", "--by", "colour"), 2, "allowed: prefix, tenant, domain"), ((), 2, "usage")):
        r = f.ctl("impact", *words)
        same(r.returncode, code)
        holds(r.stderr, part)
