# SPDX-License-Identifier: BSD-3-Clause
"""The manager beside the running appliance: it puts configurations in force, refuses wrong ones with
their place, and is not needed for mail to pass."""

import json

import clients
import mail
from lab import until
from managed import Managed

LISTED = ("203.0.113.90", "2001:db8:bad:90::1")
LISTS = {"lists": [{"name": "bad", "action": "refuse", "verify_share": 0, "entries": list(LISTED)}]}


def setup():
    return Managed.started(clients=LISTED)


def test_status_tells_the_truth(a):
    code, out = a.ctl("--json", "status")
    assert code == 0 and json.loads(out), out
    code, out = a.ctl("status")
    assert code == 0 and "running" in out, out


def test_load(a):
    assert [a.greeting(s) for s in LISTED] == [220, 220]
    code, out = a.ctl("load", a.configuration(LISTS))
    assert code == 0, out
    assert [a.greeting(s) for s in LISTED] == [521, 521]


def test_wrong_configuration_changes_nothing(a):
    path = a.configuration({"pools": [{"name": "main", "servers": [{"name": "x", "addres": "y"}]}]},
                           "wrong.yaml")
    code, out = a.ctl("load", path)
    assert code == 1 and "wrong.yaml:" in out and "addres" in out, f"exit {code}: {out}"
    assert [a.greeting(s) for s in LISTED] == [521, 521]


def test_stats_count_what_happened(a):
    def refused():
        code, out = a.ctl("--json", "stats")
        assert code == 0, out
        return sum(v for k, v in numbers(json.loads(out)) if "refus" in k.lower())

    def numbers(value, name=""):
        if isinstance(value, dict):
            label = value.get("name", name)
            for k, v in value.items():
                yield from numbers(v, f"{label}.{k}")
        elif isinstance(value, list):
            for v in value:
                yield from numbers(v, name)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, value

    before = refused()
    for _ in range(20):
        assert a.greeting(LISTED[0]) == 521
    until("20 more refusals in the statistics", 5, lambda: refused() >= before + 20, 0.1)


def test_mail_without_the_manager(a):
    a.manager.kill()
    a.manager.wait(10)
    code, _ = a.ctl("status")
    assert code == 3, f"posternctl says {code} without a manager"
    clients.deliver_all(a.lab, a, mail.batch("no-manager", 20), at_once=10, bound_s=20)
    assert [a.greeting(s) for s in LISTED] == [521, 521]


def test_manager_comes_back(a):
    """It reads its own file again: the list is gone."""
    a.start_manager()
    code, out = a.load()
    assert code == 0, out
    assert [a.greeting(s) for s in LISTED] == [220, 220]


def test_manager_brings_its_policy_to_a_new_dataplane(a):
    code, out = a.load(a.configuration(LISTS))
    assert code == 0, out
    a.kill()
    a.start(image=None)
    until("the list in force", 10, lambda: [a.greeting(s) for s in LISTED] == [521, 521], 0.2)


def test_drain(a):
    code, out = a.ctl("drain")
    assert code == 0, out
    assert a.process.wait(20) == 0
    a.start(image=None)
