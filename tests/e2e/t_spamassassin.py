# SPDX-License-Identifier: BSD-3-Clause
"""All that Debian's spamassassin package holds, imported and in force in front of a real Postfix: its
samples, and one pattern added in an emergency beside it, while mail flows."""

import os
import shutil
import subprocess
import threading
import time

from framework import bound
from lab import until
from managed import Managed
from t_patterns import GTUBE, sample, send
from target import BUILD, CTL

RULES = "/usr/share/spamassassin"
CACHE = os.path.join(BUILD, "spamassassin.cache")  # compiled databases, by content and platform
KEPT = os.path.join(BUILD, "spamassassin.patterns")  # tests/control/spamassassin.py leaves it here
SETUP_S = 700
LIVE_S = 2.0


def imported():
    """The import takes a minute or two of a core, so an earlier one by the same program is taken."""
    if os.path.exists(KEPT) and os.path.getmtime(KEPT) >= os.path.getmtime(CTL):
        return
    done = subprocess.run([CTL, "patterns", "import", RULES, "--out", KEPT + ".new"], timeout=600,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print("# " + done.stdout.strip().split("\n")[-1], flush=True)
    assert done.returncode == 0, done.stdout[-800:]
    os.replace(KEPT + ".new", KEPT)


def setup():
    imported()
    a = Managed()
    try:
        cache = a.path("manager-state/patterns")
        if os.path.isdir(CACHE):
            shutil.copytree(CACHE, cache)
        a.start_manager()
        config = a.configuration(
            {"patterns": {"files": [KEPT]}, "score": {"refuse": 500}})
        began = time.monotonic()

        def loaded():
            done = subprocess.run([CTL, "--run", a.state, "load", config], timeout=300,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert done.returncode in (0, 5), done.stdout[-800:]
            return done.returncode == 0

        until("the load", 300, loaded, 0.3)
        print(f"# compiled and in force in {time.monotonic() - began:.1f} s"
              f"{' (from the cache)' if os.path.isdir(CACHE) else ''}", flush=True)
        if not os.path.isdir(CACHE):
            shutil.copytree(cache, CACHE + ".new", dirs_exist_ok=True)
            os.rename(CACHE + ".new", CACHE)
    except BaseException:
        a.close()
        raise
    return a


class Traffic:
    """Good mail all the while: each is to be taken."""

    def __init__(self, a, clients=3):
        self.a, self.wrong, self.n, self.stop = a, [], 0, threading.Event()
        self.crowd = [threading.Thread(target=self.go) for _ in range(clients)]

    def go(self):
        text = sample("sample-nonspam.txt")
        while not self.stop.is_set():
            try:
                code, words = send(self.a, text)
            except Exception as e:
                code, words = 0, repr(e)
            if code != 250:
                self.wrong.append(words)
            self.n += 1
            time.sleep(0.02)

    def __enter__(self):
        for c in self.crowd:
            c.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for c in self.crowd:
            c.join(30)


@bound(60)
def test_the_samples(a):
    before = len(a.lab.maildir("mail1"))
    code, words = send(a, sample("sample-spam.txt"))
    assert code == 550 and "5.7.1" in words, words
    code, words = send(a, f"Subject: Test\n\n{GTUBE}\n")
    assert code == 550 and "5.7.1" in words, words
    code, words = send(a, sample("sample-nonspam.txt"))
    assert code == 250, words
    until("the good one", 10, lambda: len(a.lab.maildir("mail1")) == before + 1)


@bound(120)
def test_an_emergency_beside_it(a):
    """Three times, each another expression: from the command's start to the first refusal."""
    took = []
    with Traffic(a) as traffic:
        until("mail to flow", 20, lambda: traffic.n >= 10)
        for i in range(3):
            text = f"Subject: urgent wire transfer {i}\n\nx\n"
            assert send(a, text)[0] == 250
            began = time.monotonic()
            code, out = a.ctl("pattern", "add", f"subject:/urgent wire transfer {i}/", "--action",
                              "refuse", "--for", "2h", "--name", f"WIRE{i}")
            returned = time.monotonic() - began
            assert code == 0 and "in force" in out, out
            code, words = send(a, text)
            took.append(time.monotonic() - began)
            print(f"# the command returned after {returned:.2f} s, a message was refused after "
                  f"{took[-1]:.2f} s", flush=True)
            assert code == 550 and "5.7.1 Message refused by content" in words, words
        until("mail to go on", 20, lambda: traffic.n >= 30)
    for i in range(3):
        a.ctl("pattern", "del", f"WIRE{i}")
    assert not traffic.wrong, traffic.wrong[:3]
    assert max(took) <= LIVE_S, took
    assert a.counters()["messages_unscanned"] == 0
